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
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_hypersearch.search.gp.encode import Array


_BLOCK: Final = 10_000  # numbers in a temporary array, so that a few stay in the cache


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


@dataclass(frozen=True)
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
        d, m, n = len(self._rates), len(a), len(b)
        near, far = self._scaled(a), self._scaled(b)
        step = min(m, max(1, _BLOCK // max(1, (d + 1) * n)))
        radii, decay = np.empty((2, d + 1, step, n))
        covariance = np.empty((m, n))
        for i in range(0, m, step):
            size = min(step, m - i)
            block = radii[:, :size], decay[:, :size]
            self._fill(near[:, i : i + size], far, *block, covariance[i : i + size])
        return covariance

    def slopes(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Return the covariance (m, n) and its derivatives (D, m, n) by the features of a.

        Derivatives by unordered features mean nothing.
        """
        d, m, n = len(self._rates), len(a), len(b)
        radii, decay = np.empty((2, d + 1, m, n))
        away = self._measure(self._scaled(a), self._scaled(b), radii, decay)
        decay *= self._weights
        bend = radii * decay
        radii *= bend
        radii *= 1.0 / 3.0
        bend += decay
        radii += bend
        slopes = bend[:-1] + bend[-1]
        slopes *= away
        slopes *= self._turns
        return np.add.reduce(radii, axis=0), slopes

    @cached_property
    def _rates(self) -> Array:
        """The rates c (D, 1)."""
        return np.sqrt(5.0 * self.hyper.inverse)[:, None]

    @cached_property
    def _turns(self) -> Array:
        """What the rates contribute to derivatives (D, 1, 1)."""
        return self._rates[:, :, None] / -3.0

    @cached_property
    def _weights(self) -> Array:
        """Variance of each parameter alone, then of all jointly (D + 1, 1, 1)."""
        share = self.hyper.additive / len(self._rates)
        return np.array([*[share] * len(self._rates), self.hyper.signal])[:, None, None]

    @cached_property
    def _unordered(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.categorical)

    def _scaled(self, rows: Array) -> Array:
        """Return rows (m, D) as multiples of length scales (D, m)."""
        return rows.T * self._rates

    def _fill(self, near: Array, far: Array, radii: Array, decay: Array, covariance: Array) -> None:
        """Write the covariance (m, n) of scaled rows; radii and decay are scratch (D + 1, m, n)."""
        self._measure(near, far, radii, decay)
        decay *= self._weights
        value = radii * (1.0 / 3.0)
        value += 1.0
        value *= radii
        value += 1.0
        value *= decay
        np.add.reduce(value, axis=0, out=covariance)

    def _measure(self, near: Array, far: Array, radii: Array, decay: Array) -> Array:
        """Write radii R in each feature, then jointly, and exp(-R); return what the former are of.

        Args:
            near: Scaled rows (D, m).
            far: Scaled rows (D, n).
            radii: Where to write R (D + 1, m, n).
            decay: Where to write exp(-R) (D + 1, m, n).
        """
        away = near[:, :, None] - far[:, None, :]
        for feature in self._unordered:
            away[feature] = (away[feature] != 0) * self._rates[feature]
        np.abs(away, out=radii[:-1])
        np.einsum("dij,dij->ij", away, away, out=radii[-1])
        np.sqrt(radii[-1], out=radii[-1])
        np.exp(np.negative(radii, out=decay), out=decay)
        return away


def distances(rows: Array, categorical: NDArray[np.bool_]) -> Array:
    """Return each feature's distance (D, n * (n - 1) / 2) between all pairs of rows (n, D)."""
    first, second = np.triu_indices(len(rows), 1)
    gaps = np.abs(rows.T[:, first] - rows.T[:, second])
    gaps[categorical] = gaps[categorical] != 0
    return gaps
