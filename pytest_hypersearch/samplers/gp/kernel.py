"""Matern-5/2 with one length scale a feature; choices count by agreeing or not.

Notation: F (n, P) are rows expanded such that squared distances weighted by ``weights`` (P,), the
inverse squared length scales, are the kernel's r^2; a choice becomes one column an option, so that
two rows that disagree are at distance 1 (Hamming), whichever the options.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_hypersearch.samplers.gp.encode import Array, Encoding


@dataclass(frozen=True, slots=True)
class Expansion:
    """From rows (n, D) to F (n, P).

    Attributes:
        owner: The feature (P,) that each column belongs to.
        code: The option (P,) that a column stands for, NaN in columns of ordered features.
    """

    owner: NDArray[np.intp]
    code: Array

    def __call__(self, rows: Array) -> Array:
        """Return F (n, P) of rows (n, D)."""
        columns = rows[:, self.owner]
        agree = (columns == self.code) * np.sqrt(0.5)
        return np.where(np.isnan(self.code), columns, agree)


def expansion_of(encoding: Encoding) -> Expansion:
    """Return how an encoding's rows are expanded; a parameter that is absent has code -1."""
    owner: list[int] = []
    code: list[float] = []
    for feature in range(encoding.features):
        codes = _codes(encoding, feature) if encoding.categorical[feature] else [np.nan]
        owner += [feature] * len(codes)
        code += codes
    return Expansion(np.array(owner, dtype=np.intp), np.array(code))


def _codes(encoding: Encoding, feature: int) -> list[float]:
    codes = {float(branch.base[feature]) for branch in encoding.branches}
    for branch in encoding.branches:
        for domain in branch.domains:
            if domain.feature == feature and domain.lattice is not None:
                codes |= set(domain.lattice.tolist())
    return sorted(codes)


def matern(r2: Array) -> tuple[Array, Array]:
    """Return the Matern-5/2 correlation and its derivative by r^2, at squared distances r2."""
    r = np.sqrt(5.0 * r2)
    decay = np.exp(-r)
    slope = (1.0 + r) * decay
    return slope + r * r * decay / 3.0, slope * (-5.0 / 6.0)


def squared_distances(a: Array, b: Array) -> Array:
    """Return the squared Euclidean distances (n, m) between rows of a (n, P) and b (m, P)."""
    r2 = a @ b.T
    r2 *= -2.0
    r2 += np.einsum("ij,ij->i", a, a)[:, None]
    r2 += np.einsum("ij,ij->i", b, b)[None, :]
    return np.maximum(r2, 0.0, out=r2)


def squared_differences(rows: Array, categorical: NDArray[np.bool_]) -> Array:
    """Return the tensor (D, n * n) of each feature's squared difference between rows (n, D)."""
    columns = np.ascontiguousarray(rows.T)
    gaps = columns[:, :, None] - columns[:, None, :]
    gaps[categorical] = gaps[categorical] != 0
    return (gaps * gaps).reshape(len(columns), -1)
