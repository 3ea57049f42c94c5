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
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from pytest_hypersearch.core.frozen import frozen
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
        front: Points (n, t) of which none dominates another; or, of two objectives, any.
        reference: Upper end (t,) of what counts.
    """
    inside = front[(front < reference).all(axis=1)]
    if len(reference) == _PLANE:
        return _strips(inside, reference)
    # Between two neighbouring values of the last objective, the points that dominate are those
    # whose last objective is below the slice: one dimension less remains.
    cuts = [_MINUS_INFINITY, *np.unique(inside[:, -1]), reference[-1]]
    slices = []
    for low, high in pairwise(cuts):
        below = inside[inside[:, -1] <= low][:, :-1]
        if len(reference) > _PLANE + 1:
            below = below[undominated(below)]
        flat = boxes_of(below, reference[:-1])
        slices.append(np.concatenate([flat, np.full((len(flat), 1, 2), (low, high))], axis=1))
    return np.concatenate(slices)


def _strips(inside: Array, reference: Array) -> Array:
    """Return boxes (b, 2, 2) of two objectives: strips between values of the second one."""
    ordered = inside[np.lexsort(inside.T)]
    tops = np.minimum.accumulate(np.append(reference[0], ordered[:, 0]))
    steps = np.flatnonzero(tops[1:] < tops[:-1])  # a staircase: other points are dominated
    boxes = np.empty((len(steps) + 1, 2, 2))
    boxes[:, 0, 0] = _MINUS_INFINITY
    boxes[:, 0, 1] = tops[np.append(0, steps + 1)]
    boxes[1:, 1, 0] = boxes[:-1, 1, 1] = ordered[steps, 1]
    boxes[0, 1, 0], boxes[-1, 1, 1] = _MINUS_INFINITY, reference[1]
    return boxes


class Sides(NamedTuple):
    """What boxes are along all objectives; many boxes share a side, and many sides an end.

    Attributes:
        ends: Where sides begin or end (e,).
        objective_of_end: Along which objective that is (e,).
        low: Position of the lower end of each different side (u,) among them.
        high: That of the upper end (u,).
        first: The first side along each objective (t,); they are in the order of the objectives.
        members: 1 where a box (b) has a side, 0 elsewhere (b, u).
    """

    ends: Array
    objective_of_end: NDArray[np.intp]
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    first: NDArray[np.intp]
    members: Array

    @classmethod
    def of(cls, boxes: Array) -> Sides:
        """Return the sides of boxes (b, t, 2)."""
        ends: list[Array] = []
        sides: list[NDArray[np.intp]] = []
        members: list[Array] = []
        for both in boxes.transpose(1, 0, 2):
            before = sum(len(each) for each in ends)
            different, positions = np.unique(both, return_inverse=True)
            low, high = positions.reshape(both.shape).T
            pairs, of_box = np.unique(low * len(different) + high, return_inverse=True)
            ends.append(different)
            sides.append(before + np.array(np.divmod(pairs, len(different))))
            members.append(np.eye(len(pairs))[of_box])
        low, high = np.concatenate(sides, axis=1)
        first = np.cumsum([0, *(each.shape[1] for each in sides[:-1])])
        objective_of_end = np.repeat(np.arange(len(ends)), [len(each) for each in ends])
        return cls(
            np.concatenate(ends),
            objective_of_end,
            low,
            high,
            first,
            np.concatenate(members, axis=1),
        )

    def log_length(self, mu: Array, sigma: Array) -> Array:
        """Return the log expected length (m, u) gained within each side.

        With r = h(z_low) / h(z_high), log E = log h(z_high) + log(1 - r) + log sigma.

        Args:
            mu: Posterior means (m, t).
            sigma: Posterior standard deviations (m, t).
        """
        own = self.objective_of_end
        log_h = log_improvement((self.ends - mu[:, own]) / sigma[:, own])[0]
        return self._log_length(log_h, sigma[:, own[self.low]])[0]

    def log_length_and_derivatives(self, mu: Array, sigma: Array) -> tuple[Array, Array, Array]:
        """Return `log_length` and its derivatives by mean and deviation (m, u) each.

        Since h' = Phi and h - z h' = phi, they are

            by mu:     -(Phi(z_high) - Phi(z_low)) / (h(z_high) (1 - r) sigma)
            by sigma:   (phi(z_high) - phi(z_low)) / (h(z_high) (1 - r) sigma)
        """
        own = self.objective_of_end
        z = (self.ends - mu[:, own]) / sigma[:, own]
        log_h, Phi_over_h, phi_over_h = log_improvement(z)
        deviation = sigma[:, own[self.low]]
        log_length, r = self._log_length(log_h, deviation)
        divisor = (1.0 - r) * deviation
        by_mu = (Phi_over_h[:, self.low] * r - Phi_over_h[:, self.high]) / divisor
        by_sigma = (phi_over_h[:, self.high] - phi_over_h[:, self.low] * r) / divisor
        return log_length, by_mu, by_sigma

    def _log_length(self, log_h: Array, sigma: Array) -> tuple[Array, Array]:
        """Return the log length and r (m, u) from log h at the ends (m, e)."""
        upper = log_h[:, self.high]
        r = np.minimum(np.exp(log_h[:, self.low] - upper), _ALMOST_ONE)
        return upper + np.log1p(-r) + np.log(sigma), r


@dataclass(frozen=True)
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

    @cached_property
    def _sides(self) -> Sides:
        return Sides.of(self.boxes)

    def value(self, X: Array) -> Array:
        """Return the acquisition (m,) at points (m, D)."""
        means, deviations = zip(*(each.predict(X) for each in self.posteriors), strict=True)
        mu, sigma = np.stack([mean[:, 0] for mean in means], axis=1), np.stack(deviations, axis=1)
        value = _log_sum(self._sides.log_length(mu, sigma) @ self._sides.members.T)[0]
        for posterior, mean, deviation in zip(self.posteriors, means, deviations, strict=True):
            for latent in mean.T[1:]:
                value += log_ndtr(latent / latent_deviation(posterior, deviation))
        return value

    def value_and_gradient(self, X: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        predictions = [each.predict_with_gradient(X) for each in self.posteriors]
        means, deviations, chain_rules = zip(*predictions, strict=True)
        mu, sigma = np.stack([mean[:, 0] for mean in means], axis=1), np.stack(deviations, axis=1)
        log_length, by_mu, by_sigma = self._sides.log_length_and_derivatives(mu, sigma)
        value, share = _log_sum(log_length @ self._sides.members.T)
        # d log(sum of v_b) = sum of v_b / (sum of v) d log v_b
        weight = share @ self._sides.members
        by_mu = np.add.reduceat(weight * by_mu, self._sides.first, axis=1)
        by_sigma = np.add.reduceat(weight * by_sigma, self._sides.first, axis=1)
        gradient = np.zeros_like(X)
        for objective, posterior in enumerate(self.posteriors):
            mean, deviation = means[objective], deviations[objective]
            by_mean, by_deviation = np.zeros_like(mean), by_sigma[:, objective]
            by_mean[:, 0] = by_mu[:, objective]
            for target in range(1, mean.shape[1]):
                log_p, by_latent, by_width = log_probability(posterior, mean[:, target], deviation)
                value += log_p
                by_mean[:, target] = by_latent
                by_deviation = by_deviation - by_latent * by_width
            gradient += chain_rules[objective](by_mean, by_deviation)
        return value, gradient


def _log_sum(log_terms: Array) -> tuple[Array, Array]:
    """Return the log (m,) of the sum of terms, and their shares (m, b) in it."""
    largest = np.maximum.reduce(log_terms, axis=1, keepdims=True)
    share = np.exp(log_terms - largest)
    total = np.add.reduce(share, axis=1, keepdims=True)
    share /= total
    log_sum: Array = (largest + np.log(total))[:, 0]
    return log_sum, share


@frozen
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


@frozen
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
