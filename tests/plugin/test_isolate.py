"""Trials in processes of their own: what comes back, what stays away, who dies with whom."""

import os
import signal
import socket
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_hypersearch.store.journal import read
from pytest_hypersearch.store.reader import read_curves

ENDS = """
import warnings

@pytest.fixture(scope="session")
def dataset():
    ran("dataset")
    return [1, 2]

@pytest.fixture
def double(x):
    yield 2 * x
    ran("torn down", x)

@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]}, isolate=True)
def test_f(x, double, dataset, trial, tmp_path, record_property):
    ran("pid", os.getpid())
    print("out of", x)
    print("err of", x, file=sys.stderr)
    os.write(1, b"{raw bytes on the way}")
    warnings.warn(f"careful with {x}")
    (tmp_path / "file").write_text("here")
    (trial.path / "model").write_text(str(x))
    record_property("x", x)
    trial.log(note=f"n{x}")
    for step in range(3):
        trial.report(step * x, step=step)
    if x == 2:
        assert double == 5
    if x == 3:
        trial.prune("enough")
    if x == 4:
        pytest.skip("not today")
    return double

def test_plain():
    ran("pid", os.getpid())
"""


def test_outcome_output_curve_and_files_come_back(project):
    project.write(ENDS)
    code, output = project.run("--junitxml=junit.xml", "-n1")
    assert code == 1
    assert "1 failed, 2 passed, 1 skipped, 4 warnings, 1 pruned" in output
    assert all(text in output for text in ("assert 4 == 5", "out of 2", "err of 2", "careful with"))
    assert "out of 1" not in output
    trials = project.trials
    assert {name: trial["state"] for name, trial in trials.items()} == {
        "x:1": "complete",
        "x:2": "failed",
        "x:3": "pruned",
        "x:4": "not run",
    }
    assert trials["x:1"]["score"] == 2
    assert trials["x:1"]["logged"] == {"note": "n1"}
    assert trials["x:1"]["peak_memory"] > 2**20
    assert project.ran["dataset"] == 4
    assert sum(line.startswith("torn down") for line in project.ran) == 4
    assert sum(line.startswith("pid") for line in project.ran) == 5
    curves = next(project.path.glob(".pytest_cache/d/hypersearch/*/*/curves.jsonl"))
    series = [curve["score"] for curve in read_curves(read(curves).records).values()]
    assert sorted(values for _, values, _ in series) == [[0, x, 2 * x] for x in (1, 2, 3, 4)]
    assert "1" in {file.read_text() for file in curves.parent.glob("artifacts/*/model")}
    cases = list(ET.parse(project.path / "junit.xml").iter("testcase"))  # noqa: S314  pytest's own
    assert sorted(case.get("name") for case in cases) == [
        *(f"test_f[x:{x}]" for x in (1, 2, 3, 4)),
        "test_plain",
    ]


def test_what_is_no_plain_value_comes_back_as_its_text(project):
    (project.path / "conftest.py").write_text("""
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.huge, report.deep = 10**5000, []
    for _ in range(3000):
        report.deep = [report.deep]
    report.user_properties.append(("large", 10**500))
    return report
""")
    project.write(r"""
import warnings
import numpy as np

cyclic = [1]
cyclic.append(cyclic)

@pytest.mark.sweep(grid={"x": [1, 2]}, isolate=True)
def test_f(x, tmp_path, record_property):
    record_property("size", np.float32(x + 0.5))
    record_property("cyclic", cyclic)
    record_property("where", {"path": [tmp_path, (x,)]})
    warnings.warn("no text: \udcff")
    if x == 2:
        raise ValueError("no such file: \udcff")
    return x
""")
    _, output = project.run("--junitxml=junit.xml")
    assert "1 failed, 1 passed, 2 warnings" in output
    assert r"ValueError: no such file: \udcff" in output
    told = (project.path / "junit.xml").read_text()
    assert 'name="size" value="1.5"' in told
    assert 'name="large"' in told
    assert project.trials["x:2"]["state"] == "failed"


@pytest.mark.parametrize("where", ["option", "ini"])
def test_a_project_may_make_errors_of_all_warnings(project, where):
    project.write("""
import warnings

@pytest.mark.sweep(grid={"x": [1, 2]}, isolate=True)
def test_f(x):
    if x == 2:
        warnings.warn("careful")
    return x
""")
    given = ("-W", "error") if where == "option" else ("-o", "filterwarnings=error")
    _, output = project.spawn(*given, "-p", "no:asyncio", "--", "test_it.py")
    assert "1 failed, 1 passed" in output
    assert "UserWarning: careful" in output


def test_a_log_file_is_the_sessions_own(project):
    project.write("""
import logging

def test_before():
    logging.warning("said before")

@pytest.mark.sweep(grid={"x": [1, 2]}, isolate=True)
def test_f(x):
    return x
""")
    code, output = project.run("-o", "log_file=session.log")
    assert code == 0, output
    assert "said before" in (project.path / "session.log").read_text()


def test_options_of_the_session_are_the_parents_business(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]}, isolate=True)
def test_f(x):
    ran(x)
    print("seen", x)
    assert x != 2
    return x
""")
    code, output = project.spawn("-x", "-s", "--trace", "-k", "x:1 or x:2 or x:3", "-v")
    assert code == 1
    assert project.ran == {"1": 1, "2": 1}
    assert "seen 1\n" in output
    project.forget()
    code, output = project.run("--sweep-resume", "--cache-clear", "-x")
    assert project.ran == {"1": 1, "2": 1}, output
    project.forget()
    code, output = project.run("--sweep-resume")
    assert project.ran == {"2": 1, "3": 1}, output
    project.forget()
    code, output = project.run("--lf")
    assert project.ran == {"2": 1}, output


def test_a_crash_costs_one_trial_and_is_retried(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]}, isolate=True)
def test_f(x, trial):
    ran(x)
    trial.report(x)
    print("last words")
    if x == 2 and not os.path.exists("once"):
        open("once", "w").close()
        os._exit(3)
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if x == 4:
        __import__("ctypes").string_at(0)
    return x

def test_others(sweeps):
    assert sweeps.best("test_f").score == 1
""")
    code, output = project.run()
    assert code == 1
    assert "2 failed, 3 passed, 3 retried" in output
    assert project.ran == {"1": 1, "2": 2, "3": 2, "4": 2}
    assert project.states == {"complete": 2, "crashed": 2}
    assert project.trials["x:2"]["attempt"] == 2
    assert project.trials["x:3"]["reason"] == "its process died: SIGKILL"
    assert "its process died: SIGSEGV" in output
    assert output.count("last words") == 2
    assert "Fatal Python error: Segmentation fault" in output


def test_a_death_in_teardown_is_an_error_and_undoes_nothing(project):
    project.write("""
@pytest.fixture
def deadly(x):
    yield
    print("the very", "end")
    os._exit(x)

@pytest.mark.sweep(grid={"x": [5]}, isolate=True)
def test_f(x, deadly):
    return x
""")
    code, output = project.run()
    assert code == 1
    assert "1 passed, 1 error" in output
    assert "its process died: exit code 5" in output
    assert "Captured stdout teardown" in output
    assert "the very end" in output
    assert project.states == {"complete": 1}


def test_a_default_timeout_of_sockets_is_the_projects_own(project, request):
    request.addfinalizer(lambda: socket.setdefaulttimeout(None))
    project.write("""
__import__("socket").setdefaulttimeout(5)

@pytest.mark.sweep(grid={"x": [1]}, isolate=True)
def test_f(x, trial):
    trial.report(x)
    time.sleep(0.2)
    return x
""")
    code, output = project.run()
    assert code == 0, output
    assert project.scores == {"x:1": 1}


def test_its_share_is_set_from_the_start(project, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(project.path))
    project.write("""
at_import = os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["OMP_NUM_THREADS"]

@pytest.mark.sweep(grid={"x": [1, 2]}, isolate=True, resources={"gpus": 1, "cpus": 1})
def test_f(x):
    ran(*at_import)
    return x
""")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    code, output = project.run("-n2", "--sweep-gpus=0,1")
    assert code == 0, output
    assert set(project.ran) <= {"0 1", "1 1"}
    assert project.ran.total() == 2


def test_time_limits_hold_without_the_start_of_the_process(project):
    project.write("""
@pytest.mark.timeout(2)
@pytest.mark.sweep(grid={"x": [0, 30]}, isolate=True)
def test_f(x):
    time.sleep(x)
    return x
""")
    (project.path / "conftest.py").write_text("import os, time\ntime.sleep(2.2)\n")
    code, output = project.run()
    assert code == 1, output
    assert project.states == {"complete": 1, "timed out": 1}


def test_other_plugins_that_repeat_items_repeat_the_process(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1]}, isolate=True)
def test_f(x):
    ran(os.getpid())
    assert len(open("ran").readlines()) == 2
    return x
""")
    code, output = project.run("--reruns=3")
    assert code == 0, output
    assert "1 passed, 1 rerun" in output
    assert len(project.ran) == 2


AS_RANDOMLY = """
import pytest

class NeedsRealNodes:
    def pytest_configure_node(self, node):
        node.nodemanager.roots[0]

def pytest_configure(config):
    config.pluginmanager.register(NeedsRealNodes(), "needs-real-nodes")
    config.given = config.workerinput["given"] if hasattr(config, "workerinput") else (1.5, None)

def pytest_configure_node(node):
    node.workerinput["given"] = node.config.given
"""


@pytest.mark.parametrize("workers", [(), ("-n1", "-p", "no:needs-real-nodes")])
def test_other_plugins_tell_the_process_what_they_tell_workers(project, workers):
    (project.path / "conftest.py").write_text(AS_RANDOMLY)
    project.write("""
@pytest.mark.sweep(grid={"x": [1]}, isolate=True)
def test_f(x, request):
    assert request.config.given == (1.5, None)
    return x
""")
    code, output = project.spawn(*workers)
    assert code == 0, output


def test_what_keeps_the_process_from_running_the_trial_is_told(project):
    project.write("""
if "hypersearch" in os.environ.get("PARENT", "hypersearch"):
    os.environ["PARENT"] = "started"
else:
    raise RuntimeError("not twice")

@pytest.mark.sweep(grid={"x": [1]}, isolate=True)
def test_f(x):
    return x
""")
    code, output = project.spawn()
    assert code == 1
    assert "RuntimeError: not twice" in output
    assert project.states == {"failed": 1}


def test_smoke(project):
    project.write("""
@pytest.mark.sweep(random={"x": range(5)}, n_trials=3, isolate=True)
def test_f(x):
    ran(os.getpid() == int(os.environ["PARENT"]))
    return x
""")
    (project.path / "conftest.py").write_text(
        "import os\nos.environ.setdefault('PARENT', str(os.getpid()))\n"
    )
    code, output = project.spawn("--sweep=smoke")
    assert code == 0, output
    assert project.ran == {"False": 1}


@pytest.mark.parametrize(
    ("workers", "blow"), [((), signal.SIGINT), ((), signal.SIGKILL), (("-n1",), signal.SIGKILL)]
)
def test_the_process_ends_with_its_parent(project, workers, blow):
    project.write("""
@pytest.mark.sweep(grid={"x": [1]}, isolate=True)
def test_f(x):
    ran(os.getpid())
    stay()
""")
    with project.started(*workers) as process:
        project.await_lines(1)
        (child,) = map(int, project.ran)
        if blow == signal.SIGINT:
            os.killpg(process.pid, blow)
        else:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, blow)
        process.communicate(timeout=60)
        project.wait(lambda: not Path(f"/proc/{child}").exists())
