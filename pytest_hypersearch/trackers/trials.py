"""What all trackers need of trials: keys that are the same on resume, points, and plain facts."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING

from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.store.runs import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_hypersearch.core.trial import Raw, TrialRecord
    from pytest_hypersearch.engine.study_run import SweepRun
    from pytest_hypersearch.store.curves import Series


def trial_key(sweep: SweepRun, trial: TrialRecord) -> str:
    """16 hex digits: the same for a trial when its run is resumed, whatever its number is then."""
    return digest(f"{sweep.id}\n{config_key(trial.params)}\n{trial.replicate}\n{trial.seed}")


def place(sweep: SweepRun, trial: TrialRecord) -> tuple[str, int, int]:
    """Which trial of this session it is."""
    return sweep.id, trial.number, trial.replicate


def facts(trial: TrialRecord) -> dict[str, Raw]:
    """What is known of a trial beside its parameters and metrics."""
    return {
        "nodeid": trial.nodeid,
        "number": trial.number,
        "replicate": trial.replicate,
        "seed": trial.seed,
        "attempt": trial.attempt,
        "worker": trial.worker,
        "state": str(trial.state),
        "duration": trial.duration,
        "reason": trial.reason,
    }


def ended_in(mark: Path, trial: TrialRecord) -> bool:
    """Whether a file marks the end of this attempt: sessions without a tracker make others."""
    return mark.is_file() and mark.read_text() == str(trial.attempt)


def whole(step: float) -> int:
    """A step for trackers that know whole ones alone; fractions are rounded."""
    return round(step)


@dataclass(slots=True)
class Points:
    """The last point of each metric that a trial reported.

    Attributes:
        last: Step and value by metric.
    """

    last: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, series: Mapping[str, Series]) -> None:
        """Take what was reported."""
        for name, (steps, values) in series.items():
            self.last[name] = steps[-1], values[-1]

    def missing(self, trial: TrialRecord) -> Iterator[tuple[str, float, float]]:
        """The trial's metrics that are not its last reported values: name, step, value."""
        for name, value in trial.metrics.items():
            step, known = self.last.get(name, (0, None))
            if known is None or not (value == known or (isnan(value) and isnan(known))):
                yield name, step, value


@contextmanager
def quiet_import(library: str) -> Iterator[None]:
    """Import a tracker's library, whose warnings are none of the user's, in the main thread.

    Filters of warnings are the process's: in another thread, imports would fail wherever the
    project turns warnings into errors.

    Raises:
        ImportError: What is installed cannot be imported.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise ImportError(f"{library} cannot be imported: {reason}") from error
