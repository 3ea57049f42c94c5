"""Budgets: what ends a sweep, a session or a trial before its time."""

from __future__ import annotations

import pytest

PLAIN_AND_WORKERS = pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "workers"])

FALLING = """
@pytest.mark.sweep(grid={"x": [9, 8, 7, 6, 5, 4]}, stop=%s)
def test_f(x):
    ran(x)
    return x
"""


@PLAIN_AND_WORKERS
def test_what_is_left_over_is_not_run_and_no_failure(project, workers):
    project.write(FALLING % '{"score": 7}')
    code, output = project.run("-v", "-rs", *workers)
    assert code == 0
    assert project.ran == {"9": 1, "8": 1, "7": 1}
    assert project.states == {"complete": 3, "not run": 3}
    assert "3 passed, 3 not run" in output
    assert "NOT RUN" in output
    reason = project.trials["x:4"]["reason"]
    assert reason == "budget exhausted: score 7 reached the target 7"
    assert "note: test_f: grid stopped early: score 7 reached the target 7" in output


@pytest.mark.parametrize(
    ("rule", "count", "why"),
    [
        ('{"trials": 4}', 4, "4 trials"),
        ('{"patience": 2, "min_delta": 5}', 3, "no improvement of score in 2 trials"),
        ('{"score": 0, "trials": 1}', 1, "1 trials"),
        ('{"time": "1h"}', 6, None),
    ],
)
def test_the_first_rule_that_holds_stops_the_sweep(project, rule, count, why):
    project.write(FALLING % rule)
    project.here()
    assert project.states["complete"] == count
    assert (project.notes[0].rpartition(": ")[2] if project.notes else None) == why


def test_a_resumed_sweep_stops_where_it_stopped_and_keeps_what_is_stored(project):
    project.write(FALLING % '{"trials": 4}')
    project.here()
    project.forget()
    project.here("--sweep-resume")
    assert not project.ran
    assert len(project.cached) == 4
    project.write(FALLING % '{"trials": 2}')
    project.here("--sweep-resume")
    assert not project.ran
    assert len(project.cached) == 4


def test_other_sweeps_of_the_test_go_on(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]}, stop={"trials": 1})
@pytest.mark.sweep(random={"x": [1, 2, 3]}, n_trials=3)
def test_f(x):
    return x
""")
    project.here()
    assert project.states == {"complete": 4, "not run": 2}


def test_an_adaptive_sweep_proposes_nothing_once_it_stopped(project):
    project.write("""
from pytest_hypersearch import uniform

@pytest.mark.sweep(bayes={"x": uniform(0, 1)}, n_trials=8, stop={"trials": 3})
def test_f(x):
    return x

def test_later(sweeps):
    assert len(sweeps.study("test_f").suggestions) == 3
""")
    assert project.here().ret == 0


@PLAIN_AND_WORKERS
def test_a_failure_that_is_rerun_stays_one_when_the_budget_is_used_up(project, workers):
    pytest.importorskip("pytest_rerunfailures")
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]}, stop={"trials": 2})
def test_f(x):
    assert x == 1
    return x
""")
    code, output = project.run("--reruns=1", *workers)
    assert code == 1
    assert "1 failed, 1 passed" in output
    assert project.states == {"complete": 1, "failed": 1, "not run": 1}


@PLAIN_AND_WORKERS
def test_no_trial_starts_after_the_session_s_time(project, workers):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]})
def test_f(x):
    ran(x)
    time.sleep(0.5)
    return x

def test_best(sweeps):
    assert sweeps.best("test_f").score == 1
""")
    code, output = project.run("--sweep-timeout=1ms", *workers)
    assert code == pytest.ExitCode.USAGE_ERROR
    code, output = project.run("--sweep-timeout=0.1", "-v", *workers)
    assert code == 0
    started = project.ran.total()  # the time begins with the first one, not with the session
    assert 1 <= started <= 2
    assert project.trials["x:3"]["reason"] == "budget exhausted: --sweep-timeout=0.1"
    note = "stopped early: --sweep-timeout=0.1; continue with --sweep-resume"
    assert note in " ".join(output.split())
    assert f"test_f: partial: {3 - started}" in output
    code, output = project.run("--sweep-timeout=1h", "-v", *workers)
    assert project.ran.total() == 3 + started
    assert "partial" not in output


@PLAIN_AND_WORKERS
def test_a_gate_that_fails_on_partial_results_says_so(project, workers):
    project.write("""
@pytest.mark.sweep(grid={"x": [3, 2, 1]})
def test_f(x):
    time.sleep(0.5)
    return x

def test_gate(sweeps):
    assert sweeps.best("test_f", wait=True).score == 1
""")
    code, output = project.run("--sweep-timeout=0.1", *workers)
    assert code == 1
    assert "--- sweeps ---" in output
    assert "of 3 trials missing" in output


@PLAIN_AND_WORKERS
def test_a_trial_that_takes_too_long_is_timed_out_and_the_sweep_goes_on(project, workers):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]}, timeout=2)
def test_f(x, trial):
    trial.report(x)
    if x == 2:
        time.sleep(60)
    return x
""")
    code, output = project.run(*workers)
    assert code == 1
    assert "1 failed, 2 passed" in output
    assert project.states == {"complete": 2, "timed out": 1}
    assert project.trials["x:2"]["metrics"] == {"score": 2.0}


@pytest.mark.parametrize(("isolate", "workers"), [(False, ("-n1",)), (True, ())])
def test_a_time_limit_that_ends_the_process_is_no_crash(project, isolate, workers):
    project.write(f"""
@pytest.mark.sweep(grid={{"x": [1, 2, 3]}}, timeout=2, isolate={isolate})
def test_f(x):
    ran(x)
    if x == 2:
        time.sleep(60)
    if x == 3:
        os._exit(1)
    return x
""")
    code, _ = project.run("--timeout-method=thread", *workers)
    assert code == 1
    assert project.ran == {"1": 1, "2": 1, "3": 2}
    assert project.states == {"complete": 1, "timed out": 1, "crashed": 1}


@PLAIN_AND_WORKERS
def test_what_the_pruner_takes_is_not_the_trials_time(project, workers):
    (project.path / "conftest.py").write_text("""
import time
class Slow:
    def verdict(self, trial, others, *, since):
        time.sleep(3 if trial.number == 1 else 0)
        return ""
""")
    project.write("""
from conftest import Slow

@pytest.mark.sweep(grid={"x": [1, 2, 3]}, prune=Slow(), timeout=2)
def test_f(x, trial):
    trial.report(x)
    if x == 3:
        time.sleep(60)
    return x
""")
    _, output = project.run(*workers)
    assert project.states == {"complete": 2, "timed out": 1}, output


@pytest.mark.parametrize("isolate", [False, True])
def test_an_exception_that_ends_a_call_leaves_no_answer_to_the_next(project, isolate):
    (project.path / "conftest.py").write_text("""
import os, time
class Held:
    def verdict(self, trial, others, *, since):
        if trial.number == 1:
            os.mkdir(f"asked {trial.replicate}")
            while not os.path.exists(f"interrupted {trial.replicate}"):
                time.sleep(0.01)
            time.sleep(0.2)
        return ""
""")
    project.write(f"""
import threading
from conftest import Held

@pytest.mark.sweep(
    grid={{"x": [1, 2, 3]}}, replicates=2, prune=Held(), isolate={isolate}, raises=TimeoutError
)
def test_f(x, trial):
    def interrupt(*args):
        os.mkdir(f"interrupted {{trial.replicate}}")
        raise TimeoutError

    def kill():
        while not os.path.exists(f"asked {{trial.replicate}}"):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    signal.signal(signal.SIGUSR1, interrupt)
    if x == 2:
        threading.Thread(target=kill).start()
    trial.report(x)
    return x
""")
    code, output = project.run("-n2")
    assert code == 0, output
    assert project.states == {"complete": 4, "failed": 2}, output


def test_a_time_limit_wants_the_plugin_that_keeps_it(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1]}, timeout="1m")
def test_f(x):
    return x
""")
    result = project.here("-p", "no:timeout")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*test_f: sweep(timeout=60): requires pytest-timeout; *"])
