from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from pytest_hypersearch.core.space import (
    Space,
    choice,
    lograndint,
    loguniform,
    normal,
    randint,
    uniform,
)
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.samplers import Observation
from pytest_hypersearch.search.gp import GP
from pytest_hypersearch.search.gp.acquisition import LogEI, LogPrior, log_improvement
from pytest_hypersearch.search.gp.cache import histories_of, history_of, refit_point
from pytest_hypersearch.search.gp.encode import design_size, encoding_of
from pytest_hypersearch.search.gp.fit import (
    Data,
    Objective,
    default_theta,
    fit,
    scale_of,
    yeo_johnson,
)
from pytest_hypersearch.search.gp.optimise import search
from pytest_hypersearch.search.gp.outliers import robust_fit
from pytest_hypersearch.search.gp.regression import (
    NOISE_FLOOR,
    Hyperparameters,
    Kernel,
    factor_of,
    posterior_of,
)
from pytest_hypersearch.search.samplers.random import Random

MIXED = Space(
    (
        {
            "lr": loguniform(1e-5, 1e-1),
            "momentum": uniform(0, 1),
            "layers": randint(1, 6),
            "width": lograndint(8, 2000),
            "act": choice(["relu", "tanh", "gelu"]),
            "drop": uniform(0, 0.5, step=0.1),
            "init": normal(0, 1),
        },
    )
)
PLANE = Space(({"x": uniform(-5, 10), "y": uniform(0, 15)},))
TINY = Space(({"a": randint(0, 1), "b": choice(["x", "y"])},))
BRANCHES = Space(
    (
        {"kernel": choice(["linear"]), "C": loguniform(1e-2, 1e2)},
        {"kernel": choice(["rbf"]), "C": loguniform(1e-2, 1e3), "gamma": loguniform(1e-4, 1)},
    )
)
TYPED = Space(({"v": choice([1, 1.0, True, "1", None]), "w": randint(0, 2)},))
CUBE = Space(({f"x{i}": uniform(0, 1) for i in range(3)},))
WIDE = Space(({f"x{i}": uniform(0, 1) for i in range(30)},))
ONE_VALUE = Space(({"x": uniform(0, 1), "fixed": choice(["only"]), "same": uniform(2, 2)},))
EXTREME = Space(
    (
        {"x": loguniform(1e-300, 1e300), "n": lograndint(2**63, 2**64), "s": uniform(0, 1e-300)},
        {"x": loguniform(1e-300, 1e300), "n": randint(-(2**70), 2**70), "s": uniform(0, 1e300)},
        {"n": randint(0, 10**30), "s": uniform(-1e308, 1e308)},
        {"fixed": choice([None])},
    )
)


def play(space, score, count, *, seed=0, sampler=None, workers=1):
    """Run a sweep of a function that returns scores or None for a failure; return its history."""
    sampler = sampler or GP()
    finished, running = [], []
    for index in range(count):
        config = sampler.suggest(space, seed=seed, index=index, history=[*finished, *running])
        if config is None:
            break
        running.append(Observation(index, config, State.RUNNING))
        if len(running) == workers:
            done = running.pop(0)
            value = score(done.params)
            scores = () if value is None else value if isinstance(value, tuple) else (value,)
            state = State.COMPLETE if scores else State.FAILED
            finished.append(Observation(done.index, done.params, state, scores))
    return [*finished, *running]


def best(history):
    return min(min(o.scores) for o in history if o.scores)


def branin(config):
    a, b = config["x"], config["y"]
    return (
        (b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6) ** 2
        + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a)
        + 10
    )


def network(config):
    """A made-up validation loss: skewed, with an interaction and a wrong choice."""
    loss = (math.log10(config["lr"]) + 3) ** 2 + 3 * (config["momentum"] - 0.9) ** 2
    loss += 0.2 * (config["layers"] - 3) ** 2 + 0.3 * abs(math.log(config["width"] / 128))
    loss += {"relu": 0.0, "tanh": 0.7, "gelu": 0.1 * config["layers"]}[config["act"]]
    return math.exp(loss / 2 + config["drop"] + 0.1 * config["init"] ** 2)


def assert_valid(space, history):
    assert all(space.contains(o.params) for o in history)
    keys = [space.key(o.params) for o in history]
    assert len(set(keys)) == len(keys)


def regret_of(sampler, space, score, count, optimum):
    return np.median(
        [best(play(space, score, count, seed=s, sampler=sampler)) - optimum for s in range(3)]
    )


def test_it_finds_the_minimum_of_branin():
    assert regret_of(GP(), PLANE, branin, 30, 0.397887) < 0.01
    assert regret_of(Random(), PLANE, branin, 30, 0.397887) > 0.1


def test_it_converges_on_a_smooth_function():
    space = Space(({"a": uniform(0, 1), "b": uniform(0, 1)},))

    def bowl(config):
        a, b = config["a"] - 0.3, config["b"] - 0.6
        return a * a + a * b + 1.25 * b * b

    assert regret_of(GP(), space, bowl, 30, 0.0) < 2e-8  # 7e-8 with a noise floor of 1e-6


def test_many_parameters_are_refined_around_the_best_result():
    space = Space(({f"x{i}": uniform(0, 1) for i in range(9)},))

    def bowl(config):
        return sum((x - 0.3 - 0.04 * i) ** 2 for i, x in enumerate(config.values()))

    assert best(play(space, bowl, 120)) < 4e-9  # 1e-8 by a model of all results alone


def test_failures_around_the_best_result_of_many_parameters_are_learned_from():
    space = Space(
        (
            {
                **{f"x{i}": uniform(0, 1) for i in range(9)},
                "n": randint(0, 9),
                "c": choice(["a", "b"]),
            },
        )
    )

    def score(config):
        loss = sum((config[f"x{i}"] - 0.3) ** 2 for i in range(9)) + (config["n"] - 4) ** 2 / 81
        return None if config["x0"] < 0.4 else loss + (config["c"] == "a")

    history = play(space, score, 100, seed=1, workers=3)
    assert_valid(space, history)
    assert sum(o.state is State.COMPLETE for o in history[-32:]) >= 9  # 5 by a model of all results


def test_many_stepped_parameters_are_not_left_to_chance_around_the_best_result():
    space = Space(({f"x{i}": randint(0, 2) for i in range(10)},))

    def bowl(config):
        return sum((i + 1) * (x - 1) ** 2 for i, x in enumerate(config.values()))

    scores = [o.scores[0] for o in play(space, bowl, 100)][70:]
    assert max(np.mean(scores[::2]), np.mean(scores[1::2])) < 20  # at random 37


def test_it_beats_random_on_a_mixed_space():
    ours = regret_of(GP(), MIXED, network, 40, 1.0)
    assert ours < 0.3 * regret_of(Random(), MIXED, network, 40, 1.0)


def test_it_beats_random_in_branches():
    def score(config):
        loss = (math.log10(config["C"]) - 1) ** 2 + 0.5
        if config["kernel"] == "rbf":
            loss += (math.log10(config["gamma"]) + 2) ** 2 - 0.5
        return loss

    history = play(BRANCHES, score, 30, seed=1)
    assert_valid(BRANCHES, history)
    assert best(history) < 0.02
    assert {o.params["kernel"] for o in history} == {"linear", "rbf"}


def test_it_finds_a_corner():
    space = Space(({f"x{i}": uniform(0, 1) for i in range(4)},))
    history = play(space, lambda c: sum(c.values()), 20)
    assert best(history) < 0.05


def test_it_ignores_dead_dimensions():
    history = play(WIDE, lambda c: (c["x3"] - 0.3) ** 2 + (c["x7"] - 0.8) ** 2, 60)
    assert best(history) < 0.005


def test_it_leaves_a_failing_region():
    history = play(PLANE, lambda c: None if c["x"] > 2 else branin(c), 40, seed=2)
    assert_valid(PLANE, history)
    failures = [not o.scores for o in history[20:]]
    assert sum(failures) <= 9
    assert best(history) < 0.5


def test_it_finds_the_minimum_under_noise():
    def noisy(config):
        wave = math.sin(1e6 * config["x"]) + math.sin(2e6 * config["y"])
        return branin(config) + 3 * wave

    history = play(PLANE, noisy, 50, seed=3)
    late = np.median([branin(o.params) for o in history[35:]])
    assert late < 5


def bowl(config):
    return sum((1 + i) * (v - 0.3 - 0.1 * i) ** 2 for i, v in enumerate(config.values()))


@pytest.mark.parametrize("seed", range(2))
def test_trials_that_end_badly_by_chance_are_not_taken_for_noise(seed):
    rng = np.random.default_rng(seed)
    score = play(CUBE, lambda c: 3.0 if rng.random() < 0.15 else bowl(c), 40, seed=seed)
    assert best(score) < 1e-5


def test_where_all_trials_end_badly_it_does_not_go_on():
    history = play(CUBE, lambda c: 3.0 if c["x0"] > 0.35 else bowl(c), 40)
    assert sum(o.params["x0"] > 0.35 for o in history[15:]) < 8
    assert best(history) < 1e-4


def test_what_is_worse_than_a_plateau_is_no_outlier():
    rng = np.random.default_rng(7)
    rows, scores = rng.random((20, 2)), np.where(np.arange(20) % 5, 0.0, 1.0)
    data = Data(rows, scores, np.ones(20), np.ones(20, dtype=bool))
    assert not robust_fit(data, np.zeros(2, dtype=bool))[1].any()


def test_outliers_are_known_in_long_histories_and_before_the_next_fit():
    rng = np.random.default_rng(6)
    rows = rng.random((339, 3))
    bad = rng.random(339) < 0.1
    bad[-1] = True
    scores = np.where(bad, rng.uniform(2.0, 9.0, 339), (rows**2).sum(axis=1))
    history = [
        Observation(i, {f"x{j}": float(u) for j, u in enumerate(x)}, State.COMPLETE, (float(y),))
        for i, (x, y) in enumerate(zip(rows, scores, strict=True))
    ]
    past = history_of(CUBE, history)
    factor, _, failed = past.model()
    assert refit_point(339) < 339
    assert len(factor.X) > 300
    assert (failed == bad[past.active]).all()


ODD = {
    "constant": lambda _: 1.0,
    "all failed": lambda _: None,
    "first only": lambda c: 1.0 if c == FIRST[0] else None,
    "two values": lambda c: float(hash(str(c)) % 2),
    "huge outliers": lambda c: 1e30 if len(str(c)) % 3 == 0 else len(str(c)) * 0.1,
    "all magnitudes": lambda c: -(10.0 ** (len(str(c)) * 37 % 600 - 300)),
    "infinite spread": lambda c: 1.7e308 if len(str(c)) % 2 else -1.7e308,
    "tiny": lambda c: 1e-300 * len(str(c)),
    "replicates": lambda c: (float(len(str(c))), len(str(c)) + 1.0, len(str(c)) - 0.5),
    "offset": lambda c: 1e15 + len(str(c)),
}
FIRST = [None]


@pytest.mark.parametrize(
    "space",
    [MIXED, PLANE, TINY, BRANCHES, TYPED, WIDE, ONE_VALUE, EXTREME],
    ids=["mixed", "plane", "tiny", "branches", "typed", "wide", "one-value", "extreme"],
)
@pytest.mark.parametrize("score", list(ODD.values()), ids=list(ODD))
def test_odd_scores_still_give_valid_proposals(space, score):
    FIRST[0] = GP().suggest(space, seed=0, index=0, history=())
    history = play(space, score, 16)
    assert_valid(space, history)
    assert len(history) == min(16, space.size or 16)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("space", [TINY, TYPED])
def test_a_small_space_is_used_up(space, workers):
    history = play(space, lambda c: float(len(str(c))), space.size + 5, workers=workers)
    assert len(history) == space.size
    assert {space.key(o.params) for o in history} == {space.key(c) for c in space.grid()}


def test_a_space_of_one_configuration():
    space = Space(({"only": choice(["x"])},))
    assert GP().suggest(space, seed=0, index=0, history=()) == {"only": "x"}
    assert GP().suggest(space, seed=0, index=1, history=play(space, lambda _: 1.0, 1)) is None


def test_a_narrow_range_is_searched_beside_a_wide_one():
    space = Space(({"x": uniform(0, 1e-9)}, {"x": uniform(0, 1e9), "y": uniform(0, 1)}))
    history = play(space, lambda c: abs(c["x"] - 3e-10) * 1e9, 25)
    assert best(history) < 0.003
    assert_valid(space, history)


def test_duplicates_in_the_history_are_no_problem():
    config = {"x": 1.0, "y": 2.0}
    history = [Observation(i, config, State.COMPLETE, (float(i % 3),)) for i in range(30)]
    history.append(Observation(30, {"x": 1.0, "y": 2.0 + 1e-14}, State.COMPLETE, (7.0,)))
    assert PLANE.contains(GP().suggest(PLANE, seed=0, index=31, history=history))


def test_configurations_of_another_space_are_ignored():
    foreign = [Observation(i, {"z": i}, State.COMPLETE, (float(i),)) for i in range(20)]
    own = play(PLANE, branin, 12)
    mixed = [pair for both in zip(own, foreign, strict=False) for pair in both]
    assert GP().suggest(PLANE, seed=0, index=12, history=mixed) == GP().suggest(
        PLANE, seed=0, index=12, history=own
    )


@pytest.mark.parametrize("state", [s for s in State if s is not State.COMPLETE])
def test_every_state_is_understood(state):
    history = play(MIXED, network, 12)
    odd = GP().suggest(MIXED, seed=0, index=12, history=history)
    history.append(Observation(12, odd, state))
    assert MIXED.contains(GP().suggest(MIXED, seed=0, index=13, history=history))


def test_pending_configurations_are_not_proposed_again():
    finished = play(PLANE, branin, 12)
    running = []
    for index in range(12, 20):
        config = GP().suggest(PLANE, seed=0, index=index, history=[*finished, *running])
        running.append(Observation(index, config, State.RUNNING))
    points = np.array([[o.params["x"] / 15, o.params["y"] / 15] for o in running])
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(8, 1)]
    assert gaps.min() > 1e-6


def test_nothing_finished_but_many_pending():
    history = play(MIXED, network, 40, workers=50)
    assert_valid(MIXED, history)
    assert len(history) == 40


def test_the_centre_is_first_and_the_next_configurations_meet_every_option_and_range():
    size = design_size(MIXED)
    centre, *rows = [GP().suggest(MIXED, seed=5, index=i, history=()) for i in range(size)]
    assert centre == MIXED.centre()
    counts = Counter(row["act"] for row in rows)
    assert max(counts.values()) - min(counts.values()) <= 1
    parts = {int(row["momentum"] * (size - 1)) for row in rows}
    assert len(parts) == size - 1


def test_the_centre_of_each_branch_comes_first():
    space = Space(({"a": uniform(0, 1), "c": choice(["x", "y", "z"])}, {"b": loguniform(1, 100)}))
    rows = [GP().suggest(space, seed=3, index=i, history=()) for i in range(2)]
    assert rows == [{"a": 0.5, "c": "y"}, {"b": pytest.approx(10)}]


def test_the_first_configurations_depend_on_seed_and_index_only():
    history = play(MIXED, network, 3)
    assert GP().suggest(MIXED, seed=5, index=4, history=history) == GP().suggest(
        MIXED, seed=5, index=4, history=()
    )
    assert GP().suggest(MIXED, seed=5, index=4, history=()) != GP().suggest(
        MIXED, seed=6, index=4, history=()
    )


@pytest.mark.parametrize("space", [PLANE, MIXED, BRANCHES], ids=["plane", "mixed", "branches"])
def test_a_cold_cache_changes_nothing(space):
    def score(config):
        return sum(len(str(v)) ** 1.5 for v in config.values())

    history = play(space, score, 40)
    for index in (9, 17, 39):
        histories_of.cache_clear()
        encoding_of.cache_clear()
        cold = GP().suggest(space, seed=0, index=index, history=history[:index])
        assert cold == history[index].params


def test_a_cold_process_changes_nothing():
    code = (
        "from test_samplers_gp import *;"
        "h = play(PLANE, branin, 20);"
        "histories_of.cache_clear();"
        "print(GP().suggest(PLANE, seed=0, index=20, history=h))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, 'tests'); {code}"],
        check=True,
        capture_output=True,
        text=True,
    )
    history = play(PLANE, branin, 20)
    assert done.stdout.strip() == str(GP().suggest(PLANE, seed=0, index=20, history=history))


def test_a_changed_past_is_noticed():
    history = play(PLANE, branin, 20)
    GP().suggest(PLANE, seed=0, index=20, history=history)
    changed = [
        Observation(o.index, o.params, o.state, (o.scores[0] * 3 + o.params["x"],)) for o in history
    ]
    warm = GP().suggest(PLANE, seed=0, index=20, history=changed)
    histories_of.cache_clear()
    assert GP().suggest(PLANE, seed=0, index=20, history=changed) == warm


def test_scores_are_compared_by_order_not_size():
    history = play(PLANE, branin, 15)
    scaled = [
        Observation(o.index, o.params, o.state, (o.scores[0] * 1024.0 - 512.0,)) for o in history
    ]
    ours = GP().suggest(PLANE, seed=0, index=15, history=history)
    theirs = GP().suggest(PLANE, seed=0, index=15, history=scaled)
    assert ours["x"] == pytest.approx(theirs["x"], abs=0.05)


def toy_data(rng, n=14):
    space = Space(({"x": uniform(0, 1), "n": randint(1, 5), "c": choice(["a", "b", "c"])},))
    encoding = encoding_of(space)
    rows = encoding.branches[0].rows(rng.random((n, 3)))
    scores = np.sin(5 * rows[:, 0]) + rows[:, 1] + (rows[:, 2] == 1) + rng.exponential(size=n)
    counts = rng.integers(1, 4, n).astype(float)
    data = Data(rows, scores, counts, rng.random(n) < 0.9, within=2.0, freedom=5)
    return encoding, data


@pytest.mark.parametrize("pruned", [False, True])
def test_gradient_of_the_fit(pruned):
    rng = np.random.default_rng(0)
    encoding, data = toy_data(rng)
    if pruned:
        data = dataclasses.replace(data, gaps=rng.choice([0.0, 0.3, 0.9], 14))
    objective = Objective.of(data, encoding.categorical)
    start = default_theta(encoding.features, pruned=pruned)
    for _ in range(5):
        theta = start + 0.3 * rng.standard_normal(len(start))
        numeric = scipy.optimize.approx_fprime(theta, lambda t: objective(t)[0], 1e-6)
        assert objective(theta)[1] == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_short_waves_are_not_taken_for_noise():
    rng = np.random.default_rng(1)
    rows = rng.random((60, 2))
    near = np.clip(rows[0] + 0.1 * rng.standard_normal((30, 2)), 0.0, 1.0)
    rows = np.vstack([rows, near])
    trend = 4.0 * ((rows - 0.4) ** 2).sum(axis=1)

    def noise(scores):
        data = Data(rows, scores / scores.std(), np.ones(90), np.ones(90, dtype=bool))
        return fit(data, np.zeros(2, dtype=bool))[0].noise_variance

    assert noise(trend + 0.8 * np.cos(40.0 * rows).prod(axis=1)) < 0.01
    assert noise(trend + 0.4 * rng.standard_normal(90)) > 0.2


def test_gradient_of_the_acquisition():
    rng = np.random.default_rng(1)
    encoding, data = toy_data(rng)
    hyper, _ = fit(data, encoding.categorical)
    factor = factor_of(Kernel(hyper, encoding.categorical), data.X, data.counts)
    acquisition = LogEI(posterior_of(factor, rng.standard_normal((14, 2))), -1.0)
    row = encoding.branches[0].rows(rng.random((1, 3)))

    def value(x):
        moved = row.copy()
        moved[0, 0] = x[0]
        return acquisition.value(moved)[0]

    numeric = scipy.optimize.approx_fprime(row[0, :1], value, 1e-7)
    assert acquisition.value_and_gradient(row)[1][0, 0] == pytest.approx(numeric[0], rel=1e-3)


def test_gradient_of_the_prior():
    prior = LogPrior(0.7, np.array([True, False, True]))
    row = np.array([0.9, 3.0, 0.4])
    numeric = scipy.optimize.approx_fprime(row, lambda x: prior.value(x[None])[0], 1e-7)
    assert prior.value_and_gradient(row[None])[1][0] == pytest.approx(numeric, rel=1e-4)


class Spike:
    """An acquisition that is high a long step along the first of six parameters from 0.3."""

    inverse_squared_lengthscales = np.ones(6)

    def value(self, rows):
        along = np.abs(rows[:, 1:] - 0.3).max(axis=1) < 0.03
        return np.where(along & (np.abs(rows[:, 0] - 0.9) < 0.09), 1.0, 0.0)

    def value_and_gradient(self, rows):
        return self.value(rows), np.zeros_like(rows)


@pytest.mark.parametrize("seed", range(10))
def test_a_long_step_along_one_parameter_is_found(seed):
    (branch,) = encoding_of(Space(({f"x{i}": uniform(0, 1) for i in range(6)},))).branches
    rng = np.random.default_rng(seed)
    [(_, values)] = search([branch], Spike(), [np.full((1, 6), 0.3)], rng)
    assert values[0] == 1.0


class Slow:
    """An acquisition that counts the rows that it was asked for."""

    def __init__(self, features):
        self.inverse_squared_lengthscales, self.asked = np.ones(features), 0

    def value(self, rows):
        self.asked += len(rows)
        return -np.abs(rows - 0.3).sum(axis=1)

    def value_and_gradient(self, rows):
        return self.value(rows), np.sign(0.3 - rows)


@pytest.mark.parametrize(
    "space",
    [
        Space(tuple({"kind": choice([str(i)]), f"x{i}": uniform(0, 1)} for i in range(30))),
        Space(({f"c{i}": choice(range(200)) for i in range(3)},)),
        Space(({f"c{i}": choice(range(5)) for i in range(50)},)),
    ],
    ids=["branches", "options", "parameters"],
)
def test_many_branches_options_or_parameters_are_not_all_tried(space):
    encoding = encoding_of(space)
    acquisition, rng = Slow(encoding.features), np.random.default_rng(0)
    known = [branch.rows(rng.random((5, len(branch.domains)))) for branch in encoding.branches]
    for rows, values in search(encoding.branches, acquisition, known, rng):
        assert len(rows) == len(values)
        assert list(values) == sorted(values, reverse=True)
    assert acquisition.asked < 2200


def test_rows_appended_equal_a_fresh_factor():
    rng = np.random.default_rng(2)
    encoding, data = toy_data(rng)
    hyper = Hyperparameters(np.array([4.0, 2.0, 1.0]), 1.3, 0.6, 1e-2, 1.0, deviation=0.4)
    kernel = Kernel(hyper, encoding.categorical)
    gaps = rng.choice([0.0, 0.2, 0.8], 14)
    whole = factor_of(kernel, data.X, data.counts, gaps)
    grown = factor_of(kernel, data.X[:10], data.counts[:10], gaps[:10])
    for row, count, gap in zip(data.X[10:], data.counts[10:], gaps[10:], strict=True):
        grown = grown.appended(row, count, gap)
    assert grown.L_inv == pytest.approx(whole.L_inv, abs=1e-8)
    covariance = np.linalg.inv(whole.L_inv.T @ whole.L_inv)
    i, j = np.flatnonzero(gaps)[:2]
    plain = kernel.covariance(data.X, data.X)
    assert covariance[i, j] == pytest.approx(plain[i, j] * (1 + 0.4 * gaps[i] * gaps[j]))
    own = kernel.variance * (1 + 2 * 0.4 * gaps[i] ** 2) + 1e-2 / data.counts[i] + NOISE_FLOOR
    assert covariance[i, i] == pytest.approx(own)
    scored = np.flatnonzero(gaps == 0)[0]
    assert covariance[i, scored] == pytest.approx(plain[i, scored])


def pruned_plane(*, reports=True, wrong=False):
    """A history of which only two trials are complete: of (x - 0.7)^2 + (y - 0.3)^2."""
    rng, history = np.random.default_rng(5), []
    for index in range(24):
        x, y = rng.random(2).tolist()
        score = (x - 0.7) ** 2 + (y - 0.3) ** 2
        complete = index in {0, 9}
        curve = [(step, score + 0.2 / step) for step in range(1, 11 if complete else 4)]
        if wrong and not complete:
            curve = [(step, -value) for step, value in curve]
        history.append(
            Observation(
                index,
                {"x": x, "y": y},
                State.COMPLETE if complete else State.PRUNED,
                (score,) if complete else (),
                reports=tuple(curve) if reports else (),
            )
        )
    return history


def test_values_of_pruned_trials_show_where_to_search():
    square = Space(({"x": uniform(0, 1), "y": uniform(0, 1)},))

    def distance(history):
        asked = GP().suggest(square, seed=0, index=24, history=history)
        return math.dist((asked["x"], asked["y"]), (0.7, 0.3))

    assert distance(pruned_plane()) < 0.15
    assert distance(pruned_plane(reports=False)) > 0.2
    assert distance(pruned_plane(wrong=True)) > 0.3
    late = [dataclasses.replace(o, reports=o.reports[:1]) for o in pruned_plane()]
    assert distance(late) != distance(pruned_plane())  # at which step a value was reported counts


def test_curves_change_nothing_while_no_trial_is_pruned():
    plain = play(PLANE, branin, 20)
    curves = [dataclasses.replace(o, reports=((0, 3.0 * o.index), (1, o.scores[0]))) for o in plain]
    for index in (8, 13, 20):
        asked = [
            GP().suggest(PLANE, seed=0, index=index, history=h[:index]) for h in (plain, curves)
        ]
        assert asked[0] == asked[1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308])
def test_any_value_of_a_pruned_trial_can_be_searched_with(value):
    history = pruned_plane()
    history[5] = dataclasses.replace(history[5], reports=((1, value),))
    history[6] = dataclasses.replace(history[6], reports=((1e9, 0.5),))
    square = Space(({"x": uniform(0, 1), "y": uniform(0, 1)},))
    unscored = [o for o in history if not o.scores]
    for told in (history, unscored, history[:2], history[1:10], [history[0], history[6]]):
        config = GP().suggest(square, seed=0, index=24, history=told)
        assert square.contains(config)
        assert config not in [o.params for o in told]


def test_values_of_pruned_trials_are_of_the_first_metric_alone():
    square = Space(({"x": uniform(0, 1), "y": uniform(0, 1)},))

    def asked(second, pruned):
        history = [
            dataclasses.replace(o, others=((second * o.scores[0],),), excess=((o.params["x"],),))
            if o.scores
            else dataclasses.replace(o, reports=o.reports if pruned else ())
            for o in pruned_plane()
        ]
        return GP().suggest(square, seed=0, index=24, history=history)

    assert asked(1.0, pruned=True) != asked(1.0, pruned=False)
    # in other units, in which values of the first metric would be far off the scale
    near = [asked(scale, pruned=True) for scale in (1.0, 1024.0)]
    assert near[0] == pytest.approx(near[1], abs=0.02)


def test_log_improvement_is_exact_far_out():
    z = np.array([-1e6, -50.0, -5.0, -1.0, 0.0, 2.0])
    density = scipy.stats.norm.pdf(z[2:])
    exact = np.log(density + z[2:] * scipy.stats.norm.cdf(z[2:]))
    value, lower, higher = log_improvement(z)
    assert value[2:] == pytest.approx(exact)
    assert np.isfinite(value).all()
    assert (np.diff(value) > 0).all()
    slope = (log_improvement(z + 1e-6)[0] - log_improvement(z - 1e-6)[0]) / 2e-6
    assert lower[1:] == pytest.approx(slope[1:], rel=1e-3)
    assert (higher > 0).all()


def test_the_warp_is_yeo_and_johnsons():
    t = np.linspace(-3, 5, 20)
    for exponent in (-0.5, 0.0, 0.7, 1.0, 2.0):
        assert yeo_johnson(t, np.array([exponent]))[0] == pytest.approx(
            scipy.stats.yeojohnson(t, exponent)
        )
    assert yeo_johnson(t, np.array([1.0]))[0] == pytest.approx(t)


def test_scales_survive_anything():
    assert scale_of(np.array([3.0, 3.0])) is None
    assert scale_of(np.array([1.0, 1.0, 1.0, 5.0])).spread == 4.0
    assert scale_of(np.array([0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3, 5.3])).spread == pytest.approx(5.0)
    assert scale_of(np.array([0.1 + 0.2, 0.3])) is None
    cut = scale_of(np.array([1.0, 2.0, 3.0, 4.0, 1e30])).apply(np.array([1.0, 1e30]))
    assert cut.tolist() == [-2.0, 5.0]


def test_lengths_tell_what_matters():
    rng = np.random.default_rng(3)
    rows = rng.random((30, 3))
    scores = np.sin(6 * rows[:, 1])
    data = Data(rows, scores, np.ones(30), np.ones(30, dtype=bool))
    inverse = fit(data, np.zeros(3, dtype=bool))[0].inverse_squared_lengthscales
    assert inverse[1] > 10 * max(inverse[0], inverse[2])


def test_refits_are_rarer_with_more_results():
    points = sorted({refit_point(n) for n in range(1, 1001)})
    assert points[:15] == list(range(1, 16))
    assert 40 < len(points) < 80
    assert all(refit_point(n) <= n < 1.15 * refit_point(n) + 1 for n in range(1, 1001))


def test_importing_the_package_imports_no_numpy():
    code = (
        "import sys; import pytest_hypersearch.search.gp as gp; gp.GP();"
        "assert not {'numpy', 'scipy', 'pytest'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_suggesting_does_not_import_scipy_stats():
    code = (
        "import sys; from pytest_hypersearch.search.gp import GP;"
        "from pytest_hypersearch.core.space import *;"
        "GP().suggest(Space(({'x': uniform(0, 1)},)), seed=0, index=0, history=());"
        "assert 'scipy.stats' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_expectations_at_training_points_come_free():
    rng = np.random.default_rng(4)
    encoding, data = toy_data(rng)
    kernel = Kernel(fit(data, encoding.categorical)[0], encoding.categorical)
    targets = rng.standard_normal((14, 2))
    posterior = posterior_of(factor_of(kernel, data.X, data.counts), targets)
    assert posterior.smoothed(targets) == pytest.approx(posterior.mean(data.X), abs=1e-6)


def test_a_thousand_results_are_modelled_by_a_few_hundred():
    space = Space(({f"x{i}": uniform(0, 1) for i in range(4)},))
    rng = np.random.default_rng(5)
    history = []
    for index in range(1000):
        config = {f"x{i}": float(u) for i, u in enumerate(rng.random(4))}
        score = sum((u - 0.3) ** 2 for u in config.values())
        history.append(Observation(index, config, State.COMPLETE, (score,)))
    for index in range(1000, 1008):
        config = GP().suggest(space, seed=0, index=index, history=history)
        history.append(
            Observation(
                index, config, State.COMPLETE, (sum((u - 0.3) ** 2 for u in config.values()),)
            )
        )
        assert len(histories_of(space)[0].factor.X) < 400
    assert best(history) < 1e-3 < best(history[:1000])
    histories_of.cache_clear()
    again = GP().suggest(space, seed=0, index=1007, history=history[:1007])
    assert again == history[1007].params


def test_studies_of_one_space_do_not_disturb_each_other():
    first, second = play(PLANE, branin, 20), play(PLANE, lambda c: -branin(c), 20)
    histories_of.cache_clear()
    for index in range(14, 20):
        for history in (first, second):
            config = GP().suggest(PLANE, seed=0, index=index, history=history[:index])
            assert config == history[index].params
    assert len(histories_of(PLANE)) == 2


def test_proposals_do_not_depend_on_the_threads_of_the_process():
    source = """
from pytest_hypersearch import uniform
from pytest_hypersearch.samplers import Optimizer

optimizer = Optimizer({f"x{i}": uniform(0, 1) for i in range(6)}, strategy="bayes", seed=1)
for _ in range(30):
    params = optimizer.ask()
    optimizer.tell(params, sum((value - 0.3) ** 2 for value in params.values()))
print(params)
"""
    printed = {
        subprocess.run(
            [sys.executable, "-c", source],
            env={**os.environ, "OMP_NUM_THREADS": threads},
            check=True,
            capture_output=True,
        ).stdout
        for threads in ("1", "7")
    }
    assert len(printed) == 1
