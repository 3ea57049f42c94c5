"""What a pruner is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.core.curve import Curve
    from pytest_hypersearch.core.space import Space
    from pytest_hypersearch.core.trial import Config, State


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


@runtime_checkable
class Pruner(Protocol):
    """A rule that says when a trial is to be stopped."""

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:
        """Return why to prune the trial, in one line, or an empty text to let it go on.

        Args:
            trial: What it has reported so far.
            others: The curves of the study's other configurations in a fixed order, those of
                running and of pruned trials included.
            since: The step up to which the trial has been reviewed; minus infinity at first. All
                later steps are to be looked at, of which there may be several.
        """
        ...
