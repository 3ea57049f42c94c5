"""The course of a study: the best score so far, and curves within trials."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import Goal
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Key, State, TrialRecord
from pytest_hypersearch.core.values import below, plural
from pytest_hypersearch.results.query import Row
from pytest_hypersearch.stats.ranking import BestSoFar
from pytest_hypersearch.store.curves import TimedSeries
from pytest_hypersearch.store.find import Loaded
from pytest_hypersearch.store.reader import (
    curves_of,
    outline_of,
    read_stored,
    starts_of,
    stored_key,
)
from pytest_hypersearch.store.runs import Run


@frozen
class Curve:
    """What a trial reported of a metric, in that order.

    Attributes:
        trial: The trial.
        metric: Name of the metric.
        steps: Where in the trial each value was reported.
        values: The values; NaN and infinity are possible.
        times: Seconds from the trial's start to each report, to about 0.2 s.
    """

    trial: TrialRecord
    metric: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    times: tuple[float, ...] = ()

    def __repr__(self) -> str:
        last = f", {self.values[-1]:.4g} at step {self.steps[-1]:g}" if self.values else ""
        return f"<{self.metric} of {self.trial.nodeid}: {plural(len(self.values), 'value')}{last}>"


class Step(NamedTuple):
    """A trial in the course of a study.

    Attributes:
        trial: The trial.
        n: How many trials of its sweep had ended by then, itself included; 0 if it has not ended.
        best: The score of its sweep's best configuration by then, None before the first.
        spread: Standard deviation of that configuration's scores, None unless several are averaged.
        overall: The best score over all sweeps of the objective.
    """

    trial: TrialRecord
    n: int
    best: float | None
    spread: float | None
    overall: float | None


def steps(study: StudyResults, goal: Goal) -> list[Step]:
    """Return the trials in the order in which they ended, with the best scores by then.

    This is what every figure of the best score so far draws. Only configurations that keep the
    constraints count.

    Args:
        study: The study; trials of sweeps that do not optimise the metric have no best score.
        goal: The metric and its direction.
    """
    sweeps = [_judged_by(sweep, goal) for sweep in study.sweeps if goal in sweep.goals]
    scored = {sweep.name for sweep in study.sweeps if sweep.goals[0] == goal}
    overall = BestSoFar(sweeps)
    alone = len(sweeps) == 1
    own = {sweep.name: overall if alone else BestSoFar([sweep]) for sweep in sweeps}
    counts: Counter[str] = Counter()
    found = []
    for trial in by_end(study.trials):
        if not _has_ended(trial):
            found.append(Step(trial, 0, None, None, None))
            continue
        counts[trial.sweep] += 1
        judged = trial
        if trial.sweep not in scored:
            value = trial.metrics.get(goal.metric, math.nan)
            judged = replace(trial, score=value if math.isfinite(value) else None)
        best = own.get(trial.sweep)
        if best is not None:
            best.add(judged)
            if not alone:
                overall.add(judged)
        score, spread = (None, None) if best is None else (best.score, best.spread)
        found.append(Step(trial, counts[trial.sweep], score, spread, overall.score))
    return found


def _judged_by(sweep: Sweep, goal: Goal) -> Sweep:
    """A sweep whose score is one of its metrics."""
    if goal == sweep.goals[0]:
        return sweep
    return replace(sweep, metric=goal.metric, mode=goal.mode, others=(), pick="mean")


def by_end(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return trials in the order in which they ended, those that have not ended last."""
    return sorted(trials, key=_end)


def _end(trial: TrialRecord) -> float:
    if not _has_ended(trial):
        return math.inf
    return 0.0 if trial.started is None else trial.started + trial.duration


def _has_ended(trial: TrialRecord) -> bool:
    return trial.state not in {State.RUNNING, State.NOT_RUN, State.RACED_OUT}


def history(study: StudyResults) -> Iterator[Row]:
    """Yield a row for each trial that ended; see `Results.history`."""
    for sweep in study.sweeps:
        for step in steps(study, sweep.goals[0]):
            trial = step.trial
            if step.n and trial.sweep == sweep.name:
                yield {
                    "test": study.nodeid,
                    "sweep": sweep.name,
                    "strategy": sweep.strategy,
                    "n": step.n,
                    "number": trial.number,
                    "replicate": trial.replicate,
                    "started": trial.started,
                    "status": str(trial.state),
                    "score": trial.score,
                    "best": step.best,
                }


def curves(loaded: Loaded) -> Iterator[Curve]:
    """Yield the curves of a study's trials, read from the files of its runs.

    Raises:
        StoreError: A file cannot be read.
    """
    for run in map(Run, loaded.runs):
        is_merged = len(loaded.runs) > 1
        stored = read_stored(run) if is_merged else outline_of(run)
        series = curves_of(run, stored)
        started = starts_of(stored) if is_merged else None
        for trial in loaded.results.trials:
            place = stored_key(trial), trial.attempt
            if started is None or started.get(place, math.nan) == trial.started:
                for metric, each in series.get(place, {}).items():
                    yield Curve(trial, metric, *map(tuple, each))


class Reported(NamedTuple):
    """A study and what its trials reported.

    Attributes:
        study: The study, of one run.
        curves: The series of each metric by trial.
        runs: Directories of the runs that the trials are from.
    """

    study: StudyResults
    curves: Mapping[Key, Mapping[str, TimedSeries]]
    runs: Sequence[Path] = ()

    def __repr__(self) -> str:
        return f"<reports of {plural(len(self.curves), 'trial')} of {self.study.nodeid}>"


def reported(loaded: Loaded) -> Reported:
    """Return a study with its curves, as the report takes them."""
    found: dict[Key, dict[str, TimedSeries]] = {}
    for curve in curves(loaded):
        found.setdefault(curve.trial.key, {})[curve.metric] = TimedSeries(
            list(curve.steps), list(curve.values), list(curve.times)
        )
    study = loaded.results
    # as whoever works in this directory would write it
    run = str(below(Path(study.run), Path.cwd())) if study.run else ""
    return Reported(replace(study, run=run), found, loaded.runs)
