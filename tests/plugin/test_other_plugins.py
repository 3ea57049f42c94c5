"""Beside other plugins: each conftest does what the named one does to the items of a session."""

import pytest

GRID = """
@pytest.mark.sweep(grid={"x": [1, 2, 3]}, metric="s")
def test_t(x, trial):
    ran(x)
    if x == 3:
        trial.prune("no good")
    return x
"""


@pytest.fixture
def beside(project):
    """Writes the conftest.py that stands for another plugin."""

    def write(source):
        (project.path / "conftest.py").write_text(f"import os, sys, time\nimport pytest\n{source}")

    return write


FROZEN = """
REAL = {"monotonic": time.monotonic, "perf_counter": time.perf_counter, "time": time.time}

@pytest.fixture(autouse=True)
def freezer(monkeypatch):
    for module in list(sys.modules.values()):
        for name, real in REAL.items():
            for attribute, value in list(vars(module).items()):
                if value is real:
                    monkeypatch.setattr(module, attribute, lambda: 1e9)
"""


def test_durations_are_real_where_tests_freeze_the_time(project, beside):
    """As freezegun, which replaces the functions wherever a module refers to them."""
    beside(FROZEN)
    project.write(
        GRID.replace(
            'ran(x)\n    if x == 3:\n        trial.prune("no good")',
            "assert time.monotonic() == time.time() == 1e9",
        )
    )
    code, _ = project.run()
    assert code == 0
    assert [study["sweeps"][0]["elapsed"] < 600 for study in project.studies] == [True]
    assert all(0 < trial["duration"] < 600 for trial in project.trials.values())
    assert all(trial["started"] > 1.6e9 for trial in project.trials.values())


def test_a_pruned_trial_looks_skipped_to_those_who_repeat_failures(project, beside):
    """As flaky, which repeats whatever is not called Skipped."""
    beside("""
from _pytest import runner

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for _ in range(3):
        seen.clear()
        runner.runtestprotocol(item, nextitem=nextitem)
        if set(seen) <= {"Skipped"}:
            return True

seen = []

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    if call.excinfo:
        seen.append(call.excinfo.typename)
    return (yield)
""")
    project.write(GRID)
    code, output = project.run()
    assert code == 0
    assert "2 passed, 1 pruned" in output
    assert project.ran == {"1": 1, "2": 1, "3": 1}


@pytest.mark.parametrize("args", [(), ("-n1",)])
def test_a_skip_that_takes_the_place_of_a_pruned_trials_end_is_that_end(project, beside, args):
    """As pytest-trio, which skips anew for a skip that came out of a nursery."""
    beside("""
import functools

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    test = item.obj

    @functools.wraps(test)
    def grouped(**kwargs):
        try:
            try:
                return test(**kwargs)
            except BaseException as error:
                raise BaseExceptionGroup("nursery", [error])
        except BaseExceptionGroup as group:
            if isinstance(group.exceptions[0], pytest.skip.Exception):
                pytest.skip()
            raise

    item.obj = grouped
    return (yield)
""")
    project.write(GRID)
    code, output = project.run("-v", *args)
    assert code == 0
    assert "2 passed, 1 pruned" in output
    assert project.states == {"complete": 2, "pruned": 1}
    assert project.trials["x:3"]["reason"] == "no good"
    assert "1 pruned" in project.run("--sweep-resume")[1]


REPORTER = """
class Reporter:
    stats, reportchars = {}, ""

    def __init__(self, config):
        self.config = config

    def write(self, text, **markup):
        sys.stdout.write(text)

    def line(self, text):
        sys.stdout.write(text + "\\n")

    write_line = section = line

    def ensure_newline(self):
        self.line("")

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session, exitstatus):
        yield
        self.config.hook.pytest_terminal_summary(
            terminalreporter=self, exitstatus=exitstatus, config=self.config
        )

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(Reporter(config), "terminalreporter")
"""


@pytest.mark.parametrize("args", [(), ("-v",), ("-n1",)])
def test_a_reporter_that_only_writes_lines_gets_the_summary(project, beside, args):
    """As pytest-tldr, which takes the name of pytest's reporter without being one."""
    beside(REPORTER)
    project.write(GRID.replace('metric="s"', 'metric="s", isolate=True') if not args else GRID)
    code, output = project.run(*args)
    assert code == 0
    assert "2 of 3 complete, 1 pruned" in output
    assert "INTERNALERROR" not in output


FORKED = """
def pytest_addoption(parser):
    parser.addoption("--forked", action="store_true")

def pytest_configure(config):
    config.addinivalue_line("markers", "forked: run in a process of its own")
"""


@pytest.mark.parametrize(("mark", "args"), [("", ["--forked"]), ("@pytest.mark.forked", [])])
def test_processes_whose_results_do_not_come_back_are_refused(project, beside, mark, args):
    """As pytest-forked."""
    beside(FORKED)
    project.write(mark + GRID)
    code, output = project.run(*args)
    assert code == pytest.ExitCode.INTERRUPTED
    assert "test_it.py::test_t: pytest-forked runs trials in processes whose results" in output
    assert "expected sweep(isolate=True), without --forked" in output
    assert not project.ran


def test_the_mark_forked_means_nothing_where_no_plugin_reads_it(project):
    project.write("@pytest.mark.forked" + GRID)
    assert project.run("-W", "ignore")[0] == 0


THREADS = """
class Threads:
    def pytest_collection_finish(self, session):
        for item in session.items:
            mark = item.get_closest_marker("force_parallel_threads")
            times = item.get_closest_marker("iterations")
            if not (mark and mark.args == (1,) and times and times.args == (1,)):
                item.obj = repeated(item.obj)

def repeated(function):
    def test(**kwargs):
        for _ in range(2):
            function(**kwargs)
    return test

def pytest_configure(config):
    for name in ("force_parallel_threads", "iterations"):
        config.addinivalue_line("markers", f"{name}(n): how often")
    config.pluginmanager.register(Threads(), "_run-parallel")
"""


def test_trials_run_once_where_tests_run_in_several_threads(project, beside):
    """As pytest-run-parallel, which also drops what a test returns."""
    beside(THREADS)
    project.write(GRID + "\ndef test_plain():\n    ran('plain')")
    code, output = project.run("--strict-markers")
    assert code == 0
    assert "3 passed, 1 pruned" in output
    assert project.ran == {"1": 1, "2": 1, "3": 1, "plain": 2}
    assert project.states == {"complete": 2, "pruned": 1}


@pytest.mark.parametrize("args", [[], ["-n1"]])
def test_trials_that_another_plugin_takes_over_are_named_as_lost(project, beside, args):
    beside("""
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    if "[x:2]" in item.nodeid:
        report = pytest.TestReport(
            item.nodeid, item.location, {}, "passed", None, "call", duration=0
        )
        item.ihook.pytest_runtest_logreport(report=report)
        return True
""")
    project.write(GRID)
    code, output = project.run(*args)
    assert code == 1
    assert "another plugin took over. Run with --sweep-resume:\n  test_it.py::test_t[x:2]" in output


@pytest.mark.parametrize("args", [[], ["-n2"]])
def test_every_item_has_parameters_of_its_own_with_the_values_of_its_trial(project, beside, args):
    """As allure, which takes items of equal names and parameters for one test, run again."""
    beside("""
from probe import ran

@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    result = yield
    ran(*(f"{name}={value!r}" for name, value in item.callspec.params.items()))
    return result
""")
    body = """
@pytest.mark.sweep(bayes={{"x": [1]}}, n_trials=1, replicates=2, isolate={isolate})
@pytest.mark.parametrize("data", ["a"])
def {name}(x, data):
    return x
"""
    both = [("test_f", False), ("test_g", True)]
    project.write("".join(body.format(name=name, isolate=isolate) for name, isolate in both))
    expected = {f"data='a' x=1 trial id='bayes-000-r{replicate}'" for replicate in (0, 1)}
    for option in ("--sweep", "--sweep-resume"):
        assert project.run(option, *args)[0] == 0
        assert set(project.ran) == expected
        project.forget()
