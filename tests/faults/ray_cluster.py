"""Three Ray nodes of one core, in namespaces of their own."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

UNSHARE = ["unshare", "-n", "-p", "-m", "-f", "--mount-proc", "--kill-child=KILL"]
NETWORK = "ip link set lo up && " + " && ".join(
    f"ip addr add 10.77.0.{node}/24 dev lo" for node in (1, 2, 3, 4)
)
# The dead are gone at once: a node is not lost to Ray while its process is there as a zombie.
FIRST = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.pause()"
TIMEOUT = 300
# Both shorter than Ray's: how long nodes look for a lost head, and the head for a lost node.
SOON = {
    "RAY_gcs_rpc_server_reconnect_timeout_s": "15",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_timeout_ms": "5000",
}
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "3" * 64, "RAY_USAGE_STATS_ENABLED": "0"}


def why_not():
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed"
    if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        return "needs unshare, nsenter and ip"
    tried = subprocess.run([*UNSHARE, "sh", "-c", NETWORK], capture_output=True, check=False)
    return "needs the right to make namespaces" if tried.returncode else ""


class Cluster:
    """Three nodes; all their processes end with the first one of their namespace."""

    address = "10.77.0.1:6379"
    worker = "plugin.remote.node import main"

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

    def start(self, node, cpus=1):
        head = ["--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        ray = [Path(sys.executable).with_name("ray"), "start", f"--node-ip-address=10.77.0.{node}"]
        ray += head if node == 1 else [f"--address={self.address}"]
        ray += [f"--num-cpus={cpus}", "--num-gpus=1", "--object-store-memory=100000000"]
        named = ["unshare", "-u", "sh", "-c", f'hostname node{node} && exec "$@"', "sh"]
        subprocess.run(
            [*self.enter, *named, *ray],
            check=True,
            capture_output=True,
            timeout=TIMEOUT,
            env={**os.environ, **TOKEN, **SOON},
        )

    def pids(self, words):
        command = [*self.enter, "pgrep", "-f", words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()

    def of_node(self, node):
        """The processes of a node, the first of which is its raylet."""
        (raylet,) = self.pids(f"raylet/raylet.*10.77.0.{node}")
        tree = [raylet]
        for pid in tree:
            command = [*self.enter, "pgrep", "-P", pid]
            tree += subprocess.run(
                command, capture_output=True, text=True, check=False
            ).stdout.split()
        return tree

    def kill(self, *pids, signal="KILL"):
        subprocess.run([*self.enter, "kill", f"-{signal}", *pids], check=True)

    def controller(self):
        (pid,) = self.pids("m pytest .*sweep-on=ray")
        return pid

    def is_empty(self):
        return not self.pids(self.worker) and not self.pids("ray::Holder")


@contextmanager
def cluster():
    """Start three nodes, and end them."""
    started = Cluster(Path(tempfile.mkdtemp(prefix="ray-")))  # sockets need a short path
    try:
        yield started
    finally:
        os.kill(started.first, signal.SIGKILL)
        started.process.communicate()
        shutil.rmtree(started.folder, ignore_errors=True)
