"""Weights & Biases: a run for each trial, in a group for each sweep."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.trackers.trials import (
    Points,
    ended_in,
    facts,
    place,
    quiet_import,
    trial_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.engine.study_run import SweepRun
    from pytest_hypersearch.store.curves import Series


STEP: Final = "step"
FINISHED: Final = "hypersearch-finished"
LONGEST_NAME: Final = 128


@dataclass(slots=True)
class Open:
    """A trial's run that is under way."""

    run: Any
    points: Points = field(default_factory=Points)


class WeightsAndBiases:
    """Hooks that write to Weights & Biases.

    ``WANDB_MODE``, ``WANDB_PROJECT``, ``WANDB_DIR`` and W&B's other variables hold; the project is
    called like the project's directory, and local files are in ``wandb`` beside its configuration
    file. Runs have ids of their own making: one that is written again replaces what W&B has of it,
    and a resumed sweep leaves alone those of which the local files say that they are finished.

    The command line that W&B would record is not: ours has its secrets masked.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[tuple[str, int, int], Open] = {}

    def start(self) -> None:
        """Import W&B."""
        with quiet_import("wandb"):
            import wandb  # noqa: F401
        logging.getLogger("wandb").setLevel(logging.WARNING)

    def pytest_hypersearch_trial_started(self, sweep: SweepRun, trial: TrialRecord) -> None:
        """Open the trial's run; it replaces that of an earlier attempt."""
        if before := self._open.pop(place(sweep, trial), None):
            before.run.finish(exit_code=1)
        self._open[place(sweep, trial)] = Open(self._init(sweep, trial))

    def pytest_hypersearch_trial_reported(
        self, sweep: SweepRun, trial: TrialRecord, series: Mapping[str, Series]
    ) -> None:
        """Log the points."""
        active = self._open[place(sweep, trial)]
        active.points.take(series)
        rows: dict[float, dict[str, float]] = {}
        for name, (steps, values) in series.items():
            for step, value in zip(steps, values, strict=True):
                rows.setdefault(step, {})[name] = value
        for step, row in rows.items():
            active.run.log({STEP: step, **row})

    def pytest_hypersearch_trial_finished(
        self, sweep: SweepRun, trial: TrialRecord, series: Mapping[str, Series]
    ) -> None:
        """Log what came out; of a replayed trial all there is, unless that was done before."""
        if trial.cached and self._finished(trial_key(sweep, trial), trial):
            return
        if place(sweep, trial) not in self._open:
            self.pytest_hypersearch_trial_started(sweep, trial)
            self.pytest_hypersearch_trial_reported(sweep, trial, series)
        run = self._open.pop(place(sweep, trial)).run
        ends = ("state", "duration", "reason")
        run.summary.update(
            {**trial.logged, **trial.metrics, **{name: facts(trial)[name] for name in ends}}
        )
        kept = Path(run.settings.sync_dir)
        run.finish(exit_code=int(trial.state not in {State.COMPLETE, State.PRUNED}))
        (kept / FINISHED).write_text(str(trial.attempt))

    @property
    def _directory(self) -> Path:
        return Path(os.environ.get("WANDB_DIR") or self._root)

    def _finished(self, key: str, trial: TrialRecord) -> bool:
        marks = self._directory.glob(f"wandb/*run-*-{key}/{FINISHED}")
        return any(ended_in(mark, trial) for mark in marks)

    def _init(self, sweep: SweepRun, trial: TrialRecord) -> Any:  # noqa: ANN401  W&B is imported later
        import wandb

        short = sweep.nodeid.rpartition("::")[2]
        started = ("nodeid", "number", "replicate", "seed", "attempt", "worker")
        about = {
            **{name: facts(trial)[name] for name in started},
            "sweep": sweep.info.name,
            "study": sweep.nodeid,
            "goals": {goal.metric: goal.mode for goal in sweep.info.goals},
            "provenance": sweep.provenance.to_json(),
        }
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or self._root.name or None,
            group=f"{short[: LONGEST_NAME - 40]} {sweep.info.name[:20]} {sweep.id}",
            job_type=sweep.info.strategy,
            id=trial_key(sweep, trial),
            name=trial.nodeid.rpartition("::")[2][:LONGEST_NAME],
            # "trial" is a fixture, and so no parameter's name.
            config={**trial.params, "trial": about},
            dir=str(self._directory),
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                disable_code=True,
                disable_git=True,
                silent=True,
                x_disable_meta=True,
                x_disable_stats=True,
            ),
        )
        run.define_metric("*", step_metric=STEP)
        return run
