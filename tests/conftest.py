"""Projects in which tests run pytest, in this process or in others that may be killed."""

import asyncio
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path

import filelock
import known_plugins
import pytest
import pytest_asyncio.plugin  # noqa: F401
import scipy.stats  # noqa: F401
import stored_project
import tabulate  # noqa: F401
import xdist.plugin
from docs_parts import Reader
from fork_server import NESTED, SESSIONS, TESTS, TRIALS, ForkServer
from threadpoolctl import threadpool_limits

import pytest_hypersearch
from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import parser as cli_parser
from pytest_hypersearch.store.journal import read

# nested runs in this process forget what they import: half of the time of a session with a sweep
for _module in pkgutil.walk_packages(pytest_hypersearch.__path__, "pytest_hypersearch."):
    if not _module.name.endswith(("__main__", "optuna")):
        import_module(_module.name)

known_plugins.install()
cli_parser.parser = cache(cli_parser.parser)  # tests call the command hundreds of times

# where several run tests at once, threads that wait for a core spin
threadpool_limits(1, "blas")

# background jobs of a shell ignore it, and so would all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)

# workers of nested runs find modules as this process did when it started, by a private list
xdist.plugin._sys_path.append(str(TESTS))

OPTIONS = ("-o", f"pythonpath={TESTS}")  # where workers have no environment of ours
PATIENCE = 300
ELSEWHERE = os.environ.get("TEST_SWEEP_ON")
"""How workers of nested runs are started, such as ``{python}``; by default by ``-n`` alone."""


SLOW = {  # besides the tests that run pytest
    *("faults", "plugin", "report"),
    *("test_analysis_stored.py", "test_docs.py", "test_examples.py", "test_importance.py"),
    *("test_ledger.py", "test_optuna.py", "test_samplers_several.py", "test_types.py"),
    *("test_contrasts.py", "test_run_history.py"),
}


def pytest_collection_modifyitems(items):
    """Put the longest test first, and mark the slow half: what runs pytest, and some files."""
    items.sort(key=lambda item: item.path.name != "test_examples.py")
    for item in items:
        parts = item.path.relative_to(TESTS).parts
        if "pytester" in item.fixturenames or not SLOW.isdisjoint(parts):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch):
    """Nested runs print as for people, wherever the tests run."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def fork_exec():
    """Starts processes of pytest from two fork servers, one for whole sessions."""
    environment = os.environ | NESTED
    with (
        ForkServer(environment, TRIALS) as trials,
        ForkServer(environment, (*TRIALS, *SESSIONS)) as sessions,
        pytest.MonkeyPatch.context() as patch,
    ):

        def start(args, *given):
            server = trials if "-c" in args[1:3] else sessions
            return server.fork_exec(args, *given)

        if sys.platform == "linux":
            patch.setattr(subprocess, "_fork_exec", start)
        yield start


@pytest.fixture
def pytester(pytester, monkeypatch):
    for name, value in NESTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    run = pytester.inline_run

    def inline_run(*args, **options):
        """Run pytest outside the event loop of Playwright, which counts as running for good."""
        loop = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            return run(*args, **options)
        finally:
            asyncio._set_running_loop(loop)

    monkeypatch.setattr(pytester, "inline_run", inline_run)
    return pytester


@pytest.fixture
def everything_installed(pytester, monkeypatch):
    """Nested runs load all plugins that are installed, as for users."""
    for name in ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_PLUGINS"):
        monkeypatch.delenv(name)


class Project:
    """A directory with tests, and what was seen of the sessions in it."""

    def __init__(self, pytester):
        self.pytester = pytester
        self.path = pytester.path
        self.prefix = ()

    def write(self, body, name="test_it.py"):
        text = "import os, signal, sys, time\nimport pytest\nfrom probe import ran, stay\n"
        (self.path / name).write_text(text + body)

    def here(self, *args):
        """Run pytest in this process."""
        return self.pytester.runpytest_inprocess(*self.arguments(*args))

    def command(self, *args):
        return [*self.prefix, sys.executable, "-m", "pytest", *self.arguments(*args)]

    def arguments(self, *args):
        given = [*OPTIONS, "--sweep=run", *map(str, args)]
        workers = any(arg.startswith("-n") and arg != "-n0" for arg in given)
        sweeps_on = any(arg.startswith("--sweep-on") for arg in given)
        return (
            [*given, f"--sweep-on={ELSEWHERE}"]
            if ELSEWHERE and workers and not sweeps_on
            else given
        )

    def run(self, *args):
        """Run pytest in this process, workers in theirs; return its exit code and its output."""
        result = self.here(*args)
        return result.ret, "\n".join((*result.outlines, *result.errlines, ""))

    def spawn(self, *args, **options):
        """Run pytest in another process; return its exit code and its output."""
        with self.started(*args, **options) as process:
            output = process.communicate(timeout=PATIENCE)[0]
        return process.returncode, output

    @contextmanager
    def started(self, *args, **options):
        """Start pytest in another process, the first of a group of its own."""
        with subprocess.Popen(
            self.command(*args),
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def ran(self):
        """What was executed, and how often."""
        file = self.path / "ran"
        return Counter(file.read_text().splitlines() if file.exists() else ())

    def forget(self):
        (self.path / "ran").unlink(missing_ok=True)

    def await_lines(self, count):
        """Wait until so many lines of what was executed are there."""
        self.wait(lambda: self.ran.total() >= count)

    def wait(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.01)

    @property
    def studies(self):
        """What the owner of the last session knew."""
        return json.loads((self.path / "results.json").read_text())

    @property
    def trials(self):
        """The trials of all studies of the last session, by the bracket of their items."""
        trials = (trial for study in self.studies for trial in study["trials"])
        return {trial["nodeid"].partition("[")[2].rstrip("]"): trial for trial in trials}

    @property
    def states(self):
        return Counter(trial["state"] for trial in self.trials.values())

    @property
    def scores(self):
        return {name: trial["score"] for name, trial in self.trials.items()}

    @property
    def cached(self):
        return {name for name, trial in self.trials.items() if trial["cached"]}

    @property
    def notes(self):
        return [note for study in self.studies for note in study["notes"]]

    @property
    def journals(self):
        """The journals of all runs, the oldest first."""
        return sorted(self.path.glob(".pytest_cache/d/hypersearch/*/*/journal.jsonl"))

    @property
    def ended(self):
        """The numbers of the trials whose end is in a journal."""
        records = [record for file in self.journals for record in read(file).records]
        return [record["number"] for record in records if record["k"] == "end"]


@pytest.fixture
def project(pytester, monkeypatch):
    monkeypatch.setenv("AUTOLOAD_PROBE", "1")
    return Project(pytester)


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """A project with two runs of each study, one for all workers; not to be changed."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "swept"
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            stored_project.make(folder)
    return folder


@pytest.fixture(scope="session")
def results(swept):
    """What is loaded of that project."""
    return load_results(swept)


@pytest.fixture(scope="session")
def net(results):
    """The trials of its ``test_net``."""
    return results.filter(test="test_net")


@pytest.fixture
def reader(pytester, monkeypatch):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("COLUMNS", "80")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "reader")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "reader@example.org")
    return Reader(pytester)
