"""Samplers: which configuration to try next. Importing this package imports no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.space import Space
    from pytest_hypersearch.trial import Config, State


@dataclass(frozen=True, slots=True)
class Observation:
    """What a sampler is told of one configuration.

    Attributes:
        index: The configuration's index within its sweep, from 0.
        params: The configuration.
        state: How its replicates ended as a whole; ``State.RUNNING`` while it is pending.
        scores: One score for each complete replicate. Lower is better, whatever the sweep's mode.
    """

    index: int
    params: Config
    state: State
    scores: tuple[float, ...] = ()


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


def builtin(strategy: str) -> Sampler | None:
    """Return the sampler of a strategy that comes with this package, None for other names."""
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
    return None
