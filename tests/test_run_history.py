"""The history of a test over its runs: verdicts, and the run since which scores are worse."""

import json
import subprocess

import numpy as np
import pytest
from noises import noise
from stored_project import run_sweeps

from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import main
from pytest_hypersearch.stats.steps import steps

TEST = """
import pytest
from model import draws, extra, names

@pytest.mark.sweep(grid={"x": [1, 2, 3], "kind": names}, replicates=4, metric="loss")
def test_m(x, kind, trial):
    assert extra != "broken"
    for _ in range(draws):
        trial.rng.normal()
    return {"loss": x + extra + trial.rng.normal(0, 0.1), "accuracy": 1 - extra}

@pytest.mark.sweep(grid={"x": [1]}, metric="loss")
def test_other(x):
    return x
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository of five commits; the third is worse, and the fourth breaks everything."""
    folder = tmp_path_factory.mktemp("history")
    (folder / "pytest.ini").write_text("[pytest]\nsweep_keep_runs = 20\n")
    (folder / ".gitignore").write_text(".pytest_cache\n__pycache__\n")
    (folder / "test_it.py").write_text(TEST)

    def git(*args):
        who = ("-c", "user.name=u", "-c", "user.email=u@example.org")
        subprocess.run(["git", *who, *args], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    git("init", "-q")
    for draws, extra in enumerate((0, 0, 1, "broken", 1)):
        names = ["a", "b"] if draws else ["a"]
        text = f"draws, extra, names = {draws}, {extra!r}, {names}\n"
        (folder / "model.py").write_text(text)
        git("add", "-A")
        git("commit", "-qm", "a change")
        run_sweeps(folder)
    run_sweeps(folder, "-k", "x:1-kind:a-r0")
    return folder


def history(folder, **options):
    return load_results(folder, run="all").filter(test="test_m").over_runs(**options)


def test_the_first_worse_run_is_named(project):
    found = history(project)
    verdicts = [point.change.judgement.verdict for point in found.points[2:]]
    assert verdicts == ["REGRESSED", "broken", "undecided"]
    names = [point.name for point in found.points]
    assert names == ["0001", "0002", "0003", "0004", "0005-0006"]
    (step,) = found.steps
    assert step.step.run == 2
    assert step.step.loss == pytest.approx(1, abs=0.15)
    assert step.losses[0][0].keys() == {"x", "kind"}
    assert (found.judged, found.seeds, found.compared) == (3, 4, 4)
    text = str(found)
    commit = found.points[2].commit
    assert f"first worse: run 0003 ({commit}), loss" in text
    assert max(map(len, text.splitlines())) <= 80


def test_other_metrics_and_tolerances(project):
    accuracy = history(project, metric="accuracy")
    assert (accuracy.mode, accuracy.steps[0].step.run) == ("max", 2)
    assert history(project, tolerance=3).steps == ()
    for options, problem in (
        ({"metric": "f1"}, "no trial has the metric f1"),
        ({"tolerance": "much"}, "tolerance: 'much'"),
    ):
        with pytest.raises(ValueError, match=problem):
            history(project, **options)
    with pytest.raises(ValueError, match="expected runs of one test"):
        load_results(project, run="all").over_runs()


def test_the_command_shows_a_table_for_each_test(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    assert main(["history"]) == 0
    text = capsys.readouterr().out
    assert text.index("test_it.py::test_m") < text.index("test_it.py::test_other")
    assert "steps: need 2 whole runs that share 3 seeds" in " ".join(text.split())
    assert main(["history", "test_m", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["step"] is not None for row in rows] == [False] * 2 + [True] + [False] * 2
    assert {"run", "commit", "best", "low", "high", "verdict", "loss"} <= rows[0].keys()
    assert main(["history", "test_m", "--metric", "f1"]) == 2
    assert main(["history", "nothing"]) == 1


def test_steps_are_where_they_are():
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(9, 6))
    runs[3:] += 4
    runs[7:] -= 8
    found = steps(runs.tolist())
    assert [(one.start, one.run, one.end) for one in found] == [(0, 3, 7), (0, 7, 9)]
    assert [round(one.loss) > 0 for one in found] == [True, False]
    assert all(one.low < one.loss < one.high for one in found)
    same = [[1.0, 2.0, 3.0]] * 3 + [[1.5, 2.5, 3.5]] * 2
    (one,) = steps(same)
    assert (one.run, one.loss, one.p) == (3, 0.5, 0.0)
    assert steps(same, tolerance=0.5) == []
    assert steps([row[:2] for row in same]) == []
    assert steps([]) == steps(same[:3]) == []


@pytest.mark.parametrize("runs", [2, 10, 30])
@pytest.mark.parametrize("kind", ["normal", "student"])
def test_unchanged_runs_have_no_steps(runs, kind):
    rng = np.random.default_rng(7)
    count = sum(bool(steps(noise(kind, rng, runs, 5).tolist())) for _ in range(100))
    assert count <= 8
