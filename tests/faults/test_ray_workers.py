"""Real Ray: three nodes of one core, in namespaces of their own, with what may happen to them."""

import importlib.util
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest
import ray_cluster
from ray_cluster import TIMEOUT, TOKEN, Cluster

WHY_NOT = ray_cluster.why_not()
pytestmark = [pytest.mark.ray, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster.cluster() as started:
        yield started


@pytest.fixture
def on_ray(project, cluster, monkeypatch):
    for name, value in TOKEN.items():
        monkeypatch.setenv(name, value)
    project.prefix = [*cluster.enter, f"--wd={project.path}"]
    return f"--sweep-on=ray:{cluster.address}"


SWEEP = """
import socket
from collections import Counter
from pathlib import Path

@pytest.fixture(scope="session")
def devices():
    return os.environ["CUDA_VISIBLE_DEVICES"]

def started(x):
    journals = Path().glob(".pytest_cache/d/hypersearch/*/*/journal.jsonl")
    return any(f'"params":{{"x":{x}}}' in file.read_text() for file in journals)

@pytest.mark.sweep(grid={"x": range(9)}, mode="max", retries=%d, resources={"gpus": 0.5})
def test_f(x, trial, devices):
    ran(x, socket.gethostname())
    wanted = Counter(os.environ.get("NODES", "node1 node2 node3").split())
    end = time.monotonic() + 240
    # Until these nodes have had a trial, and for good on a node that is to be lost.
    while not wanted <= Counter(line.split()[1] for line in open("ran")):
        assert time.monotonic() < end
        time.sleep(0.05)
    while socket.gethostname() in os.environ.get("HOLD", "") and time.monotonic() < end:
        time.sleep(0.05)
    victim = {3: os.getpid(), 5: os.getppid()}.get(x)  # the worker, and the actor that holds it
    if victim and not Path(f"killed{x}").exists():
        Path(f"killed{x}").touch()
        while not started(x):  # the actor would take along what it has not passed on
            assert time.monotonic() < end
            time.sleep(0.05)
        os.kill(victim, signal.SIGKILL)
        stay()
    (trial.path / "weights").write_bytes(bytes([x]) * 20_000_000)
    trial.log(devices=devices)
    return x
"""


def assert_best_is_whole(project):
    (best,) = project.path.glob(".pytest_cache/d/hypersearch/*/best")
    assert (best / "r0" / "weights").read_bytes() == bytes([8]) * 20_000_000


def kill_nobody(project):
    for x in (3, 5):
        (project.path / f"killed{x}").touch()


def test_trials_run_on_all_nodes_and_survive_their_processes(project, on_ray):
    project.write(SWEEP % 1)
    code, output = project.spawn(on_ray, "-n3", "-v", "--junitxml=j.xml")
    assert code == 0, output
    assert "9 passed" in output
    assert output.count("RETRIED") == 2
    assert "1 trial retried: node lost" in output  # the actor's; the worker's death is a crash
    assert project.states == {"complete": 9}
    assert project.ran.total() == 11
    assert 'errors="0" failures="0" skipped="0"' in (project.path / "j.xml").read_text()
    nodes = {trial["worker"].partition("@")[2] for trial in project.trials.values()}
    assert nodes == {"node1", "node2", "node3"}
    assert {trial["logged"]["devices"] for trial in project.trials.values()} == {"0"}
    assert_best_is_whole(project)


TABLES = """
from pytest_hypersearch import uniform

@pytest.mark.sweep(grid={"x": range(22)}, metric="loss")
def test_grid(x, trial):
    return x + trial.rng.random()

@pytest.mark.sweep(random={"x": uniform(0, 1)}, n_trials=4, metric="loss", isolate=True)
def test_random(x, trial):
    return x + trial.rng.random()

@pytest.mark.sweep(bayes={"x": uniform(-1, 1)}, n_trials=14, parallel=2, metric="loss")
def test_bayes(x, trial):
    return (x - 0.3) ** 2
"""


def test_the_table_is_that_of_one_machine(project, on_ray):
    project.write(TABLES)
    tables = []
    for options in ([on_ray, "-n3"], ["-n2"], ["-n0"]):
        project.forget()
        code, output = project.spawn(*options) if on_ray in options else project.run(*options)
        assert code == 0, output
        trials = [trial for study in project.studies for trial in study["trials"]]
        tables.append([(trial["nodeid"], trial["params"], trial["score"]) for trial in trials])
    assert len(tables[0]) == 40
    assert tables[0] == tables[1] == tables[2]


ALONE = """
ip link set lo up
"$@" &
while [ -n "$SIGNAL" ] && ! [ -s ran ]; do sleep 0.1; done
[ -n "$SIGNAL" ] && kill -$SIGNAL $!
wait $!
echo code $?
tries=0
while [ $((tries += 1)) -lt 300 ]; do
    ps ax -o stat=,args= | grep -v '^Z' > left
    [ $(wc -l < left) -le 3 ] && break
    sleep 0.2
done
cat left
"""
FEW = """
@pytest.mark.sweep(grid={"x": range(6)})
def test_f(x):
    ran(x)
    time.sleep(0.2)
    if os.environ.get("SIGNAL"):
        stay()
    return x
"""


@pytest.mark.parametrize(("name", "code"), [("", 0), ("TERM", 128 + signal.SIGTERM)])
def test_a_private_cluster_ends_with_its_session(project, monkeypatch, name, code):
    project.write(FEW)
    project.prefix = [*ray_cluster.UNSHARE, "sh", "-c", ALONE, "sh"]
    for variable, value in {**TOKEN, "SIGNAL": name}.items():
        monkeypatch.setenv(variable, value)
    _, output = project.spawn("--sweep-on=ray:local", "--sweep-env=SIGNAL", "-n2")
    _, _, after = output.partition(f"code {code}\n")
    assert after, output
    assert name or "6 passed" in output
    assert len(after.splitlines()) <= 3, after  # the shell, ps and grep


JOB = """
ip link set lo up
ray start --head --num-cpus=2 --include-dashboard=true --temp-dir=$FOLDER
ray job submit --address=http://127.0.0.1:8265 --working-dir=. -- \
    python -m pytest --sweep=run --sweep-on=ray -o pythonpath=$TESTS
"""


@pytest.mark.skipif(
    importlib.util.find_spec("aiohttp") is None, reason="ray[default] is not installed"
)
def test_a_job_finds_its_cluster(project, monkeypatch):
    project.write(FEW)
    project.prefix = [*ray_cluster.UNSHARE, "sh", "-c", JOB, "sh"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        given = {**TOKEN, "PATH": path, "FOLDER": folder, "TESTS": str(Path(__file__).parents[1])}
        for variable, value in given.items():
            monkeypatch.setenv(variable, value)
        code, output = project.spawn()
    assert code == 0, output
    assert "6 passed" in output


SILENT = """
import socket, subprocess, sys
with socket.create_server(("10.77.0.1", 6381)):
    sys.exit(subprocess.call(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.78.0.9:6379", "no cluster at 10.78.0.9:6379"),
        ("10.77.0.1:6380", "no cluster at"),
        ("10.77.0.1:6381", "Failed to connect"),
        (Cluster.address, "set RAY_AUTH_MODE and its token"),
    ],
)
def test_without_a_cluster_nothing_runs(project, on_ray, monkeypatch, address, message):
    project.write(SWEEP % 1)
    if "token" in message:
        monkeypatch.delenv("RAY_AUTH_TOKEN")
        monkeypatch.setenv("HOME", str(project.path))
    project.prefix += [sys.executable, "-c", SILENT]
    code, output = project.spawn(f"--sweep-on=ray:{address}")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert message in output
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 1, output
    assert not project.ran


def test_a_demand_that_no_node_can_meet_is_refused(project, on_ray):
    project.write((SWEEP % 1).replace('"gpus": 0.5', '"gpus": 2'))
    code, output = project.spawn(on_ray)
    assert code == pytest.ExitCode.INTERRUPTED
    assert "trials request 1 cpu, 2 gpus; the biggest node has 1 cpu, 1 gpu" in output
    assert not project.ran


ENDS = """
@pytest.mark.sweep(grid={"x": range(40)}, retries=0)
def test_f(x):
    ran(x)
    assert os.environ["WHY"] != "failures" or x < 3
    if os.environ["WHY"] == "signal" and x > 3:
        stay()
    time.sleep(0.1)
    return x
"""


@pytest.mark.parametrize("why", ["INT", "TERM", "-x", "--maxfail=2", "--sweep-timeout=1"])
def test_a_session_ends_as_with_local_workers(project, on_ray, cluster, monkeypatch, why):
    project.write(ENDS)
    is_signal = not why.startswith("-")
    is_timeout = "timeout" in why
    monkeypatch.setenv("WHY", "signal" if is_signal else "time" if is_timeout else "failures")
    options = ["--sweep-env=WHY", *([] if is_signal else [why])]
    codes = []
    for workers in (["-n2"], [on_ray, "-n2"]):
        project.forget()
        with project.started(*workers, *options) as process:
            if is_signal:
                project.await_lines(5)
                cluster.kill(*cluster.pids("m pytest .*-n2"), signal=why)
            output = process.communicate(timeout=TIMEOUT)[0]
        codes.append(process.returncode)
    assert "INTERNALERROR" not in output
    assert codes[0] == codes[1]
    assert project.ran.total() < 40
    project.wait(cluster.is_empty)


def test_a_killed_controller_leaves_no_worker_and_its_sweep_resumes(
    project, on_ray, cluster, monkeypatch
):
    project.write(SWEEP % 1)
    kill_nobody(project)
    monkeypatch.setenv("HOLD", "node3")
    with project.started(on_ray, "-n3", "--sweep-env=HOLD") as process:
        project.await_lines(6)
        cluster.kill(cluster.controller())
        process.wait(TIMEOUT)
    project.wait(cluster.is_empty)
    complete = sum(file.read_text().count('"k":"end"') for file in project.journals)
    project.forget()
    code, output = project.spawn(on_ray, "-n3", "--sweep-resume")
    assert code == 0, output
    assert len(project.cached) == complete > 0
    assert project.states == {"complete": 9}
    assert_best_is_whole(project)


def test_a_stopped_node_is_lost_and_does_not_come_back(project, on_ray, cluster, monkeypatch):
    project.write(SWEEP % 0)
    kill_nobody(project)
    monkeypatch.setenv("HOLD", "node3")
    with project.started(on_ray, "-n3", "--sweep-env=HOLD") as process:
        project.wait(lambda: any("node3" in line for line in project.ran))
        stopped = cluster.of_node(3)
        cluster.kill(*stopped, signal="STOP")
        output = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == 0, output
    assert "9 passed" in output
    assert "1 trial retried: node lost" in output
    assert project.states == {"complete": 9}
    assert_best_is_whole(project)
    cluster.kill(*stopped, signal="CONT")
    project.wait(cluster.is_empty)
    project.wait(lambda: not cluster.pids("raylet/raylet.*10.77.0.3"))
    cluster.start(3)


def test_a_lost_node_is_no_fault_of_its_trial_and_a_new_one_is_used(
    project, on_ray, cluster, monkeypatch
):
    project.write(SWEEP % 0)
    kill_nobody(project)
    monkeypatch.setenv("HOLD", "node3")
    monkeypatch.setenv("NODES", "node1 node2 node3 node4 node4")  # two at a time: half a GPU each
    options = [on_ray, "-n4", "--junitxml=j.xml", "--sweep-env=HOLD,NODES"]
    with project.started(*options) as process:
        project.await_lines(3)
        cluster.kill(cluster.of_node(3)[0])
        cluster.start(4, cpus=2)
        output = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == 0, output
    assert "9 passed" in output
    assert "1 trial retried: node lost" in output
    assert project.states == {"complete": 9}
    assert {trial["logged"]["devices"] for trial in project.trials.values()} == {"0"}
    assert 'errors="0" failures="0" skipped="0"' in (project.path / "j.xml").read_text()
    assert_best_is_whole(project)


def test_without_its_head_a_cluster_finishes_what_it_can(project, on_ray, cluster, monkeypatch):
    project.write(SWEEP % 0)
    kill_nobody(project)
    monkeypatch.setenv("NODES", "node1 node2")
    monkeypatch.setenv("HOLD", "node2")
    with project.started(on_ray, "-n4", "--sweep-env=HOLD,NODES") as process:
        project.await_lines(8)  # nodes without a head end soon
        project.wait(lambda: any("node2" in line for line in project.ran))
        cluster.kill(*cluster.pids("gcs_server"))
        output = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert f"the cluster has lost its head, {cluster.address}" in output
    assert "8 passed" in output
    assert "1 trial was lost: no worker is left, or" in output
    assert_best_is_whole(project)
