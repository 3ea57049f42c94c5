"""What happens to the trials of a session, as the owner tells those who listen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_hypersearch.provenance import Provenance
    from pytest_hypersearch.results import SweepInfo
    from pytest_hypersearch.space import Space
    from pytest_hypersearch.study import Study
    from pytest_hypersearch.trial import TrialRecord

    Series: TypeAlias = tuple[Sequence[float], Sequence[float]]
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
        series: Steps and values of each metric since its last report, in the order of the reports.
    """

    study: Study
    trial: TrialRecord
    series: Mapping[str, Series]


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
        info: What is optimised, and how.
        space: The search space. Options whose names stand for secrets are ``"secret-0"``, ...
        directory: The run's directory.
        provenance: Commit, versions, command line and host of this session.
    """

    id: str
    nodeid: str
    info: SweepInfo
    space: Space
    directory: str
    provenance: Provenance
