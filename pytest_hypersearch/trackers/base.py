"""What all trackers do with trials: one base class, keys that are the same on resume, and facts."""

from __future__ import annotations

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from math import isnan
from pathlib import Path
from typing import ClassVar, Generic, TypeAlias, TypeVar

from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.trial import Raw, TrialRecord
from pytest_hypersearch.engine.study_run import SweepRun
from pytest_hypersearch.store.curves import Series
from pytest_hypersearch.store.runs import digest

Point: TypeAlias = tuple[str, float, float]
"""Name of a metric, step and value."""

HandleT = TypeVar("HandleT")


class TrialTracker(ABC, Generic[HandleT]):
    """Hooks on trials, and what each tracker does in them.

    A handle is what a tracker writes a trial to, from its start to its end.

    Attributes:
        modules: What a tracker imports, its library first.
        loggers: Loggers that say too much.

    Args:
        root: Directory of the project's configuration file.
    """

    modules: ClassVar[tuple[str, ...]]
    loggers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[tuple[str, int, int], HandleT] = {}
        self._last: dict[tuple[str, int, int], dict[str, tuple[float, float]]] = {}

    def start(self) -> None:
        """Import the tracker's library in the main thread; see `quiet_import`."""
        with quiet_import(self.modules[0].partition(".")[0]):
            for module in self.modules:
                import_module(module)
        for name in self.loggers:
            logging.getLogger(name).setLevel(logging.WARNING)

    @abstractmethod
    def begin(self, sweep: SweepRun, trial: TrialRecord) -> HandleT:
        """Begin to write a trial, in the place of an earlier attempt at it."""

    @abstractmethod
    def write(self, handle: HandleT, points: Iterable[Point]) -> None:
        """Write what a trial reported."""

    @abstractmethod
    def is_written(self, sweep: SweepRun, trial: TrialRecord) -> bool:
        """Tell whether an earlier session has written this attempt at a trial to its end."""

    @abstractmethod
    def end(self, trial: TrialRecord, handle: HandleT, points: Iterable[Point]) -> None:
        """Write the end of a trial, with the metrics that it did not report on its way."""

    def pytest_hypersearch_trial_started(self, sweep: SweepRun, trial: TrialRecord) -> None:
        """Begin to write the trial."""
        key = place(sweep, trial)
        self._open[key] = self.begin(sweep, trial)
        self._last[key] = {}

    def pytest_hypersearch_trial_reported(
        self, sweep: SweepRun, trial: TrialRecord, series: Mapping[str, Series]
    ) -> None:
        """Write the values."""
        key = place(sweep, trial)
        points = (
            (name, step, value)
            for name, (steps, values) in series.items()
            for step, value in zip(steps, values, strict=True)
        )
        self.write(self._open[key], points)
        self._last[key] |= {name: (steps[-1], each[-1]) for name, (steps, each) in series.items()}

    def pytest_hypersearch_trial_finished(
        self, sweep: SweepRun, trial: TrialRecord, series: Mapping[str, Series]
    ) -> None:
        """Write the results; of a replayed trial all there is, unless that was done before."""
        if trial.cached and self.is_written(sweep, trial):
            return
        key = place(sweep, trial)
        if key not in self._open:
            self.pytest_hypersearch_trial_started(sweep, trial)
            self.pytest_hypersearch_trial_reported(sweep, trial, series)
        self.end(trial, self._open.pop(key), _unreported(trial, self._last.pop(key)))


def trial_key(sweep: SweepRun, trial: TrialRecord) -> str:
    """16 hex digits: the same for a trial when its run is resumed, whatever its number is then."""
    return digest(f"{sweep.id}\n{config_key(trial.params)}\n{trial.replicate}\n{trial.seed}")


def facts(trial: TrialRecord) -> dict[str, Raw]:
    """What is known of a trial beside its parameters and metrics."""
    names = ("nodeid", "number", "replicate", "seed", "attempt", "worker", "duration", "reason")
    return {name: getattr(trial, name) for name in names} | {"state": str(trial.state)}


def ended_in(mark: Path, trial: TrialRecord) -> bool:
    """Whether a file marks the end of this attempt: sessions without a tracker make others."""
    return mark.is_file() and mark.read_text() == str(trial.attempt)


def place(sweep: SweepRun, trial: TrialRecord) -> tuple[str, int, int]:
    """Which trial of this session it is."""
    return sweep.id, trial.number, trial.replicate


def _unreported(trial: TrialRecord, last: Mapping[str, tuple[float, float]]) -> Iterator[Point]:
    """The trial's metrics that are not its last reported values."""
    for name, value in trial.metrics.items():
        step, reported = last.get(name, (0, None))
        if reported is None or not (value == reported or (isnan(value) and isnan(reported))):
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
