"""How the trials of a study's plan stand: what has ended, and which configurations are settled."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_hypersearch.trial import Key, TrialRecord


class Standing:
    """The ended trials of a plan, and what is due.

    A configuration is settled when all of its planned trials have ended.

    Args:
        plan: Every trial of the plan.

    Attributes:
        records: The ended trials, in the order in which they ended.
        due: Trials that have not ended, by sweep and configuration; settled ones are not in it.
        settled: Settled configurations by sweep, in the order in which they were.
    """

    def __init__(self, plan: Iterable[Key]) -> None:
        self.records: dict[Key, TrialRecord] = {}
        self.due: dict[str, dict[int, int]] = defaultdict(dict)
        self.settled: dict[str, list[int]] = defaultdict(list)
        self._planned = 0
        for key in sorted(plan):
            self._planned += 1
            self.due[key.sweep][key.number] = self.due[key.sweep].get(key.number, 0) + 1

    @property
    def done(self) -> bool:
        """Whether every trial of the plan has ended."""
        return len(self.records) == self._planned

    def end(self, key: Key, record: TrialRecord) -> None:
        """Take note of a trial's end."""
        if key not in self.records:
            left = self.due[key.sweep]
            left[key.number] -= 1
            if not left[key.number]:
                del left[key.number]
                self.settled[key.sweep].append(key.number)
        self.records[key] = record

    def reopen(self, key: Key) -> None:
        """Forget the end of a trial that runs again."""
        del self.records[key]
        left = self.due[key.sweep]
        if key.number not in left:
            self.settled[key.sweep].remove(key.number)
        left[key.number] = left.get(key.number, 0) + 1
