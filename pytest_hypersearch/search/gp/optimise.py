"""Where the acquisition is largest: a cloud of candidates, then climbs and sweeps from the best."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_hypersearch.search.gp.bfgs import descend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.search.gp.acquisition import Acquisition
    from pytest_hypersearch.search.gp.encode import Array, Branch, Domain


_SPREAD: Final = 128
_NEAR: Final = 96
_ALONG: Final = 12
_CROSSING: Final = 96
_CLIMBED: Final = 3
_STARTS: Final = 3
_SWEPT: Final = 16
_TRIED: Final = 8000  # changes in a sweep, times features and what else a change costs
_OVERHEAD: Final = 4
_ROUNDS: Final = 3
_APART: Final = 0.1
_LOOKED_AT: Final = 60
_LONGEST: Final = 0.05
_SHARPEST: Final = 1e3
_FLATTEST: Final = 0.3
_CLIMB: Final = 20
_TOLERANCE: Final = 1e-3


def search(
    branches: Sequence[Branch],
    acquisition: Acquisition,
    incumbents: Sequence[Array],
    rng: np.random.Generator,
) -> list[tuple[Array, Array]]:
    """Return each branch's rows (m, D) in descending order of their acquisition (m,).

    Many branches share the candidates, and only the most promising of them are climbed in.

    Args:
        branches: The branches to search.
        acquisition: What is to be large.
        incumbents: The best configurations so far (k, D) of each branch, best first.
        rng: Source of all random decisions.
    """
    share = min(1.0, _CLIMBED / len(branches))
    clouds = [
        _cloud(branch, acquisition, known, rng, share)
        for branch, known in zip(branches, incumbents, strict=True)
    ]
    ahead = sorted(range(len(clouds)), key=lambda i: -clouds[i][1][0])[:_CLIMBED]
    for i in ahead:
        clouds[i] = _climbed(branches[i], acquisition, clouds[i], incumbents[i])
    return clouds


def _cloud(
    branch: Branch,
    acquisition: Acquisition,
    incumbents: Array,
    rng: np.random.Generator,
    share: float,
) -> tuple[Array, Array]:
    """Return candidates (m, D) and their acquisition (m,), best first."""
    count = len(branch.domains)
    if not count:
        return branch.base[None, :], acquisition.value(branch.base[None, :])
    cloud = branch.rows(rng.random((ceil(share * _SPREAD), count)))
    if len(incumbents):
        near = _neighbours(branch, incumbents, rng, ceil(share * _NEAR))
        cloud = np.vstack([cloud, near, _crossing(branch, incumbents[0], rng, share)])
    return _ordered(cloud, acquisition.value(cloud))


def _climbed(
    branch: Branch, acquisition: Acquisition, cloud: tuple[Array, Array], incumbents: Array
) -> tuple[Array, Array]:
    """Return a cloud with what climbs and sweeps from its best rows reach, best first."""
    rows, values = cloud
    refined, reached = _refine(branch, acquisition, _starts(rows, incumbents))
    return _ordered(np.vstack([refined, rows]), np.concatenate([reached, values]))


def _ordered(rows: Array, values: Array) -> tuple[Array, Array]:
    order = np.argsort(-values, kind="stable")
    return rows[order], values[order]


def _neighbours(branch: Branch, incumbents: Array, rng: np.random.Generator, size: int) -> Array:
    """Return incumbents with a random part of their parameters moved, by steps of many sizes."""
    rows = incumbents[rng.integers(len(incumbents), size=size)].copy()
    count = len(branch.domains)
    moved = rng.random((size, count)) < rng.uniform(1.0 / count, 1.0, size=(size, 1))
    moved[np.arange(size), rng.integers(count, size=size)] = True
    reach = 0.5 * 10.0 ** rng.uniform(-3.0, 0.0, size=(size, 1))
    steps = reach * rng.standard_normal((size, count))
    fresh = rng.random((size, count))
    for column, domain in enumerate(branch.domains):
        old = rows[:, domain.feature]
        new = (
            domain.place(fresh[:, column])
            if domain.categorical
            else domain.snap(old + steps[:, column] * (domain.high - domain.low))
        )
        rows[:, domain.feature] = np.where(moved[:, column], new, old)
    return rows


def _crossing(branch: Branch, incumbent: Array, rng: np.random.Generator, share: float) -> Array:
    """Return the incumbent with one continuous parameter at a time taken across all of its range.

    Where a loss is largely a sum of single effects with several minima each, the way to a better
    one is a long step along a single parameter, of which a cloud has hardly any. Those of other
    parameters are swept anyway.
    """
    continuous = [domain for domain in branch.domains if domain.lattice is None]
    steps = min(_ALONG, max(_CROSSING // len(branch.domains), 1))
    steps = ceil(share * steps)
    rows = np.repeat(incumbent[None, :], len(continuous) * steps, axis=0)
    for place, domain in enumerate(continuous):
        part = rows[place * steps : (place + 1) * steps]
        part[:, domain.feature] = domain.place((np.arange(steps) + rng.random(steps)) / steps)
    return rows


def _starts(cloud: Array, incumbents: Array) -> Array:
    """Return the best of the cloud, some apart from it, and the best incumbent."""
    looked_at = cloud[:_LOOKED_AT]
    picked, apart = [0], np.ones(len(looked_at), dtype=bool)
    while len(picked) < _STARTS:
        apart &= np.abs(looked_at - cloud[picked[-1]]).max(axis=1) > _APART
        if not apart.any():
            break
        picked.append(int(apart.argmax()))
    return np.vstack([cloud[picked], incumbents[:1]])


def _refine(branch: Branch, acquisition: Acquisition, starts: Array) -> tuple[Array, Array]:
    """Return starts (k, D) after climbs and sweeps, with their acquisition (k,).

    Continuous parameters climb by the gradient; the others move one at a time, while that helps.
    """
    rows, values = starts, np.full(len(starts), -np.inf)
    continuous = [domain for domain in branch.domains if domain.lattice is None]
    discrete = [domain for domain in branch.domains if domain.lattice is not None]
    for _ in range(_ROUNDS):
        if continuous:
            rows, values = _climb(acquisition, continuous, rows)
        if not discrete:
            break
        before = rows
        rows, values = _sweep(acquisition, discrete, rows, values)
        if np.array_equal(before, rows):
            break
    return rows, values


def _climb(acquisition: Acquisition, domains: list[Domain], rows: Array) -> tuple[Array, Array]:
    """Return rows (k, D) at local maxima in the continuous parameters, and the maxima (k,)."""
    features = np.array([domain.feature for domain in domains])
    inverse = acquisition.inverse[features]
    moved = rows.copy()

    def objective(points: Array) -> tuple[Array, Array]:
        moved[:, features] = points
        value, slope = acquisition.slopes(moved)
        return -value, -slope[:, features]

    climbed = rows.copy()
    climbed[:, features], values = descend(
        objective,
        rows[:, features],
        np.array([domain.low for domain in domains]),
        np.array([domain.high for domain in domains]),
        scale=1.0 / np.minimum(np.maximum(inverse, _FLATTEST), _SHARPEST),
        longest=_LONGEST,
        steps=_CLIMB,
        tolerance=_TOLERANCE,
    )
    return climbed, -values


def _sweep(
    acquisition: Acquisition, domains: list[Domain], rows: Array, values: Array
) -> tuple[Array, Array]:
    """Return rows (k, D) each with the single change that gains most, and what they reach (k,).

    Where there are very many changes to try, only the best rows are changed.
    """
    options = [[row, *_changes(row, domains)] for row in rows]
    most = _TRIED // (_OVERHEAD + rows.shape[1]) // max(map(len, options))
    chosen = np.sort(np.argsort(-values, kind="stable")[: max(most, 1)])
    reached = acquisition.value(np.array([row for i in chosen for row in options[i]]))
    groups = np.split(reached, np.cumsum([len(options[i]) for i in chosen])[:-1])
    swept, values = rows.copy(), values.copy()
    for i, group in zip(chosen, groups, strict=True):
        best = int(np.argmax(group))
        swept[i], values[i] = options[i][best], group[best]
    return swept, values


def _changes(row: Array, domains: list[Domain]) -> list[Array]:
    changed = []
    for domain in domains:
        lattice = domain.lattice
        if lattice is None:
            continue
        here = int(np.argmin(np.abs(lattice - row[domain.feature])))
        near = (
            range(len(lattice))
            if domain.categorical or len(lattice) <= _SWEPT
            else range(max(here - 3, 0), min(here + 4, len(lattice)))
        )
        for position in near:
            if position != here:
                other = row.copy()
                other[domain.feature] = lattice[position]
                changed.append(other)
    return changed
