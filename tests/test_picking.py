import random
from dataclasses import replace

import pytest
from example_studies import record, sweep_of

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.stats.ranking import BestSoFar, Candidate, objectives, picked, rank

SCORES = {0: [1, 1, 9], 1: [3, 3, 3], 2: [2, 2, 6.5], 3: [0, 5, 7]}


def sweep(pick, **changes):
    return sweep_of(replicates=3, pick=pick, **changes)


def trials(scores, params=lambda _: {}, metrics=lambda _: {}):
    return tuple(
        record(number, score, replicate=replicate, params=params(number), metrics=metrics(number))
        for number, row in scores.items()
        for replicate, score in enumerate(row)
    )


@pytest.mark.parametrize(
    ("pick", "mode", "expected", "value"),
    [
        ("mean", "min", 1, 3),
        ("median", "min", 0, 1),
        ("max", "min", 1, 3),
        ("min", "min", 3, 0),
        ("mean", "max", 3, 4),
        ("median", "max", 3, 5),
        ("max", "max", 0, 9),
        ("min", "max", 1, 3),
    ],
)
def test_a_statistic_of_the_replicates_decides(pick, mode, expected, value):
    first = rank(trials(SCORES), [sweep(pick, mode=mode)])[0]
    assert (first.number, first.score) == (expected, value)


def test_configurations_without_all_replicates_stay_behind():
    assert rank(trials({0: [1, 1, 2], 1: [0]}), [sweep("min")])[0].number == 0


def test_one_standard_error_leaves_the_first_of_the_near_ones():
    scores = {0: [9, 9, 9], 1: [2.5, 2.5, 2.5], 2: [2, 2, 2.9], 3: [1, 2, 3]}
    assert [one.number for one in rank(trials(scores), [sweep("one-se")])] == [1, 3, 2, 0]
    wider = scores | {1: [2.57, 2.57, 2.57]}
    assert rank(trials(wider), [sweep("one-se")])[0].number == 1
    wider = scores | {1: [2.58, 2.58, 2.58], 2: [2.6, 2.6, 2.6]}
    assert rank(trials(wider), [sweep("one-se")])[0].number == 3


def test_the_simplest_may_be_named_by_a_parameter_or_metric():
    scores = {0: [2, 2, 2], 1: [2.1, 2.1, 2.1], 2: [1, 2, 2.9], 3: [9, 9, 9]}
    sizes = {0: 30, 1: 10, 2: 20, 3: 1}
    by_parameter = trials(scores, params=lambda number: {"width": sizes[number]})
    by_metric = trials(scores, metrics=lambda number: {"width": float(sizes[number])})
    for found in (by_parameter, by_metric):
        assert rank(found, [sweep("one-se:width")])[0].number == 1
        assert rank(found, [sweep("one-se")])[0].number == 0


def test_without_a_feasible_one_the_nearest_is_the_best():
    candidates = [Candidate(0.2, False, (1.0,)), Candidate(0.1, False, (5.0,), 9.0)]
    assert picked("one-se", candidates) == 1
    assert picked("mean", candidates) == 1


def test_sweeps_with_different_rules_are_not_compared():
    sweeps = [sweep("mean"), sweep("max", name="other"), sweep("mean", name="third")]
    assert [len(alike) for alike in objectives(sweeps)] == [2, 1]


@pytest.mark.parametrize("pick", ["mean", "median", "max", "min", "one-se", "one-se:width"])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_so_far_follows_the_rule(pick, seed):
    rng = random.Random(seed)
    scores = {number: [rng.randint(0, 4) for _ in range(3)] for number in range(9)}
    widths = [rng.randint(0, 3) for _ in scores]
    shuffled = list(trials(scores, params=lambda number: {"width": widths[number]}))
    shuffled += [shuffled[0]]  # ran again
    rng.shuffle(shuffled)
    info = sweep(pick)
    so_far = BestSoFar([info])
    ended = {}
    for one in shuffled:
        ended[one.number, one.replicate] = one
        so_far.add(one)
        expected = rank([ended[key] for key in sorted(ended)], [info]).best
        assert (so_far.number, so_far.score) == (expected.number, expected.score)
    while ended:  # an item may fail after its trial
        one = ended.pop(rng.choice(sorted(ended)))
        so_far.add(replace(one, state=State.FAILED))
        expected = rank([ended[key] for key in sorted(ended)], [info]).best
        assert so_far.number == (expected and expected.number)
