"""How a runner reaches the owner: by a call in one process, over a channel between two."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from itertools import count
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING, Any, Protocol, cast

from pytest_hypersearch.engine.messages import decode_reply, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_hypersearch.engine.messages import (
        AnswerT,
        AnyNotice,
        AnyRequest,
        Message,
        Refused,
        Reply,
        Request,
    )
    from pytest_hypersearch.engine.owner import Owner


POLL_SECONDS = 0.2


class Link(Protocol):
    """Carries a runner's messages to the owner, and the replies back."""

    def call(self, request: Request[AnswerT]) -> AnswerT | Refused:
        """Send a request and wait for its reply."""
        ...

    def send(self, notice: AnyNotice) -> None:
        """Send a message that has no reply."""
        ...


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let the clock of a time limit by signal stand still.

    What it raises would be taken for an error of the owner, or leave half a message behind. What
    the owner does is not the trial's time either.
    """
    if not hasattr(signal, "setitimer"):  # there are no such clocks
        yield
        return
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

    def call(self, request: Request[AnswerT]) -> AnswerT | Refused:
        """Let the owner reply; what would have to wait for other runners is answered at once.

        Only other sessions can free what they hold of this machine: for that it waits.
        """
        replies: list[Reply] = []
        with _undisturbed():
            self._owner.handle("", cast("AnyRequest", request), replies.append)
            while not replies:
                self._owner.release()
                if not replies:
                    sleep(POLL_SECONDS)
        return cast("AnswerT | Refused", replies[0])

    def send(self, notice: AnyNotice) -> None:
        """Hand the message over."""
        with _undisturbed():
            self._owner.note(notice)


class ChannelLink:
    """The owner lives at the other end of a channel that carries texts, such as execnet's."""

    def __init__(self, channel: Any) -> None:  # noqa: ANN401  any object with send and receive
        self._channel = channel
        self._numbers = count()
        self._lock = Lock()

    def call(self, request: Request[AnswerT]) -> AnswerT | Refused:
        """Send the request and wait for its reply; of several threads, one at a time.

        A call that a signal's exception has ended leaves a reply behind, which is passed over here.
        """
        with _undisturbed(), self._lock:
            number = self._post(cast("Message", request))
            while True:
                replied, reply = decode_reply(self._channel.receive())
                if replied == number:
                    return cast("AnswerT | Refused", reply)

    def send(self, notice: AnyNotice) -> None:
        """Send the message."""
        with _undisturbed():
            self._post(notice)

    def _post(self, message: Message) -> int:
        number = next(self._numbers)
        self._channel.send(encode(number, message))
        return number
