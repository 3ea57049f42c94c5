"""How the trials of a study's plan stand, and when a stopping rule ends a sweep."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

from pytest_hypersearch.core.goals import StopRule
from pytest_hypersearch.core.study import signed
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Key, State, TrialRecord
from pytest_hypersearch.core.values import monotonic, shown_number
from pytest_hypersearch.stats.ranking import BestSoFar


class PlanProgress:
    """The ended trials of a plan, and what is due.

    A configuration is settled when all of its planned trials have ended, or its first replicates
    in a sweep whose further ones do not run for all.

    Args:
        plan: Every trial of the plan.
        settling: How many of its first replicates settle a configuration, by sweep, if not all do.

    Attributes:
        records: The ended trials, in the order in which they ended.
        due: Trials that have not ended, by sweep and configuration; settled ones are not in it.
        settled: Settled configurations by sweep, in the order in which they were.
    """

    def __init__(self, plan: Iterable[Key], settling: Mapping[str, int] | None = None) -> None:
        self.records: dict[Key, TrialRecord] = {}
        self.due: dict[str, dict[int, int]] = defaultdict(dict)
        self.settled: dict[str, list[int]] = defaultdict(list)
        self._planned = 0
        self._settling = settling or {}
        self._rounds: Counter[tuple[str, int]] = Counter()
        for key in sorted(plan):
            self._planned += 1
            self._open(key)

    @property
    def done(self) -> bool:
        """Whether every trial of the plan has ended."""
        return len(self.records) == self._planned

    def end(self, key: Key, record: TrialRecord) -> None:
        """Take note of a trial's end."""
        if key not in self.records:
            self._rounds[key.sweep, key.replicate] -= 1
            if self._settles(key):
                self._settle(key)
        self.records[key] = record

    def reopen(self, key: Key) -> None:
        """Forget the end of a trial that runs again."""
        del self.records[key]
        if self._settles(key) and key.number not in self.due[key.sweep]:
            self.settled[key.sweep].remove(key.number)
        self._open(key)

    def round_is_over(self, sweep: str, replicate: int) -> bool:
        """Whether all trials of the sweep with a smaller replicate have ended."""
        return not any(self._rounds[sweep, earlier] for earlier in range(replicate))

    def _open(self, key: Key) -> None:
        self._rounds[key.sweep, key.replicate] += 1
        if self._settles(key):
            left = self.due[key.sweep]
            left[key.number] = left.get(key.number, 0) + 1

    def _settle(self, key: Key) -> None:
        left = self.due[key.sweep]
        left[key.number] -= 1
        if not left[key.number]:
            del left[key.number]
            self.settled[key.sweep].append(key.number)

    def _settles(self, key: Key) -> bool:
        """Whether the trial is one of those that settle its configuration."""
        return key.replicate < self._settling.get(key.sweep, key.replicate + 1)


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
