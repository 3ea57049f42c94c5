"""What a worker tells xdist: in few messages, and cheap ones.

execnet encodes an event value by value, in Python, which takes a third of the time of a trivial
test. Here events are bytes to it, and those of trials that are replayed travel together: what is
lost of them with a worker is replayed by another.
"""

from __future__ import annotations

import marshal
from itertools import islice
from threading import RLock
from typing import Any, Final

import pytest

from pytest_hypersearch.core.values import monotonic

VERSION: Final = 2
"""Of marshal's format: one that all versions of Python 3 know, for workers of another version."""

LONGEST_SECONDS: Final = 0.1
"""How long events may wait for others."""


class WorkerEvents:
    """Sends the events of xdist's plugin in a worker.

    Args:
        interactor: The plugin; its attributes are private to xdist.

    Attributes:
        may_wait: Whether the events of the item at hand may wait for those of the next.
    """

    def __init__(self, interactor: Any) -> None:  # noqa: ANN401  xdist has no types
        self.may_wait = False
        self._interactor = interactor
        self._waiting: list[tuple[str, dict[str, Any]]] = []
        self._since = 0.0
        self._lock = RLock()  # what is stolen is told by execnet's thread
        interactor.sendevent = self.send

    @classmethod
    def of(cls, manager: pytest.PytestPluginManager) -> WorkerEvents:
        """Take over from the plugin of a worker's session, which has no name."""
        names = ((type(each).__name__, each) for each in manager.get_plugins())
        return cls(next(each for name, each in names if name == "WorkerInteractor"))

    def upcoming(self, count: int) -> list[pytest.Item]:
        """The items after the next one, as far as the worker has them."""
        items = self._interactor.session.items
        with self._interactor.torun.lock() as indices:
            return [items[i] for i in islice(indices, count) if isinstance(i, int)]

    def send(self, name: str, **values: Any) -> None:  # noqa: ANN401  as xdist's own
        """Send an event, or let it wait for the next."""
        now = monotonic()
        with self._lock:
            if not self._waiting:
                self._since = now
            self._waiting.append((name, values))
            if not (self._waits(name, values) and now - self._since < LONGEST_SECONDS):
                self._flush()

    def flush(self) -> None:
        """Send what waits."""
        with self._lock:
            self._flush()

    def _waits(self, name: str, values: dict[str, Any]) -> bool:
        if name == "logfinish":  # the item is complete at once
            return True
        if name == "testreport":
            when, outcome = values["data"].get("when"), values["data"].get("outcome")
            # The call follows. A teardown is told at once: a worker that dies then harms no trial.
            is_set_up = when == "setup" and outcome == "passed"
            return is_set_up or (self.may_wait and outcome != "failed")
        if name == "runtest_protocol_complete":
            # Else this worker may wait for more.
            return self.may_wait and len(self.upcoming(2)) == 2  # noqa: PLR2004
        return name == "logstart" and self.may_wait

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        channel = self._interactor.channel
        try:
            channel.send(marshal.dumps(waiting, VERSION))
        except ValueError:  # execnet says which value it is
            for event in waiting:
                channel.send(event)


def unpack_events(node: Any) -> None:  # noqa: ANN401  xdist's controller of a worker
    """Let xdist have the events of a worker one by one."""
    receive = node.process_from_remote

    def receive_all(sent: Any) -> None:  # noqa: ANN401  execnet's mark of the end, or an event
        if type(sent) is not bytes:
            receive(sent)
            return
        for event in marshal.loads(sent):  # noqa: S302  a worker may run any code anyway
            receive(event)

    node.process_from_remote = receive_all
