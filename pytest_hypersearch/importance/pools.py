"""Which configurations of a study are judged together, and in which space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_hypersearch.results import signed
from pytest_hypersearch.statistics.ranking import objectives, rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_hypersearch.results import StudyResults, SweepInfo
    from pytest_hypersearch.space import Space
    from pytest_hypersearch.statistics.ranking import Ranked
    from pytest_hypersearch.trial import Config


@dataclass(frozen=True, slots=True)
class Pool:
    """Complete configurations of one or several sweeps.

    Attributes:
        sweeps: The sweeps, all of one objective.
        space: The space of one of them, which has the most of the configurations.
        configs: Those of the configurations that it has, as it writes them.
        scores: Their mean scores; lower is better, whatever the mode.
    """

    sweeps: tuple[SweepInfo, ...]
    space: Space
    configs: tuple[Config, ...]
    scores: tuple[float, ...]


def pools(results: StudyResults) -> list[Pool]:
    """Return the pools of a study: its sweeps of one objective over the same parameters.

    Sweeps whose space is not known are left out.
    """
    found = []
    for alike in objectives(results.sweeps):
        together: dict[frozenset[str], list[SweepInfo]] = {}
        for sweep in alike:
            if sweep.space is not None:
                together.setdefault(frozenset(sweep.space.names), []).append(sweep)
        found += [_pool(sweeps, rank(results.trials, sweeps)) for sweeps in together.values()]
    return found


def _pool(sweeps: Sequence[SweepInfo], ranked: Sequence[Ranked]) -> Pool:
    spaces = dict.fromkeys(sweep.space for sweep in sweeps if sweep.space is not None)
    space, kept = max(
        ((space, _within(space, ranked, only=len(spaces) == 1)) for space in spaces),
        key=lambda pair: len(pair[1]),
    )
    configs, scores = tuple(config for config, _ in kept), tuple(score for _, score in kept)
    return Pool(tuple(sweeps), space, configs, scores)


def _within(space: Space, ranked: Iterable[Ranked], *, only: bool) -> list[tuple[Config, float]]:
    """Return the configurations that a space has, which all are if it is the only one."""
    found = []
    for one in ranked:
        try:
            config = one.params if only else space.validate_config(one.params)
        except ValueError:
            continue
        found.append((config, signed(one.sweep, one.mean)))
    return found
