"""The samplers without pytest, and what a sampler of your own builds on."""

from pytest_hypersearch.core.contracts import Observation, Sampler
from pytest_hypersearch.search.samplers.optimizer import Optimizer, SpaceExhaustedError

__all__ = ["Observation", "Optimizer", "Sampler", "SpaceExhaustedError"]
