"""Threshold and patience: prune what leaves its bounds, or no longer gets better."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_hypersearch.core.contracts import Curve, due, not_a_number, rivals
from pytest_hypersearch.core.values import check_number, shown, shown_number


@dataclass(frozen=True)
class Threshold:
    """Prune a trial that reports a value out of bounds.

    Attributes:
        below: Values lower than this prune, in the metric's own direction, whatever the mode.
        above: Values higher than this prune.
        warmup_steps: Nothing is pruned before this step.
        interval: Number of steps between two reviews of a trial.
        nan: Whether a NaN prunes at once; else it is within the bounds.

    Raises:
        ValueError: There is no bound, or an option is out of its own bounds.
    """

    below: float | None = None
    above: float | None = None
    warmup_steps: float = 0
    interval: float = 1
    nan: bool = False

    def __post_init__(self) -> None:
        given = [name for name in ("below", "above") if getattr(self, name) is not None]
        if not given:
            raise ValueError("a threshold needs a bound: below=..., above=... or both")
        for name in given:
            check_number(self, name, -math.inf)
        if self.below is not None and self.above is not None and self.below > self.above:
            raise ValueError(
                f"below={shown_number(self.below)}, above={shown_number(self.above)}: "
                "every value is below the one or above the other"
            )
        check_number(self, "warmup_steps", 0)
        check_number(self, "interval", 0, above=True)

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:  # noqa: ARG002  a protocol's
        """Compare the values at the steps to review with the bounds."""
        if self.nan and (reason := not_a_number(trial, since)):
            return reason
        for step in due(trial, since, self.warmup_steps, self.interval):
            value = trial.value_at(step)
            if value is not None and (where := self._outside(trial.in_metric(value))):
                return f"step {shown_number(step)}: {trial.shown(value)} is {where}"
        return ""

    def _outside(self, value: float) -> str:
        if self.below is not None and value < self.below:
            return f"below {shown_number(self.below)}"
        if self.above is not None and value > self.above:
            return f"above {shown_number(self.above)}"
        return ""


@dataclass(frozen=True)
class Patience:
    """Prune a trial that has not become better for a number of reports, unless it leads.

    A pruned trial does not rank. Therefore a trial whose best value is better than that of all
    completed trials at the same step is not pruned.

    Attributes:
        reports: How many reports in a row may pass without a better value.
        min_delta: By how much a value must be better to count.
        warmup_steps: Nothing is pruned before this step.
        nan: Whether a NaN prunes at once; else it is no better value.

    Raises:
        ValueError: An option is out of its bounds.
    """

    reports: int
    min_delta: float = 0.0
    warmup_steps: float = 0
    nan: bool = False

    def __post_init__(self) -> None:
        check_number(self, "reports", 1)
        if not isinstance(self.reports, int):
            raise ValueError(  # noqa: TRY004  as of all options
                f"reports={shown(self.reports)}: expected an integer"
            )
        check_number(self, "min_delta", 0)
        check_number(self, "warmup_steps", 0)

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:
        """Look for a better value among the last reports up to each new step."""
        if self.nan and (reason := not_a_number(trial, since)):
            return reason
        first = bisect_right(trial.steps, since)
        stalled = [n for n in range(first, len(trial.steps)) if self._stalls(trial, n)]
        completed = rivals(trial, others) if stalled else []
        for n in stalled:
            step, best = trial.steps[n], trial.bests[n]
            if any(c.best_until(step) < best for c in completed):
                return (
                    f"step {shown_number(step)}: no improvement on {trial.shown(best)} "
                    f"for {self.reports} reports"
                )
        return ""

    def _stalls(self, trial: Curve, n: int) -> bool:
        if n < self.reports or trial.steps[n] < self.warmup_steps:
            return False
        before = trial.bests[n - self.reports]
        return not trial.bests[n] < before - self.min_delta
