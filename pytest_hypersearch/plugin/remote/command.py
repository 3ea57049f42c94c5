"""Workers that a command starts: ``ssh``, ``srun``, ``kubectl exec``, ``docker run``."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from typing import Final

from pytest_hypersearch.core.sweep import Demand

ARGS: Final = "-P -u -m pytest_hypersearch.plugin.remote.node"
LOST_WAY: Final = 255
"""Exit code of ssh when the connection is gone; srun and kubectl have no such code."""

PATIENCE_SECONDS = 3.0


class ProcessPipe:
    """The standard streams of a command; what it says on stderr is shown."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603  the user's command
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=-1,
            process_group=0,  # a shell leaves behind what it has started if it is ended alone
        )

    def read(self, count: int) -> bytes:
        """Read exactly so many bytes; see `Pipe`."""
        data = self._process.stdout.read(count)  # type: ignore[union-attr]
        if len(data) < count:
            self.close()
            self._process.stdout.close()  # type: ignore[union-attr]
            raise EOFError(f"exit code {self._ended()}")
        return data

    def write(self, data: bytes) -> None:
        """Write all of it."""
        self._process.stdin.write(data)  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]

    def close(self) -> None:
        """Let the worker end."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]

    def wait(self) -> None:
        """Wait for the command to end."""
        self._process.wait()

    def kill(self) -> None:
        """End the command and what it has started: such as srun and docker hand the signal on."""
        self._signal(signal.SIGTERM)
        self._ended()

    def lost_node(self) -> bool:
        """Whether ssh has lost its connection."""
        return self._ended() == LOST_WAY

    def _ended(self) -> int:
        """Wait for the exit code of a command whose output has ended."""
        try:
            return self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            return self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class CommandLauncher:
    """Starts workers by commands, in turn.

    Args:
        commands: Each with ``{python}`` for this Python and what it is to do, or ``{args}`` for the
            latter alone; ``4*`` in front makes four workers of it.

    Raises:
        ValueError: A command has neither, or makes no worker.
    """

    shared = True
    shaped = False

    def __init__(self, commands: list[str]) -> None:
        self._commands: list[list[str]] = []
        for text in commands:
            count, star, rest = text.partition("*")
            counted = bool(star) and count.isdecimal()
            if counted and not int(count):
                raise ValueError("expected at least one worker, as in '4*{python}'")
            words = _words(rest if counted else text)
            self._commands += [words] * (int(count) if counted else 1)

    def start(self, number: int, demand: Demand) -> ProcessPipe:  # noqa: ARG002  the command says
        """Run the next command."""
        return ProcessPipe(self._commands[number % len(self._commands)])

    def fitting(self) -> int:
        """As many as there are commands."""
        return len(self._commands)

    def together(self, number: int, count: int) -> int:
        """As many as the same command starts."""
        own = self._commands[number % len(self._commands)]
        return sum(self._commands[i % len(self._commands)] == own for i in range(count))

    def lacks(self, demand: Demand) -> str:  # noqa: ARG002  the protocol
        """Leave it to what the workers say of their nodes."""
        return ""

    def close(self) -> None:
        """Do nothing: commands end with their workers."""


def _words(text: str) -> list[str]:
    python = f"{shlex.quote(sys.executable)} {ARGS}"
    command = text.replace("{python}", python).replace("{args}", ARGS)
    if command == text:
        raise ValueError("expected {python} or {args} in it, as in 'ssh host {python}'")
    return shlex.split(command)
