"""How a runner reaches the owner: by a call in one process, over a channel between two."""

from __future__ import annotations

import os
import signal
from itertools import count
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from pytest_hypersearch.engine import messages

if TYPE_CHECKING:  # workers and isolated trials have no owner, and start more quickly without
    from pytest_hypersearch.engine.owner import Owner

POLL_SECONDS = 0.2
FORKED: Final = "this process was forked by a test; expected it in the test's own process"
_HAS_CLOCKS = hasattr(signal, "setitimer")


class Link(Protocol):
    """Carries a runner's messages to the owner, and the replies back."""

    def call(
        self, request: messages.Request[messages.AnswerT]
    ) -> messages.AnswerT | messages.Refused:
        """Send a request and wait for its reply."""
        ...

    def send(self, notice: messages.AnyNotice) -> None:
        """Send a message that has no reply."""
        ...

    def is_fork(self) -> bool:
        """Tell whether this is another process than that which made the link."""
        ...


class _Undisturbed:
    """Lets the clock of a time limit by signal stand still.

    What it raises would be taken for an error of the owner, or leave half a message behind. What
    the owner does is not the trial's time either.
    """

    __slots__ = ("_left",)

    def __enter__(self) -> None:
        self._left = signal.setitimer(signal.ITIMER_REAL, 0) if _HAS_CLOCKS else (0.0, 0.0)

    def __exit__(self, *_: object) -> None:
        if self._left[0]:
            signal.setitimer(signal.ITIMER_REAL, *self._left)


class _Here:
    """Refuses messages of forks.

    They have a copy of the owner, or the same channel without the thread that receives replies.
    """

    def __init__(self) -> None:
        self._process = os.getpid()

    def is_fork(self) -> bool:
        """Tell whether this is another process than that which made the link."""
        return os.getpid() != self._process

    def _refuse_forks(self) -> None:
        __tracebackhide__ = True
        if self.is_fork():
            raise RuntimeError(f"pytest-hypersearch: {FORKED}")


class DirectLink(_Here):
    """The owner lives in this process, and this is its only runner."""

    def __init__(self, owner: Owner) -> None:
        super().__init__()
        self._owner = owner

    def call(
        self, request: messages.Request[messages.AnswerT]
    ) -> messages.AnswerT | messages.Refused:
        """Let the owner reply; what would have to wait for other runners is answered at once.

        Only other sessions can free what they hold of this machine: for that it waits.
        """
        __tracebackhide__ = True
        self._refuse_forks()
        replies: list[messages.Reply] = []
        with _Undisturbed():
            self._owner.handle("", cast("messages.AnyRequest", request), replies.append)
            while not replies:
                self._owner.release()
                if not replies:
                    sleep(POLL_SECONDS)
        return cast("messages.AnswerT | messages.Refused", replies[0])

    def send(self, notice: messages.AnyNotice) -> None:
        """Hand the message over."""
        self._refuse_forks()
        with _Undisturbed():
            self._owner.note(notice)


class ChannelLink(_Here):
    """The owner lives at the other end of a channel that carries texts, such as execnet's."""

    def __init__(self, channel: Any) -> None:  # noqa: ANN401  any object with send and receive
        super().__init__()
        self._channel = channel
        self._numbers = count()
        self._lock = Lock()

    def call(
        self, request: messages.Request[messages.AnswerT]
    ) -> messages.AnswerT | messages.Refused:
        """Send the request and wait for its reply; of several threads, one at a time.

        A call that a signal's exception has ended leaves a reply behind, which is passed over here.
        """
        __tracebackhide__ = True
        self._refuse_forks()
        with _Undisturbed(), self._lock:
            number = self._post(cast("messages.Message", request))
            while True:
                replied, reply = messages.decode_reply(self._channel.receive())
                if replied == number:
                    return cast("messages.AnswerT | messages.Refused", reply)

    def send(self, notice: messages.AnyNotice) -> None:
        """Send the message."""
        self._refuse_forks()
        with _Undisturbed():
            self._post(notice)

    def _post(self, message: messages.Message) -> int:
        number = next(self._numbers)
        self._channel.send(messages.encode(number, message))
        return number
