"""The bayes sampler with several metrics and with constraints."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from test_samplers_gp import BRANCHES, MIXED, PLANE, TINY

from pytest_hypersearch.core.space import Space, uniform
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.samplers import Observation
from pytest_hypersearch.search.gp import GP, sampler
from pytest_hypersearch.search.gp.cache import histories_of, history_of, surrogate_of
from pytest_hypersearch.search.gp.hypervolume import (
    LogEHVI,
    LogFeasibility,
    Product,
    boxes_of,
    undominated,
)
from pytest_hypersearch.search.gp.regression import Hyperparameters, Kernel, factor_of, posterior_of
from pytest_hypersearch.search.samplers.random import Random

UNIT = Space(({"a": uniform(0, 1), "b": uniform(0, 1)},))
CUBE = Space(({name: uniform(0, 1) for name in "abcd"},))


def play(space, measure, count, *, seed=0, sampler=None, workers=1):
    """Run a sweep; ``measure`` returns score, other metrics and excesses, or None for a failure."""
    sampler, finished, running = sampler or GP(), [], []
    for index in range(count):
        config = sampler.suggest(space, seed=seed, index=index, history=[*finished, *running])
        if config is None:
            break
        running.append(Observation(index, config, State.RUNNING))
        if len(running) == workers:
            finished.append(told(running.pop(0), measure))
    return [*finished, *running]


def told(asked, measure):
    found = measure(asked.params)
    if found is None:
        return replace(asked, state=State.FAILED)
    score, others, excess = found
    return replace(
        asked,
        state=State.COMPLETE,
        scores=(score,),
        others=tuple((other,) for other in others),
        excess=tuple((each,) for each in excess),
    )


def hypervolume(points, reference):
    """The area that points dominate below a reference, of two metrics."""
    area, top = 0.0, reference[1]
    for x, y in sorted(points):
        if x < reference[0] and y < top:
            area, top = area + (reference[0] - x) * (top - y), y
    return area


def zdt1(params):
    """Zitzler, Deb & Thiele (2000): the front is y = 1 - sqrt(x) where all but a are 0."""
    rest = 1 + 3 * (params["b"] + params["c"] + params["d"])
    return params["a"], (rest * (1 - (params["a"] / rest) ** 0.5),), ()


@dataclass
class Fixed:
    """A posterior that expects the same everywhere."""

    mean: float
    deviation: float

    def predict(self, rows):
        return np.full((len(rows), 1), self.mean), np.full(len(rows), self.deviation)


def posterior(targets, seed):
    rng = np.random.default_rng(seed)
    rows = rng.random((6, 2))
    hyper = Hyperparameters(np.array([4.0, 9.0]), 0.8, 0.3, 0.01, 1.0)
    factor = factor_of(Kernel(hyper, np.zeros(2, dtype=bool)), rows, np.ones(6))
    return posterior_of(factor, rng.standard_normal((6, targets)) + 0.3)


def fronts(dimensions):
    points = np.random.default_rng(dimensions).random((30, dimensions))
    return points[undominated(points)]


def test_undominated_points_are_those_that_no_other_surpasses():
    values = np.array([[1, 4], [2, 2], [2, 3], [4, 1], [4, 1], [5, 5], [1, 5]])
    assert undominated(values).tolist() == [True, True, False, True, True, False, False]


def test_of_very_many_results_those_count_that_none_surpasses():
    history = [
        Observation(i, {"a": x, "b": y}, State.COMPLETE, (x,), ((y,),))
        for i, (x, y) in enumerate(np.random.default_rng(0).random((2000, 2)).tolist())
    ]
    past = history_of(UNIT, history)
    found = {past.results[i].observation.index for i in sampler._front_and_subset(past)}
    best = undominated(np.array([[*o.params.values()] for o in history]))
    assert {*np.flatnonzero(best)} <= found
    assert 300 <= len(found) < 350


@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_boxes_fill_what_is_not_dominated_once(dimensions):
    front, reference = fronts(dimensions), np.full(dimensions, 0.9)
    boxes = boxes_of(front, reference)
    points = np.random.default_rng(0).random((3000, dimensions))
    inside = (boxes[None, :, :, 0] <= points[:, None]) & (points[:, None] < boxes[None, :, :, 1])
    times = inside.all(axis=2).sum(axis=1)
    dominated = (front[None] <= points[:, None]).all(axis=2).any(axis=1)
    assert times.tolist() == (~dominated & (points < reference).all(axis=1)).astype(int).tolist()


@pytest.mark.parametrize(("first", "second"), [((0.4, 0.2), (0.5, 0.3)), ((0.9, 0.4), (0.2, 0.05))])
def test_growth_is_what_samples_say(first, second):
    front, reference = fronts(2), (1.0, 1.1)
    acquisition = LogEHVI((Fixed(*first), Fixed(*second)), boxes_of(front, np.array(reference)))
    rng = np.random.default_rng(1)
    draws = rng.normal((first[0], second[0]), (first[1], second[1]), (4000, 2))
    before = hypervolume(front.tolist(), reference)
    gains = [hypervolume([*front.tolist(), draw], reference) - before for draw in draws.tolist()]
    expected = np.exp(acquisition.value(np.zeros((1, 2)))[0])
    assert abs(np.mean(gains) - expected) < 4 * np.std(gains) / len(gains) ** 0.5


def test_growth_of_a_hopeless_point_still_has_a_logarithm():
    boxes = boxes_of(fronts(2), np.ones(2))
    worse, worst = (
        LogEHVI((Fixed(mean, 0.1), Fixed(mean, 0.1)), boxes).value(np.zeros((1, 2)))[0]
        for mean in (20.0, 30.0)
    )
    assert -1e5 < worst < worse < -1e4


@pytest.mark.parametrize("failures", [False, True])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_slopes_are_right(dimensions, failures):
    models = tuple(posterior(1 + (failures and not k), k) for k in range(dimensions))
    growth = LogEHVI(models, boxes_of(fronts(dimensions), np.ones(dimensions)))
    acquisition = Product([growth, LogFeasibility(posterior(1, 9), -0.2)])
    for row in np.random.default_rng(3).random((5, 2)):
        _, slope = acquisition.value_and_gradient(row[None, :])
        numeric = scipy.optimize.approx_fprime(
            row, lambda x: acquisition.value(x[None, :])[0], 1e-7
        )
        assert slope[0] == pytest.approx(numeric, rel=1e-3, abs=1e-4)


def test_bound_is_the_probability_that_it_is_kept():
    acquisition = LogFeasibility(Fixed(0.3, 0.5), 0.1)
    kept = np.exp(acquisition.value(np.zeros((1, 2))))[0]
    assert kept == pytest.approx(scipy.stats.norm.cdf(0.1, 0.3, 0.5))


@pytest.mark.parametrize("level", [-200.0, -3.0, 0.5])
def test_bound_has_the_slope_of_its_value(level):
    acquisition, row = LogFeasibility(posterior(1, 0), level), np.array([0.3, 0.6])
    (slope,) = acquisition.value_and_gradient(row[None, :])[1]
    numeric = scipy.optimize.approx_fprime(row, lambda x: acquisition.value(x[None, :])[0], 1e-7)
    assert slope == pytest.approx(numeric, rel=1e-3)


@pytest.mark.parametrize("several", [False, True])
def test_what_nothing_keeps_is_no_reason_to_fail(several):
    def measure(params):
        x, y = params["x"], params["y"]
        return None if x > 0.9 else (x, (1 - x + y,) if several else (), (y - 0.5, 1 - x / 5))

    space = Space(({"x": uniform(0, 1), "y": uniform(0, 1)},))
    assert sum(not o.scores for o in play(space, measure, 20)) < 7


def test_failures_are_avoided_although_the_first_metric_is_always_the_same():
    def measure(params):
        return None if params["a"] > 0.5 else (1.0, (params["a"] * params["b"],), ())

    failed = [not o.scores for o in play(UNIT, measure, 24)]
    assert sum(failed[12:]) < 7


@pytest.mark.parametrize("level", [-1e50, -1e7, 1.0, 1e50])
def test_bound_out_of_reach_has_a_finite_slope(level):
    value, slope = LogFeasibility(posterior(1, 0), level).value_and_gradient(np.zeros((1, 2)))
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_front_grows_to_its_ends(seed):
    history = play(CUBE, zdt1, 28, seed=seed)
    points = [(o.scores[0], o.others[0][0]) for o in history]
    blind = [
        (o.scores[0], o.others[0][0]) for o in play(CUBE, zdt1, 100, seed=seed, sampler=Random())
    ]
    assert hypervolume(points, (1.1, 5)) > 5.05 > hypervolume(blind, (1.1, 5)) + 0.5
    assert min(x for x, _ in points) < 0.01
    assert min(y for _, y in points) < 0.1


def test_the_front_grows_beside_first_metrics_that_are_bad_by_chance():
    rng = np.random.default_rng(0)

    def measure(params):
        score, others, excess = zdt1(params)
        return (9.0 if rng.random() < 0.15 else score), others, excess

    history = play(CUBE, measure, 40)
    points = [(o.scores[0], o.others[0][0]) for o in history]
    assert hypervolume(points, (1.1, 5)) > 5.05
    past = history_of(CUBE, history[:32])
    expected = surrogate_of(past, ()).expected
    assert np.isfinite(expected).all()
    assert expected[past.table.y == 9.0].min() > expected[past.table.y < 9.0].max()


def test_gaps_of_a_crowded_front_are_filled_not_its_ends_refined():
    last = play(CUBE, zdt1, 70)[-20:]
    assert sum(o.params["a"] < 1e-3 for o in last) < 8


def far(params):
    """Squared distances from three corners."""
    corners = [(0.1, 0.1), (0.9, 0.1), (0.5, 0.9)]
    score, *others = ((params["a"] - a) ** 2 + (params["b"] - b) ** 2 for a, b in corners)
    return score, tuple(others), ()


def test_three_metrics_reach_all_three_ends():
    def farthest_end(sampler):
        history = play(UNIT, far, 22, seed=2, sampler=sampler)
        values = zip(*((o.scores[0], *(v[0] for v in o.others)) for o in history), strict=True)
        return max(min(each) for each in values)

    assert farthest_end(GP()) < 0.02 < farthest_end(Random())


def test_candidates_are_near_all_parts_of_the_front():
    history = play(UNIT, far, 24)
    values = []
    for count in range(15, 25):
        _, ranking = sampler.acquisition_of(history_of(UNIT, history[:count]), ())
        first = ranking[0].observation
        values.append((*first.scores, *(other[0] for other in first.others)))
    assert (np.min(values, axis=0) < 0.05).all()


def test_early_proposals_are_not_all_in_corners():
    def sphere(c):
        *tail, a, b = (0.5 * np.pi * x for x in c.values())
        radius = 1.0 + sum((x / np.pi * 2.0 - 0.5) ** 2 for x in tail)
        first, second = np.cos(a) * np.cos(b), np.cos(a) * np.sin(b)
        return radius * first, (radius * second, radius * np.sin(a)), ()

    space = Space(({name: uniform(0, 1) for name in "abcdef"},))
    history = play(space, sphere, 30)
    tails = np.array([[*o.params.values()][:4] for o in history[8:]])
    assert (np.abs(tails - 0.5) > 0.49).mean() < 0.1


def test_best_is_found_at_the_edge_of_what_is_allowed():
    def measure(params):  # what is allowed depends on b, which the score hardly does
        return (params["a"] - 0.3) ** 2 - 0.1 * params["b"], (), (params["b"] / 0.4 - 1,)

    history = play(UNIT, measure, 25)
    feasible = [o for o in history if o.excess[0][0] <= 0]
    leader = min(feasible, key=lambda o: o.scores)
    assert leader.scores[0] == pytest.approx(-0.04, abs=2e-4)
    assert len(feasible) > 12


def test_a_constraint_is_learned_whatever_its_scale_and_from_the_results_that_have_it():
    def measure(params):
        return params["a"] - params["b"], (), (params["b"] - 0.4,)

    def proposal(scale):
        again = [
            replace(o, excess=((scale * o.excess[0][0],) if o.params["b"] > 0.2 else (),))
            for o in history
        ]
        return GP().suggest(UNIT, seed=0, index=7, history=again)

    history = play(UNIT, measure, 7)
    assert proposal(2.0**-30) == proposal(1.0) == proposal(2.0**30)
    assert proposal(1.0)["b"] == pytest.approx(0.4, abs=0.02)
    assert UNIT.contains(proposal(float("inf")))
    assert UNIT.contains(proposal(0.0))


def test_a_small_allowed_region_is_looked_for():
    def measure(params):  # 2% of the space, where the score is bad
        away = np.hypot(params["a"] - 0.8, params["b"] - 0.75)
        return params["a"] + params["b"], (), (float(away) / 0.08 - 1,)

    kept = [o.excess[0][0] <= 0 for o in play(UNIT, measure, 30)]
    assert sum(kept) > 3  # by chance less than one


def test_a_front_keeps_the_constraint():
    def measure(params):
        return params["a"], (1 - params["a"] + params["b"],), (0.4 - params["a"], params["b"] - 0.9)

    history = play(UNIT, measure, 25, seed=2)
    assert sum(o.excess[0][0] <= 0 for o in history) > 15
    assert min(o.scores[0] for o in history if o.excess[0][0] <= 0) < 0.43


@pytest.mark.parametrize(
    "measure",
    [
        lambda _: (1.0, (2.0,), ()),
        lambda p: (1.0, (p["x"],), ()),
        lambda p: (p["x"], (1.0,), (0.0,)),
        lambda p: (p["x"], (), (1.0,)),
        lambda _: (1.0, (), (1.0,)),
        lambda p: (1.0, (), (p["x"],)),
        lambda p: None if p["x"] < 4 else (p["x"], (-p["y"],), (p["y"] - 3,)),
        lambda _: None,
        lambda p: (1e30 if p["x"] < 0 else p["x"], (1e300 * p["y"],), (1e300 * p["x"],)),
        lambda p: (p["x"], (p["x"],), (p["x"],)),
        lambda p: (p["x"], (-p["x"],), ()),
    ],
)
def test_nothing_measured_stops_the_search(measure):
    history = play(PLANE, measure, 12, workers=2)
    assert len({PLANE.key(o.params) for o in history}) == 12
    assert all(PLANE.contains(o.params) for o in history)


@pytest.mark.parametrize("space", [MIXED, BRANCHES])
def test_any_space_is_searched(space):
    def measure(params):
        size = sum(len(str(value)) for value in params.values())
        return size, (-size % 7, size % 3), (size - 60,)

    history = play(space, measure, 14, workers=3)
    assert len({space.key(o.params) for o in history}) == 14


def test_a_small_space_is_tried_once_and_then_exhausted():
    assert len(play(TINY, lambda p: (p["a"], (1 - p["a"],), (p["a"] - 1,)), 9)) == 4


def test_replicates_and_pruned_trials_count():
    history = play(UNIT, lambda p: (p["a"], (1 - p["a"] + p["b"],), (p["b"] - 0.5,)), 12)
    again = [
        replace(o, state=State.PRUNED, scores=(), others=(), excess=())
        if o.index % 4 == 3
        else replace(
            o,
            scores=(o.scores[0], o.scores[0] + 0.01),
            others=((o.others[0][0], o.others[0][0] + 0.01),),
            excess=((o.excess[0][0], o.excess[0][0] - 0.01),),
        )
        for o in history
    ]
    plain, told_more = (GP().suggest(UNIT, seed=0, index=12, history=h) for h in (history, again))
    assert UNIT.contains(told_more)
    assert told_more != plain


def test_proposals_do_not_depend_on_what_is_remembered():
    history = play(CUBE, lambda p: (*zdt1(p)[:2], (p["b"] - 0.5,)), 14)
    for index in (7, 13):
        histories_of.cache_clear()
        seen = history[:index]
        assert GP().suggest(CUBE, seed=0, index=index, history=seen) == history[index].params
