"""What happens to the trials of a session, as the owner tells those who listen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.engine.study import Study
    from pytest_hypersearch.store.curves import Packed
    from pytest_hypersearch.store.records import Provenance

    Event: TypeAlias = "Started | Reported | Ended"
    Listener: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Started:
    """A trial was handed to a runner.

    Attributes:
        study: Its study, which goes on: to be looked at before the listener returns.
        trial: The trial, which is running.
    """

    study: Study
    trial: TrialRecord


@dataclass(frozen=True, slots=True)
class Reported:
    """A running trial reported.

    Attributes:
        study: As in `Started`.
        trial: The trial, which is running.
        series: The packed series of each metric since its last report.
    """

    study: Study
    trial: TrialRecord
    series: Mapping[str, Packed]


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial ended, was replayed, or will not run.

    Attributes:
        study: As in `Started`.
        trial: The trial.
    """

    study: Study
    trial: TrialRecord


@dataclass(frozen=True, slots=True)
class SweepRun:
    """One sweep of a study in one run, as trackers are told of it.

    Attributes:
        id: 16 hex digits: the same when the run is resumed, others in every other run.
        nodeid: The study: the test without the trial's part.
        info: What is searched and optimised, and how. In ``info.space``, options of parameters that
            are named like secrets are ``"secret-0"`` and so on.
        directory: The run's directory.
        provenance: Commit, versions, command line and host of this session.
    """

    id: str
    nodeid: str
    info: Sweep
    directory: str
    provenance: Provenance
