"""The results of a study: its sweeps and trials, as the summary and later readers get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_hypersearch.goals import Constraint, Goal
from pytest_hypersearch.space import Space
from pytest_hypersearch.trial import State, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_hypersearch.marks import Sweep


@dataclass(frozen=True, slots=True)
class SweepInfo:
    """What a reader must know of one sweep to rank and group its trials.

    Attributes:
        name: Unique within the study; the strategy's name unless the mark gives another.
        strategy: ``grid``, ``random``, ``bayes`` or a plugin's.
        metric: Name of the score among the metrics.
        mode: Whether lower (``min``) or higher (``max``) scores are better.
        others: Further metrics that are optimised.
        constraints: Bounds that make a configuration feasible.
        pick: What makes one of several replicates' scores the best; see `picking`.
        seed: The sweep's seed.
        replicates: Trials per configuration.
        planned: Trials in this run's plan.
        group_by: Parameters by which the summary groups.
        varied: Parameters with more than one possible value, in the order of the space.
        shape: Numbers of values of a grid's parameters, one tuple per grid; empty otherwise.
        elapsed: Wall time in seconds from its first trial's start to its last one's end.
        space: What it searches, None if that is not known.
    """

    name: str
    strategy: str
    metric: str
    mode: Literal["min", "max"]
    seed: int
    replicates: int
    planned: int
    group_by: tuple[str, ...]
    varied: tuple[str, ...]
    shape: tuple[tuple[int, ...], ...] = ()
    elapsed: float = 0.0
    others: tuple[Goal, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    pick: str = "mean"
    space: Space | None = None

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All that it optimises, the score first."""
        return Goal(self.metric, self.mode), *self.others

    @classmethod
    def of(cls, sweep: Sweep, *, planned: int, elapsed: float = 0.0) -> SweepInfo:
        """What a reader must know of a sweep as its mark asks for it."""
        return cls(
            name=sweep.name,
            strategy=sweep.strategy,
            metric=sweep.metric,
            mode=sweep.mode,
            others=sweep.others,
            constraints=sweep.constraints,
            pick=sweep.pick,
            seed=sweep.seed,
            replicates=sweep.replicates,
            planned=planned,
            group_by=sweep.group_by,
            varied=sweep.space.varied,
            shape=_shape(sweep),
            elapsed=elapsed,
            space=sweep.space,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        space = None if self.space is None else self.space.to_json()
        return {**{name: getattr(self, name) for name in self.__slots__}, "space": space}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SweepInfo:
        """The inverse of `to_json`."""
        tuples: dict[str, Any] = {name: tuple(data[name]) for name in ("group_by", "varied")}
        tuples["shape"] = tuple(map(tuple, data["shape"]))
        tuples["others"] = tuple(Goal(*each) for each in data["others"])
        tuples["constraints"] = tuple(Constraint(*each) for each in data["constraints"])
        space = None if data["space"] is None else Space.from_json(data["space"])
        return cls(**{**data, **tuples, "space": space})


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
    sweeps: tuple[SweepInfo, ...]
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
            sweeps=tuple(map(SweepInfo.from_json, data["sweeps"])),
            trials=tuple(map(TrialRecord.from_json, data["trials"])),
            notes=tuple(data["notes"]),
            run=data["run"],
            saved=data["saved"],
        )


def _shape(sweep: Sweep) -> tuple[tuple[int, ...], ...]:
    """Numbers of values of a grid's parameters."""
    if sweep.strategy != "grid":
        return ()
    return tuple(tuple(d.size or 0 for d in branch.values()) for branch in sweep.space.branches)


def signed(sweep: SweepInfo, score: float) -> float:
    """Turns a score of a sweep so that lower is better."""
    return score if sweep.mode == "min" else -score


def scores_of(trials: Iterable[TrialRecord]) -> tuple[float, ...]:
    """Returns the scores of those trials that are complete."""
    return tuple(
        trial.score for trial in trials if trial.state is State.COMPLETE and trial.score is not None
    )
