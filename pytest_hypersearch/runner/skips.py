"""How a trial ends its item when it is no failure: as kinds of pytest's skip."""

from __future__ import annotations

import pytest

from pytest_hypersearch.given import encodable


class Pruned(pytest.skip.Exception):  # type: ignore[name-defined, misc]
    """Ends a trial that is not worth going on with."""

    def __init__(self, reason: object, *, _use_item_location: bool = False) -> None:
        super().__init__(encodable(reason), _use_item_location=_use_item_location)


class Ended(pytest.skip.Exception):  # type: ignore[name-defined, misc]
    """Ends an item whose trial is neither good nor the test's failure."""

    def __init__(self, reason: str) -> None:
        super().__init__(encodable(reason), _use_item_location=True)


def parts_of(error: BaseException) -> list[BaseException]:
    """What ended a test: the exception, or those in the group that task groups make of them."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [part for each in error.exceptions for part in parts_of(each)]


def skip_of(error: BaseException) -> pytest.skip.Exception | None:  # type: ignore[name-defined]
    """The skip by which a test ended, a trial's end before another; None if all are not skips."""
    parts = parts_of(error)
    if not all(isinstance(part, pytest.skip.Exception) for part in parts):
        return None
    return min(parts, key=lambda part: not isinstance(part, Pruned))


# pytest shows the name of a skip's class before the reason, except that of its own.
for _kind in (Pruned, Ended):
    _kind.__module__, _kind.__qualname__ = "builtins", "Skipped"
