"""Time limits by pytest-timeout: of a trial, not of its item.

An item also waits: for results that its trial depends on, for a share of the machine, for the
outcome to be written down. None of that is the trial's time, and none may be cut off in the middle.
"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_hypersearch.plugin.collect import MARK


class Timers:
    """Hooks that leave it to the runner when the clock of a trial runs.

    Args:
        manager: Has pytest-timeout's hooks, if it is there.
        alone: Whether this process is there for a single trial.
    """

    def __init__(self, manager: pytest.PytestPluginManager, *, alone: bool) -> None:
        self._manager = manager
        self._alone = alone
        self._limited: tuple[pytest.Item, Any] | None = None

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool | None:  # noqa: ANN401  pytest-timeout's
        """Set no timer yet; none at all where the trial's own process does."""
        mark = item.get_closest_marker(MARK)
        if mark is None or settings.func_only:
            return None
        if self._alone or not mark.args[0].sweep.isolate:
            self._limited = item, settings
        return True

    def start(self, item: pytest.Item) -> None:
        """Let the clock run, from zero."""
        self.stop(item)
        if self._limited and self._limited[0] is item:
            others = self._manager.subset_hook_caller("pytest_timeout_set_timer", [self])
            others(item=item, settings=self._limited[1])

    def stop(self, item: pytest.Item) -> None:
        """Stop the clock."""
        if self._limited and self._limited[0] is item:
            self._manager.hook.pytest_timeout_cancel_timer(item=item)
