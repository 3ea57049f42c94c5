"""The Gaussian process given its hyperparameters: what it expects, where, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri

from pytest_hypersearch.search.gp.fit import NOISE_FLOOR

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from pytest_hypersearch.search.gp.encode import Array
    from pytest_hypersearch.search.gp.kernel import Kernel

    Slope: TypeAlias = Callable[[Array, Array], Array]

_JITTERS: Final = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_LEAST_VARIANCE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Factor:
    """The inverse Cholesky factor of the training points' covariance, grown row by row.

    Attributes:
        kernel: The covariance function.
        rows: Training points (n, D).
        noise: Their noise variances (n,).
        inverse: Inverse of the lower Cholesky factor (n, n).
    """

    kernel: Kernel
    rows: Array
    noise: Array
    inverse: Array

    def appended(self, row: Array, count: float) -> Factor:
        """Return the factor with one more training point (D,), of so many scores."""
        cross = self.inverse @ self.kernel.covariance(row[None, :], self.rows)[0]
        noise = self.kernel.hyper.noise / count + NOISE_FLOOR
        pivot = np.sqrt(max(self.kernel.variance + noise - float(cross @ cross), noise))
        n = len(self.rows)
        inverse = np.zeros((n + 1, n + 1))
        inverse[:n, :n] = self.inverse
        inverse[n, :n] = (cross @ self.inverse) / -pivot
        inverse[n, n] = 1.0 / pivot
        rows, noises = np.vstack([self.rows, row]), np.append(self.noise, noise)
        return Factor(self.kernel, rows, noises, inverse)


def factor_of(kernel: Kernel, rows: Array, counts: Array) -> Factor | None:
    """Return the factor for training rows (n, D), None if their covariance cannot be inverted."""
    covariance = kernel.covariance(rows, rows)
    for jitter in _JITTERS:
        noise = kernel.hyper.noise / counts + (NOISE_FLOOR + jitter)
        covariance.flat[:: len(rows) + 1] = kernel.variance + noise
        lower, failed = dpotrf(covariance, lower=1)
        if not failed:
            inverse, _ = dtrtri(lower, lower=1, overwrite_c=1)
            return Factor(kernel, rows, noise, np.ascontiguousarray(inverse))
    return None


@dataclass(frozen=True, slots=True)
class Posterior:
    """A factor together with what is known of the training points.

    Several targets share the factor: the score, and whether there is one.

    Attributes:
        factor: The factor.
        alpha: Covariance's inverse times targets (n, t).
    """

    factor: Factor
    alpha: Array

    def smoothed(self, targets: Array) -> Array:
        """Return the expected noiseless targets (n, t) at the training points themselves."""
        return targets - self.factor.noise[:, None] * self.alpha

    def mean(self, rows: Array) -> Array:
        """Return the expected targets (m, t) of rows (m, D)."""
        return self.factor.kernel.covariance(rows, self.factor.rows) @ self.alpha

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Return means (m, t) and standard deviation (m,) of noiseless targets at rows (m, D)."""
        covariance = self.factor.kernel.covariance(rows, self.factor.rows)
        projected = covariance @ self.factor.inverse.T
        return covariance @ self.alpha, self._deviation(projected)

    def predict_slopes(self, rows: Array) -> tuple[Array, Array, Slope]:
        """Return means (m, t), deviation (m,) and the chain rule for what depends on them.

        The latter turns derivatives by means (m, t) and deviation (m,) into one by rows (m, D).
        """
        covariance, slopes = self.factor.kernel.slopes(rows, self.factor.rows)
        projected = covariance @ self.factor.inverse.T
        deviation = self._deviation(projected)

        def slope(by_means: Array, by_deviation: Array) -> Array:
            by_covariance = by_means @ self.alpha.T
            by_covariance -= (by_deviation / deviation)[:, None] * (projected @ self.factor.inverse)
            by_rows: Array = np.einsum("dij,ij->id", slopes, by_covariance)
            return by_rows

        return covariance @ self.alpha, deviation, slope

    def _deviation(self, projected: Array) -> Array:
        explained = np.einsum("ij,ij->i", projected, projected)
        variance: Array = np.maximum(self.factor.kernel.variance - explained, _LEAST_VARIANCE)
        return np.sqrt(variance)


def posterior_of(factor: Factor, targets: Array) -> Posterior:
    """Return the posterior given the training points' targets (n, t)."""
    return Posterior(factor, factor.inverse.T @ (factor.inverse @ targets))
