"""Hyperparameter sweeps as pytest tests.

Example:
    A test that is run for each configuration of a search space by ``pytest --sweep``::

        @pytest.mark.sweep(random={"lr": loguniform(1e-4, 1e-1)}, n_trials=20)
        def test_training(lr): ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_hypersearch.space import (
    choice,
    lograndint,
    loguniform,
    normal,
    randint,
    uniform,
)
from pytest_hypersearch.sweep import sweep

if TYPE_CHECKING:
    from pytest_hypersearch.fixtures import Sweeps, Trial

__version__ = "0.1.0"

__all__ = [
    "Sweeps",
    "Trial",
    "choice",
    "lograndint",
    "loguniform",
    "normal",
    "randint",
    "sweep",
    "uniform",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  one of the classes below
    # The types of the fixtures are wanted by annotations, and bring half of the package along.
    if name in {"Sweeps", "Trial"}:
        from pytest_hypersearch import fixtures

        return getattr(fixtures, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
