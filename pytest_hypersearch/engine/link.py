"""How a runner reaches the owner: by a call in one process, over a channel between two."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from itertools import count
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_hypersearch.engine.messages import Message
    from pytest_hypersearch.engine.owner import Owner


POLL_SECONDS = 0.2


class Link(Protocol):
    """Carries messages to the owner and brings its answers."""

    def call(self, message: Message) -> Message:
        """Send a message and wait for its answer."""
        ...

    def send(self, message: Message) -> None:
        """Send a message that has no answer."""
        ...


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let the clock of a time limit by signal stand still.

    What it raises would be taken for an error of the owner, or leave half a message behind. What
    the owner does is not the trial's time either.
    """
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, interval)


class DirectLink:
    """The owner lives in this process, and this is its only runner."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def call(self, message: Message) -> Message:
        """Let the owner answer; what would have to wait for other runners is answered at once.

        Only other sessions can free what they hold of this machine: for that it waits.
        """
        answers: list[Message] = []
        with _undisturbed():
            self._owner.handle("", message, answers.append)
            while not answers:
                self._owner.release()
                if not answers:
                    sleep(POLL_SECONDS)
        return answers[0]

    def send(self, message: Message) -> None:
        """Hand the message over."""
        with _undisturbed():
            self._owner.handle("", message, _ignore)


class ChannelLink:
    """The owner lives at the other end of a channel that carries texts, such as execnet's.

    A text is a JSON list of a number and the message; the answer bears the number of its message.
    """

    def __init__(self, channel: Any) -> None:  # noqa: ANN401  any object with send and receive
        self._channel = channel
        self._numbers = count()
        self._lock = Lock()

    def call(self, message: Message) -> Message:
        """Send the message and wait for its answer; of several threads, one at a time.

        A call that a signal's exception has ended leaves an answer behind, which is passed over
        here.
        """
        with _undisturbed(), self._lock:
            number = self._post(message)
            while True:
                answered, answer = json.loads(self._channel.receive())
                if answered == number:
                    found: Message = answer
                    return found

    def send(self, message: Message) -> None:
        """Send the message."""
        with _undisturbed():
            self._post(message)

    def _post(self, message: Message) -> int:
        number = next(self._numbers)
        self._channel.send(json.dumps([number, message]))
        return number


def _ignore(_answer: Message) -> None:
    """A message without an answer."""
