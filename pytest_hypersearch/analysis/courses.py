"""What happened in the course of time: the best score so far, and curves within trials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_hypersearch.analysis.reading import identity_of, places_of
from pytest_hypersearch.curves import read_curves
from pytest_hypersearch.statistics.ranking import BestSoFar
from pytest_hypersearch.store.journal import read
from pytest_hypersearch.store.runs import Run
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_hypersearch.analysis.loading import Loaded
    from pytest_hypersearch.analysis.tables import Row
    from pytest_hypersearch.results import StudyResults
    from pytest_hypersearch.trial import TrialRecord


@dataclass(frozen=True, slots=True)
class Curve:
    """What a trial reported of a metric, in that order.

    Attributes:
        trial: The trial.
        metric: Name of the metric.
        steps: Where in the trial each value was reported.
        values: The values; NaN and infinity are possible.
    """

    trial: TrialRecord = field(repr=False)
    metric: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


def history(study: StudyResults) -> Iterator[Row]:
    """Yield a row for each trial that ended; see `Results.history`."""
    for sweep in study.sweeps:
        best = BestSoFar([sweep])
        ended = (trial for trial in study.trials if trial.sweep == sweep.name and _ended(trial))
        for n, trial in enumerate(sorted(ended, key=_end), start=1):
            best.add(trial)
            yield {
                "test": study.nodeid,
                "sweep": sweep.name,
                "strategy": sweep.strategy,
                "n": n,
                "number": trial.number,
                "replicate": trial.replicate,
                "started": trial.started,
                "status": str(trial.state),
                "score": trial.score,
                "best": best.score,
            }


def curves(loaded: Loaded) -> Iterator[Curve]:
    """Yield the curves of a study's trials, read from the files of its runs.

    Raises:
        StoreError: A file cannot be read.
    """
    wanted = {(identity_of(trial), trial.started): trial for trial in loaded.results.trials}
    for run in map(Run, loaded.runs):
        places = places_of(run)
        series = read_curves(read(run.curves.path).records)
        for who, trial in wanted.items():
            if who in places:
                for metric, (steps, values) in series.get(places[who], {}).items():
                    yield Curve(trial, metric, tuple(steps), tuple(values))


def _ended(trial: TrialRecord) -> bool:
    return trial.state not in {State.RUNNING, State.NOT_RUN, State.RACED_OUT}


def _end(trial: TrialRecord) -> float:
    return (trial.started or 0.0) + trial.duration
