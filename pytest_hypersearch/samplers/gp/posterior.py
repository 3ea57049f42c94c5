"""The Gaussian process given its hyperparameters: what it expects, where, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri

from pytest_hypersearch.samplers.gp.fit import NOISE_FLOOR
from pytest_hypersearch.samplers.gp.kernel import matern, squared_distances

if TYPE_CHECKING:
    from pytest_hypersearch.samplers.gp.encode import Array
    from pytest_hypersearch.samplers.gp.fit import Hyper
    from pytest_hypersearch.samplers.gp.kernel import Expansion

_JITTERS: Final = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True, slots=True)
class Factor:
    """The inverse Cholesky factor of the training points' covariance, grown row by row.

    Attributes:
        hyper: Hyperparameters.
        expansion: From rows to the columns on which the kernel is defined.
        weights: Square root of the inverse squared length scale of each column (P,).
        points: Scaled expanded training points (n, P).
        inverse: Inverse of the lower Cholesky factor (n, n).
    """

    hyper: Hyper
    expansion: Expansion
    weights: Array
    points: Array
    inverse: Array

    def scaled(self, rows: Array) -> Array:
        """Return rows (m, D) as scaled expanded points (m, P)."""
        return self.expansion(rows) * self.weights

    def covariance(self, points: Array) -> tuple[Array, Array]:
        """Return the covariance (m, n) with the training points and its slope by r^2."""
        value, slope = matern(squared_distances(points, self.points))
        return self.hyper.signal * value, self.hyper.signal * slope

    def appended(self, row: Array, count: float) -> Factor:
        """Return the factor with one more training point (D,), of so many scores."""
        point = self.scaled(row[None, :])
        cross = self.inverse @ self.covariance(point)[0][0]
        noise = self.hyper.noise / count + NOISE_FLOOR
        pivot = max(self.hyper.signal + noise - float(cross @ cross), noise)
        n = len(self.points)
        inverse = np.zeros((n + 1, n + 1))
        inverse[:n, :n] = self.inverse
        inverse[n, :n] = (cross @ self.inverse) / -np.sqrt(pivot)
        inverse[n, n] = 1.0 / np.sqrt(pivot)
        points = np.vstack([self.points, point])
        return Factor(self.hyper, self.expansion, self.weights, points, inverse)


def factor_of(hyper: Hyper, expansion: Expansion, rows: Array, counts: Array) -> Factor | None:
    """Return the factor for training rows (n, D), None if their covariance cannot be inverted."""
    weights = np.sqrt(hyper.inverse[expansion.owner])
    points = expansion(rows) * weights
    covariance = hyper.signal * matern(squared_distances(points, points))[0]
    diagonal = hyper.signal + hyper.noise / counts + NOISE_FLOOR
    for jitter in _JITTERS:
        covariance.flat[:: len(rows) + 1] = diagonal + jitter
        lower, failed = dpotrf(covariance, lower=1)
        if not failed:
            inverse, _ = dtrtri(lower, lower=1, overwrite_c=1)
            return Factor(hyper, expansion, weights, points, np.ascontiguousarray(inverse))
    return None


@dataclass(frozen=True, slots=True)
class Posterior:
    """A factor together with the training points' standardised scores.

    Attributes:
        factor: The factor.
        alpha: Covariance's inverse times scores (n,).
    """

    factor: Factor
    alpha: Array

    def mean(self, points: Array) -> Array:
        """Return the expected standardised scores (m,) of scaled points (m, P)."""
        return self.factor.covariance(points)[0] @ self.alpha

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation (m,) of the noiseless score at scaled points."""
        covariance, _ = self.factor.covariance(points)
        projected = covariance @ self.factor.inverse.T
        variance = self.factor.hyper.signal - np.einsum("ij,ij->i", projected, projected)
        return covariance @ self.alpha, np.sqrt(np.maximum(variance, 1e-12))

    def predict_slopes(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """Return mean and deviation (m,) with their gradients (m, P) by the scaled points."""
        covariance, slope = self.factor.covariance(points)
        projected = covariance @ self.factor.inverse.T
        variance = self.factor.hyper.signal - np.einsum("ij,ij->i", projected, projected)
        deviation = np.sqrt(np.maximum(variance, 1e-12))
        mean_slope = _pull(slope * self.alpha, points, self.factor.points)
        back = slope * (projected @ self.factor.inverse)
        deviation_slope = _pull(back, points, self.factor.points) / -deviation[:, None]
        return covariance @ self.alpha, deviation, mean_slope, deviation_slope


def posterior_of(factor: Factor, z: Array) -> Posterior:
    """Return the posterior given standardised scores z (n,)."""
    return Posterior(factor, (factor.inverse @ z) @ factor.inverse)


def _pull(weights: Array, points: Array, training: Array) -> Array:
    """Return the gradient (m, P) of sum_i w_i r_i^2 by the points, the slopes w (m, n) given."""
    gradient: Array = weights.sum(axis=1)[:, None] * points - weights @ training
    return 2.0 * gradient
