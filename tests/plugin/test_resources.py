"""Trials that demand resources: what they see, when they start, what is refused."""

import os
import signal
import time

import pytest

WORKERS = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "n2"])
MASK = "os.environ.get('CUDA_VISIBLE_DEVICES', 'none')"
BUSY = """
@pytest.mark.sweep(grid={{"x": list(range({trials}))}}, resources={resources})
def test_{name}(x):
    start = time.monotonic()
    ran("held", "{name}", start, {mask})
    while {condition}:
        time.sleep(0.01)
    ran("freed", "{name}", start, time.monotonic())
    return x
"""


@pytest.fixture(autouse=True)
def _own_machine(project, monkeypatch):
    """A ledger that no other test run on this machine sees."""
    monkeypatch.setenv("TMPDIR", str(project.path))
    monkeypatch.setattr("tempfile.tempdir", str(project.path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def busy(name, resources, trials=4, condition="time.monotonic() < start + 0.1"):
    return BUSY.format(
        name=name, resources=resources, trials=trials, condition=condition, mask=MASK
    )


def intervals(project):
    """Name, start, end and mask of what ran."""
    rows = [line.split() for line in project.ran]
    masks = {row[2]: row[3] for row in rows if row[0] == "held"}
    return [
        (row[1], float(row[2]), float(row[3]), masks[row[2]]) for row in rows if row[0] == "freed"
    ]


def most_at_once(rows, weight):
    """The largest sum of weights at any moment."""
    return max(
        sum(weight(row) for row in rows if row[1] <= moment <= row[2]) for _, moment, *_ in rows
    )


def test_each_device_runs_one_trial_and_each_trial_sees_its_own(project):
    alone = "time.monotonic() < start + 0.1 or open('ran').read().count('held') < 2"
    project.write(busy("f", {"gpus": 1}, 8, alone))
    code, output = project.run("-n3", "--sweep-gpus=0,7")
    assert code == 0, output
    rows = intervals(project)
    assert len(rows) == 8
    assert {row[3] for row in rows} == {"0", "7"}
    for device in ("0", "7"):
        assert most_at_once([row for row in rows if row[3] == device], lambda _: 1) == 1


def test_fractions_share_a_device(project):
    alone = "open('ran').read().count('held') < 2"
    project.write(busy("half", {"gpus": 0.5}, 6, alone))
    code, output = project.run("-n3", "--sweep-gpus=0")
    assert code == 0, output
    rows = intervals(project)
    assert [row[3] for row in rows] == ["0"] * 6
    assert most_at_once(rows, lambda _: 1) == 2


def test_several_devices_are_seen_together(project):
    project.write(busy("both", {"gpus": 2}, 2))
    code, output = project.run("--sweep-gpus=0,1")
    assert code == 0, output
    assert [row[3] for row in intervals(project)] == ["0,1"] * 2


def test_many_workers_and_several_resources_never_take_too_much_and_never_hang(project):
    cores = len(os.sched_getaffinity(0))
    demands = {
        "a": {"cpus": cores, "gpus": 0.5},
        "b": {"cpus": 1, "gpus": 2},
        "c": {"gpus": 1, "memory": "1KiB"},
        "d": {"cpus": 1},
    }
    shortly = "time.monotonic() < start + 0.02"
    project.write("".join(busy(name, demand, 6, shortly) for name, demand in demands.items()))
    code, output = project.run("-n5", "--sweep-gpus=0,1")
    assert code == 0, output
    rows = intervals(project)
    assert len(rows) == 24
    assert most_at_once(rows, lambda row: demands[row[0]].get("cpus", 0)) <= cores
    for device in "01":
        on_it = [row for row in rows if row[3] != "none" and device in row[3]]
        assert most_at_once(on_it, lambda row: min(1, demands[row[0]]["gpus"])) <= 1


@WORKERS
def test_the_mask_is_there_before_fixtures_and_gone_after_the_trial(project, workers):
    project.write(f"""
@pytest.fixture
def mask(x):
    yield {MASK}
    ran("after", {MASK})

@pytest.mark.sweep(grid={{"x": [1, 2]}}, resources={{"gpus": 1, "cpus": 1}})
def test_f(x, mask):
    ran(mask, os.environ["OMP_NUM_THREADS"])
    return x

@pytest.mark.sweep(grid={{"x": [1]}}, resources={{"cpus": 1}})
def test_g(x):
    ran({MASK}, os.environ["OMP_NUM_THREADS"])
    return x

def test_plain():
    ran({MASK}, os.environ["OMP_NUM_THREADS"])
""")
    (project.path / "conftest.py").write_text(
        "import os\nos.environ.update(CUDA_VISIBLE_DEVICES='5,6', OMP_NUM_THREADS='3')\n"
    )
    code, output = project.spawn("--sweep-gpus=6", "-p", "no:cacheprovider", *workers)
    assert code == 0, output
    assert project.ran == {"6 1": 2, "after 6": 2, "5,6 1": 1, "5,6 3": 1}


def test_thread_pools_that_are_there_already_are_limited_and_restored(project):
    project.write("""
import numpy
from threadpoolctl import threadpool_info, threadpool_limits
threadpool_limits(2)

def threads():
    return {pool["num_threads"] for pool in threadpool_info()}

@pytest.mark.sweep(grid={"x": [1]}, resources={"cpus": 1})
def test_f(x):
    ran(*threads())
    return x

def test_plain():
    ran(*threads())
""")
    assert project.run()[0] == 0
    assert project.ran == {"1": 1, "2": 1}


def test_a_worker_keeps_to_its_device(project):
    project.write(f"""
@pytest.mark.sweep(grid={{"x": list(range(12))}}, resources={{"gpus": 1}})
def test_f(x):
    time.sleep(0.01 * (x % 3))
    ran(os.getpid(), {MASK})
    return x
""")
    code, output = project.run("-n3", "--sweep-gpus=0,1")
    assert code == 0, output
    assert len({line.split()[0] for line in project.ran}) == len(project.ran)


@WORKERS
def test_what_can_never_be_met_is_refused_at_collection(project, workers):
    project.write(busy("f", {"gpus": 3}))
    code, output = project.run("--sweep-gpus=0,1", *workers)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert (
        "test_it.py::test_f: sweep grid: resources= requests 3 gpus; this machine has 2 (0, 1)"
        in (output)
    )
    assert "Traceback" not in output
    assert not project.ran


@pytest.mark.parametrize("text", ["x", "0,0", "", "-1"])
def test_devices_that_are_none_are_refused(project, text):
    project.write(busy("f", {"gpus": 1}))
    code, output = project.run(f"--sweep-gpus={text}")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert f"argument --sweep-gpus: '{text}': expected numbers or UUIDs" in output


def test_a_device_that_the_mask_hides_is_refused(project, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    code, output = project.run("--sweep-gpus=0")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --sweep-gpus=0: 0: expected a device of CUDA_VISIBLE_DEVICES=1" in output


@WORKERS
def test_two_runs_at_once_share_the_machine(project, workers):
    waits = "not os.path.exists('go')"
    project.write(busy("first", {"gpus": 1}, 1, waits), "test_first.py")
    project.write(busy("second", {"gpus": 1}, 1), "test_second.py")
    gpus = "--sweep-gpus=0"
    others = ("-p", "no:cacheprovider", *workers)
    with project.started("test_first.py", gpus) as first:
        project.await_lines(1)
        with project.started("test_second.py", gpus, *others) as second:
            ledger = next(project.path.glob("pytest-hypersearch-*/claims-1.json"))
            project.wait(lambda: ledger.read_text().count("holder") == 2)
            time.sleep(0.5)
            held = len(project.ran)
            (project.path / "go").touch()
            outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert held == 1
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert most_at_once(intervals(project), lambda _: 1) == 1
    assert len(intervals(project)) == 2


@pytest.mark.parametrize(
    ("workers", "blow"), [((), signal.SIGKILL), ((), signal.SIGINT), (("-n1",), signal.SIGKILL)]
)
def test_what_a_dead_run_held_is_free_and_who_waits_can_be_stopped(project, workers, blow):
    project.write(busy("first", {"gpus": 1}, 1, "True"), "test_first.py")
    project.write(busy("second", {"gpus": 1}, 1), "test_second.py")
    gpus = ("--sweep-gpus=0", "-p", "no:cacheprovider")
    with project.started("test_first.py", *gpus) as first:
        project.await_lines(1)
        with project.started("test_second.py", *gpus, *workers) as second:
            ledger = next(project.path.glob("pytest-hypersearch-*/claims-1.json"))
            project.wait(lambda: ledger.read_text().count("holder") == 2)
            os.killpg((first if blow == signal.SIGKILL else second).pid, blow)
            output = second.communicate(timeout=60)[0]
    if blow == signal.SIGKILL:
        assert second.returncode == 0, output
        assert "1 passed" in output
    else:
        assert second.returncode == pytest.ExitCode.INTERRUPTED, output
        assert ledger.read_text().count("holder") == 1


def test_a_dead_worker_holds_nothing(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]}, resources={"gpus": 1})
def test_f(x):
    ran(x)
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return x
""")
    code, output = project.run("-n2", "--sweep-gpus=0")
    assert code == 1, output
    assert project.ran == {"1": 2, "2": 1, "3": 1}
    assert project.states == {"complete": 2, "crashed": 1}


def test_what_runs_while_the_ledger_fails_is_recorded(project):
    project.write("""
from pathlib import Path

@pytest.mark.sweep(grid={"x": [1, 2, 3]}, resources={"memory": "1MiB"})
def test_f(x, trial):
    ran(x)
    if x == 2:
        while "1" not in Path("ran").read_text():
            time.sleep(0.01)
        next(Path().glob("pytest-hypersearch-*/claims-1.json")).write_text("{")
        return x
    while "{" != next(Path().glob("pytest-hypersearch-*/claims-1.json")).read_text():
        time.sleep(0.01)
    time.sleep(0.5)
    (trial.path / "model").touch()
    return x
""")
    code, output = project.run("-n2")
    assert code != 0
    assert "claims-1.json: " in output
    assert project.trials["x:1"]["state"] == "complete"
    assert next(project.path.glob(".pytest_cache/d/hypersearch/*/best/r0/model")).exists()


def test_waiting_for_results_and_for_a_share_goes_together(project):
    project.write("""
from pytest_hypersearch import uniform

@pytest.mark.sweep(bayes={"x": uniform(0, 1)}, n_trials=6, parallel=2, resources={"gpus": 1})
def test_f(x):
    ran("f")
    return x

@pytest.mark.sweep(grid={"x": [1, 2, 3]}, resources={"gpus": 1})
def test_g(x):
    ran("g")
    return x
""")
    code, output = project.run("-n3", "--sweep-gpus=0")
    assert code == 0, output
    assert project.ran == {"f": 6, "g": 3}


def test_a_replay_waits_for_nothing(project):
    project.write(busy("f", {"gpus": 1}, 2))
    assert project.run("--sweep-gpus=0")[0] == 0
    (project.path / "other").mkdir()
    project.write(busy("hold", {"gpus": 1}, 1, "True"), "other/test_hold.py")
    project.forget()
    with project.started("other", "--sweep-gpus=0", "-p", "no:cacheprovider"):
        project.await_lines(1)
        code, output = project.run("test_it.py", "--sweep-gpus=0", "--sweep-resume")
    assert code == 0, output
    assert "2 cached" in output


def test_peak_memory_and_cpu_time_are_recorded(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [0, 80, 1]})
def test_f(x):
    block = b"1" * (x * 2**20)
    end = time.process_time() + 0.05 * (x == 80)
    while time.process_time() < end:
        pass
    return x
""")
    assert project.run()[0] == 0
    peaks = [trial["peak_memory"] for trial in project.trials.values()]
    assert peaks[1] - peaks[0] > 70 * 2**20
    assert peaks[1] - peaks[2] > 70 * 2**20
    times = [trial["cpu_time"] for trial in project.trials.values()]
    assert times[0] < times[1] > times[2]
    assert times[1] >= 0.05
    assert [trial["peak_memory"] for trial in project.trials.values()] == peaks
    project.run("--sweep-resume")
    assert [trial["peak_memory"] for trial in project.trials.values()] == peaks
