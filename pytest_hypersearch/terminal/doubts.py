"""Which configurations cannot be told from the best, in a line and as marks in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_hypersearch.results import signed
from pytest_hypersearch.terminal.layout import flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.statistics.ranking import Ranked
    from pytest_hypersearch.terminal.display import Look
    from pytest_hypersearch.terminal.layout import Line

_NAMED = 5


def comparable(ranked: Sequence[Ranked]) -> bool:
    """Tells whether a sweep's configurations are compared: several, by means over replicates."""
    if len(ranked) < 2:  # noqa: PLR2004 - nothing to compare
        return False
    sweep = ranked[0].sweep
    return sweep.replicates > 1 and sweep.pick == "mean" and not sweep.others


def doubtful(ranked: Sequence[Ranked]) -> set[int]:
    """Numbers of the configurations of one sweep that cannot be told from the first."""
    from pytest_hypersearch.statistics.comparing import indistinct  # heavy, and seldom needed

    scores = {
        one.number: {
            trial.replicate: signed(one.sweep, score)
            for trial, score in zip(one.trials, one.scores, strict=True)
        }
        for one in ranked
    }
    return set(indistinct(scores, ranked[0].number))


def doubt_lines(ranked: Sequence[Ranked], look: Look, of: str = "") -> list[Line]:
    """Says how many of a sweep's configurations cannot be told from the best, and names some.

    Args:
        ranked: The feasible ones, best first.
        look: Decides the width; with ``-v`` all are named.
        of: Which sweep, if there are several.
    """
    if not comparable(ranked):
        return []
    return flow(((word, {}) for word in [f"~best{of}:", *_doubts(ranked, look).split()]), look)


def _doubts(ranked: Sequence[Ranked], look: Look) -> str:
    first, others = ranked[0], len(ranked) - 1
    if len(first.trials) < 2:  # noqa: PLR2004 - no spread
        return f"unknown, 2 complete replicates are needed and #{first.number} has 1"
    alike = doubtful(ranked)
    if not alike:
        return f"none; #{first.number} is better than {_count(others)} (paired t-test)"
    names = [f"#{one.number}" for one in ranked if one.number in alike]
    if look.verbosity < 1 and len(names) > _NAMED:
        names[_NAMED:] = [f"{len(names) - _NAMED} more with -v"]
    told = f"{len(alike)} of {_count(others)} cannot be told from #{first.number}"
    return f"{told} (paired t-test): {', '.join(names)}"


def _count(others: int) -> str:
    return "1 other" if others == 1 else f"{others} others"
