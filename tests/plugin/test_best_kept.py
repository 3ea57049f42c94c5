"""What trials save: kept for the best, found under ``best`` and by later tests."""

from __future__ import annotations

import json

import pytest

WORKERS = pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "n1"])
SAVES = """
def save(trial, x):
    (trial.path / "deep").mkdir(exist_ok=True)
    (trial.path / "deep" / "model").write_text(f"{x} {trial.replicate}")

@pytest.mark.sweep(ARGUMENTS)
def test_f(x, trial):
    ran(x)
    save(trial, x)
    return x + SHIFT
"""


@pytest.fixture
def saves(project):
    def write(arguments, shift="0", more=""):
        source = SAVES.replace("ARGUMENTS", arguments).replace("SHIFT", shift)
        project.write(source + more)

    return write


def best_of(project):
    """What the best saved, by replicate."""
    (best,) = project.path.glob(".pytest_cache/d/hypersearch/*/best")
    return [path.read_text() for path in sorted(best.glob("r*/deep/model"))]


def facts_of(project):
    (file,) = project.path.glob(".pytest_cache/d/hypersearch/*/best/params.json")
    return json.loads(file.read_text())


def kept_of(project, run="[0-9]*"):
    """What trials have saved that is still there."""
    models = project.path.glob(f".pytest_cache/d/hypersearch/*/{run}/artifacts/*/deep/model")
    return sorted(path.read_text() for path in models)


@WORKERS
@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_is_kept_and_found_by_a_later_test(project, saves, workers, mode):
    saves(
        f'grid={{"x": [3, 1, 4, 2]}}, mode="{mode}"',
        more="""
def test_later(sweeps):
    best = sweeps.best("test_f")
    ran(best.path.parent, (best.path / "deep" / "model").read_text())
""",
    )
    code, output = project.run(*workers)
    assert code == 0
    x = {"min": 1, "max": 4}[mode]
    assert kept_of(project) == [f"{x} 0"]
    assert best_of(project) == [f"{x} 0"]
    (best,) = project.path.glob(".pytest_cache/d/hypersearch/*/best")
    assert project.ran[f"{best} {x} 0"] == 1
    assert f"  saved: {best.relative_to(project.path)}\n" in output


def test_the_facts_are_beside_the_files(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [2, 1], "act": ["relu"]}, replicates=2, metric="loss", mode="min")
def test_f(x, act, trial):
    (trial.path / "model").touch()
    return {"loss": x + trial.replicate, "size": 7, "odd": float("nan")}
""")
    project.here()
    facts = facts_of(project)
    assert facts.pop("study") == "test_it.py::test_f"
    assert facts == {
        "params": {"x": 1, "act": "relu"},
        "score": 1.5,
        "metric": "loss",
        "mode": "min",
        "metrics": {"loss": 1.5, "size": 7},
        "sweep": "grid",
        "number": 1,
        "replicates": 2,
        "run": "0001",
    }


@WORKERS
def test_every_replicate_of_the_best_is_kept(project, saves, workers):
    saves('grid={"x": [2, 1, 3]}, replicates=3')
    assert project.run(*workers)[0] == 0
    assert best_of(project) == kept_of(project) == ["1 0", "1 1", "1 2"]


@pytest.mark.parametrize(("keep", "kept"), [("2", "12"), ("9", "1234"), ('"all"', "1234")])
def test_as_many_are_kept_as_the_mark_asks_for(project, saves, keep, kept):
    saves(f'grid={{"x": [3, 1, 4, 2]}}, keep={keep}')
    project.here()
    assert kept_of(project) == [f"{x} 0" for x in kept]
    assert best_of(project) == ["1 0"]


@pytest.mark.parametrize("keep", [0, True, 1.5, "best"])
def test_a_keep_that_is_no_number_is_refused(project, saves, keep):
    saves(f'grid={{"x": [1]}}, keep={keep!r}')
    expected = f"*sweep(keep={keep!r}): expected an integer of at least 1 or 'all'"
    project.here().stdout.fnmatch_lines([expected])


@WORKERS
def test_what_a_fixture_saves_after_the_test_is_kept(project, workers):
    project.write("""
@pytest.fixture
def model(trial):
    yield
    time.sleep(0.1)
    (trial.path / "deep").mkdir()
    (trial.path / "deep" / "model").write_text(str(trial.params["x"]))

@pytest.mark.sweep(grid={"x": [3, 1, 2]})
def test_f(x, model):
    time.sleep(0.3 * (x == 1))
    return x

def test_later(sweeps):
    ran((sweeps.best("test_f").path / "deep" / "model").read_text())
""")
    assert project.run(*workers)[0] == 0
    assert project.ran == {"1": 1}
    assert kept_of(project) == best_of(project) == ["1"]


def test_what_a_teardown_failed_to_save_is_no_best(project):
    project.write("""
@pytest.fixture
def model(trial):
    yield
    (trial.path / "deep").mkdir()
    (trial.path / "deep" / "model").write_text(str(trial.params["x"]))
    assert trial.params["x"] > 1

@pytest.mark.sweep(grid={"x": [3, 2, 1]})
def test_f(x, model):
    return x

def test_later(sweeps):
    assert sweeps.best("test_f").params == {"x": 1}
    assert sweeps.best("test_f").path is None
""")
    result = project.here()
    result.assert_outcomes(passed=4, errors=1)
    assert best_of(project) == ["2"]
    assert kept_of(project) == ["1", "2"]
    result.stdout.no_fnmatch_line("*saved:*")


def test_files_of_failed_trials_stay_and_those_of_pruned_and_invalid_ones_go(project):
    project.write("""
@pytest.mark.sweep(grid={"end": ["fail", "prune", "nan", "1", "2"]})
def test_f(end, trial):
    (trial.path / "deep").mkdir()
    (trial.path / "deep" / "model").write_text(end)
    assert end != "fail"
    if end == "prune":
        trial.prune()
    return float(end)
""")
    project.here()
    assert kept_of(project) == ["1", "fail"]
    assert best_of(project) == ["1"]


def test_of_those_that_saved_anything_the_best_is_kept(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]})
def test_f(x, trial):
    if x > 1:
        (trial.path / "deep").mkdir()
        (trial.path / "deep" / "model").write_text(str(x))
    return x

def test_later(sweeps):
    assert sweeps.best("test_f").path is None
""")
    assert project.here().ret == 0
    assert kept_of(project) == best_of(project) == ["2"]
    assert facts_of(project)["params"] == {"x": 2}


def test_the_whole_pareto_front_is_kept(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]}, metric=["a", "b"], mode=["min", "max"])
def test_f(x, trial):
    (trial.path / "deep").mkdir()
    (trial.path / "deep" / "model").write_text(str(x))
    return {"a": x, "b": x if x < 3 else 0}

def test_later(sweeps):
    points = sweeps.study("test_f").pareto
    for point in points:
        ran(point.params["x"], (point.path / "deep" / "model").read_text())
""")
    assert project.here().ret == 0
    assert project.ran == {"1 1": 1, "2 2": 1}
    assert kept_of(project) == ["1", "2"]
    assert best_of(project) == ["1"]


def test_each_sweep_of_a_test_keeps_its_own_best(project, saves):
    saves('grid={"x": [2, 1, 3]})\n@pytest.mark.sweep(grid={"x": [6, 5]}, name="more"')
    project.here()
    assert kept_of(project) == ["1 0", "5 0"]
    assert best_of(project) == ["1 0"]


def test_the_best_of_the_newest_run_takes_the_place_of_the_one_before(project, saves):
    for shift, x in (("0", "1"), ("9", "1")):
        saves('grid={"x": [2, 1]}', shift)
        project.here()
        assert best_of(project) == [f"{x} 0"]
    assert facts_of(project)["score"] == 10
    assert facts_of(project)["run"] == "0002"
    assert kept_of(project) == ["1 0", "1 0"]


def test_the_best_outlives_its_run_and_runs_that_save_nothing(project, saves):
    project.pytester.makeini("[pytest]\nsweep_keep_runs = 1\n")
    saves('grid={"x": [2, 1]}')
    project.here()
    project.write("""
@pytest.mark.sweep(grid={"x": [2, 1]})
def test_f(x):
    return x
""")
    result = project.here()
    assert kept_of(project) == []
    assert best_of(project) == ["1 0"]
    result.stdout.no_fnmatch_line("*saved:*")


@WORKERS
def test_resuming_keeps_what_was_kept_and_takes_up_better_ones(project, saves, workers):
    saves('random={"x": list(range(99))}, n_trials=6, keep=2')
    project.run(*workers)
    first = sorted(int(score) for score in project.scores.values())[:2]
    assert kept_of(project) == sorted(f"{x} 0" for x in first)
    project.forget()
    project.run("--sweep-resume", "--sweep-trials=12")
    both = sorted(int(score) for score in project.scores.values())[:2]
    assert len(project.cached) == 6
    assert kept_of(project) == sorted(f"{x} 0" for x in both)
    assert best_of(project) == [f"{both[0]} 0"]


def test_a_resumed_session_that_is_stopped_early_leaves_the_best(project, saves):
    stop = "\ndef test_stop():\n    assert not os.path.exists('stop')\n"
    saves('grid={"x": [2, 1]}, keep=2', more=stop)
    hook = "def pytest_collection_modifyitems(items):\n    items.insert(1, items.pop())\n"
    project.path.joinpath("conftest.py").write_text(hook)
    project.here()
    before = facts_of(project)
    (project.path / "stop").touch()
    project.here("--sweep-resume", "-x")
    assert len(project.cached) == 1
    assert facts_of(project) == before
    assert kept_of(project) == ["1 0", "2 0"]


def test_an_extended_grid_mixes_no_trials_files(project, saves):
    saves('grid={"x": [2, 3]}, keep="all"')
    project.here()
    saves('grid={"x": [1, 2, 3]}, keep="all"')
    project.here("--sweep-resume", "--sweep-stale=keep")
    assert len(project.cached) == 2
    assert kept_of(project) == ["1 0", "2 0", "3 0"]
    assert best_of(project) == ["1 0"]


def test_trials_that_run_again_have_directories_of_a_run_of_their_own(project, saves):
    saves('grid={"x": [2, 1]}, keep=2')
    project.here()
    for shift in ("1", "2"):
        saves('grid={"x": [2, 1]}, keep=2', shift)
        project.here("--sweep-resume")
        assert kept_of(project, f"000{int(shift) + 1}") == ["1 0", "2 0"]
        assert facts_of(project)["score"] == 1 + int(shift)
    assert kept_of(project, "0001") == ["1 0", "2 0"]


def test_failed_trials_that_run_again_have_new_directories(project, saves):
    saves('grid={"x": [2, 1]}, keep=2', "(0 if os.path.exists('ok') else 1 / (2 - x) - 1)")
    assert project.here().ret == 1
    (project.path / "ok").touch()
    assert project.here("--sweep-resume").ret == 0
    assert kept_of(project, "0001") == ["1 0", "2 0", "2 0"]
    assert best_of(project) == ["1 0"]


def test_some_trials_of_a_run_again_leave_the_best_as_it_is(project, saves):
    saves('grid={"x": [3, 2, 1]}, replicates=2')
    project.here()
    before = facts_of(project)
    for some in ("x:3-r1", "x:1-r1"):
        assert project.here("--sweep-rerun", "-k", some).ret == 0
        assert facts_of(project) == before
        assert best_of(project) == ["1 0", "1 1"]
    runs = ["0001", "0002", "0003"]
    expected = [["1 0", "1 1"], ["3 1"], ["1 1"]]
    assert [kept_of(project, run) for run in runs] == expected
    project.here("--sweep-resume")
    assert [kept_of(project, run) for run in runs] == expected
    assert best_of(project) == ["1 0", "1 1"]
    assert facts_of(project) == {**before, "run": "0003"}


def test_a_study_in_which_nothing_is_saved_has_no_files_of_it(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [3, 2, 1]})
def test_f(x, trial):
    return x
""")
    project.here()
    (run,) = project.path.glob(".pytest_cache/d/hypersearch/*/0001")
    assert sorted(path.name for path in run.iterdir()) == ["journal.jsonl", "run.lock"]
    assert [path.name for path in run.parent.iterdir()] == ["0001"]


def test_a_directory_that_the_test_removed_itself_is_nothing_saved(project):
    project.write("""
import shutil

@pytest.mark.sweep(grid={"x": [3, 2, 1]})
def test_f(x, trial):
    (trial.path / "deep").mkdir()
    (trial.path / "deep" / "model").write_text(str(x))
    if x == 1:
        shutil.rmtree(trial.path)
    return x
""")
    result = project.here()
    assert best_of(project) == ["2"]
    result.stdout.no_fnmatch_line("*warning*")


def test_what_the_rule_picks_in_the_end_is_kept(project):
    project.write("""
NOISE = {8: (0.1, -0.1), 5: (0.1, -0.1), 4: (5, -5)}

@pytest.mark.sweep(grid={"x": [8, 5, 4]}, replicates=2, pick="one-se")
def test_f(x, trial):
    (trial.path / "deep").mkdir()
    (trial.path / "deep" / "model").write_text(f"{x} {trial.replicate}")
    return x + NOISE[x][trial.replicate]
""")
    project.here()
    assert best_of(project) == kept_of(project) == ["8 0", "8 1"]


def test_a_race_keeps_all_replicates_of_its_winner(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [3, 1, 2]}, replicates=4, race=True)
def test_f(x, trial):
    (trial.path / "model").write_text(f"{x} {trial.replicate}")
    unlucky = 1.5 * (x == 1 and trial.replicate == 0)
    return x + unlucky + trial.rng.normal(0, 0.1)
""")
    project.here()
    best = project.journals[0].parents[1] / "best"
    saved = sorted(path.read_text() for path in best.glob("r*/model"))
    winner = json.loads((best / "params.json").read_text())["params"]["x"]
    assert saved == [f"{winner} {replicate}" for replicate in range(4)]
