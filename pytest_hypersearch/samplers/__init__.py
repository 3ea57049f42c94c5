"""Samplers: which configuration to try next. Importing this package imports no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.samplers.asktell import Optimizer, SpaceExhaustedError
    from pytest_hypersearch.space import Space
    from pytest_hypersearch.trial import Config, State

__all__ = ["Observation", "Optimizer", "Sampler", "SpaceExhaustedError", "builtin"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a sampler is told of one configuration.

    Attributes:
        index: The configuration's index within its sweep, from 0.
        params: The configuration.
        state: How its replicates ended as a whole; ``State.RUNNING`` while it is pending.
        scores: One score for each complete replicate. Lower is better, whatever the sweep's mode.
        others: The same for each further metric of a sweep that has several.
        excess: For each constraint, by how much each complete replicate broke it, relative to the
            bound; negative or zero where it was kept.
    """

    index: int
    params: Config
    state: State
    scores: tuple[float, ...] = ()
    others: tuple[tuple[float, ...], ...] = ()
    excess: tuple[tuple[float, ...], ...] = ()


class Sampler(Protocol):
    """A pure function that proposes configurations; memory of earlier calls may only save time."""

    @property
    def adaptive(self) -> bool:
        """Whether proposals depend on history; others are known before anything runs."""
        ...

    def suggest(
        self, space: Space, *, seed: int, index: int, history: Sequence[Observation]
    ) -> Config | None:
        """Return the configuration with this index, None if the space is used up.

        Args:
            space: What may be proposed.
            seed: The sweep's seed.
            index: Which configuration of the sweep this is, from 0.
            history: Finished configurations in a fixed order, then the pending ones.
        """
        ...


ONE_METRIC: Final = frozenset({"optuna:CmaEsSampler"})
"""Strategies that cannot pursue several metrics."""


def builtin(strategy: str) -> Sampler | None:
    """Return the sampler of a strategy that comes with this package, None for other names.

    Args:
        strategy: ``grid``, ``random``, ``bayes``, or ``optuna:`` and the name of Optuna's sampler.

    Raises:
        ValueError: Optuna is not installed or has no such sampler.
    """
    match strategy:
        case "grid":
            from pytest_hypersearch.samplers.grid import Grid

            return Grid()
        case "random":
            from pytest_hypersearch.samplers.random import Random

            return Random()
        case "bayes":
            from pytest_hypersearch.samplers.gp import GP

            return GP()
    if strategy.startswith("optuna:"):
        return _of_optuna(strategy.removeprefix("optuna:"))
    return None


def _of_optuna(name: str) -> Sampler:
    try:
        from pytest_hypersearch.samplers.optuna import sampler_called
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; expected pip install 'pytest-hypersearch[optuna]'") from None
    return sampler_called(name)


def __getattr__(name: str) -> Any:  # noqa: ANN401  one of the two names below
    if name not in {"Optimizer", "SpaceExhaustedError"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_hypersearch.samplers import asktell

    return getattr(asktell, name)
