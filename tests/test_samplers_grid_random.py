from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter

import pytest
import scipy.stats

from pytest_hypersearch.core.space import (
    Space,
    as_distribution,
    choice,
    lograndint,
    loguniform,
    normal,
    randint,
    uniform,
)
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.samplers import Observation
from pytest_hypersearch.search.samplers import Grid
from pytest_hypersearch.search.samplers.random import Random, permuted, unit_vector

CONTINUOUS = Space(({"a": uniform(0, 1), "b": loguniform(1e-5, 1), "c": choice(["x", "y", "z"])},))
EQUAL = Space(({"a": randint(0, 3), "b": choice([1, 1.0, True]), "c": uniform(0, 1, step=0.5)},))
WEIGHTED = Space(({"a": choice([1, 2, 3], weights=[1, 1e-9, 5]), "b": lograndint(1, 9)},))
BRANCHES = Space(({"a": randint(0, 3)}, {"a": randint(2, 5)}, {"b": choice(["x", "y"])}))
SCIPY = Space(({"a": as_distribution(scipy.stats.binom(4, 0.5))},))
MIXED = Space(({"k": choice(["none"])}, {"k": choice(["l2"]), "w": uniform(0, 1)}))


def table(space, seed, indices, sampler=None):
    sampler = sampler or Random()
    return [sampler.suggest(space, seed=seed, index=i, history=()) for i in indices]


def test_grid_is_walked_once():
    rows = table(EQUAL, 0, range(40), Grid())
    assert rows[:36] == list(EQUAL.grid())
    assert rows[36:] == [None] * 4


def test_grid_refuses_continuous_spaces():
    with pytest.raises(ValueError, match="continuous"):
        Grid().suggest(CONTINUOUS, seed=0, index=0, history=())


@pytest.mark.parametrize("space", [CONTINUOUS, EQUAL, WEIGHTED, BRANCHES, SCIPY, MIXED])
def test_the_order_of_asking_does_not_matter(space):
    indices = list(range(25))
    straight = table(space, 3, indices)
    shuffled = indices[:]
    random.Random(0).shuffle(shuffled)
    scattered = dict(zip(shuffled, table(space, 3, shuffled), strict=True))
    assert [scattered[i] for i in indices] == straight
    assert all(space.contains(config) for config in straight if config is not None)


def test_the_order_of_asking_does_not_matter_to_a_new_process():
    code = (
        "from pytest_hypersearch.search.samplers.random import Random;"
        "from pytest_hypersearch.core.space import *;"
        "s = Space(({'a': choice([1, 2, 3], weights=[1, 1e-9, 5]), 'b': lograndint(1, 9)},));"
        "print([Random().suggest(s, seed=3, index=i, history=()) for i in (20, 5)])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(table(WEIGHTED, 3, [20, 5]))


@pytest.mark.parametrize("space", [EQUAL, WEIGHTED, BRANCHES, SCIPY])
def test_a_finite_space_is_used_up_without_repetition(space):
    rows = table(space, 1, range(space.size + 3))
    assert {space.key(config) for config in rows[: space.size]} == {
        space.key(config) for config in space.grid()
    }
    assert rows[space.size :] == [None] * 3


def test_a_single_configuration_is_not_drawn_again_beside_a_continuous_branch():
    rows = table(MIXED, 2, range(50))
    assert sum(config == {"k": "none"} for config in rows) == 1


@pytest.mark.parametrize("space", [CONTINUOUS, EQUAL, WEIGHTED])
def test_seeds_give_different_tables(space):
    assert table(space, 1, range(10)) != table(space, 2, range(10))


def test_history_is_ignored():
    seen = [Observation(0, {"a": 1}, State.COMPLETE, (0.1,))]
    with_history = Random().suggest(CONTINUOUS, seed=1, index=4, history=seen)
    assert with_history == Random().suggest(CONTINUOUS, seed=1, index=4, history=())


def test_draws_follow_their_distributions():
    rows = table(CONTINUOUS, 5, range(3000))
    assert scipy.stats.kstest([r["a"] for r in rows], "uniform").pvalue > 0.01
    assert (
        scipy.stats.kstest([r["b"] for r in rows], scipy.stats.loguniform(1e-5, 1).cdf).pvalue
        > 0.01
    )
    counts = Counter(r["c"] for r in rows)
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 0.01
    assert (
        abs(scipy.stats.spearmanr([r["a"] for r in rows], [r["b"] for r in rows]).statistic) < 0.05
    )


def test_likelier_options_come_first():
    firsts = Counter(table(WEIGHTED, seed, [0])[0]["a"] for seed in range(600))
    assert firsts[3] > 3 * firsts[1] > 0
    assert firsts[2] == 0


def test_first_draws_of_a_small_space_are_fair():
    for index in (0, 2):
        firsts = Counter(permuted(index, 5, seed) for seed in range(5000))
        assert scipy.stats.chisquare([firsts[i] for i in range(5)]).pvalue > 0.001


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 26, 97, 1000])
def test_permutations_are_permutations(size):
    assert sorted(permuted(i, size, 7) for i in range(size)) == list(range(size))


def test_an_astronomic_space_needs_no_memory():
    space = Space(({f"p{i}": randint(1, 1000) for i in range(20)},))
    rows = table(space, 0, [0, 1, 10**50])
    assert all(space.contains(config) for config in rows)
    assert len({space.key(config) for config in rows}) == 3


@pytest.mark.parametrize(
    "space",
    [
        Space(({"x": normal(5, 1, step=1)},)),
        Space(({"k": as_distribution(scipy.stats.poisson(3))},)),
        Space(({"k": as_distribution(scipy.stats.skellam(3, 4)), "c": choice(["a", "b"])},)),
        Space(({"x": normal(0, 1, step=1)}, {"x": normal(0, 2, step=0.5)}, {"y": choice([1])})),
        Space(({"x": normal(0, 1, step=2), "y": normal(9, 0.1, step=1)}, {"c": choice([1, 2])})),
    ],
    ids=["normal", "poisson", "skellam", "branches", "several"],
)
def test_rare_values_of_distributions_are_not_drawn_twice_and_outliers_come_last(space):
    rows = table(space, 0, range(space.size))
    assert all(space.contains(config) for config in rows)
    assert len({space.key(config) for config in rows}) == space.size
    assert Random().suggest(space, seed=0, index=space.size, history=()) is None


def test_improbable_values_come_in_the_order_of_their_probability():
    space = Space(({"x": normal(5, 1, step=1)},))
    away = [abs(config["x"] - 5) for config in table(space, 0, range(15))]
    assert max(away[:7]) <= 4
    assert sorted(away[-4:]) == [6, 6, 7, 7]


def test_large_spaces_that_overlap_have_no_row_twice():
    wide = {"a": randint(0, 10**6), "b": choice(["x", "y"], weights=[1, 1000])}
    space = Space((wide, {"a": randint(5, 10**6), "b": choice(["y"])}))
    rows = table(space, 0, range(500))
    assert len({space.key(config) for config in rows}) == 500


def test_unit_vectors_depend_on_their_words():
    assert unit_vector(20, 1, "a") == unit_vector(20, 1, "a")
    assert unit_vector(20, 1, "a") != unit_vector(20, 1, "b")
    assert unit_vector(20, 1, "a")[:3] == unit_vector(3, 1, "a")
    assert all(0 <= u < 1 for u in unit_vector(1000, 0))


def test_the_rows_belong_to_the_caller():
    first = table(WEIGHTED, 0, [0])[0]
    first["a"] = "changed"
    assert table(WEIGHTED, 0, [0])[0]["a"] != "changed"


@pytest.mark.parametrize("space", [CONTINUOUS, EQUAL], ids=["continuous", "equal"])
def test_suggestions_are_cheap(space):
    started = time.process_time()
    table(space, 11, [i % 30 for i in range(10_000)])
    assert time.process_time() - started < 1.0  # 0.1 s on an idle machine
