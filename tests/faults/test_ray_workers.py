"""Real Ray: three nodes of one core, in namespaces of their own, with what may happen to them."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

UNSHARE = ["unshare", "-n", "-p", "-m", "-f", "--mount-proc", "--kill-child=KILL"]
NETWORK = "ip link set lo up && " + " && ".join(
    f"ip addr add 10.77.0.{node}/24 dev lo" for node in (1, 2, 3)
)
# The dead are gone at once: a node is not lost to Ray while its process is there as a zombie.
FIRST = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.pause()"
TIMEOUT = 300


def why_not():
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed"
    if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        return "needs unshare, nsenter and ip"
    tried = subprocess.run([*UNSHARE, "sh", "-c", NETWORK], capture_output=True, check=False)
    return "needs the right to make namespaces" if tried.returncode else ""


WHY_NOT = why_not()
pytestmark = [pytest.mark.ray, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


class Cluster:
    """Three nodes; all their processes end with the first one of their namespace."""

    address = "10.77.0.1:6379"

    def __init__(self, folder):
        self.folder = folder
        shell = f"{NETWORK} && echo up && exec {sys.executable} -c '{FIRST}'"
        self.process = subprocess.Popen([*UNSHARE, "sh", "-c", shell], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"up\n"
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.first = int(children.read_text())
        self.enter = ["nsenter", "-n", "-p", "-m", "-t", str(self.first)]
        for node in (1, 2, 3):
            self.start(node)

    def start(self, node):
        head = ["--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        ray = [Path(sys.executable).with_name("ray"), "start", f"--node-ip-address=10.77.0.{node}"]
        ray += head if node == 1 else [f"--address={self.address}"]
        ray += ["--num-cpus=1", "--num-gpus=1", "--object-store-memory=100000000"]
        named = ["unshare", "-u", "sh", "-c", f'hostname node{node} && exec "$@"', "sh"]
        subprocess.run(
            [*self.enter, *named, *ray],
            check=True,
            capture_output=True,
            timeout=TIMEOUT,
            env={**os.environ, **ENVIRONMENT},
        )

    def pids(self, words):
        found = subprocess.run(
            [*self.enter, "pgrep", "-f", words], capture_output=True, text=True, check=False
        )
        return found.stdout.split()

    def kill(self, pid):
        subprocess.run([*self.enter, "kill", "-KILL", pid], check=True)


ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture(scope="module")
def cluster():
    started = Cluster(Path(tempfile.mkdtemp(prefix="ray-")))  # sockets need a short path
    yield started
    os.kill(started.first, signal.SIGKILL)
    started.process.communicate()
    shutil.rmtree(started.folder, ignore_errors=True)


@pytest.fixture
def on_ray(project, cluster, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    project.prefix = [*cluster.enter, f"--wd={project.path}"]
    return f"--sweep-on=ray:{cluster.address}"


SWEEP = """
import socket
from pathlib import Path

@pytest.mark.sweep(grid={"x": range(9)}, mode="max", retries=%d, resources={"gpus": 0.5})
def test_f(x, trial):
    ran(x, socket.gethostname())
    end = time.monotonic() + 120
    # Until all nodes have had a trial, and for good on a node that is to be lost.
    while len({line.split()[1] for line in open("ran")}) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    while socket.gethostname() in os.environ.get("HOLD", "") and time.monotonic() < end:
        time.sleep(0.05)
    if x == 3 and not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (trial.path / "weights").write_text(f"{x}" * 100_000)
    trial.log(devices=os.environ["CUDA_VISIBLE_DEVICES"])
    return x
"""


def test_trials_run_on_all_nodes_and_a_killed_process_is_a_crash(project, on_ray):
    project.write(SWEEP % 1)
    code, output = project.spawn(on_ray, "-n3", "-v")
    assert code == 0, output
    assert "9 passed" in output
    assert output.count("RETRIED") == 1
    assert project.states == {"complete": 9}
    assert project.ran.total() == 10
    nodes = {trial["worker"].partition("@")[2] for trial in project.trials.values()}
    assert nodes == {"node1", "node2", "node3"}
    assert {trial["logged"]["devices"] for trial in project.trials.values()} == {"0"}
    (best,) = project.path.glob(".pytest_cache/d/hypersearch/*/best")
    assert (best / "r0" / "weights").read_text() == "8" * 100_000


@pytest.mark.parametrize(
    ("address", "message"),
    [("10.78.0.9:6379", "no cluster at 10.78.0.9:6379"), ("10.77.0.1:6380", "no cluster at")],
)
def test_without_a_cluster_nothing_runs(project, on_ray, address, message):
    project.write(SWEEP % 1)
    code, output = project.spawn(f"--sweep-on=ray:{address}")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert message in output
    assert "Traceback" not in output
    assert not project.ran


def test_a_demand_that_no_node_can_meet_is_refused(project, on_ray):
    project.write((SWEEP % 1).replace('"gpus": 0.5', '"gpus": 2'))
    code, output = project.spawn(on_ray)
    assert code == pytest.ExitCode.INTERRUPTED
    assert "trials request 1 cpu, 2 gpus; the biggest node has 1 cpu, 1 gpu" in output
    assert not project.ran


def test_a_killed_controller_leaves_no_worker(project, on_ray, cluster, monkeypatch):
    project.write(SWEEP % 1)
    monkeypatch.setenv("HOLD", "node1 node2 node3")
    with project.started(on_ray, "-n3", "--sweep-env=HOLD") as process:
        project.await_lines(3)
        assert len(cluster.pids("plugin.remote.node import main")) >= 3
        (controller,) = cluster.pids("m pytest .*sweep-on=ray")
        cluster.kill(controller)
        process.wait(TIMEOUT)
    project.wait(lambda: not cluster.pids("plugin.remote.node import main"))


def test_a_lost_node_is_no_fault_of_its_trial(project, on_ray, cluster, monkeypatch):
    project.write(SWEEP % 0)
    (project.path / "killed").touch()
    monkeypatch.setenv("HOLD", "node3")
    with project.started(on_ray, "-n3", "--junitxml=j.xml", "--sweep-env=HOLD") as process:
        project.wait(lambda: any("node3" in line for line in project.ran))
        (raylet,) = cluster.pids("raylet/raylet.*10.77.0.3")
        cluster.kill(raylet)
        output = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == 0, output
    assert "9 passed" in output
    assert "1 trial retried: node lost" in output
    assert project.states == {"complete": 9}
    assert 'errors="0" failures="0" skipped="0"' in (project.path / "j.xml").read_text()
