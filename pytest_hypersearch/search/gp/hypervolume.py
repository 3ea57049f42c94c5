"""Acquisitions for several metrics and for constraints, each of which has a Gaussian process.

Notation:

    m, D       query points, features
    t, b       objectives, boxes; lower is better in all objectives
    mu, sigma  posterior mean and standard deviation (m,) of one objective
    low, high  ends (b,) of the boxes along one objective
    h          h(z) = phi(z) + z Phi(z), as in `acquisition`

The expected hypervolume improvement is exact. What the Pareto front does not dominate, up to a
reference point, is cut into disjoint boxes. A new point f gains within a box the volume that it
dominates there, a product over objectives, which the models take as independent:

    EHVI = sum over boxes of prod over objectives of E[length of [max(f, low), high]]
    E[length] = E[max(high - f, 0)] - E[max(low - f, 0)] = sigma (h(z_high) - h(z_low))

(Emmerich, Yang, Deutz, Wang & Fonseca, 2016; Daulton, Balandat & Bakshy, NeurIPS 2020). Its
logarithm is taken box by box, so that it does not underflow. Constraints add the log probability
that they are kept (Gardner et al., ICML 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp

from pytest_hypersearch.search.gp.acquisition import (
    Acquisition,
    cdf_over_pdf,
    latent_deviation,
    log_improvement,
    log_probability,
)
from pytest_hypersearch.search.gp.encode import Array
from pytest_hypersearch.search.gp.regression import Posterior

_PLANE: Final = 2
_HOPELESS: Final = 5.0  # minus the log probability from which on it falls more slowly
_SURE: Final = 20.0  # beyond it, the probability that a constraint is kept has no gradient
_MINUS_INFINITY: Final = -1e6  # in standardised scores: no improvement is expected below it
_ALMOST_ONE: Final = 1.0 - 1e-12


def undominated(values: Array) -> NDArray[np.bool_]:
    """Return which points (n,) of values (n, t) no other point dominates, lower being better."""
    free = np.zeros(len(values), dtype=bool)
    rest = np.lexsort(values.T[::-1])  # in this order, no point dominates one before it
    while len(rest):
        first = values[rest[0]]
        free[rest[0]] = True
        others = values[rest[1:]]
        dominated = (first <= others).all(axis=1) & (first < others).any(axis=1)
        rest = rest[1:][~dominated]
    return free


def boxes_of(front: Array, reference: Array) -> Array:
    """Return disjoint boxes (b, t, 2) that fill what is below the reference and not dominated.

    Args:
        front: Points (n, t) of which none dominates another; or, of one objective, any.
        reference: Upper end (t,) of what counts.
    """
    inside = front[(front < reference).all(axis=1)]
    if len(reference) == 1:
        top = min([reference[0], *inside[:, 0]])
        return np.array([[[_MINUS_INFINITY, top]]])
    # Between two neighbouring values of the last objective, the points that dominate are those
    # whose last objective is below the slice: one dimension less remains.
    cuts = [_MINUS_INFINITY, *np.unique(inside[:, -1]), reference[-1]]
    slices = []
    for low, high in pairwise(cuts):
        below = inside[inside[:, -1] <= low][:, :-1]
        if len(reference) > _PLANE:
            below = below[undominated(below)]
        flat = boxes_of(below, reference[:-1])
        slices.append(np.concatenate([flat, np.full((len(flat), 1, 2), (low, high))], axis=1))
    return np.concatenate(slices)


@dataclass(frozen=True, slots=True)
class LogEHVI:
    """Log expected hypervolume improvement, plus the log probability that there is a score.

    Attributes:
        posteriors: The model of each objective; the first also has the target of `LogEI` that says
            whether there is a score.
        boxes: What is not dominated (b, t, 2).
    """

    posteriors: tuple[Posterior, ...]
    boxes: Array

    @property
    def inverse_squared_lengthscales(self) -> Array:
        """The largest (D,) of all models."""
        return _largest(
            [p.factor.kernel.hyper.inverse_squared_lengthscales for p in self.posteriors]
        )

    def value(self, X: Array) -> Array:
        """Return the acquisition (m,) at points (m, D)."""
        log_volume = np.zeros((len(X), len(self.boxes)))
        log_p = np.zeros(len(X))
        for objective, posterior in enumerate(self.posteriors):
            mu, sigma = posterior.predict(X)
            log_volume += _log_length(mu[:, 0], sigma, self.boxes[:, objective])[0]
            for latent in mu.T[1:]:
                log_p += log_ndtr(latent / latent_deviation(posterior, sigma))
        value: Array = logsumexp(log_volume, axis=1) + log_p
        return value

    def value_and_gradient(self, X: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        log_volume = np.zeros((len(X), len(self.boxes)))
        log_p, gradient = np.zeros(len(X)), np.zeros_like(X)
        parts = []
        for objective, posterior in enumerate(self.posteriors):
            mu, sigma, chain_rule = posterior.predict_with_gradient(X)
            log_length, length_by_mu, length_by_sigma = _log_length(
                mu[:, 0], sigma, self.boxes[:, objective]
            )
            log_volume += log_length
            by_mu, p_by_sigma = np.zeros_like(mu), np.zeros(len(X))
            for target in range(1, mu.shape[1]):
                log_chance, by_latent, by_width = log_probability(posterior, mu[:, target], sigma)
                log_p += log_chance
                by_mu[:, target] = by_latent
                p_by_sigma -= by_latent * by_width
            parts.append((chain_rule, by_mu, length_by_mu, p_by_sigma, length_by_sigma))
        value = logsumexp(log_volume, axis=1)
        # d log(sum of v_b) = sum of v_b / (sum of v) d log v_b
        share = np.exp(log_volume - value[:, None])
        for chain_rule, by_mu, length_by_mu, p_by_sigma, length_by_sigma in parts:
            by_mu[:, 0] = (share * length_by_mu).sum(axis=1)
            gradient += chain_rule(by_mu, (share * length_by_sigma).sum(axis=1) + p_by_sigma)
        return value + log_p, gradient


def _log_length(mu: Array, sigma: Array, sides: Array) -> tuple[Array, Array, Array]:
    """Return the log expected length gained within sides, and its derivatives (m, b) each.

    With r = h(z_low) / h(z_high), log E = log h(z_high) + log(1 - r) + log sigma. Since h' = Phi
    and h - z h' = phi, the derivatives are

        by mu:     -(Phi(z_high) - Phi(z_low)) / (h(z_high) (1 - r) sigma)
        by sigma:   (phi(z_high) - phi(z_low)) / (h(z_high) (1 - r) sigma)

    Args:
        mu: Posterior mean (m,) of an objective.
        sigma: Posterior standard deviation (m,).
        sides: Lower and upper ends (b, 2).
    """
    # Neighbouring boxes share their ends: h is computed once for each.
    ends, positions = np.unique(sides, return_inverse=True)
    low, high = positions.reshape(sides.shape).T
    log_h, Phi_over_h, phi_over_h = log_improvement((ends - mu[:, None]) / sigma[:, None])
    r = np.minimum(np.exp(log_h[:, low] - log_h[:, high]), _ALMOST_ONE)
    log_length = log_h[:, high] + np.log1p(-r) + np.log(sigma)[:, None]
    divisor = (1.0 - r) * sigma[:, None]
    by_mu = -(Phi_over_h[:, high] - Phi_over_h[:, low] * r) / divisor
    return log_length, by_mu, (phi_over_h[:, high] - phi_over_h[:, low] * r) / divisor


@dataclass(frozen=True, slots=True)
class LogFeasibility:
    """Log probability that a constraint is kept: log Phi((level - mu) / sigma).

    Far from feasibility it falls more slowly, as its own logarithm: otherwise a constraint that no
    result has kept yet would outweigh the risk of a failure.

    Attributes:
        posterior: The model of by how much the constraint is broken.
        level: The standardised value up to which it is kept.
    """

    posterior: Posterior
    level: float

    @property
    def inverse_squared_lengthscales(self) -> Array:
        """The (D,) of the model."""
        return self.posterior.factor.kernel.hyper.inverse_squared_lengthscales

    def value(self, X: Array) -> Array:
        """Return the acquisition (m,) at points (m, D)."""
        mu, sigma = self.posterior.predict(X)
        return _flattened(log_ndtr((self.level - mu[:, 0]) / sigma))[0]

    def value_and_gradient(self, X: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        mu, sigma, chain_rule = self.posterior.predict_with_gradient(X)
        z = (self.level - mu[:, 0]) / sigma
        # d log Phi(z) = phi / Phi dz, dz/dmu = -1 / sigma, dz/dsigma = -z / sigma
        ratio = cdf_over_pdf(np.minimum(z, _SURE))
        by_mu = np.zeros_like(mu)
        value, slope = _flattened(log_ndtr(z))
        by_mu[:, 0] = -slope / (ratio * sigma)
        return value, chain_rule(by_mu, by_mu[:, 0] * z)


def _flattened(log_p: Array) -> tuple[Array, Array]:
    """Return log probabilities that fall as their own logarithm far down, and the derivatives."""
    depth = np.maximum(log_p / -_HOPELESS, 1.0)
    return np.maximum(log_p, -_HOPELESS) - _HOPELESS * np.log(depth), 1.0 / depth


@dataclass(frozen=True, slots=True)
class Product:
    """A product of acquisitions: the sum of their logarithms.

    Attributes:
        factors: The acquisitions.
    """

    factors: Sequence[Acquisition]

    @property
    def inverse_squared_lengthscales(self) -> Array:
        """The largest (D,) of all factors."""
        return _largest([factor.inverse_squared_lengthscales for factor in self.factors])

    def value(self, X: Array) -> Array:
        """Return the acquisition (m,) at points (m, D)."""
        value: Array = np.sum([factor.value(X) for factor in self.factors], axis=0)
        return value

    def value_and_gradient(self, X: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        pairs = (factor.value_and_gradient(X) for factor in self.factors)
        values, gradients = zip(*pairs, strict=True)
        return np.sum(values, axis=0), np.sum(gradients, axis=0)


def _largest(inverse_squared_lengthscales: Sequence[Array]) -> Array:
    """Return the (D,) of the shortest length scale in each feature."""
    largest: Array = np.max(inverse_squared_lengthscales, axis=0)
    return largest
