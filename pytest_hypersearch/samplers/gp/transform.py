"""Scores as the Gaussian process sees them: bad tail cut, warped, standardised.

Real losses are skewed: a few terrible values would set the scale and drown the differences among
the good ones. The tail of bad scores is cut at five median absolute deviations above the median;
the warp is the power transform of Yeo & Johnson (Biometrika 2000), whose exponent is fitted
together with the kernel, by the evidence of the untransformed scores (Snelson et al. 2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pytest_hypersearch.samplers.gp.encode import Array


CUT: Final = 5.0
_FARTHEST: Final = 1e50  # spreads from the centre, whose warped squares do not overflow
_LOGARITHMIC: Final = 1e-8  # smaller exponents do not differ


@dataclass(frozen=True, slots=True)
class Scale:
    """Location and scale of the finite scores, by which they are brought to order one.

    Attributes:
        centre: Their median.
        spread: Their median absolute deviation, or the next best measure that is not zero.
        ceiling: What worse scores are cut to, in spreads from the centre.
    """

    centre: float
    spread: float
    ceiling: float = CUT

    def apply(self, scores: Array) -> Array:
        """Return scores in spreads from the centre, cut at the ceiling."""
        with np.errstate(over="ignore"):
            t = (scores - self.centre) / self.spread
        return np.minimum(np.maximum(t, -_FARTHEST), min(self.ceiling, _FARTHEST))


def scale_of(scores: Array, ceiling: float = CUT) -> Scale | None:
    """Return the scale of finite scores, None if they are all alike."""
    centre = _median(scores)
    with np.errstate(over="ignore"):
        away = np.abs(scores - centre)
        finite = away[np.isfinite(away)]
        spread = _median(finite)
        if not spread > 0:
            positive = finite[finite > 0]
            spread = _median(positive) if len(positive) else 0.0
    return Scale(centre, spread, ceiling) if spread > 0 and np.isfinite(spread) else None


def _median(numbers: Array) -> float:
    """Return the median, of few numbers much sooner than numpy's."""
    ordered, middle = np.sort(numbers), len(numbers) // 2
    return float(0.5 * ordered[~middle] + 0.5 * ordered[middle])


def warp(t: Array, exponents: Array) -> Array:
    """Return Yeo and Johnson's power transform (k, n) of numbers (n,) of order one.

    Args:
        t: The numbers.
        exponents: Exponents of the transform (k,).
    """
    # ((1 + t) ** exponent - 1) / exponent from log(1 + t), also for exponent 0
    power = np.where(t >= 0, exponents[:, None], 2.0 - exponents[:, None])
    power = np.where(np.abs(power) < _LOGARITHMIC, _LOGARITHMIC, power)
    warped: Array = np.copysign(np.expm1(power * np.log1p(np.abs(t))) / power, t)
    return warped


def warp_slope(t: Array, exponents: Array) -> Array:
    """Return the sums (k,) of the logarithms of the transform's derivatives at t (n,)."""
    return (exponents - 1.0) * float(np.sign(t) @ np.log1p(np.abs(t)))
