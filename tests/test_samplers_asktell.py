"""Samplers without pytest."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from pytest_hypersearch import choice, loguniform, normal, randint, uniform
from pytest_hypersearch.samplers import Optimizer, SpaceExhaustedError

SPACE = {"x": uniform(-1, 1), "act": choice({"relu": max, "tanh": min}), "n": [1, 2, 4]}


def cost(params):
    return (params["x"] - 0.3) ** 2 + (params["act"] is max) + params["n"]


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
@pytest.mark.parametrize("strategy", ["bayes", "random", "optuna:TPESampler"])
def test_the_best_improves_in_either_direction(strategy, mode, sign):
    optimizer = Optimizer(SPACE, strategy, seed=3, mode=mode)
    assert optimizer.best is None
    first = optimizer.ask()
    optimizer.tell(first, sign * cost(first))
    best = optimizer.best
    assert (best.params, best.score) == (first, sign * cost(first))
    assert best.metrics == {"score": best.score}
    for _ in range(25):
        params = optimizer.ask()
        optimizer.tell(params, sign * cost(params))
    assert optimizer.best.score == sign * cost(optimizer.best.params)
    assert sign * optimizer.best.score < 1.2


def test_the_same_seed_and_scores_give_the_same_proposals():
    def proposals(seed):
        optimizer = Optimizer(SPACE, seed=seed)
        for _ in range(12):
            params = optimizer.ask()
            optimizer.tell(params, cost(params))
            yield params

    assert list(proposals(1)) == list(proposals(1)) != list(proposals(2))


def test_several_may_be_pending_and_are_told_in_any_order():
    optimizer = Optimizer(SPACE)
    asked = [optimizer.ask() for _ in range(6)]
    assert len({repr(params) for params in asked}) == 6
    optimizer.tell(3, 7.0)
    for params in (asked[5], asked[0], dict(reversed(asked[4].items()))):
        optimizer.tell(params, cost(params))
    assert optimizer.best.score == min(cost(asked[n]) for n in (0, 4, 5))
    optimizer.tell(asked[1], np.float32(-5.0))
    assert (optimizer.best.params, optimizer.best.score) == (asked[1], -5.0)


@pytest.mark.parametrize("score", [None, math.nan, math.inf, -math.inf])
def test_failures_are_never_the_best(score):
    optimizer = Optimizer(SPACE)
    optimizer.tell(optimizer.ask(), score)
    assert optimizer.best is None
    optimizer.tell(optimizer.ask(), 1e300)
    assert optimizer.best.score == 1e300


def test_several_scores_make_a_front_that_random_search_does_not_reach():
    def covered(strategy):
        optimizer = Optimizer(
            {"x": uniform(-1, 1), "y": uniform(-1, 1)}, strategy, seed=1, mode=["min", "max"]
        )
        for _ in range(25):
            params = optimizer.ask()
            far = params["y"] ** 2
            optimizer.tell(params, (params["x"] ** 2 + far, -((params["x"] - 1) ** 2) - far))
        scores = [one.values for one in optimizer.pareto]
        assert optimizer.best == optimizer.pareto[0]
        assert scores == sorted(scores)
        heights = [-1.0, *(high for _, high in scores)]
        assert heights[1:] == sorted(heights[1:])
        return sum(
            max(0.0, 1 - low) * max(0.0, high - max(before, -1.0))
            for (low, high), before in zip(scores, heights, strict=False)
        )

    assert covered("bayes") > 1.2 * covered("random")


def test_a_recommendation_is_by_the_model_and_not_by_luck():
    def regret(seed, noise):
        optimizer, luck = Optimizer({"x": uniform(-1, 1)}, seed=seed), random.Random(seed)
        points = [luck.uniform(-1, 1) for _ in range(40)]
        for x in points:
            optimizer.tell({"x": x}, (x - 0.3) ** 2 + luck.gauss(0, noise))
        ways = optimizer.best, optimizer.recommend()
        return [(way.params["x"] - 0.3) ** 2 for way in ways]

    lucky, expected = map(sum, zip(*(regret(seed, 0.5) for seed in range(12)), strict=True))
    assert expected < 0.7 * lucky
    assert all(best == same for best, same in (regret(seed, 0.0) for seed in range(3)))


def test_a_recommendation_keeps_the_constraints():
    optimizer, luck = Optimizer({"x": uniform(-1, 1)}, constraints={"ms": "<= 0"}), random.Random(0)
    assert optimizer.recommend() is None
    for _ in range(30):
        x = luck.uniform(-1, 1)
        optimizer.tell({"x": x}, (x - 0.3) ** 2 + luck.gauss(0, 0.5), {"ms": x})
    assert optimizer.recommend().params["x"] <= 0


@pytest.mark.parametrize(("strategy", "mode"), [("random", "max"), ("bayes", ["min", "max"])])
def test_without_one_model_the_best_is_recommended(strategy, mode):
    optimizer = Optimizer(SPACE, strategy, mode=mode)
    for number in range(6):
        score = float(number % 4)
        optimizer.tell(optimizer.ask(), score if mode == "max" else (score, -score))
    assert optimizer.recommend() == optimizer.best


def test_the_front_holds_what_nothing_surpasses_in_all_scores():
    optimizer = Optimizer(SPACE, "random", mode=["min", "max"])
    told = [(1, 1), (2, 3), (2, 2), (3, 3), (4, 4), (math.nan, 9), (1, 1)]
    asked = [optimizer.ask() for _ in told]
    for number, scores in enumerate(told):
        optimizer.tell(number, scores)
    front = [(one.params, one.values) for one in optimizer.pareto]
    expected = [(0, (1, 1)), (6, (1, 1)), (1, (2, 3)), (4, (4, 4))]
    assert front == [(asked[number], values) for number, values in expected]
    with pytest.raises(ValueError, match=r"3\.0: expected 2 scores, one per mode"):
        optimizer.tell(optimizer.ask(), 3.0)


@pytest.mark.parametrize("strategy", ["bayes", "random", "grid", "optuna:TPESampler"])
def test_a_stepped_range_is_searched_to_its_bound(strategy):
    optimizer = Optimizer({"x": uniform(1 / 3, 2, step=1 / 3)}, strategy)
    asked = [optimizer.ask()["x"] for _ in range(6)]
    assert max(asked) == 2.0
    optimizer.tell({"x": 2}, 0.0)
    assert optimizer.best.params == {"x": 2.0}


@pytest.mark.parametrize("strategy", ["bayes", "random"])
@pytest.mark.parametrize("entry", [normal(5, 1, step=1), scipy.stats.poisson(3)], ids=[0, 1])
def test_no_value_of_a_discrete_distribution_is_proposed_twice(strategy, entry):
    optimizer, asked = Optimizer({"x": entry}, strategy), []
    for _ in range(15):
        asked.append(optimizer.ask()["x"])
        optimizer.tell({"x": asked[-1]}, (asked[-1] - 4) ** 2)
    assert len(set(asked)) == 15


@pytest.mark.parametrize("score", [np.array([2.0]), Decimal(2), Fraction(2), np.float32(2)])
def test_scores_are_whatever_float_takes_for_a_number(score):
    optimizer = Optimizer(SPACE)
    optimizer.tell(optimizer.ask(), score)
    assert optimizer.best.score == 2.0


def test_parameters_that_are_told_again_are_replicates():
    optimizer = Optimizer({"x": uniform(0, 1)}, constraints={"ms": "<= 5"})
    first, second = optimizer.ask(), optimizer.ask()
    for params, score, ms in ((first, 1.0, 4), (second, 3.0, 1), (0, 6.0, 8), (second, 4.0, 1)):
        optimizer.tell(params, score, {"ms": ms})
    optimizer.tell(second, None)
    optimizer.tell(first, 0.0, step=1, pruned=True)
    best = optimizer.best  # of the first, the mean of ms is 6
    assert (best.params, best.scores, best.score, best.std) == (second, (3, 4), 3.5, 0.5**0.5)
    optimizer.tell(0, 2.0, {"ms": 0})
    assert (optimizer.best.params, optimizer.best.metrics) == (first, {"score": 3, "ms": 4})
    assert optimizer.ask() not in (first, second)
    for given in (3, -1):
        with pytest.raises(ValueError, match="expected the number of parameters, asked for or"):
            optimizer.tell(given, None)
    with pytest.raises(ValueError, match="x: 2: expected a value of uniform"):
        optimizer.tell({"x": 2}, None)


def test_replicates_show_the_noise_to_the_search():
    def asked(spread):
        optimizer = Optimizer({"x": uniform(0, 1)})
        for n in range(8):
            for sign in (-1, 1):
                optimizer.tell({"x": n / 7}, n % 2 + sign * spread)
        return optimizer.ask()["x"]

    assert asked(0.0) != asked(3.0)


@pytest.mark.parametrize("strategy", ["bayes", "random", "grid", "optuna:TPESampler"])
def test_pruned_trials_are_never_the_best(strategy):
    optimizer = Optimizer({"x": [1, 2, 3, 4]}, strategy, mode="max")
    optimizer.tell(optimizer.ask(), 9.0, step=1, pruned=True)
    params = optimizer.ask()
    for step in range(3):
        optimizer.report(params, step, step=step)
    optimizer.tell(params, None, pruned=True)
    assert optimizer.best is None
    params = optimizer.ask()
    optimizer.report(params, 5.0, step=1)
    optimizer.tell(params, 1.0, step=2)
    assert (optimizer.best.params, optimizer.best.score) == (params, 1.0)
    assert optimizer.ask()["x"] not in {params["x"], 9.0}
    with pytest.raises(SpaceExhaustedError):
        optimizer.ask()


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda o: o.tell(0, 1.0, pruned=True), "step=None: expected the step at which a pruned"),
        (lambda o: o.tell(0, 1.0, step=math.inf), "step=inf: expected a finite number"),
        (lambda o: o.tell(0, 1.0, step="2"), "step='2': expected a finite number"),
        (lambda o: o.report(0, 1.0, step=None), "step=None: expected a finite number"),
        (lambda o: o.report(0, "1", step=1), r"the value is '1' \(str\), which is not a number"),
        (lambda o: o.report(0, None, step=1), r"the value is None \(NoneType\), which is not"),
        (lambda o: o.report({"x": 2}, 1.0, step=1), "expected"),
    ],
)
def test_steps_and_values_that_cannot_be_are_named(call, problem):
    optimizer = Optimizer(SPACE)
    optimizer.ask()
    with pytest.raises(ValueError, match=problem):
        call(optimizer)
    assert optimizer.best is None
    several = Optimizer(SPACE, mode=["min", "max"])
    several.ask()
    for given in (
        lambda: several.report(0, 1.0, step=1),
        lambda: several.tell(0, (1.0, 2.0), step=1),
        lambda: several.tell(0, None, pruned=True),
    ):
        with pytest.raises(ValueError, match="a value at a step: expected one mode, not 2"):
            given()


@pytest.mark.parametrize("strategy", ["bayes", "optuna:TPESampler"])
def test_results_from_elsewhere_inform_the_search(strategy):
    def first(*told):
        optimizer = Optimizer({"x": uniform(-1, 1), "y": uniform(-1, 1)}, strategy)
        for x, y in told:
            optimizer.tell({"x": x, "y": y}, None if x < -0.5 else (x - 0.5) ** 2 + y**2)
        return optimizer, [optimizer.ask() for _ in range(3)]

    grid = [(x / 4, y / 4) for x in range(-4, 5) for y in range(-4, 5)]
    optimizer, asked = first(*grid)
    assert optimizer.best.params == {"x": 0.5, "y": 0.0}
    near = [abs(each["x"] - 0.5) + abs(each["y"]) for each in asked]
    assert min(near) < (0.1 if strategy == "bayes" else 1)
    assert asked != first()[1]


@pytest.mark.parametrize("strategy", ["random", "grid"])
def test_what_was_told_is_not_proposed(strategy):
    optimizer = Optimizer({"a": (1, 2) if strategy == "grid" else [1, 2]}, strategy)
    assert {optimizer.ask()["a"], optimizer.ask()["a"]} == {1, 2}  # a tuple is no range in a grid
    optimizer = Optimizer({"a": [1, 2, 3, 4]}, strategy)
    optimizer.tell({"a": 3}, 1.0)
    asked = [optimizer.ask()["a"] for _ in range(3)]
    with pytest.raises(SpaceExhaustedError):
        optimizer.ask()
    assert sorted(asked) == [1, 2, 4]
    optimizer.tell(asked.index(2) + 1, 0.5)  # the number counts what was told
    assert optimizer.best.params == {"a": 2}


def test_constraints_bound_what_is_the_best():
    optimizer = Optimizer({"x": uniform(0, 1)}, constraints={"ms": "<= 5"})
    for x, ms in ((0.1, 9), (0.4, 5), (0.6, 1), (0.2, math.nan)):
        optimizer.tell({"x": x}, x, {"ms": ms, "other": 3})
    assert (optimizer.best.params, optimizer.best.metrics) == ({"x": 0.4}, {"ms": 5, "score": 0.4})
    optimizer.tell({"x": 0.3}, None)
    for _ in range(12):
        asked = optimizer.ask()["x"]
        optimizer.tell({"x": asked}, asked, {"ms": 13 - 20 * asked})
    assert 0.3 < optimizer.best.params["x"] <= 0.41
    with pytest.raises(ValueError, match="expected ms"):
        optimizer.tell({"x": 0.9}, 1.0)
    with pytest.raises(ValueError, match="which is not a number"):
        optimizer.tell({"x": 0.9}, 1.0, {"ms": "5"})
    assert len(optimizer.pareto) == 1


@pytest.mark.parametrize("metrics", [3, True, "ms", ["ms"], {"ms"}, np.array([1, 2])])
@pytest.mark.parametrize("constraints", [None, {"ms": "<= 50"}])
def test_metrics_are_a_dict(metrics, constraints):
    optimizer = Optimizer(SPACE, constraints=constraints)
    with pytest.raises(ValueError, match=r"metrics=.*: expected a dict"):
        optimizer.tell(optimizer.ask(), 1.0, metrics)


@pytest.mark.parametrize("pruned", ["yes", 1, None, np.array([1, 0])])
def test_pruned_is_a_bool(pruned):
    optimizer = Optimizer(SPACE)
    optimizer.tell(optimizer.ask(), 1.0, step=1, pruned=np.float64(2) > 1)
    with pytest.raises(ValueError, match=r"pruned=.*: expected True or False"):
        optimizer.tell(optimizer.ask(), 1.0, step=1, pruned=pruned)


def test_an_array_has_the_scores_of_several_modes():
    optimizer = Optimizer(SPACE, mode=["min", "max"])
    optimizer.tell(optimizer.ask(), np.array([1.0, 3.0]))
    assert optimizer.best.values == (1.0, 3.0)


@pytest.mark.parametrize(("mode", "name"), [("min", "score"), (["min", "max"], "score 1")])
def test_a_constraint_is_not_on_the_score(mode, name):
    with pytest.raises(ValueError, match=f"constraints: expected another name than {name}, which"):
        Optimizer(SPACE, mode=mode, constraints={name: "<= 3"})


@pytest.mark.parametrize("score", ["1", True, 1j, [1.0, 2.0], np.zeros(2), {"loss": 1.0}])
def test_scores_that_are_no_numbers_are_refused(score):
    optimizer = Optimizer(SPACE, seed=np.int64(3))
    params = optimizer.ask()
    with pytest.raises(ValueError, match=r"which is not a number|expected 1 scores"):
        optimizer.tell(params, score)
    optimizer.tell(params, -(10**400))
    assert optimizer.best is None
    for wrong in (True, 0.0, None, "x"):
        with pytest.raises(ValueError, match=r"params=.*: expected a whole number"):
            optimizer.tell(wrong, 1.0)


@pytest.mark.parametrize("strategy", ["bayes", "random", "grid", "optuna:TPESampler"])
def test_an_exhausted_space_says_so(strategy):
    optimizer = Optimizer([{"a": [1, 1.0, True]}, {"b": randint(1, 2)}], strategy)
    asked = {repr(optimizer.ask()) for _ in range(5)}
    assert len(asked) == 5
    with pytest.raises(SpaceExhaustedError, match="all 5 configurations of the space"):
        optimizer.ask()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"space": {"x": 1}}, "expected a list of values or a distribution"),
        ({"space": 1}, "space=1: expected a dict of names to values"),
        ({"space": {1: [2, 3]}}, "expected a dict of names to values"),
        ({"strategy": None}, "strategy=None: expected grid, random, bayes"),
        ({"strategy": "optuna:Best"}, "strategy='optuna:Best': expected optuna: and one of"),
        ({"seed": None}, "seed=None: expected a whole number"),
        ({"seed": "a"}, "seed='a': expected a whole number"),
        ({"mode": [["min"]]}, "expected 'min' or 'max', or a list of them"),
        ({"space": []}, "expected at least one branch"),
        ({"space": {"x": loguniform(0, 1)}}, "x: loguniform.low=0, high=1.: expected low > 0"),
        ({"strategy": "bayse"}, "strategy='bayse': expected grid, random, bayes"),
        ({"mode": "minimize"}, "mode='minimize': expected 'min' or 'max'"),
        ({"constraints": {"ms": 5}}, "ms: 5: expected '<= number' or '>= number'"),
        ({"constraints": "ms <= 5"}, "constraints='ms <= 5': expected a dict such as"),
        ({"constraints": {"ms": "<= 5"}, "strategy": "optuna:TPESampler"}, "get no constraints"),
        ({"mode": []}, r"mode=\[\]: expected 'min' or 'max', or a list of them"),
        ({"mode": ["min", "maximum"]}, "expected 'min' or 'max', or a list of them"),
        ({"mode": ["min", "max"], "strategy": "optuna:CmaEsSampler"}, "expected one mode with"),
    ],
)
def test_arguments_that_cannot_be_are_named(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        Optimizer(**{"space": SPACE, **arguments})


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys, pytest_hypersearch.samplers as samplers\n"
        "heavy = {'numpy', 'scipy', 'pytest', 'optuna'}\n"
        "assert not heavy & set(sys.modules)\n"
        "optimizer = samplers.Optimizer({'x': [1, 2]}, 'random')\n"
        "optimizer.tell(optimizer.ask(), 1.0)\n"
        "assert not heavy & set(sys.modules)\n"
        "optimizer = samplers.Optimizer({'x': [1, 2]})\n"
        "optimizer.tell(optimizer.ask(), 1.0)\n"
        "assert not {'pytest', 'optuna'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_names_are_attribute_errors():
    import pytest_hypersearch.samplers

    with pytest.raises(AttributeError, match="has no attribute 'Optimiser'"):
        pytest_hypersearch.search.samplers.Optimiser  # noqa: B018


def test_the_optimizer_of_carps_searches_any_space(monkeypatch):
    tasks = pytest.importorskip("carps.utils.task", reason="CARP-S is not installed")
    cs = pytest.importorskip("ConfigSpace")
    from carps.objective_functions.objective_function import ObjectiveFunction
    from carps.utils.trials import StatusType, TrialValue

    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    from carps_optimizer import Bayes

    space = cs.ConfigurationSpace(seed=1)
    lr = cs.Float("lr", (1e-4, 1.0), log=True)
    opt = cs.Categorical("opt", ["sgd", "adam"])
    size = cs.OrdinalHyperparameter("size", ["s", "m", "l"])
    momentum = cs.Integer("momentum", (1, 9))
    space.add(lr, opt, size, momentum, cs.Constant("seed", 3))
    space.add(cs.EqualsCondition(momentum, opt, "sgd"))
    both = cs.ForbiddenAndConjunction
    space.add(both(cs.ForbiddenEqualsClause(opt, "adam"), cs.ForbiddenEqualsClause(size, "l")))
    tried = []

    class Quality(ObjectiveFunction):
        configspace = space
        costs = 1

        def _evaluate(self, trial_info):
            config = dict(trial_info.config)
            tried.append(config)
            if len(tried) % 5 == 1:
                return TrialValue(cost=math.inf, status=StatusType.CRASHED)
            cost = abs(math.log10(config["lr"]) + 2) + config.get("momentum", 9)
            return TrialValue(cost=cost if self.costs == 1 else [cost, -cost])

    def best(costs, fidelities):
        quality = Quality()
        quality.costs = costs
        task = tasks.Task(
            name="t",
            seed=1,
            objective_function=quality,
            input_space=tasks.InputSpace(space, fidelities),
            output_space=tasks.OutputSpace(costs, ("a", "b")[:costs]),
            optimization_resources=tasks.OptimizationResources(n_trials=20),
            metadata=tasks.TaskMetadata(),
        )
        return Bayes(task).run()

    _, value = best(1, tasks.FidelitySpace())
    assert value.cost < 3.5
    assert len(best(2, tasks.FidelitySpace(True, "epochs", 1, 9))) > 1
    assert len(tried) == 40
    assert all(("momentum" in each) == (each["opt"] == "sgd") for each in tried)
    assert {each["seed"] for each in tried} == {3}
    assert ("adam", "l") not in {(each["opt"], each["size"]) for each in tried}
