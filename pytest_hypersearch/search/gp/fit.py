"""Fitting the Gaussian process: transform of the scores and hyperparameters by MAP.

Real losses are skewed: a few terrible values would set the scale and drown the differences among
the good ones. Three steps bring scores y to targets z:

    t = min((y - centre) / spread, ceiling)    median, median absolute deviation, cut at 5 of them
    w = YJ(t; lambda)                          power transform (Yeo & Johnson, Biometrika 2000)
    z = (w - mean(w)) / std(w)

The exponent lambda is fitted together with the kernel's hyperparameters, by the evidence of the
untransformed scores: the evidence of z times the Jacobian |dz/dt| (Snelson, Rasmussen & Ghahramani,
Warped Gaussian processes, NeurIPS 2004). Without the Jacobian, the fit would squeeze all scores
into one value.

Notation, besides that of `regression`:

    p          pairs of training points: n (n - 1) / 2
    theta      (D + 4,): log 1/ell^2 of each feature, log joint, log additive and log noise
               variance, lambda; with values of pruned trials (D + 5,): log deviation too
    gaps       shares of a full trial that were not run
    counts     of how many scores each of the n targets is the mean: its noise is noise / count
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.search.gp.bfgs import minimise
from pytest_hypersearch.search.gp.encode import Array
from pytest_hypersearch.search.gp.regression import NOISE_FLOOR, Hyperparameters, pairwise_distances

CEILING: Final = 5.0
_FARTHEST: Final = 1e50  # spreads from the centre, whose warped squares do not overflow
_LOGARITHMIC: Final = 1e-8  # smaller exponents give the same as the limit, the logarithm
_ROUNDING: Final = 1e-13  # relative: scores that are no further apart are equal


@frozen
class Scale:
    """Location and scale of the finite scores.

    Attributes:
        centre: Their median.
        spread: Their median absolute deviation; if it is 0, the median of those deviations that
            are not.
        ceiling: What worse scores are cut to, in spreads from the centre.
    """

    centre: float
    spread: float
    ceiling: float = CEILING

    def apply(self, y: Array) -> Array:
        """Return scores in spreads from the centre, cut at the ceiling."""
        with np.errstate(over="ignore"):
            t = (y - self.centre) / self.spread
        return np.minimum(np.maximum(t, -_FARTHEST), min(self.ceiling, _FARTHEST))


def scale_of(y: Array, ceiling: float = CEILING) -> Scale | None:
    """Return the scale of finite scores, None if all of them are equal."""
    centre = _median(y)
    with np.errstate(over="ignore"):
        deviations = np.abs(y - centre)
        # Means of the same folds may differ in their last digits.
        deviations[deviations <= _ROUNDING * abs(centre)] = 0.0
        finite = deviations[np.isfinite(deviations)]
        spread = _median(finite)
        if not spread > 0:
            positive = finite[finite > 0]
            spread = _median(positive) if len(positive) else 0.0
    return Scale(centre, spread, ceiling) if spread > 0 and np.isfinite(spread) else None


def _median(numbers: Array) -> float:
    """Return the median; much faster than numpy's for few numbers."""
    ordered, middle = np.sort(numbers), len(numbers) // 2
    return float(0.5 * ordered[~middle] + 0.5 * ordered[middle])


def yeo_johnson(t: Array, exponents: Array) -> Array:
    """Return Yeo and Johnson's power transform (k, n) of numbers (n,) for exponents (k,).

    YJ(t) = ((1 + t)^lambda - 1) / lambda for t >= 0, and -((1 - t)^(2 - lambda) - 1) / (2 - lambda)
    for t < 0; where an exponent is 0, its limit, a logarithm.
    """
    power = np.where(t >= 0, exponents[:, None], 2.0 - exponents[:, None])
    power = np.where(np.abs(power) < _LOGARITHMIC, _LOGARITHMIC, power)
    warped: Array = np.copysign(np.expm1(power * np.log1p(np.abs(t))) / power, t)
    return warped


def log_jacobian(t: Array, exponents: Array) -> Array:
    """Return the log Jacobian (k,) of the power transform of numbers (n,).

    log |dYJ/dt| = (lambda - 1) sign(t) log(1 + |t|), summed over t.
    """
    return (exponents - 1.0) * float(np.sign(t) @ np.log1p(np.abs(t)))


_LENGTHSCALE: Final = 0.5  # median of the prior on length scales, up to 8 features
_LENGTHSCALE_SIGMA: Final = 1.0  # standard deviation of their logarithm
_EXPONENT_SIGMA: Final = 0.4  # standard deviation of lambda, whose prior's mean is 1: no warp
_ADDITIVE_POWER: Final = 0.5
_DEVIATION: Final = 0.3  # median of the prior on the deviation
_DEVIATION_SIGMA: Final = 1.0  # standard deviation of its logarithm
_NOISE_RATE: Final = 20.0
_NOISE_POWER: Final = 0.1
_LEAST_NOISE: Final = 1e-3  # at which the search begins
_MUCH_NOISE: Final = 0.03
_SHORTER: Final = 4.0
_FLAT: Final = 1e-12
_DIFFERENCE: Final = 1e-4  # for the derivative by lambda, by central differences
_ITERATIONS: Final = 40
_TOLERANCE: Final = 1e-3
_NOT_DEFINITE: Final = 1e10  # value of the objective where the covariance has no Cholesky factor


@frozen
class Data:
    """The training data of a fit.

    Attributes:
        X: The configurations (n, D).
        t: Means (n,) of their scores in spreads from the centre, cut.
        counts: How many scores each mean is of (n,).
        measured: Which of them (n,) count for the Jacobian: not the pruned ones, whose scores are
            imputed.
        within: Sum of squares of single scores around their configuration's mean.
        freedom: Its degrees of freedom.
        gaps: Shares (n,) of a full trial that were not run; None if all are scores.
    """

    X: Array
    t: Array
    counts: Array
    measured: NDArray[np.bool_]
    within: float = 0.0
    freedom: int = 0
    gaps: Array | None = None


def standardised(t: Array, exponents: Array) -> tuple[Array, Array]:
    """Return z (k, n) for exponents (k,), and the standard deviations (k,) of the warped scores."""
    w = yeo_johnson(t, exponents)
    w -= np.add.reduce(w, axis=1, keepdims=True) / len(t)
    deviations = np.sqrt(np.add.reduce(w * w, axis=1) / len(t))
    deviations = np.where(deviations > _FLAT, deviations, 1.0)
    return w / deviations[:, None], deviations


def standardised_as(t: Array, others: Array, exponent: float) -> Array:
    """Return other scores (m,) on the scale of z of scores (n,), for an exponent."""
    exponents = np.array([exponent])
    _, (deviation,) = standardised(t, exponents)
    centre = yeo_johnson(t, exponents).mean()
    levels: Array = (yeo_johnson(others, exponents)[0] - centre) / deviation
    return levels


def default_theta(D: int, *, pruned: bool = False) -> Array:
    """Return the theta at which the search begins, for so many features.

    Beyond 8 features length scales grow as sqrt(D), so that the typical distance of two points of
    the unit cube stays the same number of length scales (Hvarfner et al., ICML 2024).
    """
    ell = _LENGTHSCALE * max(1.0, D / 8) ** 0.5
    variances = [0.0, np.log(0.5), np.log(_LEAST_NOISE)]
    last = [np.log(_DEVIATION)] if pruned else []
    return np.array([*[-2.0 * np.log(ell)] * D, *variances, 1.0, *last])


def fit(data: Data, categorical: NDArray[np.bool_]) -> tuple[Hyperparameters, float]:
    """Return the hyperparameters of largest posterior density, and minus its logarithm.

    Waves that are shorter than the distances of most results look like noise around a smooth trend,
    which is a maximum of the density; another one has length scales as short as the waves. Where
    the first search ends with much noise, a second one begins at shorter length scales.

    Args:
        data: The training data.
        categorical: Which features (D,) hold unordered numbers.
    """
    D = len(categorical)
    objective = Objective.of(data, categorical)
    theta, value = _minimised(objective, default_theta(D, pruned=data.gaps is not None))
    if theta[D + 2] > np.log(_MUCH_NOISE):
        start = theta.copy()
        start[:D] += 2.0 * np.log(_SHORTER)
        start[D + 2] = np.log(_LEAST_NOISE)
        other, other_value = _minimised(objective, start)
        theta, value = (other, other_value) if other_value < value else (theta, value)
    joint, additive, noise = np.exp(theta[D : D + 3]).tolist()
    exponent, deviation = float(theta[D + 3]), float(np.exp(theta[D + 4 :]).sum())
    hyper = Hyperparameters(np.exp(theta[:D]), joint, additive, noise, exponent, deviation)
    return hyper, value


def _minimised(objective: Objective, start: Array) -> tuple[Array, float]:
    """Return the minimum of the objective reached from a start, and its value."""
    D = len(objective.distances)

    def batched(points: Array) -> tuple[Array, Array]:
        value, gradient = objective(points[0])
        return np.array([value]), gradient[None, :]

    bounds = np.array(
        [
            *[(-7.0, 9.0)] * D,
            *[(-9.0, 5.0), (-9.0, 5.0), (np.log(NOISE_FLOOR), 1.0), (-1.0, 3.0)],
            *[(-7.0, 5.0)] * (len(start) - D - 4),
        ]
    )
    minima, values = minimise(
        batched,
        start[None, :],
        *bounds.T,
        scale=np.ones(len(start)),
        longest=1.0,
        steps=_ITERATIONS,
        tolerance=_TOLERANCE,
    )
    return minima[0], float(values[0])


@frozen
class Objective:
    """Negative log posterior density of theta, up to a constant, and its gradient.

    -log p(z | theta) - log |dz/dt| - log p(theta), where (Rasmussen & Williams, eq. 5.8 and 5.9)

        -log p(z | theta) = z^T alpha / 2 + sum of log L_ii,   alpha = K^-1 z
        derivative by a hyperparameter = tr((K^-1 - alpha alpha^T) dK) / 2

    K is symmetric and its diagonal known, so that only the pairs above the diagonal are computed.

    Attributes:
        data: The training data.
        distances: By feature and pair (D, p).
        pairs: Where the pairs are in the covariance matrix, as a flat index (p,).
        scratch: Room for three arrays by feature, then jointly, and pair (3, D + 1, p).
        gaps: Products of the two gaps of a pair (p,), empty if all targets are scores.
    """

    data: Data
    distances: Array
    pairs: NDArray[np.intp]
    scratch: Array
    gaps: Array

    @classmethod
    def of(cls, data: Data, categorical: NDArray[np.bool_]) -> Objective:
        """Return the objective of a fit."""
        n = len(data.X)
        first, second = np.triu_indices(n, 1)
        scratch = np.empty((3, len(categorical) + 1, len(first)))
        gaps = np.zeros(0) if data.gaps is None else data.gaps[first] * data.gaps[second]
        distances = pairwise_distances(data.X, categorical)
        return cls(data, distances, first * n + second, scratch, gaps)

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Return value and gradient at theta."""
        D = len(self.distances)
        joint, additive, noise = np.exp(theta[D : D + 3])
        M, slope, R2 = self._matern(np.sqrt(5.0 * np.exp(theta[:D])))
        M_joint, M_additive = M[-1], np.add.reduce(M[:-1], axis=0) / D
        diagonal = noise / self.data.counts + NOISE_FLOOR
        pairs, variance = joint * M_joint + additive * M_additive, joint + additive
        if self.data.gaps is not None:
            rho, squares = np.exp(theta[D + 4]), self.data.gaps**2
            scores, growth, own_growth = pairs, 1.0 + rho * self.gaps, 1.0 + 2.0 * rho * squares
            pairs, variance = growth * scores, own_growth * variance
        L, failed = self._cholesky(pairs, variance + diagonal)
        if failed:
            return _NOT_DEFINITE, np.zeros_like(theta)
        z, z_by_exponent, jacobian, jacobian_by_exponent = self._warped(theta[D + 3])
        alpha, _ = dpotrs(L, z, lower=1)
        value = 0.5 * float(z @ alpha) + float(np.log(np.diagonal(L)).sum()) - jacobian
        K_inv, _ = dpotri(L, lower=1, overwrite_c=1)
        # W = K^-1 - alpha alpha^T, of its diagonal and of the pairs: LAPACK fills the lower
        # triangle in Fortran's order, which is the upper one in C's, where the pairs are.
        W_diagonal = np.diagonal(K_inv) - alpha * alpha
        W = K_inv.T.ravel()[self.pairs] - np.outer(alpha, alpha).ravel()[self.pairs]
        gradient = np.empty_like(theta)
        gradient[D + 2] = 0.5 * noise * float((W_diagonal / self.data.counts).sum())
        if self.data.gaps is not None:
            own = (joint + additive) * float(W_diagonal @ squares)
            gradient[D + 4] = rho * (float(W @ (self.gaps * scores)) + own)
            W, W_diagonal = W * growth, W_diagonal * own_growth
        half_trace = 0.5 * float(W_diagonal.sum())
        # dM/dR^2 = -(1 + R) exp(-R) / 6 = -slope / 6, and R_d^2 is proportional to 1/ell_d^2, so
        # its derivative by log 1/ell_d^2 is R_d^2. The trace has each pair twice and is halved.
        by_joint = R2[:-1] @ (W * slope[-1])
        slope *= R2
        gradient[:D] = (joint * by_joint + additive / D * (slope[:-1] @ W)) / -6.0
        gradient[D] = joint * (float(W @ M_joint) + half_trace)
        gradient[D + 1] = additive * (float(W @ M_additive) + half_trace)
        gradient[D + 3] = float(alpha @ z_by_exponent) - jacobian_by_exponent
        return self._with_priors(theta, value, gradient)

    def _matern(self, rates: Array) -> tuple[Array, Array, Array]:
        """Return M(R), (1 + R) exp(-R) and R^2 of pairs, by feature and then jointly (D + 1, p).

        Args:
            rates: sqrt(5) / ell (D,).
        """
        M, slope, R2 = self.scratch
        R = R2  # squared in place once the exponential is known
        np.multiply(self.distances, rates[:, None], out=R[:-1])
        np.einsum("dp,dp->p", R[:-1], R[:-1], out=R[-1])
        np.sqrt(R[-1], out=R[-1])
        np.exp(np.negative(R, out=M), out=M)
        np.multiply(R, M, out=slope)
        slope += M
        R2 *= R2
        M *= R2
        M *= 1.0 / 3.0
        M += slope
        return M, slope, R2

    def _cholesky(self, pairs: Array, diagonal: Array) -> tuple[Array, int]:
        """Return the lower Cholesky factor (n, n) and whether there is none.

        Args:
            pairs: Covariances of the pairs (p,).
            diagonal: Variances (n,).
        """
        n = len(diagonal)
        K = np.zeros((n, n))
        K.ravel()[self.pairs] = pairs
        K.flat[:: n + 1] = diagonal
        L, failed = dpotrf(K.T, lower=1, overwrite_a=1)
        return L, failed

    def _warped(self, exponent: float) -> tuple[Array, Array, float, float]:
        """Return z (n,), its derivative by lambda, the log Jacobian dz/dt, and its derivative."""
        measured = self.data.t[self.data.measured]
        exponents = exponent + np.array([0.0, -_DIFFERENCE, _DIFFERENCE])
        (z, z_below, z_above), deviations = standardised(self.data.t, exponents)
        jacobians = log_jacobian(measured, exponents) - len(measured) * np.log(deviations)
        jacobian, below, above = jacobians.tolist()
        width = 2.0 * _DIFFERENCE
        return z, (z_above - z_below) / width, jacobian, (above - below) / width

    def _with_priors(self, theta: Array, value: float, gradient: Array) -> tuple[float, Array]:
        """Add the priors' terms, and what replicates say of the noise.

        log ell and lambda have normal priors around `default_theta`. A variance v has a Gamma
        prior of shape ``power``: the negative log density of log v is rate * v - power * log v. The
        sum of squares S within configurations, with f degrees of freedom, is noise times chi^2_f,
        whose negative log density is (f log noise + S / noise) / 2.
        """
        D = len(self.distances)
        deviation = theta - default_theta(D, pruned=self.data.gaps is not None)
        precision = np.zeros(len(theta))
        precision[:D] = 1.0 / (2.0 * _LENGTHSCALE_SIGMA) ** 2  # log 1/ell^2 is -2 log ell
        precision[D + 3] = 1.0 / _EXPONENT_SIGMA**2
        precision[D + 4 :] = 1.0 / _DEVIATION_SIGMA**2
        rates = np.array([1.0, 1.0, _NOISE_RATE])
        powers = np.array([1.0, _ADDITIVE_POWER, _NOISE_POWER])
        variances = np.exp(theta[D : D + 3])
        value += 0.5 * float(precision @ (deviation * deviation))
        value += float(rates @ variances - powers @ theta[D : D + 3])
        gradient += precision * deviation
        gradient[D : D + 3] += rates * variances - powers
        if self.data.freedom:
            within = self.data.within / max(float(self.data.t.var()), _FLAT) / variances[2]
            value += 0.5 * (self.data.freedom * theta[D + 2] + within)
            gradient[D + 2] += 0.5 * (self.data.freedom - within)
        return value, gradient
