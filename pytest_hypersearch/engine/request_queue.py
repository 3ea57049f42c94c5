"""The desk at which runners' messages are answered: at once, or when there is an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_hypersearch.core.errors import NotYetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from pytest_hypersearch.engine.messages import Message

    Answer: TypeAlias = Callable[[Message], None]


class Reply(Protocol):
    """Finds what to answer."""

    def __call__(self, worker: str, message: Message, *, force: bool) -> Message:
        """The answer to a message, from what is known if ``force``; else it may be too early.

        Raises:
            NotYetError: The answer depends on what other runners are still to tell.
        """


class Desk:
    """Messages of runners, one at a time; those without an answer yet wait.

    Args:
        reply: Finds what to answer.
        order: By what those who wait come in turn.
    """

    def __init__(self, reply: Reply, order: Callable[[Message], tuple[int, int]]) -> None:
        self._reply = reply
        self._order = order
        self._waiting: list[tuple[str, Message, Answer]] = []

    @property
    def waiting(self) -> list[tuple[str, Message]]:
        """The messages that wait, each with its worker."""
        return [(worker, message) for worker, message, _ in self._waiting]

    def take(self, worker: str, message: Message, answer: Answer) -> None:
        """Take a message; it may be what others have waited for."""
        self._serve(worker, message, answer)
        self.look_again()

    def look_again(self) -> None:
        """Answer those who wait, as far as there are answers now."""
        while self._waiting:
            waiting = self._in_turn()
            self._waiting = []
            for each in waiting:
                self._serve(*each)
            if len(self._waiting) == len(waiting):
                return

    def force_first(self) -> None:
        """Answer the first who waits from what is known: nothing more is coming."""
        if self._waiting:
            first, *self._waiting = self._in_turn()
            self._serve(*first, force=True)

    def forget(self, worker: str) -> None:
        """Answer a worker no more."""
        self._waiting = [waiting for waiting in self._waiting if waiting[0] != worker]

    def _in_turn(self) -> list[tuple[str, Message, Answer]]:
        return sorted(self._waiting, key=lambda waiting: self._order(waiting[1]))

    def _serve(self, worker: str, message: Message, answer: Answer, *, force: bool = False) -> None:
        try:
            answer(self._reply(worker, message, force=force))
        except NotYetError:
            self._waiting.append((worker, message, answer))
