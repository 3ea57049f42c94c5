"""Samplers: which configuration to try next. Importing this package imports no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_hypersearch.core.contracts import Sampler


def builtin(strategy: str) -> Sampler | None:
    """Return the sampler of a strategy that comes with this package, None for other names.

    Args:
        strategy: ``grid``, ``random``, ``bayes``, or ``optuna:`` and the name of Optuna's sampler.

    Raises:
        ValueError: Optuna is not installed or has no such sampler.
    """
    match strategy:
        case "grid":
            from pytest_hypersearch.search.samplers.grid import Grid

            return Grid()
        case "random":
            from pytest_hypersearch.search.samplers.random import Random

            return Random()
        case "bayes":
            from pytest_hypersearch.search.gp import GP

            return GP()
    if strategy.startswith("optuna:"):
        return _of_optuna(strategy.removeprefix("optuna:"))
    return None


def _of_optuna(name: str) -> Sampler:
    try:
        from pytest_hypersearch.search.optuna.strategy import sampler_called
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; run pip install 'pytest-hypersearch[optuna]'") from None
    return sampler_called(name)
