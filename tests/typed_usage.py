"""What a type checker accepts and rejects of the public names; test_types.py runs mypy on it.

An error that is expected is ignored by its code: mypy complains if it is not there.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
import scipy.stats

from pytest_hypersearch import (
    Results,
    Sweeps,
    Trial,
    choice,
    load_results,
    lograndint,
    loguniform,
    normal,
    randint,
    sweep,
    uniform,
)
from pytest_hypersearch.samplers import Optimizer, SpaceExhaustedError
from pytest_hypersearch.search.pruners import Curve, Median

# The mark: every way to write it that the documentation shows.
assert_type(sweep(grid={"lr": [0.1, 0.01], "width": range(3)}), pytest.MarkDecorator)
sweep(random={"lr": loguniform(1e-4, 1), "n": randint(1, 8)}, n_trials=20, metric="loss")
sweep(random={"lr": scipy.stats.uniform(0, 1)}, n_trials=5)
sweep(bayes={"lr": normal(0, 1), "n": lograndint(1, 99)}, n_trials=9, parallel=4, mode="max")
sweep(bayes=[{"opt": ["sgd"], "momentum": uniform(0, 1)}, {"opt": ["adam"]}], n_trials=9)
sweep(strategy="optuna:TPESampler", space={"act": choice(["relu", "tanh"])}, n_trials=9)
sweep(grid={"x": [1, 2]}, metric=["loss", "latency"], mode=["min", "max"])
sweep(grid={"x": [1, 2]}, constraints={"latency": "<= 50"}, group_by="x", points=[{"x": 1}])
sweep(grid={"x": [1, 2]}, replicates=5, pick="one-se", race=True, keep="all")
sweep(grid={"x": [1, 2]}, prune="median", stop={"score": 0.1, "patience": 20, "time": "30m"})
sweep(grid={"x": [1, 2]}, prune=Median(), timeout="10m", retries=0, isolate=True)
sweep(grid={"x": [1, 2]}, raises=(ValueError, FloatingPointError), depends_on=Path("data.csv"))
sweep(grid={"x": [1, 2]}, resources={"cpus": 2, "gpus": 0.5, "memory": "4GiB"}, indirect=["x"])
sweep(grid={"x": [1, 2]}, replicates=3, gate={"a": "1%", "b": {"mode": "max", "top": "all"}})
sweep(grid={"x": [1, 2]}, replicates={"at_least": 3, "at_most": 20}, gate=True)
sweep(grid={"opt.lr": [1, 2]}, base={"opt": {"lr": 3}})
sweep(grid={"alpha": [0.1]}, base=Median())

sweep({"lr": [0.1]})  # type: ignore[call-arg]
sweep(grid=["lr"])  # type: ignore[list-item]
sweep(grid={"lr": [0.1]}, n_trails=3)  # type: ignore[call-arg]
sweep(grid={"lr": [0.1]}, mode="lowest")  # type: ignore[arg-type]
sweep(grid={"lr": [0.1]}, metric=3)  # type: ignore[arg-type]
sweep(grid={"lr": [0.1]}, replicates="three")  # type: ignore[arg-type]
sweep(grid={"lr": [0.1]}, keep="best")  # type: ignore[arg-type]
sweep(grid={"lr": [0.1]}, base=3)  # type: ignore[arg-type]
sweep(grid={"lr": [0.1]}, scope="test")  # type: ignore[arg-type]
sweep(grid={"lr": [0.1]}, stop={"patients": 3})  # type: ignore[arg-type]
sweep(grid={"lr": [0.1]}, stop={"score": "low"})  # type: ignore[arg-type]
sweep(grid={"lr": [0.1]}, constraints={"latency": 50})  # type: ignore[dict-item]
sweep(grid={"lr": [0.1]}, raises=ValueError("lr"))  # type: ignore[arg-type]
uniform("low", 1)  # type: ignore[arg-type]
choice(["relu"], weight=[1])  # type: ignore[call-arg]


@sweep(bayes={"lr": loguniform(1e-4, 1)}, n_trials=20)
def test_network(lr: float, trial: Trial) -> float:
    assert_type(trial.seed, int)
    assert_type(trial.rng, np.random.Generator)
    assert_type(trial.path, Path)
    assert_type(trial.report(lr, step=1), None)
    trial.report({"loss": lr, "accuracy": 1 - lr}, step=2, prune=False)
    trial.log(note="warm", epochs=3)
    trial.log(net=[1, 2])  # type: ignore[arg-type]
    if trial.should_prune():
        trial.prune("diverges")
    return lr


def call_of_a_marked_test(trial: Trial) -> None:
    assert_type(test_network(0.1, trial), float)


def test_best(sweeps: Sweeps) -> None:
    best = sweeps.best("test_network")
    assert_type(best.score, float)
    best.score = 1.0  # type: ignore[misc]
    sweeps.best("test_network", wait="long")  # type: ignore[arg-type]
    assert_type(sweeps.results("test_network"), Results)


results = load_results("test_network", run=-2)
assert_type(results, Results)
assert_type(results.successful, Results)
assert_type(results.filter(status="success", lr__lt=0.1), Results)
load_results(run=[1])  # type: ignore[arg-type]

optimizer = Optimizer({"lr": loguniform(1e-4, 1)}, strategy="bayes", mode="min", seed=0)
try:
    optimizer.tell(optimizer.ask(), 0.5)
    optimizer.tell(optimizer.ask(), None)
    optimizer.report(0, 0.5, step=1)
    optimizer.tell(0, 0.5, {"ms": 3}, step=2.5, pruned=True)
    assert_type(optimizer.ask(), dict[str, Any])
    optimizer.tell(0, 0.5, pruned="yes")  # type: ignore[arg-type]
    optimizer.tell(optimizer.ask(), "bad")  # type: ignore[arg-type]
except SpaceExhaustedError:
    pass


class TwiceTheBest:
    """A pruner of a user's own."""

    def verdict(self, trial: Curve, others: list[Curve], *, since: float) -> str:
        return "slow" if trial.bests[-1] > since and others else ""


class NoPruner:
    """It has no method `verdict`."""


sweep(grid={"x": [1]}, prune=NoPruner())  # type: ignore[arg-type]
