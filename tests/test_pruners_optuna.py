"""Where a rule means the same as Optuna's, it decides the same on random curves."""

from __future__ import annotations

import random

import pytest

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.search.pruners import Curve, Halving, Median, Percentile, Wilcoxon

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore")

STEPS = 12


def replay(theirs, ours, seed, mode):
    """Run a sweep of random curves with both; every verdict must agree. Returns how many cut."""
    rng = random.Random(seed)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    direction = "minimize" if mode == "min" else "maximize"
    study = optuna.create_study(pruner=theirs, direction=direction)
    curves, cuts = [], 0
    for number in range(40):
        trial, curve = study.ask(), Curve(number, mode=mode)
        level = rng.gauss(0, 1)
        for step in range(STEPS):
            value = level + rng.gauss(0, 1)
            trial.report(value, step)
            curve.add(step, value)
            prune = trial.should_prune()
            assert bool(ours.verdict(curve, curves, since=step - 1)) == prune, (number, step)
            if prune:
                break
        cuts += prune
        curve.ended = State.PRUNED if prune else State.COMPLETE
        # Optuna's best trial is the one of the best value: let it be the mean over the steps.
        told = sum(curve.values()) / len(curve.steps) * (1 if mode == "min" else -1)
        study.tell(trial, None if prune else told, optuna.trial.TrialState[curve.ended.name])
        curves.append(curve)
    return cuts


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({"warmup_steps": 0}, {}),
        ({"warmup_steps": 4, "interval": 3}, {"n_warmup_steps": 4, "interval_steps": 3}),
        (
            {"warmup_steps": 0, "warmup_trials": 2, "min_trials": 8},
            {"n_startup_trials": 2, "n_min_trials": 8},
        ),
    ],
    ids=["plain", "interval", "min_trials"],
)
def test_median_and_percentile_agree(options, theirs, seed, mode):
    assert replay(optuna.pruners.MedianPruner(**theirs), Median(**options), seed, mode)
    quarter = optuna.pruners.PercentilePruner(25, **theirs)
    assert replay(quarter, Percentile(25, **options), seed, mode)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("factor", [2, 3])
def test_halving_agrees(factor, seed, mode):
    theirs = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=factor)
    ours = Halving(min_step=1, factor=factor, min_trials=1, warmup_trials=0)
    assert replay(theirs, ours, seed, mode)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("seed", range(3))
def test_wilcoxon_agrees(seed, mode):
    assert replay(optuna.pruners.WilcoxonPruner(p_threshold=0.1), Wilcoxon(p=0.1), seed, mode)
