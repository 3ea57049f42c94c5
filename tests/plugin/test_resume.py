"""Continuing a run: what is replayed, what runs again, and what is said of it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.store.journal import encode, read
from pytest_hypersearch.store.reader import read_curves

GRID = """
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]})
def test_f(x):
    ran(x)
    return x * x
"""


def test_resume_runs_only_what_is_missing(project):
    project.write(GRID)
    project.here("-k", "x:1 or x:3")
    project.forget()
    result = project.here("--sweep-resume")
    result.assert_outcomes(passed=2)
    assert result.parseoutcomes()["cached"] == 2
    assert project.ran == {"2": 1, "4": 1}
    assert project.scores == {"x:1": 1, "x:2": 4, "x:3": 9, "x:4": 16}
    assert project.cached == {"x:1", "x:3"}


def test_a_run_without_resume_starts_anew(project):
    project.write(GRID)
    project.here()
    project.here()
    assert project.ran == {"1": 2, "2": 2, "3": 2, "4": 2}
    assert len(project.journals) == 2


def test_resume_continues_the_newest_run(project):
    project.write(GRID)
    project.here("-k", "x:1")
    project.here("-k", "x:2")
    project.here("--sweep-resume", "-k", "x:3")
    project.here("--sweep-resume")
    assert project.cached == {"x:2", "x:3"}
    assert len(project.journals) == 2


@pytest.mark.parametrize(
    ("endings", "code"),
    [
        (["assert False", "raise SystemExit(3)", "return 'bad'", "return None"], 1),
        (["pytest.skip('not today')"], 0),
        (["pytest.exit('enough')"], 2),
    ],
)
def test_what_did_not_finish_runs_again(project, endings, code):
    tests = """
@pytest.mark.sweep(grid={{"x": [1, 2]}})
def test_{place}(x):
    ran({place}, x)
    if x == 2 and not os.path.exists("ok"):
        {ending}
    return x
"""
    places = range(len(endings))
    project.write("".join(tests.format(place=n, ending=endings[n]) for n in places))
    assert project.here().ret == code
    (project.path / "ok").touch()
    assert project.here("--sweep-resume").ret == 0
    assert project.ran == {f"{n} {x}": x for n in places for x in (1, 2)}
    for study in project.studies:
        assert [trial["state"] for trial in study["trials"]] == ["complete"] * 2
        assert study["trials"][1]["attempt"] == 2


def test_a_tolerated_failure_runs_again(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 0]}, raises=ZeroDivisionError)
def test_f(x):
    ran(x)
    return 1 / x if x or not os.path.exists("ok") else 5
""")
    assert project.here().ret == 0
    assert project.states == {"complete": 1, "failed": 1}
    (project.path / "ok").touch()
    assert project.here("--sweep-resume").ret == 0
    assert project.ran == {"1": 1, "0": 2}
    assert project.states == {"complete": 2}


def test_a_failed_fixture_makes_a_failed_trial_that_runs_again(project):
    project.write("""
@pytest.fixture
def model(x):
    ran(x)
    assert x == 1 or os.path.exists("ok")
    return x

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(model):
    return model
""")
    assert project.here().ret == 1
    assert project.states == {"complete": 1, "failed": 1}
    (project.path / "ok").touch()
    assert project.here("--sweep-resume").ret == 0
    assert project.ran == {"1": 1, "2": 2}


@pytest.mark.parametrize("ending", ["trial.prune('bad')", "return float('nan')"])
def test_pruned_and_invalid_trials_are_replayed_as_what_they_were(project, ending):
    project.write(f"""
@pytest.mark.sweep(grid={{"x": [1, 2]}})
def test_f(x, trial):
    ran(x)
    trial.report(float("nan"))
    trial.log(note=float("inf"))
    if x == 2:
        {ending}
    return x
""")
    first = project.here().parseoutcomes()
    before = project.trials
    second = project.here("--sweep-resume").parseoutcomes()
    assert project.ran == {"1": 1, "2": 1}
    assert project.trials["x:2"]["state"] == before["x:2"]["state"] != "complete"
    assert first.pop("passed") == second.pop("cached") == 1
    assert first == second


FIXTURES = """
@pytest.fixture(scope="session", autouse=True)
def session_wide():
    ran("session")

@pytest.fixture(scope="module", autouse=True)
def module_wide():
    ran("module")

@pytest.fixture(autouse=True)
def each():
    ran("function")
    yield
    ran("teardown")

class TestIt:
    @classmethod
    def setup_class(cls):
        ran("class")

    @pytest.mark.sweep(grid={"x": [1, 2, 3]})
    def test_f(self, x, tmp_path):
        ran(x)
        return x
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_no_fixture_runs_for_a_replayed_trial(project, workers):
    project.write(FIXTURES)
    project.here()
    project.forget()
    code, output = project.run("--sweep-resume", *workers)
    assert code == 0
    assert "3 cached" in output
    assert not project.ran


def test_more_trials_of_random_keep_those_there_are(project):
    source = """
@pytest.mark.sweep(random={"x": [float(i) for i in range(99)]}, n_trials=NUMBER, seed=3)
def test_f(x):
    ran(x)
    return x
"""
    project.write(source.replace("NUMBER", "4"))
    project.here()
    few = project.scores
    project.write(source.replace("NUMBER", "7"))
    project.here("--sweep-resume")
    assert project.scores.items() > few.items()
    assert len(project.ran) == project.ran.total() == 7
    assert project.cached == few.keys()


def test_trials_from_the_command_line_extend_a_run(project):
    project.write("""
@pytest.mark.sweep(random={"x": range(50)}, n_trials=2)
def test_f(x):
    ran(x)
    return x
""")
    project.here()
    project.here("--sweep-resume", "--sweep-trials=5")
    assert len(project.ran) == project.ran.total() == 5
    project.here("--sweep-resume")
    assert len(project.trials) == len(project.cached) == 2


def test_an_extended_grid_runs_just_the_rest(project):
    project.write(GRID)
    project.here()
    project.write(GRID.replace("[1, 2, 3, 4]", "[0, 4, 3, 5]"))
    project.here("--sweep-resume")
    assert project.ran == {"1": 1, "2": 1, "3": 1, "4": 1, "0": 1, "5": 1}
    assert project.scores == {"x:0": 0, "x:4": 16, "x:3": 9, "x:5": 25}


REPLICATES = """
@pytest.mark.sweep(grid={"x": [1, 2]}, replicates=NUMBER, seed=SEED)
def test_f(x, trial):
    ran(x, trial.replicate, trial.seed)
    return x
"""


def test_more_replicates_run_just_the_new_ones(project):
    project.write(REPLICATES.replace("NUMBER", "1").replace("SEED", "0"))
    project.here()
    project.write(REPLICATES.replace("NUMBER", "3").replace("SEED", "0"))
    project.here("--sweep-resume")
    assert len(project.ran) == project.ran.total() == 6
    assert project.cached == {"x:1-r0", "x:2-r0"}


@pytest.mark.parametrize("option", [True, False])
def test_another_seed_runs_all_again(project, option):
    project.write(REPLICATES.replace("NUMBER", "1").replace("SEED", "0"))
    project.here()
    if not option:
        project.write(REPLICATES.replace("NUMBER", "1").replace("SEED", "5"))
    project.here("--sweep-resume", *(["--sweep-seed=5"] if option else []))
    assert len(project.ran) == project.ran.total() == 4
    assert not project.cached


BAYES = """
from pytest_hypersearch import uniform

@pytest.mark.sweep(bayes={"x": uniform(-4.0, 4.0)}, n_trials=NUMBER)
def test_f(x):
    ran(x)
    return (x - 1) ** 2
"""


def test_bayes_keeps_what_it_proposed(project):
    project.write(BAYES.replace("NUMBER", "4"))
    project.here()
    before = project.trials
    project.write(BAYES.replace("NUMBER", "6"))
    project.here("--sweep-resume")
    after = project.trials
    assert project.cached == before.keys()
    assert all(after[name]["params"] == before[name]["params"] for name in before)
    assert len(project.ran) == project.ran.total() == 6


def test_bayes_proposes_anew_for_another_seed(project):
    project.write(BAYES.replace("NUMBER", "3"))
    project.here()
    project.here("--sweep-resume", "--sweep-seed=9")
    assert len(project.ran) == 5  # both begin at the centre
    assert project.ran.total() == 6


def test_bayes_in_a_smaller_space_keeps_what_lies_in_it(project):
    project.write(BAYES.replace("NUMBER", "5"))
    project.here()
    inside = {name for name, trial in project.trials.items() if trial["params"]["x"] >= 0}
    assert 0 < len(inside) < 5
    project.write(BAYES.replace("NUMBER", "5").replace("-4.0", "0.0"))
    project.here("--sweep-resume")
    assert project.cached == inside
    assert all(0 <= trial["params"]["x"] <= 4 for trial in project.trials.values())


def test_random_in_a_changed_space_runs_what_is_new(project):
    source = """
@pytest.mark.sweep(random={"x": [1, 2, 3], "y": ["a", SECOND]}, n_trials=6)
def test_f(x, y):
    ran(x, y)
    return x
"""
    project.write(source.replace("SECOND", '"b"'))
    project.here()
    project.write(source.replace("SECOND", '"c"'))
    project.here("--sweep-resume")
    assert project.ran.total() == 9
    assert len(project.cached) == 3


def test_a_parameter_of_another_type_is_another_configuration(project):
    project.write(GRID)
    project.here()
    project.write(GRID.replace("[1, 2, 3, 4]", "[1.0, True, '2', 2]"))
    project.here("--sweep-resume")
    assert len(project.cached) == 1


def test_another_metric_replays_the_same_trials(project):
    source = """
@pytest.mark.sweep(grid={"x": [1, 2]}, metric="loss")
def test_f(x):
    ran(x)
    return {"loss": x, "accuracy": 1 - x, "size": float("nan") if x == 2 else 5}
"""
    project.write(source)
    project.here()
    project.write(source.replace('"loss")', '"accuracy", mode="max")'))
    project.here("--sweep-resume")
    assert project.scores == {"x:1": 0, "x:2": -1}
    project.write(source.replace('"loss")', '"size")'))
    assert project.here("--sweep-resume").parseoutcomes() == {"cached": 1, "invalid": 1}
    assert project.states == {"complete": 1, "invalid": 1}
    project.write(source.replace('"loss")', '"speed")'))
    project.here("--sweep-resume")
    assert project.ran == {"1": 2, "2": 2}


HELPED = """
from helper import square
SPACE = {"x": [1, 2]}

@pytest.mark.sweep(grid=SPACE)
def test_f(x):
    ran(x)
    return square(x)

def test_other():
    pass
"""


@pytest.fixture
def helped(project):
    (project.path / "helper.py").write_text("def square(x):\n    return x * x\n")
    project.write(HELPED)
    # Time alone tells Python that a source has changed, unless there is no bytecode to go by.
    assert project.run()[0] == 0
    project.forget()
    return project


def test_an_edited_helper_makes_trials_stale(helped):
    (helped.path / "helper.py").write_text("def square(x):\n    return x * x + 1\n")
    code, output = helped.run("--sweep-resume")
    assert code == 0
    assert helped.ran == {"1": 1, "2": 1}
    assert helped.scores == {"x:1": 2, "x:2": 5}
    assert helped.notes == ["2 stored trials stale: helper.py changed"]
    assert "2 stored trials stale: helper.py changed" in output
    helped.forget()
    helped.run("--sweep-resume")
    assert not helped.ran
    assert not helped.notes


def test_stale_trials_can_be_kept(helped):
    (helped.path / "helper.py").write_text("def square(x):\n    return x * x + 1\n")
    helped.run("--sweep-resume", "--sweep-stale=keep")
    assert not helped.ran
    assert helped.scores == {"x:1": 1, "x:2": 4}


def test_what_cannot_matter_makes_no_trial_stale(helped):
    text = HELPED
    for old, new in {
        "ran(x)\n": "\n    ran(  x )  # counted\n",
        "def test_f(x):": 'def test_f(x):\n    """A docstring."""\n',
        "pass": "assert 1 + 1 == 2",  # another test
        "SPACE)": "SPACE, mode='max', group_by='x')",
        "[1, 2]": "[2, 1]",
    }.items():
        assert old in text
        text = text.replace(old, new)
    helped.write(text)
    assert helped.run("--sweep-resume")[0] == 0
    assert not helped.ran
    assert not helped.notes


@pytest.mark.parametrize(("old", "new"), [("square(x)", "square(x) + 1"), ("ran(x)", "ran(x, x)")])
def test_an_edited_test_makes_its_trials_stale(helped, old, new):
    helped.write(HELPED.replace(old, new))
    helped.run("--sweep-resume")
    assert helped.ran.total() == 2
    assert helped.notes == ["2 stored trials stale: test_it.py changed"]


def test_an_edited_conftest_fixture_makes_trials_stale(project):
    conftest = "import pytest\n@pytest.fixture\ndef shift():\n    return 1\n"
    (project.path / "conftest.py").write_text(conftest)
    project.write("""
@pytest.mark.sweep(grid={"x": [1]})
def test_f(x, shift):
    ran(x)
    return x + shift
""")
    project.run()
    (project.path / "conftest.py").write_text(conftest.replace("1", "2"))
    project.run("--sweep-resume")
    assert project.ran == {"1": 2}
    assert project.scores == {"x:1": 3}
    assert project.notes == ["1 stored trial stale: conftest.py changed"]


def test_files_that_the_mark_names_count_as_code(project):
    (project.path / "data.csv").write_text("1,2")
    project.write("""
@pytest.mark.sweep(grid={"x": [1]}, depends_on="data.csv")
def test_f(x):
    ran(x)
    return x
""")
    project.here()
    project.here("--sweep-resume")
    assert project.ran == {"1": 1}
    (project.path / "data.csv").write_text("1,3")
    project.here("--sweep-resume")
    assert project.ran == {"1": 2}
    assert project.notes == ["1 stored trial stale: data.csv changed"]


def test_rerun_runs_all_again_in_a_new_run(project):
    project.write(BAYES.replace("NUMBER", "3"))
    project.here()
    before = project.trials
    project.here("--sweep-rerun")
    assert all(count == 2 for count in project.ran.values())
    assert project.scores == {name: trial["score"] for name, trial in before.items()}
    assert len(project.journals) == 2


def test_only_the_last_runs_are_kept(project):
    project.pytester.makeini("[pytest]\nsweep_keep_runs = 2\n")
    project.write(GRID)
    for _ in range(4):
        assert project.here().ret == 0
    assert [journal.parent.name for journal in project.journals] == ["0003", "0004"]


def test_a_run_is_not_resumed_across_studies(project):
    project.write(GRID)
    project.here()
    project.write(GRID.replace("test_f", "test_g"))
    project.here("--sweep-resume")
    assert project.ran == {"1": 2, "2": 2, "3": 2, "4": 2}


def test_resume_with_nothing_stored_starts_a_run_and_says_so(project):
    project.write(GRID)
    result = project.here("--sweep-resume")
    assert result.ret == 0
    assert project.ran.total() == 4
    assert project.notes == ["there was no run to continue: a new one was started"]
    project.here("--sweep-resume")
    assert not project.notes


@pytest.mark.parametrize("mode", ["skip", "smoke"])
def test_resume_of_sweeps_that_do_not_run_is_refused(project, mode):
    project.write(GRID)
    result = project.here(f"--sweep={mode}", "--sweep-resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --sweep={mode}: cannot be combined with --sweep-resume"])


def test_last_failed_after_a_resume_selects_what_failed(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]})
def test_f(x):
    ran(x)
    assert x < 3 or os.path.exists("ok")
    return x
""")
    project.here("-k", "not x:4")
    project.here("--sweep-resume")
    project.forget()
    (project.path / "ok").touch()
    project.here("--sweep-resume", "--lf")
    assert project.ran == {"3": 1, "4": 1}
    result = project.here("--sweep-resume")
    assert result.parseoutcomes() == {"cached": 4}


def test_exitfirst_stops_and_resume_goes_on(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]})
def test_f(x):
    ran(x)
    assert x != 2 or os.path.exists("ok")
    return x
""")
    result = project.here("-x")
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    result = project.here("--sweep-resume", "-x")
    assert result.parseoutcomes() == {"cached": 1, "failed": 1}
    (project.path / "ok").touch()
    result = project.here("--sweep-resume", "-x")
    assert result.parseoutcomes() == {"cached": 1, "passed": 3}
    assert project.ran == {"1": 1, "2": 3, "3": 1, "4": 1}


def test_rerunfailures_retries_the_failed_trial_and_not_its_stored_end(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x):
    ran(x)
    assert x == 1 or os.path.exists("ok")
    os.close(os.open("ok", os.O_CREAT))
    return x
""")
    code, _ = project.run("--reruns=2", "-k", "x:2")
    assert code == 1
    assert project.ran == {"2": 3}
    project.here("-k", "x:1", "--sweep-resume")
    result = project.here("--sweep-resume", "--reruns=2")
    assert result.parseoutcomes() == {"cached": 1, "passed": 1}


def flip(data):
    return data.replace(b'"score":4.0', b'"score":5.0', 1)


def tear(data):
    return data[:-7]


def litter(data):
    junk = b"\0\0garbage\n" + b'{"k":"end","c":1}\n' + b"[" * 100_000 + b"\n" + b"\xff\xfe\n"
    nonsense = b"".join(
        encode(record)
        for record in (
            {"k": "end"},
            {"k": "start", "sweep": []},
            {"k": "suggest", "sweep": "grid"},
            {"k": "session", "fingerprint": 5},
            {"k": "weather", "rain": True},
        )
    )
    lines = data.splitlines(keepends=True)
    return b"".join([*lines[:4], junk, nonsense, *lines[4:]])


@pytest.mark.parametrize(
    ("damage", "lines", "lost"),
    [(flip, 1, {"2"}), (tear, 1, {"4"}), (litter, 8, set())],
)
def test_damage_is_read_past_and_told_once(project, damage, lines, lost):
    project.write(GRID)
    project.here()
    project.forget()
    journal = project.journals[0]
    before = journal.read_bytes()
    journal.write_bytes(damage(before))
    assert journal.read_bytes() != before
    assert project.here("--sweep-resume").ret == 0
    assert set(project.ran) == lost
    assert project.scores == {"x:1": 1, "x:2": 4, "x:3": 9, "x:4": 16}
    (note,) = project.notes
    assert note.startswith(f"{lines} damaged line")
    assert str(journal.parent) in note
    project.forget()
    project.here("--sweep-resume")
    assert not project.ran


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_a_newer_format_is_refused_and_left_alone(project, workers):
    project.write(GRID)
    project.here()
    project.forget()
    journal = project.journals[0]
    journal.write_bytes(journal.read_bytes() + encode({"k": "run", "format": 99}))
    before = journal.read_bytes()
    code, output = project.run("--sweep-resume", *workers)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert f"{journal} was written by a newer pytest-hypersearch" in output
    assert "Traceback" not in output
    assert not project.ran
    assert journal.read_bytes() == before
    assert project.here().ret == 0


@pytest.fixture
def _scratch(tmp_path, monkeypatch):
    """A place of their own for sessions that store for the time being."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.usefixtures("_scratch")
def test_without_the_cache_plugin_sweeps_run_and_one_warning_says_what_is_missing(project):
    project.write(GRID + GRID.replace("test_f", "test_g"))
    for extra in ((), ("-W", "error"), ("-n1",)):
        code, output = project.run("-p", "no:cacheprovider", *extra)
        assert code == 0
        assert "8 passed, 1 warning" in output
        assert output.count("cannot be resumed") == 1
        assert "cache is switched off" in output
    assert not (project.path / ".pytest_cache").exists()


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_resume_without_the_cache_plugin_is_refused(project, workers):
    project.write(GRID)
    code, output = project.run("-p", "no:cacheprovider", "--sweep-resume", *workers)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "there are no runs to continue: pytest's cache is switched off" in output
    assert "Traceback" not in output
    assert not project.ran


@pytest.mark.usefixtures("_scratch")
@pytest.mark.parametrize("place", [".pytest_cache", ".pytest_cache/d/hypersearch"])
def test_a_file_in_place_of_the_store_leaves_a_temporary_one(project, place):
    project.write(GRID)
    (project.path / place).parent.mkdir(parents=True, exist_ok=True)
    (project.path / place).write_text("in the way")
    code, output = project.spawn()
    assert code == 0
    assert project.ran.total() == 4
    assert output.count("cannot be resumed") == 1
    assert (project.path / place).read_text() == "in the way"
    code, output = project.spawn("--sweep-resume")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: there are no runs to continue" in output
    assert project.ran.total() == 4


@pytest.fixture
def open_project(project, monkeypatch):
    """A project in a directory that other users may enter, and how to become one of them."""
    project.path = Path(tempfile.mkdtemp())
    project.path.chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(project.path))
    project.prefix = ()
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root may write everywhere, and without setpriv it stays root")
        project.prefix = (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups")
        check = [*project.prefix, sys.executable, "-c", "import pytest_hypersearch.plugin.hooks"]
        if subprocess.run(check, cwd=project.path, check=False).returncode:
            pytest.skip("nobody but root may start Python here")
    yield project
    shutil.rmtree(project.path)


def test_a_cache_that_may_not_be_written_leaves_a_temporary_store(open_project):
    open_project.write(GRID)
    assert open_project.spawn()[0] == 0
    cache = open_project.path / ".pytest_cache"
    entries = [cache, *cache.rglob("*")]
    for entry in entries:
        entry.chmod(0o555 if entry.is_dir() else 0o444)
    os.truncate(open_project.path / "ran", 0)
    code, output = open_project.spawn()
    assert code == 0
    assert open_project.ran.total() == 4
    assert output.count("cannot be resumed") == 1
    code, output = open_project.spawn("--sweep-resume")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: cannot lock" in output
    assert open_project.ran.total() == 4
    for entry in entries:
        entry.chmod(0o755)


def test_curves_of_attempts_are_told_apart(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1]})
def test_f(x, trial):
    trial.report(5, step=0)
    assert os.path.exists("ok")
    return x
""")
    project.here()
    (project.path / "ok").touch()
    project.here("--sweep-resume")
    curves = read(project.journals[0].with_name("curves.jsonl")).records
    assert [record["attempt"] for record in curves] == [1, 2]


def test_a_grid_too_large_for_a_line_of_the_journal_is_stored_and_resumed(project):
    project.write("""
@pytest.mark.sweep(grid={"x": ["a" * 90_000 + str(i) for i in range(3)]})
def test_f(x):
    ran(x[-1])
    return int(x[-1])
""")
    project.here()
    assert project.states == {"complete": 3}
    project.here("--sweep-resume")
    assert project.ran == {"0": 1, "1": 1, "2": 1}


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_an_outcome_too_large_to_keep_fails_its_trial_alone(project, workers):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x, trial):
    for step in range(20_000):
        trial.report(step)
    if x == 1:
        trial.log(text="a" * 300_000)
    return x
""")
    code, output = project.run(*workers)
    assert code == 1
    assert "1 failed, 1 passed" in output
    assert "the trial's metrics and logged values make a record of" in output
    assert project.states == {"complete": 1, "failed": 1}
    curves = read(project.journals[0].with_name("curves.jsonl")).records
    counts = [len(series["score"][0]) for series in read_curves(curves).values()]
    assert counts == [20_000, 20_000]


def test_45_studies_run_and_are_resumed_with_64_files(project):
    project.write("""
@pytest.mark.parametrize("data", range(45))
@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x, data, trial):
    trial.report(x)
    (trial.path / "model").touch()
    ran(data, x)
    return x
""")
    (project.path / "conftest.py").write_text(
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
    )
    for args in ((), ("--sweep-resume",)):
        code, output = project.spawn(*args)
        assert code == 0, output
        assert len(project.ran) == project.ran.total() == 90
    assert len(project.cached) == 90


@pytest.mark.parametrize("how", ["shutil.move", "copy"])
def test_a_run_that_is_moved_and_linked_in_mid_session_is_resumed(project, how):
    project.write(f"""
import shutil

def copy(source, target):
    shutil.copytree(source, target)
    shutil.rmtree(source)

@pytest.mark.sweep(grid={{"x": [1, 2, 3, 4]}}, keep="all")
def test_f(x, trial):
    ran(x)
    trial.report(x)
    run = trial.path.parent.parent
    if x == 2 and not os.path.exists("elsewhere"):
        {how}(run, "elsewhere")
        run.symlink_to(os.path.abspath("elsewhere"))
    trial.path.mkdir(parents=True, exist_ok=True)
    (trial.path / "model").write_text(str(x))
    return x
""")
    assert project.here().ret == 0
    before = project.trials
    project.forget()
    assert project.here("--sweep-resume").ret == 0
    assert not project.ran
    assert project.cached == before.keys()
    (best,) = project.path.glob(".pytest_cache/d/hypersearch/*/best/r0/model")
    assert best.read_text() == "1"
    assert len(load_results(str(project.path)).curves()) == 4


def test_texts_with_lone_surrogates_are_replayed(project):
    project.write(r"""
OPTIONS = ["a", "\udc80", ["\udc80"], {"\udc80": "\udc80"}]

@pytest.mark.sweep(grid={"x": OPTIONS}, depends_on="\udc80")
def test_f(x):
    return OPTIONS.index(x)

@pytest.mark.sweep(random={"x": {"\udc80": 1, "b": 2}}, n_trials=2, points=[{"x": "\udc80"}])
def test_g(x):
    return x
""")
    (project.path / "\udc80").touch()
    assert project.run()[0] == 0
    code, output = project.run("--sweep-resume")
    assert (code, "6 cached" in output) == (0, True)
    project.run("--sweep-resume", "--sweep-set=x=a", "-k", "test_f")
    code, output = project.run("--sweep-resume", "--sweep-set=x=a", "-k", "test_f")
    assert (code, "1 cached" in output) == (0, True)
