"""Trials on xdist's workers: each once, whatever the scheduler, whoever dies."""

import os
import re
import signal
from collections import Counter

import pytest

DIST = ("load", "worksteal", "loadscope", "loadfile", "loadgroup")

GRID = """
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4, 5, 6]}, replicates=2)
def test_f(x, trial):
    ran(x, trial.replicate)
    return x + trial.seed / 2**64

class TestIt:
    @pytest.mark.xdist_group("own")
    @pytest.mark.sweep(random={"y": range(100)}, n_trials=4)
    def test_g(self, y):
        ran("y", y)
        return y
"""


def test_each_trial_runs_once_with_the_result_that_it_has_without_workers(project):
    project.write(GRID)
    project.here()
    expected = project.ran
    scores = project.scores
    assert expected.total() == len(expected) == 16
    for dist, on in [*((dist, ()) for dist in DIST), ("worksteal", ("--sweep-on={python}",))]:
        project.forget()
        code, output = project.run("-n2", "--dist", dist, *on)
        assert code == 0, (dist, output)
        assert "16 passed" in output, dist
        assert project.ran == expected, dist
        found = {name.partition("]")[0]: score for name, score in project.scores.items()}
        assert found == scores, dist
        if dist != "loadfile" and not on:  # one may come when all is done
            workers = {trial["worker"] for trial in project.trials.values()}
            assert len(workers) == 2, dist


def test_each_is_refused(project):
    project.write(GRID)
    code, output = project.run("-n2", "--dist=each")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --dist=each runs every trial" in output
    assert not project.ran


@pytest.mark.parametrize(("option", "chunk"), [((), 1), (("--maxschedchunk=3",), 3)])
def test_tests_are_handed_out_one_by_one_unless_the_user_says_otherwise(project, option, chunk):
    project.write(GRID)
    (project.path / "conftest.py").write_text("""
import pytest
from pathlib import Path

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        scheduler = session.config.pluginmanager.getplugin("dsession").sched
        Path("chunk").write_text(str(scheduler.maxschedchunk))
""")
    project.run("-n1", *option)
    assert (project.path / "chunk").read_text() == str(chunk)


COUNTING = """
import pytest
from probe import ran

def pytest_configure(config):
    if hasattr(config, "workerinput"):
        from pytest_hypersearch.plugin.xdist import events

        events.LONGEST_SECONDS = events.QUICK_SECONDS = 60

@pytest.hookimpl(trylast=True)
def pytest_configure_node(node):
    receive, send = node.process_from_remote, node.sendcommand

    def counted(event):
        ran("from a worker")
        receive(event)

    def sent(*args, **values):
        ran("to a worker")
        send(*args, **values)

    node.process_from_remote, node.sendcommand = counted, sent

def pytest_runtest_logreport(report):
    if hasattr(report, "node") and report.when == "call":
        ran(report.nodeid)
"""


def test_short_trials_are_handed_out_together_and_stored_ones_told_together(project, monkeypatch):
    # on a slow machine trials would be long
    monkeypatch.setattr("pytest_hypersearch.plugin.xdist.schedulers.LONG", 60)
    project.write("""
@pytest.mark.sweep(grid={"x": range(80)})
def test_f(x):
    return x
""")
    (project.path / "conftest.py").write_text(COUNTING)
    for option, most in (("--sweep=run", 80 * 6), ("--sweep-resume", 80 * 2)):
        project.forget()
        code, _ = project.run("-n1", option)
        assert code == 0
        ran = project.ran
        sent, received = ran.pop("to a worker"), ran.pop("from a worker")
        assert list(ran.values()) == [1] * 80
        # at most one for each test without chunks, and six from a worker, three being reports
        assert sent < 40
        assert received < most


def test_properties_are_what_they_are_without_workers(project):
    project.write("""
import enum
import pathlib
import numpy as np

class Kind(enum.IntEnum):
    ONE = 1

class Silent:
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__

deep, cyclic = [], []
cyclic.append(cyclic)
for _ in range(3000):
    deep = [deep]

VALUES = {
    "float": np.float64(1.5), "array": np.arange(2), "flag": np.bool_(True), "kind": Kind.ONE,
    "bytes": bytearray(b"x"), "path": pathlib.Path("a"), "text": "\\udc80", "none": None,
    "deep": {"deep": deep}, "cyclic": cyclic, "huge": 10**5000, "counts": (3, -(10**5000)),
    "silent": Silent(), "odd": [Silent(), np.arange(2)],
}

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x, trial, record_property):
    for each in VALUES.items():
        record_property(*each)
    trial.log(huge=10**5000, large=10**500)
    return x

def test_plain(record_property):
    record_property("float", np.float64(2.5))
    record_property("deep", deep)
""")
    told = []
    for option in ("-n0", "-n1"):
        project.forget()
        code, output = project.run(option, "--junitxml=junit.xml", "-o", "junit_family=xunit1")
        assert code == 0, output
        text = (project.path / "junit.xml").read_text()
        told.append(re.findall("<property name=.*?>", text))
    assert told[0] == told[1]
    assert '<property name="array" value="[0 1]" />' in told[0]
    assert '<property name="float" value="2.5" />' in told[0]
    assert '<property name="cyclic" value="[[...]]" />' in told[0]
    assert f'<property name="huge" value="{10**5000:#x}" />' in told[0]
    assert '<property name="silent" value="&lt;Silent&gt;" />' in told[0]
    assert f'<property name="deep" value="{"[" * 20}\'...\'{"]" * 20}" />' in told[0]
    assert project.trials["x:1"]["logged"] == {"huge": f"{10**5000:#x}", "large": 10**500}


def test_a_setup_is_told_while_the_test_goes_on_and_if_its_worker_dies(project):
    (project.path / "conftest.py").write_text("""
from pathlib import Path

def pytest_runtest_logreport(report):
    if report.when == "setup" and hasattr(report, "node"):  # told to the controller
        Path(__file__).with_name(report.nodeid.partition("::")[2]).write_text(
            str(report.user_properties)
        )
""")
    project.write("""
from pathlib import Path

class Silent:
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__

class Text(str):
    def __str__(self):
        return self

@pytest.fixture
def recorded(record_property):
    values = [Silent(), Text("a")]
    record_property("values", values)
    return values

@pytest.mark.sweep(grid={"x": [1]})
def test_f(x, request, recorded):
    recorded.append("later")
    deadline = time.monotonic() + 120
    while not Path(__file__).with_name(request.node.name).exists():
        assert time.monotonic() < deadline, "the setup was not told"
        time.sleep(0.01)
    return x

@pytest.fixture
def slow():
    time.sleep(0.2)

def test_that_dies(slow):
    os._exit(3)
""")
    code, output = project.run("-n1")
    assert code == 1
    assert "1 failed, 1 passed" in output
    assert (project.path / "test_that_dies").exists()
    assert (project.path / "test_f[x:1]").read_text() == "[('values', ['<Silent>', 'a'])]"


DEATHS = {
    "exit": "os._exit(3)",
    "segfault": "__import__('ctypes').string_at(0)",
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
}
DEADLY = """
@pytest.mark.sweep(grid={{"x": [1, 2, 3, 4, 5]}}, retries={retries})
def test_f(x):
    ran(x)
    if x == {deadly}:
        {death}
    return x
"""


@pytest.mark.parametrize("dist", ["load", "loadfile"])
def test_a_trial_that_kills_its_worker_is_retried_and_then_crashed(project, dist):
    death = DEATHS["segfault" if dist == "load" else "kill"]
    project.write(DEADLY.format(retries=1, deadly=3, death=death))
    code, output = project.run("-n2", "--dist", dist)
    assert code == 1, output
    assert "1 failed" in output
    assert "1 retried" in output
    assert project.ran == {"1": 1, "2": 1, "3": 2, "4": 1, "5": 1}
    assert project.states == {"complete": 4, "crashed": 1}
    crashed = project.trials["x:3"]
    assert (crashed["attempt"], crashed["params"], crashed["score"]) == (2, {"x": 3}, None)
    assert crashed["reason"].endswith(" died")


@pytest.mark.parametrize(("dist", "deadly"), [("loadscope", 5), ("loadgroup", 1), ("worksteal", 1)])
def test_a_crash_at_either_end_hangs_nothing(project, dist, deadly):
    project.write(DEADLY.format(retries=1, deadly=deadly, death=DEATHS["exit"]))
    code, _ = project.run("-n2", "--dist", dist)
    assert code == 1
    assert project.ran == {str(x): 1 + (x == deadly) for x in (1, 2, 3, 4, 5)}
    assert project.states == {"complete": 4, "crashed": 1}


COLLECTING = """
import os, signal, time
from pathlib import Path

def wait(name):
    end = time.monotonic() + 120
    while not Path(name).exists():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)

def pytest_collection_modifyitems():
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker == "gw1":
        wait("gw2")
    elif worker == "gw2":
        Path(worker).touch()
        wait("gw1")

def pytest_xdist_node_collection_finished(node):
    if node.gateway.id == "gw0":
        os.kill(node.gateway._rinfo().pid, signal.SIGKILL)
    elif node.gateway.id == "gw1":
        Path("gw1").touch()
"""
"""The first worker dies when it has collected; the second one collects before its replacement."""


@pytest.mark.parametrize("dist", ["load", "worksteal", "loadscope"])
def test_a_worker_that_dies_before_all_have_collected_is_replaced(project, dist):
    (project.path / "conftest.py").write_text(COLLECTING)
    project.write(GRID)
    code, output = project.run("-n2", "--dist", dist)
    assert code == 0, output
    assert project.ran.total() == len(project.ran) == 16
    assert project.states == {"complete": 16}


def test_retries_are_counted_from_the_mark(project):
    never = DEADLY.format(retries=0, deadly=5, death=DEATHS["exit"])
    twice = DEADLY.format(retries=2, deadly=3, death=DEATHS["exit"])
    project.write(never + twice.replace("test_f", "test_g").replace("ran(x)", "ran('g', x)"))
    code, _ = project.run("-n1")
    assert code == 1
    own = {"1": 1, "2": 1, "3": 1, "4": 1, "5": 1}
    assert project.ran == own | {f"g {x}": 3 if x == "3" else 1 for x in own}
    trials = [trial for study in project.studies for trial in study["trials"]]
    crashed = [trial["nodeid"] for trial in trials if trial["state"] == "crashed"]
    assert crashed == ["test_it.py::test_f[x:5]", "test_it.py::test_g[x:3]"]


def test_a_retried_trial_that_survives_counts_once(project):
    project.write(
        DEADLY.format(retries=1, deadly=2, death="os.path.exists('once') or die()")
        + f"""
def die():
    os.mkdir("once")
    {DEATHS["exit"]}
"""
    )
    code, output = project.run("-n1")
    assert code == 0
    assert "5 passed, 1 retried" in output
    assert project.ran == {"1": 1, "2": 2, "3": 1, "4": 1, "5": 1}
    assert project.states == {"complete": 5}
    assert [study["sweeps"][0]["planned"] for study in project.studies] == [5]
    assert project.trials["x:2"]["attempt"] == 2


def test_a_death_is_written_down_before_the_item_is_handed_on(project):
    project.write(DEADLY.format(retries=1, deadly=2, death=DEATHS["exit"]))
    (project.path / "conftest.py").write_text("""
import pytest
from pathlib import Path
from probe import ran

@pytest.hookimpl(tryfirst=True)
def pytest_handlecrashitem(crashitem):
    (journal,) = Path.cwd().glob(".pytest_cache/d/hypersearch/*/*/journal.jsonl")
    ran("crashes", journal.read_text().count('"k":"crash"'))
""")
    project.run("-n1", "--dist=loadscope")
    assert project.ran["crashes 1"] == project.ran["crashes 2"] == 1


def test_a_fixture_that_kills_its_worker_crashes_the_trial(project):
    project.write("""
@pytest.fixture
def model(x):
    ran(x)
    if x == 2:
        os._exit(1)
    return x

@pytest.mark.sweep(grid={"x": [1, 2, 3]})
def test_f(model):
    return model
""")
    code, _ = project.run("-n1")
    assert code == 1
    assert project.ran == {"1": 1, "2": 2, "3": 1}
    assert project.states == {"complete": 2, "crashed": 1}


def test_a_worker_that_dies_after_its_trial_ended_does_not_undo_it(project):
    project.write("""
@pytest.fixture
def deadly(x):
    yield
    if x == 2:
        os._exit(1)

@pytest.mark.sweep(grid={"x": [1, 2, 3, 4, 5, 6]}, retries=0)
def test_f(x, deadly):
    ran(x)
    return x
""")
    code, output = project.run("-n1")
    assert code == 1
    assert "1 failed" in output
    # Nor is the trial a crash that it had claimed with that end.
    assert project.ran == {str(x): 1 for x in (1, 2, 3, 4, 5, 6)}
    assert project.states == {"complete": 6}
    # A trial that it claims with one that is replayed begins with its own item.
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4, 5, 6, 7]}, retries=1)
def test_f(x):
    ran(x)
    if x == 7 and not os.path.exists("mark"):
        open("mark", "w").close()
        os._exit(1)
    return x
""")
    code, output = project.run("-n1", "--sweep-resume", "--sweep-stale=keep")
    assert code == 0, output
    assert "5 cached" in output
    assert project.ran == {"1": 1, "2": 2, "3": 1, "4": 1, "5": 1, "6": 1, "7": 2}
    assert project.states == {"complete": 7}


DYING = """
import os
import pytest

def die(item, name, config):
    if f"x:{config}" in item.name and "PYTEST_XDIST_WORKER" in os.environ:
        try:
            os.mkdir(name)
        except FileExistsError:
            if name != "always":
                return
        os._exit(1)

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    die(item, "setup", 2)
    die(item, "always", 5)

def pytest_runtest_call(item):
    die(item, "call", 3)

@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
    die(item, "teardown", 4)
    die(item, "skipped", 6)
    if "plain" in item.name:
        die(item, "plain", "")
"""


@pytest.mark.parametrize("dist", ["load", "loadscope"])
def test_a_worker_that_dies_at_a_trial_that_does_not_run_changes_nothing(project, dist):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4, 5, 6]}, stop={"trials": 5}, retries=1)
def test_f(x):
    ran(x)
    return x

@pytest.mark.parametrize("plain", ["x:"])
def test_plain(plain):
    pass
""")
    project.here()
    scores = project.scores
    (project.path / "conftest.py").write_text(DYING)
    resume = ("--sweep-resume", "--sweep-stale=keep", "--max-worker-restart=9")
    code, output = project.run("-n1", *resume, "--dist", dist)
    assert code == 1
    assert all((project.path / name).is_dir() for name in ("setup", "call", "teardown", "skipped"))
    # The test that is no trial fails, as xdist has it, which runs it again if it is in a scope.
    # There a worker is told in the setup to replay a trial: one that dies before is retried, as
    # often as a trial may be; then the trial is shown as it is, and by its scope once more.
    counts = {
        "load": "1 failed, 1 passed, 5 cached, 1 not run in",
        "loadscope": "1 failed, 2 passed, 6 cached, 2 retried, 1 not run in",
    }
    assert counts[dist] in output
    assert project.ran == {str(x): 1 for x in (1, 2, 3, 4, 5)}
    assert project.scores == scores


def test_a_trial_that_is_claimed_ahead_begins_when_its_item_does(project):
    """Its time limit does not count the teardown before; its setup may fail and be repeated."""
    (project.path / "conftest.py").write_text("""
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if "x:3" in item.name and not hasattr(item, "tried"):
        item.tried = True
        raise OSError("not yet")

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
""")
    project.write("""
@pytest.fixture
def slow(x):
    yield
    if x == 0:
        time.sleep(4.2)

@pytest.mark.sweep(grid={"x": [0, 1, 2, 3, 4]}, timeout=5, retries=1)
def test_f(x, slow):
    ran(x)
    if x == 1 and not os.path.exists("mark"):
        open("mark", "w").close()
        time.sleep(1)
        os._exit(3)
    return x
""")
    code, output = project.run("-n1")
    assert code == 0, output
    assert project.ran == {"0": 1, "1": 2, "2": 1, "3": 1, "4": 1}
    assert project.states == {"complete": 5}
    assert "5 of 5 complete" in output


@pytest.mark.parametrize("dist", ["load", "loadscope"])
def test_trials_that_no_worker_is_left_to_run_are_named(project, dist):
    project.write(DEADLY.format(retries=5, deadly=2, death=DEATHS["exit"]))
    code, output = project.run("-n1", "--dist", dist, "--max-worker-restart=1")
    assert code == 1
    assert "4 trials were lost: no worker is left, or" in output
    for name in ("x:2", "x:3", "x:4", "x:5"):
        assert f"  test_it.py::test_f[{name}]\n" in output
    assert project.states == {"complete": 1, "crashed": 1, "not run": 3}
    assert project.trials["x:2"]["state"] == "crashed"
    project.write(DEADLY.format(retries=5, deadly=7, death=DEATHS["exit"]))
    assert project.run("--sweep-resume", "--sweep-stale=keep")[0] == 0
    assert project.states == {"complete": 5}


THREADS = """
import numpy
from threadpoolctl import threadpool_info

@pytest.mark.sweep(grid={"x": [1]})
def test_f(x):
    assert "pytest_hypersearch.engine.owner" not in sys.modules  # workers need nothing of it
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    ran(os.environ.get("OMP_NUM_THREADS"), os.environ.get("OPENBLAS_NUM_THREADS"), *set(pools))
    return x
"""


def cores():
    return len(os.sched_getaffinity(0))


@pytest.mark.parametrize("preloaded", [False, True])
def test_workers_share_the_cores(project, monkeypatch, preloaded):
    for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB"):
        monkeypatch.delenv(f"{name}_NUM_THREADS", raising=False)
    project.write(THREADS)
    if preloaded:
        (project.path / "conftest.py").write_text("import numpy\n")
    project.run("-n2")
    each = max(1, cores() // 2)
    assert project.ran == {f"{each} {each} {each}": 1}


def test_the_users_number_of_threads_is_respected(project, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores() + 1))
    project.write(THREADS)
    project.run("-n1")
    (line,) = project.ran
    assert line.startswith(f"{cores() + 1} None ")


CHASE = """
from hashlib import blake2b

class Chase:
    adaptive = True

    def suggest(self, space, *, seed, index, history):
        known = [(seen.index, str(seen.params), str(seen.state), seen.scores) for seen in history]
        digest = blake2b(repr((index, known)).encode(), digest_size=4).digest()
        return {"x": int.from_bytes(digest, "big") / 2**32}

def pytest_hypersearch_sampler(strategy):
    return Chase() if strategy == "chase" else None
"""
"""A sampler whose every proposal depends on all that it is told, and on its order."""

ADAPTIVE = """
from pytest_hypersearch import uniform

@pytest.mark.sweep(
    strategy="chase",
    space={{"x": uniform(0, 1)}},
    n_trials={n},
    parallel={parallel},
    replicates=2,
)
def test_f(x, trial):
    ran(trial.number, trial.replicate)
    {body}
    time.sleep(0.01 * (trial.number * 7 % 3))
    return x + trial.replicate
"""


def table(project):
    return {name: trial["params"] for name, trial in project.trials.items()}


@pytest.fixture
def chase(project):
    (project.path / "conftest.py").write_text(CHASE)
    return project


def test_a_sampler_in_parallel_gives_one_table_for_any_number_of_workers(chase):
    chase.write(ADAPTIVE.format(n=12, parallel=3, body="pass"))
    chase.here()
    expected, scores = table(chase), chase.scores
    assert len({params["x"] for params in expected.values()}) == 12
    for options in (("-n2",), ("-n3", "--dist=worksteal")):
        code, _ = chase.run(*options)
        assert code == 0
        assert table(chase) == expected
        assert chase.scores == scores


def test_a_sampler_in_parallel_gives_the_same_table_after_an_interruption(chase):
    body = "if trial.number == 5 and not os.path.exists('go'): ran('wait'); stay()"
    chase.write(ADAPTIVE.format(n=12, parallel=2, body="pass"))
    chase.here()
    expected, scores = table(chase), chase.scores
    chase.write(ADAPTIVE.format(n=12, parallel=2, body=body))
    chase.forget()
    with chase.started("-n2") as process:
        chase.wait(lambda: chase.ran["wait"])
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == pytest.ExitCode.INTERRUPTED
    finished = chase.states["complete"]
    assert 6 <= finished < 24
    (chase.path / "go").touch()
    code, _ = chase.run("--sweep-resume")
    assert code == 0
    assert len(chase.cached) == finished
    assert table(chase) == expected
    assert chase.scores == scores


SLOW_START = """
import os, sys, time
if os.path.exists("once") and "sys.stdin.readline" in " ".join(sys.orig_argv):
    time.sleep(1)
"""
SLOW_COLLECTION = """
def pytest_collection(session):
    import os, time
    if hasattr(session.config, "workerinput") and os.path.exists("once"):
        time.sleep(1)
"""


@pytest.mark.parametrize(("last", "pause"), [("1 0", 0), ("2 1", 0.3)])
def test_a_sampler_in_parallel_waits_for_the_replacement_of_a_worker(
    chase, monkeypatch, last, pause
):
    die = f"""if (trial.number, trial.replicate) == (1, 0) and not os.path.exists("once"):
        while "{last}" not in open("ran").read().splitlines():
            time.sleep(0.1)
        time.sleep({pause})
        os.mkdir("once")
        os._exit(1)"""
    chase.write(ADAPTIVE.format(n=6, parallel=2, body="pass"))
    chase.here()
    expected = table(chase)
    chase.write(ADAPTIVE.format(n=6, parallel=2, body=die))
    (chase.path / "conftest.py").write_text(CHASE + SLOW_COLLECTION)
    (chase.path / "sitecustomize.py").write_text(SLOW_START)
    monkeypatch.setenv("PYTHONPATH", f"{chase.path}{os.pathsep}{os.environ['PYTHONPATH']}")
    assert chase.run("-n2")[0] == 0
    assert table(chase) == expected


@pytest.mark.parametrize("dist", ["load", "worksteal", "loadgroup"])
def test_a_trial_that_runs_again_does_not_wait_behind_those_that_wait_for_it(chase, dist):
    source = ADAPTIVE.replace("replicates=2", "replicates=1")
    # the other worker goes on for a while, and gets trial 1 behind a trial that waits for it
    die = """if trial.number < 3 and not os.path.exists("once"):
        while trial.number == 1 and "2 0" not in open("ran").read().splitlines():
            time.sleep(0.01)
        if trial.number == 1:
            os.mkdir("once")
            os._exit(1)
        while trial.number == 2 and not os.path.exists("once"):
            time.sleep(0.01)
        time.sleep(0.5 * (trial.number == 2))"""
    chase.write(source.format(n=6, parallel=2, body="pass"))
    chase.here()
    expected = table(chase)
    chase.write(source.format(n=6, parallel=2, body=die))
    (chase.path / "conftest.py").write_text(CHASE + SLOW_COLLECTION)
    code, output = chase.run("-n2", f"--dist={dist}")
    assert code == 0, output
    assert "1 retried" in output
    assert table(chase) == expected


def test_a_race_goes_on_when_a_worker_that_held_several_trials_is_replaced(project):
    project.write("""
@pytest.mark.sweep(grid={"w": [1, 2, 3, 4]}, replicates=4, race=True, retries=3)
def test_f(w, trial):
    if (w, trial.replicate) == (3, 0) and not os.path.exists("once"):
        os.mkdir("once")
        os._exit(1)
    return w + trial.rng.normal(0, 0.01)
""")
    assert project.run("-n2", "--dist=loadgroup")[0] == 0
    assert project.states == {"complete": 10, "raced out": 6}


def test_bayes_in_parallel_is_the_same_with_and_without_workers(project):
    project.write("""
from pytest_hypersearch import uniform

@pytest.mark.sweep(bayes={"x": uniform(-4.0, 4.0)}, n_trials=6, parallel=2)
def test_f(x):
    return (x - 1) ** 2
""")
    project.here()
    expected = table(project)
    assert project.run("-n2")[0] == 0
    assert table(project) == expected
    assert len({params["x"] for params in expected.values()}) == 6


def test_without_parallel_whatever_is_there_is_used(chase):
    chase.write(ADAPTIVE.format(n=6, parallel=None, body="pass"))
    code, _ = chase.run("-n2")
    assert code == 0
    assert chase.states == {"complete": 12}


CRASH = "if trial.number == 2 and trial.replicate == 1: os._exit(1)"
REVERSED = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"
REVERSED_LAST = f"import pytest\n@pytest.hookimpl(trylast=True)\n{REVERSED}"


@pytest.mark.parametrize(
    ("parallel", "body", "options", "conftest"),
    [
        pytest.param(2, CRASH, (), "", id="a crash"),
        pytest.param(1, CRASH, ("--dist=worksteal",), "", id="a crash and stealing"),
        pytest.param(1, "pass", ("-k", "002 or 004 or 005"), "", id="selected"),
        pytest.param(1, "pass", (), REVERSED, id="reversed"),
        pytest.param(2, "pass", (), REVERSED_LAST, id="reversed last"),
        pytest.param(1, CRASH, ("--dist=loadgroup",), REVERSED, id="a crash and groups"),
    ],
)
def test_waiting_for_results_comes_to_an_end(chase, parallel, body, options, conftest):
    chase.write(ADAPTIVE.format(n=6, parallel=parallel, body=body))
    (chase.path / "conftest.py").write_text(CHASE + conftest)
    code, _ = chase.run(f"-n{parallel + 1}", *options)
    crash = body == CRASH
    assert code == int(crash)
    assert chase.states == +Counter(complete=len(chase.trials) - crash, crashed=int(crash))
    assert max(chase.ran.values()) == 1 + crash
    assert len(chase.ran) == len(chase.trials)


def test_reversed_items_give_the_same_table(chase):
    chase.write(ADAPTIVE.format(n=5, parallel=1, body="pass"))
    chase.here()
    expected = table(chase)
    for reverse in (REVERSED, REVERSED_LAST):
        (chase.path / "conftest.py").write_text(CHASE + reverse)
        chase.here()
        assert table(chase) == expected


def test_a_test_that_looks_at_all_results_waits_for_them(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [3, 1, 2]})
def test_f(x):
    time.sleep(0.1)
    return x

def test_best(sweeps):
    ran(sweeps.best("test_f").params["x"], len(sweeps.study("test_f").trials))
""")
    code, _ = project.run("-n2")
    assert code == 0
    assert project.ran == {"1 3": 1}


def test_a_sampler_that_fails_fails_its_trials_and_nothing_hangs(project):
    (project.path / "conftest.py").write_text("""
class Broken:
    adaptive = True

    def suggest(self, space, *, seed, index, history):
        if index == 1:
            raise ArithmeticError("no idea")
        return {"x": index}

def pytest_hypersearch_sampler(strategy):
    return Broken() if strategy == "broken" else None
""")
    project.write("""
@pytest.mark.sweep(strategy="broken", space={"x": range(9)}, n_trials=3)
def test_f(x):
    ran(x)
    return x
""")
    for workers in ((), ("-n2",)):
        project.forget()
        code, output = project.run(*workers)
        assert code == 1
        assert "ArithmeticError: no idea" in output
        assert project.ran == {"0": 1, "2": 1}
        assert project.states == {"complete": 2, "not run": 1}
        assert "ArithmeticError: no idea" in project.trials["broken-001"]["reason"]
