"""Workers elsewhere, by the double of a command: late, lost at any moment, or never up."""

import json
import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

DOUBLE = Path(__file__).with_name("worker_double.py")
SWEEP = """
@pytest.mark.sweep(grid={"x": range(%d)}, retries=%d)
def test_f(x, trial):
    ran(x)
    end = time.monotonic() + 60
    while x == 0 and len(open("ran").readlines()) < %d and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.1)
    trial.log(worker=os.environ["PYTEST_XDIST_WORKER"])
    return x
"""


@pytest.fixture
def on(project):
    """Writes what becomes of the workers, in the order of their starts; returns the option."""

    def plan(*entries):
        file = project.path / "double.json"
        file.write_text(json.dumps(entries))
        return f"--sweep-on={shlex.join([sys.executable, str(DOUBLE), str(file)])} {{python}}"

    return plan


def test_workers_join_late_and_are_lost_at_any_moment_and_each_trial_runs_once(project, on):
    project.write(SWEEP % (14, 0, 11))
    option = on(
        "die",  # while it boots: another is started for it
        "never",
        "late;ran;14",  # when there is nothing left to do
        "cut;collectionfinish;1;1",
        "cut;runtest_protocol_complete;1;1",  # between an item's last report and its end
        "cut;logstart;2;255",  # in mid-trial, by the loss of the way there
        "late;ran;4",
    )
    code, output = project.run(option, "-n6", "-v")
    assert code == 0
    assert "14 passed" in output
    assert project.states == {"complete": 14}
    assert project.ran.total() - len(project.ran) <= 1  # the one that was lost in mid-trial
    assert "1 trial retried: node lost" in output
    assert output.count(" PASSED ") == 14
    workers = {trial["worker"] for trial in project.trials.values()}
    assert len(workers) > 2
    assert all("@" in worker for worker in workers)


def test_no_worker_comes_up(project, on):
    project.write(SWEEP % (2, 0, 0))
    code, output = project.run(on(*["die"] * 6), "-n2")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "no worker came up" in output
    assert "gw0: exit code 3" in output
    assert "Traceback" not in output


def test_all_workers_are_lost(project, on):
    project.write(SWEEP % (6, 3, 0))
    code, output = project.run(on(*["cut;runtest_protocol_complete;1;1"] * 2, *["die"] * 9), "-n2")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "trials were lost: no worker is left to run them" in output
    assert "INTERNALERROR" not in output
    complete = project.states["complete"]
    code, output = project.run(on(), "-n2", "--sweep-resume")
    assert code == 0
    assert len(project.cached) == complete > 0
    assert project.states == {"complete": 6}


def test_a_killed_controller_leaves_nothing_behind(project, on):
    project.write(SWEEP % (200, 0, 0))
    with project.started(on(), "-n2") as process:
        project.await_lines(3)
        process.send_signal(signal.SIGKILL)
    project.wait(lambda: not left_over(project.path))
    assert 3 <= project.ran.total() < 200


def left_over(path):
    """The processes whose working directory is this one."""
    processes = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if entry.readlink() == path:
                processes.append(entry.parent.name)
        except OSError:
            continue
    return [pid for pid in processes if int(pid) != os.getpid()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sweep-on=ssh host"], "expected {python} or {args} in it"),
        (["--sweep-on={python}", "-n0"], "cannot be combined with -n 0"),
        (["--sweep-on={python}", "--dist=each"], "--dist=each runs every trial"),
    ],
)
def test_bad_options_are_refused(project, options, message):
    project.write(SWEEP % (1, 0, 0))
    code, output = project.run(*options)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert message in output
