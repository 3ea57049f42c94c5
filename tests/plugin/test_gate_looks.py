"""Sequential replicates: further ones run for what the gates judge, until they have decided."""

from __future__ import annotations

import json

import pytest

FILE = "sweeps.baseline.json"
BASELINE = f"--sweep-baseline={FILE}"
PLAIN_AND_WORKERS = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "workers"])
SOURCE = """
import random
@pytest.mark.sweep(
    {strategy}, metric="loss", replicates={{"at_least": 3, "at_most": 12}},
    gate={{"loss": {{"tolerance": 0.05, "top": 2}}}},
)
def test_f(x, trial):
    ran(x, trial.replicate)
    noise = random.Random(trial.seed + {other} + hash(float(x)) % 1000).gauss(0, 0.1)
    return x + trial.rng.normal(0, 0.1) + noise + {worse}
"""
GRID = "grid={'x': [1, 2, 3, 4, 5, 6, 7]}"
BAYES = "bayes={'x': [1, 2, 3, 4, 5, 6, 7]}, n_trials=7, parallel=2"


def replicates(project):
    """How many replicates of each configuration ran."""
    found = {}
    for line in project.ran:
        x, replicate = line.split()
        found.setdefault(x, set()).add(int(replicate))
    assert all(numbers == set(range(len(numbers))) for numbers in found.values())
    return {x: len(numbers) for x, numbers in sorted(found.items())}


def source(worse=0, other=0, strategy=GRID):
    return SOURCE.format(worse=worse, other=other, strategy=strategy)


@pytest.fixture
def based(project):
    """A project with a baseline: all replicates of twice as many as are judged."""
    project.write(source())
    code, output = project.run(BASELINE, "--sweep-update-baseline")
    assert code == 0, output
    assert replicates(project) == {"1": 12, "2": 12, "3": 12, "4": 12, "5": 3, "6": 3, "7": 3}
    project.forget()
    return project


def test_equal_numbers_and_large_losses_are_decided_at_once(based):
    code, output = based.run(BASELINE)
    assert (code, replicates(based)) == (0, dict.fromkeys("1234567", 3))
    assert "22 passed, 63 not run" in output
    assert "grid of 7, 3 to 12 replicates" in output
    assert based.trials["x:1-r3"]["reason"] == "decided after 3 replicates: same"
    based.forget()
    based.write(source(worse=3, other=1))
    code, output = based.run(BASELINE)
    assert (code, "1 regressed" in output) == (1, True)
    assert replicates(based) == dict.fromkeys("1234567", 3)


@pytest.mark.parametrize("strategy", [GRID, BAYES], ids=["grid", "bayes"])
def test_judged_configurations_go_on_whatever_the_workers_and_after_an_interruption(
    based, strategy
):
    text = (based.path / FILE).read_text().replace('"grid"', f'"{strategy.partition("=")[0]}"')
    (based.path / FILE).write_text(text)
    based.write(source(worse=0.04, other=5, strategy=strategy))
    code, _ = based.run(BASELINE)
    counts, states = replicates(based), based.states
    scores = based.scores
    assert sorted(counts.values())[:5] == [3] * 5
    assert sorted(counts.values())[5:] == [max(counts.values())] * 2
    assert max(counts.values()) > 3
    based.forget()
    based.run(BASELINE, "-n2")
    assert (replicates(based), based.scores) == (counts, scores)
    based.forget()
    based.run("--sweep-resume", BASELINE)
    assert not based.ran
    assert based.states == states
    based.run(BASELINE, "-k", "r0 or r1")
    based.forget()
    assert based.run("--sweep-resume", BASELINE)[0] == code
    based.run("--sweep-resume", BASELINE)
    assert based.scores == scores


def test_accepting_runs_all_replicates_of_the_best(based):
    based.write(source(worse=3, other=1))
    assert based.run(BASELINE)[0] == 1
    code, output = based.run("--sweep-resume", "--sweep-update-baseline=all", BASELINE)
    assert code == 0, output
    tests = json.loads((based.path / FILE).read_text())["tests"]
    rows = tests["test_it.py::test_f"]["sweeps"]["grid"]["trials"]
    assert sorted(len(row["scores"]["loss"]) for row in rows) == [3, 3, 3, 12, 12, 12, 12]
    assert min(min(row["scores"]["loss"]) for row in rows) > 3
