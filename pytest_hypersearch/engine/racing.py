"""Sweeps whose trials come in rounds, which decide by their scores who runs in the next one.

A race has a round for each replicate, and loses what is clearly worse than the best. Sequential
replicates are looked at a few times, and end when the gates have decided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from pytest_hypersearch.core.errors import NotYetError
from pytest_hypersearch.core.study import (
    Name,
    StudyResults,
    by_configuration,
    scores_by_seed,
    scores_of,
)
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Key
from pytest_hypersearch.engine.stopping import PlanProgress
from pytest_hypersearch.stats.gate import comparable, judge_gate, look_plan, promising
from pytest_hypersearch.stats.racing import raced_out


class Rounds:
    """The rounds of a study's raced sweeps."""

    def __init__(
        self, sweeps: Mapping[str, Sweep], plan: Collection[Key], progress: PlanProgress
    ) -> None:
        self._sweeps = sweeps
        self._plan = plan
        self._progress = progress
        self._out: dict[tuple[str, int], dict[int, str]] = {}

    def out(self, key: Key, *, force: bool) -> str:
        """Why a trial need not run, by the results of all earlier rounds; empty if it should.

        Args:
            key: The trial.
            force: Let the trial run instead of raising `NotYetError`: with scores missing, the
                best might be out, and for good.

        Raises:
            NotYetError: An earlier round is not over.
        """
        sweep = self._sweeps[key.sweep]
        if not sweep.race:
            return ""
        if not self._progress.round_is_over(key.sweep, key.replicate):
            if force:
                return ""
            raise NotYetError
        if (key.sweep, key.replicate) not in self._out:
            self._out[key.sweep, key.replicate] = raced_out(
                self._scores(sweep, key.replicate),
                replicate=key.replicate,
                planned=sweep.replicates,
            )
        return self._out[key.sweep, key.replicate].get(key.number, "")

    def _scores(self, sweep: Sweep, replicate: int) -> dict[int, list[float | None]]:
        """Scores before this replicate by configuration, lower is better; None where is none."""
        goal, records = sweep.goals[0], self._progress.records
        table: dict[int, list[float | None]] = {}
        for key in self._plan:
            if key.sweep == sweep.name and key.replicate < replicate:
                scores = table.setdefault(key.number, [None] * replicate)
                for score in scores_of([records[key]] if key in records else []):
                    scores[key.replicate] = goal.signed(score)
        return table


class Looks:
    """The looks at sequential replicates: which configurations run further ones, and until when.

    Args:
        results: Gives the trials so far.
        before: The results that the gates compare with, None without a baseline.
    """

    def __init__(
        self,
        sweeps: Mapping[str, Sweep],
        progress: PlanProgress,
        results: Callable[[], StudyResults],
        before: StudyResults | None,
    ) -> None:
        self._sweeps = sweeps
        self._progress = progress
        self._results = results
        self._before = before
        self._decisions: dict[tuple[str, int], tuple[str, frozenset[int]]] = {}

    def out(self, key: Key, *, force: bool) -> str:
        """Why a trial need not run, by the looks before it; empty if it should.

        Args:
            key: The trial.
            force: Let the trial run instead of raising `NotYetError`.

        Raises:
            NotYetError: Trials that are to be looked at before are not over.
        """
        sweep = self._sweeps[key.sweep]
        if sweep.at_least is None or key.replicate < sweep.at_least:
            return ""
        plan = self._plan(sweep)
        if key.replicate >= plan[-1]:
            return f"the baseline has {plan[-1]} replicates"
        last = max(size for size in plan if size <= key.replicate)
        if not self._progress.round_is_over(key.sweep, last):
            if force:
                return ""
            raise NotYetError
        if (sweep.name, last) not in self._decisions:
            self._decisions[sweep.name, last] = self._decide(sweep, last)
        reason, numbers = self._decisions[sweep.name, last]
        if reason or key.number in numbers:
            return reason
        return f"not among the best after {sweep.at_least} replicates"

    def _plan(self, sweep: Sweep) -> list[int]:
        """After how many replicates to look, the last time after all that run."""
        least = sweep.at_least or sweep.replicates
        plans = [
            look_plan(scores_by_seed(before, gate.metric), sweep.seeds, least)
            for gate in sweep.gates
            if gate.bound is None
            if (before := comparable(self._before, sweep, gate)) is not None
        ]
        return max(plans, key=lambda plan: plan[-1], default=[least, sweep.replicates])

    def _decide(self, sweep: Sweep, number: int) -> tuple[str, frozenset[int]]:
        """Why no further trials run, and for which configurations they do."""
        results = self._results()
        trials = tuple(trial for trial in results.trials if trial.replicate < number)
        now = by_configuration(replace(results, trials=trials), [sweep])
        going: set[Name] = set()
        verdicts = []
        for gate in sweep.gates:
            if gate.bound is not None:
                continue
            before = comparable(self._before, sweep, gate)
            if before is None:
                scores = scores_by_seed(now, gate.metric)
                going |= promising(scores, mode=gate.mode, count=gate.top and 2 * gate.top)
                continue
            try:
                judgement = judge_gate(before, now, gate, sweep, number)
            except ValueError:  # a percentage of 0, which the verdict tells
                verdicts.append("not comparable")
                continue
            if judgement.verdict == "undecided":
                going |= {*judgement.losses}
            verdicts.append(judgement.verdict)
        numbers = {next(iter(now[name].values())).number for name in going}
        reason = "" if numbers else f"decided after {number} replicates: {', '.join(verdicts)}"
        return reason, frozenset(numbers)
