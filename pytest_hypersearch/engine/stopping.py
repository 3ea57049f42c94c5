"""Stopping rules: a target score, patience, a budget of trials or of time."""

from __future__ import annotations

from collections.abc import Callable

from pytest_hypersearch.core.goals import StopRule
from pytest_hypersearch.core.study import signed
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.core.values import monotonic, shown_number
from pytest_hypersearch.stats.ranking import BestSoFar

_IDLE = frozenset({State.NOT_RUN, State.RACED_OUT})


class Stopping:
    """Watches one sweep."""

    def __init__(self, rule: StopRule, info: Sweep, clock: Callable[[], float] = monotonic) -> None:
        self._rule = rule
        self._info = info
        self._clock = clock
        self._best = BestSoFar([info])
        self._record: float | None = None
        self._stale = 0
        self._ended: set[tuple[int, int]] = set()
        self._started: float | None = None

    def start(self) -> None:
        """A trial starts."""
        if self._started is None:
            self._started = self._clock()

    def take(self, record: TrialRecord) -> None:
        """Take the end of a trial; one that ends more than once counts once."""
        if record.state in _IDLE:
            return
        key = record.number, record.replicate
        self._stale += key not in self._ended
        self._ended.add(key)
        self._best.add(record)
        if self._best.score is None:
            self._record = None
            return
        score = signed(self._info, self._best.score)
        if self._record is None or score < self._record - self._rule.min_delta:
            self._record, self._stale = score, 0
        self._record = max(self._record, score)  # the best may have failed after its end

    def reason(self, running: int = 0) -> str:
        """Why no trial should start any more; empty while they should.

        Args:
            running: How many trials are under way: a budget of trials is not overspent.
        """
        rule = self._rule
        best = self._best.score
        if rule.score is not None and best is not None and self._reached(best, rule.score):
            return f"{self._info.metric} {best:.4g} reached the target {shown_number(rule.score)}"
        if rule.patience is not None and self._stale >= rule.patience:
            return f"no improvement of {self._info.metric} in {rule.patience} trials"
        if rule.trials is not None and len(self._ended) + running >= rule.trials:
            return f"{rule.trials} trials"
        if rule.time is not None and self._started is not None:
            over = self._clock() - self._started >= rule.time
            return f"{shown_number(rule.time)} s" if over else ""
        return ""

    def _reached(self, score: float, target: float) -> bool:
        return signed(self._info, score) <= signed(self._info, target)
