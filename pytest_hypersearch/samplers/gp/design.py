"""The first configurations: a Latin hypercube whose points keep their distance."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_hypersearch.samplers.gp.encode import Array, encoding_of

if TYPE_CHECKING:
    from pytest_hypersearch.space import Space

_TRIES: Final = 64


def design_size(space: Space) -> int:
    """Return how many configurations are spread evenly before the first model is built."""
    widest = max(len(branch.domains) for branch in encoding_of(space).branches)
    return max(min(widest + 2, 8), 4) if len(space.branches) == 1 else 3 * len(space.branches) + 3


@lru_cache(maxsize=16)
def initial_design(space: Space, seed: int) -> tuple[tuple[int, Array], ...]:
    """Return branch and row (D,) of the first configurations.

    Every numeric parameter meets each of as many equal parts of its range as there are points, and
    every choice its options equally often; of 64 such designs the one with the largest smallest
    distance is taken (maximin Latin hypercube: Morris & Mitchell 1995). Branches take turns.
    """
    encoding, size = encoding_of(space), design_size(space)
    rng = np.random.default_rng((seed, 0))
    plan: list[tuple[int, Array]] = []
    count = len(encoding.branches)
    for number, branch in enumerate(encoding.branches):
        share = len(range(number, size, count))
        unit = _spread(rng, share, [domain.lattice is None for domain in branch.domains])
        plan += [(number, row) for row in branch.rows(unit)]
    order = _interleave([number for number, _ in plan])
    return tuple(plan[i] for i in order)


def _spread(rng: np.random.Generator, size: int, continuous: list[bool]) -> Array:
    """Return the points (size, dimensions) of a Latin hypercube in the unit cube.

    Only continuous parameters are moved about within their cells: the middles of the cells are
    spread most evenly over a few values.
    """
    dimensions = len(continuous)
    best, distance = np.full((size, dimensions), 0.5), -1.0
    for _ in range(_TRIES if size > 1 and dimensions else 0):
        cells = rng.permuted(np.tile(np.arange(size), (dimensions, 1)), axis=1).T
        within = np.where(continuous, rng.random((size, dimensions)), 0.5)
        points = (cells + within) / size
        gaps = ((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)
        nearest = float(gaps[np.triu_indices(size, 1)].min())
        if nearest > distance:
            best, distance = points, nearest
    return best


def _interleave(branches: list[int]) -> list[int]:
    """Return an order in which the branches take turns."""
    seen: dict[int, int] = {}
    keys = []
    for position, branch in enumerate(branches):
        seen[branch] = seen.get(branch, -1) + 1
        keys.append((seen[branch], branch, position))
    return [position for _, _, position in sorted(keys)]
