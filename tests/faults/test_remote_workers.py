"""Workers elsewhere, by the double of a command: late, lost at any moment, or never up."""

import io
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import time
import venv
from pathlib import Path

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.plugin.remote.files import unpack
from pytest_hypersearch.store.journal import read

DOUBLE = Path(__file__).with_name("worker_double.py")
SWEEP = """
from pathlib import Path

@pytest.mark.sweep(grid={"x": range(%d)}, retries=%d)
def test_f(x, trial):
    ran(x)
    end = time.monotonic() + 60
    while x == 0 and Path("ran").read_text().count("\\n") < %d and time.monotonic() < end:
        time.sleep(0.05)
    while x > 9 and os.path.exists("hold"):
        time.sleep(0.05)
    time.sleep(0.1)
    trial.log(worker=os.environ.get("PYTEST_XDIST_WORKER"), cwd=os.getcwd())
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
        "cut;hypersearch-worker;1;1",  # in its first word
        "never",
        "late;ran;14",  # when there is nothing left to do
        "cut;collectionfinish;1;1",
        "cut;runtest_protocol_complete;1;1",  # between an item's last report and its end
        "cut;Tell;1;255",  # in mid-trial, by the loss of the way there
        "late;ran;4",
    )
    code, output = project.run(option, "-n6", "-v")
    assert code == 0
    assert "14 passed" in output
    assert project.states == {"complete": 14}
    # one is lost in mid-trial, and a worker that was cut off may have begun its next one
    assert project.ran.total() - len(project.ran) <= 2
    assert max(project.ran.values()) <= 2
    assert "1 trial retried: node lost" in output
    assert output.count(" PASSED ") == 14
    workers = {trial["worker"] for trial in project.trials.values()}
    assert len(workers) > 2
    assert all("@" in worker for worker in workers)
    # "ran" has changed when the later ones come: they have the project all the same
    assert {trial["logged"]["cwd"] for trial in project.trials.values()} == {str(project.path)}


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
    assert "trials were lost: no worker is left, or" in output
    assert "INTERNALERROR" not in output
    complete = project.states["complete"]
    code, output = project.run(on(), "-n2", "--sweep-resume")
    assert code == 0
    assert len(project.cached) == complete > 0
    assert project.states == {"complete": 6}


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_controller_leaves_nothing_behind(project, blow):
    project.write(SWEEP % (20, 0, 0))
    (project.path / "hold").touch()
    with project.started("--sweep-on={python}", "-n2") as process:
        project.await_lines(3)
        process.send_signal(blow)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == {signal.SIGINT: pytest.ExitCode.INTERRUPTED}.get(blow, -blow)
    assert blow == signal.SIGKILL or "continue with pytest --sweep --sweep-resume" in output
    (project.path / "hold").unlink()
    project.wait(lambda: not left_over(project.path))
    ended = len(project.ended)
    assert 3 <= project.ran.total() < 20
    code, output = project.run("--sweep-resume")
    assert code == 0, output
    assert len(project.cached) == ended
    assert project.states == {"complete": 20}


def test_workers_that_are_frozen_for_a_while_go_on(project):
    project.write(SWEEP % (16, 0, 0))
    (project.path / "hold").touch()
    with project.started("--sweep-on={python}", "-n3") as process:
        project.await_lines(3)
        frozen = [int(pid) for pid in left_over(project.path) if int(pid) != process.pid][:4]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        (project.path / "hold").unlink()
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert project.states == {"complete": 16}
    assert project.ran.total() == 16


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


def test_what_a_command_has_started_ends_with_the_session(project):
    project.write(SWEEP % (3, 0, 0))
    silent = "--sweep-on=sh -c 'sleep 300; true' {args}"
    code, _ = project.run("--sweep-on={python}", silent, "-n2")
    assert code == 0
    project.wait(lambda: not left_over(project.path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sweep-on=ssh host"], "expected {python} or {args} in it"),
        (["--sweep-on=0*{python}"], "expected at least one worker, as in '4*{python}'"),
        (["--sweep-on={python}", "-n0"], "cannot be combined with -n 0"),
        (["--sweep-on={python}", "--dist=each"], "--dist=each runs every trial"),
    ],
)
def test_bad_options_are_refused(project, options, message):
    project.write(SWEEP % (1, 0, 0))
    code, output = project.run(*options)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert message in output


SHIPPED = """
import data

MOST = int(os.getenv("UNSENT", "6"))

@pytest.mark.sweep(grid={"x": range(MOST)}, mode="max", retries=0)
def test_f(x, trial):
    trial.log(cwd=os.getcwd(), data=data.__file__, var=os.environ.get("GIVEN"))
    (trial.path / "weights").write_bytes(bytes([x]) * 7_000_000)
    (trial.path / "deep").mkdir()
    (trial.path / "deep" / "link").symlink_to("../weights")
    if x == 2:
        (trial.path / "out").symlink_to("/etc/passwd")
    return x

def test_best(sweeps):
    best = sweeps.best("test_f")
    assert str(best.path).startswith(os.environ["PYTEST_HYPERSEARCH_NODE_DIRECTORY"])
    assert best.params == {"x": 5}
    assert (best.path / "deep" / "link").read_bytes() == bytes([5]) * 7_000_000

def test_ignored():
    open("ignored.txt")

@pytest.mark.sweep(grid={"y": [1, 2]}, isolate=True, retries=0)
def test_isolated(y, trial):
    trial.log(cwd=os.getcwd(), data=data.__file__, var=os.environ.get("GIVEN"), pid=os.getpid())
    (trial.path / "saved").write_text(str(y))
    return y
"""


LACKING = ["unshare", "-m", "sh", "-c"]
MOUNTS = subprocess.run([*LACKING, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False)


@pytest.mark.skipif(MOUNTS.returncode != 0, reason="needs the right to mount")
def test_a_project_is_shipped_and_what_trials_save_comes_home(project, on, monkeypatch):
    (project.path / "sub").mkdir()
    project.write(SHIPPED, "sub/test_it.py")
    (project.path / "sub" / "data.py").write_text("")
    (project.path / "pytest.ini").write_text("[pytest]\nsweep_env = GIVEN\n")
    (project.path / ".gitignore").write_text("/ignored.txt\n/double*\n")
    (project.path / "ignored.txt").write_text("")
    subprocess.run(["git", "init", "-q", project.path], check=True)
    monkeypatch.setenv("GIVEN", "given")
    monkeypatch.setenv("UNSENT", "3")
    # The node has nothing at the project's path.
    mount = f'mount -t tmpfs tmpfs {project.path}; exec "$@"'
    node = shlex.join([*LACKING, mount, "sh", "env", "-u", "UNSENT"])
    option = on('cut;"Deliver";2;255').replace("{python}", f"{node} {{python}}")
    code, output = project.run(option, "-n2", f"{project.path}/sub/test_it.py", "-W", "default")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 9 passed, " in output
    assert "1 trial retried: node lost" in output
    text = "UNSENT is set where pytest was called, not here: --sweep-env=UNSENT sends it"
    assert re.search(rf"sub/test_it.py:\d+: RuntimeWarning: {text}", output)
    assert output.count(text) == 1
    assert "ignored.txt is ignored by git or hidden, so it was not sent to gw" in output
    assert "[x:2]: trial.path is not kept: AbsoluteLinkError: './out' is a link" in output
    assert "files of trials came from workers: " in output
    assert project.states == {"complete": 8}
    for trial in project.trials.values():
        logged = trial["logged"]
        assert logged["var"] == "given"
        assert logged["cwd"] != str(project.path)
        assert logged["data"] == str(Path(logged["cwd"], "sub", "data.py"))
    copies = {Path(trial["logged"]["cwd"]) for trial in project.trials.values()}
    assert sum(copy.exists() for copy in copies) <= 1  # the killed worker's, until another starts
    store = project.path / ".pytest_cache" / "d" / "hypersearch"
    (journal,) = store.glob("*-test_f/*/journal.jsonl")
    # All but the refused one: that whose files were on their way when its worker died ran again.
    assert journal.read_text().count('"k":"saved"') == 5
    (best,) = store.glob("*-test_f/best")
    assert (best / "r0" / "deep" / "link").read_bytes() == bytes([5]) * 7_000_000
    assert json.loads((best / "params.json").read_text())["params"] == {"x": 5}
    (isolated,) = store.glob("*-test_isolated/best/r0/saved")
    assert isolated.read_text() == "1"
    # The fingerprint is that of the files here.
    begin = next(each for each in read(journal).records if "fingerprint" in each)
    assert begin["fingerprint"].keys() > {"sub/data.py", "sub/test_it.py"}
    monkeypatch.delenv("UNSENT")
    project.run("--sweep-resume", "sub/test_it.py", "-k", "test_f or test_isolated")
    assert len(project.cached) == 8
    with (project.path / "large").open("wb") as file:
        file.truncate(600 << 20)
    code, output = project.run(option, "-n2")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert f"its node lacks {project.path}, which has more than 512 MiB or 20,000 files" in output


NODES = """
import iniconfig, named
from pathlib import Path

@pytest.mark.sweep(grid={"x": range(8)}, resources={"gpus": 0.5, "license": 1})
def test_f(x, trial):
    ran("+")
    end = time.monotonic() + 60
    while x == 0 and Path("collected").read_text().count("+") < 5 and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.2)
    trial.log(device=os.environ["CUDA_VISIBLE_DEVICES"], reads=iniconfig.IniConfig.__name__)
    ran("-")
    return x
"""


COLLECTED = """
def pytest_xdist_node_collection_finished():
    with open("collected", "a") as file:
        file.write("+")
"""


OTHER = """
@pytest.mark.sweep(grid={"x": range(8 if os.path.exists("ran") else 4)})
def test_f(x):
    ran(x)
    end = time.monotonic() + 60
    while len(os.listdir("collected")) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    return x
"""


def test_a_late_worker_that_collected_other_tests_is_refused(project, on):
    project.write(OTHER)
    (project.path / "collected").mkdir()
    (project.path / "conftest.py").write_text("""
from pathlib import Path

def pytest_xdist_node_collection_finished(node):
    Path("collected", node.gateway.id).touch()
""")
    code, output = project.run(on("none", "late;ran;1"), "-n2")
    assert code == 0
    assert "4 passed" in output
    assert "is refused: it collected other tests, such as test_it.py::test_f[x:4]; " in output
    assert project.states == {"complete": 4}


def test_an_archive_that_leads_out_of_its_directory_leaves_what_is_there(tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "old").write_text("old")
    for name in ("../out", "deep/../../out"):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("new"))
            tar.addfile(tarfile.TarInfo(name))
        archive.seek(0)
        with pytest.raises(tarfile.OutsideDestinationError):
            unpack(archive, tmp_path / "saved")
        assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [
            "saved",
            "saved/old",
        ]


@pytest.mark.skipif(MOUNTS.returncode != 0, reason="needs the right to rename the host")
def test_nodes_differ_in_what_they_have(project):
    project.write(NODES)
    (project.path / "conftest.py").write_text(COLLECTED)
    (project.path / "named.py").write_text("import platform; __version__ = platform.node()")

    def node(name, *variables, python="{python}"):
        shell = shlex.join(["unshare", "-u", "sh", "-c", f'hostname {name}; exec "$@"', "sh"])
        return f"--sweep-on={shell} env {' '.join(variables)} {python}"

    def other(name):
        venv.create(project.path / name, symlinks=True)
        (site,) = (project.path / name).glob("lib/*/site-packages")
        (site / "all.pth").write_text("\n".join(filter(None, sys.path)))
        info = site / f"{name}-0.9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.9\n")
        python = f"{project.path / name / 'bin' / 'python'} {{args}}"
        return node(f"old-{name}", "CUDA_VISIBLE_DEVICES=0", python=python)

    nodes = [node("a", "CUDA_VISIBLE_DEVICES=3"), node("b", "CUDA_VISIBLE_DEVICES=5")]
    old = other("iniconfig")
    nodes += [node("none"), other("execnet"), old]
    nodes[0] = nodes[0].replace("=", "=2*", 1)
    code, output = project.run(*nodes, "--sweep-resources=license=2", "--dist=worksteal")
    assert code == 0
    assert "8 passed" in output
    for name in ("execnet", "iniconfig"):  # the second one is known when the tests are collected
        assert re.search(rf"gw\d is refused: old-{name} has other versions", output)
        assert re.search(rf"  {name} +[\d.]+ +0\.9", output)
    (journal,) = project.journals
    told = [each for each in read(journal).records if each["k"] == "packages" and each["node"]]
    assert told
    assert all(each["versions"]["named"] == each["node"] for each in told)
    devices = {"a": "3", "b": "5"}
    for trial in project.trials.values():
        assert trial["logged"]["device"] == devices[trial["worker"].partition("@")[2]]
    names = {trial["worker"] for trial in project.trials.values()}
    results = load_results(project.path)
    assert {row["worker"] for row in results.table()} == names
    upwards = results.plot.timeline().layout.yaxis.categoryarray
    assert sorted(upwards, key=lambda name: name.split("@")[::-1]) == list(upwards[::-1])
    running = list(itertools.accumulate({"+": 1, "-": -1}[word] for word in lines(project)))
    assert max(running) <= 2
    code, output = project.run(old, "--sweep-resources=license=2")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: gw0 is refused: old-iniconfig has other versions" in output
    assert project.ran.total() == 16
    code, output = project.run()
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "requests 1 license; --sweep-resources has none of that name" in output


def lines(project):
    return (project.path / "ran").read_text().splitlines()
