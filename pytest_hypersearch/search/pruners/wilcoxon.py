"""Wilcoxon: prune what is significantly worse than the best trial on the same instances."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, isfinite
from typing import TYPE_CHECKING

from pytest_hypersearch.core.values import shown
from pytest_hypersearch.search.pruners.review import check_least, is_milestone, not_a_number, rivals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.core.contracts import Curve


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
        check_least("p", self.p, 0)
        if self.p > 1:
            raise ValueError(f"p={shown(self.p)}: expected a number from 0 to 1")
        check_least("min_pairs", self.min_pairs, 2)

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:
        """Test the differences to the best trial at the steps that both have reported."""
        if self.nan and (reason := not_a_number(trial, since)):
            return reason
        if not (is_milestone(len(trial.steps)) and isfinite(trial.mean)):
            return ""
        if (best := _best(rivals(trial, others))) is None:
            return ""
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


def _best(completed: Sequence[Curve]) -> Curve | None:
    finite = [c for c in completed if isfinite(c.mean)]
    return min(finite, key=lambda c: c.mean, default=None)
