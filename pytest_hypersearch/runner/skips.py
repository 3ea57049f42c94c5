"""How a trial ends its item when it is no failure: as kinds of pytest's skip."""

from __future__ import annotations

import pytest

from pytest_hypersearch.given import encodable


class Pruned(pytest.skip.Exception):  # type: ignore[name-defined, misc]
    """Ends a trial that is not worth going on with."""


class Ended(pytest.skip.Exception):  # type: ignore[name-defined, misc]
    """Ends an item whose trial is neither good nor the test's failure."""

    def __init__(self, reason: str) -> None:
        super().__init__(encodable(reason), _use_item_location=True)


# pytest shows the name of a skip's class before the reason, except that of its own.
for _kind in (Pruned, Ended):
    _kind.__module__, _kind.__qualname__ = "builtins", "Skipped"
