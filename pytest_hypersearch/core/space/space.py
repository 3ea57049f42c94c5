"""The search space: which configurations there are, and how they are written and counted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.space.choices import Choice
from pytest_hypersearch.core.space.distribution import distribution_from_json
from pytest_hypersearch.core.space.overlaps import count_below, shared_cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_hypersearch.core.space.distribution import Branch
    from pytest_hypersearch.core.space.overlaps import Box
    from pytest_hypersearch.core.trial import Config, Raw


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def config_key(config: Mapping[str, Raw]) -> str:
    """Return a text that two configurations share exactly if they are the same.

    Names are sorted, values compare by value and type (1, 1.0, True and "1" differ), and -0.0
    counts as 0.0.
    """
    return _canonical({n: v + 0.0 if type(v) is float else v for n, v in config.items()})


@dataclass(frozen=True, eq=False)
class Space:
    """All configurations of a sweep: one branch, or several of which each gives some.

    Spaces are equal if their JSON descriptions are, whatever objects their choices stand for.

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
        """Number of distinct configurations, None if a branch has a continuous parameter."""
        if any(entry.size is None for branch in self.branches for entry in branch.values()):
            return None
        return sum(self._fresh)

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
        """Return what the test gets: the objects that the values of a configuration stand for.

        Raises:
            ValueError: The configuration is not of this space, and some of its values stand for
                others.
            LookupError: The space was read from JSON and an option is no plain value.
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
        """Whether every value stands for itself."""
        choices = (d for b in self.branches for d in b.values() if isinstance(d, Choice))
        return all(
            option is label
            for choice in choices
            for label, option in zip(choice.labels, choice.objects, strict=True)
        )

    def centre(self) -> Config:
        """Return the middle of the first branch: the configuration of a smoke test."""
        return {name: entry.centre() for name, entry in self.branches[0].items()}

    def key(self, config: Mapping[str, Raw]) -> str:
        """Return `config_key` of a configuration."""
        return config_key(config)

    def grid(self) -> Iterator[Config]:
        """Yield every configuration once, the rightmost parameter changing fastest.

        Raises:
            ValueError: A parameter is continuous.
        """
        index = 0
        while self._require_finite() and index < sum(self._fresh):
            yield self.grid_config(index)
            index += 1

    def grid_config(self, index: int) -> Config:
        """Return the configuration at an index of the grid, without building the grid.

        Branches follow one another; what an earlier branch already gave is left out.

        Raises:
            ValueError: A parameter is continuous.
            IndexError: The index is beyond the grid.
        """
        if self.size is None:
            self._require_finite()
        left = index
        for number, fresh in enumerate(self._fresh):
            if 0 <= left < fresh:
                return _cell(self.branches[number], self._rank_of_fresh(number, left))
            left -= fresh
        raise IndexError(f"configuration {index} of {self.size}")

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
        """Return the space that a JSON array describes; options are known by their labels only."""
        return cls(
            tuple(
                {name: distribution_from_json(entry) for name, entry in branch.items()}
                for branch in record
            )
        )

    def _require_finite(self) -> bool:
        for branch in self.branches:
            for name, entry in branch.items():
                if entry.size is None:
                    raise ValueError(f"{name}: {entry} is continuous and has no grid")
        return True

    @cached_property
    def _fresh(self) -> tuple[int, ...]:
        """How many configurations each branch has that no earlier branch has."""
        sizes = [_cells(branch) for branch in self.branches]
        return tuple(size - self._repeated(number, size) for number, size in enumerate(sizes))

    @cached_property
    def _overlaps(self) -> tuple[tuple[Box, ...], ...]:
        """For each branch, the boxes of its cells that earlier branches have too."""
        return tuple(
            tuple(
                box
                for earlier in self.branches[:number]
                if (box := shared_cells(branch, earlier)) is not None
            )
            for number, branch in enumerate(self.branches)
        )

    def _repeated(self, number: int, rank: int) -> int:
        """Return how many of a branch's first ``rank`` cells are in earlier branches too."""
        sizes = [entry.size or 0 for entry in self.branches[number].values()]
        return count_below(self._overlaps[number], sizes, rank)

    def _rank_of_fresh(self, number: int, wanted: int) -> int:
        """Return the cell of a branch that ``wanted`` cells unknown to earlier branches precede."""
        if not self._overlaps[number]:
            return wanted
        low, high = wanted, _cells(self.branches[number]) - 1
        while low < high:
            middle = (low + high) // 2
            if middle + 1 - self._repeated(number, middle + 1) > wanted:
                high = middle
            else:
                low = middle + 1
        return low


def _cells(branch: Branch) -> int:
    return prod(entry.size or 0 for entry in branch.values())


def _cell(branch: Branch, rank: int) -> Config:
    """Return a finite branch's configuration by its rank, the last parameter changing fastest."""
    values: list[Raw] = []
    for entry in reversed(branch.values()):  # type: ignore[call-overload]
        rank, position = divmod(rank, entry.size)
        values.append(entry.at(position))
    return dict(zip(branch, reversed(values), strict=True))


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
