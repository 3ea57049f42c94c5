"""How sure it is that a configuration is worse than the best, from a few replicates.

All configurations of a replicate run under the same seed, so they are compared in pairs: by the
mean of the differences to the best, over its standard error (paired t-test). Two or three
differences say little about their own spread, so each variance is shrunk towards what the other
configurations show, as far as these agree (moderated t: G. K. Smyth, Linear models and empirical
Bayes methods for assessing differential expression, Stat. Appl. Genet. Mol. Biol. 3, 2004).

Symbols; lower scores are better:
    Y        (m, n)  scores of m configurations over n replicates
    D        (m, n)  differences to the best configuration
    v        (m,)    variances of the scores, with the replicates' own effects taken out
    d0, s0           degrees of freedom and variance that the configurations share (prior)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from scipy.special import digamma, polygamma, stdtr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

ALPHA = 0.05
_LEAST = 1e-5
_ROOM = 3
_Name = TypeVar("_Name")


def indistinct(scores: Mapping[_Name, Mapping[int, float]], best: _Name) -> list[_Name]:
    """Finds the configurations that are not significantly worse than the best.

    Each is compared by the moderated test and by the plain one, which knows better where scores
    differ by orders of magnitude. The best is chosen among m by the same scores, so each of these
    2 (m - 1) tests has to pass at an equal part of `ALPHA`. A configuration that is truly the best
    is found worse with a probability of at most `ALPHA` (subset selection: S. S. Gupta, On some
    multiple decision (selection and ranking) rules, Technometrics 7, 1965).

    Args:
        scores: Scores of each configuration by replicate, lower is better.
        best: The configuration to compare with.

    Returns:
        Those whose common replicates with the best, two or more, do not show them to be worse, in
        the order given; without the best.
    """
    common = {name: scores[best].keys() & mine.keys() for name, mine in scores.items()}
    found: dict[_Name, float] = {}
    for replicates in {frozenset(shared) for shared in common.values() if len(shared) > 1}:
        names = [name for name, shared in common.items() if shared >= replicates]
        table = [[scores[name][each] for each in sorted(replicates)] for name in names]
        chances = _least_of(table, names.index(best))
        found |= {
            name: chance
            for name, chance in zip(names, chances, strict=True)
            if common[name] == replicates
        }
    least = ALPHA / 2 / max(1, len(scores) - 1)
    return [name for name in scores if name != best and found.get(name, 0.0) > least]


def _least_of(scores: Sequence[Sequence[float]], best: int) -> list[float]:
    """The lower p-value of the moderated and the plain test, a row each."""
    if len(scores) == 1:
        return [1.0]
    D = np.asarray(scores) - np.asarray(scores[best])  # noqa: N806 - a matrix
    lag, error = D.mean(axis=1), D.std(axis=1, ddof=1) / math.sqrt(D.shape[1])
    t = np.divide(lag, error, out=np.zeros_like(lag), where=error > 0)
    plain = stdtr(D.shape[1] - 1, -t)
    return [min(*both) for both in zip(chances_of(scores, best), map(float, plain), strict=True)]


def chances_of(
    scores: Sequence[Sequence[float]], best: int, *, planned: int | None = None
) -> list[float]:
    """Computes each configuration's chance of being no worse than the best.

    With ``planned``, worse means a worse mean over all planned replicates. As n of them are known,
    the mean of the differences is then off by a variance of (1/n - 1/planned) of a single one's
    instead of 1/n (prediction of a finite sample's mean; W. G. Cochran, Sampling Techniques, 1977,
    section 2.6). Otherwise it means a worse expected score.

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
    variance, freedom = _moderated(D.var(axis=1, ddof=1), _variances(capped), Y.shape[1] - 1)
    share = 1 / Y.shape[1] - (1 / planned if planned else 0.0)
    lag, error = D.mean(axis=1), np.sqrt(variance * share)
    if not error.any():
        surely = not np.ptp(Y, axis=1).any()  # else they vary alike by chance: rounded scores
        return [0.0 if surely and one > 0 else 1.0 for one in lag]
    chances = stdtr(freedom, -lag / error)
    chances[best] = 1.0
    return [float(one) for one in chances]


def _caps(Y: Array) -> Array:  # noqa: N803 - a matrix
    """A bound (n,) for each replicate's scores, far above the median beside the lowest's distance.

    Scores that are off by orders of magnitude would hide how the others vary. A bound makes bad
    configurations look better, so none of them is found worse for it.
    """
    median, lowest = np.median(Y, axis=0), Y.min(axis=0)
    caps: Array = np.where(median > lowest, median + _ROOM * (median - lowest), np.inf)
    return caps


def _variances(Y: Array) -> Array:  # noqa: N803 - a matrix
    """The variances v of what is left of the scores without configurations' and replicates' means.

    Scaled so that equal variances of independent scores are met on average.
    """
    m, n = Y.shape
    rest = Y - Y.mean(axis=1, keepdims=True) - Y.mean(axis=0) + Y.mean()
    v: Array = (rest**2).sum(axis=1) * m / ((m - 1) * (n - 1))
    return v


def _moderated(own: Array, v: Array, freedom: int) -> tuple[Array, float]:
    """Variances (m,) of the differences, moderated by the ensemble, and their degrees of freedom.

    Args:
        own: Each configuration's variance of its differences.
        v: The variances of the configurations.
        freedom: Degrees of freedom of each.
    """
    d0, s0 = _prior(v, freedom)
    pooled = float((len(v) - 1) * freedom)
    if math.isinf(d0):
        return np.full(len(v), 2 * s0), pooled
    return (d0 * 2 * s0 + freedom * own) / (d0 + freedom), min(d0 + freedom, pooled)


def _prior(v: Array, freedom: int) -> tuple[float, float]:
    """Fits d0 and s0 to the moments of log v (Smyth 2004, section 6.2); infinite d0: all agree."""
    middle = float(np.median(v))
    if middle == 0.0:
        return math.inf, float(v.mean())
    z = np.log(np.maximum(v, _LEAST * middle)) - digamma(freedom / 2) + math.log(freedom / 2)
    excess = float(z.var(ddof=1) - polygamma(1, freedom / 2))
    if excess <= 0:
        return math.inf, float(v.mean())
    half = _inverse_trigamma(excess)
    s0 = math.exp(float(z.mean() + digamma(half)) - math.log(half))
    return 2 * half, max(s0, _LEAST * middle)


def _inverse_trigamma(y: float) -> float:
    """Solves polygamma(1, x) = y by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1 / y
    for _ in range(20):
        value = float(polygamma(1, x))
        x += value * (1 - value / y) / float(polygamma(2, x))
    return x
