"""Time limits, which pytest-timeout keeps: a trial's time starts when it is handed out."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_hypersearch.collect import MARK


class Timers:
    """Hooks that hold back the timer of an item whose trial waits to be handed out.

    It may wait for results of other trials, or for a share of the machine. Those that run in a
    process of their own are never started here: the timer is set in that process.
    """

    def __init__(self) -> None:
        self._held: Any = None
        self._started: pytest.Item | None = None

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool | None:  # noqa: ANN401  pytest-timeout's, which may not be there
        """Set no timer yet."""
        if item is self._started or item.get_closest_marker(MARK) is None:
            return None
        self._held = settings
        return True

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_cancel_timer(self) -> None:
        """Forget the item, which may come again."""
        self._held = self._started = None

    def start(self, item: pytest.Item) -> None:
        """Set the timer that was held back: the item's trial starts."""
        settings, self._held, self._started = self._held, None, item
        if settings is not None:
            item.ihook.pytest_timeout_set_timer(item=item, settings=settings)
