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
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from pytest_hypersearch.search.gp.bfgs import descend
from pytest_hypersearch.search.gp.kernel import Hyper, distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_hypersearch.search.gp.encode import Array


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


NOISE_FLOOR: Final = 1e-6
_LENGTH: Final = 0.5  # median of the prior on length scales, up to 8 features
_LENGTH_SIGMA: Final = 1.0  # of its logarithm
_EXPONENT_SIGMA: Final = 0.4
_ADDITIVE_POWER: Final = 0.5
_NOISE_RATE: Final = 20.0
_NOISE_POWER: Final = 0.1
_FLAT: Final = 1e-12
_SMALL: Final = 1e-4
_ITERATIONS: Final = 40
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Data:
    """What the model is fitted to.

    Attributes:
        rows: The configurations (n, D).
        scores: Means (n,) of their scores in spreads from the centre, cut.
        counts: How many scores each mean is of (n,).
        judged: Which of them (n,) decide the warp: pruned ones, whose scores are made up, don't.
        within: Sum of squares of single scores around their configuration's mean.
        freedom: Its degrees of freedom.
    """

    rows: Array
    scores: Array
    counts: Array
    judged: NDArray[np.bool_]
    within: float = 0.0
    freedom: int = 0


def standardised(scores: Array, exponents: Array) -> tuple[Array, Array]:
    """Return warped scores z (k, n) by exponent (k,), and the deviations (k,) of what they were."""
    warped = warp(scores, exponents)
    warped -= np.add.reduce(warped, axis=1, keepdims=True) / len(scores)
    deviations = np.sqrt(np.add.reduce(warped * warped, axis=1) / len(scores))
    deviations = np.where(deviations > _FLAT, deviations, 1.0)
    return warped / deviations[:, None], deviations


def default_theta(features: int) -> Array:
    """Return theta where the search for the best begins."""
    length = _LENGTH * max(1.0, features / 8) ** 0.5
    return np.array([*[-2.0 * np.log(length)] * features, 0.0, np.log(0.5), np.log(1e-3), 1.0])


def fit(data: Data, categorical: NDArray[np.bool_]) -> Hyper:
    """Return the hyperparameters of largest posterior density."""
    features = len(categorical)
    objective = Objective.of(data, categorical)

    def batched(points: Array) -> tuple[Array, Array]:
        value, gradient = objective(points[0])
        return np.array([value]), gradient[None, :]

    limits = np.array(
        [
            *[(-7.0, 9.0)] * features,
            (-9.0, 5.0),
            (-9.0, 5.0),
            (np.log(NOISE_FLOOR), 1.0),
            (-1.0, 3.0),
        ]
    )
    found, _ = descend(
        batched,
        default_theta(features)[None, :],
        *limits.T,
        scale=np.ones(features + 4),
        longest=1.0,
        steps=_ITERATIONS,
        tolerance=_TOLERANCE,
    )
    theta = found[0]
    signal, additive, noise = np.exp(theta[features : features + 3]).tolist()
    return Hyper(np.exp(theta[:features]), signal, additive, noise, float(theta[-1]))


@dataclass(frozen=True, slots=True)
class Objective:
    """Negative logarithm of the posterior density of theta, and its gradient.

    Attributes:
        data: What is fitted.
        gaps: Distances by feature and pair (D, p).
        pairs: Where the pairs are in the covariance matrix, as a flat index (p,).
        scratch: Room for what is computed by feature, and jointly, and pair (3, D + 1, p).
    """

    data: Data
    gaps: Array
    pairs: NDArray[np.intp]
    scratch: Array

    @classmethod
    def of(cls, data: Data, categorical: NDArray[np.bool_]) -> Objective:
        """Return the objective of a fit."""
        n = len(data.rows)
        first, second = np.triu_indices(n, 1)
        gaps = distances(data.rows, categorical)
        return cls(data, gaps, first * n + second, np.empty((3, len(categorical) + 1, len(first))))

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Return value and gradient (D + 4,) at theta (D + 4,)."""
        d = len(self.gaps)
        signal, additive, noise = np.exp(theta[d : d + 3])
        value_of, bend, squares = self._matern(np.sqrt(5.0 * np.exp(theta[:d])))
        joint, alone = value_of[-1], np.add.reduce(value_of[:-1], axis=0) / d
        diagonal = noise / self.data.counts + NOISE_FLOOR
        lower, failed = self._cholesky(
            signal * joint + additive * alone, signal + additive + diagonal
        )
        if failed:
            return 1e10, np.zeros_like(theta)
        z, slope_z, jacobian, slope_jacobian = self._warped(theta[d + 3])
        alpha, _ = dpotrs(lower, z, lower=1)
        value = 0.5 * float(z @ alpha) + float(np.log(np.diagonal(lower)).sum()) - jacobian
        inverse, _ = dpotri(lower, lower=1, overwrite_c=1)
        spread = np.diagonal(inverse) - alpha * alpha
        # the lower triangle in Fortran's order is the upper one in C's, where the pairs are
        weight = inverse.T.ravel()[self.pairs] - np.outer(alpha, alpha).ravel()[self.pairs]
        trace = 0.5 * float(spread.sum())
        gradient = np.empty_like(theta)
        jointly = squares[:-1] @ (weight * bend[-1])
        bend *= squares
        gradient[:d] = (signal * jointly + additive / d * (bend[:-1] @ weight)) / -6.0
        gradient[d] = signal * (float(weight @ joint) + trace)
        gradient[d + 1] = additive * (float(weight @ alone) + trace)
        gradient[d + 2] = 0.5 * noise * float((spread / self.data.counts).sum())
        gradient[d + 3] = float(alpha @ slope_z) - slope_jacobian
        return self._with_priors(theta, value, gradient)

    def _matern(self, rates: Array) -> tuple[Array, Array, Array]:
        """Return correlations, -6 times their derivatives by R^2, and R^2 (D + 1, p) of pairs.

        These are by single features with rates (D,), and at last jointly.
        """
        value, bend, squares = self.scratch
        np.multiply(self.gaps, rates[:, None], out=squares[:-1])
        np.einsum("dp,dp->p", squares[:-1], squares[:-1], out=squares[-1])
        np.sqrt(squares[-1], out=squares[-1])
        np.exp(np.negative(squares, out=value), out=value)
        np.multiply(squares, value, out=bend)
        bend += value
        squares *= squares
        value *= squares
        value *= 1.0 / 3.0
        value += bend
        return value, bend, squares

    def _cholesky(self, pairs: Array, diagonal: Array) -> tuple[Array, int]:
        """Return the lower Cholesky factor (n, n) and whether there is none."""
        n = len(diagonal)
        covariance = np.zeros((n, n))
        covariance.ravel()[self.pairs] = pairs
        covariance.flat[:: n + 1] = diagonal
        lower, failed = dpotrf(covariance.T, lower=1, overwrite_a=1)
        return lower, failed

    def _warped(self, exponent: float) -> tuple[Array, Array, float, float]:
        """Return z, its derivative by the exponent, the log Jacobian and its derivative."""
        judged = self.data.scores[self.data.judged]
        exponents = exponent + np.array([0.0, -_SMALL, _SMALL])
        (z, below, above), deviations = standardised(self.data.scores, exponents)
        jacobians = warp_slope(judged, exponents) - len(judged) * np.log(deviations)
        jacobian, jacobian_below, jacobian_above = jacobians.tolist()
        width = 2.0 * _SMALL
        return z, (above - below) / width, jacobian, (jacobian_above - jacobian_below) / width

    def _with_priors(self, theta: Array, value: float, gradient: Array) -> tuple[float, Array]:
        """Add the priors' terms, and what replicates tell of the noise."""
        d = len(self.gaps)
        away = theta - default_theta(d)
        precision = np.zeros(d + 4)
        precision[:d] = 1.0 / (2.0 * _LENGTH_SIGMA) ** 2
        precision[d + 3] = 1.0 / _EXPONENT_SIGMA**2
        rates = np.array([1.0, 1.0, _NOISE_RATE])
        powers = np.array([1.0, _ADDITIVE_POWER, _NOISE_POWER])
        variances = np.exp(theta[d : d + 3])
        value += 0.5 * float(precision @ (away * away))
        value += float(rates @ variances - powers @ theta[d : d + 3])
        gradient += precision * away
        gradient[d : d + 3] += rates * variances - powers
        if self.data.freedom:
            within = self.data.within / max(float(self.data.scores.var()), _FLAT) / variances[2]
            value += 0.5 * (self.data.freedom * theta[d + 2] + within)
            gradient[d + 2] += 0.5 * (self.data.freedom - within)
        return value, gradient
