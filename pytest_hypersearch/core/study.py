"""The results of a study: its sweeps and trials, as the summary and later readers get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class StudyCode:
    """Where the code of a study's test is, for its fingerprint.

    Attributes:
        roots: Directories from which the project's modules are imported, the project's own first.
        file: The test's module.
        function: The test's qualified name in it.
        fixtures: The project's other files that define the test's fixtures.
        depends_on: Files that the test reads.
    """

    roots: list[str]
    file: str
    function: str
    fixtures: list[str]
    depends_on: list[str]


@dataclass(frozen=True, slots=True)
class StudyResults:
    """All trials of one test's sweeps, for one combination of the test's other parameters.

    Attributes:
        nodeid: The test without the trial's part: ``test_mlp.py::test_mlp[cifar]``.
        sweeps: The sweeps in the order in which the marks are read.
        trials: Every trial known, in the order of sweep, configuration and replicate.
        notes: One line each on what a reader must be told: stale or damaged records, lost trials.
        run: Directory of the run, empty if nothing is stored.
        saved: Directory of what the best configuration saved, empty if no trial saved anything.
    """

    nodeid: str
    sweeps: tuple[Sweep, ...]
    trials: tuple[TrialRecord, ...]
    notes: tuple[str, ...] = ()
    run: str = ""
    saved: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "nodeid": self.nodeid,
            "sweeps": [sweep.to_json() for sweep in self.sweeps],
            "trials": [trial.to_json() for trial in self.trials],
            "notes": list(self.notes),
            "run": self.run,
            "saved": self.saved,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudyResults:
        """The inverse of `to_json`."""
        return cls(
            nodeid=data["nodeid"],
            sweeps=tuple(map(Sweep.from_json, data["sweeps"])),
            trials=tuple(map(TrialRecord.from_json, data["trials"])),
            notes=tuple(data["notes"]),
            run=data["run"],
            saved=data["saved"],
        )


def signed(sweep: Sweep, score: float) -> float:
    """Turns a score of a sweep so that lower is better."""
    return score if sweep.mode == "min" else -score


def scores_of(trials: Iterable[TrialRecord]) -> tuple[float, ...]:
    """Returns the scores of those trials that are complete."""
    return tuple(
        trial.score for trial in trials if trial.state is State.COMPLETE and trial.score is not None
    )


def called(nodeids: Iterable[str], name: str) -> list[str]:
    """Return the node ids that a name stands for: the one that it is, or those that end in it.

    Args:
        nodeids: Of tests, without the trials' parts.
        name: A node id, its file, or its end with or without arguments: ``test_mlp``,
            ``TestNets::test_mlp``, ``test_mlp[cifar]``.
    """
    known = list(nodeids)
    exact = [nodeid for nodeid in known if nodeid == name]
    return exact or [nodeid for nodeid in known if _ends_in(nodeid, name)]


def some(names: Iterable[str], most: int = 8) -> str:
    """Return names for a message, not all of them if they are many."""
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def _ends_in(nodeid: str, name: str) -> bool:
    file, colons, rest = nodeid.partition("::")
    plain = file + colons + rest.partition("[")[0]
    return any(
        text == name or text.endswith((f"::{name}", f"/{name}")) for text in (file, plain, nodeid)
    )
