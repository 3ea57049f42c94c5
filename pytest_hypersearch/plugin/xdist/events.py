"""What a worker tells xdist: in few messages, and cheap ones.

execnet encodes an event value by value, in Python, which takes a third of the time of a trivial
test. Here events are bytes to it, and those of trials that are replayed travel together: what is
lost of them with a worker is replayed by another.
"""

from __future__ import annotations

import io
import pickle
from contextlib import suppress
from itertools import islice
from threading import Event, RLock, Thread
from typing import Any, Final

import pytest

from pytest_hypersearch.core.values import portable, text_of

PROTOCOL: Final = 5
"""Of pickle's format: one that all versions of Python know here, for workers of another version."""

LONGEST_SECONDS: Final = 0.1
"""How long events may wait for others."""

QUICK_SECONDS: Final = 0.01
"""How long a setup takes at most whose report may wait for that of the call."""


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
        self._waiting: list[bytes] = []
        self._lock = RLock()  # what is stolen is told by execnet's thread
        self._over = Event()
        interactor.sendevent = self.send
        Thread(target=self._watch, daemon=True).start()

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
        event = encoded((name, values))  # at once: a test may change what it has recorded
        with self._lock:
            self._waiting.append(event)
            if not self._waits(name, values):
                self.flush()
        if name == "workerfinished":
            self._over.set()

    def flush(self) -> None:
        """Send what waits."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            if waiting:
                self._interactor.channel.send(pickle.dumps(waiting, PROTOCOL))

    def _waits(self, name: str, values: dict[str, Any]) -> bool:
        if name == "logfinish":  # the item is complete at once
            return True
        if name == "testreport":
            report = values["data"]
            # Its call follows. A teardown is told at once: a worker that dies then harms no trial.
            is_set_up = report.get("when") == "setup" and report.get("duration", 1) < QUICK_SECONDS
            return (is_set_up or self.may_wait) and report.get("outcome") != "failed"
        if name == "runtest_protocol_complete":
            # Else this worker may wait for more.
            return self.may_wait and len(self.upcoming(2)) == 2  # noqa: PLR2004
        return name == "logstart" and self.may_wait

    def _watch(self) -> None:
        """Send what waits while a test takes long."""
        with suppress(OSError):  # the controller is gone
            while not self._over.wait(LONGEST_SECONDS):
                self.flush()


def encoded(event: object) -> bytes:
    """Return what `pickle` reads: values of Python's own types, the texts of others."""
    try:
        return _pickled(event)
    except RecursionError:
        return _pickled(portable(event))


def _pickled(event: object) -> bytes:
    file = io.BytesIO()
    _Pickler(file, PROTOCOL).dump(event)
    return file.getvalue()


class _Pickler(pickle.Pickler):
    """Writes values of Python's own types, and of what else a report may hold its text.

    So ``record_property("loss", numpy.float64(0.5))`` is in the JUnit XML what it is without
    workers: the controller need not import its class.
    """

    def reducer_override(self, obj: object) -> Any:  # noqa: ANN401  as pickle's own
        # Called for all but numbers, texts, bytes and containers of exactly these types.
        return NotImplemented if obj is str else (str, (text_of(obj),))


def unpack_events(node: Any) -> None:  # noqa: ANN401  xdist's controller of a worker
    """Let xdist have the events of a worker one by one."""
    receive = node.process_from_remote

    def receive_all(sent: Any) -> None:  # noqa: ANN401  execnet's mark of the end, or an event
        if type(sent) is not bytes:
            receive(sent)
            return
        for event in pickle.loads(sent):  # noqa: S301  a worker may run any code anyway
            receive(pickle.loads(event))  # noqa: S301

    node.process_from_remote = receive_all
