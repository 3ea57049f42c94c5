"""Suggestions of the bayes strategy: choice of the acquisition, and its maximisation.

Notation:

    N, D, t    results with scores, features, objectives
    x          row (D,) of a configuration
    values     posterior means (N, t) of the objectives at the results
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from heapq import merge
from itertools import chain, islice, repeat
from math import copysign
from operator import itemgetter
from statistics import median_high
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pytest_hypersearch.core.contracts import Observation
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.trial import Config, State
from pytest_hypersearch.search.gp.acquisition import Acquisition, LogEI, LogPrior
from pytest_hypersearch.search.gp.cache import (
    HUGE,
    LARGEST_MODEL,
    History,
    Result,
    Surrogate,
    history_of,
    surrogate_of,
    training_subset,
)
from pytest_hypersearch.search.gp.encode import Array, design_size, initial_design
from pytest_hypersearch.search.gp.hypervolume import (
    LogEHVI,
    LogFeasibility,
    Product,
    boxes_of,
    undominated,
)
from pytest_hypersearch.search.gp.optimise import INCUMBENTS, search
from pytest_hypersearch.search.gp.region import nearby
from pytest_hypersearch.search.samplers.random import unseen

Choice: TypeAlias = tuple[Acquisition, Sequence[Result]]
Proposal: TypeAlias = tuple[int, Array]

_FIRST: Final = 10  # results from which the scale of a constraint is taken
_FAR: Final = 4.0  # in usual sizes of a constraint's excess
_BOXES: Final = 256
_FEWEST_OF_FRONT: Final = 6
_MARGIN: Final = 0.5
_CROWDED: Final = 10
_NOTABLE: Final = 0.1
_CURVE: Final = 2  # metrics whose front is one: near one end of it, some runs find more of it


def acquisition_of(history: History, pending: Sequence[Result]) -> Choice | None:
    """Return the acquisition and the results so far, best first; None without a model.

    One metric is searched by expected improvement, several by hypervolume improvement; constraints
    multiply either by the probability that they are kept.
    """
    surrogate = surrogate_of(history, pending)
    first = next((each.observation for each in history.results if each.observation.scores), None)
    if first is not None and (first.others or first.excess):
        return _combined(history, pending, surrogate)
    if surrogate is None:
        return None
    order = np.argsort(surrogate.expected, kind="stable")
    ranking = [history.results[i] for i in history.active[order]]
    # The best posterior mean, not the best score: under noise, the latter is mostly luck.
    return LogEI(surrogate.believed, float(surrogate.expected.min())), ranking


def _combined(
    history: History, pending: Sequence[Result], surrogate: Surrogate | None
) -> Choice | None:
    """Return the acquisition of several metrics or constraints, and the results, best first."""
    which = _front_and_subset(history)
    scored = [history.results[i] for i in which]
    pasts, objectives = ([], []) if surrogate is None else ([history], [surrogate])
    for index in range(len(scored[0].observation.others)):
        other = _rescored(history.observations, lambda each: each.others[index])  # noqa: B023  called at once
        past = history_of(history.space, other, robust=False)
        objective = surrogate_of(past, pending, failures=not objectives)
        if objective is not None:
            pasts.append(past)
            objectives.append(objective)
    excesses = [
        history_of(history.space, _of_excess(history.observations, index), np.inf, robust=False)
        for index in range(len(scored[0].observation.excess))
    ]
    bounds = [bound for each in excesses if (bound := _feasibility(each, pending)) is not None]
    if not objectives:
        return (Product(bounds), scored) if bounds else None
    values = np.column_stack(
        [_expected(*each, which) for each in zip(pasts, objectives, strict=True)]
    )
    feasible = np.array([_is_feasible(result) for result in scored])
    best = np.zeros(len(scored), dtype=bool)
    best[feasible] = undominated(values[feasible])
    order = np.lexsort((values[:, 0], ~feasible, ~best))
    if len(objectives) > 1:
        improvement = _hypervolume_improvement(objectives, values, values[best])
    else:  # over the best feasible result, or the worst of all if none is feasible
        scores = values[:, 0]
        level = scores[feasible].min() if feasible.any() else scores.max()
        improvement = LogEI(objectives[0].believed, float(level))
    if len(objectives) > _CURVE:
        front = order[: best.sum()]
        order[: len(front)] = front[_spread(values[front], turn=len(history.results))]
    return Product([improvement, *bounds]), [scored[i] for i in order]


def _spread(front: Array, turn: int) -> NDArray[np.intp]:
    """Return an order of points (n, t) whose first ones are far from each other, and take turns.

    Candidates are near the first ones, and a climb begins at the very first: if these were always
    the same, most of the search would be at one end of the front. Each point is the farthest from
    those before it (Gonzalez, Clustering to minimize the maximum intercluster distance, 1985).
    """
    picked: list[int] = []
    distances = np.full(len(front), np.inf)
    while len(picked) < min(INCUMBENTS, len(front)):
        picked.append(int(distances.argmax()))
        distances = np.minimum(distances, ((front - front[picked[-1]]) ** 2).sum(axis=1))
        distances[picked] = -1.0  # others may be equal to them
    rest = np.setdiff1d(np.arange(len(front)), picked)
    return np.concatenate([np.roll(picked, -turn), rest]).astype(np.intp)


def _is_feasible(result: Result) -> bool:
    """Whether a configuration keeps the constraints on average."""
    return all(sum(each) <= 0.0 for each in result.observation.excess)


def _front_and_subset(history: History) -> NDArray[np.intp]:
    """Return which results have scores: of very many a subset, with the whole Pareto front."""
    which = [i for i, result in enumerate(history.results) if result.observation.scores]
    scored = [history.results[i].observation for i in which]
    means = np.array(
        [[sum(scores) / len(scores) for scores in (each.scores, *each.others)] for each in scored]
    )
    kept = undominated(means)
    kept[training_subset(means[:, 0], LARGEST_MODEL)] = True
    return np.array(which)[kept]


def _expected(past: History, objective: Surrogate, which: NDArray[np.intp]) -> Array:
    """Return the posterior means of a metric at results that have scores."""
    means = np.full(len(past.results), np.nan)
    means[past.active] = objective.expected
    other = which[np.isnan(means[which])]  # no training points
    if len(other):
        means[other] = objective.finished.mean(past.table.X[other])[:, 0]
    return means[which]


def _feasibility(history: History, pending: Sequence[Result]) -> LogFeasibility | None:
    surrogate = surrogate_of(history, pending, failures=False)
    if surrogate is None:
        return None
    (level,) = history.standardised_levels(np.zeros(1), surrogate.data).tolist()
    return LogFeasibility(surrogate.believed, level)


def _hypervolume_improvement(
    objectives: Sequence[Surrogate], values: Array, front: Array
) -> Acquisition:
    """Return the growth of the volume between the front (n, t) and a reference point."""
    reference = _reference_point(values, front)
    front = front - _notable(front)
    most = max(_FEWEST_OF_FRONT, round(_BOXES ** (1.0 / (values.shape[1] - 1))))
    if len(front) > most:
        ordered = front[np.argsort(front[:, 0], kind="stable")]
        front = ordered[np.linspace(0, len(front) - 1, most).round().astype(int)]
    return LogEHVI(
        tuple(objective.believed for objective in objectives), boxes_of(front, reference)
    )


def _reference_point(values: Array, front: Array) -> Array:
    """Return the upper end (t,) of what counts: far enough for the front to grow at its ends."""
    ends: Array = (front if len(front) else values).max(axis=0)
    reference: Array = ends + _MARGIN * np.ptp(values, axis=0)
    return reference


def _notable(front: Array) -> Array:
    """Return by how much (t,) to surpass the front (n, t) to count: epsilon dominance.

    The volume beyond the ends of a front is large. Where nothing is to be gained there but what
    the models are still uncertain of, it would outweigh the gaps between the points of a crowded
    front, so a tenth of the mean gap is not counted (after Laumanns et al., Combining Convergence
    and Diversity in Evolutionary Multiobjective Optimization, Evolutionary Computation 2002).
    """
    if len(front) < _CROWDED:
        return np.zeros(front.shape[1])
    gap: Array = np.ptp(front, axis=0) / len(front)
    return _NOTABLE * gap


def _of_excess(observations: Sequence[Observation], index: int) -> list[Observation]:
    """Return observations whose score is the excess of a constraint, squeezed into (-1, 1).

    e / (far + |e|): how far beyond ``far`` an excess is does not matter. The scale is that of the
    first results, before the search has gone where excesses are small.
    """
    measured = [each for each in observations if each.scores and each.excess[index]]
    sizes = [abs(each.excess[index][0]) for each in measured[:_FIRST]]
    far = _FAR * min(median_high(sizes or [0.0]), HUGE) or 1.0

    def squeezed(excess: float) -> float:
        return excess / (far + abs(excess)) if abs(excess) < HUGE else copysign(1.0, excess)

    usable = [
        each
        for each in observations
        if (each.excess[index] if each.scores else each.state is not State.PRUNED)
    ]
    return _rescored(usable, lambda each: tuple(map(squeezed, each.excess[index])))


def _rescored(
    observations: Sequence[Observation], score: Callable[[Observation], tuple[float, ...]]
) -> list[Observation]:
    """Return observations with another score, without reports: those are of the first metric."""
    return [
        replace(each, scores=score(each) if each.scores else (), others=(), excess=(), reports=())
        for each in observations
    ]


_EXHAUSTIVE: Final = 1000  # spaces up to this size are searched point by point
_INWARD: Final = 5.0  # weight of the prior, in results
_RANDOM: Final = 64
_TRIED: Final = 200
_ROUNDING: Final = 1e-3  # of a model's mean, in standardised scores


def suggest(space: Space, seed: int, index: int, history: Sequence[Observation]) -> Config | None:
    """Return the configuration with this index, None if all of the space is finished or pending.

    Args:
        space: What may be proposed.
        seed: The sweep's seed.
        index: Which configuration of the sweep this is, from 0.
        history: Finished configurations in a fixed order, then the pending ones.
    """
    past = history_of(space, [o for o in history if _has_results(o)])
    running = [past.result(o) for o in history if o.state is State.RUNNING and not o.scores]
    pending = [result for result in running if result is not None]
    seen = past.keys.union(result.key for result in pending) if pending else past.keys
    if space.size is not None and len(seen) >= space.size:
        return None
    rng = np.random.default_rng((seed % 2**64, index + 1))
    for branch, x in _ranked(past, seed % 2**64, index, pending, rng):
        config = past.encoding.branches[branch].config(x)
        if space.key(config) not in seen:
            return config
    if space.size is not None:
        return unseen(space, seed % 2**64 + index, seen)
    first = past.encoding.branches[0]
    rng = np.random.default_rng(seed % 2**64 + index)
    return first.config(first.rows(rng.random((1, len(first.domains))))[0])


def recommended(space: Space, history: Sequence[Observation]) -> int | None:
    """Return the index of the finished configuration with the best posterior mean.

    Of many scores with noise, the best one is mostly luck (the winner's curse). Where there is
    hardly any noise, means are the scores but for rounding, and the best score stands.

    Args:
        space: What was searched.
        history: Observations; what has not finished does not count.
    """
    past = history_of(space, [o for o in history if _has_results(o)])
    surrogate = surrogate_of(past, ())
    if surrogate is None or any(result.observation.others for result in past.results):
        return None
    results = [past.results[i] for i in past.active]
    scores = past.table.y[past.active]
    usable = np.array([_is_feasible(result) for result in results]) & ~np.isnan(scores)
    expected, scores = np.where(usable, [surrogate.expected, scores], np.inf)
    best, leader = int(np.argmin(expected)), int(np.argmin(scores))
    if not np.isfinite(expected[best]):
        return None
    notable = expected[leader] - expected[best] > _ROUNDING
    recommendation: Result = results[best if notable else leader]
    return recommendation.observation.index


def _has_results(observation: Observation) -> bool:
    """Whether a configuration has finished, or has first scores."""
    if observation.state is State.RUNNING:
        return bool(observation.scores)
    return observation.state is not State.NOT_RUN


def _ranked(
    history: History, seed: int, index: int, pending: Sequence[Result], rng: np.random.Generator
) -> Iterator[Proposal]:
    """Yield branches and rows in descending order of preference."""
    if index < design_size(history.space):
        yield initial_design(history.space, seed)[index]
    ranked = _by_acquisition(history, index, pending, rng)
    if ranked is None:
        ranked = _by_distance(history, pending, rng)
    yield from islice(ranked, _TRIED)


def _by_distance(
    history: History, pending: Sequence[Result], rng: np.random.Generator
) -> list[Proposal]:
    """Return random branches and rows in descending order of distance from all results."""
    branches = history.encoding.branches
    X = [result.x for result in (*history.results, *pending)]
    drawn = []
    for number in rng.integers(len(branches), size=_RANDOM):
        branch = branches[number]
        x = branch.rows(rng.random((1, len(branch.domains))))[0]
        drawn.append((int(number), x))
    if not X:
        return drawn
    gaps = np.array([x for _, x in drawn])[:, None, :] - np.array(X)[None, :, :]
    gaps[..., history.encoding.categorical] = gaps[..., history.encoding.categorical] != 0
    order = np.argsort(-(gaps**2).sum(axis=2).min(axis=1), kind="stable")
    return [drawn[i] for i in order]


def _by_acquisition(
    history: History, index: int, pending: Sequence[Result], rng: np.random.Generator
) -> Iterable[Proposal] | None:
    """Return branches and rows in descending order of acquisition, None without a model."""
    choice = acquisition_of(history, pending)
    if choice is None:
        return None
    acquisition, ranking = choice
    around: Iterable[Proposal] = ()
    if isinstance(acquisition, LogEI) and index % 2:
        around = nearby(history, pending, acquisition, ranking[0], rng)
    # Not with two metrics: their fronts are curves, and the measured ones are along ends of ranges.
    if len(ranking[0].observation.others) != 1:
        prior = LogPrior(_INWARD / len(history.results), ~history.encoding.categorical)
        acquisition = Product([acquisition, prior])
    if history.space.size is not None and history.space.size <= _EXHAUSTIVE:
        return _all_by_acquisition(history, acquisition)
    return chain(around, _search_by_acquisition(history, acquisition, ranking, rng))


def _search_by_acquisition(
    history: History, acquisition: Acquisition, ranking: Sequence[Result], rng: np.random.Generator
) -> Iterator[Proposal]:
    """Yield rows of all branches in descending order of acquisition."""
    branches = history.encoding.branches
    incumbents = []
    for number in range(len(branches)):
        best = islice((result.x for result in ranking if result.branch == number), INCUMBENTS)
        incumbents.append(np.array(list(best)).reshape(-1, history.encoding.features))
    per_branch = [
        zip(-values, repeat(number), X, strict=False)
        for number, (X, values) in enumerate(search(branches, acquisition, incumbents, rng))
    ]
    for _, number, x in merge(*per_branch, key=itemgetter(0)):
        yield number, x


def _all_by_acquisition(history: History, acquisition: Acquisition) -> list[Proposal]:
    """Return all of a small space in descending order of acquisition."""
    proposals = []
    for config in history.space.grid():
        branch = history.space.branch_of(config) or 0
        proposals.append((branch, history.encoding.row(branch, config)))
    values = acquisition.value(np.array([x for _, x in proposals]))
    return [proposals[i] for i in np.argsort(-values, kind="stable")]
