"""What a launcher of workers has to do, and the handshake with a worker that it has started.

A launcher opens pipes to Python processes, wherever they run. What goes through a pipe is the same
for all launchers, and each step is taken by one side::

    worker      HELLO: `Facts`, after whatever the shell or the batch system has said
    controller  `Welcome`, or the end: its packages differ
    worker      `Ready` with the project's directory, empty if it lacks the files
    controller  `Size` of an archive, and the archive    (only if it lacks them)
    worker      `Ready` with the directory of its copy   (likewise)
    both        execnet's messages: xdist's channel and the private one to the owner

Each message of the handshake is JSON after its length. The pipe may be silent before HELLO for as
long as a cluster has no room, and it may end at any moment: then the worker is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import field
from typing import Final, Protocol, TypeAlias, TypeVar

from pytest_hypersearch.core.codec import json_object, read_fields
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.sweep import Demand
from pytest_hypersearch.engine.resources.machine import Machine

HELLO: Final = b"\npytest-hypersearch-worker-1 "
MOST_NOISE: Final = 1 << 16


class Pipe(Protocol):
    """The standard streams of a process that may not have started yet."""

    def read(self, count: int) -> bytes:
        """Read exactly so many bytes.

        Raises:
            EOFError: The pipe has ended; the message says how.
        """
        ...

    def write(self, data: bytes) -> None:
        """Write all of it, now or later.

        Raises:
            OSError: The pipe has ended.
        """
        ...

    def close(self) -> None:
        """Say that nothing more will be written."""
        ...

    def wait(self) -> None:
        """Wait for the process to end."""
        ...

    def kill(self) -> None:
        """End the process, or give up waiting for it; `read` ends."""
        ...

    def lost_node(self) -> bool:
        """Whether not the process has ended the pipe, but its node or the way there."""
        ...


class Launcher(Protocol):
    """Starts workers by an engine or a command.

    Attributes:
        shared: Whether the workers of a node share what it has; else each has its own part.
        shaped: Whether workers are of the size that is asked for: then one of the smallest collects
            the tests, and the others are asked for when their demand is known.
    """

    shared: bool
    shaped: bool

    def start(self, number: int, demand: Demand) -> Pipe:
        """Ask for the worker of a number in the session, whose trials demand this.

        Raises:
            OSError: There is nothing that could start it.
        """
        ...

    def fitting(self) -> int:
        """How many workers there is room for."""
        ...

    def together(self, number: int, count: int) -> int:
        """How many of a session's so many workers may be on the node of this one, which counts."""
        ...

    def lacks(self, demand: Demand) -> str:
        """Tell what no node can ever give, with what the biggest has; empty if one can."""
        ...

    def close(self) -> None:
        """End what was started beside the workers."""
        ...


@frozen
class Facts:
    """What a worker says of itself.

    Attributes:
        host: The node's name.
        pid: Its process.
        versions: Of Python and of the packages that must be the same everywhere; empty if missing.
        machine: What it has of the node.
        processors: How many cores the node has, also those that are not the worker's.
    """

    host: str
    pid: int
    versions: dict[str, str]
    machine: Machine
    processors: int


@frozen
class Welcome:
    """What the controller says to a worker that it takes.

    Attributes:
        worker: Its id.
        root: The project's root directory on the controller.
        below: The directory below it in which pytest was called.
        files: The project's files with their digests; of one too large to be sent, its code alone.
        landmark: A file below the root that is there during the session, empty if none can be: who
            sees it has these very files, and may see them change.
        environment: Variables to set.
        unsent: The names of other variables that the controller has.
    """

    worker: str
    root: str
    below: str
    files: dict[str, str]
    landmark: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    unsent: list[str] = field(default_factory=list)


@frozen
class Ready:
    """Where the project's root directory is on the worker's node, empty if it is not there."""

    root: str


@frozen
class Size:
    """How many bytes of archive follow; none if the project is too large to be sent."""

    bytes: int


Message: TypeAlias = Facts | Welcome | Ready | Size
MessageT = TypeVar("MessageT", Facts, Welcome, Ready, Size)


def encoded(message: Message) -> bytes:
    """Write a message: the length of its JSON in hexadecimal digits, then that."""
    body = json.dumps(message, default=json_object).encode()
    return (HELLO if isinstance(message, Facts) else b"") + b"%08x" % len(body) + body


def read_message(read: Callable[[int], bytes], kind: type[MessageT]) -> MessageT:
    """Read a message; what stands before HELLO is passed over.

    Raises:
        EOFError: The pipe has ended.
        ValueError: What was read is no such message.
    """
    said = bytearray()
    while kind is Facts and not said.endswith(HELLO):
        said += read(1)
        if len(said) > MOST_NOISE:
            raise ValueError(f"expected a worker, it says {bytes(said[:80])!r}")
    text = read(8)
    try:
        text = read(int(text, 16))
        return read_fields(kind, json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"expected {kind.__name__}, it says {text[:80]!r}") from error
