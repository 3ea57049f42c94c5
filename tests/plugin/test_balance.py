"""Trials on workers: none waits behind a long one, and whoever shares them, each runs once."""

import re

import pytest

from pytest_hypersearch.store.journal import encode, read

SHARING = ("load", "worksteal")

WAIT = """
def wait(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
"""

LONG = (
    "import glob\n"
    + WAIT
    + """
def lines():
    return open("ran").read().splitlines() if os.path.exists("ran") else []
"""
)

WAITING = """
@pytest.mark.sweep(grid={{"x": range({n})}})
def test_f(x):
    if x == {long}:
        wait(lambda: len(lines()) == {n} - 1)
    ran(x)
    return x
"""


WITNESS = """
import pytest

class Witness:
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        with open("seen", "a") as file:
            file.write(item.nodeid + "\\n")
        return (yield)

def pytest_configure(config):
    config.pluginmanager.register(Witness())
"""


@pytest.mark.parametrize(
    ("dist", "n", "long", "workers"), [("load", 9, 5, 3), ("load", 3, 1, 2), ("worksteal", 9, 5, 3)]
)
def test_no_trial_waits_behind_a_long_one(project, dist, n, long, workers):
    (project.path / "conftest.py").write_text(WITNESS)
    project.write(LONG + WAITING.format(n=n, long=long))
    code, output = project.run(f"-n{workers}", "--dist", dist, "--junit-xml=junit.xml")
    assert code == 0, output
    assert f"{n} passed" in output
    assert project.ran == {str(x): 1 for x in range(n)}
    junit = (project.path / "junit.xml").read_text()
    assert len(re.findall("<testcase ", junit)) == n
    assert len((project.path / "seen").read_text().splitlines()) == n


def test_what_waits_too_long_is_not_left_to_the_end(project):
    project.write(
        LONG
        + """
@pytest.mark.sweep(grid={"x": range(20)})
def test_f(x):
    if x == 0:
        wait(lambda: "1" in lines())
    ran(x)
    return x
"""
    )
    assert project.run("-n2")[0] == 0
    order = (project.path / "ran").read_text().splitlines()
    assert order.index("1") < order.index("19")
    assert project.ran == {str(x): 1 for x in range(20)}


MODULES = """
@pytest.fixture(scope="module", autouse=True)
def mine():
    who = os.environ["PYTEST_XDIST_WORKER"]
    ran(who, "up", __name__)
    yield
    ran(who, "down", __name__)
"""


def test_fixtures_end_before_the_next_module_s_whoever_runs_the_trials(project):
    trials = LONG + MODULES + WAITING
    count = 'len([line for line in lines() if line.startswith("{}")])'
    first = trials.replace("len(lines())", count.format("first")).replace("ran(x)", "ran('first')")
    project.write(first.format(n=4, long=0), "test_a.py")
    project.write(trials.replace("ran(x)", "ran('second')").format(n=4, long=7), "test_b.py")
    code, output = project.run("-n2")
    assert code == 0, output
    assert (project.ran["first"], project.ran["second"]) == (4, 4)
    for worker in ("gw0", "gw1"):
        lines = (project.path / "ran").read_text().splitlines()
        own = [line.split()[1:] for line in lines if line.startswith(worker)]
        assert [step for step, _ in own] == ["up", "down"] * (len(own) // 2)
        assert all(up[1] == down[1] for up, down in zip(own[::2], own[1::2], strict=True))


def test_a_fixture_that_fails_at_its_end_is_an_error_though_its_last_trial_ran_elsewhere(project):
    project.write(
        LONG
        + """
@pytest.fixture(scope="module", autouse=True)
def long():
    began = []
    yield began
    assert not began, "no end"

@pytest.mark.sweep(grid={"x": range(4)})
def test_f(x, long):
    if x == 0:
        long.append(x)
        wait(lambda: len(lines()) == 3)
    ran(x)
    return x
"""
    )
    code, output = project.run("-n2")
    assert code == 1
    assert "4 passed, 1 error" in output
    assert "AssertionError: no end" in output


@pytest.mark.parametrize(("dist", "deadly"), [("load", 1), ("worksteal", 0)])
def test_a_death_among_shared_trials_loses_and_doubles_nothing(project, dist, deadly):
    project.write(
        LONG
        + f"""
@pytest.mark.sweep(grid={{"x": range(8)}}, retries=1)
def test_f(x):
    if x == 0:
        wait(lambda: len({{*lines()}} - {{"0"}}) == 7)
    ran(x)
    if x == {deadly} and lines().count(str(x)) == 1:
        os._exit(3)
    return x
"""
    )
    code, output = project.run("-n2", "--dist", dist)
    assert code == 0, output
    assert "8 passed, 1 retried" in output
    assert project.ran == {str(x): 1 + (x == deadly) for x in range(8)}
    assert project.states == {"complete": 8}


def test_tests_that_are_no_trials_run_once_beside_them(project):
    tests = "\n".join(f"def test_{n}(): ran('test', {n})\n" for n in range(9))
    project.write(LONG + tests + WAITING.replace("ran(x)", "ran('trial', x)").format(n=8, long=9))
    code, output = project.run("-n3")
    assert code == 0
    assert "17 passed" in output
    assert set(project.ran.values()) == {1}
    assert len(project.ran) == 17


def test_the_first_failure_ends_a_session_of_shared_trials(project):
    (project.path / "conftest.py").write_text("""
from pathlib import Path

def pytest_testnodedown(node):
    Path(f"{node.gateway.id} is down").touch()
""")
    project.write(
        LONG
        + """
@pytest.mark.sweep(grid={"x": range(20)})
def test_f(x):
    ran(x)
    if x == 0:
        wait(lambda: glob.glob("* is down"))
    assert x != 7
    return x
"""
    )
    code, output = project.run("-n2", "-x")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "1 failed" in output
    assert set(project.ran.values()) == {1}
    assert project.ran.total() in {7, 8}  # x=1 waits behind x=0 until the others are far ahead


CONTROLLER = "import glob, os, signal, time\nfrom pathlib import Path\nimport pytest\n" + WAIT


@pytest.mark.parametrize("dist", ["load", "loadscope"])
def test_a_worker_that_dies_just_before_it_is_given_work_is_replaced(project, dist):
    (project.path / "conftest.py").write_text(
        CONTROLLER
        + """
def pytest_xdist_node_collection_finished(node):
    if node.gateway.id == "gw0":
        os.kill(node.gateway._rinfo().pid, signal.SIGKILL)
        wait(lambda: node.shutting_down)
"""
    )
    project.write("""
class TestA:
    @pytest.mark.sweep(grid={"x": range(4)}, retries=1)
    def test_f(self, x):
        ran(x)
        return x

class TestB(TestA):
    pass
""")
    code, output = project.run("-n2", "--dist", dist)
    assert code == 0, output
    assert "8 passed" in output
    assert project.ran == {str(x): 2 for x in range(4)}


@pytest.mark.parametrize("dist", SHARING)
def test_a_worker_that_comes_up_between_two_deaths_ends_nothing(project, dist):
    (project.path / "conftest.py").write_text(
        CONTROLLER
        + """
def pytest_testnodeready(node):
    Path(f"{node.gateway.id} is ready").touch()

def pytest_testnodedown(node):
    Path(f"{node.gateway.id} is down").touch()

def pytest_collection_modifyitems():
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw2":
        wait(lambda: len(glob.glob("* is down")) == 2)
"""
    )
    project.write(
        LONG
        + """
@pytest.mark.sweep(grid={"x": [1]}, retries=0)
def test_first(x):
    ran("first")
    os._exit(3)

@pytest.mark.sweep(grid={"x": [1]}, retries=1)
def test_second(x):
    ran("second")
    if lines().count("second") == 1:
        wait(lambda: os.path.exists("gw2 is ready"))
        os._exit(3)
    return x
"""
    )
    code, output = project.run("-n2", "--dist", dist)
    assert code == 1, output
    assert "1 failed, 1 passed, 1 retried" in output
    assert project.ran == {"first": 1, "second": 2}


ORDERED = """
@pytest.mark.sweep(grid={{"x": range(6)}}{more})
def test_f(x):
    ran(x)
    return x
"""


@pytest.mark.parametrize(
    ("more", "workers", "expected"),
    [
        ("", ("-n1",), "2 4 1 5 3 0"),
        ("", ("-n1", "--dist=worksteal"), "2 4 1 5 3 0"),
        ("", (), "0 1 2 3 4 5"),
        (", scope='module'", ("-n1",), "0 1 2 3 4 5"),
    ],
)
def test_what_took_longest_before_comes_first_on_workers(project, more, workers, expected):
    project.write(ORDERED.format(more=more))
    project.run("-k", "not x:0")
    (journal,) = project.journals
    durations = {"1": 30.0, "2": 200.0, "3": 4.0, "4": 100.0, "5": 5.0}
    records = read(journal).records
    for record in records:
        if record["k"] == "end":
            record["duration"] = durations[str(record["number"])]
    journal.write_bytes(b"".join(encode(record) for record in records))
    project.forget()
    assert project.run("--sweep-rerun", *workers)[0] == 0
    assert (project.path / "ran").read_text().split() == expected.split()
