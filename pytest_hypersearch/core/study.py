"""The results of a study: its sweeps, trials and configurations, as all readers get them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeAlias, TypeVar

from pytest_hypersearch.core.contracts import Observation, Reports
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import Constraint, Goal
from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, State, TrialRecord
from pytest_hypersearch.core.values import mean, plural, std

_Wanted = TypeVar("_Wanted", Goal, Constraint)


@frozen
class StudyCode:
    """Where the code of a study's test is, for its fingerprint.

    Paths in the project are relative to its root directory, which may be another one on each node.

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


@frozen
class GateVerdict:
    """What was said of a gate.

    Attributes:
        gate: What the gate is called among those of its test.
        verdict: Such as ``REGRESSED``; ``accepted`` if its scores went into the baseline.
        text: The verdict with its numbers.
        against: The name of the baseline, empty for a threshold.
    """

    gate: str
    verdict: str
    text: str
    against: str = ""


@frozen
class Suggestion:
    """A configuration that a sampler proposed from results.

    Attributes:
        sweep: Name of the sweep.
        number: Index of the configuration.
        params: What was proposed.
        seen: Finished configurations that the sampler knew.
        pending: Whether results of it are still to come.
    """

    sweep: str
    number: int
    params: Config
    seen: int
    pending: bool


@frozen
class StudyResults:
    """All trials of one test's sweeps, for one combination of the test's other parameters.

    Attributes:
        nodeid: The test without the trial's part: ``test_mlp.py::test_mlp[cifar]``.
        sweeps: The sweeps in the order in which the marks are read.
        trials: Every trial known, in the order of sweep, configuration and replicate.
        notes: One line each on what a reader must be told: stale or damaged records, lost trials.
        run: Directory of the run, empty if nothing is stored.
        saved: Directory of what the best configuration saved, empty if no trial saved anything.
        commit: The commit at which the run was made, empty if it is not known; later sessions of
            the run ran the same code.
        name: The name of the run, empty if it has none.
        arguments: The test's other parameters, such as those of ``parametrize``, by name; of a
            value that is no number, string, bool or None, its id.
        tags: What people call the run, see ``pytest-hypersearch tag``.
        note: What people say of the run.
        gates: What its last session said of its gates, as far as there was something to judge by.
    """

    nodeid: str
    sweeps: tuple[Sweep, ...]
    trials: tuple[TrialRecord, ...]
    notes: tuple[str, ...] = ()
    run: str = ""
    saved: str = ""
    commit: str = ""
    name: str = ""
    arguments: Config = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    note: str = ""
    gates: tuple[GateVerdict, ...] = ()

    def __repr__(self) -> str:
        return f"<study {self.nodeid}: {plural(len(self.trials), 'trial')}>"


def signed(sweep: Sweep, score: float) -> float:
    """Turns a score of a sweep so that lower is better."""
    return score if sweep.mode == "min" else -score


def scores_of(trials: Iterable[TrialRecord]) -> tuple[float, ...]:
    """Returns the scores of those trials that are complete."""
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    return tuple([trial.score for trial in complete if trial.score is not None])


def observation_of(
    sweep: Sweep,
    number: int,
    params: Config,
    trials: Sequence[TrialRecord],
    reports: Reports = (),
) -> Observation:
    """Return a configuration as its sampler sees it; complete once one of its trials is.

    Args:
        sweep: The sweep.
        number: The configuration's index.
        params: The configuration.
        trials: Its replicates that have ended.
        reports: What one of them reported.
    """
    complete = [trial for trial in trials if scores_of([trial])]
    state = trials[-1].state if trials else State.NOT_RUN
    return Observation(
        number,
        params,
        State.COMPLETE if complete else state,
        tuple(signed(sweep, score) for score in scores_of(complete)),
        others=_by_metric(sweep.others, complete, Goal.signed),
        excess=_by_metric(sweep.constraints, complete, Constraint.excess),
        reports=reports,
    )


def _by_metric(
    wanted: Iterable[_Wanted], trials: Iterable[TrialRecord], of: Callable[[_Wanted, float], float]
) -> tuple[tuple[float, ...], ...]:
    """Return what goals or constraints make of their metrics, the trials' values for each."""
    return tuple(tuple(of(each, trial.metrics[each.metric]) for trial in trials) for each in wanted)


Name: TypeAlias = tuple[str, str, int]
"""A configuration: its sweep, its `config_key`, and which of several equal ones it is."""
Trials: TypeAlias = "Mapping[Name, Mapping[int, TrialRecord]]"
"""Trials by configuration and seed."""
_FAILED = (State.FAILED, State.INVALID, State.CRASHED, State.TIMED_OUT)


def by_configuration(study: StudyResults, sweeps: Iterable[Sweep]) -> Trials:
    """Return the trials of some sweeps that completed or failed, as two runs are compared."""
    names = {sweep.name for sweep in sweeps}
    trials: dict[Name, dict[int, TrialRecord]] = {}
    keys: dict[tuple[str, int], Name] = {}
    equal: Counter[tuple[str, str]] = Counter()
    for trial in study.trials:
        if trial.sweep not in names or trial.state not in {State.COMPLETE, *_FAILED}:
            continue
        which = trial.sweep, trial.number
        if which not in keys:
            config = trial.sweep, config_key(trial.params)
            keys[which] = (*config, equal[config])
            equal[config] += 1
        trials.setdefault(keys[which], {})[trial.seed] = trial
    return trials


def scores_by_seed(trials: Trials, metric: str) -> dict[Name, dict[int, float | None]]:
    """Return a metric by configuration and seed, None for trials that are not complete."""
    return {
        name: {
            seed: trial.metrics.get(metric) if trial.state is State.COMPLETE else None
            for seed, trial in row.items()
        }
        for name, row in trials.items()
    }


STATISTICS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "mean": mean,
    "median": median,
    "max": max,
    "min": min,
}
"""What ``pick`` may compare of the scores of a configuration's replicates."""

_LONGEST = 80


@frozen
class Configuration:
    """A configuration with the scores of its complete replicates.

    The best configuration and those of a Pareto front are of this type wherever they are asked for.

    Attributes:
        sweep: The sweep that it belongs to.
        trials: Its complete trials, in the order of replicate; at least one.
        params: The parameters; in a test, the objects that its trials were given.
        paths: The directories of what its replicates saved, by index of the replicate; those that
            saved nothing are left out.
    """

    sweep: Sweep
    trials: tuple[TrialRecord, ...]
    params: dict[str, Any]
    paths: Mapping[int, Path] = field(default_factory=dict)

    @staticmethod
    def of(sweep: Sweep, trials: Iterable[TrialRecord]) -> Configuration:
        """Return the configuration of complete trials, in the order of replicate."""
        its = tuple(trials)
        return Configuration(sweep, its, dict(its[0].params))

    def __repr__(self) -> str:
        count = (
            f"{len(self.trials)}" if self.full else f"{len(self.trials)}/{self.sweep.replicates}"
        )
        spread = "" if self.std is None else f" ± {self.std:.2g} of {count}"
        # the recorded parameters: objects may be large, or secrets
        params = ", ".join(f"{name}={value!r}" for name, value in self.trials[0].params.items())
        text = f"{self.sweep.name} #{self.number}: {self.sweep.metric} {self.score:.4g}{spread}: "
        text += params
        return f"<{text if len(text) <= _LONGEST else text[: _LONGEST - 3] + '...'}>"

    @property
    def number(self) -> int:
        """Index of the configuration within its sweep."""
        return self.trials[0].number

    @property
    def scores(self) -> tuple[float, ...]:
        """Scores of its complete replicates."""
        return scores_of(self.trials)

    @property
    def full(self) -> bool:
        """Whether all planned replicates are complete."""
        return len(self.trials) >= (self.sweep.at_least or self.sweep.replicates)

    @property
    def mean(self) -> float:
        """Mean score over its complete replicates."""
        return mean(self.scores)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over its complete replicates; None for a single one."""
        return std(self.scores)

    @property
    def score(self) -> float:
        """The score by which it is ranked, by default the mean; see ``pick`` in the mark."""
        scores = scores_of(self.trials)
        return STATISTICS.get(self.sweep.pick, mean)(scores) if len(scores) > 1 else scores[0]

    @property
    def values(self) -> tuple[float, ...]:
        """The score, and the means of further metrics that are optimised."""
        others = self.sweep.others
        return self.score, *([self.mean_of(goal.metric) for goal in others] if others else ())

    @property
    def signed_values(self) -> tuple[float, ...]:
        """The same so that lower is better."""
        if not self.sweep.others:
            return (signed(self.sweep, self.score),)
        return tuple([g.signed(v) for g, v in zip(self.sweep.goals, self.values, strict=True)])

    @property
    def excess(self) -> float:
        """By how much its means break the constraints, relative to the bounds; 0 if feasible."""
        if not self.sweep.constraints:
            return 0.0
        broken = (each.excess(self.mean_of(each.metric)) for each in self.sweep.constraints)
        return math.fsum(max(0.0, excess) for excess in broken)

    @property
    def metrics(self) -> dict[str, float]:
        """Means over its complete replicates of metrics that are finite in each of them."""
        return {
            name: self.mean_of(name)
            for name in self.trials[0].metrics
            if all(math.isfinite(trial.metrics.get(name, math.nan)) for trial in self.trials)
        }

    def mean_of(self, metric: str) -> float:
        """Mean of a metric over its complete replicates."""
        return mean([trial.metrics[metric] for trial in self.trials])

    @property
    def trial(self) -> TrialRecord:
        """The trial with the best score; of several replicates or folds, the luckiest."""
        return min(self.trials, key=lambda trial: signed(self.sweep, trial.score or 0.0))

    @property
    def path(self) -> Path | None:
        """The directory of what `trial` saved, None if it saved nothing; see ``paths`` for all."""
        return self.paths.get(self.trial.replicate)


def rank_key(configuration: Configuration | None) -> tuple[float, bool, tuple[float, ...]]:
    """Return what configurations of one objective are sorted by, lower is better, None last."""
    if configuration is None:
        return math.inf, True, ()
    return configuration.excess, not configuration.full, configuration.signed_values


def pareto_front(configurations: Iterable[Configuration]) -> list[Configuration]:
    """Return the configurations whose means no other's surpass in all metrics.

    Args:
        configurations: Some of one objective.

    Returns:
        The front in the order of the first metric, equal ones included, among feasible
        configurations with all their replicates; those with fewer count while there are no others.
    """
    ordered = sorted(configurations, key=rank_key)
    eligible = [
        candidate
        for candidate in ordered
        if not candidate.excess and candidate.full == ordered[0].full
    ]
    front: list[Configuration] = []
    values: list[tuple[float, ...]] = []  # those in the front, each once
    for candidate in eligible:  # what dominates it comes before it, the first of which is in it
        point = candidate.signed_values
        if not values or point != values[-1]:
            if any(_dominates(other, point) for other in reversed(values)):
                continue
            values.append(point)
        front.append(candidate)
    return front


def _dominates(values: Sequence[float], others: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(values, others, strict=True))


def called(nodeids: Iterable[str], name: str) -> list[str]:
    """Return the node ids that a name matches: the equal one, or those that end in it.

    Args:
        nodeids: Of tests, without the trials' parts.
        name: A node id, its file, or its end with or without arguments: ``test_mlp``,
            ``TestNets::test_mlp``, ``test_mlp[cifar]``.
    """
    listed = list(nodeids)
    exact = [nodeid for nodeid in listed if nodeid == name]
    return exact or [nodeid for nodeid in listed if _ends_in(nodeid, name)]


def some(names: Iterable[str], most: int = 8) -> str:
    """Return names for a message, not all of them if they are many."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _ends_in(nodeid: str, name: str) -> bool:
    file, colons, rest = nodeid.partition("::")
    plain = file + colons + rest.partition("[")[0]
    return any(
        text == name or text.endswith((f"::{name}", f"/{name}")) for text in (file, plain, nodeid)
    )
