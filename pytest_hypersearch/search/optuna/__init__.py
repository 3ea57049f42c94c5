"""Optuna: its samplers as strategies, and our sampler in its studies."""

from pytest_hypersearch.search.optuna.sampler import HypersearchSampler

__all__ = ["HypersearchSampler"]
