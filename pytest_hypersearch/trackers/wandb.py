"""Weights & Biases: a run for each trial, in a group for each sweep."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.engine.study_run import SweepRun
from pytest_hypersearch.trackers.base import Point, TrialTracker, ended_in, facts, place, trial_key

STEP: Final = "step"
FINISHED: Final = "hypersearch-finished"
LONGEST_NAME: Final = 128


class WeightsAndBiases(TrialTracker[Any]):
    """Hooks that write to Weights & Biases.

    ``WANDB_MODE``, ``WANDB_PROJECT``, ``WANDB_DIR`` and W&B's other variables hold; the project is
    called like the project's directory, and local files are in ``wandb`` beside its configuration
    file. Runs have ids of their own making: one that is written again replaces what W&B has of it,
    and a resumed sweep leaves alone those of which the local files say that they are finished.

    The command line that W&B would record is not: ours has its secrets masked. The handle of a
    trial is its run.
    """

    modules = loggers = ("wandb",)

    def write(self, handle: Any, points: Iterable[Point]) -> None:  # noqa: ANN401  W&B is imported later
        """Log the points, in a row for each step."""
        rows: dict[float, dict[str, float]] = defaultdict(dict)
        for name, step, value in points:
            rows[step][name] = value
        for step, row in rows.items():
            handle.log({STEP: step, **row})

    def is_written(self, sweep: SweepRun, trial: TrialRecord) -> bool:
        """Tell whether the run's local files say so."""
        marks = self._directory.glob(f"wandb/*run-*-{trial_key(sweep, trial)}/{FINISHED}")
        return any(ended_in(mark, trial) for mark in marks)

    def end(
        self,
        trial: TrialRecord,
        handle: Any,  # noqa: ANN401  as above
        points: Iterable[Point],  # noqa: ARG002  the summary has all metrics
    ) -> None:
        """Log the results, and close the run."""
        ends = ("state", "duration", "reason")
        handle.summary.update(
            {**trial.logged, **trial.metrics, **{name: facts(trial)[name] for name in ends}}
        )
        kept = Path(handle.settings.sync_dir)
        handle.finish(exit_code=int(trial.state not in {State.COMPLETE, State.PRUNED}))
        (kept / FINISHED).write_text(str(trial.attempt))

    @property
    def _directory(self) -> Path:
        return Path(os.environ.get("WANDB_DIR") or self._root)

    def begin(self, sweep: SweepRun, trial: TrialRecord) -> Any:  # noqa: ANN401  as above
        """Open the trial's run; it replaces that of an earlier attempt."""
        import wandb

        if before := self._open.get(place(sweep, trial)):
            before.finish(exit_code=1)
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
