"""Hooks that follow sweeps: what they are told, in which order, and what their errors do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

FOLLOWER = """
import json

def note(hook, sweep, trial=None, **more):
    place = [trial.number, trial.replicate, trial.attempt, str(trial.state)] if trial else None
    with open("followed.jsonl", "a") as file:
        line = {"hook": hook, "id": sweep.id, "sweep": sweep.info.name, "trial": place, **more}
        file.write(json.dumps(line) + "\\n")

def pytest_hypersearch_sweep_started(sweep):
    note("sweep_started", sweep, nodeid=sweep.nodeid, space=str(sweep.info.space.branches[0]["x"]),
         python=sweep.provenance.python, directory=sweep.directory)

def pytest_hypersearch_trial_started(sweep, trial):
    note("trial_started", sweep, trial, params=trial.params)

def pytest_hypersearch_trial_reported(sweep, trial, series):
    note("trial_reported", sweep, trial, series={n: list(map(list, s)) for n, s in series.items()})

def pytest_hypersearch_trial_finished(sweep, trial):
    note("trial_finished", sweep, trial, score=trial.score, cached=trial.cached,
         reason=trial.reason)

def pytest_hypersearch_sweep_finished(sweep, results):
    note("sweep_finished", sweep, trials=len(results.trials))
"""
SWEPT = """
@pytest.mark.sweep(grid={"x": [1, 2]}, metric="loss")
def test_f(x, trial):
    trial.report(float("nan"), step=3)
    trial.report({"loss": x / 2, "accuracy": 1}, step=4)
    return x / 4
"""


@pytest.fixture
def followed(pytester):
    pytester.makeconftest(FOLLOWER)

    def read(*hooks):
        file = pytester.path / "followed.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        return [line for line in lines if not hooks or line["hook"] in hooks]

    return read


def lives(lines):
    """What each trial went through."""
    found = {}
    for line in lines:
        if line["trial"]:
            found.setdefault(line["trial"][0], []).append(line["hook"])
    return found


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_each_hook_is_called_in_the_order_of_a_trials_life(module, run, followed, workers):
    module(SWEPT)
    run("--sweep", *workers).assert_outcomes(passed=2)
    lines = followed()
    assert [line["hook"] for line in lines][:: len(lines) - 1] == [
        "sweep_started",
        "sweep_finished",
    ]
    assert lives(lines) == {
        number: ["trial_started", "trial_reported", "trial_finished"] for number in (0, 1)
    }
    first = lines[0]
    assert (first["nodeid"], first["space"]) == ("test_it.py::test_f", "choice([1, 2])")
    assert first["python"] == sys.version.split()[0]
    for line in followed("trial_reported"):
        x = line["trial"][0] + 1
        loss, accuracy = line["series"]["loss"], line["series"]["accuracy"]
        assert loss[0] == [3, 4]
        assert str(loss[1][0]) == "nan"
        assert (loss[1][1], accuracy) == (x / 2, [[4], [1.0]])
    assert sorted(line["score"] for line in followed("trial_finished")) == [0.25, 0.5]
    assert followed("sweep_finished")[0]["trials"] == 2


def test_a_plugin_may_come_as_late_as_the_first_trial(module, run, followed, pytester):
    late = pytester.path / "conftest.py"
    late.rename(pytester.path / "follower.py")
    module(f"""
        @pytest.fixture(autouse=True, scope="session")
        def tracker(pytestconfig):
            import follower
            pytestconfig.pluginmanager.register(follower)

        def test_plain():
            pass
        {SWEPT.replace(chr(10), chr(10) + 8 * " ")}""")
    run("--sweep").assert_outcomes(passed=3)
    assert len(followed("trial_started")) == len(followed("trial_finished")) == 2


def test_a_resumed_run_keeps_its_id_and_marks_what_is_replayed(module, run, followed):
    module(SWEPT)
    run("--sweep", "-k", "x:1")
    assert run("--sweep-resume").parseoutcomes() == {"passed": 1, "cached": 1}
    run("--sweep")
    ids = [line["id"] for line in followed("sweep_started")]
    assert ids[0] == ids[1] != ids[2]
    ends = [(line["trial"][0], line["cached"]) for line in followed("trial_finished")]
    assert ends == [(0, False), (0, True), (1, False), (0, False), (1, False)]
    assert len(followed("trial_started")) == 4


def test_a_trial_whose_process_died_starts_again(module, run, followed):
    module("""
        import os
        @pytest.mark.sweep(grid={"x": [1]})
        def test_f(x, trial):
            if not os.path.exists("died"):
                open("died", "w").close()
                os._exit(1)
            return x
    """)
    run("--sweep", "-n1")
    lives_seen = [(line["hook"], line["trial"]) for line in followed() if line["trial"]]
    assert lives_seen == [
        ("trial_started", [0, 0, 1, "running"]),
        ("trial_started", [0, 0, 2, "running"]),
        ("trial_finished", [0, 0, 2, "complete"]),
    ]


def test_errors_become_one_warning_for_each_plugin_and_no_failure(pytester, module, run, followed):
    pytester.syspathinsert()
    pytester.makepyfile(
        broken="""
        import pytest

        def pytest_hypersearch_trial_started(sweep):
            raise OSError("no route\\nto host")

        def pytest_hypersearch_trial_finished():
            pytest.fail("no")
        """
    )
    module(SWEPT)
    result = run("--sweep", "-p", "broken", "-W", "error")
    result.assert_outcomes(passed=2, warnings=1)
    assert result.ret == 0
    line = "broken failed in pytest_hypersearch_trial_started: OSError: no route to host"
    result.stdout.fnmatch_lines([f"*PytestWarning: {line} (4 errors in all)"])
    assert len(followed("trial_started", "trial_finished")) == 4


def test_a_plugin_may_go_through_the_environment_while_pytest_changes_it(pytester, module, run):
    pytester.makeconftest("""
        import os
        import time
        from pathlib import Path

        counts = []

        def pytest_hypersearch_trial_started(sweep, trial):
            names = list(os.environ)  # as a loop over its items, which looks each name up later
            counts.append(len(names))
            Path("begun").touch()
            while len(counts) == 1 and "PYTEST_CURRENT_TEST" in os.environ:
                time.sleep(0.001)
            for name in names:
                os.environ[name]
            Path("followed").write_text(f"{trial.number}, attempt {len(counts)}")
    """)
    module("""
        import time
        from pathlib import Path

        @pytest.mark.sweep(grid={"x": [1]})
        def test_f(x):
            while not Path("begun").exists():
                time.sleep(0.001)
            return x
    """)
    result = run("--sweep")
    assert result.parseoutcomes() == {"passed": 1}
    assert (pytester.path / "followed").read_text() == "0, attempt 2"


def test_a_plugin_neither_changes_results_nor_stops_the_calls_of_others(pytester, module, run):
    pytester.makeconftest("""
        class Wordless(Exception):
            def __str__(self):
                raise ValueError

        def pytest_hypersearch_trial_started(trial):
            trial.params.clear()
            raise Wordless

        def pytest_hypersearch_trial_finished(trial):
            trial.metrics.clear()
            trial.logged["more"] = 1

        def pytest_hypersearch_sweep_finished(results):
            for trial in results.trials:
                trial.params.clear()
            open("finished", "w").close()
    """)
    module(SWEPT)
    result = run("--sweep", "-W", "error")
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*_trial_started: Wordless: (2 errors*", "*(#0): x=1"])
    assert (pytester.path / "finished").exists()


def test_slow_and_leaky_plugins_delay_the_end_alone(pytester, module, run):
    pytester.makeconftest("""
        import time

        def pytest_hypersearch_trial_started(trial):
            while not open("ran").read() == "12":
                time.sleep(0.01)

        def pytest_hypersearch_sweep_finished():
            open("finished", "w").close()
    """)
    (pytester.path / "ran").touch()
    module("""
        @pytest.mark.sweep(grid={"x": [1, 2]})
        def test_f(x):
            with open("ran", "a") as file:
                file.write(str(x))
            return x
    """)
    run("--sweep", "-W", "error").assert_outcomes(passed=2)
    assert (pytester.path / "finished").exists()


def test_a_plugin_that_hangs_is_left_behind(pytester, module, run, monkeypatch):
    monkeypatch.setattr("pytest_hypersearch.plugin.tracking.PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr("pytest_hypersearch.plugin.tracking.SILENT_SECONDS", 0.1)
    pytester.makeconftest("""
        import os, threading, time

        def pytest_hypersearch_trial_started(trial):
            os.mkdir("hangs")
            threading.Event().wait(60)

        def pytest_runtest_teardown():
            while not os.path.exists("hangs"):
                time.sleep(0.01)
    """)
    module(SWEPT)
    result = run("--sweep")
    result.assert_outcomes(passed=2, warnings=1)
    hook = "*conftest.py's pytest_hypersearch_trial_started"
    lines = [f"waiting for {hook}, 6 hook calls*", f"*PytestWarning: {hook} did not finish, 6 *"]
    result.stdout.fnmatch_lines(lines)


def test_an_interrupted_session_tells_all_there_is(pytester, project, module, followed):
    module("""
        import time
        @pytest.mark.sweep(grid={"x": [1, 2, 3]})
        def test_f(x, trial):
            trial.report(x)
            if x == 2:
                open("waits", "w").close()
                for _ in range(600):  # a signal just before one long sleep is seen at its end
                    time.sleep(0.1)
            return x
    """)
    command = [sys.executable, "-m", "pytest", "--sweep"]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) as process:
        project.wait((pytester.path / "waits").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == pytest.ExitCode.INTERRUPTED
    ends = [(*line["trial"], line["reason"]) for line in followed("trial_finished")]
    assert ends == [(0, 0, 1, "complete", ""), (1, 0, 1, "not run", "interrupted")]
    assert len(followed("trial_reported")) == 2
    assert followed()[-1]["hook"] == "sweep_finished"
