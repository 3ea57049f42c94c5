"""What is to be done with the trials of this process, as the owner says it ahead of their items.

Under pytest-xdist a worker claims its next trial with the message that the one before has ended, or
with the claim of one that is replayed, and otherwise when it comes to the item; a process that runs
all tests itself asks in their setup.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import pytest

from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link
from pytest_hypersearch.plugin.collect import slot_of

if TYPE_CHECKING:  # not needed without workers
    from pytest_hypersearch.plugin.xdist.events import WorkerEvents

_EVALUATED_IN_SETUP: Final = frozenset({"skip", "skipif", "xfail"})


class Assignments:
    """The trials of this process whose items are still to be set up.

    Args:
        link: To the owner.

    Attributes:
        following: The items whose trials may be claimed with the end of the one before.
        events: Tells xdist what happens here; None in a process that runs all tests itself.
        most_claims: How many trials may be claimed ahead, 0 if none are claimed. If there are
            several, the events of those that are replayed travel together.
    """

    def __init__(self, link: Link) -> None:
        self.following: tuple[str, ...] = ()
        self.events: WorkerEvents | None = None
        self.most_claims = 0
        self._link = link
        self._ahead: dict[str, messages.Assignment | messages.Refused] = {}

    def claim(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Claim the trial of the item that this worker comes to; False if it is not its own."""
        if item.nodeid not in self._ahead and not self._claim(item, nextitem):
            return False
        self.following = _claimed_ahead(item, [nextitem])
        replays = isinstance(self._ahead.get(item.nodeid), messages.ReplayTrial)
        self._let_events_wait(may_wait=replays and self.most_claims > 1 and self.following != ())
        return True

    def _claim(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        self._let_events_wait(may_wait=False)
        further = self.events.upcoming(self.most_claims - 1) if self.events else []
        then = _claimed_ahead(item, [nextitem, *further])
        match self._link.call(messages.Claim(item.nodeid, _may_begin(item), then)):
            case messages.Elsewhere():
                return False
            case messages.Done():
                return True
            case assignment:
                self._ahead[item.nodeid] = assignment
                if isinstance(assignment, messages.ReplayTrial):
                    self.take_ahead(assignment.ahead)
                return True

    def take_ahead(self, ahead: Iterable[messages.Ahead]) -> None:
        """Keep what the owner says of the next items, until these are set up."""
        self._ahead.update((each.item, each.assignment) for each in ahead)

    def _let_events_wait(self, *, may_wait: bool) -> None:
        if self.events is not None:
            self.events.may_wait = may_wait
            if not may_wait:
                self.events.flush()

    def drop(self, item: pytest.Item) -> None:
        """Forget what was said of an item whose setup has ended before: it has told the owner."""
        self._ahead.pop(item.nodeid, None)

    def of(self, item: pytest.Item) -> messages.Assignment | messages.Refused:
        """What is to be done with the trial of the item that is set up."""
        known = self._ahead.pop(item.nodeid, None)
        return known or self._link.call(messages.Ask(item.nodeid))


def _claimed_ahead(item: pytest.Item, following: Iterable[pytest.Item | None]) -> tuple[str, ...]:
    """The items after this one, as far as their trials may be claimed while it is torn down.

    The end of a module's or a class's fixtures may take long, and their trials would wait for that.
    """

    def may_be_claimed(other: pytest.Item | None) -> bool:
        if other is None or other.parent is not item.parent:
            return False
        return slot_of(other) is not None and _may_begin(other)

    return tuple(other.nodeid for other in takewhile(may_be_claimed, following) if other)


def _may_begin(item: pytest.Item) -> bool:
    """Whether no mark of the item can skip it in its setup."""
    return all(mark.name not in _EVALUATED_IN_SETUP for mark in item.iter_markers())
