"""Several metrics and constraints: acquisitions made of one Gaussian process for each of them.

The expected hypervolume improvement is exact: what is not dominated by the front is cut into boxes,
over each of which the expectation is a product of differences of expected improvements (Emmerich,
Yang, Deutz, Wang & Fonseca, 2016; Daulton, Balandat & Bakshy, NeurIPS 2020). Its logarithm is taken
box by box, so that it does not underflow. Constraints weigh it by the probability that they are
kept (Gardner et al., ICML 2014).

Notation: m rows, t objectives, b boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import erfcx, log_ndtr, logsumexp

from pytest_hypersearch.search.gp.acquisition import chance_slopes, log_improvement, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_hypersearch.search.gp.acquisition import Acquisition
    from pytest_hypersearch.search.gp.encode import Array
    from pytest_hypersearch.search.gp.posterior import Posterior


_PLANE: Final = 2
_HOPELESS: Final = 5.0  # minus the log probability from which on it falls more slowly
_SURE: Final = 20.0  # beyond it the probability that a constraint is kept has no slope
_LOW: Final = -1e6  # stands for minus infinity: its expected improvement is nil
_EQUAL: Final = 1.0 - 1e-12
_ROOT_HALF_PI: Final = np.sqrt(np.pi / 2.0)


def undominated(values: Array) -> NDArray[np.bool_]:
    """Return which points (n,) of values (n, t) no other point surpasses, lower being better."""
    free = np.zeros(len(values), dtype=bool)
    rest = np.lexsort(values.T[::-1])  # what surpasses a point comes before it
    while len(rest):
        first = values[rest[0]]
        free[rest[0]] = True
        others = values[rest[1:]]
        surpassed = (first <= others).all(axis=1) & (first < others).any(axis=1)
        rest = rest[1:][~surpassed]
    return free


def boxes_of(front: Array, reference: Array) -> Array:
    """Return disjoint boxes (b, t, 2) that fill what is below the reference and not dominated.

    Args:
        front: Points (n, t) that are dominated by none of each other; or, of one objective, any.
        reference: Upper end (t,) of what counts.
    """
    inside = front[(front < reference).all(axis=1)]
    if len(reference) == 1:
        top = min([reference[0], *inside[:, 0]])
        return np.array([[[_LOW, top]]])
    # slices along the last objective: in each, the points below it are those that dominate
    cuts = [_LOW, *np.unique(inside[:, -1]), reference[-1]]
    found = []
    for low, high in pairwise(cuts):
        under = inside[inside[:, -1] <= low][:, :-1]
        if len(reference) > _PLANE:
            under = under[undominated(under)]
        flat = boxes_of(under, reference[:-1])
        found.append(np.concatenate([flat, np.full((len(flat), 1, 2), (low, high))], axis=1))
    return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class LogEHVI:
    """Log of expected hypervolume improvement, times the probability that there is a score.

    Attributes:
        posteriors: The model of each objective; the first one also knows of failures, as `LogEI`.
        boxes: What is not dominated (b, t, 2).
    """

    posteriors: tuple[Posterior, ...]
    boxes: Array

    @property
    def inverse(self) -> Array:
        """Inverse squared lengths (D,) over which it bends."""
        return _shortest([each.factor.kernel.hyper.inverse for each in self.posteriors])

    def value(self, rows: Array) -> Array:
        """Return the acquisition (m,) at rows (m, D)."""
        total = np.zeros((len(rows), len(self.boxes)))
        chances = np.zeros(len(rows))
        for place, posterior in enumerate(self.posteriors):
            means, deviation = posterior.predict(rows)
            total += _gain(means[:, 0], deviation, self.boxes[:, place])[0]
            for mean in means.T[1:]:
                chances += log_ndtr(mean / width_of(posterior, deviation))
        value: Array = logsumexp(total, axis=1) + chances
        return value

    def slopes(self, rows: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        total = np.zeros((len(rows), len(self.boxes)))
        chances, gradient = np.zeros(len(rows)), np.zeros_like(rows)
        parts = []
        for place, posterior in enumerate(self.posteriors):
            means, deviation, slope = posterior.predict_slopes(rows)
            gain, by_mean, by_deviation = _gain(means[:, 0], deviation, self.boxes[:, place])
            total += gain
            by_means, narrowing = np.zeros_like(means), np.zeros(len(rows))
            for target in range(1, means.shape[1]):
                chance, weight, widening = chance_slopes(posterior, means[:, target], deviation)
                chances += chance
                by_means[:, target] = weight
                narrowing -= weight * widening
            parts.append((slope, by_means, by_mean, narrowing, by_deviation))
        value = logsumexp(total, axis=1)
        share = np.exp(total - value[:, None])
        for slope, by_means, by_mean, narrowing, by_deviation in parts:
            by_means[:, 0] = (share * by_mean).sum(axis=1)
            gradient += slope(by_means, (share * by_deviation).sum(axis=1) + narrowing)
        return value + chances, gradient


def _gain(mean: Array, deviation: Array, sides: Array) -> tuple[Array, Array, Array]:
    """Return the log of the expected length gained within sides, and its slopes (m, b) each.

    Args:
        mean: What is expected (m,) of an objective.
        deviation: How unsurely (m,).
        sides: Lower and upper ends (b, 2).
    """
    ends, places = np.unique(sides, return_inverse=True)
    low, high = places.reshape(sides.shape).T
    log, ratio, density = log_improvement((ends - mean[:, None]) / deviation[:, None])
    less = np.minimum(np.exp(log[:, low] - log[:, high]), _EQUAL)
    gain = log[:, high] + np.log1p(-less) + np.log(deviation)[:, None]
    divisor = (1.0 - less) * deviation[:, None]
    by_mean = -(ratio[:, high] - ratio[:, low] * less) / divisor
    return gain, by_mean, (density[:, high] - density[:, low] * less) / divisor


@dataclass(frozen=True, slots=True)
class Bound:
    """Log of the probability that a constraint is kept.

    Far from any hope it falls more slowly, as its own logarithm: what nothing is known to keep must
    not outweigh that there will be no score at all.

    Attributes:
        posterior: The model of how much it is broken.
        level: The standardised value up to which it is kept.
    """

    posterior: Posterior
    level: float

    @property
    def inverse(self) -> Array:
        """Inverse squared lengths (D,) over which it bends."""
        return self.posterior.factor.kernel.hyper.inverse

    def value(self, rows: Array) -> Array:
        """Return the acquisition (m,) at rows (m, D)."""
        means, deviation = self.posterior.predict(rows)
        return _flattened(log_ndtr((self.level - means[:, 0]) / deviation))[0]

    def slopes(self, rows: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        means, deviation, slope = self.posterior.predict_slopes(rows)
        ratio = (self.level - means[:, 0]) / deviation
        mills = _ROOT_HALF_PI * erfcx(np.minimum(ratio, _SURE) * -np.sqrt(0.5))  # Phi / phi
        by_means = np.zeros_like(means)
        value, turn = _flattened(log_ndtr(ratio))
        by_means[:, 0] = -turn / (mills * deviation)
        return value, slope(by_means, by_means[:, 0] * ratio)


def _flattened(log: Array) -> tuple[Array, Array]:
    """Return log probabilities that fall as their own logarithm far down, and the derivatives."""
    depth = np.maximum(log / -_HOPELESS, 1.0)
    return np.maximum(log, -_HOPELESS) - _HOPELESS * np.log(depth), 1.0 / depth


@dataclass(frozen=True, slots=True)
class Product:
    """Several acquisitions at once: the sum of logarithms."""

    factors: Sequence[Acquisition]

    @property
    def inverse(self) -> Array:
        """Inverse squared lengths (D,) over which it bends."""
        return _shortest([factor.inverse for factor in self.factors])

    def value(self, rows: Array) -> Array:
        """Return the acquisition (m,) at rows (m, D)."""
        value: Array = np.sum([factor.value(rows) for factor in self.factors], axis=0)
        return value

    def slopes(self, rows: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        values, slopes = zip(*(factor.slopes(rows) for factor in self.factors), strict=True)
        return np.sum(values, axis=0), np.sum(slopes, axis=0)


def _shortest(inverses: Sequence[Array]) -> Array:
    """Return the inverse squared lengths (D,) of what bends soonest in each feature."""
    shortest: Array = np.max(inverses, axis=0)
    return shortest
