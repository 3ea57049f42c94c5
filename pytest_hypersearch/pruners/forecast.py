"""Forecast: prune what could not catch up with the best trial even if all went well."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from pytest_hypersearch.given import shown_number
from pytest_hypersearch.pruners.review import Span, check_least, not_a_number, rivals, span_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_hypersearch.pruners.curves import Curve

WARMUP_SHARE: Final = 0.1
LEAST_REPORTS: Final = 3  # two slopes
REVIEWS_PER_DOUBLING: Final = 16
OPTIMISM: Final = 1.5
DEVIATIONS: Final = 2.0


@dataclass(frozen=True)
class Forecast:
    """Prune a trial whose optimistic forecast ends behind the best completed trial.

    Ranking trials at early steps loses the late starters that a small learning rate or a schedule
    makes best in the end. This rule asks of each trial alone whether it can still get there: its
    best value so far is extended to the end of a full trial,

    - while it gets better faster and faster, with its present acceleration;
    - when it slows down, by 1.5 times what it gained over the last doubling of its steps, for each
      doubling to come, but never below the straight line: a curve of diminishing returns stays
      above that (the bound by which Mohr & van Rijn, Fast and Informative Model Selection Using
      Learning Curve Cross-Validation, TPAMI 2023, discard models);
    - and further by two standard errors of its slope, estimated from how much its values jump.

    To stop what will probably not beat the best is the idea of Domhan et al., Speeding Up Automatic
    Hyperparameter Optimization of Deep Neural Networks by Extrapolation of Learning Curves (IJCAI
    2015). Reviews are at each report at first, later at each 16th of the reports so far.

    Attributes:
        warmup_trials: Nothing is pruned before so many trials have been completed; at least one.
        warmup_steps: Nothing is pruned before this step; None for a tenth of the way from the
            first to the last step of completed trials.
        nan: Whether a NaN prunes at once; else it counts as worse than any number.

    Raises:
        ValueError: An option is out of its bounds.
    """

    warmup_trials: int = 1
    warmup_steps: float | None = None
    nan: bool = False

    def __post_init__(self) -> None:
        check_least("warmup_trials", self.warmup_trials, 0)
        if self.warmup_steps is not None:
            check_least("warmup_steps", self.warmup_steps, 0)

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:
        """Compare the forecasts from each new step with the last value of the best trial."""
        if self.nan and (reason := not_a_number(trial, since)):
            return reason
        counts = list(_reviewed(trial, since))
        completed = rivals(trial, others) if counts else []
        if len(completed) < max(self.warmup_trials, 1):
            return ""
        span, goal = span_of(completed), min(_end(c) for c in completed)
        start = span.at(WARMUP_SHARE) if self.warmup_steps is None else self.warmup_steps
        for n in counts:
            if trial.steps[n - 1] >= start and (reason := _hopeless(trial, n, span, goal)):
                return reason
        return ""


def _reviewed(trial: Curve, since: float) -> Iterator[int]:
    """Yield the numbers of reports after which the trial is to be reviewed."""
    first = max(bisect_right(trial.steps, since) + 1, LEAST_REPORTS)
    for n in range(first, len(trial.steps) + 1):
        if n % max(n // REVIEWS_PER_DOUBLING, 1) == 0:
            yield n


def _end(curve: Curve) -> float:
    value = curve.value_at(curve.steps[-1])
    return math.inf if value is None or math.isnan(value) else value


def _hopeless(trial: Curve, n: int, span: Span, goal: float) -> str:
    step, best = trial.steps[n - 1], trial.bests[n - 1]
    if best <= goal or step >= span.last:
        return ""
    end = optimistic_end(trial, n, span.last)
    if not end > goal:
        return ""
    return (
        f"step {shown_number(step)}: from {trial.shown(best)} it would come to {trial.shown(end)} "
        f"at best by step {shown_number(span.last)}, the best trial came to {trial.shown(goal)}"
    )


def optimistic_end(trial: Curve, n: int, last: float) -> float:
    """Return how low a trial may come, as far as its first ``n`` values tell.

    Args:
        trial: Its curve.
        n: How many of its reports to look at, at least 3.
        last: The last step of a full trial.
    """
    x, best = trial.steps, trial.bests
    width = (n - 1) // 2
    begin, middle, now = n - 1 - 2 * width, n - 1 - width, n - 1
    if not math.isfinite(best[begin]):  # it has only just found a number, or none yet
        return best[now] if math.isinf(best[now]) else -math.inf
    rest, recent = last - x[now], x[now] - x[middle]
    slope = (best[middle] - best[now]) / recent
    earlier = (best[begin] - best[middle]) / (x[middle] - x[begin])
    acceleration = (slope - earlier) / ((x[now] - x[begin]) / 2)
    if acceleration > 0:
        gain = (slope + acceleration * recent / 2) * rest + acceleration * rest**2 / 2
    else:
        done = (x[now] - x[0]) * n / (n - 1)  # the first report took a step too
        doublings = math.log1p(rest / done) / -math.log1p(-recent / done)
        gain = min(slope * rest, OPTIMISM * slope * recent * doublings)
    spacing = recent / width
    return best[now] - gain - DEVIATIONS * _slope_error(trial, begin, n, width) / spacing * rest


def _slope_error(trial: Curve, begin: int, n: int, width: int) -> float:
    """Return the standard error of a line's slope through the last values, for each report.

    The noise is told from the curve's own shape by second differences, whose variance is six times
    that of independent noise.
    """
    y = trial.values(begin, n)
    bends = [(a - 2 * b + c) ** 2 for a, b, c in zip(y, y[1:], y[2:], strict=False)]
    known = [bend for bend in bends if math.isfinite(bend)]
    if not known:
        return 0.0
    return math.sqrt(median(known) / 6 * 12 / (width * (width + 1) * (width + 2)))
