"""Forecast: prune what could not catch up with the best trial even if all went well."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from pytest_hypersearch.core.contracts import (
    Curve,
    Span,
    is_milestone,
    not_a_number,
    rivals,
    span_of,
)
from pytest_hypersearch.core.values import check_number, shown_number

WARMUP_SHARE: Final = 0.1
LEAST_REPORTS: Final = 3  # a gain in either half
DEVIATIONS: Final = 2.0
LARGEST_GROWTH: Final = 700.0  # of which the exponential is a float


@dataclass(frozen=True)
class Forecast:
    """Prune a trial whose optimistic forecast ends behind the best completed trial.

    A rule that ranks trials at early steps loses late starters, which a small learning rate or a
    schedule makes the best in the end. This rule only asks whether a trial can still reach the best
    one. It assumes that the gain so far grows as a power of the steps. The exponent p of the last
    doubling of the steps is below 1 for a curve that flattens, 1 for a straight line, above 1 for a
    late starter that accelerates. A curve that flattens goes on to do so: every smooth curve begins
    as a straight line, so that its exponent has fallen from 1 to p, and if it falls by that factor
    once more until the end, to p squared, its mean on the way is p (1 + p) / 2. Two standard errors
    of the curve's slope, estimated from the differences of successive values, are subtracted, so
    that a noisy curve gets more time.

    Ending trials that will probably not beat the best follows Domhan et al., Speeding Up Automatic
    Hyperparameter Optimization of Deep Neural Networks by Extrapolation of Learning Curves (IJCAI
    2015). Extending a curve optimistically from its last doubling follows Mohr & van Rijn, Fast and
    Informative Model Selection Using Learning Curve Cross-Validation (TPAMI 2023).

    The first 32 reports are all reviewed. After that, there is one review for each 16th of the
    reports so far.

    Attributes:
        warmup_trials: Number of trials that must be complete before any is pruned; at least one.
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
        check_number(self, "warmup_trials", 0)
        if self.warmup_steps is not None:
            check_number(self, "warmup_steps", 0)

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
    """Return the numbers of reports after which the trial is to be reviewed."""
    first = max(bisect_right(trial.steps, since) + 1, LEAST_REPORTS)
    return filter(is_milestone, range(first, len(trial.steps) + 1))


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
        f"step {shown_number(step)}: from {trial.shown(best)} it would reach {trial.shown(end)} "
        f"at best by step {shown_number(span.last)}, the best trial reached {trial.shown(goal)}"
    )


def optimistic_end(trial: Curve, n: int, last: float) -> float:
    """Return how low a trial may come, as far as its first ``n`` values tell.

    Args:
        trial: Its curve.
        n: How many of its reports to look at, at least 3.
        last: The last step of a full trial.
    """
    x, best, now = trial.steps, trial.bests, n - 1
    if math.isinf(best[now]):
        return math.inf
    begin = next(i for i in range(n) if math.isfinite(best[i]))
    middle = begin + (now - begin) // 2
    early, gained = best[begin] - best[middle], best[begin] - best[now]
    if middle == begin or early == 0 < gained:  # it has only just begun to get better
        return -math.inf
    low = best[now] - DEVIATIONS * _slope_error(trial, middle, n) * (last - x[now])
    if gained == 0:
        return low
    power = math.log(gained / early) / math.log((x[now] - x[begin]) / (x[middle] - x[begin]))
    ahead = power * min(1.0, (1.0 + power) / 2.0)
    growth = ahead * math.log((last - x[begin]) / (x[now] - x[begin]))
    return low - gained * math.expm1(growth) if growth < LARGEST_GROWTH else -math.inf


def _slope_error(trial: Curve, middle: int, n: int) -> float:
    """Return the standard error of a line's slope through the latter half of the values.

    The noise is separated from the curve's shape by second differences, whose variance is six times
    that of independent noise.
    """
    half = n - 1 - middle
    y = trial.values(max(middle - half, 0), n)
    bends = [(a - 2 * b + c) ** 2 for a, b, c in zip(y, y[1:], y[2:], strict=False)]
    finite = [bend for bend in bends if math.isfinite(bend)]
    if not finite:
        return 0.0
    spacing = (trial.steps[n - 1] - trial.steps[middle]) / half
    return math.sqrt(median(finite) / 6 * 12 / (half * (half + 1) * (half + 2))) / spacing
