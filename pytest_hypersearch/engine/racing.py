"""Raced sweeps: their trials come in rounds, one for each replicate, and lose configurations."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pytest_hypersearch.core.errors import NotYetError
from pytest_hypersearch.core.study import scores_of
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Key
from pytest_hypersearch.engine.progress import PlanProgress
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
