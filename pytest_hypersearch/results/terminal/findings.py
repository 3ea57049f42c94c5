"""Configurations that are not significantly worse than the best, fronts and importances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_hypersearch.core.study import signed
from pytest_hypersearch.results.terminal.format import Column, clean, cut, flow, line, scale_of
from pytest_hypersearch.results.terminal.tables import draw, name_of, with_params
from pytest_hypersearch.stats.importance import importance, pools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.core.study import Configuration
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.results.terminal.format import Line, Look
    from pytest_hypersearch.stats.importance import Importance, Pool
    from pytest_hypersearch.stats.ranking import RankedStudy, Ranking


_NAMED = 5


def comparable(ranked: Sequence[Configuration]) -> bool:
    """Tells whether a sweep's configurations are compared: several, by means over replicates."""
    if len(ranked) < 2:  # noqa: PLR2004 - nothing to compare
        return False
    sweep = ranked[0].sweep
    return sweep.replicates > 1 and sweep.pick == "mean" and not sweep.others


def doubtful(ranked: Sequence[Configuration]) -> set[int]:
    """Numbers of the configurations of a sweep that are not significantly worse than the best."""
    from pytest_hypersearch.stats.comparing import indistinct

    scores = {
        one.number: {
            trial.replicate: signed(one.sweep, score)
            for trial, score in zip(one.trials, one.scores, strict=True)
        }
        for one in ranked
    }
    return set(indistinct(scores, ranked[0].number))


def doubt_lines(ranked: Sequence[Configuration], look: Look, of: str = "") -> list[Line]:
    """Names the configurations of a sweep that are not significantly worse than the best.

    Args:
        ranked: The feasible ones, best first.
        look: Decides the width; with ``-v`` all are named.
        of: Which sweep, if there are several.
    """
    if not comparable(ranked):
        return []
    return flow(((word, {}) for word in [f"~best{of}:", *_doubts(ranked, look).split()]), look)


def _doubts(ranked: Sequence[Configuration], look: Look) -> str:
    first, others = ranked[0], len(ranked) - 1
    if len(first.trials) < 2:  # noqa: PLR2004 - no spread
        return f"unknown, 2 complete replicates are needed and #{first.number} has 1"
    alike = doubtful(ranked)
    if not alike:
        better = f"#{first.number} is significantly better than {_count(others)}"
        return f"none; {better} (paired t-test)"
    names = [f"#{one.number}" for one in ranked if one.number in alike]
    if look.verbosity < 1 and len(names) > _NAMED:
        names[_NAMED:] = [f"{len(names) - _NAMED} more with -v"]
    verb = "is" if len(alike) == 1 else "are"
    found = f"{len(alike)} of {_count(others)} {verb} not significantly worse than #{first.number}"
    return f"{found} (paired t-test): {', '.join(names)}"


def _count(others: int) -> str:
    return "1 other" if others == 1 else f"{others} others"


_ROWS = 10


def fronts(ranked: RankedStudy, look: Look) -> list[list[Line]]:
    """Shows the front of each objective of several metrics, short unless ``-v`` asks for all."""
    return [
        _front(front, ranking.sweeps, look)
        for ranking in ranked.rankings
        if ranking.sweeps[0].others and (front := ranking.front)
    ]


def _front(found: Sequence[Configuration], alike: Sequence[Sweep], look: Look) -> list[Line]:
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


def _spread(found: Sequence[Configuration]) -> Sequence[Configuration]:
    """Thins a long front evenly; its ends stay."""
    if len(found) <= _ROWS:
        return found
    return [found[place * (len(found) - 1) // (_ROWS - 1)] for place in range(_ROWS)]


def front_words(found: Sequence[Configuration]) -> str:
    """Says how long a front is."""
    return f"{len(found)} on the Pareto front"


def infeasible_words(ranking: Ranking, look: Look) -> str:
    """Says how many configurations break a sweep's constraints: ``3 of 40 (loss <= 5)``."""
    broken = len(ranking) - len(ranking.feasible)
    bounds = ", ".join(clean(str(each), look) for each in ranking.sweeps[0].constraints)
    return f"{broken} of {len(ranking)} configurations ({bounds})" if broken else ""


_SHOWN = 6


def importances(ranked: RankedStudy, look: Look) -> list[Line]:
    """Says what matters as far as a study's complete configurations tell."""
    lines: list[Line] = []
    judged = pools(ranked)
    for pool in judged:
        if len(pool.space.varied) < 2:  # noqa: PLR2004 - a single parameter is all that matters
            continue
        try:
            found = importance(pool.space, pool.configs, pool.scores)
        except ValueError:
            continue
        lines += _line(pool, found, look, several=len(judged) > 1)
    return lines


def _line(pool: Pool, found: Sequence[Importance], look: Look, *, several: bool) -> list[Line]:
    sweep = pool.sweeps[0]
    label = "importance"
    if several:
        label += f" in {', '.join(clean(one.name, look) for one in pool.sweeps)}"
    if sweep.others:
        label += f" for {clean(sweep.metric, look)}"
    shown = found if look.verbosity > 0 or len(found) <= _SHOWN else found[: _SHOWN - 1]
    texts = [
        f"{clean(one.parameter, look)} {one.share:.2f} {look.plus_minus}{one.spread:.2f}"
        for one in shown
    ]
    if rest := found[len(shown) :]:
        texts.append(f"{len(rest)} more {sum(one.share for one in rest):.2f}")
    words = [f"{label}:", *(f"{text}," for text in texts[:-1]), texts[-1]]
    return flow(((word, {}) for word in words), look)
