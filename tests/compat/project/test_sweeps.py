"""Sweeps whose results are the same with any plugin; each trial notes that it ran."""

import os
from pathlib import Path

import pytest

from pytest_hypersearch import uniform

ISOLATE = os.environ.get("ISOLATE") == "1"


@pytest.fixture
def ran(request, trial):
    with Path("ran").open("a") as file:
        file.write(f"{request.node.originalname} {trial.number} {trial.replicate}\n")


@pytest.mark.sweep(
    grid={"x": [1, 2, 3], "opt": ["adam", "sgd"]},
    replicates=2,
    metric="loss",
    raises=FloatingPointError,
    isolate=ISOLATE,
)
def test_grid(x, opt, trial, ran):
    trial.report(x, step=0)
    if x == 3 and opt == "sgd":
        raise FloatingPointError("diverges")
    if x == 2 and trial.replicate == 1:
        trial.prune("slow")
    return x + trial.rng.uniform() + (opt == "sgd")


@pytest.mark.sweep(
    bayes={"x": uniform(-1, 1)}, n_trials=6, parallel=2, metric="loss", isolate=ISOLATE
)
def test_bayes(x, ran):
    return {"loss": x**2, "size": abs(x)}


class TestClass:
    @pytest.mark.sweep(random={"x": uniform(-1, 1)}, n_trials=3, isolate=ISOLATE)
    def test_random(self, x, ran):
        assert abs(x) <= 1
        return x


@pytest.mark.parametrize("number", [1, 2])
def test_plain(number):
    assert number


def test_best(sweeps):
    assert sweeps.best("test_grid").params == {"x": 1, "opt": "adam"}
