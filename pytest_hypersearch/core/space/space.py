"""The search space: distributions by parameter name, and the configurations that they make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from math import prod
from numbers import Number
from typing import Any, Final, TypeAlias

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space.choices import Choice, choice, is_options
from pytest_hypersearch.core.space.frozen import Scipy, from_frozen, is_frozen
from pytest_hypersearch.core.space.numeric import Integer, Normal, Real
from pytest_hypersearch.core.trial import Config, Raw
from pytest_hypersearch.core.values import shown

Distribution: TypeAlias = Real | Integer | Normal | Choice | Scipy
Branch: TypeAlias = Mapping[str, Distribution]

LARGEST_OVERLAP: Final = 100_000
"""Configurations of a branch that are compared with those of earlier branches one by one."""

_COMPARED: Final = 1000  # values of a parameter that are compared with another range one by one


def as_distribution(value: object, *, is_grid: bool = False) -> Distribution:
    """Return the distribution that a user's entry of a search space describes.

    Args:
        value: A distribution, options as `choice` takes them, or a frozen scipy.stats distribution.
        is_grid: Whether the space is a grid; elsewhere two numbers in a tuple may be meant as a
            range, which they are to other libraries.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(value, (Real, Integer, Normal, Choice, Scipy)):
        return value
    if not is_grid and _is_pair(value):
        raise ValueError(
            f"{shown(value)}: expected uniform(low, high) or the like for a range, or a list of "
            "options"
        )
    if is_options(value):
        return choice(value)  # type: ignore[arg-type]
    if is_frozen(value):
        return from_frozen(value)
    raise ValueError(f"{shown(value)}: expected a list of values or a distribution")


def _is_pair(value: object) -> bool:
    if type(value) is not tuple or len(value) != 2:  # noqa: PLR2004
        return False
    return all(isinstance(each, Number) and not isinstance(each, bool) for each in value)


def distribution_from_json(record: Mapping[str, Any]) -> Distribution:
    """Return the distribution that ``to_json`` described; a choice comes back without its objects.

    Raises:
        ValueError: The record is of an unknown kind.
    """
    match record["kind"]:
        case "uniform" | "loguniform" as kind:
            return Real(record["low"], record["high"], record["step"], kind == "loguniform")
        case "randint" | "lograndint" as kind:
            return Integer(record["low"], record["high"], record["step"], kind == "lograndint")
        case "normal":
            return Normal(record["mean"], record["std"], record["step"])
        case "choice":
            return Choice.from_json(record)
        case "scipy":
            return Scipy.from_json(record)
        case unknown:
            raise ValueError(f"{unknown!r} is not a known kind of distribution")


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def config_key(config: Mapping[str, Raw]) -> str:
    """Return a text that two configurations share exactly if they are the same.

    Names are sorted, values compare by value and type (1, 1.0, True and "1" differ), and -0.0
    counts as 0.0.
    """
    return _canonical({n: v + 0.0 if type(v) is float else v for n, v in config.items()})


def same_config(first: Config, second: Config) -> bool:
    """Tell whether two configurations have the same `config_key`, at a fraction of its cost."""
    return first == second and all(type(first[name]) is type(second[name]) for name in first)


@dataclass(frozen=True, eq=False)
class Space:
    """All configurations of a sweep: one branch, or several of which each gives some.

    Spaces are equal if their JSON descriptions are, whatever the objects of their choices.

    Attributes:
        branches: Distributions by parameter name; branches may have different parameters.

    Raises:
        ValueError: There is no branch, or the arguments of a distribution make none; the message
            names the parameter.
    """

    branches: tuple[Branch, ...]
    _text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.branches:
            raise ValueError("expected at least one branch")
        for name, entry in (pair for branch in self.branches for pair in branch.items()):
            try:
                entry.check()
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        object.__setattr__(self, "_text", json.dumps(self.to_json()))

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Space) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All parameters, in the order in which the branches first name them."""
        return tuple(dict.fromkeys(name for branch in self.branches for name in branch))

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Parameters that have more than one value, within a branch or between branches."""
        entries = {
            name: [branch[name] for branch in self.branches if name in branch]
            for name in self.names
        }
        return tuple(
            name
            for name, (first, *others) in entries.items()
            if first.size != 1 or any(entry != first for entry in others)
        )

    @cached_property
    def size(self) -> int | None:
        """Number of distinct configurations, None if they are not counted.

        That is so if a parameter is continuous, or if a branch with more than `LARGEST_OVERLAP`
        configurations may have some in common with an earlier one.
        """
        return None if self.uncounted else sum(part.size for part in self._parts)

    def branch_of(self, config: Mapping[str, Raw]) -> int | None:
        """Return the index of the first branch that has this configuration, None if none has."""
        for index, branch in enumerate(self.branches):
            if _has(branch, config):
                return index
        return None

    def contains(self, config: Mapping[str, Raw]) -> bool:
        """Tell whether this is a configuration of the space."""
        return self.branch_of(config) is not None

    def decode(self, config: Mapping[str, Raw]) -> dict[str, object]:
        """Return what the test gets: the objects behind the values of a configuration.

        Raises:
            ValueError: The configuration is not of this space, and some of its values are labels.
            LookupError: The space was read from JSON and an option is not a plain value.
        """
        if self._is_plain:
            return dict(config)
        index = self.branch_of(config)
        if index is None:
            raise ValueError(f"{dict(config)!r} is not in the search space")
        branch = self.branches[index]
        return {name: branch[name].decode(raw) for name, raw in config.items()}

    @cached_property
    def _is_plain(self) -> bool:
        """Whether no value is the label of another object."""
        choices = (d for b in self.branches for d in b.values() if isinstance(d, Choice))
        return all(
            option is label
            for choice in choices
            for label, option in zip(choice.labels, choice.objects, strict=True)
        )

    def centre(self, branch: int = 0) -> Config:
        """Return the middle of a branch; that of the first is the configuration of a smoke test."""
        return {name: entry.centre() for name, entry in self.branches[branch].items()}

    def key(self, config: Mapping[str, Raw]) -> str:
        """Return `config_key` of a configuration."""
        return config_key(config)

    def grid(self) -> Iterator[Config]:
        """Yield every configuration once, the rightmost parameter changing fastest.

        Raises:
            ValueError: The configurations are not counted.
        """
        if self.uncounted:
            raise ValueError(self.uncounted)
        for branch, part in zip(self.branches, self._parts, strict=True):
            if isinstance(part.ranks, range):  # all of them, which are walked through sooner so
                values = (map(entry.at, range(entry.size or 0)) for entry in branch.values())
                yield from (dict(zip(branch, each, strict=True)) for each in product(*values))
            else:
                yield from map(partial(_cell, branch), part.ranks)

    def grid_config(self, index: int) -> Config:
        """Return the configuration at an index of the grid, without building the grid.

        Branches follow one another; what an earlier branch already gave is left out.

        Raises:
            ValueError: The configurations are not counted.
            IndexError: The index is beyond the grid.
        """
        if self.uncounted:
            raise ValueError(self.uncounted)
        left = index
        for branch, part in zip(self.branches, self._parts, strict=True):
            if 0 <= left < part.size:
                return _cell(branch, part.ranks[left])
            left -= part.size
        raise IndexError(f"configuration {index} of {self.size}")

    @property
    def uncounted(self) -> str:
        """Why the configurations are not counted, empty if they are."""
        return self._parts[-1].problem

    def validate_config(self, given: Mapping[str, object]) -> Config:
        """Return the configuration that a user wrote with values, objects or labels.

        Raises:
            ValueError: A parameter is missing, unknown or out of its range; the message names it.
        """
        first: str | None = None
        for branch in self.branches:
            problem, config = _encode(branch, given)
            if problem is None:
                return config
            first = first or problem
        suffix = "; no other branch fits either" if self.branches[1:] else ""
        raise ValueError(f"{first}{suffix}")

    def to_json(self) -> list[dict[str, object]]:
        """Return a JSON array from which `from_json` restores the space."""
        return [
            {name: entry.to_json() for name, entry in branch.items()} for branch in self.branches
        ]

    @classmethod
    def from_json(cls, record: Sequence[Mapping[str, Mapping[str, Any]]]) -> Space:
        """Return the space that a JSON array describes; options have labels but no objects."""
        return cls(
            tuple(
                {name: distribution_from_json(entry) for name, entry in branch.items()}
                for branch in record
            )
        )

    @cached_property
    def _parts(self) -> tuple[_Part, ...]:
        """The configurations of each branch that no earlier branch has, the last with a problem."""
        for name, entry in (pair for branch in self.branches for pair in branch.items()):
            if entry.size is None:
                return (_Part(problem=f"{name}: {entry} is continuous and has no grid"),)
        parts: list[_Part] = []
        for number, branch in enumerate(self.branches):
            parts.append(_part(branch, self.branches[:number]))
            if parts[-1].problem:
                break
        return tuple(parts)


@frozen
class _Part:
    """Configurations of one branch, by rank: the last parameter changes fastest.

    Attributes:
        size: How many there are.
        ranks: Their ranks in ascending order.
        problem: Why they are not counted, else empty.
    """

    size: int = 0
    ranks: Sequence[int] = ()
    problem: str = ""


def _part(branch: Branch, earlier: Sequence[Branch]) -> _Part:
    """Return what a finite branch has and earlier ones have not."""
    cells = prod(entry.size or 0 for entry in branch.values())
    overlapping = [other for other in earlier if _may_overlap(branch, other)]
    if not overlapping:
        return _Part(cells, range(cells))
    if cells > LARGEST_OVERLAP:
        return _Part(
            problem=f"{', '.join(branch)}: {cells:,} configurations that other branches may have "
            f"too; expected at most {LARGEST_OVERLAP:,} in a branch that overlaps with others"
        )
    ranks = [
        rank
        for rank in range(cells)
        if not any(_has(other, _cell(branch, rank)) for other in overlapping)
    ]
    return _Part(len(ranks), ranks)


def _may_overlap(branch: Branch, other: Branch) -> bool:
    return branch.keys() == other.keys() and all(
        _may_share(entry, other[name]) for name, entry in branch.items()
    )


def _may_share(entry: Distribution, other: Distribution) -> bool:
    """Tell whether two finite distributions may have a value in common."""
    for few, many in ((entry, other), (other, entry)):
        if isinstance(few, Choice) or (few.size or 0) <= _COMPARED:
            return any(many.contains(few.at(position)) for position in range(few.size or 0))
    (first, last), (low, high) = _ends(entry), _ends(other)
    return type(first) is type(low) and first <= high and low <= last


def _cell(branch: Branch, rank: int) -> Config:
    """Return a finite branch's configuration by its rank, the last parameter changing fastest."""
    values: list[Raw] = []
    for entry in reversed(branch.values()):  # type: ignore[call-overload]
        rank, position = divmod(rank, entry.size)
        values.append(entry.at(position))
    return dict(zip(branch, reversed(values), strict=True))


def _ends(entry: Distribution) -> tuple[Any, Any]:
    """Return the lowest and highest value of a finite range."""
    return entry.at(0), entry.at((entry.size or 1) - 1)


def _has(branch: Branch, config: Mapping[str, Raw]) -> bool:
    return len(branch) == len(config) and all(
        name in config and entry.contains(config[name]) for name, entry in branch.items()
    )


def _encode(branch: Branch, given: Mapping[str, object]) -> tuple[str | None, Config]:
    """Return what is wrong with a user's configuration, and the configuration if nothing is."""
    for name in given:
        if name not in branch:
            return f"{name}: no such parameter; expected {', '.join(branch)}", {}
    config: Config = {}
    for name, entry in branch.items():
        if name not in given:
            return f"{name}: expected a value", {}
        try:
            config[name] = entry.encode(given[name])
        except ValueError as error:
            return f"{name}: {error}", {}
    return None, config
