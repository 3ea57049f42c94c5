"""The rules of ``pick=``: what makes a configuration with several replicates the best."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from pytest_hypersearch.statistics.moments import mean, std

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_hypersearch.trial import Raw

STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": mean,
    "median": median,
    "max": max,
    "min": min,
}
ONE_SE = "one-se"


class Candidate(NamedTuple):
    """What decides between configurations; of all fields lower is better.

    Attributes:
        excess: By how much it breaks constraints.
        partial: Whether replicates miss.
        values: What its scores, and those of further metrics, come to.
        error: Standard error of the mean score, 0 for a single one.
        simplicity: Which of those within one standard error of the best is picked.
    """

    excess: float
    partial: bool
    values: tuple[float, ...]
    error: float = 0.0
    simplicity: tuple[float, int] = (0.0, 0)


def by_mean(pick: str) -> bool:
    """Tells whether a rule compares means."""
    return pick == "mean" or pick.startswith(ONE_SE)


def value_of(pick: str, scores: Sequence[float]) -> float:
    """Computes what a rule compares: mean, median, largest or smallest score."""
    return STATISTICS.get(pick, mean)(scores)


def error_of(scores: Sequence[float]) -> float:
    """Computes the standard error of the mean, 0 for a single score."""
    return (std(scores) or 0.0) / math.sqrt(len(scores))


def simplest_of(pick: str) -> str:
    """Returns the parameter or metric whose lowest value is the simplest; often there is none."""
    return pick.partition(":")[2]


def simplicity(
    pick: str, number: int, params: Mapping[str, Raw], metrics: Sequence[Mapping[str, float]]
) -> tuple[float, int]:
    """Returns how simple a configuration is to a rule, simpler ones lower.

    Args:
        pick: The rule.
        number: The configuration's number: in a grid, those with values listed first come first.
        params: Its parameters.
        metrics: The metrics of its complete trials.
    """
    name = simplest_of(pick)
    value = params.get(name)
    if isinstance(value, (int, float)):
        return float(value), number
    known = [each[name] for each in metrics if name in each]
    return mean(known) if known else math.inf if name else 0.0, number


def picked(pick: str, candidates: Sequence[Candidate]) -> int:
    """Finds the best of one or more configurations.

    The rule ``one-se`` takes the simplest one whose mean is within one standard error of the lowest
    mean (L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3).

    Returns:
        Its place, the first of equals.
    """
    best = min(candidates, key=lambda one: one[:3])
    if not pick.startswith(ONE_SE):
        return candidates.index(best)
    limit = best.values[0] + best.error
    near = [one for one in candidates if one[:2] == best[:2] and one.values[0] <= limit]
    return candidates.index(min(near, key=lambda one: one.simplicity))
