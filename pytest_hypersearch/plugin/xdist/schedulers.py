"""Patched xdist schedulers: trials do not wait behind others, and no crash hangs a session.

A worker of xdist starts no test before it knows of the next, and that one waits behind it. Here a
trial that waits so is handed to workers that run out of others as well: the first that comes to it
runs it (`sharing`). Tests that are no trials are handed out as ever.

What else is patched, of xdist 3.8:

- Whatever is sent to a worker that has just died ends the session with an internal error, and so
  does the collection of a worker that came up when the session seemed to be over.
- Under ``worksteal``, a worker that dies while others still collect lets them be sent home.
- In the schedulers that hand out whole scopes, a worker that is given finished work alone (what a
  dead worker leaves goes back to the queue together with what it had finished), or a single test
  while more wait in the queue, sits there for good (pytest-xdist#784, #1327). And work goes to a
  worker that still collects: when another dies, or if one that died had collected before all had.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from xdist.scheduler import (
    LoadFileScheduling,
    LoadGroupScheduling,
    LoadScheduling,
    LoadScopeScheduling,
    WorkStealingScheduling,
)

from pytest_hypersearch.plugin.xdist.assignment import name_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    import pytest

    from pytest_hypersearch.plugin.xdist.assignment import TrialClaims

    Node: TypeAlias = Any  # xdist's controller of a worker: xdist has no types
    Base: Any
else:
    Base = object

ENOUGH = 2
"""Tests that a worker needs: one to run and the next."""

LONG = 0.1
"""Seconds from which on a test is a long one, to xdist as well."""

MOST = 8
"""Short trials that a worker is given at once."""


class _Guarded(Base):  # type: ignore[misc]
    """A scheduler that outlives workers which die or come up at the wrong moment."""

    def __init__(self, config: pytest.Config, log: Any, claims: TrialClaims) -> None:  # noqa: ANN401  a logger of xdist, which has no types
        super().__init__(config, log)
        self._claims = claims

    def add_node_collection(self, node: Node, collection: Sequence[str]) -> None:
        """Take what a worker collected, unless it was sent home before."""
        if node in self.nodes:
            super().add_node_collection(node, collection)

    def _send_tests(self, node: Node, num: int) -> None:
        # A dead worker's tests are handed on when xdist hears of its death.
        with suppress(OSError):
            super()._send_tests(node, num)

    def _assign_work_unit(self, node: Node) -> None:
        with suppress(OSError):
            super()._assign_work_unit(node)


class _Shared(_Guarded):
    """A scheduler that hands a waiting trial to several workers."""

    node2pending: dict[Node, list[int]]

    def __init__(self, config: pytest.Config, log: Any, claims: TrialClaims) -> None:  # noqa: ANN401  see above
        super().__init__(config, log, claims)
        self._again: set[int] = set()

    def mark_test_pending(self, item: str) -> None:
        """Run a dead worker's trial again."""
        self._claims.release(item)
        self._again.add(self.collection.index(item))
        super().mark_test_pending(item)

    def _hand_again(self, node: Node) -> None:
        """Give a worker that has nothing first what is to run again and waits at another.

        The others may have it behind trials that wait for its result, and this worker would come
        to wait for it as well.
        """
        if not self.node2pending[node] and not node.shutting_down:
            self._hand(node, [index for index in self._waiting(node) if index in self._again])

    def remove_node(self, node: Node) -> str | None:
        """Take a worker out; it was at no trial that another one has claimed or that none began."""
        left, worker = self.node2pending[node], name_of(node)
        elsewhere = self._claims.is_claimed_elsewhere
        left[:] = [index for index in left if not elsewhere(self.collection[index], worker)]
        if left and self._claims.is_over(self.collection[left[0]], worker):
            del left[0]
            running = 0
        else:
            running = int(bool(left) and self._claims.has_begun(self.collection[left[0]]))
        # What it had claimed ahead, not what it had run and holds a second time.
        for item in {self.collection[index] for index in left[running:]}:
            if not self._claims.has_begun(item):
                self._claims.release(item)
        # Not to the end, as xdist does: the other workers would come to wait for their results.
        self.pending[:0] = left[running:]
        del left[running:]
        crashed: str | None = super().remove_node(node)
        return crashed

    def _waiting(self, node: Node) -> list[int]:
        """The trials that no worker has come to, of those that wait at others behind a test."""
        held = {
            index
            for other, indices in self.node2pending.items()
            for index in indices[1:]
            if other is not node and self._claims.is_unclaimed(self.collection[index])
        }
        return sorted(held - set(self.node2pending[node]))

    def _share(self) -> None:
        """Give every worker all that waits."""
        for node in self.nodes:
            if not node.shutting_down:
                self._hand(node, self._waiting(node))

    def _hand(self, node: Node, indices: list[int]) -> None:
        if indices and node in self.node2collection:  # see `_Load._send_tests`
            self.node2pending[node].extend(indices)
            with suppress(OSError):
                node.send_runtest_some(indices)


class _Load(_Shared, LoadScheduling):  # type: ignore[misc]
    """``--dist=load``: trials start in their order, whoever holds them."""

    maxschedchunk: int | None

    def __init__(self, config: pytest.Config, log: Any, claims: TrialClaims) -> None:  # noqa: ANN401  see above
        super().__init__(config, log, claims)
        self._handed: dict[int, int] = {}
        self._at_once = 1
        # Chunks of any items would leave workers idle while one holds the long trials.
        self._most = MOST if self.maxschedchunk is None else 1
        self.maxschedchunk = self.maxschedchunk or 1

    def check_schedule(self, node: Node, duration: float = 0) -> None:
        """Give a worker what is overdue, else what is left."""
        self._hand_again(node)
        held = self.node2pending[node]
        self._at_once = self._fitting(duration)
        if self._at_once > 1 and len(held) > ENOUGH:
            return
        if self.pending and not node.shutting_down and len(held) < ENOUGH:
            self._hand(node, self._overdue(node, patient=duration < LONG))
            if len(held) >= ENOUGH:
                return
        super().check_schedule(node, duration)
        if len(held) < ENOUGH:  # it has just joined; a single test would wait there for good
            super().check_schedule(node, duration)

    def _overdue(self, node: Node, *, patient: bool) -> list[int]:
        """The first trial that waits at another worker.

        Short trials are all but due there, and would be handed out twice: with them, one is overdue
        once one and a half times as many as a worker gets were handed out to each after it.
        """
        patience = 1.5 * self._at_once * len(self.node2pending) if patient else 0
        before = self._progress - patience
        return [index for index in self._waiting(node) if self._handed[index] <= before][:1]

    def _fitting(self, duration: float) -> int:
        """How many trials a worker is given at once: as many as are short, and fewer at the end.

        Each message costs as much as a trivial test.

        Args:
            duration: Seconds that its last test took, 0 if it has run none.
        """
        short = int(LONG / duration) if duration else 1
        return max(1, min(self._most, short, len(self.pending) // (2 * len(self.node2pending))))

    def _in_line(self) -> int:
        """How many trials come next that are handed out together."""
        items = (self.collection[index] for index in self.pending[: self._at_once])
        return sum(1 for _ in takewhile(self._claims.is_independent, items))

    @property
    def _progress(self) -> int:
        return len(self.collection) - len(self.pending)

    def _send_tests(self, node: Node, num: int) -> None:
        if node not in self.node2collection:
            return  # it still collects, and would run them even if it was sent home then
        if self._at_once > 1:
            num = max(num, self._in_line())
        self._handed.update(dict.fromkeys(self.pending[:num], self._progress))
        super()._send_tests(node, num)
        if not self.pending:
            self._share()


class _Stealing(_Shared, WorkStealingScheduling):  # type: ignore[misc]
    """``--dist=worksteal``: what cannot be stolen is shared."""

    def check_schedule(self) -> None:
        """Steal work while there is some to steal, then give every worker all that waits."""
        if self.collection is None:
            return
        for node in self.nodes:
            self._hand_again(node)
        self._share_rest()
        workers = self.node2pending
        ready = self.node2collection  # see `_Load._send_tests`
        self.node2pending = {node: workers[node] for node in workers if node in ready}
        with suppress(OSError):
            super().check_schedule()
        self.node2pending = workers

    def _share_rest(self) -> None:
        held = [held for node, held in self.node2pending.items() if not node.shutting_down]
        most = max(map(len, held), default=0)
        if not self.pending and self.steal_requested_from_node is None and most <= ENOUGH:
            self._share()

    def remove_pending_tests_from_node(self, node: Node, indices: Sequence[int]) -> None:
        """Take back what a worker gave up: once, even if it holds a trial twice."""
        self.steal_requested_from_node = None
        left = self.node2pending[node][::-1]
        for index in indices:
            left.remove(index)
        self.node2pending[node] = left[::-1]
        self.pending.extend(indices)
        self.check_schedule()


class _Scoped(_Guarded, LoadScopeScheduling):  # type: ignore[misc]
    """``--dist=loadscope``."""

    def __init__(self, config: pytest.Config, log: Any, claims: TrialClaims) -> None:  # noqa: ANN401  see above
        super().__init__(config, log, claims)
        self._again: set[str] = set()
        self._retaken: set[str] = set()

    def remove_node(self, node: Node) -> str | None:
        """Take a worker out; only what it has not finished is to be done again."""
        units = self.assigned_work.pop(node)
        if self.collection is None:
            self.registered_collections.pop(node, None)
        left = [(unit, item) for unit in units.values() for item in unit if not unit[item]]
        if not left:
            return None
        unit, running = left[0]
        unit[running] = self._claims.has_ended(running)
        self.workqueue.update(units)
        self._again.update(scope for scope, unit in units.items() if not all(unit.values()))
        for other in self.assigned_work:
            self._reschedule(other)
        return None if self._claims.is_over(running, name_of(node)) else running

    def _reschedule(self, node: Node) -> None:
        if node not in self.registered_collections:
            return  # it still collects
        super()._reschedule(node)
        while self.workqueue and not node.shutting_down and self._idle(node):
            self._assign_work_unit(node)
        if not self.workqueue and self._idle(node):
            node.shutdown()

    def _assign_work_unit(self, node: Node) -> None:
        """Give what is to run again first to a worker that has nothing else, to others last.

        These may have trials that wait for its results, and it would wait behind them.
        """
        if node not in self.registered_collections:
            return  # it still collects
        if self._again:
            held = self.assigned_work[node]
            left = {scope for scope, unit in held.items() if not all(unit.values())}
            others = not left <= self._retaken
            wanted = (scope for scope in self.workqueue if (scope in self._again) != others)
            if (scope := next(wanted, None)) is not None:
                self.workqueue.move_to_end(scope, last=False)
            elif self._pending_of(held) >= ENOUGH:
                return
            if (first := next(iter(self.workqueue))) in self._again:
                self._again.remove(first)
                self._retaken.add(first)
        super()._assign_work_unit(node)

    def _idle(self, node: Node) -> bool:
        """Whether the worker cannot run what it has for want of more."""
        return bool(self._pending_of(self.assigned_work[node]) < ENOUGH)


class _File(_Scoped, LoadFileScheduling):  # type: ignore[misc]
    """``--dist=loadfile``."""


class _Group(_Scoped, LoadGroupScheduling):  # type: ignore[misc]
    """``--dist=loadgroup``."""


SHARING = {"load": _Load, "worksteal": _Stealing}
"""What hands a trial to several workers; elsewhere the user wants scopes kept together."""

_SCOPED = {"loadscope": _Scoped, "loadfile": _File, "loadgroup": _Group}


def patched_scheduler(config: pytest.Config, log: Any, claims: TrialClaims) -> Any:  # noqa: ANN401  a scheduler of xdist, which has no types
    """The scheduler for the ``--dist`` of a session."""
    return {**SHARING, **_SCOPED}[config.option.dist](config, log, claims)
