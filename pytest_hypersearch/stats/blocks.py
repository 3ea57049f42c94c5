"""Several values compared in blocks: mean ranks, Friedman's test, and pairwise tests by Holm.

A block is what the values have in common: the problem, the seed, and the other parameters. Blocks
of a seed share its luck, and those of a problem its nature, so a test takes one observation of each
*unit*, which is a seed or a problem: the median over its blocks, which a configuration that
diverges cannot dominate. Differences of seeds are judged by paired t-tests, as in a gate. Those of
problems, whose scores have different scales, by Wilcoxon's signed-rank tests (J. Demšar,
Statistical comparisons of classifiers over multiple data sets, JMLR 7, 2006), all pairs with Holm's
procedure (S. García, F. Herrera, An extension on "Statistical comparisons of classifiers over
multiple data sets" for all pairwise comparisons, JMLR 9, 2008) rather than by mean ranks, which
depend on the other values (A. Benavoli et al., Should we really use post-hoc tests based on
mean-ranks?, JMLR 17, 2016).

Symbols; lower scores are better:
    Y        (b, k)  scores of k values in the b blocks of a unit
    R        (u, k)  ranks of k values in u units, from 1, the mean over the unit's blocks
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.stats.gate import EQUAL, LEAST_SEEDS, adjusted

Array: TypeAlias = NDArray[np.float64]
Unit: TypeAlias = Literal["problem", "search", "seed"]
_DRAWS = 1999
_MOST = 2_000_000
_COARSE = 100
_CHANCE = 1e-4
EPSILON = 1e-13
"""Rounding of a score beside its magnitude, as after sums in another order."""


@frozen
class PairTest:
    """Two values compared.

    Attributes:
        first: Index of the one.
        second: Index of the other.
        loss: By how much the first is worse: the mean over seeds or searches, the median over
            problems; negative if it is better.
        low: Lower end of the loss' 95% confidence interval, None without one.
        high: Its upper end.
        p: Two-sided p-value, None if there are too few units for a test.
        adjusted: The same after Holm's procedure over all pairs.
    """

    first: int
    second: int
    loss: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    adjusted: float | None = None


def ranks_of(units: Sequence[Array]) -> Array:
    """Return R: in each unit, the mean over its blocks of the values' ranks; ties share theirs."""
    return np.array([_ranks(Y).mean(axis=0) for Y in units])


def _ranks(Y: Array) -> Array:  # noqa: N803 - a matrix
    lower = (Y[:, None, :] < Y[:, :, None]).sum(axis=2)
    equal = (Y[:, None, :] == Y[:, :, None]).sum(axis=2)
    ranks: Array = lower + (equal + 1) / 2
    return ranks


def friedman(R: Array) -> float:  # noqa: N803 - a matrix
    """Compute the p-value of Friedman's test, that all values rank alike.

    By random permutations of each unit's ranks with a fixed seed, since the distributions that it
    is approximated by are too narrow for few units (M. Friedman, The use of ranks to avoid the
    assumption of normality implicit in the analysis of variance, JASA 32, 1937).

    Args:
        R: Ranks, at least one unit and two values.
    """
    statistic = float((R.mean(axis=0) ** 2).sum())
    random = np.random.default_rng(0)
    chunk = max(1, _MOST // R.size)
    reached = 0
    for start in range(0, _DRAWS, chunk):
        count = min(chunk, _DRAWS - start)
        drawn = random.permuted(np.broadcast_to(R, (count, *R.shape)), axis=2)
        values = (drawn.mean(axis=1) ** 2).sum(axis=1)
        reached += int((values >= statistic * (1 - EQUAL)).sum())
    return (1 + reached) / (1 + _DRAWS)


def pairwise(units: Sequence[Array], unit: Unit) -> list[PairTest]:
    """Test each pair of values; p-values are adjusted by Holm's procedure.

    Args:
        units: Scores Y of each unit, at least one.
        unit: What the units are.
    """
    test = _signed_ranks if unit == "problem" else _t_test
    pairs = [
        test(first, second, [Y[:, [first, second]] for Y in units])
        for first, second in combinations(range(units[0].shape[1]), 2)
    ]
    known = [place for place, pair in enumerate(pairs) if pair.p is not None]
    for place, p in zip(known, adjusted([pairs[each].p or 0.0 for each in known]), strict=True):
        pairs[place] = replace(pairs[place], adjusted=p)
    return pairs


def _differences(units: Sequence[Array]) -> Array:
    return np.array([np.median(Y[:, 0] - Y[:, 1]) for Y in units])


def _t_test(first: int, second: int, units: Sequence[Array]) -> PairTest:
    d = _differences(units)
    n, centre = len(d), float(d.mean())
    pair = PairTest(first, second, centre)
    if n < LEAST_SEEDS:
        return pair
    error = float(d.std(ddof=1)) / math.sqrt(n)
    medians = np.array([np.median(Y, axis=0) for Y in units])
    scale = float(np.abs(medians).max())
    if error <= EQUAL * scale:
        # rounded scores may differ by the same on a few seeds by chance: the sign test
        chance = np.ptp(medians, axis=0).max() > EQUAL * scale and rounded(medians.T)
        p = 1.0 if abs(centre) <= EQUAL * scale else 2.0 ** (1 - n) if chance else 0.0
        return replace(pair, low=centre, high=centre, p=p)
    from scipy.special import stdtr, stdtrit

    half = error * float(stdtrit(n - 1, 0.975))
    p = 2 * float(stdtr(n - 1, -abs(centre) / error))
    return replace(pair, low=centre - half, high=centre + half, p=p)


def rounded(scores: Array) -> bool:
    """Tell whether scores are in steps so coarse that equal differences may be chance.

    Counts and rounded numbers are: all scores are whole steps apart, and those of a configuration
    spread over `_COARSE` steps or fewer. The fewer digits rounding errors leave, the fewer steps
    can be told from the chance that other scores are whole steps apart, which is `_CHANCE` at most.

    Args:
        scores: Scores (m, n) of m configurations over n seeds.
    """
    offsets = np.unique(scores) - scores.min()
    spread = float(np.ptp(scores, axis=1).max())
    error = EPSILON * float(np.abs(scores).max())
    if spread <= error:
        return True
    errors = error * (1 + offsets / spread)
    most = min(_COARSE, math.sqrt(_CHANCE * spread / errors[-1]))
    steps = spread / np.arange(1, int(most) + 1)[:, None]
    distances = np.abs(offsets - steps * np.round(offsets / steps))
    return bool((distances <= errors).all(axis=1).any())


def _signed_ranks(first: int, second: int, units: Sequence[Array]) -> PairTest:
    from scipy.stats import wilcoxon

    d = _differences(units)
    p = float(wilcoxon(d).pvalue) if d.any() else 1.0
    return PairTest(first, second, float(np.median(d)), p=p)
