"""What pruners have in common: which steps to look at, and whom to compare with."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.core.values import shown, shown_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_hypersearch.core.contracts import Curve


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last step of the trials that were completed."""

    first: float
    last: float

    def at(self, share: float) -> float:
        """Return the step at which this share of a full trial is done."""
        return self.first + share * (self.last - self.first)


def rivals(trial: Curve, others: Sequence[Curve], *, complete: bool = True) -> list[Curve]:
    """Return the curves that a trial is compared with: those of its own replicate.

    All configurations meet the same luck in one replicate, so that nobody is pruned for a seed.

    Args:
        trial: The trial under review.
        others: The curves of other configurations.
        complete: Only those that ran to their end, else all that have reported.
    """
    replicate = trial.replicate
    if complete:
        wanted = State.COMPLETE
        return [c for c in others if c.ended is wanted and c.replicate == replicate and c.steps]
    return [c for c in others if c.replicate == replicate and c.steps]


def span_of(curves: Sequence[Curve]) -> Span:
    """Return from where to where these curves reach, of which there is at least one."""
    return Span(min([c.steps[0] for c in curves]), max([c.steps[-1] for c in curves]))


def due(trial: Curve, since: float, start: float, interval: float) -> Iterator[float]:
    """Yield the steps to review: the first that was reported in each interval from the start on.

    Args:
        trial: The trial under review.
        since: Up to which step it has been reviewed.
        start: The first step that may be reviewed.
        interval: Length of an interval, in steps.
    """
    for step in trial.since(since):
        if step < start:
            continue
        opening = start + (step - start) // interval * interval
        if trial.steps[bisect_left(trial.steps, opening)] == step:
            yield step


def is_milestone(reports: int) -> bool:
    """Tell whether a trial is to be reviewed after so many reports, by rules that take their time.

    Each time at first, beyond 32 once in a 16th of the reports so far.
    """
    return reports % max(reports // 16, 1) == 0


def not_a_number(trial: Curve, since: float) -> str:
    """Return why a trial with NaN among its new values is pruned, empty if it has none."""
    for step in trial.since(since):
        if math.isnan(trial.value_at(step) or 0.0):
            return f"step {shown_number(step)}: nan"
    return ""


def check_least(name: str, value: object, least: float, *, above: bool = False) -> None:
    """Refuse an option that is no finite number or too low.

    Raises:
        ValueError: The option is out of bounds.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value < least
        or (above and value == least)
    ):
        limit = f"above {shown_number(least)}" if above else f"{shown_number(least)} or more"
        bound = f", {limit}" if math.isfinite(least) else ""
        raise ValueError(f"{name}={shown(value)}: expected a finite number{bound}")
