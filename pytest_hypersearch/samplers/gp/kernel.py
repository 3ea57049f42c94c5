"""The covariance: a Matern-5/2 of all parameters plus the mean of one of each parameter alone.

Losses are often largely sums of the effects of single parameters. The sum finds each effect from
all results at once; the product, which has to see parameters together, is left with what they do
jointly (Duvenaud et al., Additive Gaussian processes, NeurIPS 2011). Both share one length scale a
feature; the fit decides how much either explains.

Notation: rows (n, D); rates c (D,), sqrt(5) over the length scale; radii R (D, ...), rate times
distance in each feature; options of a choice that differ are at distance 1 (Hamming).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_hypersearch.samplers.gp.encode import Array

_BLOCK: Final = (
    30_000  # numbers in a temporary array, such that a few stay in the processor's cache
)


@dataclass(frozen=True, slots=True)
class Hyper:
    """Fitted hyperparameters.

    Attributes:
        inverse: Inverse squared length scales (D,).
        signal: Variance of what parameters do jointly.
        additive: Variance of the sum of what they do alone.
        noise: Noise variance of a single score.
        exponent: The exponent of the scores' warp, 1 for none.
    """

    inverse: Array
    signal: float
    additive: float
    noise: float
    exponent: float


@dataclass(frozen=True, slots=True)
class Kernel:
    """The covariance function for fixed hyperparameters.

    Attributes:
        hyper: The hyperparameters.
        categorical: Which features (D,) hold unordered numbers.
    """

    hyper: Hyper
    categorical: NDArray[np.bool_]

    @property
    def variance(self) -> float:
        """Prior variance of any point."""
        return self.hyper.signal + self.hyper.additive

    def covariance(self, a: Array, b: Array) -> Array:
        """Return the covariance (m, n) of rows (m, D) and (n, D)."""
        step = max(1, _BLOCK // max(1, b.size))
        blocks = [self._block(a[i : i + step], b) for i in range(0, len(a), step)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Return the covariance (m, n) and its derivatives (D, m, n) by the features of a.

        Derivatives by unordered features mean nothing.
        """
        radii = self._radii(a, b)
        total = np.sqrt(np.einsum("dij,dij->ij", radii, radii))
        value, slope = matern(total)
        parts, part_slopes = matern(radii)
        share = self.hyper.additive / len(radii)
        part_slopes *= share
        part_slopes += self.hyper.signal * slope
        part_slopes *= a.T[:, :, None] - b.T[:, None, :]
        part_slopes *= (10.0 * self.hyper.inverse)[:, None, None]
        return self.hyper.signal * value + share * parts.sum(axis=0), part_slopes

    def _block(self, a: Array, b: Array) -> Array:
        radii = self._radii(a, b)
        total = np.sqrt(np.einsum("dij,dij->ij", radii, radii))
        alone: Array = correlation(radii).sum(axis=0)
        alone *= self.hyper.additive / len(radii)
        alone += self.hyper.signal * correlation(total)
        return alone

    def _radii(self, a: Array, b: Array) -> Array:
        rates = np.sqrt(5.0 * self.hyper.inverse)[:, None]
        radii = (a.T * rates)[:, :, None] - (b.T * rates)[:, None, :]
        np.abs(radii, out=radii)
        for feature in np.flatnonzero(self.categorical):
            radii[feature] = (radii[feature] > 0) * rates[feature]
        return radii


def correlation(radii: Array) -> Array:
    """Return the Matern-5/2 correlation (1 + R + R^2 / 3) exp(-R) at radii R."""
    decay = np.exp(-radii)
    value = radii * (1.0 / 3.0)
    value += 1.0
    value *= radii
    value += 1.0
    value *= decay
    return value


def matern(radii: Array) -> tuple[Array, Array]:
    """Return the Matern-5/2 correlation at radii R, and its derivative by R^2."""
    decay = np.exp(-radii)
    slope = (1.0 + radii) * decay
    return slope + radii * radii * decay / 3.0, slope * (-1.0 / 6.0)


def distances(rows: Array, categorical: NDArray[np.bool_]) -> Array:
    """Return each feature's distance (D, n * (n - 1) / 2) between all pairs of rows (n, D)."""
    first, second = np.triu_indices(len(rows), 1)
    gaps = np.abs(rows.T[:, first] - rows.T[:, second])
    gaps[categorical] = gaps[categorical] != 0
    return gaps
