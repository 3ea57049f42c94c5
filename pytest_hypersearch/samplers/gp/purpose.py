"""What a suggestion is after: improvement, growth of the Pareto front, kept constraints."""

from __future__ import annotations

from dataclasses import replace
from math import copysign
from statistics import median_high
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_hypersearch.samplers.gp.acquisition import LogEI
from pytest_hypersearch.samplers.gp.memory import HUGE, MODELLED, chosen, recalled
from pytest_hypersearch.samplers.gp.surrogate import Surrogate, surrogate_of
from pytest_hypersearch.samplers.gp.tradeoff import (
    Bound,
    LogEHVI,
    Product,
    boxes_of,
    undominated,
)
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from pytest_hypersearch.samplers import Observation
    from pytest_hypersearch.samplers.gp.acquisition import Acquisition
    from pytest_hypersearch.samplers.gp.encode import Array
    from pytest_hypersearch.samplers.gp.memory import Memory, Result

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
