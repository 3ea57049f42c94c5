"""What a suggestion is after: improvement, growth of the Pareto front, kept constraints."""

from __future__ import annotations

from dataclasses import replace
from heapq import merge
from itertools import islice, repeat
from math import copysign
from operator import itemgetter
from statistics import median_high
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.search.gp.acquisition import LogEI
from pytest_hypersearch.search.gp.cache import (
    HUGE,
    MODELLED,
    Memory,
    Result,
    Surrogate,
    chosen,
    recalled,
    surrogate_of,
)
from pytest_hypersearch.search.gp.encode import design_size, encoding_of, initial_design
from pytest_hypersearch.search.gp.hypervolume import Bound, LogEHVI, Product, boxes_of, undominated
from pytest_hypersearch.search.gp.optimise import search
from pytest_hypersearch.search.samplers.random import permuted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from pytest_hypersearch.core.contracts import Observation
    from pytest_hypersearch.core.space import Space
    from pytest_hypersearch.core.trial import Config
    from pytest_hypersearch.search.gp.acquisition import Acquisition
    from pytest_hypersearch.search.gp.encode import Array

    Purpose: TypeAlias = tuple[Acquisition, Sequence[Result]]

_FIRST: Final = 10
_FAR: Final = 4.0  # times the usual size of how much a constraint is broken or kept
_BOXES: Final = 256
_FEWEST: Final = 6
_MARGIN: Final = 0.5
_CROWDED: Final = 10
_NOTABLE: Final = 0.1


def purpose_of(memory: Memory, pending: Sequence[Result]) -> Purpose | None:
    """Return the acquisition and the results so far, best first; None without a model.

    Args:
        memory: What is known of the score, and with it of further metrics and constraints.
        pending: Configurations under way.
    """
    score = surrogate_of(memory, pending)
    first = next((each.observation for each in memory.results if each.observation.scores), None)
    if first is not None and (first.others or first.excess):
        return _several(memory, pending, score)
    if score is None:
        return None
    order = np.argsort(score.expected, kind="stable")
    ranking = [memory.results[i] for i in memory.active[order]]
    return LogEI(score.posterior, float(score.expected.min())), ranking


def _several(memory: Memory, pending: Sequence[Result], score: Surrogate | None) -> Purpose | None:
    scored = _contenders(memory)
    goals = [] if score is None else [score]
    for place in range(len(scored[0].observation.others)):
        other = recalled(memory.space, _other(memory.heard, place))
        goal = surrogate_of(other, pending, chance=not goals)
        goals += [] if goal is None else [goal]
    broken = [
        recalled(memory.space, _broken(memory.heard, place), np.inf)
        for place in range(len(scored[0].observation.excess))
    ]
    bounds = [bound for each in broken if (bound := _bound(each, pending)) is not None]
    if not goals:
        return (Product(bounds), scored) if bounds else None
    rows = np.array([result.row for result in scored])
    values = np.column_stack([goal.settled.mean(rows)[:, 0] for goal in goals])
    kept = np.array([_keeps(result.observation) for result in scored])
    best = np.zeros(len(scored), dtype=bool)
    best[kept] = undominated(values[kept])
    gain = _improvement(goals[0], values[:, 0], kept)
    if len(goals) > 1:
        gain = _growth(goals, values, values[best])
    order = np.lexsort((values[:, 0], ~kept, ~best))
    return Product([gain, *bounds]), [scored[i] for i in order]


def _contenders(memory: Memory) -> list[Result]:
    """Return results with scores: of very many some, with all that none surpasses as it scored."""
    scored = [result for result in memory.results if result.observation.scores]
    told = [(each.observation.scores, *each.observation.others) for each in scored]
    means = np.array([[sum(one) / len(one) for one in each] for each in told])
    kept = undominated(means)
    kept[chosen(means[:, 0], MODELLED)] = True
    return [scored[i] for i in np.flatnonzero(kept)]


def _bound(memory: Memory, pending: Sequence[Result]) -> Bound | None:
    model = surrogate_of(memory, pending, chance=False)
    return None if model is None else Bound(model.posterior, memory.level(0.0, model.data))


def _improvement(goal: Surrogate, values: Array, kept: NDArray[np.bool_]) -> Acquisition:
    """Return the improvement over the best that keeps all constraints, or over the worst of all."""
    best = values[kept].min() if kept.any() else values.max()
    return LogEI(goal.posterior, float(best))


def _growth(goals: Sequence[Surrogate], values: Array, front: Array) -> Acquisition:
    """Return how much the volume below a reference point grows that the front (n, t) dominates."""
    reference = _reference(values, front)
    front = front - _notable(front)
    most = max(_FEWEST, round(_BOXES ** (1.0 / (values.shape[1] - 1))))
    if len(front) > most:
        ordered = front[np.argsort(front[:, 0], kind="stable")]
        front = ordered[np.linspace(0, len(front) - 1, most).round().astype(int)]
    return LogEHVI(tuple(goal.posterior for goal in goals), boxes_of(front, reference))


def _reference(values: Array, front: Array) -> Array:
    """Return the upper end (t,) of what counts: far enough for the front to grow at its ends."""
    ends: Array = (front if len(front) else values).max(axis=0)
    reference: Array = ends + _MARGIN * np.ptp(values, axis=0)
    return reference


def _notable(front: Array) -> Array:
    """Return by how much (t,) to surpass the front (n, t) to count: epsilon dominance.

    The volume beyond the ends of a front is large. Where nothing is to be gained there but what
    the models are still unsure of, it would outweigh the gaps between the points of a crowded
    front, so a tenth of the mean gap is not counted (after Laumanns et al., Combining Convergence
    and Diversity in Evolutionary Multiobjective Optimization, Evolutionary Computation 2002).
    """
    if len(front) < _CROWDED:
        return np.zeros(front.shape[1])
    gap: Array = np.ptp(front, axis=0) / len(front)
    return _NOTABLE * gap


def _keeps(observation: Observation) -> bool:
    return all(sum(each) <= 0.0 for each in observation.excess)


def _other(heard: Sequence[Observation], place: int) -> list[Observation]:
    return _rescored(heard, lambda observation: observation.others[place])


def _broken(heard: Sequence[Observation], place: int) -> list[Observation]:
    """How much a constraint was broken, brought to between -1 and 1: far off is far off.

    What is far is known from the first results, before the search has gone where they are near.
    """
    told = [each for each in heard if each.scores and each.excess[place]]
    sizes = [abs(each.excess[place][0]) for each in told[:_FIRST]]
    far = _FAR * min(median_high(sizes or [0.0]), HUGE) or 1.0

    def squeezed(number: float) -> float:
        return number / (far + abs(number)) if abs(number) < HUGE else copysign(1.0, number)

    met = [e for e in heard if (e.excess[place] if e.scores else e.state is not State.PRUNED)]
    return _rescored(met, lambda each: tuple(map(squeezed, each.excess[place])))


def _rescored(
    heard: Sequence[Observation], score: Callable[[Observation], tuple[float, ...]]
) -> list[Observation]:
    """Return observations with another score; without it those that have none."""
    return [
        replace(each, scores=score(each), others=(), excess=()) if each.scores else each
        for each in heard
    ]


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
