"""The logarithm of expected improvement, which neither underflows nor goes flat.

Ament et al., Unexpected improvements to expected improvement (NeurIPS 2023). Once trials have
failed it is weighted by the probability of a score (Gelbart, Snoek & Adams, UAI 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from scipy.special import erfcx, log_ndtr

if TYPE_CHECKING:
    from pytest_hypersearch.search.gp.encode import Array
    from pytest_hypersearch.search.gp.posterior import Posterior


_LOG_ROOT_TWO_PI: Final = 0.5 * np.log(2.0 * np.pi)
_ROOT_HALF_PI: Final = np.sqrt(np.pi / 2.0)
_SURE: Final = 20.0
_FAR: Final = -1e4  # where 1 - |z| * Mills' ratio has lost its digits
_DOUBT: Final = 0.05  # how sharply failures are told from scores


def log_improvement(z: Array) -> tuple[Array, Array, Array]:
    """Return log h(z), Phi(z) / h(z) and phi(z) / h(z) for h(z) = phi(z) + z * Phi(z).

    Args:
        z: (best - mean) / deviation.
    """
    low = np.minimum(z, _SURE)
    mills = _ROOT_HALF_PI * erfcx(low * -np.sqrt(0.5))  # Phi / phi
    tail = 1.0 + low * mills  # h / phi
    if low.min(initial=0.0) < _FAR:
        tail = np.where(low < _FAR, np.minimum(low, _FAR) ** -2.0, tail)
    excess = np.maximum(z, _SURE) / _SURE  # beyond it h(z) is z
    value = np.log(tail * excess) - 0.5 * low * low - _LOG_ROOT_TWO_PI
    return value, mills / (tail * excess), 1.0 / tail


class Acquisition(Protocol):
    """How much a configuration promises."""

    @property
    def inverse(self) -> Array:
        """Inverse squared lengths (D,) over which it bends."""
        ...

    def value(self, rows: Array) -> Array:
        """Return the acquisition (m,) at rows (m, D)."""
        ...

    def slopes(self, rows: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        ...


@dataclass(frozen=True, slots=True)
class LogEI:
    """Log of expected improvement over the best, times the probability that there is a score.

    Attributes:
        posterior: The model of the standardised score and, if there were failures, of a second
            target that is 1 where there is a score and -1 where there is none.
        best: The standardised score to improve upon.
    """

    posterior: Posterior
    best: float

    @property
    def inverse(self) -> Array:
        """Inverse squared lengths (D,) over which it bends."""
        return self.posterior.factor.kernel.hyper.inverse

    def value(self, rows: Array) -> Array:
        """Return the acquisition (m,) at rows (m, D)."""
        means, deviation = self.posterior.predict(rows)
        value = log_improvement((self.best - means[:, 0]) / deviation)[0] + np.log(deviation)
        for mean in means.T[1:]:
            value += log_ndtr(mean / width_of(self.posterior, deviation))
        return value

    def slopes(self, rows: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        means, deviation, slope = self.posterior.predict_slopes(rows)
        value, lower, higher = log_improvement((self.best - means[:, 0]) / deviation)
        value += np.log(deviation)
        by_means = np.empty_like(means)
        by_means[:, 0] = lower / -deviation
        by_deviation = higher / deviation
        for target in range(1, means.shape[1]):
            chance, weight, widening = chance_slopes(self.posterior, means[:, target], deviation)
            value += chance
            by_means[:, target] = weight
            by_deviation -= weight * widening
        return value, slope(by_means, by_deviation)


def chance_slopes(
    posterior: Posterior, mean: Array, deviation: Array
) -> tuple[Array, Array, Array]:
    """Return log chances of a score (m,) and what their slopes are made of.

    Args:
        posterior: The model of the score and of whether there is one.
        mean: What it expects (m,) of the latter.
        deviation: How unsure it is (m,).
    """
    width = width_of(posterior, deviation)
    ratio = mean / width
    chance = log_ndtr(ratio)
    weight = np.exp(-0.5 * ratio * ratio - _LOG_ROOT_TWO_PI - chance) / width
    widening = ratio * deviation / (width * posterior.factor.kernel.variance)
    return chance, weight, widening


def width_of(posterior: Posterior, deviation: Array) -> Array:
    """Return how unsure (m,) the second target is, the prior's deviation being 1."""
    width: Array = np.sqrt(deviation**2 / posterior.factor.kernel.variance + _DOUBT)
    return width
