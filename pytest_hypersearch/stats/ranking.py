"""The rules of ``pick=``: what makes a configuration with several replicates the best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pytest_hypersearch.core.goals import ONE_SE, simplest_of
from pytest_hypersearch.core.study import scores_of, signed
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.stats.moments import mean, std

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import Config, Raw, TrialRecord


STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": mean,
    "median": median,
    "max": max,
    "min": min,
}


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
    """Tells whether a rule compares means."""
    return pick == "mean" or pick.startswith(ONE_SE)


def value_of(pick: str, scores: Sequence[float]) -> float:
    """Computes what a rule compares: mean, median, largest or smallest score."""
    return STATISTICS.get(pick, mean)(scores)


def error_of(scores: Sequence[float]) -> float:
    """Computes the standard error of the mean, 0 for a single score."""
    return (std(scores) or 0.0) / math.sqrt(len(scores))


def simplicity(
    pick: str, number: int, params: Mapping[str, Raw], metrics: Sequence[Mapping[str, float]]
) -> tuple[float, int]:
    """Returns how simple a configuration is to a rule, simpler ones lower.

    Args:
        pick: The rule.
        number: The configuration's number: in a grid, those with values listed first come first.
        params: Its parameters.
        metrics: The metrics of its complete trials.
    """
    name = simplest_of(pick)
    value = params.get(name)
    if isinstance(value, (int, float)):
        return float(value), number
    known = [each[name] for each in metrics if name in each]
    return mean(known) if known else math.inf if name else 0.0, number


def picked(pick: str, candidates: Sequence[Candidate]) -> int:
    """Finds the best of one or more configurations.

    The rule ``one-se`` takes the simplest one whose mean is within one standard error of the lowest
    mean (L. Breiman et al., Classification and Regression Trees, 1984, section 3.4.3).

    Returns:
        Its place, the first of equals.
    """
    best = min(candidates, key=lambda one: one[:3])
    if not pick.startswith(ONE_SE):
        return candidates.index(best)
    limit = best.values[0] + best.error
    near = [one for one in candidates if one[:2] == best[:2] and one.values[0] <= limit]
    return candidates.index(min(near, key=lambda one: one.simplicity))


if TYPE_CHECKING:
    _Order: TypeAlias = tuple[float, bool, tuple[float, ...], int, int]


@dataclass(frozen=True, slots=True, repr=False)
class Ranked:
    """A configuration that has a score.

    Attributes:
        sweep: The sweep it belongs to.
        trials: Its complete trials, in the order of replicate; at least one.
    """

    sweep: Sweep
    trials: tuple[TrialRecord, ...]

    def __repr__(self) -> str:
        spread = "" if self.std is None else f" ± {self.std:.2g}"
        params = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        score = f"{self.sweep.metric} {self.value:.4g}{spread}"
        return f"<{self.sweep.name} #{self.number}: {score} of {len(self.trials)}: {params}>"

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
    def value(self) -> float:
        """What is compared: the mean score, or what the sweep's ``pick`` says instead."""
        return value_of(self.sweep.pick, self.scores)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over its complete replicates; None for a single one."""
        return std(self.scores)

    @property
    def values(self) -> tuple[float, ...]:
        """What is compared of all metrics that are optimised; means of those after the score."""
        return self.value, *(self.mean_of(goal.metric) for goal in self.sweep.others)

    @property
    def signed_values(self) -> tuple[float, ...]:
        """The same so that lower is better."""
        pairs = zip(self.sweep.goals, self.values, strict=True)
        return tuple(goal.signed(value) for goal, value in pairs)

    @property
    def excess(self) -> float:
        """By how much its means break the constraints, relative to the bounds; 0 if feasible."""
        broken = (each.excess(self.mean_of(each.metric)) for each in self.sweep.constraints)
        return math.fsum(max(0.0, one) for one in broken)

    @property
    def metrics(self) -> dict[str, float]:
        """Means over its complete replicates of metrics that are finite in each of them."""
        names = [name for name in self.trials[0].metrics if self._has(name)]
        return {name: self.mean_of(name) for name in names}

    def _has(self, metric: str) -> bool:
        return all(math.isfinite(trial.metrics.get(metric, math.nan)) for trial in self.trials)

    def mean_of(self, metric: str) -> float:
        """Mean of a metric over its complete replicates."""
        return mean([trial.metrics[metric] for trial in self.trials])

    @property
    def candidate(self) -> Candidate:
        """What decides between it and others."""
        sweep, metrics = self.sweep, [trial.metrics for trial in self.trials]
        simple = simplicity(sweep.pick, self.number, self.params, metrics)
        return Candidate(*rank_key(self), error_of(self.scores), simple)

    @property
    def top(self) -> TrialRecord:
        """Its trial with the best score."""
        return min(self.trials, key=lambda trial: signed(self.sweep, trial.score or 0.0))


def objectives(sweeps: Iterable[Sweep]) -> list[tuple[Sweep, ...]]:
    """Puts those sweeps together that can be compared: same metrics, modes, rule, constraints."""
    found: dict[tuple[object, ...], list[Sweep]] = {}
    for sweep in sweeps:
        found.setdefault((sweep.goals, sweep.pick, sweep.constraints), []).append(sweep)
    return [tuple(alike) for alike in found.values()]


def rank(trials: Iterable[TrialRecord], sweeps: Sequence[Sweep]) -> list[Ranked]:
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
    ranked.sort(key=rank_key)
    if ranked and sweeps[0].pick.startswith(ONE_SE):
        first = picked(sweeps[0].pick, [one.candidate for one in ranked])
        ranked.insert(0, ranked.pop(first))
    return ranked


def rank_key(ranked: Ranked | None) -> tuple[float, bool, tuple[float, ...]]:
    """Returns what configurations of one objective are sorted by, lower is better, None last."""
    if ranked is None:
        return math.inf, True, ()
    return ranked.excess, not ranked.full, ranked.signed_values


def front(trials: Iterable[TrialRecord], sweeps: Sequence[Sweep]) -> list[Ranked]:
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
        if not any(_dominates(other.signed_values, one.signed_values) for other in found):
            found.append(one)
    return found


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def pareto(results: StudyResults) -> list[Ranked]:
    """Finds the Pareto front of the first sweep's metrics, by the first metric; see `front`."""
    return front(results.trials, objectives(results.sweeps)[0]) if results.sweeps else []


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


class BestSoFar:
    """The best configuration while trials come in, by the rule of `rank`.

    Args:
        sweeps: Sweeps of one study; those that do not share the first one's metric and mode are
            passed over.
    """

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        self._sweeps = {sweep.name: sweep for sweep in objectives(sweeps)[0]} if sweeps else {}
        self._places = {name: place for place, name in enumerate(self._sweeps)}
        self._trials: dict[tuple[str, int], dict[int, TrialRecord]] = {}
        self._orders: dict[tuple[str, int], _Order] = {}
        self._first: tuple[str, int] | None = None
        self._leader: tuple[str, int] | None = None

    @property
    def leader(self) -> tuple[str, int] | None:
        """Sweep and number of the best configuration, None before the first feasible one."""
        return None if self._leader is None or self._orders[self._leader][0] else self._leader

    @property
    def score(self) -> float | None:
        """What is compared of the best configuration's scores, None before the first."""
        return None if self.leader is None else self._ranked(self.leader).value

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
        before, self._orders[key] = self._orders.get(key), self._order(key)
        if self._first is None or self._orders[key] < self._orders[self._first]:
            self._first = key
        elif key == self._first and before is not None and self._orders[key] > before:
            self._first = min(self._orders, key=self._orders.__getitem__)
        self._leader = self._picked(self._first)
        return key == self.leader

    def _picked(self, first: tuple[str, int]) -> tuple[str, int]:
        """The best by the rule, given the one that ranks first."""
        pick = self._sweeps[first[0]].pick
        if not pick.startswith(ONE_SE):
            return first
        best = self._ranked(first).candidate
        limit = best.values[0] + best.error
        near = [
            key
            for key, order in self._orders.items()
            if order[2][0] <= limit and order[:2] == best[:2]
        ]
        near.sort(key=self._orders.__getitem__)
        return near[picked(pick, [self._ranked(key).candidate for key in near])]

    def _ranked(self, key: tuple[str, int]) -> Ranked:
        return Ranked(self._sweeps[key[0]], tuple(self._trials[key].values()))

    def _order(self, key: tuple[str, int]) -> _Order:
        name, number = key
        return *rank_key(self._ranked(key)), self._places[name], number
