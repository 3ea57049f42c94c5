"""Trials in processes of their own: pytest once more, for a single item.

The item's pytest starts it (`parent`), and shows its reports as its own; between the two goes a
line that also carries the trial's messages to the owner.
"""

from __future__ import annotations

import os
import pickle
import socket
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.plugin.xdist.events import encoded

if TYPE_CHECKING:  # half of what sessions without isolated trials would import from here
    from multiprocessing.connection import Connection

ISOLATED = "hypersearch_isolated"


def is_isolated(config: pytest.Config) -> bool:
    """Whether this process is there for a single trial."""
    return ISOLATED in getattr(config, "workerinput", {})


@frozen
class Spec:
    """What the child has to run.

    Attributes:
        args: The command line of pytest.
        path: What to collect: the test by its file.
        nodeid: The item that is the trial.
        basetemp: The directory for temporary ones, empty for pytest's own choice.
        workerinput: What the child knows as a worker.
    """

    args: list[str]
    path: str
    nodeid: str
    basetemp: str
    workerinput: dict[str, Any]


class Line:
    """One end of the line; several threads may send."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = Lock()

    def send(self, kind: str, body: object = None) -> None:
        """Send plain values; of others within them, what tests hand to pytest, their texts.

        Raises:
            OSError: The other end is gone.
        """
        message = encoded((kind, body))
        with self._lock:
            self.connection.send_bytes(message)

    def receive(self) -> tuple[str, Any]:
        """Wait for what the other end sends.

        Raises:
            EOFError, OSError: The other end is gone.
        """
        kind, body = pickle.loads(self.connection.recv_bytes())  # noqa: S301  our own process
        return kind, body

    def send_files(self, kind: str, *files: int) -> None:
        """Send open files, by their descriptors; errors as in `send`."""
        message = encoded((kind, None))
        with self._lock, self._socket() as end:
            self.connection.send_bytes(message)
            socket.send_fds(end, [b"."], files)

    def receive_files(self, count: int) -> list[int]:
        """Receive the files that come next, to be closed by the caller; errors as in `receive`."""
        with self._socket() as end:
            return socket.recv_fds(end, 1, count)[1]

    def _socket(self) -> socket.socket:
        return blocking(socket.socket(fileno=os.dup(self.connection.fileno())))


def blocking(end: socket.socket) -> socket.socket:
    """A socket that waits, whatever default timeout the project has set: a line knows none."""
    end.setblocking(True)
    return end
