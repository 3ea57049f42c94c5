"""The random strategy: the same table for the same seed, in whatever order it is asked for."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, count, islice
from math import isqrt, prod
from typing import ClassVar, Final

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Distribution, Normal, Scipy, Space
from pytest_hypersearch.core.trial import Config

_REDRAWS: Final = 100  # then an unseen configuration is taken: rare options end the table
_TAILS: Final = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 0.0)
_ROUNDS: Final = 6


@frozen
class Random:
    """Draws configurations independently; in a finite space none is drawn twice."""

    adaptive: ClassVar[bool] = False

    def suggest(self, space: Space, *, seed: int, index: int, **_: object) -> Config | None:
        """Return the index-th draw of the seed, None once a finite space is used up."""
        return draw(space, seed, index)


def draw(space: Space, seed: int, index: int) -> Config | None:
    """Return the index-th random configuration of a seed, None once a finite space is used up."""
    if space.size is not None and index >= space.size:
        return None
    if _has_equal_shares(space):
        return space.grid_config(permuted(index, space.size or 0, seed))
    if len(space.branches) == 1 and space.size is None:
        return _draw_once(space, seed, index)
    return _table(space, seed).row(index)


def unseen(space: Space, seed: int, seen: Container[str]) -> Config | None:
    """Return a random configuration of a finite space whose key is not among those seen."""
    return next((each for each in _all(space, seed) if space.key(each) not in seen), None)


def unit_vector(length: int, *words: object) -> list[float]:
    """Return uniform numbers in [0, 1) that are a function of the words alone."""
    head = "/".join(map(str, words))
    blocks = range(-(-length // 8))
    digest = b"".join(blake2b(f"{head}/{block}".encode()).digest() for block in blocks)
    return [
        (int.from_bytes(digest[i : i + 8], "little") >> 11) * 2.0**-53
        for i in range(0, 8 * length, 8)
    ]


def permuted(index: int, size: int, seed: int) -> int:
    """Return where a seeded permutation of ``range(size)`` puts an index, without storing it.

    A Feistel network on the index's digits to the bases a and b, with a * b just above size; what
    falls beyond size is sent through again (Black & Rogaway, CT-RSA 2002).
    """
    a = isqrt(size - 1) + 1 if size > 1 else 1
    b = -(-size // a)
    while True:
        low, high = index % a, index // a
        for turn in range(0, _ROUNDS, 2):
            low = (low + _hash(seed, turn, high)) % a
            high = (high + _hash(seed, turn + 1, low)) % b
        index = high * a + low
        if index < size:
            return index


@lru_cache(maxsize=64)
def _has_equal_shares(space: Space) -> bool:
    return space.size is not None and all(
        entry.equal_shares for branch in space.branches for entry in branch.values()
    )


def _hash(*words: int) -> int:
    return int.from_bytes(blake2b(repr(words).encode(), digest_size=24).digest(), "little")


def _draw_once(space: Space, seed: int, index: int) -> Config:
    """Return a configuration of a branch, each branch being equally likely."""
    branch = space.branches[0]
    if len(space.branches) > 1:
        chosen = unit_vector(1, seed, index, "branch")[0]
        branch = space.branches[int(chosen * len(space.branches))]
    units = unit_vector(len(branch), seed, index)
    return {
        name: entry.from_unit(u) for (name, entry), u in zip(branch.items(), units, strict=True)
    }


@dataclass(slots=True)
class _Table:
    """The distinct draws so far, for spaces whose configurations are not all equally likely."""

    draws: Iterator[Config]
    rows: list[Config] = field(default_factory=list)

    def row(self, index: int) -> Config:
        while len(self.rows) <= index:
            self.rows.append(next(self.draws))
        return dict(self.rows[index])


@lru_cache(maxsize=16)
def _table(space: Space, seed: int) -> _Table:
    return _Table(_distinct(space, seed))


def _distinct(space: Space, seed: int) -> Iterator[Config]:
    """Yield draws that were not yielded before, until a finite space is used up.

    Spaces without end yield some again where all that is left is too rare to be met.
    """
    seen: set[str] = set()
    draws = (_draw_once(space, seed, number) for number in count())
    rest = iter(()) if space.size is None else _all(space, seed)
    while space.size is None or len(seen) < space.size:
        some = chain(islice(draws, _REDRAWS), rest)
        fresh = (config for config in some if space.key(config) not in seen)
        config = next(fresh, None)
        if config is None:
            config = next(draws)
        seen.add(space.key(config))
        yield config


def _all(space: Space, seed: int) -> Iterator[Config]:
    """Yield all configurations of a finite space in random order, outliers last.

    Values of normal and scipy's distributions, most of which are too improbable to be wanted, are
    taken from between wider and wider quantiles; configurations then come more than once.
    """
    entries = [entry for branch in space.branches for entry in branch.values()]
    if not any(isinstance(entry, (Normal, Scipy)) for entry in entries):
        size = space.size or 0
        yield from (space.grid_config(permuted(i, size, seed)) for i in range(size))
        return
    for tail in _TAILS:
        boxes = [
            {name: _positions(entry, tail) for name, entry in branch.items()}
            for branch in space.branches
        ]
        sizes = [prod(stop - start for start, stop in box.values()) for box in boxes]
        for i in range(sum(sizes)):
            rank = permuted(i, sum(sizes), seed)
            number = 0
            while rank >= sizes[number]:
                rank -= sizes[number]
                number += 1
            config: Config = {}
            for name, (start, stop) in boxes[number].items():
                rank, position = divmod(rank, stop - start)
                config[name] = space.branches[number][name].at(start + position)
            yield config


def _positions(entry: Distribution, tail: float) -> tuple[int, int]:
    """Return the positions, from the first to before the second, between two quantiles."""
    if not isinstance(entry, (Normal, Scipy)):
        return 0, entry.size or 0
    low, high = (entry.position(entry.from_unit(u)) for u in (tail, 1.0 - tail))
    return low, high + 1
