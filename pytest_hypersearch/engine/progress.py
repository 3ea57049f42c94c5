"""How the trials of a study's plan stand: what has ended, and which configurations are settled."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from pytest_hypersearch.core.trial import Key, TrialRecord


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
        self._left: Counter[tuple[str, int]] = Counter()
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
            self._left[key.sweep, key.number] -= 1
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

    def is_over(self, sweep: str, number: int) -> bool:
        """Whether all planned trials of a configuration have ended, raced or not."""
        return not self._left[sweep, number]

    def _open(self, key: Key) -> None:
        self._rounds[key.sweep, key.replicate] += 1
        self._left[key.sweep, key.number] += 1
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
