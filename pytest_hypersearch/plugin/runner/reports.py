"""How a trial ends its item when it is no failure: as kinds of pytest's skip."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import ClassVar, Final, NoReturn
from weakref import WeakSet

import pytest

from pytest_hypersearch.core.trial import metrics_of
from pytest_hypersearch.core.values import encodable, monotonic, number_of, printable, shown
from pytest_hypersearch.engine.link import FORKED
from pytest_hypersearch.store.curves import FLUSH_SECONDS, Packed, Series, pack


class TrialPruned(pytest.skip.Exception):  # type: ignore[name-defined, misc]
    """Ends a trial that is not worth going on with."""

    def __init__(self, reason: object, *, _use_item_location: bool = False) -> None:
        super().__init__(printable(encodable(reason)), _use_item_location=_use_item_location)


class TrialSkipped(pytest.skip.Exception):  # type: ignore[name-defined, misc]
    """Ends an item whose trial is neither good nor the test's failure."""

    def __init__(self, reason: str) -> None:
        super().__init__(printable(encodable(reason)), _use_item_location=True)


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
    # pytest-trio raises a skip of its own while it handles the one that ended the test.
    handled = parts_of(error.__context__) if error.__context__ else []
    return next((part for part in parts + handled if isinstance(part, TrialPruned)), parts[0])


# pytest shows the name of a skip's class before the reason, except that of its own; flaky goes by
# the name, too, and would repeat what is not called Skipped.
for _kind in (TrialPruned, TrialSkipped):
    _kind.__module__, _kind.__name__, _kind.__qualname__ = "builtins", "Skipped", "Skipped"

LOOKS_PER_FLUSH: Final = 8
LONGEST_STRIDE: Final = 256
MOST_BUFFERED: Final = 16384
REVIEW_SHARE: Final = 50
_ENDED: Final = "the trial has ended; expected it before its end"


class Reports:
    """The reports of one trial.

    Reports leave this process every 0.2 seconds. The pruner reviews each of the first 100, then one
    in 1% to 2% of those so far, which costs a trial of 10,000 quick steps some 300 reviews; the
    count alone decides, so that the same trial is reviewed at the same steps everywhere.

    A thread may report while another one ends the trial or asks for its values: what one sends has
    arrived when another goes on to send or to end, and what is not recorded is refused. The short
    way takes no lock: it appends to a list that is never replaced, and that the end takes from it.

    A process that the test forks has a copy, which takes nothing: the test's own process would not
    learn of its values.

    Args:
        metric: Name of the score.
        send: Takes packed series by metric.
        review: Takes them as well and tells why the trial should end, empty if it should not; None
            without a pruner.
    """

    # A subclass has a dictionary as well, where `report` would find each of these later.
    __slots__ = (
        *("_metric", "_send", "_review", "_last", "_apart", "_values", "_intake", "_first"),
        *("_next", "_due", "_sent", "_next_review", "_stride", "_reason", "_looked", "_flushed"),
        *("_closed", "__weakref__"),
    )

    # Of the process, which runs one trial at a time: a forked child gets its own.
    _lock: ClassVar = RLock()
    _all: ClassVar[WeakSet[Reports]] = WeakSet()

    def __init__(
        self,
        metric: str,
        *,
        send: Callable[[dict[str, Packed]], None],
        review: Callable[[dict[str, Packed]], str] | None,
    ) -> None:
        self._metric = metric
        self._send = send
        self._review = review
        self._last: dict[str, float] = {}
        self._apart: dict[str, Series] = {}
        self._values: list[float] = []
        self._intake = self._values
        self._first: float = 0
        self._next: float = 0
        self._due: float = 1
        self._sent = 0
        self._next_review = self._stride = 1
        self._reason = ""
        self._looked = self._flushed = monotonic()
        self._closed = ""
        self._all.add(self)

    @property
    def score(self) -> float | None:
        """The last reported value of the sweep's metric, None before the first."""
        return self.last.get(self._metric)

    @property
    def last(self) -> dict[str, float]:
        """The last reported value of each metric."""
        with self._lock:
            if not self._values and not self._apart:
                return dict(self._last)
            unsent = {name: values for name, (_, values) in self._apart.items()}
            if latest := self._values[-1:]:
                unsent[self._metric] = latest
            return self._last | {name: float(values[-1]) for name, values in unsent.items()}

    @property
    def steps(self) -> int:
        """How many values of the sweep's metric were reported."""
        apart = self._apart.get(self._metric, ((), ()))[1]
        return self._sent + len(apart) + len(self._values)

    # Training loops call this innermost: floats at consecutive steps take the short way.
    def report(
        self, value: float | Mapping[str, float], *, step: float | None = None, prune: bool = True
    ) -> None:
        """Record an intermediate value; with ``prune=`` in the mark, this may end the trial.

        Args:
            value: The metric, or a dict of metrics by name. NaN and infinity are recorded as such.
            step: Position in the trial, such as the epoch; by default, one more than the last.
            prune: Whether the trial ends here if the sweep's pruner says so. A test that has to
                clean up first passes False and asks `should_prune`.

        Raises:
            TypeError: A value is not a number, or the step is not a finite number.
            RuntimeError: The trial has ended, as in the teardown of a fixture; or this process was
                forked by the test.
        """
        __tracebackhide__ = True
        at = self._next
        if (step is None or step == at) and isinstance(value, float):
            # One step for other threads: they change places after a call, not before it.
            self._intake.append(value)
            self._next = at = at + 1
        else:
            self._add(step, value)
            at = self._next
        if at >= self._due:
            self._look(prune=prune)

    def should_prune(self) -> bool:
        """Ask the sweep's pruner whether to end the trial, by the values reported so far.

        Returns:
            Whether `prune` should be called; never without ``prune=`` in the mark.

        Raises:
            RuntimeError: The trial has ended, as in the teardown of a fixture; or this process was
                forked by the test.
        """
        __tracebackhide__ = True
        with self._lock:
            self._refuse_if_closed("should_prune")
            return bool(self._reviewed())

    def flush(self) -> None:
        """Send what was reported and not yet sent."""
        with self._lock:
            if self._values or self._apart:
                self._send(self._take())

    def end(self) -> None:
        """Send the rest; nothing is taken any more."""
        with self._lock:
            self._close(_ENDED)  # before the rest is sent: what comes later is refused, not lost
            self.flush()

    def _close(self, reason: str) -> None:
        """Take nothing any more, and say why."""
        self._closed, self._intake = reason, _Closed(reason)

    @classmethod
    def _close_copies(cls) -> None:
        """In a forked child, take nothing; who held the lock in the parent does not run here."""
        cls._lock = RLock()
        for reports in cls._all:
            reports._close(FORKED)  # noqa: SLF001  of this class

    def _refuse_if_closed(self, method: str) -> None:
        __tracebackhide__ = True
        if self._closed:
            raise _refusal(method, self._closed)

    def _add(self, step: float | None, value: float | Mapping[str, float]) -> None:
        """Record any value at any step."""
        __tracebackhide__ = True
        at = self._next if step is None else number_of(step)
        if at is None:
            raise TypeError(f"trial.report(step={shown(step)}): expected a finite number")
        try:
            metrics = metrics_of(value, self._metric)
        except TypeError as error:
            raise TypeError(f"trial.report: given {error}") from None
        with self._lock:
            self._refuse_if_closed("report")
            self._settle()
            for name, number in metrics.items():
                steps, values = self._apart.setdefault(name, ([], []))
                steps.append(at)
                values.append(number)
            self._due += at - self._next
            self._first = self._next = at + 1

    def _settle(self) -> None:
        """Put the values that took the short way with the others."""
        if self._values:
            steps, values = self._apart.setdefault(self._metric, ([], []))
            consecutive, settled = self._consecutive()
            steps.extend(consecutive)
            values.extend(settled)

    def _consecutive(self) -> tuple[Sequence[float], list[float]]:
        """Take the steps and values that took the short way; more may come meanwhile."""
        values = self._values[:]
        count, first = len(values), self._first
        del self._values[:count]
        self._first += count
        if isinstance(first, int):
            return range(first, first + count), values
        return [first + i for i in range(count)], values

    def _look(self, *, prune: bool) -> None:
        """Ask the pruner and flush if due, and schedule the next check."""
        __tracebackhide__ = True
        with self._lock:
            if self._closed:  # which has sent what was reported before it
                return
            if self._review and prune and (reason := self._reviewed()):
                raise TrialPruned(reason)
            now, steps = monotonic(), self.steps
            if now - self._flushed > FLUSH_SECONDS or steps - self._sent >= MOST_BUFFERED:
                self.flush()
            self._stride = self._stride_from(now, steps)
            self._due = self._next + self._stride
            self._looked = now

    def _stride_from(self, now: float, steps: int) -> int:
        """How many reports may come before the next look, going by their pace so far."""
        soon = (now - self._looked) * LOOKS_PER_FLUSH / FLUSH_SECONDS
        stride = int(min(LONGEST_STRIDE, steps / 2, self._stride / max(soon, 1e-9)))
        if self._review:
            stride = min(stride, self._next_review - steps)
        return max(1, stride)

    def _reviewed(self) -> str:
        """Why the trial should end, as far as the reports that are to be reviewed are known."""
        __tracebackhide__ = True
        steps = self.steps
        if self._review and not self._reason and steps >= self._next_review:
            self._next_review = steps + max(1, steps // REVIEW_SHARE)
            self._reason = self._review(self._take())
        return self._reason

    def _take(self) -> dict[str, Packed]:
        """The buffered series, packed; they are not buffered any more."""
        __tracebackhide__ = True
        series: dict[str, tuple[Sequence[float], list[float]]]
        if self._apart:
            self._settle()
            series, self._apart = {**self._apart}, {}
        else:
            series = {self._metric: self._consecutive()} if self._values else {}
        self._last |= {name: float(values[-1]) for name, (_, values) in series.items()}
        self._sent += len(series.get(self._metric, ((), ()))[1])
        self._flushed = monotonic()
        try:
            return {name: pack(*parts) for name, parts in series.items()}
        except OverflowError:
            raise TypeError("trial.report: a step is too large; expected a number") from None


def _refusal(method: str, reason: str) -> RuntimeError:
    return RuntimeError(f"trial.{method}: {reason}")


class _Closed(list[float]):
    """What the short way appends to when nothing is taken any more; it stays empty."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def append(self, _value: float) -> NoReturn:
        __tracebackhide__ = True
        raise _refusal("report", self._reason)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Reports._close_copies)  # noqa: SLF001  for all trials
