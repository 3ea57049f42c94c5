"""What a trial reports on its way: buffered, sent in batches, reviewed by the sweep's pruner."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from pytest_hypersearch.curves import pack
from pytest_hypersearch.given import number_of, shown
from pytest_hypersearch.runner.skips import Pruned
from pytest_hypersearch.score import metrics_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_hypersearch.curves import Packed

FLUSH_SECONDS: Final = 0.2
LOOKS_PER_FLUSH: Final = 8
LONGEST_STRIDE: Final = 64
MOST_BUFFERED: Final = 4096
REVIEW_SHARE: Final = 50


class Reports:
    """The reports of one trial.

    Reports leave this process every 0.2 seconds. The pruner reviews each of the first 100, then one
    in 1% to 2% of those so far, which costs a trial of 10,000 quick steps some 300 reviews; the
    count alone decides, so that the same trial is reviewed at the same steps everywhere.

    Args:
        metric: Name of the score.
        send: Takes packed series by metric.
        review: Takes them as well and tells why the trial should end, empty if it should not; None
            without a pruner.
    """

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
        self._at: float = -1
        self._sent = 0
        self._next_review = 1
        self._reason = ""
        self._left = self._stride = 1
        self._looked = self._flushed = monotonic()
        self._ended = False
        self._clear()

    @property
    def score(self) -> float | None:
        """The last reported value of the sweep's metric, None before the first."""
        return self.last.get(self._metric)

    @property
    def last(self) -> dict[str, float]:
        """The last reported value of each metric."""
        unsent = {name: float(values[-1]) for name, (_, values) in self._series.items() if values}
        return {**self._last, **unsent}

    @property
    def steps(self) -> int:
        """How many values of the sweep's metric were reported."""
        return self._sent + len(self._values)

    # Training loops call this innermost: the usual case is short, the rest waits for `_look`.
    def report(
        self, value: float | Mapping[str, float], *, step: float | None = None, prune: bool = True
    ) -> None:
        """Record an intermediate value; with ``prune=`` in the mark, this may end the trial.

        Args:
            value: The metric, or a dict of metrics by name. NaN and infinity are recorded as such.
            step: Where in the trial this is, such as the epoch; one after the last by default.
            prune: Whether the trial ends here if the sweep's pruner says so. A test that has to
                clean up first passes False and asks `should_prune`.

        Raises:
            TypeError: A value is no number, or the step is no finite one.
            RuntimeError: The trial has ended: this is a fixture's teardown.
        """
        __tracebackhide__ = True
        if step.__class__ is not int:
            step = self._step(step)
        if isinstance(value, float):
            self._steps.append(step)
            self._values.append(value)
        else:
            self._add(step, value)
        self._at = step
        self._left -= 1
        if self._left <= 0:
            self._look(prune=prune)

    def should_prune(self) -> bool:
        """Ask the sweep's pruner whether to end the trial, by what was reported so far.

        Returns:
            Whether `prune` should be called; never without ``prune=`` in the mark.

        Raises:
            RuntimeError: The trial has ended: this is a fixture's teardown.
        """
        __tracebackhide__ = True
        self._refuse_if_ended("should_prune")
        return bool(self._reviewed())

    def flush(self) -> None:
        """Send what was reported and not yet sent."""
        if packed := self._take():
            self._send(packed)

    def end(self) -> None:
        """Send the rest; nothing is taken any more."""
        self.flush()
        self._ended = True
        self._left = 0

    def _refuse_if_ended(self, method: str) -> None:
        __tracebackhide__ = True
        if self._ended:
            raise RuntimeError(f"trial.{method}: the trial has ended; expected it before its end")

    def _step(self, step: float | None) -> float:
        __tracebackhide__ = True
        at = self._at + 1 if step is None else number_of(step)
        if at is None:
            raise TypeError(f"trial.report(step={shown(step)}): expected a finite number")
        return at

    def _add(self, step: float, value: float | Mapping[str, float]) -> None:
        __tracebackhide__ = True
        try:
            metrics = metrics_of(value, self._metric)
        except TypeError as error:
            raise TypeError(f"trial.report: {error}") from None
        for name, number in metrics.items():
            steps, values = self._series.setdefault(name, ([], []))
            steps.append(step)
            values.append(number)

    def _look(self, *, prune: bool) -> None:
        """See to the pruner and to the clock, and when to see to them next."""
        __tracebackhide__ = True
        self._refuse_if_ended("report")
        if prune and (reason := self._reviewed()):
            raise Pruned(reason)
        now = monotonic()
        if now - self._flushed > FLUSH_SECONDS or len(self._steps) >= MOST_BUFFERED:
            self.flush()
        self._left = self._stride = self._stride_from(now)
        self._looked = now

    def _stride_from(self, now: float) -> int:
        """How many reports may come before the next look, going by their pace so far."""
        soon = (now - self._looked) * LOOKS_PER_FLUSH / FLUSH_SECONDS
        stride = int(min(LONGEST_STRIDE, self.steps / 2, self._stride / max(soon, 1e-9)))
        if self._review:
            stride = min(stride, self._next_review - self.steps)
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
        self._last, self._sent, series = self.last, self.steps, self._series
        self._clear()
        self._flushed = monotonic()
        try:
            return {name: pack(*parts) for name, parts in series.items() if parts[0]}
        except OverflowError:
            raise TypeError("trial.report: a step is too large; expected a number") from None

    def _clear(self) -> None:
        self._steps: list[float] = []
        self._values: list[float] = []
        self._series = {self._metric: (self._steps, self._values)}
