"""Systems that lack some of POSIX, as Windows and some containers do: sweeps do without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HIDING = """
import builtins, io, os, signal, sys

for name in ("fcntl", "resource"):
    sys.modules[name] = None
for name in ("ITIMER_PROF", "ITIMER_REAL", "ITIMER_VIRTUAL", "SIGALRM", "alarm", "setitimer"):
    delattr(signal, name)
for name in ("O_CLOEXEC", "O_NOFOLLOW", "killpg", "pread", "pwrite", "sched_getaffinity"):
    delattr(os, name)

def without_proc(function):
    def call(path, *args, **kwargs):
        if str(path).startswith("/proc/"):
            raise FileNotFoundError(2, "hidden", path)
        return function(path, *args, **kwargs)
    return call

builtins.open = io.open = without_proc(io.open)
os.open = without_proc(os.open)
access = os.access
os.access = lambda path, *args, **kwargs: (
    not str(path).startswith("/proc/") and access(path, *args, **kwargs)
)
"""

SWEEP = """
import pytest

@pytest.mark.sweep(grid={"x": [1, 2, 3]}, resources={"cpus": 1})
def test_grid(x, trial):
    (trial.path / "model").write_text(str(x))
    trial.report(x)
    return x

@pytest.mark.sweep(bayes={"x": [1, 2, 3]}, n_trials=3)
def test_bayes(x):
    return x

def test_best(sweeps):
    assert sweeps.best("test_grid").score == 1
    assert (sweeps.best("test_grid").path / "model").read_text() == "1"
"""
WITHOUT = (
    "on this system sweeps run without the peak memory of trials, CPU times of child processes, "
    "thread limits, locks that end with their process, time limits by signal"
)


class Hidden:
    """Runs Python in a directory, in processes from which parts of the system are hidden."""

    def __init__(self, path):
        self.path = path
        (path / "sitecustomize.py").write_text(HIDING)
        paths = [str(path), str(ROOT), os.environ.get("PYTHONPATH")]
        changes = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TMPDIR": str(path)}
        self._environment = os.environ | changes

    def __call__(self, *args):
        return subprocess.run(
            [sys.executable, *args],
            cwd=self.path,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def pytest(self, source, *args):
        (self.path / "test_it.py").write_text(source)
        ran = self("-m", "pytest", "-p", "no:asyncio", *args)
        return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def hidden(pytester):
    return Hidden(pytester.path)


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "workers"])
def test_sweeps_run_and_say_once_what_they_do_without(hidden, workers):
    code, output = hidden.pytest(SWEEP, "--sweep", "-Werror", *workers)
    assert (code, output.count("7 passed")) == (0, 1)
    assert " ".join(output.split()).count(WITHOUT) == 1
    code, output = hidden.pytest(SWEEP, "--sweep-resume", *workers)
    assert (code, output.count("6 cached")) == (0, 1)
    assert " ".join(output.split()).count(WITHOUT) == 1


def test_the_command_reads_what_was_stored(hidden):
    hidden.pytest(SWEEP, "--sweep")
    listed = hidden("-m", "pytest_hypersearch", "list")
    assert listed.stdout.count("test_") == 2
    assert listed.stderr == ""


LOCKS = """
from pathlib import Path
from pytest_hypersearch.store.runs import Run, RunInUse, Store
run = Store(Path("store")).new_run("test_it.py::test_f")
assert run.in_use()
try:
    Run(run.path).acquire()
except RunInUse:
    run.close()
    assert not run.in_use()
    Run(run.path).acquire()
    print("locked and free")
"""


def test_a_run_has_one_owner(hidden):
    ran = hidden("-Werror", "-c", LOCKS)
    assert (ran.stdout, ran.stderr) == ("locked and free\n", "")


def test_trials_are_not_isolated_where_there_are_no_process_groups(hidden):
    code, output = hidden.pytest(SWEEP.replace("n_trials=3", "n_trials=3, isolate=True"), "--sweep")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "sweep(isolate=True): expected False on this system, which is not POSIX" in output
    assert "Traceback" not in output


PLAIN = """
import sys

def test_plain():
    ours = [name for name in sys.modules if name.startswith("pytest_hypersearch.")]
    assert not [name for name in ours if ".store" in name or ".engine" in name]
"""


def test_plain_tests_notice_nothing(hidden):
    code, output = hidden.pytest(PLAIN, "-Werror")
    assert code == 0
    assert "1 passed in" in output
    assert "warning" not in output
