"""Racing: further replicates run only for configurations that may still be the best."""

from __future__ import annotations

import re

import pytest

from pytest_hypersearch.store.journal import read

PLAIN_AND_WORKERS = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "workers"])

RACE = """
@pytest.mark.sweep(grid={"x": [5, 1, 9, 1.2]}, replicates=6, race=True)
def test_f(x, trial):
    ran(x, trial.replicate)
    return x + trial.rng.normal(0, 0.2)
"""


def replicates(project, x):
    return sum(count for line, count in project.ran.items() if line.startswith(f"{x} "))


def test_those_clearly_behind_get_no_more_replicates(project):
    project.write(RACE)
    code, output = project.run()
    assert code == 0
    assert replicates(project, 1) == 6
    assert replicates(project, 9) < 6
    assert replicates(project, 5) < 6
    assert project.states == {"complete": len(project.ran), "raced out": 24 - len(project.ran)}
    assert f"{24 - len(project.ran)} raced out" in output
    out = project.trials["x:9-r5"]
    assert out["state"] == "raced out"
    assert "behind #1" in out["reason"]


def test_any_number_of_workers_and_a_resume_agree(project):
    project.write(RACE)
    project.run()
    once, states = project.ran, {name: one["state"] for name, one in project.trials.items()}
    project.forget()
    project.run("-n2")
    assert project.ran == once
    project.forget()
    project.run("--sweep-resume")
    assert not project.ran
    assert {name: one["state"] for name, one in project.trials.items()} == states


def test_an_interrupted_race_goes_on_where_it_was(project):
    project.write(RACE)
    project.run("--maxfail=1", "-k", "r0 or r1")
    assert project.ran.total() == 8
    project.run("--sweep-resume")
    resumed = project.ran
    project.forget()
    project.run()
    assert project.ran == resumed


def test_configurations_without_a_score_are_out_and_equals_are_not(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]}, replicates=3, race=True, raises=ValueError)
def test_f(x, trial):
    ran(x)
    if x == 2:
        raise ValueError
    return 1.0 + trial.replicate

@pytest.mark.sweep(grid={"terms": ["123", "231", "321", "46", "99"]}, replicates=10, race=True)
def test_equal_but_for_rounding(terms, trial):
    ran(terms)
    return sum(int(term) / 10 for term in terms)
""")
    assert project.here().ret == 0
    equal = {"123": 10, "231": 10, "321": 10, "46": 2, "99": 2}
    assert project.ran == {"1": 3, "2": 1, "3": 3, **equal}
    assert project.states == {"complete": 40, "failed": 1, "raced out": 18}


def test_left_out_trials_are_written_down(project):
    project.write(RACE)
    project.here()
    records = [one for one in read(project.journals[0]).records if one["k"] == "skip"]
    assert len(records) == project.states["raced out"]
    assert {one["state"] for one in records} == {"raced out"}


@PLAIN_AND_WORKERS
def test_an_adaptive_sweep_proposes_before_it_repeats(project, workers):
    project.write("""
from pytest_hypersearch import uniform

@pytest.mark.sweep(bayes={"x": uniform(-5, 5)}, n_trials=6, replicates=4, race=True, parallel=2)
def test_f(x, trial):
    ran(trial.replicate)
    return x * x + trial.rng.normal(0, 0.01)
""")
    code, _ = project.run(*workers)
    assert code == 0
    assert project.ran["0"] == 6
    assert project.states["raced out"]
    assert sum(project.states.values()) == 24


def test_what_the_race_dropped_is_not_among_those_not_significantly_worse(project):
    project.write("""
import numpy as np

@pytest.mark.sweep(grid={"x": [*range(8)]}, replicates=6, metric="loss", race=True)
def test_f(x, trial):
    return 0.5 * x + np.random.default_rng([3, x, trial.replicate]).normal()
""")
    code, output = project.run()
    assert code == 0
    trials = project.trials
    dropped = {int(name[2]) for name, one in trials.items() if one["state"] == "raced out"}
    line = re.search(r"not significantly worse than #1 (.*?) rerun:", " ".join(output.split()))[1]
    named = {int(number) for number in re.findall(r"#(\d)", line)}
    assert len(dropped) == 3
    assert named == {0, 2, 3}
    assert "; 3 raced out" in line
