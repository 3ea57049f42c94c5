"""The results of a study, as the summary and later readers see them, and what follows from them.

Scores are compared per configuration: the mean over its complete replicates. Configurations whose
means keep all constraints are feasible and rank first; the others follow by how much they break
them. Within both, configurations whose planned replicates are all complete rank first; those with
fewer rank behind them, however good they look, since a lucky seed would win otherwise. A
configuration without any complete trial has no rank. Of several metrics the first one ranks, the
others where it is equal.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_hypersearch.goals import Constraint, Goal
from pytest_hypersearch.moments import mean, std, t_quantile
from pytest_hypersearch.trial import State, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_hypersearch.trial import Config, Raw

    _Order: TypeAlias = tuple[float, bool, tuple[float, ...], int, int]

FAILURES = (State.FAILED, State.INVALID, State.CRASHED, State.TIMED_OUT)
_RANDOM_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|[-+]?\d*\.\d+(e[-+]?\d+)?|\d+e[-+]?\d+")


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
        seed: The sweep's seed.
        replicates: Trials per configuration.
        planned: Trials in this run's plan.
        group_by: Parameters by which the summary groups.
        varied: Parameters with more than one possible value, in the order of the space.
        shape: Numbers of values of a grid's parameters, one tuple per grid; empty otherwise.
        elapsed: Wall time in seconds from its first trial's start to its last one's end.
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

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All that it optimises, the score first."""
        return Goal(self.metric, self.mode), *self.others

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SweepInfo:
        """The inverse of `to_json`."""
        tuples: dict[str, Any] = {name: tuple(data[name]) for name in ("group_by", "varied")}
        tuples["shape"] = tuple(map(tuple, data["shape"]))
        tuples["others"] = tuple(Goal(*each) for each in data["others"])
        tuples["constraints"] = tuple(Constraint(*each) for each in data["constraints"])
        return cls(**{**data, **tuples})


@dataclass(frozen=True, slots=True)
class StudyResults:
    """All trials of one test's sweeps, for one combination of the test's other parameters.

    Attributes:
        nodeid: The test without the trial's part: ``test_mlp.py::test_mlp[cifar]``.
        sweeps: The sweeps in the order in which the marks are read.
        trials: Every trial known, in the order of sweep, configuration and replicate.
        notes: One line each on what a reader must be told: stale or damaged records, lost trials.
        run: Directory of the run, empty if nothing is stored.
    """

    nodeid: str
    sweeps: tuple[SweepInfo, ...]
    trials: tuple[TrialRecord, ...]
    notes: tuple[str, ...] = ()
    run: str = ""

    @property
    def pareto(self) -> list[Ranked]:
        """The Pareto front of the first sweep's metrics, by the first metric; see `front`."""
        return front(self.trials, objectives(self.sweeps)[0]) if self.sweeps else []

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "nodeid": self.nodeid,
            "sweeps": [sweep.to_json() for sweep in self.sweeps],
            "trials": [trial.to_json() for trial in self.trials],
            "notes": list(self.notes),
            "run": self.run,
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
        )


@dataclass(frozen=True, slots=True)
class Ranked:
    """A configuration that has a score.

    Attributes:
        sweep: The sweep it belongs to.
        trials: Its complete trials, in the order of replicate; at least one.
    """

    sweep: SweepInfo
    trials: tuple[TrialRecord, ...]

    @property
    def number(self) -> int:
        """Index of the configuration within its sweep."""
        return self.trials[0].number

    @property
    def params(self) -> Config:
        """The configuration."""
        return self.trials[0].params

    @property
    def scores(self) -> tuple[float, ...]:
        """Scores of its complete replicates."""
        return scores_of(self.trials)

    @property
    def full(self) -> bool:
        """Whether all planned replicates are complete."""
        return len(self.trials) >= self.sweep.replicates

    @property
    def mean(self) -> float:
        """Mean score over its complete replicates."""
        return mean(self.scores)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over its complete replicates; None for a single one."""
        return std(self.scores)

    @property
    def means(self) -> tuple[float, ...]:
        """Means over its complete replicates of all metrics that are optimised."""
        return self.mean, *(self.mean_of(goal.metric) for goal in self.sweep.others)

    @property
    def signed_means(self) -> tuple[float, ...]:
        """The same so that lower is better."""
        pairs = zip(self.sweep.goals, self.means, strict=True)
        return tuple(goal.signed(value) for goal, value in pairs)

    @property
    def excess(self) -> float:
        """By how much its means break the constraints, relative to the bounds; 0 if feasible."""
        broken = (each.excess(self.mean_of(each.metric)) for each in self.sweep.constraints)
        return math.fsum(max(0.0, one) for one in broken)

    def mean_of(self, metric: str) -> float:
        """Mean of a metric over its complete replicates."""
        return mean([trial.metrics[metric] for trial in self.trials])

    @property
    def top(self) -> TrialRecord:
        """Its trial with the best score."""
        return min(self.trials, key=lambda trial: signed(self.sweep, trial.score or 0.0))


@dataclass(frozen=True, slots=True)
class Group:
    """The trials that share the values of some parameters.

    Attributes:
        key: The shared values, in the order of the parameters asked for.
        trials: Its complete trials.
        best: Its best configuration, None without a complete trial.
        configurations: How many of its configurations have a score.
    """

    key: tuple[Raw, ...]
    trials: tuple[TrialRecord, ...]
    best: Ranked | None
    configurations: int

    @property
    def n(self) -> int:
        """Number of complete trials."""
        return len(self.trials)

    @property
    def mean(self) -> float | None:
        """Mean of all scores, None without one."""
        return mean(scores_of(self.trials)) if self.trials else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation of all scores, None for fewer than two."""
        return std(scores_of(self.trials))

    @property
    def median(self) -> float | None:
        """Median of all scores, None without one."""
        return median(scores_of(self.trials)) if self.trials else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% confidence interval of the mean (Student's t), None for fewer than two scores."""
        centre, spread = self.mean, self.std
        if centre is None or spread is None:
            return None
        half = t_quantile(self.n - 1) * spread / math.sqrt(self.n)
        return centre - half, centre + half

    @property
    def duration(self) -> float | None:
        """Mean time of a complete trial in seconds, None without one."""
        return mean([trial.duration for trial in self.trials]) if self.trials else None


@dataclass(frozen=True, slots=True)
class Failure:
    """Trials that ended alike.

    Attributes:
        state: How they ended.
        reason: Why the first of them did.
        count: How many they are.
    """

    state: State
    reason: str
    count: int


def signed(sweep: SweepInfo, score: float) -> float:
    """Turns a score of a sweep so that lower is better."""
    return score if sweep.mode == "min" else -score


def scores_of(trials: Iterable[TrialRecord]) -> tuple[float, ...]:
    """Returns the scores of those trials that are complete."""
    return tuple(
        trial.score for trial in trials if trial.state is State.COMPLETE and trial.score is not None
    )


def objectives(sweeps: Iterable[SweepInfo]) -> list[tuple[SweepInfo, ...]]:
    """Puts those sweeps together that can be compared: same metrics, modes and constraints."""
    found: dict[tuple[object, ...], list[SweepInfo]] = {}
    for sweep in sweeps:
        found.setdefault((sweep.goals, sweep.constraints), []).append(sweep)
    return [tuple(alike) for alike in found.values()]


def rank(trials: Iterable[TrialRecord], sweeps: Sequence[SweepInfo]) -> list[Ranked]:
    """Ranks configurations, best first, by the rule at the top of this module.

    Args:
        trials: Trials of one study; those of other sweeps are passed over.
        sweeps: Sweeps of one objective.

    Returns:
        Every configuration with a complete trial; equal ones in the order of sweep and number.
    """
    infos = {sweep.name: sweep for sweep in sweeps}
    found: dict[tuple[str, int], list[TrialRecord]] = {}
    for trial in trials:
        if trial.sweep in infos and trial.state is State.COMPLETE and trial.score is not None:
            found.setdefault((trial.sweep, trial.number), []).append(trial)
    place = {name: index for index, name in enumerate(infos)}
    ordered = sorted(found.items(), key=lambda item: (place[item[0][0]], item[0][1]))
    ranked = [Ranked(infos[name], tuple(alike)) for (name, _), alike in ordered]
    return sorted(ranked, key=rank_key)


def rank_key(ranked: Ranked | None) -> tuple[float, bool, tuple[float, ...]]:
    """Returns what configurations of one objective are sorted by, lower is better, None last."""
    if ranked is None:
        return math.inf, True, ()
    return ranked.excess, not ranked.full, ranked.signed_means


def front(trials: Iterable[TrialRecord], sweeps: Sequence[SweepInfo]) -> list[Ranked]:
    """Finds the Pareto front: configurations whose means no other's surpass in all metrics.

    Args:
        trials: Trials of one study.
        sweeps: Sweeps of one objective.

    Returns:
        The front in the order of the first metric, among feasible configurations with all their
        replicates; those with fewer count while there are no others.
    """
    ranked = rank(trials, sweeps)
    alike = [one for one in ranked if not one.excess and one.full == ranked[0].full]
    found: list[Ranked] = []
    for one in alike:  # whatever dominates it comes before it, and the first of those is found
        if not any(_dominates(other.signed_means, one.signed_means) for other in found):
            found.append(one)
    return found


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def best(results: StudyResults, *names: str) -> Ranked | None:
    """Finds the best configuration of a study.

    Args:
        results: The study.
        names: Sweeps to look at; all that share the first sweep's metric and mode if none is given.

    Returns:
        None if no configuration is complete and feasible.
    """
    chosen = [sweep for sweep in results.sweeps if not names or sweep.name in names]
    ranked = rank(results.trials, objectives(chosen)[0]) if chosen else []
    return ranked[0] if ranked and not ranked[0].excess else None


def group(
    trials: Iterable[TrialRecord], sweeps: Sequence[SweepInfo], parameters: Sequence[str]
) -> list[Group]:
    """Groups trials by the values of parameters.

    Args:
        trials: Trials of one study; those of other sweeps or without the parameters are left out.
        sweeps: Sweeps of one objective.
        parameters: Names of the parameters; no name makes one group of all.

    Returns:
        The groups in the order of their best configurations; those without a score at the end.
    """
    names = {sweep.name for sweep in sweeps}
    found: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.sweep in names and all(name in trial.params for name in parameters):
            # JSON text tells 1, 1.0, True and "1" apart
            key = json.dumps([trial.params[name] for name in parameters])
            found.setdefault(key, []).append(trial)
    groups = [_group(json.loads(key), alike, sweeps) for key, alike in found.items()]
    return sorted(groups, key=lambda one: rank_key(one.best))


def _group(key: list[Raw], trials: Sequence[TrialRecord], sweeps: Sequence[SweepInfo]) -> Group:
    ranked = rank(trials, sweeps)
    complete = tuple(trial for trial in trials if scores_of([trial]))
    return Group(tuple(key), complete, ranked[0] if ranked else None, len(ranked))


def count(trials: Iterable[TrialRecord], planned: int) -> dict[State, int]:
    """Counts trials by state.

    Args:
        trials: The trials known.
        planned: Trials in the plan; what is missing counts as not run.

    Returns:
        Every state that occurs, in the order in which `State` lists them.
    """
    found = Counter(trial.state for trial in trials)
    found[State.NOT_RUN] += max(0, planned - found.total())
    return {state: found[state] for state in State if found[state]}


def failures(trials: Iterable[TrialRecord]) -> list[Failure]:
    """Counts failures by kind: state and reason.

    Reasons that differ only in measured numbers (decimals, addresses) are one kind, named by its
    first.

    Returns:
        The kinds in the order of `FAILURES`, the most frequent first.
    """
    found: dict[tuple[State, str], list[str]] = {}
    for trial in trials:
        if trial.state in FAILURES:
            kind = _RANDOM_NUMBERS.sub("#", trial.reason)
            found.setdefault((trial.state, kind), []).append(trial.reason)
    kinds = [Failure(state, reasons[0], len(reasons)) for (state, _), reasons in found.items()]
    return sorted(kinds, key=lambda kind: (FAILURES.index(kind.state), -kind.count))


class BestSoFar:
    """The best configuration while trials come in, by the rule of `rank`.

    Args:
        sweeps: Sweeps of one study; those that do not share the first one's metric and mode are
            passed over.
    """

    def __init__(self, sweeps: Sequence[SweepInfo]) -> None:
        self._sweeps = {sweep.name: sweep for sweep in objectives(sweeps)[0]} if sweeps else {}
        self._places = {name: place for place, name in enumerate(self._sweeps)}
        self._trials: dict[tuple[str, int], dict[int, TrialRecord]] = {}
        self._leader: tuple[str, int] | None = None
        self._lead: _Order | None = None

    @property
    def leader(self) -> tuple[str, int] | None:
        """Sweep and number of the best configuration, None before the first feasible one."""
        return None if self._lead is None or self._lead[0] else self._leader

    @property
    def score(self) -> float | None:
        """Mean score of the best configuration's complete replicates, None before the first."""
        return None if self.leader is None else self._ranked(self.leader).mean

    @property
    def number(self) -> int | None:
        """Index of the best configuration within its sweep."""
        return None if self.leader is None else self.leader[1]

    def add(self, record: TrialRecord) -> bool:
        """Takes a trial that ended; returns whether its configuration leads now."""
        if record.sweep not in self._sweeps or record.score is None:
            return False
        if record.state is not State.COMPLETE:
            return False
        key = record.sweep, record.number
        self._trials.setdefault(key, {})[record.replicate] = record
        order = self._order(key)
        if self._lead is None or order < self._lead:
            self._leader, self._lead = key, order
        elif key == self._leader and order > self._lead:
            self._leader = min(self._trials, key=self._order)
            self._lead = self._order(self._leader)
        return key == self.leader

    def _ranked(self, key: tuple[str, int]) -> Ranked:
        return Ranked(self._sweeps[key[0]], tuple(self._trials[key].values()))

    def _order(self, key: tuple[str, int]) -> _Order:
        name, number = key
        return *rank_key(self._ranked(key)), self._places[name], number
