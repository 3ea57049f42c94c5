"""What happened in the course of time: the best score so far, and curves within trials."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.core.trial import Key, State
from pytest_hypersearch.results.report.payload import Reported
from pytest_hypersearch.stats.ranking import BestSoFar
from pytest_hypersearch.store.curves import read_curves
from pytest_hypersearch.store.journal import read
from pytest_hypersearch.store.reader import identity_of, places_of
from pytest_hypersearch.store.runs import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.results.export import Row
    from pytest_hypersearch.store.curves import Series
    from pytest_hypersearch.store.find import Loaded


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


def reported(loaded: Loaded) -> Reported:
    """Return a study with its curves, as the report takes them."""
    found: dict[Key, dict[str, Series]] = {}
    for curve in curves(loaded):
        key = Key(curve.trial.sweep, curve.trial.number, curve.trial.replicate)
        found.setdefault(key, {})[curve.metric] = list(curve.steps), list(curve.values)
    study = loaded.results
    return Reported(replace(study, run=_from_here(study.run)), found, loaded.runs)


def _from_here(path: str) -> str:
    """A path as whoever works in this directory would write it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
