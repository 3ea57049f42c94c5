"""The search space: distributions by parameter name, and the configurations that they make."""

from __future__ import annotations

from pytest_hypersearch.core.space.choices import Choice, choice
from pytest_hypersearch.core.space.frozen import Scipy
from pytest_hypersearch.core.space.numeric import (
    Integer,
    Normal,
    Real,
    lograndint,
    loguniform,
    normal,
    randint,
    uniform,
)
from pytest_hypersearch.core.space.space import (
    Distribution,
    Space,
    as_distribution,
    config_key,
    distribution_from_json,
    same_config,
)

__all__ = [
    "Choice",
    "Distribution",
    "Integer",
    "Normal",
    "Real",
    "Scipy",
    "Space",
    "as_distribution",
    "choice",
    "config_key",
    "distribution_from_json",
    "lograndint",
    "loguniform",
    "normal",
    "randint",
    "same_config",
    "uniform",
]
