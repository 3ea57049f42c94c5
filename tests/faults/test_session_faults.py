"""Whole sessions under faults, with real processes, signals and full disks."""

import json
import os
import random
import shutil
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_hypersearch.store.journal import read

WORKERS = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "n2"])

SLOW = """
@pytest.mark.sweep(grid={"x": list(range(12))})
def test_f(x):
    ran("start", x)
    if x == 6 and not os.path.exists("go"):
        ran("stuck")
        stay()
    ran("end", x)
    return x
"""
ALL = {f"x:{x}": x for x in range(12)}


def stuck(project):
    """Wait until a trial hangs and the ends of those before it are recorded."""
    project.wait(lambda: project.ran["stuck"] and len(project.ended) >= 5)


@WORKERS
@pytest.mark.parametrize("blow", ["SIGKILL", "SIGINT", "SIGTERM", "SIGTERM to all"])
def test_a_session_that_is_stopped_is_continued_without_loss(project, workers, blow):
    project.write(SLOW)
    with project.started(*workers) as process:
        stuck(project)
        acknowledged = set(project.ended)
        if blow == "SIGKILL":
            process.kill()
            process.wait()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        elif blow == "SIGTERM":
            process.terminate()
        else:
            os.killpg(process.pid, getattr(signal, blow.removesuffix(" to all")))
        output = process.communicate(timeout=60)[0]
    assert len(acknowledged) >= 5
    if blow != "SIGKILL":
        ends = {"SIGINT": pytest.ExitCode.INTERRUPTED}
        assert process.returncode == ends.get(blow, -signal.SIGTERM)
        assert "continue with pytest --sweep --sweep-resume" in output
        assert f"{project.states['complete']} of 12 complete" in output
    finished = set(project.ended)
    assert finished >= acknowledged
    (project.path / "go").touch()
    project.forget()
    code, _ = project.run("--sweep-resume")
    assert code == 0
    assert project.scores == ALL
    assert project.cached == {f"x:{x}" for x in finished}
    assert {f"start {x}" for x in finished}.isdisjoint(project.ran)
    assert sorted(project.ended) == list(range(12))


def test_a_handler_of_the_projects_own_for_sigterm_is_left_alone(project):
    (project.path / "conftest.py").write_text("""
import signal
signal.signal(signal.SIGTERM, lambda *_: open("seen", "w").close())
""")
    project.write("""
@pytest.mark.sweep(grid={"x": [1]})
def test_f(x):
    os.kill(os.getpid(), signal.SIGTERM)
    assert os.path.exists("seen")
    return x
""")
    assert project.spawn()[0] == 0


BOOTS = {
    "in the bootstrap": """
import os, sys
if os.path.exists("{left}") and "sys.stdin.readline" in " ".join(sys.orig_argv):
    os.rmdir("{left}")
    os._exit(1)
""",
    "once connected": """
import os, signal

def pytest_xdist_newgateway(gateway):
    if os.path.exists("{left}"):
        os.rmdir("{left}")
        os.kill(gateway._rinfo().pid, signal.SIGKILL)
        gateway._io.wait()
""",
}


@pytest.mark.parametrize(
    ("moment", "which"), [("in the bootstrap", "first"), ("once connected", "replacement")]
)
def test_a_worker_that_dies_while_it_boots_is_started_again(project, monkeypatch, moment, which):
    name = "conftest.py" if moment == "once connected" else "sitecustomize.py"
    (project.path / name).write_text(BOOTS[moment].format(left="left"))
    monkeypatch.setenv("PYTHONPATH", f"{project.path}{os.pathsep}{os.environ['PYTHONPATH']}")
    if which == "first":
        (project.path / "left").mkdir()
    project.write(
        f"""
@pytest.mark.sweep(grid={{"x": list(range(6))}})
def test_f(x):
    if x == 2 and not os.path.exists("once"):
        os.mkdir("once")
        if "replacement" == "{which}":
            os.mkdir("left")
            os._exit(1)
    return x
"""
    )
    code, output = project.spawn("-n2")
    assert code == 0, output
    assert not (project.path / "left").exists()
    assert project.states == {"complete": 6}


def test_workers_that_cannot_boot_end_the_session_with_one_clear_line(project, monkeypatch):
    (project.path / "conftest.py").write_text("""
import os, signal

def pytest_xdist_newgateway(gateway):
    if os.path.exists("once"):
        os.kill(gateway._rinfo().pid, signal.SIGKILL)
        gateway._io.wait()
        open("killed", "w").close()
""")
    project.write("""
@pytest.mark.sweep(grid={"x": list(range(30))})
def test_f(x):
    if x == 2:
        os.mkdir("once")
        os._exit(1)
    while os.path.exists("once") and not os.path.exists("killed"):
        time.sleep(0.01)
    return x
""")
    code, output = project.spawn("-n2")
    assert code == 1
    assert "INTERNALERROR" not in output
    assert "workers die while they boot, gw" in output
    assert "continue with pytest --sweep --sweep-resume" in output


def test_workers_killed_at_any_moment_lose_nothing(project):
    luck = random.Random(1)
    project.write("""
@pytest.mark.sweep(grid={"x": list(range(16))}, retries=9)
def test_f(x, trial):
    ran(os.getpid())
    for step in range(5):
        trial.report(x, step=step)
        time.sleep(0.01)
    return x
""")
    with project.started("-n2", "--max-worker-restart=99") as process:
        killed = set()
        for _ in range(4):
            project.wait(
                lambda: {int(pid) for pid in project.ran} - killed or process.poll() is not None
            )
            alive = sorted({int(pid) for pid in project.ran} - killed)
            if process.poll() is not None or not alive:
                break
            threading.Event().wait(luck.random() * 0.1)
            killed.add(victim := luck.choice(alive))
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        output = process.communicate(timeout=120)[0]
    assert killed
    assert project.states == {"complete": 16}, output
    assert project.scores == {f"x:{x}": x for x in range(16)}
    assert sorted(project.ended) == list(range(16))


@WORKERS
def test_exitfirst_leaves_a_run_to_be_continued(project, workers):
    (project.path / "conftest.py").write_text("""
from pathlib import Path

def pytest_testnodedown():
    Path("down").touch()
""")
    project.write("""
@pytest.mark.sweep(grid={"x": list(range(6))})
def test_f(x):
    ran(x)
    while x > 2 and not (os.path.exists("down") or os.path.exists("go")):
        time.sleep(0.01)
    assert x != 2 or os.path.exists("go")
    return x
""")
    code, output = project.run("-x", *workers)
    assert code == (pytest.ExitCode.INTERRUPTED if workers else 1)
    assert "continue with pytest --sweep --sweep-resume" in output
    (project.path / "go").touch()
    done = project.states["complete"]
    assert done < 6
    assert project.run("--sweep-resume")[0] == 0
    assert len(project.cached) == done
    assert project.ran == {str(x): 1 + (x == 2) for x in range(6)}


@WORKERS
def test_a_file_that_cannot_grow_ends_the_session_with_one_clear_line(project, workers):
    (project.path / "conftest.py").write_text("""
import os, resource

if not os.path.exists("go"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
""")
    project.write("""
@pytest.mark.sweep(grid={"x": list(range(40))})
def test_f(x):
    ran(x)
    return x
""")
    code, output = project.spawn(*workers)
    assert code not in {0, pytest.ExitCode.INTERNAL_ERROR}
    assert "Traceback" not in output
    journal = project.journals[0]
    assert output.count(f"stopped: cannot write {journal}: File too large\n") == 1
    stored = set(project.ended)
    assert 3 <= len(stored) < 40
    assert project.ran.total() <= len(stored) + 3
    project.forget()
    (project.path / "go").touch()
    code, _ = project.run("--sweep-resume")
    assert code == 0
    assert set(project.ran) == {str(x) for x in range(40)} - {str(x) for x in stored}
    assert project.scores == {f"x:{x}": x for x in range(40)}


def test_a_full_disk_ends_the_session_and_earlier_trials_are_intact(project, small_disk):
    project.write("""
@pytest.mark.sweep(grid={"x": list(range(40))})
def test_f(x):
    ran(x)
    if x == 4 and not os.path.exists("go"):
        try:
            with open("disk/ballast", "wb", buffering=0) as file:
                while True:
                    file.write(b"0" * 512)
        except OSError:
            ran("full")
    return x
""")
    cache = ("-o", "cache_dir=disk/cache")
    code, output = project.spawn(*cache)
    assert project.ran["full"] == 1
    assert code not in {0, pytest.ExitCode.INTERNAL_ERROR}
    assert output.count("stopped: cannot write ") == 1
    assert "journal.jsonl: No space left on device\n" in output
    done = project.ran.total() - 1
    assert 5 <= done < 40
    (small_disk / "ballast").unlink()
    (project.path / "go").touch()
    code, _ = project.spawn("--sweep-resume", *cache)
    assert code == 0
    assert project.scores == {f"x:{x}": x for x in range(40)}
    assert done - 1 <= len(project.cached) <= done
    assert project.ran.total() - 1 == 40 + done - len(project.cached)


@WORKERS
def test_a_cache_deleted_in_mid_run_comes_back_whole(project, workers):
    project.write(SLOW + SLOW.replace("test_f", "test_g").replace("x == 6", "x == 3"))
    with project.started(*workers) as process:
        stuck(project)
        project.wait(lambda: project.ran["stuck"] > len(workers))  # nobody writes now
        shutil.rmtree(project.path / ".pytest_cache")
        (project.path / "go").touch()
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    finished = {nodeid(trial) for trial in every(project) if trial["state"] == "complete"}
    assert len(finished) >= 5
    project.run("--sweep-resume")
    assert {nodeid(trial) for trial in every(project) if trial["cached"]} == finished
    shutil.rmtree(project.path / ".pytest_cache")


def test_the_results_of_a_study_that_was_done_survive_the_loss_of_the_cache(project):
    project.write("""
import shutil

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x):
    ran(x)
    return x

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_g(x):
    shutil.rmtree(".pytest_cache", ignore_errors=True)
    return x
""")
    project.run()
    project.run("--sweep-resume")
    assert len(project.cached) == 2
    assert project.ran == {"1": 1, "2": 1}


def every(project):
    return [trial for study in project.studies for trial in study["trials"]]


def nodeid(trial):
    return trial["nodeid"]


def test_two_sessions_at_once_have_runs_of_their_own(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]})
def test_f(x):
    ran(x)
    while sum(1 for _ in open("ran")) < 2:
        time.sleep(0.01)
    return x
""")
    with project.started() as first, project.started("-n2") as second:
        assert first.communicate(timeout=60)[0]
        assert second.communicate(timeout=60)[0]
        assert (first.returncode, second.returncode) == (0, 0)
    assert [sorted(e["number"] for e in ends(file)) for file in project.journals] == [[0, 1, 2]] * 2
    assert project.ran == {"1": 2, "2": 2, "3": 2}
    project.run("--sweep-resume")
    assert [study["run"] for study in project.studies] == [str(project.journals[1].parent)]
    assert len(project.cached) == 3


def ends(file):
    return [record for record in read(file).records if record["k"] == "end"]


@WORKERS
def test_resuming_a_live_run_is_refused(project, workers):
    project.write(SLOW)
    with project.started() as live:
        stuck(project)
        before = project.ran
        code, output = project.run("--sweep-resume", *workers)
        run = project.journals[0].parent
        assert project.ran == before
        assert live.poll() is None
    assert f"{run} is in use by another pytest session" in output
    assert "Traceback" not in output
    assert code == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {run}" in output


def test_a_cleared_cache_and_a_crash_lose_nothing(project):
    project.write("""
@pytest.mark.sweep(grid={"x": list(range(8))}, keep="all")
def test_f(x, trial):
    ran(x)
    (trial.path / "model").touch()
    if x == 4 and not os.path.exists("once"):
        os.mkdir("once")
        os._exit(1)
    return x
""")
    (project.path / ".pytest_cache/d/hypersearch").mkdir(parents=True)
    (project.path / ".pytest_cache/d/hypersearch/old").touch()
    code, _ = project.run("--cache-clear", "-n2")
    assert code == 0
    assert not (project.path / ".pytest_cache/d/hypersearch/old").exists()
    assert sorted(project.ended) == list(range(8))
    assert len(list(project.journals[0].parent.glob("artifacts/*/model"))) == 8
    project.forget()
    project.run("--sweep-resume")
    assert not project.ran


@WORKERS
def test_exceptions_that_are_no_errors_end_their_trial_or_the_session(project, workers):
    project.write("""
class Odd(BaseException):
    pass

@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]})
def test_f(x):
    ran(x)
    if x == 2:
        raise SystemExit("bye")
    if x == 3:
        raise Odd
    return x
""")
    code, output = project.run(*workers)
    assert code == 1
    assert "2 failed, 2 passed" in output
    assert project.states == {"complete": 2, "failed": 2}
    assert project.trials["x:2"]["reason"] == "SystemExit: bye"
    assert project.trials["x:3"]["reason"] == "Odd"


@WORKERS
@pytest.mark.parametrize("isolate", [False, True])
def test_a_test_that_exits_pytest_is_unfinished_and_no_crash(project, workers, isolate):
    project.write(f"""
@pytest.mark.sweep(grid={{"x": [1, 2]}}, retries=0, isolate={isolate})
def test_f(x):
    if x == 2:
        pytest.exit("enough")
    return x
""")
    code, output = project.run(*workers)
    assert code == pytest.ExitCode.INTERRUPTED
    assert project.trials["x:2"]["state"] == "not run"
    assert project.trials["x:2"]["reason"] == "interrupted"
    assert "continue with pytest --sweep --sweep-resume" in output


def test_json_of_the_journals_is_plain(project):
    """Whoever reads a journal needs nothing of ours."""
    project.write(SLOW)
    (project.path / "go").touch()
    project.run()
    for line in Path(project.journals[0]).read_text().splitlines():
        assert "k" in json.loads(line)
