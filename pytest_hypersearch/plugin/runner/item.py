"""The item that a process works on, what is done to it for its trial, and its time limit."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_hypersearch.core.trial import Config, Outcome, State, TrialRecord
from pytest_hypersearch.engine.messages import RunTrial
from pytest_hypersearch.plugin.collect import Slot, slot_of
from pytest_hypersearch.plugin.fixtures import Trial
from pytest_hypersearch.plugin.runner.reports import TrialPruned, TrialSkipped

if TYPE_CHECKING:  # imported when an isolated trial runs
    from pytest_hypersearch.plugin.isolation.parent import Child

TRIAL_ID = "trial id"
"""The name of an item's parameter for other plugins; no fixture can have it."""
_UNCONFINED = nullcontext()
_PLAIN = frozenset({int, float, str, bool, NoneType})


@dataclass(slots=True)
class CurrentItem:
    """What this process works on: an item and, once it is handed out, its trial.

    Attributes:
        item: The item.
        slot: Which trial of its study it is.
        assignment: The trial, if it is to be run.
        trial: The trial as its test sees it, if it runs in this process.
        in_call: Whether the test is running.
        returned: What the test returned.
        subtest_failed: Whether a subtest failed.
        outcome: How the trial ended.
        told: Whether the owner knows the outcome.
        failed_late: Whether the owner knows that the item failed after that.
        record: What is to be shown beside the item, if anything.
        best: Whether the trial's configuration leads its study.
        note: What is to be shown besides.
        usage: Peak memory and CPU time of the test's call; see `Meter`.
        child: The process of an isolated trial.
        unlogged: Reports of its process that are to be sent on.
        confinement: Keeps this process to the trial's share of the machine.
    """

    item: pytest.Function
    slot: Slot
    assignment: RunTrial | None = None
    trial: Trial | None = None
    in_call: bool = False
    returned: object = None
    subtest_failed: bool = False
    outcome: Outcome | None = None
    told: bool = False
    failed_late: bool = False
    record: TrialRecord | None = None
    best: bool = False
    note: str = ""
    usage: tuple[int | None, float | None] = (None, None)
    child: Child | None = None
    unlogged: list[pytest.TestReport] = field(default_factory=list)
    confinement: AbstractContextManager[object] = _UNCONFINED


def identify(item: pytest.Function, slot: Slot) -> None:
    """Tell replicates apart for plugins that take items with equal parameters for the same test."""
    _callspec_params(item)[TRIAL_ID] = slot.id


def _callspec_params(item: pytest.Function) -> dict[str, object]:
    """The item's parameters for other plugins, to be changed; without effect if pytest forbids it.

    They are semi-private, and may become a view (pytest#14766).
    """
    params = getattr(getattr(item, "callspec", None), "params", None)
    return params if isinstance(params, dict) else {}


def set_callspec_params(item: pytest.Function, slot: Slot, config: Config) -> None:
    """Put the trial's values where other plugins look for an item's parameters."""
    # Fixtures get their values from pytest_fixture_setup, this is for plugins that read the
    # parameters (pytest#9154).
    params = _callspec_params(item)
    if late := [name for name in params if type(params[name]) is Slot]:
        # A replayed configuration may be of a space that the mark no longer has.
        with contextlib.suppress(ValueError, LookupError):
            values = slot.sweep.space.decode(config)
            params.update({name: values.get(name) for name in late})


def set_arguments(item: pytest.Function, slot: Slot, trial: Trial) -> None:
    """Give the test its plain values without a fixture for each, as pytest did before version 8.

    These fixtures take a third of the time of a trial that does nothing, and pytest makes none for
    an argument that has its value. Objects go through theirs, where plugins may replace them, such
    as lazy fixtures; so do values of a wider scope, which decide when other fixtures end.
    """
    if slot.sweep.scope == "function":
        names = item.callspec.params.keys() - slot.sweep.indirect
        for name, value in trial.params.items():
            if name in names and type(value) in _PLAIN:
                item.funcargs[name] = value


def replace_test(item: pytest.Function, runtest: Callable[[], None]) -> None:
    """Let something else run in place of the test, and no fixture.

    The protocol itself stays pytest's: a plugin that returns reports of its own breaks the setup of
    the next item (pytest#9621, pytest#7724).
    """
    item.setup = _no_setup  # type: ignore[method-assign]
    item.runtest = runtest  # type: ignore[method-assign]


def restore_test(item: pytest.Function) -> None:
    """Undo `replace_test`: a plugin that repeats items wants the real ones."""
    for name in ("setup", "runtest"):
        item.__dict__.pop(name, None)


def end_as(ended: TrialRecord | Outcome) -> None:
    """End the test's call as a trial that did not fail has ended."""
    if ended.state is State.PRUNED:
        raise TrialPruned(ended.reason, _use_item_location=True)
    if ended.state is not State.COMPLETE:
        raise TrialSkipped(ended.reason)


def recording_return(
    function: Callable[..., Any], record_value: Callable[[object], None]
) -> Callable[..., Any]:
    """The test, with its return value put aside: pytest wants tests that return nothing."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def record_async(*args: object, **kwargs: object) -> None:
            __tracebackhide__ = True
            record_value(await function(*args, **kwargs))

        return record_async

    @functools.wraps(function)
    def record(*args: object, **kwargs: object) -> None:
        __tracebackhide__ = True
        record_value(function(*args, **kwargs))

    return record


def _no_setup() -> None:
    """No fixture runs for a trial that is replayed."""


class Timers:
    """Hooks by which pytest-timeout limits the time of a trial, not of its item.

    An item also waits: for results that its trial depends on, for a share of the machine, for the
    outcome to be recorded. None of that is the trial's time, and none may be cut off half-way.

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
        slot = slot_of(item)
        if slot is None or settings.func_only:
            return None
        if self._alone or not slot.sweep.isolate:
            self._limited = item, settings
        return True

    def start(self, item: pytest.Item) -> None:
        """Let the clock run, from zero."""
        if self._limited and self._limited[0] is item:
            self.stop(item)
            others = self._manager.subset_hook_caller("pytest_timeout_set_timer", [self])
            others(item=item, settings=self._limited[1])

    def stop(self, item: pytest.Item) -> None:
        """Stop the clock."""
        if self._limited and self._limited[0] is item:
            self._manager.hook.pytest_timeout_cancel_timer(item=item)
