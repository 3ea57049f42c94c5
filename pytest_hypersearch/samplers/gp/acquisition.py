"""The logarithm of expected improvement, which neither underflows nor goes flat.

Ament et al., Unexpected improvements to expected improvement (NeurIPS 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import erfcx, ndtr

if TYPE_CHECKING:
    from pytest_hypersearch.samplers.gp.encode import Array
    from pytest_hypersearch.samplers.gp.posterior import Posterior

_LOG_ROOT_TWO_PI: Final = 0.5 * np.log(2.0 * np.pi)
_FAR: Final = -1e4  # where 1 - |z| * Mills' ratio has lost its digits


def log_improvement(z: Array) -> tuple[Array, Array, Array]:
    """Return log h(z), Phi(z) / h(z) and phi(z) / h(z) for h(z) = phi(z) + z * Phi(z).

    Args:
        z: (best - mean) / deviation.
    """
    low = np.minimum(z, -1.0)
    mills = np.sqrt(np.pi / 2.0) * erfcx(-low / np.sqrt(2.0))  # Phi / phi
    tail = np.where(low < _FAR, 1.0 / (low * low), 1.0 + low * mills)  # h / phi
    high = np.maximum(z, -1.0)
    density = np.exp(-0.5 * high * high - _LOG_ROOT_TWO_PI)
    total = density + high * ndtr(high)
    near = z > -1.0
    value = np.where(near, np.log(total), np.log(tail) - 0.5 * low * low - _LOG_ROOT_TWO_PI)
    return (
        value,
        np.where(near, ndtr(high) / total, mills / tail),
        np.where(near, density / total, 1.0 / tail),
    )


@dataclass(frozen=True, slots=True)
class LogEI:
    """Log expected improvement over the best.

    Attributes:
        posterior: The model.
        best: The standardised score to improve upon.
    """

    posterior: Posterior
    best: float

    def value(self, rows: Array) -> Array:
        """Return the acquisition (m,) at rows (m, D)."""
        mean, deviation = self.posterior.predict(rows)
        return log_improvement((self.best - mean) / deviation)[0] + np.log(deviation)

    def slopes(self, rows: Array) -> tuple[Array, Array]:
        """Return the acquisition (m,) and its gradient (m, D)."""
        mean, deviation, mean_slope, deviation_slope = self.posterior.predict_slopes(rows)
        value, lower, higher = log_improvement((self.best - mean) / deviation)
        slope = higher[:, None] * deviation_slope - lower[:, None] * mean_slope
        return value + np.log(deviation), slope / deviation[:, None]
