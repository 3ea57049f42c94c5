"""Statistics of a handful of scores and their confidence, without numpy."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

from pytest_hypersearch.core.values import mean, std

if TYPE_CHECKING:
    from collections.abc import Sequence


def t_quantile(freedom: int) -> float:
    """Returns the 97.5% quantile of Student's t distribution, to 0.2% or better.

    Exact for 1 and 2 degrees of freedom, otherwise the expansion of Abramowitz & Stegun,
    Handbook of Mathematical Functions (1964), 26.7.5.

    Args:
        freedom: Degrees of freedom, at least 1.
    """
    if freedom == 1:
        return math.tan(math.pi * 0.475)
    if freedom == 2:  # noqa: PLR2004 - closed form
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    z = 1.959963984540054
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))


def summary(values: Sequence[float]) -> dict[str, float | int | None]:
    """Returns n, mean, std, sem, low, high, median, min and max of some values.

    ``sem`` is the standard error of the mean, ``low`` to ``high`` its 95% confidence interval
    (Student's t); None stands for what cannot be told of so few values.
    """
    n, spread = len(values), std(values)
    centre = mean(values) if values else None
    sem = None if spread is None else spread / math.sqrt(n)
    half = None if sem is None else t_quantile(n - 1) * sem
    return {
        "n": n,
        "mean": centre,
        "std": spread,
        "sem": sem,
        "low": None if half is None or centre is None else centre - half,
        "high": None if half is None or centre is None else centre + half,
        "median": median(values) if values else None,
        "min": min(values, default=None),
        "max": max(values, default=None),
    }
