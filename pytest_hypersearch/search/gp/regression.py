"""Gaussian-process regression with fixed hyperparameters: the covariance and the posterior.

Notation, as in Rasmussen & Williams, Gaussian Processes for Machine Learning (2006):

    n, m, D    training points, query points, features
    X          training points (n, D); X_query the query points (m, D)
    ell        length scales (D,)
    R          scaled distances, by feature (D, m, n) and of all features jointly (m, n):
               R_d = sqrt(5) |x_d - x'_d| / ell_d,  R = sqrt(sum of R_d^2)
    k(x, x')   covariance function; k_query the covariances (m, n) of query and training points
    K = L L^T  covariance (n, n) of noisy training targets, L its lower Cholesky factor
    L_inv      inverse of L (n, n)
    Z          targets (n, t), which share K: the score and whether there is one
    alpha      K^-1 Z (n, t)
    mu, sigma  mean (m, t) and standard deviation (m,) of the noiseless posterior

The covariance is a Matern-5/2 of all features plus the mean of one of each feature alone:

    k(x, x') = joint * M(R) + additive / D * sum of M(R_d),   M(r) = (1 + r + r^2 / 3) exp(-r)

Losses are often largely sums of the effects of single parameters. The sum learns each effect from
all results at once; the product has to see parameters together and is left with what they do
jointly (Duvenaud et al., Additive Gaussian processes, NeurIPS 2011). Both share one length scale a
feature; the fit decides how much either explains. Different options of a choice are at distance 1
(Hamming).

A target may be what a pruned trial reported last, with a share u (its gap) of a full trial still to
come. It deviates from the score, by more the larger the gap:

    target = f(x) + u (g(x) + e),   cov(g(x), g(x')) = deviation * k(x, x'),   e ~ N(0, var(g))

so that two targets have the covariance k(x, x') (1 + deviation * u u'), and a target and a score
k(x, x'): for queries, whose gap is 0, nothing changes. This is the linear truncated kernel of Wu
et al., Practical multi-fidelity Bayesian optimization for hyperparameter tuning, UAI 2019, with f
and g of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dtrtri

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.search.gp.encode import Array

ChainRule: TypeAlias = Callable[[Array, Array], Array]

NOISE_FLOOR: Final = 1e-10  # scores whose difference is less than its root look equal
_BLOCK: Final = 10_000  # numbers in a temporary array, so that a few of them fit in the CPU's cache
_JITTERS: Final = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_LEAST_VARIANCE: Final = 1e-12


@frozen
class Hyperparameters:
    """Fitted hyperparameters.

    Attributes:
        inverse_squared_lengthscales: 1 / ell^2 (D,).
        joint_variance: Variance of what parameters do jointly.
        additive_variance: Variance of the sum of what they do alone.
        noise_variance: Noise variance of a single score.
        warp_exponent: Exponent of the power transform of scores, 1 for none.
        deviation: Variance of what the values of a trial's first step deviate by from scores,
            relative to that of scores; half of it is independent noise.
    """

    inverse_squared_lengthscales: Array
    joint_variance: float
    additive_variance: float
    noise_variance: float
    warp_exponent: float
    deviation: float = 0.0


@dataclass(frozen=True)
class Kernel:
    """The covariance function for fixed hyperparameters.

    Attributes:
        hyper: The hyperparameters.
        categorical: Which features (D,) hold unordered numbers.
    """

    hyper: Hyperparameters
    categorical: NDArray[np.bool_]

    @property
    def variance(self) -> float:
        """Prior variance of any point: k(x, x)."""
        return self.hyper.joint_variance + self.hyper.additive_variance

    def covariance(self, X1: Array, X2: Array) -> Array:
        """Return the covariance (m, n) of points (m, D) and (n, D)."""
        D, m, n = len(self._rates), len(X1), len(X2)
        scaled1, scaled2 = self._scaled(X1), self._scaled(X2)
        step = min(m, max(1, _BLOCK // max(1, (D + 1) * n)))
        R, decay = np.empty((2, D + 1, step, n))
        covariance = np.empty((m, n))
        for i in range(0, m, step):
            size = min(step, m - i)
            scratch = R[:, :size], decay[:, :size]
            self._fill(scaled1[:, i : i + size], scaled2, *scratch, covariance[i : i + size])
        return covariance

    def covariance_with_gradient(self, X1: Array, X2: Array) -> tuple[Array, Array]:
        """Return the covariance (m, n) and its derivatives (D, m, n) by the features of X1.

        Derivatives by unordered features are meaningless.
        """
        D, m, n = len(self._rates), len(X1), len(X2)
        R, decay = np.empty((2, D + 1, m, n))
        difference = self._measure(self._scaled(X1), self._scaled(X2), R, decay)
        # M'(r) = -(r + r^2) exp(-r) / 3. With c = sqrt(5) / ell, dR_d/dx_d = c sign(x_d - x'_d)
        # and dR/dx_d = c^2 (x_d - x'_d) / R, so that both terms have the same form, without a
        # division by R, which may be 0: dM/dx_d = -(1 + r) exp(-r) c^2 (x_d - x'_d) / 3.
        decay *= self._weights
        slope = R * decay
        R *= slope
        R *= 1.0 / 3.0
        slope += decay
        R += slope  # holds the terms of the covariance from here on
        gradient = slope[:-1] + slope[-1]
        gradient *= difference
        gradient *= self._rates[:, :, None] / -3.0
        return np.add.reduce(R, axis=0), gradient

    @cached_property
    def _rates(self) -> Array:
        """sqrt(5) / ell (D, 1)."""
        return np.sqrt(5.0 * self.hyper.inverse_squared_lengthscales)[:, None]

    @cached_property
    def _weights(self) -> Array:
        """Variance of each feature alone, then of all jointly (D + 1, 1, 1)."""
        share = self.hyper.additive_variance / len(self._rates)
        weights = [*[share] * len(self._rates), self.hyper.joint_variance]
        return np.array(weights)[:, None, None]

    @cached_property
    def _unordered(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.categorical)

    def _scaled(self, X: Array) -> Array:
        """Return points (m, D) as sqrt(5) x / ell (D, m)."""
        return X.T * self._rates

    def _fill(
        self, scaled1: Array, scaled2: Array, R: Array, decay: Array, covariance: Array
    ) -> None:
        """Write the covariance (m, n) of scaled points; R and decay are scratch (D + 1, m, n)."""
        self._measure(scaled1, scaled2, R, decay)
        decay *= self._weights
        value = R * (1.0 / 3.0)  # Horner's scheme for 1 + R + R^2 / 3
        value += 1.0
        value *= R
        value += 1.0
        value *= decay
        np.add.reduce(value, axis=0, out=covariance)

    def _measure(self, scaled1: Array, scaled2: Array, R: Array, decay: Array) -> Array:
        """Write R and exp(-R), and return the differences (D, m, n) of scaled points.

        Args:
            scaled1: Scaled points (D, m).
            scaled2: Scaled points (D, n).
            R: Where to write the distances, by feature and then jointly (D + 1, m, n).
            decay: Where to write exp(-R) (D + 1, m, n).
        """
        difference = scaled1[:, :, None] - scaled2[:, None, :]
        for feature in self._unordered:
            difference[feature] = (difference[feature] != 0) * self._rates[feature]
        np.abs(difference, out=R[:-1])
        np.einsum("dij,dij->ij", difference, difference, out=R[-1])
        np.sqrt(R[-1], out=R[-1])
        np.exp(np.negative(R, out=decay), out=decay)
        return difference


def pairwise_distances(X: Array, categorical: NDArray[np.bool_]) -> Array:
    """Return each feature's distance (D, n * (n - 1) / 2) between all pairs of points (n, D)."""
    first, second = np.triu_indices(len(X), 1)
    distances = np.abs(X.T[:, first] - X.T[:, second])
    distances[categorical] = distances[categorical] != 0
    return distances


@frozen
class Factor:
    """The inverse Cholesky factor of the training points' covariance, which grows row by row.

    Attributes:
        kernel: The covariance function.
        X: Training points (n, D).
        noise: Their noise variances (n,).
        gaps: Shares (n,) of a full trial that were not run, 0 for scores.
        L_inv: Inverse of the lower Cholesky factor (n, n).
    """

    kernel: Kernel
    X: Array
    noise: Array
    gaps: Array
    L_inv: Array

    def appended(self, x: Array, count: float, gap: float = 0.0) -> Factor:
        """Return the factor with one more training point (D,), of so many scores."""
        # With K' = [[K, k], [k^T, kappa]], v = L^-1 k and p = sqrt(kappa - v^T v), the factor is
        # L' = [[L, 0], [v^T, p]] and its inverse [[L^-1, 0], [-v^T L^-1 / p, 1 / p]]: O(n^2).
        deviation, variance = self.kernel.hyper.deviation, self.kernel.variance
        k = self.kernel.covariance(x[None, :], self.X)[0]
        noise = self.kernel.hyper.noise_variance / count + NOISE_FLOOR
        if gap:
            k *= 1.0 + deviation * gap * self.gaps
            noise += deviation * gap * gap * variance
            variance *= 1.0 + deviation * gap * gap
        v = self.L_inv @ k
        pivot = np.sqrt(max(variance + noise - float(v @ v), noise))
        n = len(self.X)
        L_inv = np.zeros((n + 1, n + 1))
        L_inv[:n, :n] = self.L_inv
        L_inv[n, :n] = (v @ self.L_inv) / -pivot
        L_inv[n, n] = 1.0 / pivot
        noises, gaps = np.append(self.noise, noise), np.append(self.gaps, gap)
        return Factor(self.kernel, np.vstack([self.X, x]), noises, gaps, L_inv)


def factor_of(kernel: Kernel, X: Array, counts: Array, gaps: Array | None = None) -> Factor | None:
    """Return the factor for training points (n, D), None if their covariance is singular.

    Args:
        kernel: The covariance function.
        X: The training points.
        counts: Of how many scores each point's target is the mean (n,).
        gaps: Shares (n,) of a full trial that were not run; None if all are scores.
    """
    K = kernel.covariance(X, X)
    gaps = np.zeros(len(X)) if gaps is None else gaps
    deviation = kernel.hyper.deviation * gaps
    if deviation.any():
        K *= 1.0 + np.outer(deviation, gaps)
    own = kernel.variance * deviation * gaps
    for jitter in _JITTERS:
        noise = kernel.hyper.noise_variance / counts + (NOISE_FLOOR + jitter) + own
        K.flat[:: len(X) + 1] = kernel.variance + own + noise
        L, failed = dpotrf(K, lower=1)
        if not failed:
            L_inv, _ = dtrtri(L, lower=1, overwrite_c=1)
            return Factor(kernel, X, noise, gaps, np.ascontiguousarray(L_inv))
    return None


@frozen
class Posterior:
    """The distribution of noiseless targets given those of the training points.

    Several targets share the factor: the score, and whether there is one.

    Attributes:
        factor: The factor.
        alpha: K^-1 Z (n, t).
    """

    factor: Factor
    alpha: Array

    def smoothed(self, Z: Array) -> Array:
        """Return the posterior mean (n, t) at the training points, whose targets (n, t) are Z."""
        # (K - noise) alpha = Z - noise * alpha
        return Z - self.factor.noise[:, None] * self.alpha

    def mean(self, X_query: Array) -> Array:
        """Return the posterior mean (m, t) at points (m, D)."""
        return self.factor.kernel.covariance(X_query, self.factor.X) @ self.alpha

    def predict(self, X_query: Array) -> tuple[Array, Array]:
        """Return the posterior mean (m, t) and standard deviation (m,) at points (m, D)."""
        k_query = self.factor.kernel.covariance(X_query, self.factor.X)
        V = k_query @ self.factor.L_inv.T
        return k_query @ self.alpha, self._deviation(V)

    def predict_with_gradient(self, X_query: Array) -> tuple[Array, Array, ChainRule]:
        """Return mean (m, t), standard deviation (m,), and the chain rule for functions of them.

        The latter turns a function's derivatives by mean (m, t) and deviation (m,) into its
        gradient (m, D) by the points.
        """
        k_query, k_gradient = self.factor.kernel.covariance_with_gradient(X_query, self.factor.X)
        V = k_query @ self.factor.L_inv.T
        sigma = self._deviation(V)

        def gradient(by_mu: Array, by_sigma: Array) -> Array:
            # mu = k_query alpha and sigma^2 = k(x, x) - k_query K^-1 k_query^T, hence
            # dmu/dk = alpha and dsigma/dk = -K^-1 k_query / sigma = -L^-T V / sigma
            by_k = by_mu @ self.alpha.T
            by_k -= (by_sigma / sigma)[:, None] * (V @ self.factor.L_inv)
            by_x: Array = np.einsum("dij,ij->id", k_gradient, by_k)
            return by_x

        return k_query @ self.alpha, sigma, gradient

    def _deviation(self, V: Array) -> Array:
        """Return sigma (m,) from V = k_query L^-T (m, n): sigma^2 = k(x, x) - |V|^2."""
        explained = np.einsum("ij,ij->i", V, V)
        variance: Array = np.maximum(self.factor.kernel.variance - explained, _LEAST_VARIANCE)
        return np.sqrt(variance)


def posterior_of(factor: Factor, Z: Array) -> Posterior:
    """Return the posterior given the training points' targets (n, t)."""
    return Posterior(factor, factor.L_inv.T @ (factor.L_inv @ Z))
