"""Where the acquisition is largest: a cloud of candidates, then climbs and sweeps from the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_hypersearch.samplers.gp.descend import descend

if TYPE_CHECKING:
    from pytest_hypersearch.samplers.gp.acquisition import Acquisition
    from pytest_hypersearch.samplers.gp.encode import Array, Branch, Domain

_SPREAD: Final = 128
_NEAR: Final = 96
_ALONG: Final = 12
_CROSSING: Final = 96
_STARTS: Final = 3
_SWEPT: Final = 16
_ROUNDS: Final = 3
_APART: Final = 0.1
_LOOKED_AT: Final = 60
_LONGEST: Final = 0.05
_SHARPEST: Final = 1e3
_FLATTEST: Final = 0.3
_CLIMB: Final = 20
_TOLERANCE: Final = 1e-3


def search(
    branch: Branch, acquisition: Acquisition, incumbents: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return rows (m, D) in descending order of their acquisition (m,).

    Args:
        branch: The branch to search.
        acquisition: What is to be large.
        incumbents: The best configurations so far (k, D), of this branch, best first.
        rng: Source of all random decisions.
    """
    count = len(branch.domains)
    if not count:
        return branch.base[None, :], acquisition.value(branch.base[None, :])
    rows = [branch.rows(rng.random((_SPREAD, count)))]
    if len(incumbents):
        rows += [_neighbours(branch, incumbents, rng), _crossing(branch, incumbents[0], rng)]
    cloud = np.vstack(rows)
    values = acquisition.value(cloud)
    order = np.argsort(-values, kind="stable")
    cloud, values = cloud[order], values[order]
    climbed, refined = _refine(branch, acquisition, _starts(cloud, incumbents))
    cloud, values = np.vstack([climbed, cloud]), np.concatenate([refined, values])
    order = np.argsort(-values, kind="stable")
    return cloud[order], values[order]


def _neighbours(branch: Branch, incumbents: Array, rng: np.random.Generator) -> Array:
    """Return incumbents with a random part of their parameters moved, by steps of many sizes."""
    rows = incumbents[rng.integers(len(incumbents), size=_NEAR)].copy()
    count = len(branch.domains)
    moved = rng.random((_NEAR, count)) < rng.uniform(1.0 / count, 1.0, size=(_NEAR, 1))
    moved[np.arange(_NEAR), rng.integers(count, size=_NEAR)] = True
    reach = 0.5 * 10.0 ** rng.uniform(-3.0, 0.0, size=(_NEAR, 1))
    steps = reach * rng.standard_normal((_NEAR, count))
    fresh = rng.random((_NEAR, count))
    for column, domain in enumerate(branch.domains):
        old = rows[:, domain.feature]
        new = (
            domain.place(fresh[:, column])
            if domain.categorical
            else domain.snap(old + steps[:, column] * (domain.high - domain.low))
        )
        rows[:, domain.feature] = np.where(moved[:, column], new, old)
    return rows


def _crossing(branch: Branch, incumbent: Array, rng: np.random.Generator) -> Array:
    """Return the incumbent with one continuous parameter at a time taken across all of its range.

    Where a loss is largely a sum of single effects with several minima each, the way to a better
    one is a long step along a single parameter, of which a cloud has hardly any. Those of other
    parameters are swept anyway.
    """
    continuous = [domain for domain in branch.domains if domain.lattice is None]
    steps = min(_ALONG, max(_CROSSING // max(len(branch.domains), 1), 1))
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
        rows, values = _sweep(acquisition, discrete, rows)
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


def _sweep(acquisition: Acquisition, domains: list[Domain], rows: Array) -> tuple[Array, Array]:
    """Return rows (k, D) each with the single change that gains most, and what they reach (k,)."""
    options = [[row, *_changes(row, domains)] for row in rows]
    values = np.split(
        acquisition.value(np.array([row for group in options for row in group])),
        np.cumsum([len(group) for group in options])[:-1],
    )
    best = [int(np.argmax(value)) for value in values]
    swept = np.array([group[i] for group, i in zip(options, best, strict=True)])
    return swept, np.array([value[i] for value, i in zip(values, best, strict=True)])


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
