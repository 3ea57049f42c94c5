"""From the history to the next configuration."""

from __future__ import annotations

from heapq import merge
from itertools import islice, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_hypersearch.samplers.gp.design import design_size, initial_design
from pytest_hypersearch.samplers.gp.encode import encoding_of
from pytest_hypersearch.samplers.gp.memory import Memory, Result, recalled
from pytest_hypersearch.samplers.gp.optimise import search
from pytest_hypersearch.samplers.gp.purpose import purpose_of
from pytest_hypersearch.samplers.random import permuted
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_hypersearch.samplers import Observation
    from pytest_hypersearch.samplers.gp.acquisition import Acquisition
    from pytest_hypersearch.samplers.gp.encode import Array
    from pytest_hypersearch.space import Space
    from pytest_hypersearch.trial import Config

_EXHAUSTIVE: Final = 1000  # spaces up to this size are searched point by point
_INCUMBENTS: Final = 5
_FAR_TRIES: Final = 64
_CHECKED: Final = 200


def suggest(space: Space, seed: int, index: int, history: Sequence[Observation]) -> Config | None:
    """Return the configuration with this index, None if all of the space is finished or pending.

    Args:
        space: What may be proposed.
        seed: The sweep's seed.
        index: Which configuration of the sweep this is, from 0.
        history: Finished configurations in a fixed order, then the pending ones.
    """
    told = [o for o in history if o.state is not State.NOT_RUN]
    memory = recalled(space, [o for o in told if o.state is not State.RUNNING or o.scores])
    running = [memory.result(o) for o in told if o.state is State.RUNNING and not o.scores]
    pending = [result for result in running if result is not None]
    seen = memory.seen.union(result.key for result in pending) if pending else memory.seen
    if space.size is not None and len(seen) >= space.size:
        return None
    rng = np.random.default_rng((seed % 2**64, index + 1))
    for branch, row in _ranked(memory, seed % 2**64, index, pending, rng):
        config = memory.encoding.branches[branch].config(row)
        if space.key(config) not in seen:
            return config
    return _unseen(space, seed % 2**64 + index, seen)


def _ranked(
    memory: Memory, seed: int, index: int, pending: Sequence[Result], rng: np.random.Generator
) -> Iterator[tuple[int, Array]]:
    """Yield branches and rows in descending order of preference."""
    if index < design_size(memory.space):
        yield initial_design(memory.space, seed)[index]
    rows = _modelled(memory, pending, rng)
    yield from islice(_far(memory, pending, rng) if rows is None else rows, _CHECKED)


def _far(
    memory: Memory, pending: Sequence[Result], rng: np.random.Generator
) -> list[tuple[int, Array]]:
    """Return random branches and rows in descending order of distance from everything known."""
    branches = memory.encoding.branches
    known = [result.row for result in (*memory.results, *pending)]
    drawn = []
    for number in rng.integers(len(branches), size=_FAR_TRIES):
        branch = branches[number]
        row = branch.rows(rng.random((1, len(branch.domains))))[0]
        drawn.append((int(number), row))
    if not known:
        return drawn
    gaps = np.array([row for _, row in drawn])[:, None, :] - np.array(known)[None, :, :]
    gaps[..., memory.encoding.categorical] = gaps[..., memory.encoding.categorical] != 0
    order = np.argsort(-(gaps**2).sum(axis=2).min(axis=1), kind="stable")
    return [drawn[i] for i in order]


def _modelled(
    memory: Memory, pending: Sequence[Result], rng: np.random.Generator
) -> Iterable[tuple[int, Array]] | None:
    """Return branches and rows in descending order of acquisition, None without a model."""
    found = purpose_of(memory, pending)
    if found is None:
        return None
    acquisition, ranking = found
    if memory.space.size is not None and memory.space.size <= _EXHAUSTIVE:
        return _all_ranked(memory, acquisition)
    return _searched(memory, acquisition, ranking, rng)


def _searched(
    memory: Memory, acquisition: Acquisition, ranking: Sequence[Result], rng: np.random.Generator
) -> Iterator[tuple[int, Array]]:
    """Yield rows of all branches in descending order of acquisition."""
    branches = memory.encoding.branches
    incumbents = []
    for number in range(len(branches)):
        best = islice((result.row for result in ranking if result.branch == number), _INCUMBENTS)
        incumbents.append(np.array(list(best)).reshape(-1, memory.encoding.features))
    found = [
        zip(-values, repeat(number), rows, strict=False)
        for number, (rows, values) in enumerate(search(branches, acquisition, incumbents, rng))
    ]
    for _, number, row in merge(*found, key=itemgetter(0)):
        yield number, row


def _all_ranked(memory: Memory, acquisition: Acquisition) -> list[tuple[int, Array]]:
    """Return all of a small space in descending order of acquisition."""
    pairs = []
    for config in memory.space.grid():
        branch = memory.space.branch_of(config) or 0
        pairs.append((branch, memory.encoding.row(branch, config)))
    values = acquisition.value(np.array([row for _, row in pairs]))
    return [pairs[i] for i in np.argsort(-values, kind="stable")]


def _unseen(space: Space, seed: int, seen: set[str]) -> Config | None:
    """Return a random configuration that is not among those seen."""
    if space.size is None:
        branch = encoding_of(space).branches[0]
        rng = np.random.default_rng(seed)
        return branch.config(branch.rows(rng.random((1, len(branch.domains))))[0])
    walk = (space.grid_config(permuted(i, space.size, seed)) for i in range(space.size))
    return next((config for config in walk if space.key(config) not in seen), None)
