"""Hyperparameters by the maximum of their posterior, with analytic gradients.

Notation: theta = (log q (D,), log s, log v, exponent): inverse squared length scales, signal and
noise variance of the standardised warped scores z (n,), and the warp's exponent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs
from scipy.optimize import minimize

from pytest_hypersearch.samplers.gp.kernel import matern, squared_differences
from pytest_hypersearch.samplers.gp.transform import warp, warp_slope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_hypersearch.samplers.gp.encode import Array

NOISE_FLOOR: Final = 1e-6
_LENGTH: Final = 0.5
_LENGTH_SIGMA: Final = 1.0
_EXPONENT_SIGMA: Final = 0.7
_TINY: Final = 1e-4
_FLAT: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Data:
    """What the model is fitted to.

    Attributes:
        rows: The configurations (n, D).
        scores: Means (n,) of their scores in spreads from the centre, cut.
        counts: How many scores each mean is of (n,).
        judged: Which of them (n,) decide the warp: failures, whose scores are made up, don't.
        within: Sum of squares of single scores around their configuration's mean.
        freedom: Its degrees of freedom.
    """

    rows: Array
    scores: Array
    counts: Array
    judged: NDArray[np.bool_]
    within: float = 0.0
    freedom: int = 0


@dataclass(frozen=True, slots=True)
class Hyper:
    """Fitted hyperparameters.

    Attributes:
        inverse: Inverse squared length scales (D,).
        signal: Signal variance.
        noise: Noise variance of a single score.
        exponent: The warp's exponent, 1 for none.
    """

    inverse: Array
    signal: float
    noise: float
    exponent: float


def default_theta(features: int) -> Array:
    """Return theta where the search for the best begins."""
    length = _LENGTH * max(1.0, features / 8) ** 0.5
    return np.array([*[-2.0 * np.log(length)] * features, 0.0, np.log(1e-3), 1.0])


def standardised(data: Data, exponent: float) -> tuple[Array, float, float]:
    """Return the warped scores z (n,) with the mean and deviation that standardised them."""
    warped = warp(data.scores, exponent)
    mean, deviation = float(warped.mean()), float(warped.std())
    if not deviation > _FLAT:
        deviation = 1.0
    return (warped - mean) / deviation, mean, deviation


def fit(data: Data, categorical: NDArray[np.bool_]) -> Hyper:
    """Return the hyperparameters of largest posterior density."""
    features = len(categorical)
    objective = Objective.of(data, categorical)
    start = default_theta(features)
    bounds = [*[(-7.0, 9.0)] * features, (-5.0, 5.0), (np.log(NOISE_FLOOR), 1.0), (-1.0, 3.0)]
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}
    )
    theta = found.x if np.isfinite(found.fun) else start
    signal, noise = np.exp(theta[features : features + 2]).tolist()
    return Hyper(np.exp(theta[:features]), signal, noise, float(theta[-1]))


@dataclass(slots=True)
class Objective:
    """Negative logarithm of the posterior density of theta, and its gradient.

    Attributes:
        data: What is fitted.
        gaps: Squared differences of its rows by feature (D, n * n).
        features: D.
    """

    data: Data
    gaps: Array
    features: int

    @classmethod
    def of(cls, data: Data, categorical: NDArray[np.bool_]) -> Objective:
        """Return the objective of a fit."""
        return cls(data, squared_differences(data.rows, categorical), len(categorical))

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Return value and gradient (D + 3,) at theta (D + 3,)."""
        d, n = self.features, len(self.data.scores)
        signal, noise, exponent = np.exp(theta[d]), np.exp(theta[d + 1]), theta[d + 2]
        r2 = (np.exp(theta[:d]) @ self.gaps).reshape(n, n)
        correlation, slope = matern(r2)
        diagonal = noise / self.data.counts + NOISE_FLOOR
        covariance = signal * correlation
        covariance.flat[:: n + 1] += diagonal
        lower, failed = dpotrf(covariance.T, lower=1, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(theta)
        z, slope_z, jacobian, slope_jacobian = self._warped(exponent)
        alpha, _ = dpotrs(lower, z, lower=1)
        value = 0.5 * float(z @ alpha) + float(np.log(np.diagonal(lower)).sum()) - jacobian
        inverse, _ = dpotri(lower, lower=1, overwrite_c=1)
        spread = np.diagonal(inverse) - alpha * alpha
        weight = 2.0 * inverse.T
        weight -= alpha[:, None] * alpha
        weight *= slope
        gradient = np.empty_like(theta)
        gradient[:d] = 0.5 * signal * np.exp(theta[:d]) * (self.gaps @ weight.ravel())
        gradient[d] = 0.5 * (n - float(z @ alpha) - float(spread @ diagonal))
        gradient[d + 1] = 0.5 * noise * float((spread / self.data.counts).sum())
        gradient[d + 2] = float(alpha @ slope_z) - slope_jacobian
        return self._with_priors(theta, value, gradient)

    def _warped(self, exponent: float) -> tuple[Array, Array, float, float]:
        """Return z, its derivative by the exponent, the log Jacobian and its derivative."""
        parts = []
        for e in (exponent, exponent - _TINY, exponent + _TINY):
            z, _, deviation = standardised(self.data, e)
            count = int(self.data.judged.sum())
            scores = self.data.scores[self.data.judged]
            parts.append((z, warp_slope(scores, e) - count * np.log(deviation)))
        (z, jacobian), (below, jacobian_below), (above, jacobian_above) = parts
        width = 2 * _TINY
        return z, (above - below) / width, jacobian, (jacobian_above - jacobian_below) / width

    def _with_priors(self, theta: Array, value: float, gradient: Array) -> tuple[float, Array]:
        """Add the priors' terms, and what replicates tell of the noise."""
        d = self.features
        centre = default_theta(d)
        precision = np.full(d + 3, 1.0 / (2.0 * _LENGTH_SIGMA) ** 2)
        precision[d:] = 0.0
        precision[d + 2] = 1.0 / _EXPONENT_SIGMA**2
        away = theta - centre
        value += 0.5 * float(precision @ (away * away))
        gradient += precision * away
        signal, noise = np.exp(theta[d]), np.exp(theta[d + 1])
        value += signal - theta[d] + 20.0 * noise - 0.1 * theta[d + 1]
        gradient[d] += signal - 1.0
        gradient[d + 1] += 20.0 * noise - 0.1
        if self.data.freedom:
            within = self.data.within / max(float(self.data.scores.var()), _FLAT)
            value += 0.5 * (self.data.freedom * theta[d + 1] + within / noise)
            gradient[d + 1] += 0.5 * (self.data.freedom - within / noise)
        return value, gradient
