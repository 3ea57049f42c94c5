"""Ranks of configurations: by feasibility, by the rule of ``pick=``, and on a Pareto front."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias, overload

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import ONE_SE, Constraint, Goal, simplest_of
from pytest_hypersearch.core.study import Configuration, StudyResults, pareto_front, rank_key
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.core.values import mean

Objective: TypeAlias = tuple[tuple[Goal, ...], str, tuple[Constraint, ...]]
_Order: TypeAlias = tuple[float, bool, tuple[float, ...], int, int]


class Candidate(NamedTuple):
    """What decides between configurations; of all fields lower is better.

    Attributes:
        excess: By how much it breaks constraints.
        partial: Whether replicates miss.
        values: What its scores, and those of further metrics, come to.
        error: Standard error of the mean score, 0 for a single one.
        simplicity: Which of those within one standard error of the best is picked.
    """

    excess: float
    partial: bool
    values: tuple[float, ...]
    error: float = 0.0
    simplicity: tuple[float, int] = (0.0, 0)


def by_mean(pick: str) -> bool:
    """Tell whether a rule compares means."""
    return pick == "mean" or pick.startswith(ONE_SE)


def candidate_of(one: Configuration) -> Candidate:
    """Return what decides between a configuration and others."""
    error = (one.std or 0.0) / math.sqrt(len(one.trials))
    return Candidate(*rank_key(one), error, _simplicity(one))


def _simplicity(each: Configuration) -> tuple[float, int]:
    """How simple a configuration is to a rule, simpler ones lower.

    Equally simple ones go by their numbers: in a grid, those with values listed first come first.
    """
    name = simplest_of(each.sweep.pick)
    value = each.trials[0].params.get(name)
    if isinstance(value, (int, float)):
        return float(value), each.number
    known = [trial.metrics[name] for trial in each.trials if name in trial.metrics]
    return mean(known) if known else math.inf if name else 0.0, each.number


def picked(pick: str, candidates: Sequence[Candidate]) -> int:
    """Find the best of one or more configurations.

    The rule ``one-se`` takes the simplest one whose mean is within one standard error of the lowest
    mean (L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3).

    Returns:
        Its index, the first of equals.
    """
    best = min(candidates, key=lambda each: each[:3])
    if not pick.startswith(ONE_SE):
        return candidates.index(best)
    limit = best.values[0] + best.error
    near = [each for each in candidates if each[:2] == best[:2] and each.values[0] <= limit]
    return candidates.index(min(near, key=lambda each: each.simplicity))


def objective_of(sweep: Sweep) -> Objective:
    """Return what sweeps share whose configurations can be compared."""
    return sweep.goals, sweep.pick, sweep.constraints


def objectives(sweeps: Iterable[Sweep]) -> list[tuple[Sweep, ...]]:
    """Group sweeps by their objective: metrics, modes, rule and constraints."""
    groups: dict[Objective, list[Sweep]] = {}
    for sweep in sweeps:
        groups.setdefault(objective_of(sweep), []).append(sweep)
    return [tuple(group) for group in groups.values()]


class Ranking(Sequence[Configuration]):
    """Configurations of one objective, best first.

    Attributes:
        sweeps: The sweeps of the objective.
        ordered: The configurations in the order of `rank_key` alone; in the ranking, the one that
            ``pick`` prefers is the first.
    """

    def __init__(self, sweeps: Sequence[Sweep], ordered: Iterable[Configuration]) -> None:
        self.sweeps = tuple(sweeps)
        self.ordered = tuple(ordered)
        self._ranked = [*self.ordered]
        if self._ranked and self.sweeps[0].pick.startswith(ONE_SE):
            first = picked(self.sweeps[0].pick, [candidate_of(each) for each in self._ranked])
            self._ranked.insert(0, self._ranked.pop(first))

    def __len__(self) -> int:
        return len(self._ranked)

    def __iter__(self) -> Iterator[Configuration]:
        return iter(self._ranked)

    @overload
    def __getitem__(self, index: int) -> Configuration: ...
    @overload
    def __getitem__(self, index: slice) -> list[Configuration]: ...
    def __getitem__(self, index: int | slice) -> Configuration | list[Configuration]:
        return self._ranked[index]

    def of(self, *sweeps: Sweep) -> Ranking:
        """Return the ranking of some of the sweeps."""
        names = {sweep.name for sweep in sweeps}
        return Ranking(sweeps, (each for each in self.ordered if each.sweep.name in names))

    def among(self, configurations: Iterable[Configuration]) -> Ranking:
        """Return the ranking of some of the configurations, given in the order of `rank_key`."""
        return Ranking(self.sweeps, configurations)

    @property
    def feasible(self) -> list[Configuration]:
        """The configurations that keep the constraints, best first."""
        return [each for each in self if not each.excess]

    @property
    def best(self) -> Configuration | None:
        """The best configuration, None if none is feasible."""
        return None if not self or self[0].excess else self[0]

    @property
    def front(self) -> list[Configuration]:
        """The Pareto front; see `pareto_front`."""
        return pareto_front(self.ordered)


def rank(trials: Iterable[TrialRecord], sweeps: Sequence[Sweep]) -> Ranking:
    """Rank every configuration with a complete trial; equal ones in the order of sweep and number.

    Args:
        trials: Trials of one study; those of other sweeps are passed over.
        sweeps: Sweeps of one objective.
    """
    named = {sweep.name: sweep for sweep in sweeps}
    trials_of: dict[tuple[str, int], list[TrialRecord]] = {}
    for trial in trials:
        if trial.sweep in named and trial.state is State.COMPLETE and trial.score is not None:
            trials_of.setdefault((trial.sweep, trial.number), []).append(trial)
    order = {name: index for index, name in enumerate(named)}
    keys = sorted(trials_of, key=lambda key: (order[key[0]], key[1]))
    configurations = [Configuration.of(named[key[0]], trials_of[key]) for key in keys]
    return Ranking(sweeps, sorted(configurations, key=rank_key))


@frozen
class RankedStudy:
    """A study and the ranking of each of its objectives, made once for all who show it.

    Attributes:
        study: The study.
        rankings: One for each objective of its sweeps, in their order.
    """

    study: StudyResults
    rankings: tuple[Ranking, ...]

    def of(self, sweep: Sweep) -> Ranking:
        """Return the ranking of one of the sweeps."""
        ranking = next(each for each in self.rankings if sweep in each.sweeps)
        return ranking.of(sweep)

    @property
    def best(self) -> Configuration | None:
        """The best configuration of the first objective, None if none is feasible."""
        return self.rankings[0].best if self.rankings else None

    @property
    def front(self) -> list[Configuration]:
        """The Pareto front of the first objective; of a single metric it is the best."""
        return self.rankings[0].front if self.rankings else []


def rank_study(study: StudyResults) -> RankedStudy:
    """Rank a study's configurations by each of its objectives."""
    rankings = (rank(study.trials, sweeps) for sweeps in objectives(study.sweeps))
    return RankedStudy(study, tuple(rankings))


class BestSoFar:
    """The best configuration while trials come in, by the rule of `rank`.

    Args:
        sweeps: Sweeps of one study; those that do not share the first one's metric and mode are
            passed over.
    """

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        self._sweeps = {sweep.name: sweep for sweep in objectives(sweeps)[0]} if sweeps else {}
        self._names = [*self._sweeps]
        self._places = {name: place for place, name in enumerate(self._names)}
        self._trials: dict[tuple[str, int], tuple[TrialRecord, ...]] = {}
        self._orders: dict[tuple[str, int], _Order] = {}
        self._ranked: list[_Order] = []
        self._candidates: dict[tuple[str, int], Candidate] = {}
        self._leader: tuple[str, int] | None = None
        self._best: Configuration | None = None

    @property
    def leader(self) -> tuple[str, int] | None:
        """Sweep and number of the best configuration, None before the first feasible one."""
        return None if self._leader is None or self._orders[self._leader][0] else self._leader

    @property
    def score(self) -> float | None:
        """The best configuration's score, None before the first."""
        return None if self.leader is None else self._leading(self.leader).score

    @property
    def spread(self) -> float | None:
        """Standard deviation of its scores, None unless several are averaged."""
        if self.leader is None or not by_mean(self._sweeps[self.leader[0]].pick):
            return None
        return self._leading(self.leader).std

    @property
    def number(self) -> int | None:
        """Index of the best configuration within its sweep."""
        return None if self.leader is None else self.leader[1]

    def add(self, record: TrialRecord) -> None:
        """Takes a trial that ended, maybe once more."""
        if record.sweep not in self._sweeps:
            return
        key = record.sweep, record.number
        before = self._trials.get(key, ())
        trials = tuple([each for each in before if each.replicate != record.replicate])
        if record.score is not None and record.state is State.COMPLETE:
            trials = *trials, record
        elif len(trials) == len(before):
            return
        self._trials[key] = trials
        self._place(key)
        leader = self._picked()
        if leader != self._leader or leader == key:
            self._leader, self._best = leader, None

    def _place(self, key: tuple[str, int]) -> None:
        """Puts a configuration whose trials have changed where it ranks."""
        self._candidates.pop(key, None)
        if (order := self._orders.pop(key, None)) is not None:
            del self._ranked[bisect_left(self._ranked, order)]
        if self._trials[key]:
            name, number = key
            order = *rank_key(self._configuration(key)), self._places[name], number
            self._orders[key] = order
            insort(self._ranked, order)

    def _picked(self) -> tuple[str, int] | None:
        """The best by the rule."""
        if not self._ranked:
            return None
        first = self._key(self._ranked[0])
        pick = self._sweeps[first[0]].pick
        if not pick.startswith(ONE_SE):
            return first
        best = self._candidate(first)
        limit = *best[:2], best.values[0] + best.error
        end = bisect_right(self._ranked, limit, key=lambda order: (*order[:2], order[2][0]))
        near = [self._key(order) for order in self._ranked[:end]]
        return near[picked(pick, [self._candidate(key) for key in near])]

    def _key(self, order: _Order) -> tuple[str, int]:
        *_, place, number = order
        return self._names[place], number

    def _candidate(self, key: tuple[str, int]) -> Candidate:
        if key not in self._candidates:
            self._candidates[key] = candidate_of(self._configuration(key))
        return self._candidates[key]

    def _leading(self, leader: tuple[str, int]) -> Configuration:
        """The best configuration, made once: histories ask for it after each trial."""
        self._best = self._best or self._configuration(leader)
        return self._best

    def _configuration(self, key: tuple[str, int]) -> Configuration:
        return Configuration.of(self._sweeps[key[0]], self._trials[key])
