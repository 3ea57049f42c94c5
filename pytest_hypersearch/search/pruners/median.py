"""Median, percentile and Wilcoxon: prune what is worse than completed trials at the same steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, isfinite, isnan, nan

from pytest_hypersearch.core.contracts import (
    Curve,
    due,
    is_milestone,
    not_a_number,
    rivals,
    span_of,
    values_at,
)
from pytest_hypersearch.core.values import check_number, plural, shown, shown_number

WARMUP_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class _Ranked:
    """Options of the rules that rank a trial among completed ones; see `Median`."""

    warmup_trials: int = 5
    warmup_steps: float | None = None
    interval: float = 1
    min_trials: int = 1
    nan: bool = False

    def __post_init__(self) -> None:
        check_number(self, "warmup_trials", 0)
        check_number(self, "interval", 0, above=True)
        check_number(self, "min_trials", 1)
        if self.warmup_steps is not None:
            check_number(self, "warmup_steps", 0)

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
            f"of {plural(len(values), 'trial')}"
        )


@dataclass(frozen=True)
class Median(_Ranked):
    """Prune a trial whose best value so far is worse than the median of completed trials.

    The rule of Golovin et al., Google Vizier: A Service for Black-Box Optimization (KDD 2017),
    with Optuna's details: values at the same step are compared, not averages up to it.

    Attributes:
        warmup_trials: Number of trials that must be complete before any is pruned.
        warmup_steps: Nothing is pruned before this step; None for a quarter of the way from the
            first to the last step of completed trials, so that a late starter gets its chance.
        interval: Number of steps between two reviews of a trial.
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
        check_number(self, "percent", 0)
        if self.percent > 100:  # noqa: PLR2004 - percent
            raise ValueError(f"percent={shown(self.percent)}: expected a number from 0 to 100")

    @property
    def share(self) -> float:
        """The given percentage."""
        return self.percent

    def failing(self, bound: str) -> str:
        """Return what is wrong with a trial behind this bound, for the message."""
        return f"outside the best {shown_number(float(self.percent))}% ({bound})"


@dataclass(frozen=True)
class Wilcoxon:
    """Prune a trial that a paired signed-rank test finds worse than the best completed trial.

    For tests whose steps are instances, such as folds or problems, and whose score is the mean
    over them: the order of the steps does not matter, and a value need not come near the score.
    The pairs are the steps that both have reported; the best trial is the one with the lowest mean.
    A trial with a NaN or infinite value is not pruned, unless ``nan`` asks for it. As in Optuna's
    WilcoxonPruner, ties count half to either side (Pratt's zeros split), and the test is repeated
    at each report: the chance of pruning wrongly over a whole trial is higher than ``p``, and a
    smaller ``p`` corrects for it (Pocock, Biometrika 1977). Beyond 32 reports, the test is repeated
    at each 16th of them only.

    Attributes:
        p: Below which p-value to prune, between 0 and 1.
        min_pairs: Nothing is pruned with fewer pairs.
        nan: Whether a NaN prunes at once.

    Raises:
        ValueError: An option is out of its bounds.
    """

    p: float = 0.1
    min_pairs: int = 2
    nan: bool = False

    def __post_init__(self) -> None:
        check_number(self, "p", 0)
        if self.p > 1:
            raise ValueError(f"p={shown(self.p)}: expected a number from 0 to 1")
        check_number(self, "min_pairs", 2)

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:
        """Test the differences to the best trial at the steps that both have reported."""
        if self.nan and (reason := not_a_number(trial, since)):
            return reason
        if not (is_milestone(len(trial.steps)) and isfinite(trial.mean)):
            return ""
        completed = [curve for curve in rivals(trial, others) if isfinite(curve.mean)]
        if not completed:
            return ""
        best = min(completed, key=lambda curve: curve.mean)
        share = 0.5 ** (len(trial.steps).bit_length() + 1)  # exact, and no sum overflows
        differences = [
            share * value - share * theirs
            for step, value in zip(trial.steps, trial.values(), strict=True)
            if (theirs := best.value_at(step)) is not None
        ]
        if len(differences) < self.min_pairs or fsum(differences) <= 0:
            return ""
        from scipy.stats import wilcoxon

        result = wilcoxon(differences, alternative="greater", zero_method="zsplit")
        if not result.pvalue < self.p:
            return ""
        return (
            f"worse than the best trial (configuration {best.number}) at {len(differences)} "
            f"equal steps, p = {result.pvalue:.2g}"
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the percentile of at least one value, by linear interpolation; NaN is left out.

    Returns:
        NaN if there is no number.
    """
    ordered = sorted([value for value in values if not isnan(value)])
    if not ordered:
        return nan
    rank = (len(ordered) - 1) * percent / 100
    low = int(rank)
    below, above = ordered[low], ordered[min(low + 1, len(ordered) - 1)]
    return below if below == above or rank == low else below + (above - below) * (rank - low)
