"""Importance against functions whose true total Sobol indices are known."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from pytest_hypersearch.core.space import (
    Space,
    choice,
    lograndint,
    loguniform,
    normal,
    randint,
    uniform,
)
from pytest_hypersearch.samplers import Optimizer
from pytest_hypersearch.search.samplers.random import draw
from pytest_hypersearch.stats.importance import importance
from pytest_hypersearch.stats.importance.ped_anova import ped_anova
from pytest_hypersearch.stats.importance.total import normal_scores

PI = math.pi
METHODS = ("total", "ped-anova")
BRANCHES = Space(
    (
        {
            "opt": choice(["sgd"]),
            "lr": loguniform(1e-5, 1e-1),
            "momentum": uniform(0, 1),
            "layers": randint(1, 6),
        },
        {
            "opt": choice(["adam"]),
            "lr": loguniform(1e-5, 1e-1),
            "width": lograndint(8, 2000),
            "drop": uniform(0, 0.5, step=0.1),
            "act": choice(["a", "b", "c"]),
        },
    )
)


def cube(dimensions, low=0.0, high=1.0):
    return Space(({f"x{i}": uniform(low, high) for i in range(dimensions)},))


def ishigami(p):
    x, y, z = p["x0"], p["x1"], p["x2"]
    return math.sin(x) + 7 * math.sin(y) ** 2 + 0.1 * z**4 * math.sin(x)


G = (0.0, 1.0, 4.5, 9.0, 99.0, 99.0)


def g_function(p):
    # shifted modulo 1, which leaves the effects: the search begins at the centre, the minimum
    x = [(p[f"x{i}"] + 0.2) % 1 for i in range(len(G))]
    return math.prod((abs(4 * each - 2) + a) / (1 + a) for each, a in zip(x, G, strict=True))


def g_totals():
    """Total effects of Sobol' g-function (Saltelli et al. 2010)."""
    parts = [1 / 3 / (1 + a) ** 2 for a in G]
    return [v * math.prod(1 + w for w in parts) / (1 + v) for v in parts]


FUNCTIONS = {
    "ishigami": (cube(5, -PI, PI), ishigami, [0.5576, 0.4424, 0.2437, 0, 0]),
    "g": (cube(6), g_function, g_totals()),
    "linear": (cube(6), lambda p: 4 * p["x0"] + 2 * p["x1"] + p["x2"], [16, 4, 1, 0, 0, 0]),
    "interaction": (cube(5), lambda p: (p["x1"] - 0.5) * (p["x4"] - 0.5), [0, 1, 0, 0, 1]),
    "choice": (
        Space(({"act": choice(["a", "b", "c"]), "x": uniform(0, 1), "dead": choice([1, 2])},)),
        lambda p: {"a": 0.0, "b": 2.0, "c": 1.0}[p["act"]] + 2 * p["x"],
        [2 / 3, 4 / 12, 0],
    ),
}


def random_design(space, count, seed=0):
    return [draw(space, seed, index) for index in range(count)]


def optimised(space, function, count, seed):
    """The configurations that the Bayesian sampler asks for."""
    optimizer = Optimizer(space.branches, seed=seed)
    asked = []
    for _ in range(count):
        asked.append(optimizer.ask())
        optimizer.tell(asked[-1], function(asked[-1]))
    return asked


def noisy(function, configs, seed=0):
    scores = np.array([function(config) for config in configs])
    noise = np.random.default_rng(seed).normal(0, 0.05 * scores.std(), len(scores))
    return (scores + noise).tolist()


def shares(space, configs, scores, **options):
    """Shares by parameter, in the order of the space."""
    found = {one.parameter: one for one in importance(space, configs, scores, **options)}
    return np.array([found[name].share for name in space.varied])


@pytest.mark.parametrize(("count", "tolerance"), [(100, 0.15), (250, 0.08)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_shares_are_those_of_the_true_total_indices(name, count, tolerance):
    space, function, totals = FUNCTIONS[name]
    configs = random_design(space, count, seed=count)
    found = shares(space, configs, noisy(function, configs))
    assert found.sum() == pytest.approx(1.0)
    assert found == pytest.approx(np.array(totals) / sum(totals), abs=tolerance)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_optimisers_configurations_tell_what_matters(name):
    space, function, totals = FUNCTIONS[name]
    asked = [optimised(space, function, 40, seed) for seed in range(3)]
    found = np.median([shares(space, each, noisy(function, each)) for each in asked], axis=0)
    # few of its configurations are far from the best: shares are shrunk towards each other
    assert found == pytest.approx(np.array(totals) / sum(totals), abs=0.3)
    assert found.argmax() == np.argmax(totals)
    dead = np.array(totals) == 0
    assert found[dead].sum() < 0.1


@pytest.mark.parametrize("count", [30, 130])
def test_the_spread_tells_how_far_off_shares_are(count):
    errors, spreads = [], []
    for name, (space, function, totals) in FUNCTIONS.items():
        configs = random_design(space, count, seed=len(name))
        truth = dict(zip(space.varied, np.array(totals) / sum(totals), strict=True))
        for one in importance(space, configs, noisy(function, configs)):
            errors.append(one.share - truth[one.parameter])
            spreads.append(one.spread)
    within = np.abs(errors) <= 2 * np.array(spreads) + 0.03
    assert within.mean() > 0.8
    assert max(spreads) < 0.3


def test_importance_sorts_and_counts():
    configs = random_design(cube(3), 40)
    found = importance(cube(3), configs, [config["x1"] ** 2 for config in configs])
    assert [one.share for one in found] == sorted((one.share for one in found), reverse=True)
    assert found[0].parameter == "x1"
    assert {one.n for one in found} == {40}


@pytest.mark.parametrize("method", METHODS)
def test_importance_is_a_function_of_its_arguments(method):
    space, function, _ = FUNCTIONS["ishigami"]
    configs = random_design(space, 150)
    scores = noisy(function, configs)
    first = importance(space, configs, scores, method=method, seed=1)
    assert importance(space, configs, scores, method=method, seed=1) == first
    assert importance(space, configs, scores, method=method, seed=2) != first


@pytest.mark.parametrize("method", METHODS)
def test_only_the_order_of_scores_matters(method):
    space, function, _ = FUNCTIONS["linear"]
    configs = random_design(space, 40)
    scores = noisy(function, configs)
    cubed = [math.exp(3 * score) for score in scores]
    first = importance(space, configs, scores, method=method)
    assert importance(space, configs, cubed, method=method) == first


@pytest.mark.parametrize("method", METHODS)
def test_fewer_than_ten_configurations_are_refused(method):
    configs = random_design(cube(2), 10)
    scores = [config["x0"] for config in configs]
    assert importance(cube(2), configs, scores, method=method)
    with pytest.raises(ValueError, match="needs at least 10 complete configurations"):
        importance(cube(2), configs[:9], scores[:9], method=method)


def test_equal_scores_are_refused():
    with pytest.raises(ValueError, match="needs scores that differ"):
        importance(cube(2), random_design(cube(2), 20), [1.5] * 20)


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_differ_once_are_enough(method):
    found = importance(cube(2), random_design(cube(2), 12), [1.5] * 11 + [2.5], method=method)
    assert all(math.isfinite(one.share) and math.isfinite(one.spread) for one in found)


@pytest.mark.parametrize("method", METHODS)
def test_a_logarithmic_parameter_counts_by_its_logarithm(method):
    plain = Space(({"a": uniform(-4, 0), "b": uniform(0, 1)},))
    log = Space(({"a": loguniform(1e-4, 1), "b": uniform(0, 1)},))
    configs = random_design(plain, 60)
    scores = [(config["a"] + 2) ** 2 + config["b"] for config in configs]
    powers = [{**config, "a": min(max(10.0 ** config["a"], 1e-4), 1.0)} for config in configs]
    expected = shares(plain, configs, scores, method=method)
    assert shares(log, powers, scores, method=method) == pytest.approx(expected, abs=1e-3)


def test_rare_options_count_as_rarely_as_they_are_drawn():
    def act_share(weights):
        acts = choice(["a", "b", "c"], weights=weights)
        space = Space(({"act": acts, "x": uniform(0, 1)},))
        configs = random_design(Space(({**space.branches[0], "act": choice(["a", "b", "c"])},)), 60)
        scores = [3 * (config["act"] == "b") + config["x"] for config in configs]
        return shares(space, configs, scores)[0]

    assert act_share([1, 1, 1]) > 0.5
    assert act_share([98, 1, 1]) < 0.4


@pytest.mark.parametrize("method", METHODS)
def test_parameters_with_one_value_are_left_out(method):
    space = Space(({"x": uniform(0, 1), "fixed": choice(["only"]), "y": normal(0, 1)},))
    configs = random_design(space, 30)
    scores = [config["x"] + config["y"] for config in configs]
    found = importance(space, configs, scores, method=method)
    assert {one.parameter for one in found} == {"x", "y"}


def conditional_score(config):
    if config["opt"] == "sgd":
        return (math.log10(config["lr"]) + 3) ** 2 / 2 + 3 * config["momentum"]
    return (math.log10(config["lr"]) + 3) ** 2 / 2 + 2 * (config["act"] == "b") + 3


def test_conditional_parameters_are_judged_in_their_branches():
    configs = random_design(BRANCHES, 120)
    scores = [conditional_score(config) for config in configs]
    found = {one.parameter: one for one in importance(BRANCHES, configs, scores)}
    effects = {"opt": 1.58, "act": 8 / 9, "momentum": 9 / 12, "lr": 16 / 45}  # by hand
    for name, one in found.items():
        assert one.share == pytest.approx(effects.get(name, 0) / sum(effects.values()), abs=0.15)
    assert found["layers"].share + found["width"].share + found["drop"].share < 0.06
    assert found["momentum"].n + found["act"].n == found["lr"].n == found["opt"].n == 120


def test_the_choice_between_branches_matters_only_if_they_differ():
    space = Space(
        (
            {"kind": choice(["a"]), "x": uniform(0, 1)},
            {"kind": choice(["b"]), "x": uniform(0, 1), "y": uniform(0, 1)},
        )
    )
    configs = random_design(space, 80)
    alike = importance(space, configs, [config["x"] for config in configs])
    apart = importance(
        space, configs, [5 * (config["kind"] == "b") + config["x"] for config in configs]
    )
    assert {one.parameter: one.share for one in alike}["kind"] < 0.02
    assert apart[0].parameter == "kind"
    assert apart[0].share > 0.6


@pytest.mark.parametrize("count", [10, 30, 200])
@pytest.mark.parametrize("seed", [0, 3])
def test_ped_anova_agrees_with_optunas(count, seed):
    optuna = pytest.importorskip("optuna")
    real, whole = optuna.distributions.FloatDistribution, optuna.distributions.IntDistribution
    option = optuna.distributions.CategoricalDistribution
    theirs = {
        "opt": option(["sgd", "adam"]),
        "lr": real(1e-5, 1e-1, log=True),
        "momentum": real(0, 1),
        "layers": whole(1, 6),
        "width": whole(8, 2000, log=True),
        "drop": real(0, 0.5, step=0.1),
        "act": option(["a", "b", "c"]),
    }
    configs = random_design(BRANCHES, count, seed)
    scores = [conditional_score(config) for config in configs]
    study = optuna.create_study()
    for config, score in zip(configs, scores, strict=True):
        used = {name: theirs[name] for name in config}
        trial = optuna.trial.create_trial(params=config, distributions=used, value=score)
        study.add_trial(trial)
    expected = optuna.importance.PedAnovaImportanceEvaluator().evaluate(study)
    quantile = math.ceil(0.1 * count) / count  # Optuna's constant factor; shares lack it
    found = ped_anova(BRANCHES, configs, np.array(scores)) * quantile**2
    assert found == pytest.approx([expected[name] for name in BRANCHES.varied], rel=1e-9)
    assert max(found) > 0


def test_ped_anova_asks_what_is_good():
    space = cube(2)
    configs = random_design(space, 200)
    scores = [min(config["x0"], 0.3) if config["x1"] < 0.9 else 9.0 for config in configs]
    assert shares(space, configs, scores, method="ped-anova")[0] > 0.7
    assert shares(space, configs, [-score for score in scores], method="ped-anova")[0] < 0.2


def test_normal_scores_keep_order_and_ties():
    found = normal_scores(np.array([3.0, 1.0, 3.0, 1e300]))
    assert found[0] == found[2]
    assert found[1] < found[0] < found[3]
    assert found[0] == pytest.approx(0.0)


def test_importing_importance_loads_no_numpy():
    code = "import sys, pytest_hypersearch.stats.importance; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
