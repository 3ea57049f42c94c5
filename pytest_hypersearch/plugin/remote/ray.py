"""Workers on a Ray cluster: each is held by an actor, which passes on its standard streams.

The cluster decides where an actor runs and waits until there is room; what the actor asked for is
the worker's part of its node. Nothing else of Ray is used: files, variables and messages go through
the pipe. What Ray's own messages say is not shown.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing, suppress
from threading import Lock, current_thread, main_thread
from time import sleep
from typing import Any, Final

from pytest_hypersearch.core.sweep import Demand, size
from pytest_hypersearch.core.values import monotonic, plural, shown_number

CHUNK: Final = 1 << 16
PAUSE_SECONDS: Final = 0.0005
LOCAL: Final = "local"
PROBE: Final = (
    "import sys, ray; "
    "ray.init(address=sys.argv[1], log_to_driver=False, logging_level='critical'); "
    "ray.nodes()"
)
PROBE_SECONDS: Final = 60  # Python's own start may take long on a busy node
CONNECT_SECONDS: Final = 5
LOOK_SECONDS: Final = 2.0
HEAD_SECONDS: Final = 30  # a head that keeps its state elsewhere may be started again
# Ray waits a minute or two for a port that does not answer, and for a node where there is none.
IMPATIENT: Final = {
    "RAY_gcs_rpc_server_connect_timeout_s": "2",
    "RAY_gcs_server_port_wait_time_s": "1",
    "RAY_gcs_server_request_timeout_seconds": "8",
    "RAY_py_gcs_connect_timeout_s": "5",
}
HINTS: Final = {
    "token": "; set RAY_AUTH_MODE and its token",
    "No node info found": "; this machine is none of its nodes",
}
# A worker ends with its actor, which ends with its driver: both by the kernel.
WORKER: Final = (
    "import ctypes, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9); "
    "from pytest_hypersearch.plugin.remote.node import main; main()"
)


class Head:
    """The process that knows of all nodes; without it workers go on, but none are started.

    Args:
        address: ``HOST:PORT``.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._lock = Lock()
        self._looked = self._answered = monotonic()

    def is_lost(self) -> bool:
        """Whether it has not answered for a while in which it was looked for."""
        with self._lock:
            now = monotonic()
            pause = now - self._looked
            if pause >= LOOK_SECONDS:
                self._looked = now
                self._answered += max(0.0, pause - 2 * LOOK_SECONDS)  # nobody looked
                if self.answers():
                    self._answered = now
            return now - self._answered > HEAD_SECONDS

    def answers(self) -> bool:
        """Whether it answers: Ray would wait for good if it does not."""
        with suppress(OSError), closing(_connect(self.address)):
            return True
        return False

    def wait(self) -> None:
        """Wait for it to answer.

        Raises:
            OSError: It is lost.
        """
        while not self.answers():
            if self.is_lost():
                raise OSError(f"the cluster has lost its head, {self.address}")
            sleep(LOOK_SECONDS)


class ActorPipe:
    """The standard streams of a worker that an actor holds."""

    def __init__(self, ray: Any, actor: Any, head: Head) -> None:  # noqa: ANN401  a module, and a class of its making
        self._ray = ray
        self._actor = actor
        self._head = head
        self._is_up = self._is_killed = False
        output = actor.output.options(concurrency_group="out", num_returns="streaming")
        self._output = output.remote()
        self._write = actor.write.options(concurrency_group="in", num_returns=0)
        self._received = bytearray()
        self._is_actor_lost = False

    def read(self, count: int) -> bytes:
        """Read exactly so many bytes; see `Pipe`."""
        while len(self._received) < count:
            try:
                self._await_start()
                self._received += self._ray.get(next(self._output))
            except StopIteration:
                self.kill()  # it would go on holding its part of the cluster
                raise EOFError("the process has ended") from None
            except self._ray.exceptions.RayError as error:
                self._is_actor_lost = True
                self.kill()
                raise EOFError(str(error).strip().partition("\n")[0]) from None
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def _await_start(self) -> None:
        """Wait for the cluster to have room: for good, if it has lost its head."""
        while not self._is_up:
            ready, _ = self._ray.wait([self._output], timeout=LOOK_SECONDS)
            self._is_up = bool(ready)
            if not ready and (self._is_killed or self._head.is_lost()):
                raise EOFError("it has not started")

    def write(self, data: bytes) -> None:
        """Send it; the actor writes in the order of the calls."""
        self._write.remote(data)

    def close(self) -> None:
        """Do nothing: workers end by execnet's message."""

    def wait(self) -> None:
        """Do nothing: `read` has ended the actor."""

    def kill(self) -> None:
        """End the actor and with it the worker."""
        self._is_killed = True
        self._ray.kill(self._actor)

    def lost_node(self) -> bool:
        """Whether not the process has ended but its actor, as with a node."""
        return self._is_actor_lost


class RayLauncher:
    """Starts workers as actors.

    Args:
        address: ``local`` for a private cluster on this machine, ``HOST:PORT`` of a cluster's head,
            or empty for that of ``RAY_ADDRESS``, else the one that this machine is a node of.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: There is no such cluster, or it does not let us in.
    """

    shared = False
    shaped = True

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = address or os.environ.get("RAY_ADDRESS") or "auto"
        if address != LOCAL:
            # A process whose cluster has lost its head is aborted by Ray, a minute later.
            os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(10**6))
        import ray

        self._ray: Any = ray
        if address != LOCAL:
            _probe(address)
        handler = signal.getsignal(signal.SIGTERM)
        options: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
        ray.init(address=address, log_to_driver=False, logging_level="critical", **options)
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray raises SystemExit, wherever we are
        self._head = Head(ray.get_runtime_context().gcs_address)
        self._holder = _holder(ray)

    def start(self, number: int, demand: Demand) -> ActorPipe:  # noqa: ARG002  the cluster says where
        """Ask for an actor with what a trial demands, one core at least."""
        self._head.wait()
        actor = self._holder.options(
            num_cpus=max(1, demand.cpus), num_gpus=demand.gpus, memory=demand.memory or None
        ).remote(WORKER)
        return ActorPipe(self._ray, actor, self._head)

    def fitting(self) -> int:
        """As many as there are free cores, one at least."""
        return max(1, int(self._ray.available_resources().get("CPU", 0)))

    def together(self, number: int, count: int) -> int:  # noqa: ARG002  the protocol
        """None beside it: each has its own part of its node."""
        return 1

    def lacks(self, demand: Demand) -> str:
        """Compare with the nodes; one that may join later does not count."""
        if not self._head.answers():
            return ""
        wanted = _resources(demand)
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(all(node.get(k, 0) >= v for k, v in wanted.items()) for node in nodes):
            return ""
        biggest = max(nodes, key=lambda node: [node.get(k, 0) for k in reversed(wanted)])
        return f"{_text(wanted)}; the biggest node has {_text(biggest)}"

    def close(self) -> None:
        """Leave the cluster; a private one ends."""
        self._ray.shutdown()


def _resources(demand: Demand) -> dict[str, float]:
    """A demand in Ray's words."""
    wanted = {"CPU": max(1, demand.cpus), "memory": demand.memory, "GPU": demand.gpus}
    return {name: amount for name, amount in wanted.items() if amount}


def _text(resources: dict[str, float]) -> str:
    words = [plural(resources.get(k, 0), word) for k, word in (("CPU", "cpu"), ("GPU", "gpu"))]
    memory = int(resources.get("memory", 0))
    return ", ".join([*words, f"{size(memory)} of memory"] if memory else words)


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), CONNECT_SECONDS)


def _probe(address: str) -> None:
    """Make sure that a cluster answers and lets us in: Ray may abort the process otherwise.

    Raises:
        ValueError: It does not.
    """
    if address.startswith("ray://"):
        raise ValueError(f"{address}: expected HOST:PORT, from a node of the cluster or from a job")
    try:
        if ":" in address:
            _connect(address).close()
        said = subprocess.run(  # noqa: S603  our own command
            [sys.executable, "-c", PROBE, address],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
            env={**os.environ, **IMPATIENT},
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"no cluster at {address}: {error}") from None
    except subprocess.TimeoutExpired:
        raise ValueError(f"no answer from {address} in {shown_number(PROBE_SECONDS)} s") from None
    if said.returncode:
        last = (said.stderr.strip().splitlines() or [f"exit code {said.returncode}"])[-1]
        hint = next((hint for text, hint in HINTS.items() if text in said.stderr), "")
        raise ValueError(f"no cluster at {address}: {last}{hint}")


def _holder(ray: Any) -> Any:  # noqa: ANN401  see above
    """Make the class of actors that start a worker and hold its streams."""

    class Holder:
        """Sent to the node by value."""

        def __init__(self, code: str) -> None:
            import subprocess
            import sys

            self.process = subprocess.Popen(  # noqa: S603  our own command
                [sys.executable, "-P", "-u", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )

        def write(self, data: bytes) -> None:
            view = memoryview(data)
            while view:
                view = view[self.process.stdin.write(view) :]  # type: ignore[union-attr]

        def output(self) -> Any:  # noqa: ANN401  a generator, by which Ray streams
            import os
            from select import select

            source = self.process.stdout.fileno()  # type: ignore[union-attr]
            while chunk := os.read(source, CHUNK):
                # A worker writes small messages in quick succession, and each part costs a call.
                while len(chunk) < CHUNK and select([source], [], [], PAUSE_SECONDS)[0]:
                    if not (more := os.read(source, CHUNK)):
                        break
                    chunk += more
                yield chunk

    return ray.remote(
        max_restarts=0,
        max_task_retries=0,
        enable_task_events=False,  # for the dashboard: each message would be one
        scheduling_strategy="SPREAD",
        concurrency_groups={"in": 1, "out": 1},
    )(Holder)
