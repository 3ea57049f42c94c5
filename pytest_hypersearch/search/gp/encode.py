"""Encoding of configurations as rows of numbers, and the initial design.

Notation:

    D       features
    X       rows (m, D), one per configuration
    U       points of the unit cube (m, d), one coordinate for each of d parameters that vary

A numeric parameter is one feature in [0, 1], uniform where its distribution is; a choice is one
feature that holds the option's number; a space of several branches has one more such feature, the
branch's number. A parameter that a branch lacks has the middle value, so that branches
share the information on the parameters that they have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Distribution, Space
from pytest_hypersearch.core.space.choices import Choice, label_text
from pytest_hypersearch.core.space.numeric import Integer, Real
from pytest_hypersearch.core.trial import Config, Raw

Array: TypeAlias = NDArray[np.float64]

_LEAST_SHARE: Final = 1e-6  # of a common axis; values of a narrower range would coincide on it
_LARGEST_LATTICE: Final = 1024  # larger stepped ranges are searched as if they were continuous


@frozen
class Domain:
    """The values of one feature in one branch.

    Attributes:
        feature: The feature's index.
        low: Smallest value of the feature; of an option's number too.
        high: Largest value.
        lattice: All values in ascending order if they are few, None for a continuum.
        categorical: Whether the values are unordered.
    """

    feature: int
    low: float
    high: float
    lattice: Array | None
    categorical: bool

    def from_unit(self, u: Array) -> Array:
        """Return the values (m,) at numbers (m,) in [0, 1], of which each has an equal share."""
        if self.categorical and self.lattice is not None:
            last = len(self.lattice) - 1
            values: Array = self.lattice[np.minimum((u * len(self.lattice)).astype(int), last)]
            return values
        return self.snap(self.low + u * (self.high - self.low))

    def snap(self, x: Array) -> Array:
        """Return the nearest values (m,) of an ordered feature.

        Rounding before the kernel and the acquisition see a value, not after (Garrido-Merchan &
        Hernandez-Lobato, Neurocomputing 2020), keeps the search from proposing a value twice.
        """
        if self.lattice is None:
            return np.minimum(np.maximum(x, self.low), self.high)
        edges = (self.lattice[1:] + self.lattice[:-1]) / 2
        return self.lattice[np.searchsorted(edges, x)]


@frozen
class Branch:
    """The encoding of one branch's configurations.

    Attributes:
        base: The row (D,) with the values of all features that do not vary.
        domains: The features that vary.
        names: The parameter of each of the domains.
        distributions: Its distribution.
        constants: Parameters with a single value.
        order: All parameters, in the order of the branch.
    """

    base: Array
    domains: tuple[Domain, ...]
    names: tuple[str, ...]
    distributions: tuple[Distribution, ...]
    constants: Config
    order: tuple[str, ...]

    def rows(self, U: Array) -> Array:
        """Return the rows (m, D) at points (m, d) of the unit cube."""
        X = np.repeat(self.base[None, :], len(U), axis=0)
        for column, domain in enumerate(self.domains):
            X[:, domain.feature] = domain.from_unit(U[:, column])
        return X

    def config(self, x: Array) -> Config:
        """Return the configuration whose row (D,) this is."""
        config = dict(self.constants)
        for name, domain, entry in zip(self.names, self.domains, self.distributions, strict=True):
            config[name] = _value(domain, entry, float(x[domain.feature]))
        return {name: config[name] for name in self.order}


@frozen
class Encoding:
    """The encoding of a space's configurations.

    Attributes:
        features: D.
        categorical: Which features (D,) hold unordered numbers.
        branches: The space's branches.
    """

    features: int
    categorical: NDArray[np.bool_]
    branches: tuple[Branch, ...]
    _axes: tuple[tuple[tuple[str, _Axis], ...], ...]

    def row(self, branch: int, config: Config) -> Array:
        """Return the row (D,) of a configuration of a branch."""
        x = self.branches[branch].base.copy()
        for name, axis in self._axes[branch]:
            x[axis.feature] = axis.position(config[name])
        return x


@frozen
class _Axis:
    """One feature: the distribution that covers its values in all branches that have it."""

    feature: int
    cover: Distribution

    def position(self, raw: Raw) -> float:
        if isinstance(self.cover, Choice):
            return float(self.cover.position(raw))
        return self.cover.to_unit(raw)


@lru_cache(maxsize=16)
def encoding_of(space: Space) -> Encoding:
    """Return the encoding of a space."""
    counter = count()
    axes = {name: _axes(space, name, counter) for name in space.names}
    per_branch = tuple(
        tuple((name, axes[name][index]) for name in branch if index in axes[name])
        for index, branch in enumerate(space.branches)
    )
    number = next(counter)
    several = len(space.branches) > 1
    categorical = np.zeros(number + several, dtype=bool)
    for _, axis in (pair for pairs in per_branch for pair in pairs):
        categorical[axis.feature] = isinstance(axis.cover, Choice)
    categorical[number:] = True
    branches = tuple(
        _branch(space, index, per_branch[index], categorical)
        for index in range(len(space.branches))
    )
    return Encoding(number + several, categorical, branches, per_branch)


def _branch(
    space: Space, index: int, axes: tuple[tuple[str, _Axis], ...], categorical: NDArray[np.bool_]
) -> Branch:
    branch = space.branches[index]
    base = np.where(categorical, -1.0, 0.5)
    if len(space.branches) > 1:
        base[-1] = index
    free = [(name, axis) for name, axis in axes if branch[name].size != 1]
    for name, axis in axes:
        if branch[name].size == 1:
            base[axis.feature] = axis.position(branch[name].centre())
    constants = {name: entry.centre() for name, entry in branch.items() if entry.size == 1}
    return Branch(
        base=base,
        domains=tuple(_domain(axis, branch[name]) for name, axis in free),
        names=tuple(name for name, _ in free),
        distributions=tuple(branch[name] for name, _ in free),
        constants=constants,
        order=tuple(branch),
    )


def _domain(axis: _Axis, entry: Distribution) -> Domain:
    size = entry.size
    if size is not None and size <= _LARGEST_LATTICE:
        lattice = np.array([axis.position(entry.at(i)) for i in range(size)])
        if isinstance(entry, Choice):
            return Domain(axis.feature, 0.0, float(size), lattice, categorical=True)
        # [0, 1] reaches half a step beyond the end values, so that these get a full share.
        covers = entry == axis.cover
        low, high = (0.0, 1.0) if covers else (float(lattice[0]), float(lattice[-1]))
        return Domain(axis.feature, low, high, lattice, categorical=False)
    if entry == axis.cover:
        return Domain(axis.feature, 0.0, 1.0, None, categorical=False)
    low, high = (axis.position(entry.from_unit(u)) for u in (0.0, 1.0))
    return Domain(axis.feature, low, high, None, categorical=False)


def _value(domain: Domain, entry: Distribution, x: float) -> Raw:
    if domain.lattice is not None:
        return entry.at(int(np.argmin(np.abs(domain.lattice - x))))
    return entry.from_unit((x - domain.low) / (domain.high - domain.low))


def _axes(space: Space, name: str, counter: Iterator[int]) -> dict[int, _Axis]:
    """Return a parameter's axis by branch: as few axes as cover its values in all of them."""
    groups: list[list[Distribution]] = []
    group_of = {}
    for index, branch in enumerate(space.branches):
        if name in branch:
            fitting = (group for group in groups if _cover([*group, branch[name]]) is not None)
            group_of[index] = next(fitting, [])
            if not group_of[index]:
                groups.append(group_of[index])
            group_of[index].append(branch[name])
    axes = {
        id(group): _Axis(next(counter), cover)
        for group in groups
        if (cover := _cover(group)) is not None and cover.size != 1
    }
    return {index: axes[id(group)] for index, group in group_of.items() if id(group) in axes}


def _cover(entries: Sequence[Distribution]) -> Distribution | None:
    """Return a distribution with the values of several, all apart on its axis; None without."""
    first, *others = entries
    if all(entry == first for entry in others):
        return first
    choices = [entry for entry in entries if isinstance(entry, Choice)]
    if len(choices) == len(entries):
        labels = {label_text(raw): raw for entry in choices for raw in entry.labels}
        return Choice(tuple(labels.values()), tuple(labels.values()))
    ranges = [entry for entry in entries if isinstance(entry, (Real, Integer))]
    if len(ranges) < len(entries) or len({entry.log for entry in ranges}) > 1:
        return None
    low, high = min(entry.low for entry in ranges), max(entry.high for entry in ranges)
    cover = Real(low, high, None, ranges[0].log)
    for entry in ranges:
        lowest, highest = (cover.to_unit(entry.from_unit(u)) for u in (0.0, 1.0))
        if entry.size != 1 and not highest - lowest > _LEAST_SHARE:
            return None
    return cover


_DESIGNS: Final = 64


def design_size(space: Space) -> int:
    """Return how many configurations are spread evenly before the first model is built."""
    widest = max(len(branch.domains) for branch in encoding_of(space).branches)
    return max(min(widest + 2, 8), 4) if len(space.branches) == 1 else 3 * len(space.branches) + 3


@lru_cache(maxsize=16)
def initial_design(space: Space, seed: int) -> tuple[tuple[int, Array], ...]:
    """Return branch and row (D,) of the first configurations.

    Branches take turns. Each begins at its centre: it is what a person would try first, and the
    optimum is more often inward than at an edge of the ranges that people choose. The others of a
    branch are spread: every numeric parameter has one value in each of as many equal parts of its
    range as there are points, and every choice has its options equally often.
    """
    encoding, size = encoding_of(space), design_size(space)
    rng = np.random.default_rng((seed, 0))
    plan: list[tuple[int, Array]] = []
    count = len(encoding.branches)
    for number, branch in enumerate(encoding.branches):
        share = len(range(number, size, count))
        continuous = [domain.lattice is None for domain in branch.domains]
        U = _maximin_hypercube(rng, share - 1, continuous)
        plan.append((number, encoding.row(number, space.centre(number))))
        plan += [(number, x) for x in branch.rows(U)]
    numbers = [number for number, _ in plan]
    turns = [numbers[:i].count(number) for i, number in enumerate(numbers)]
    return tuple(plan[i] for i in sorted(range(len(plan)), key=lambda i: (turns[i], numbers[i])))


def _maximin_hypercube(rng: np.random.Generator, size: int, continuous: list[bool]) -> Array:
    """Return the points (size, d) of a Latin hypercube in the unit cube.

    Of 64 random ones it has the largest smallest distance (Morris & Mitchell, Exploratory designs
    for computational experiments, 1995). Only continuous parameters are jittered within their
    cells: the middles of the cells are spread most evenly over a few values.
    """
    # scipy.stats.qmc has no such jitter, and its import takes longer than all suggestions of a
    # short sweep.
    d = len(continuous)
    best, largest = np.full((size, d), 0.5), -1.0
    for _ in range(_DESIGNS if size > 1 and d else 0):
        cells = rng.permuted(np.tile(np.arange(size), (d, 1)), axis=1).T
        jitter = np.where(continuous, rng.random((size, d)), 0.5)
        U = (cells + jitter) / size
        squares = ((U[:, None, :] - U[None, :, :]) ** 2).sum(axis=2)
        smallest = float(squares[np.triu_indices(size, 1)].min())
        if smallest > largest:
            best, largest = U, smallest
    return best
