"""What several replicates of a configuration come to: the rule that picks the best."""

from __future__ import annotations

import pytest

PICKED = """
SCORES = {{8: [2, 2, 2], 4: [2.1, 2.1, 2.1], 16: [1, 2, 2.9], 1: [0, 0, 9]}}

@pytest.mark.sweep(grid={{"width": list(SCORES)}}, replicates=3, pick={pick!r}, metric="loss")
def test_f(width, trial):
    (trial.path / "model").write_text(str(width))
    return {{"loss": SCORES[width][trial.replicate], "weights": width**2}}

def test_best(sweeps):
    print("BEST", sweeps.best("test_f").params["width"], round(sweeps.best("test_f").score, 2))
"""


@pytest.mark.parametrize(
    ("pick", "best"),
    [
        ("mean", "16 1.97"),
        ("median", "1 0.0"),
        ("max", "8 2.0"),
        ("min", "1 0.0"),
        ("one-se", "8 2.0"),
        ("one-se:width", "4 2.1"),
        ("one-se:weights", "4 2.1"),
    ],
)
def test_the_rule_decides_which_is_the_best(module, run, pick, best):
    module(PICKED.format(pick=pick))
    result = run("--sweep", "-rP")
    result.assert_outcomes(passed=13)
    result.stdout.fnmatch_lines([f"BEST {best}"])


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_the_artifacts_of_the_picked_one_outlive_its_run(module, run, pytester, workers):
    pytester.makeini("[pytest]\nsweep_keep_runs = 1")
    module(PICKED.format(pick="one-se:width"))
    run("--sweep", *workers).assert_outcomes(passed=13)
    module(PICKED.format(pick="one-se:width").replace('    (trial.path / "model")', "    #"))
    run("--sweep", *workers).assert_outcomes(passed=13)
    best = pytester.path.glob(".pytest_cache/d/hypersearch/*/best/*/model")
    assert [path.read_text() for path in best] == ["4"] * 3


def test_a_trial_without_the_named_metric_is_not_complete(module, run):
    module(PICKED.format(pick="one-se:size"))
    result = run("--sweep", "-k", "test_f")
    result.assert_outcomes(failed=12)
    result.stdout.fnmatch_lines(["*the test returned loss, weights; expected 'size' among them*"])
