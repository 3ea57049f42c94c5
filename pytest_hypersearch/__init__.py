"""Hyperparameter sweeps as pytest tests.

Example:
    A test that is run for each configuration of a search space by ``pytest --sweep``::

        @pytest.mark.sweep(random={"lr": loguniform(1e-4, 1e-1)}, n_trials=20)
        def test_training(lr): ...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.plugin.mark.typed import sweep

if TYPE_CHECKING:
    from pytest_hypersearch.core.space import (
        choice,
        lograndint,
        loguniform,
        normal,
        randint,
        uniform,
    )
    from pytest_hypersearch.plugin.fixtures import Sweeps, Trial
    from pytest_hypersearch.results.results import Results, load_results

__version__ = "0.1.0"

__all__ = [
    "Results",
    "Sweeps",
    "Trial",
    "choice",
    "load_results",
    "lograndint",
    "loguniform",
    "normal",
    "randint",
    "sweep",
    "uniform",
]

_HOMES = {
    "Results": "results.results",
    "Sweeps": "plugin.fixtures",
    "Trial": "plugin.fixtures",
    "load_results": "results.results",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  any of the names above
    # Every pytest session imports this package; the names are for those who sweep.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'core.space')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
