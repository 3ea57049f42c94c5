"""Several metrics and constraints: the Pareto front as a table, and what is not feasible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_hypersearch.statistics.ranking import front, objectives, rank
from pytest_hypersearch.terminal.display import clean, cut, scale_of
from pytest_hypersearch.terminal.layout import Column, flow, line
from pytest_hypersearch.terminal.score_tables import draw, name_of, with_params

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.results import StudyResults, SweepInfo
    from pytest_hypersearch.statistics.ranking import Ranked
    from pytest_hypersearch.terminal.display import Look
    from pytest_hypersearch.terminal.layout import Line

_ROWS = 10


def fronts(results: StudyResults, look: Look) -> list[list[Line]]:
    """Shows the front of each objective of several metrics, short unless ``-v`` asks for all."""
    tables = []
    for alike in objectives(results.sweeps):
        found = front(results.trials, alike) if alike[0].others else []
        if found:
            tables.append(_front(found, alike, look))
    return tables


def _front(found: Sequence[Ranked], alike: Sequence[SweepInfo], look: Look) -> list[Line]:
    goals = alike[0].goals
    better = {"min": "lower", "max": "higher"}
    wanted = ", ".join(f"{better[goal.mode]} {clean(goal.metric, look)}" for goal in goals)
    title = line(cut(f"  {front_words(found)} ({wanted})", look.width, look))
    shown = found if look.verbosity > 0 else _spread(found)
    table = [Column("#", tuple(name_of(one).removeprefix("#") for one in shown))]
    for goal, values in zip(goals, zip(*(one.values for one in shown), strict=True), strict=True):
        scale = scale_of(values)
        cells = tuple(scale.value(value) for value in values)
        table.append(Column(clean(goal.metric, look), cells))
    if len(alike) > 1:
        sweeps = tuple(clean(one.sweep.name, look) for one in shown)
        table.insert(0, Column("sweep", sweeps, right=False, shrinks=True))
    lines = draw(with_params(table, [one.params for one in shown], look), look)
    if len(shown) < len(found):
        lines += flow([(f"and {len(found) - len(shown)} more with -v", {"light": True})], look)
    return [title, *lines]


def _spread(found: Sequence[Ranked]) -> Sequence[Ranked]:
    """Thins a long front evenly; its ends stay."""
    if len(found) <= _ROWS:
        return found
    return [found[place * (len(found) - 1) // (_ROWS - 1)] for place in range(_ROWS)]


def front_words(found: Sequence[Ranked]) -> str:
    """Says how long a front is."""
    return f"{len(found)} on the Pareto front"


def feasible(results: StudyResults, sweep: SweepInfo) -> list[Ranked]:
    """Ranks a sweep's configurations that keep its constraints."""
    return [one for one in rank(results.trials, [sweep]) if not one.excess]


def infeasible_words(results: StudyResults, sweep: SweepInfo, look: Look) -> str:
    """Says how many configurations break a sweep's constraints: ``3 of 40 (loss <= 5)``."""
    ranked = rank(results.trials, [sweep])
    broken = sum(one.excess > 0 for one in ranked)
    bounds = ", ".join(clean(str(each), look) for each in sweep.constraints)
    return f"{broken} of {len(ranked)} configurations ({bounds})" if broken else ""
