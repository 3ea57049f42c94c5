"""What is to be done with the trials of this process, as the owner says it ahead of their items.

Under pytest-xdist a worker claims its next trial with the message that the one before has ended, or
with the claim of one that is replayed, and otherwise when it comes to the item; a process that runs
all tests itself asks in their setup.
"""

from __future__ import annotations

from typing import Final

import pytest

from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link
from pytest_hypersearch.plugin.collect import slot_of

_EVALUATED_IN_SETUP: Final = frozenset({"skip", "skipif", "xfail"})


class Assignments:
    """The trials of this process whose items are still to be set up.

    Args:
        link: To the owner.

    Attributes:
        following: The item whose trial may be claimed with the end of the one before; or empty.
    """

    def __init__(self, link: Link) -> None:
        self.following = ""
        self._link = link
        self._ahead: dict[str, messages.Assignment | messages.Refused] = {}

    def claim(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Claim the trial of the item that this worker comes to; False if it is not its own."""
        self.following = _claimed_ahead(item, nextitem)
        if item.nodeid in self._ahead:
            return True
        self._ahead.clear()
        claim = messages.Claim(item.nodeid, _may_begin(item), self.following)
        match self._link.call(claim):
            case messages.Elsewhere():
                return False
            case messages.Done():
                return True
            case assignment:
                self._ahead[item.nodeid] = assignment
                if isinstance(assignment, messages.ReplayTrial):
                    self.take_ahead(assignment.ahead)
                return True

    def take_ahead(self, ahead: messages.Ahead | None) -> None:
        """Keep what the owner says of the next item, until that is set up."""
        if ahead is not None:
            self._ahead[ahead.item] = ahead.assignment

    def drop(self, item: pytest.Item) -> None:
        """Forget what was said of an item whose setup has ended before: it has told the owner."""
        self._ahead.pop(item.nodeid, None)

    def of(self, item: pytest.Item) -> messages.Assignment | messages.Refused:
        """What is to be done with the trial of the item that is set up."""
        known = self._ahead.pop(item.nodeid, None)
        return known or self._link.call(messages.Ask(item.nodeid))


def _claimed_ahead(item: pytest.Item, nextitem: pytest.Item | None) -> str:
    """The next item if its trial may be claimed while this one is torn down; or empty.

    The end of a module's or a class's fixtures may take long, and its trial would wait for that.
    """
    if nextitem is None or nextitem.parent is not item.parent:
        return ""
    return nextitem.nodeid if slot_of(nextitem) and _may_begin(nextitem) else ""


def _may_begin(item: pytest.Item) -> bool:
    """Whether no mark of the item can skip it in its setup."""
    return all(mark.name not in _EVALUATED_IN_SETUP for mark in item.iter_markers())
