"""Ranks, the best so far and the front of studies with several metrics and constraints."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from example_studies import sweep_of

from pytest_hypersearch.core.codec import json_object, read_fields
from pytest_hypersearch.core.goals import Constraint, Goal, constraint_of
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.stats.ranking import BestSoFar, rank, rank_study

ONE = sweep_of("random", 40, name="s", metric="a", replicates=2)
SEVERAL = replace(ONE, others=(Goal("b", "max"),), constraints=(Constraint("c", "<=", 4.0),))


def trial(number, a, b, c, replicate=0):
    metrics = {"a": float(a), "b": float(b), "c": float(c)}
    return TrialRecord("t", "s", number, replicate, {"x": number}, State.COMPLETE, a, metrics)


def twice(number, a, b, c):
    return [trial(number, a, b, c), trial(number, a, b, c, 1)]


def numbers(ranked):
    return [one.number for one in ranked]


@pytest.mark.parametrize(
    ("text", "kept", "broken"), [("<= 50", 50, 51), (">=-1e-1", -0.1, -0.2), (" <=0 ", 0, 1)]
)
def test_a_bound_may_be_reached(text, kept, broken):
    constraint = constraint_of("m", text)
    assert constraint.excess(kept) == 0 < constraint.excess(broken)


def test_excess_is_relative_to_the_bound():
    assert Constraint("m", "<=", 50.0).excess(75) == 0.5
    assert Constraint("m", ">=", -2.0).excess(-3) == 0.5
    assert Constraint("m", "<=", 0.0).excess(3) == 3
    assert str(Constraint("m", ">=", 50.0)) == "m >= 50"


def test_feasible_ones_rank_first_then_complete_ones_then_good_ones():
    trials = [
        *twice(0, 5, 0, 4),
        *twice(1, 3, 0, 4),
        *twice(2, 0, 0, 5),
        *twice(3, 0, 0, 4.5),
        trial(4, 1, 0, 0),
        *twice(5, 3, 1, 4),
    ]
    assert numbers(rank(trials, [SEVERAL])) == [5, 1, 0, 4, 3, 2]


def test_feasibility_is_of_the_mean():
    lucky = [trial(0, 1, 1, 3), trial(0, 1, 1, 4.5, 1)]
    unlucky = [trial(1, 0, 1, 3.8), trial(1, 0, 1, 4.5, 1)]
    assert numbers(rank([*lucky, *unlucky], [SEVERAL]).front) == [0]


def test_the_front_is_what_no_other_surpasses_also_with_ties():
    rng = random.Random(0)
    values = [(a, rng.randint(0, a)) for a in rng.choices(range(6), k=60)]
    trials = [trial for n, (a, b) in enumerate(values) for trial in twice(n, a, b, 0)]
    best = {
        n
        for n, (a, b) in enumerate(values)
        if not any(x <= a and y >= b and (x, y) != (a, b) for x, y in values)
    }
    assert {*numbers(rank(trials, [SEVERAL]).front)} == best
    assert len(best) > len({values[n] for n in best}) > 1


def test_the_front_is_of_full_feasible_configurations():
    trials = [
        *twice(0, 1, 1, 0),
        *twice(1, 2, 5, 0),
        *twice(2, 2, 4, 0),
        *twice(3, 3, 5, 0),
        *twice(4, 4, 9, 4),
        *twice(5, 0, 9, 5),
        *twice(6, 1, 1, 0),
        trial(7, 0, 99, 0),
    ]
    results = StudyResults("t", (SEVERAL,), tuple(trials))
    ranked = rank_study(results)
    assert numbers(ranked.front) == [0, 6, 1, 4]
    assert ranked.best.number == 0
    assert ranked.front[2].values == (2, 5)
    text = json.dumps(results, default=json_object)
    assert read_fields(StudyResults, json.loads(text)) == results


def test_the_front_of_one_metric_is_the_best():
    assert numbers(rank([*twice(0, 2, 0, 0), *twice(1, 1, 0, 0)], [ONE]).front) == [1]


@pytest.mark.parametrize("seed", range(20))
def test_the_best_so_far_is_the_best_of_what_ended(seed):
    rng = random.Random(seed)
    trials = [
        trial(number, rng.randint(0, 3), rng.randint(0, 3), rng.choice([3, 5, 6]), replicate)
        for number in range(12)
        for replicate in range(2)
    ]
    rng.shuffle(trials)
    so_far = BestSoFar([SEVERAL])
    for count, one in enumerate(trials, start=1):
        so_far.add(one)
        leader = rank(trials[:count], [SEVERAL]).best
        assert so_far.number == (leader and leader.number)
        assert so_far.score == (leader and leader.mean)
