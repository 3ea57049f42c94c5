"""``--sweep=check``: the best of the baseline alone, judged by seeds that did not choose it."""

from __future__ import annotations

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.store.baseline import Entry

BASELINE = "--sweep-baseline=sweeps.baseline.json"
SOURCE = """
@pytest.mark.parametrize("best", [2, 3])
@pytest.mark.sweep(
    {strategy}, replicates=8, metric="loss", gate={{"loss": "1%", "f1": ">= 0.5"}}
)
def test_f(best, x, trial):
    ran(best, x, trial.replicate)
    loss = 1 + abs(x - best) + trial.rng.normal(0, 0.01) + {worse}
    return {{"loss": loss, "f1": 1.5 - loss / 2}}

@pytest.mark.sweep(grid={{"x": [1]}})
def test_no_gate(x):
    ran("no gate")
    return x
"""
GRID = "grid={'x': [1, 2, 3]}"
BAYES = "bayes={'x': [1, 2, 3]}, n_trials=3, parallel=2, race=True, prune='median'"


@pytest.mark.parametrize(("strategy", "workers"), [(GRID, ()), (BAYES, ("-n2",))])
def test_the_best_configuration_alone_is_checked(project, strategy, workers):
    project.write(SOURCE.format(strategy=strategy, worse=0))
    code, output = project.run(BASELINE, "--sweep-update-baseline")
    assert code == 0, output
    runs = [*load_results(project.path, run="all").studies]
    project.forget()
    code, output = project.run("--sweep=check", BASELINE, "-v", *workers)
    assert code == 0, output
    assert "12 passed, 1 skipped" in output
    assert output.count("[gate loss] SAME") == 2
    assert set(project.ran) == {f"{x} {x} {r}" for x in (2, 3) for r in (4, 5, 6, 7)}
    assert [*load_results(project.path, run="all").studies] == runs
    project.write(SOURCE.format(strategy=strategy, worse="trial.rng.normal(0.2, 0.01)"))
    code, output = project.run("--sweep=check", BASELINE, *workers)
    assert code == 1
    assert "10 passed, 1 skipped, 2 regressed" in output
    assert "best 1 of 1, 4 seeds" in output
    assert "rerun: " not in output


def test_what_cannot_be_checked_is_no_success_in_ci(project, monkeypatch):
    code, output = project.run("--sweep=check")
    assert code == 4
    assert "--sweep=check: requires --sweep-baseline=PATH or the key sweep_baseline" in output
    project.write(SOURCE.format(strategy=GRID, worse=0).replace("replicates=8", "replicates=3"))
    project.run(BASELINE, "--sweep-update-baseline")
    code, output = project.run("--sweep=check", BASELINE)
    assert code == 0
    assert "4 not comparable" in output
    reason = "a check needs 4 replicates, the baseline has 3: raise replicates= first"
    assert reason in " ".join(output.split())
    monkeypatch.setenv("CI", "1")
    assert project.run("--sweep=check", BASELINE)[0] == 1
    assert project.run("--sweep=check", "--sweep-baseline=none.json")[0] == 1


def test_the_best_is_chosen_by_the_first_seeds_and_judged_by_the_others():
    rows = {("a", 0): {"m": (1.0, 1.0, 9.0, 9.0, 9.0)}, ("b", 0): {"m": (2.0, 2.0, 0.0, None, 0.0)}}
    found = Entry(0, {"m": "min"}, rows).fresh("m")
    assert found.trials == {("a", 0): {"m": (None, None, 9.0, 9.0, 9.0)}}
    assert found.replicates == [2, 3, 4]
    assert Entry(0, {"m": "max"}, rows).fresh("m").replicates == [2, 4]
    short = {name: {"m": row["m"][:3]} for name, row in rows.items()}
    assert Entry(0, {"m": "min"}, short).fresh("m") is None
