"""Which worker runs a trial: the first that comes to it.

A worker of pytest-xdist holds its next test while it runs the current one. A trial that waits
behind a long one is handed to other workers too; who comes to it later passes it over in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from threading import Lock
from typing import Any

import pytest

from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link
from pytest_hypersearch.plugin.collect import slot_of
from pytest_hypersearch.plugin.plan import longest_first
from pytest_hypersearch.plugin.runner.assignments import Assignments


def name_of(node: Any) -> str:  # noqa: ANN401  xdist's controller of a worker
    """Return a worker's name to the owner: its gateway's id, and its node if that is another."""
    name: str = getattr(node.gateway, "worker", node.gateway.id)
    return name


class TrialClaims:
    """Which worker runs a trial, in the controlling process, for the schedulers.

    Args:
        is_trial: Whether a node id is that of a trial; other items are never shared.
        has_ended: Whether an item's trial has ended, whatever became of its worker.
        outlived: Told which item had sent its last report when its worker died.
        is_independent: Whether a trial may be handed out together with others.

    A worker may claim its next trial while the one before is torn down: it comes to that trial
    when pytest says so.

    Attributes:
        reported: The items of trials whose last report has come.
    """

    def __init__(
        self,
        is_trial: Callable[[str], bool],
        has_ended: Callable[[str], bool],
        outlived: Callable[[str, str], object],
        is_independent: Callable[[str], bool],
    ) -> None:
        self.has_ended = has_ended
        self.reported: set[str] = set()
        self._is_trial = is_trial
        self._outlived = outlived
        self._is_independent = is_independent
        self._holders: dict[str, str] = {}
        self._begun: set[str] = set()
        self._lock = Lock()

    def claim(self, item: str, worker: str) -> bool:
        """Give a trial to a worker; False if any has claimed it before."""
        with self._lock:
            if item in self._holders:
                return False
            self._holders[item] = worker
            return True

    def begin(self, item: str) -> None:
        """Take note that pytest begins with an item."""
        self._begun.add(item)

    def release(self, item: str) -> None:
        """Let a trial be claimed again: it is due once more."""
        with self._lock:
            self._holders.pop(item, None)
            self._begun.discard(item)

    def is_over(self, item: str, worker: str) -> bool:
        """Whether a worker that has died was done with its item but for telling so."""
        if item in self.reported:
            self._outlived(item, worker)
        return item in self.reported

    def is_independent(self, item: str) -> bool:
        """Whether it is a trial that may stand in line with others at a worker."""
        return self._is_trial(item) and self._is_independent(item)

    def is_unclaimed(self, item: str) -> bool:
        """Whether it is a trial that no worker has claimed."""
        return self._is_trial(item) and item not in self._holders

    def has_begun(self, item: str) -> bool:
        """Whether a worker's first item is one that it has come to, as far as that is known."""
        return item in self._begun or not self._is_trial(item)

    def is_claimed_elsewhere(self, item: str, worker: str) -> bool:
        """Whether it is a trial that another worker has claimed."""
        return self._holders.get(item, worker) != worker


class WorkSharing:
    """Hooks of a worker: a trial that another worker has come to is none of its business."""

    def __init__(
        self, link: Link, assignments: Assignments, manager: pytest.PytestPluginManager
    ) -> None:
        self._link = link
        self._assignments = assignments
        self._manager = manager

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start with what took longest before, so that no long trial is left alone at the end."""
        reply = self._link.call(messages.Durations())
        if not isinstance(reply, messages.Refused):
            longest_first(session.items, reply.seconds)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Stand before all other plugins; by now they are registered."""
        self._manager.register(_Gate(self._assignments), "hypersearch_gate")
        self._manager.register(_Passage(), "hypersearch_passage")


class _ElsewhereError(Exception):
    """Another worker has come to the trial."""


class _Passage:
    """The outermost wrapper: ends the call for what the gate turns away."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Let xdist take the item for done."""
        try:
            return (yield)
        except _ElsewhereError:
            return True


class _Gate:
    """The next wrapper: raises before its yield, so that no plugin within it is called.

    An implementation that returned True would shut out the plain ones alone; wrappers of other
    plugins would see the item come and go, and allure would report it as skipped.
    """

    def __init__(self, assignments: Assignments) -> None:
        self._assignments = assignments

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Pass over the trial, or leave it to pytest."""
        if slot_of(item) and not self._assignments.claim(item, nextitem):
            _pass_over(item, nextitem)
            raise _ElsewhereError
        return (yield)


def _pass_over(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the fixtures that were kept for an item which does not run here.

    The item before it left them to this one; what they raise is reported, the rest is silence.
    """
    # Without this the next item fails: "previous item was not torn down properly" (pytest#9621).
    state = item.session._setupstate  # noqa: SLF001  no public way
    call = pytest.CallInfo.from_call(
        lambda: state.teardown_exact(nextitem),
        when="teardown",
        reraise=(KeyboardInterrupt, pytest.exit.Exception),
    )
    if call.excinfo is not None:
        # Not by the hook: plugins expect that the item was set up.
        report = pytest.TestReport.from_item_and_call(item, call)
        item.ihook.pytest_runtest_logreport(report=report)
