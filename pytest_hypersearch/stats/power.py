"""How many seeds a gate needs: power of the paired t-test, and the looks that share its error."""

from __future__ import annotations

import math
from functools import cache

from pytest_hypersearch.core.goals import ALPHA

POWER = 0.8
_MOST_SEEDS = 1_000_000


def power(seeds: int, delta: float, alpha: float = ALPHA) -> float:
    """Compute the chance to find a loss, exactly, by the noncentral t distribution.

    Args:
        seeds: Number of seeds, at least 2.
        delta: The loss in standard deviations of the seeds' differences.
        alpha: Error of the one-sided test.
    """
    from scipy.special import nctdtr, stdtrit

    quantile = stdtrit(seeds - 1, 1 - alpha)
    return 1 - float(nctdtr(seeds - 1, delta * math.sqrt(seeds), quantile))


def seeds_needed(delta: float, *, chance: float = POWER, alpha: float = ALPHA) -> int | None:
    """Compute how many seeds find a loss of ``delta`` standard deviations of seeds' differences.

    None if they are more than a million.

    Args:
        delta: The loss, above 0.
        chance: The power that is asked for.
        alpha: Error of the one-sided test.
    """
    high = 2
    while power(high, delta, alpha) < chance:
        high *= 2
        if high > _MOST_SEEDS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, delta, alpha) >= chance else (middle, high)
    return high


def smallest_loss(seeds: int, *, chance: float = POWER, alpha: float = ALPHA) -> float:
    """Compute the smallest loss that so many seeds find, in standard deviations; see `power`."""
    low, high = 0.0, 100.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if power(seeds, middle, alpha) >= chance else (middle, high)
    return high


def looks(at_least: int, at_most: int) -> list[int]:
    """Plan after how many seeds to judge: each time half as many again, the last time after all."""
    plan = [at_least]
    while (following := -(-3 * plan[-1] // 2)) < 0.8 * at_most:
        plan.append(following)
    return [*plan, at_most] if at_most > plan[-1] else plan


@cache
def look_level(plan: tuple[int, ...], alpha: float = ALPHA) -> float:
    """Compute the level of an alarm at each of several looks, by which all together have ``alpha``.

    The same level at each look is a bound of S. J. Pocock's (Group sequential methods in the design
    and analysis of clinical trials, Biometrika 64, 1977). It is the quantile of the smallest
    p-value over the looks, by simulation with a fixed seed: normal approximations are too high for
    few seeds. Its relative error is 2%.
    """
    import numpy as np
    from scipy.special import stdtr

    drawn = np.random.RandomState(0).standard_normal((50_000, plan[-1]))
    lowest = np.ones(len(drawn))
    for n in plan:
        some = drawn[:, :n]
        t = some.mean(axis=1) * math.sqrt(n) / some.std(axis=1, ddof=1)
        lowest = np.minimum(lowest, stdtr(n - 1, -t))
    return float(np.quantile(lowest, alpha))
