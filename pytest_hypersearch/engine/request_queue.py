"""Request queue with deferred replies: a request is answered at once, or when it can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from pytest_hypersearch.core.errors import NotYetError
from pytest_hypersearch.engine.messages import AnyRequest, Reply

Answer: TypeAlias = Callable[[Reply], None]
Replier: TypeAlias = Callable[[str, AnyRequest, bool], Reply]


class Deferred(NamedTuple):
    """A request that waits for its reply."""

    worker: str
    request: AnyRequest
    answer: Answer


class RequestQueue:
    """Requests of runners, one at a time; those without a reply yet wait.

    Args:
        reply: Computes the reply to a worker's request, or raises `NotYetError` if that depends on
            messages of other runners which are still to come; if its third argument is true, it
            replies from what is known.
        priority: The requests that wait are answered in ascending order of this.

    Attributes:
        waiting: The requests that wait.
    """

    def __init__(self, reply: Replier, priority: Callable[[AnyRequest], tuple[int, int]]) -> None:
        self.waiting: list[Deferred] = []
        self._reply = reply
        self._priority = priority

    def take(self, worker: str, request: AnyRequest, answer: Answer) -> None:
        """Answer a request, and those that have waited for it."""
        self._serve(worker, request, answer)
        if self.waiting:
            self.retry()

    def retry(self) -> None:
        """Answer the requests that wait, as far as there are replies now."""
        while self.waiting:
            deferred = self._in_order()
            self.waiting = []
            for each in deferred:
                self._serve(*each)
            if len(self.waiting) == len(deferred):
                return

    def force_first(self) -> None:
        """Answer the first request that waits from what is known: nothing more is coming."""
        if self.waiting:
            first, *self.waiting = self._in_order()
            self._serve(*first, force=True)

    def forget(self, worker: str) -> None:
        """Drop the requests of a worker."""
        self.waiting = [deferred for deferred in self.waiting if deferred.worker != worker]

    def _in_order(self) -> list[Deferred]:
        return sorted(self.waiting, key=lambda deferred: self._priority(deferred.request))

    def _serve(
        self, worker: str, request: AnyRequest, answer: Answer, *, force: bool = False
    ) -> None:
        try:
            answer(self._reply(worker, request, force))
        except NotYetError:
            self.waiting.append(Deferred(worker, request, answer))
