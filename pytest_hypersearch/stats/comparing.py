"""How sure it is that a configuration is worse than the best, from a few replicates.

All configurations of a replicate run under the same seed, so they are compared in pairs: by the
mean of the differences to the best, over its standard error (paired t-test). Two or three
differences say little about their own spread, so it is taken from all configurations together, or
from the configuration's own differences where these spread wider. With diverging seeds and uneven
noise the larger of the two is the one that keeps its promise; `benchmarks/racing.py` measures it.

Differences that spread no wider than floating point rounds are all the same. Rounded scores, such
as an accuracy over 50 samples, come out so by chance as well: then the sign test says how sure it
is.

Symbols; lower scores are better:
    Y        (m, n)  scores of m configurations over n replicates
    D        (m, n)  differences to the best configuration
    E        (m, n)  residuals: scores without the means of configurations and of replicates
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from pytest_hypersearch.stats.blocks import EPSILON, rounded

Array: TypeAlias = NDArray[np.float64]

ALPHA = 0.05
_ROOM = 3
_UNSEEN = 3
_TAIL = 3
_Name = TypeVar("_Name")


def indistinct(scores: Mapping[_Name, Mapping[int, float]], best: _Name) -> list[_Name]:
    """Finds the configurations that are not significantly worse than the best.

    Each is compared by two tests: with the spread of all, and with its own alone, which is more
    sensitive where scores differ by orders of magnitude. The best is chosen among m by the same
    scores, so each of these 2 (m - 1) tests gets an equal part of `ALPHA`. A configuration that is
    truly the best is then found worse with a probability of at most `ALPHA` (subset selection: S.
    S. Gupta, On some multiple decision (selection and ranking) rules, Technometrics 7, 1965).

    Args:
        scores: Scores of each configuration by replicate, lower is better.
        best: The configuration to compare with.

    Returns:
        Those whose common replicates with the best, two or more, do not show them to be worse, in
        the order given; without the best.
    """
    common = {name: scores[best].keys() & mine.keys() for name, mine in scores.items()}
    chances_by: dict[_Name, float] = {}
    for replicates in {frozenset(shared) for shared in common.values() if len(shared) > 1}:
        names = [name for name, shared in common.items() if shared >= replicates]
        table = [[scores[name][each] for each in sorted(replicates)] for name in names]
        chances = _least_of(table, names.index(best))
        chances_by |= {
            name: chance
            for name, chance in zip(names, chances, strict=True)
            if common[name] == replicates
        }
    least = ALPHA / 2 / max(1, len(scores) - 1)
    return [name for name in scores if name != best and chances_by.get(name, 0.0) > least]


def _least_of(scores: Sequence[Sequence[float]], best: int) -> list[float]:
    """The lower p-value of both tests, a row each."""
    if len(scores) == 1:
        return [1.0]
    Y = np.asarray(scores, dtype=float)  # noqa: N806 - a matrix
    D = Y - Y[best]  # noqa: N806 - likewise
    lag, error = D.mean(axis=1), D.std(axis=1, ddof=1) / math.sqrt(D.shape[1])
    least = _rounding(Y, Y[best]).max(axis=1)
    t = np.divide(lag, error, out=np.zeros_like(lag), where=error > least)
    plain = stdtr(D.shape[1] - 1, -t)
    return [min(*both) for both in zip(chances_of(scores, best), map(float, plain), strict=True)]


def chances_of(
    scores: Sequence[Sequence[float]], best: int, *, planned: int | None = None
) -> list[float]:
    """Computes each configuration's chance of being no worse than the best.

    With ``planned``, worse means a worse mean over all planned replicates. As n of them are known,
    the mean of the differences is then off by a variance of (1/n - 1/planned) of a single one's
    instead of 1/n (prediction of a finite sample's mean; W. G. Cochran, Sampling Techniques, 1977,
    section 2.6); and a single trial may still go astray, see `_shock`. Otherwise it means a worse
    expected score.

    Args:
        scores: Y, with at least two rows and columns.
        best: The row with the lowest mean.
        planned: Number of replicates in the end, more than there are columns.

    Returns:
        One-sided p-values, one a row, not corrected for their number; 1 for the best.
    """
    Y = np.asarray(scores, dtype=float)  # noqa: N806 - a matrix
    Y = Y / (np.abs(Y).max() or 1.0)  # noqa: N806 - squares must not overflow
    capped = np.minimum(Y, _caps(Y))
    D = capped - Y[best]  # noqa: N806 - a matrix
    E = capped - capped.mean(axis=1, keepdims=True) - capped.mean(axis=0) + capped.mean()  # noqa: N806 - likewise
    m, n = Y.shape
    freedom = (m - 1) * (n - 1)
    own = np.minimum(D.var(axis=1, ddof=1), (Y - Y[best]).var(axis=1, ddof=1))  # caps vary, too
    variance = np.maximum(own, 2 * (E**2).sum() / freedom)
    lag, error = D.mean(axis=1), np.sqrt(variance * (1 / n - (1 / planned if planned else 0.0)))
    least = _rounding(capped, capped[best]).max(axis=1)
    if (error <= least).all():
        varies = (np.ptp(Y, axis=1) > least).any()
        chance = 2.0**-n if varies and rounded(capped) else 0.0
        return [chance if behind else 1.0 for behind in lag > least]
    t = np.divide(lag, error, out=np.where(lag > 0, np.inf, 0.0), where=error > least)
    chances = stdtr(freedom, -t)
    if planned:
        chances = chances + (planned - n) * _shock(E, planned * lag)
    chances[best] = 1.0
    return [min(1.0, float(one)) for one in chances]


def _rounding(first: Array, second: Array) -> Array:
    """What rounding may make of the differences of two scores each."""
    least: Array = EPSILON * np.maximum(np.abs(first), np.abs(second))
    return least


def _caps(Y: Array) -> Array:  # noqa: N803 - a matrix
    """A bound (n,) for each replicate's scores, far above the median beside the lowest's distance.

    Scores that are off by orders of magnitude would hide how the others vary. A bound makes bad
    configurations look better, so none of them is found worse for it.
    """
    median, lowest = np.median(Y, axis=0), Y.min(axis=0)
    apart = median - lowest > _rounding(median, lowest)
    caps: Array = np.where(apart, median + _ROOM * (median - lowest), np.inf)
    return caps


def _shock(E: Array, x: Array) -> Array:  # noqa: N803 - a matrix
    """Chances that a single score to come is off by at least ``x`` (m,).

    The share of the scores seen so far that are off that much, counting `_UNSEEN` more than there
    are: outliers are rare, and few scores show none. Beyond the farthest seen, chances fall as
    those of Student's t distribution with `_TAIL` degrees of freedom.
    """
    m, n = E.shape
    sizes = np.sort(np.abs(E).ravel()) * math.sqrt(E.size / ((m - 1) * (n - 1)))
    seen = E.size - np.searchsorted(sizes, x)
    farthest = np.maximum(x, sizes[-1])
    beyond = np.divide(sizes[-1], farthest, out=np.ones_like(x), where=farthest > 0)
    chances: Array = (seen + _UNSEEN * beyond**_TAIL) / E.size
    return chances
