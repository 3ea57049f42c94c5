"""Median and percentile: prune what is worse than most completed trials were at the same step."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING

from pytest_hypersearch.core.contracts import values_at
from pytest_hypersearch.core.values import shown, shown_number
from pytest_hypersearch.search.pruners.review import check_least, due, not_a_number, rivals, span_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.core.contracts import Curve


WARMUP_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class _Ranked:
    """Options of the rules that rank a trial among completed ones.

    Attributes:
        warmup_trials: Nothing is pruned before so many trials have been completed.
        warmup_steps: Nothing is pruned before this step; None for a quarter of the way from the
            first to the last step of completed trials, so that a late starter gets its chance.
        interval: A trial is reviewed once in so many steps.
        min_trials: Nothing is pruned at a step that fewer completed trials have reported.
        nan: Whether a NaN prunes at once; else it counts as worse than any number.
    """

    warmup_trials: int = 5
    warmup_steps: float | None = None
    interval: float = 1
    min_trials: int = 1
    nan: bool = False

    def __post_init__(self) -> None:
        check_least("warmup_trials", self.warmup_trials, 0)
        check_least("interval", self.interval, 0, above=True)
        check_least("min_trials", self.min_trials, 1)
        if self.warmup_steps is not None:
            check_least("warmup_steps", self.warmup_steps, 0)

    @property
    @abstractmethod
    def share(self) -> float:
        """The share of completed trials to keep up with, in percent."""

    @abstractmethod
    def failing(self, bound: str) -> str:
        """Return what is wrong with a trial behind this bound, for the message."""

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:
        """Compare the trial's best so far with the values of completed trials at the same step."""
        if self.nan and (reason := not_a_number(trial, since)):
            return reason
        completed = rivals(trial, others)
        if len(completed) < max(self.warmup_trials, 1):
            return ""
        start = self.warmup_steps
        if start is None:
            start = span_of(completed).at(WARMUP_SHARE)
        for step in due(trial, since, start, self.interval):
            if reason := self._behind(trial, completed, step):
                return reason
        return ""

    def _behind(self, trial: Curve, completed: Sequence[Curve], step: float) -> str:
        values = values_at(completed, step)
        if len(values) < self.min_trials:
            return ""
        bound, best = percentile(values, self.share), trial.best_until(step)
        if not best > bound:
            return ""
        return (
            f"step {shown_number(step)}: {trial.shown(best)} is {self.failing(trial.shown(bound))} "
            f"of {len(values)} {'trial' if len(values) == 1 else 'trials'}"
        )


@dataclass(frozen=True)
class Median(_Ranked):
    """Prune a trial whose best value so far is worse than the median of completed trials.

    The rule of Golovin et al., Google Vizier: A Service for Black-Box Optimization (KDD 2017),
    with Optuna's details: values at the same step are compared, not averages up to it.

    Attributes:
        warmup_trials: Nothing is pruned before so many trials have been completed.
        warmup_steps: Nothing is pruned before this step; None for a quarter of the way from the
            first to the last step of completed trials, so that a late starter gets its chance.
        interval: A trial is reviewed once in so many steps.
        min_trials: Nothing is pruned at a step that fewer completed trials have reported.
        nan: Whether a NaN prunes at once; else it counts as worse than any number.

    Raises:
        ValueError: An option is out of its bounds.
    """

    @property
    def share(self) -> float:
        """The better half."""
        return 50.0

    def failing(self, bound: str) -> str:
        """Return what is wrong with a trial behind this bound, for the message."""
        return f"worse than the median {bound}"


@dataclass(frozen=True)
class Percentile(_Ranked):
    """Prune a trial whose best value so far is not among the best of completed trials.

    The options are those of `Median`.

    Attributes:
        percent: The share of completed trials to keep up with: 25 keeps the best quarter.

    Raises:
        ValueError: An option is out of its bounds.
    """

    percent: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least("percent", self.percent, 0)
        if self.percent > 100:  # noqa: PLR2004 - percent
            raise ValueError(f"percent={shown(self.percent)}: expected a number from 0 to 100")

    @property
    def share(self) -> float:
        """The given percentage."""
        return self.percent

    def failing(self, bound: str) -> str:
        """Return what is wrong with a trial behind this bound, for the message."""
        return f"outside the best {shown_number(float(self.percent))}% ({bound})"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the percentile of at least one value, by linear interpolation; NaN is left out.

    Returns:
        NaN if there is no number.
    """
    ordered = sorted([value for value in values if not isnan(value)])
    if not ordered:
        return nan
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    below, above = ordered[low], ordered[min(low + 1, len(ordered) - 1)]
    return below if below == above or place == low else below + (above - below) * (place - low)
