"""Maximisation of the acquisition: random candidates, then BFGS and sweeps from the best of them.

Notation:

    m, D    candidates, features
    k       starts of the local search
    X       rows (m, D); values are the acquisition (m,) at them
    d       features of a branch that vary

The candidates are points of the whole branch, the best configurations so far with some parameters
moved, and the best one with a single parameter moved across its range. From the best candidates
and the best configuration, continuous parameters climb by the gradient and discrete ones change one
at a time, in turns, until nothing improves.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

import numpy as np

from pytest_hypersearch.search.gp.acquisition import Acquisition
from pytest_hypersearch.search.gp.bfgs import minimise
from pytest_hypersearch.search.gp.encode import Array, Branch, Domain

INCUMBENTS: Final = 5  # best configurations of a branch, near which candidates are
_UNIFORM: Final = 128  # candidates all over a branch
_NEAR: Final = 96  # candidates near the best configurations
_LINE: Final = 12  # candidates along one parameter, at most
_LINES: Final = 96  # candidates along all parameters, at most
_REFINED_BRANCHES: Final = 3
_STARTS: Final = 3
_SWEPT: Final = 16  # ordered values of a parameter up to which a sweep tries all of them
_SWEEP_COST: Final = 8000  # changes in a sweep times the cost of one: features and an overhead
_OVERHEAD: Final = 4
_ROUNDS: Final = 3
_APART: Final = 0.1  # largest coordinate distance between starts
_BEST_CANDIDATES: Final = 60  # among which starts are chosen
_LONGEST: Final = 0.05
_LARGEST_INVERSE: Final = 1e3
_SMALLEST_INVERSE: Final = 0.3
_CLIMB_STEPS: Final = 20
_TOLERANCE: Final = 1e-3


def search(
    branches: Sequence[Branch],
    acquisition: Acquisition,
    incumbents: Sequence[Array],
    rng: np.random.Generator,
) -> list[tuple[Array, Array]]:
    """Return each branch's rows (m, D) in descending order of their acquisition (m,).

    Many branches share the candidates, and only the most promising of them are refined.

    Args:
        branches: The branches to search.
        acquisition: What to maximise.
        incumbents: The best configurations so far (k, D) of each branch, best first.
        rng: Source of all random decisions.
    """
    share = min(1.0, _REFINED_BRANCHES / len(branches))
    candidates = [
        _candidates(branch, acquisition, best, rng, share)
        for branch, best in zip(branches, incumbents, strict=True)
    ]
    order = sorted(range(len(candidates)), key=lambda i: -candidates[i][1][0])
    for i in order[:_REFINED_BRANCHES]:
        candidates[i] = _refined(branches[i], acquisition, candidates[i], incumbents[i])
    return candidates


def _candidates(
    branch: Branch,
    acquisition: Acquisition,
    incumbents: Array,
    rng: np.random.Generator,
    share: float,
) -> tuple[Array, Array]:
    """Return candidates (m, D) and their acquisition (m,), best first."""
    d = len(branch.domains)
    if not d:
        return branch.base[None, :], acquisition.value(branch.base[None, :])
    X = branch.rows(rng.random((ceil(share * _UNIFORM), d)))
    if len(incumbents):
        near = _neighbours(branch, incumbents, rng, ceil(share * _NEAR))
        X = np.vstack([X, near, _lines(branch, incumbents[0], rng, share)])
    return _ordered(X, acquisition.value(X))


def _refined(
    branch: Branch, acquisition: Acquisition, candidates: tuple[Array, Array], incumbents: Array
) -> tuple[Array, Array]:
    """Return candidates together with what the local search reaches from them, best first."""
    X, values = candidates
    X_local, local = _local_search(branch, acquisition, _starts(X, incumbents))
    return _ordered(np.vstack([X_local, X]), np.concatenate([local, values]))


def _ordered(X: Array, values: Array) -> tuple[Array, Array]:
    order = np.argsort(-values, kind="stable")
    return X[order], values[order]


def _neighbours(branch: Branch, incumbents: Array, rng: np.random.Generator, size: int) -> Array:
    """Return incumbents with a random part of their parameters moved, by steps of many sizes."""
    X = incumbents[rng.integers(len(incumbents), size=size)].copy()
    d = len(branch.domains)
    moved = rng.random((size, d)) < rng.uniform(1.0 / d, 1.0, size=(size, 1))
    moved[np.arange(size), rng.integers(d, size=size)] = True
    reach = 0.5 * 10.0 ** rng.uniform(-3.0, 0.0, size=(size, 1))
    steps = reach * rng.standard_normal((size, d))
    U = rng.random((size, d))
    for column, domain in enumerate(branch.domains):
        old = X[:, domain.feature]
        new = (
            domain.from_unit(U[:, column])
            if domain.categorical
            else domain.snap(old + steps[:, column] * (domain.high - domain.low))
        )
        X[:, domain.feature] = np.where(moved[:, column], new, old)
    return X


def _lines(branch: Branch, incumbent: Array, rng: np.random.Generator, share: float) -> Array:
    """Return the incumbent with one continuous parameter at a time moved across its range.

    Where a loss is largely a sum of single effects with several minima each, the way to a better
    one is a long step along a single parameter, which random candidates hardly ever are. Sweeps
    try those of discrete parameters anyway.
    """
    continuous = [domain for domain in branch.domains if domain.lattice is None]
    steps = min(_LINE, max(_LINES // len(branch.domains), 1))
    steps = ceil(share * steps)
    X = np.repeat(incumbent[None, :], len(continuous) * steps, axis=0)
    for i, domain in enumerate(continuous):
        part = X[i * steps : (i + 1) * steps]
        part[:, domain.feature] = domain.from_unit((np.arange(steps) + rng.random(steps)) / steps)
    return X


def _starts(X: Array, incumbents: Array) -> Array:
    """Return the best candidates that are apart from each other, and the best incumbent."""
    best = X[:_BEST_CANDIDATES]
    picked, apart = [0], np.ones(len(best), dtype=bool)
    while len(picked) < _STARTS:
        apart &= np.abs(best - X[picked[-1]]).max(axis=1) > _APART
        if not apart.any():
            break
        picked.append(int(apart.argmax()))
    return np.vstack([X[picked], incumbents[:1]])


def _local_search(branch: Branch, acquisition: Acquisition, starts: Array) -> tuple[Array, Array]:
    """Return local maxima (k, D) reached from the starts, with their acquisition (k,)."""
    X, values = starts, np.full(len(starts), -np.inf)
    continuous = [domain for domain in branch.domains if domain.lattice is None]
    discrete = [domain for domain in branch.domains if domain.lattice is not None]
    for _ in range(_ROUNDS):
        if continuous:
            X, values = _climb(acquisition, continuous, X)
        if not discrete:
            break
        before = X
        X, values = _sweep(acquisition, discrete, X, values)
        if np.array_equal(before, X):
            break
    return X, values


def _climb(acquisition: Acquisition, domains: list[Domain], X: Array) -> tuple[Array, Array]:
    """Return rows (k, D) at local maxima in the continuous parameters, and the maxima (k,)."""
    features = np.array([domain.feature for domain in domains])
    inverse = acquisition.inverse_squared_lengthscales[features]
    moved = X.copy()

    def negative(points: Array) -> tuple[Array, Array]:
        moved[:, features] = points
        value, gradient = acquisition.value_and_gradient(moved)
        return -value, -gradient[:, features]

    climbed = X.copy()
    climbed[:, features], values = minimise(
        negative,
        X[:, features],
        np.array([domain.low for domain in domains]),
        np.array([domain.high for domain in domains]),
        # Curvature goes as 1 / ell^2: in multiples of ell, the acquisition is about isotropic.
        scale=1.0 / np.minimum(np.maximum(inverse, _SMALLEST_INVERSE), _LARGEST_INVERSE),
        longest=_LONGEST,
        steps=_CLIMB_STEPS,
        tolerance=_TOLERANCE,
    )
    return climbed, -values


def _sweep(
    acquisition: Acquisition, domains: list[Domain], X: Array, values: Array
) -> tuple[Array, Array]:
    """Return rows (k, D) each with the single change that gains most, and their acquisition (k,).

    Where there are very many changes to try, only the best rows are changed.
    """
    options = [[x, *_changes(x, domains)] for x in X]
    affordable = _SWEEP_COST // (_OVERHEAD + X.shape[1]) // max(map(len, options))
    swept = np.sort(np.argsort(-values, kind="stable")[: max(affordable, 1)])
    reached = acquisition.value(np.array([x for i in swept for x in options[i]]))
    groups = np.split(reached, np.cumsum([len(options[i]) for i in swept])[:-1])
    X, values = X.copy(), values.copy()
    for i, group in zip(swept, groups, strict=True):
        best = int(np.argmax(group))
        X[i], values[i] = options[i][best], group[best]
    return X, values


def _changes(x: Array, domains: list[Domain]) -> list[Array]:
    """Return the row (D,) with one discrete parameter changed, in all ways that a sweep tries."""
    changed = []
    for domain in domains:
        lattice = domain.lattice
        if lattice is None:
            continue
        current = int(np.argmin(np.abs(lattice - x[domain.feature])))
        near = (
            range(len(lattice))
            if domain.categorical or len(lattice) <= _SWEPT
            else range(max(current - 3, 0), min(current + 4, len(lattice)))
        )
        for position in near:
            if position != current:
                other = x.copy()
                other[domain.feature] = lattice[position]
                changed.append(other)
    return changed
