"""Trials in groups: by values of parameters, by state, by kind of failure; statistics of them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.study import Configuration, rank_key, scores_of
from pytest_hypersearch.core.trial import Config, State, TrialRecord
from pytest_hypersearch.core.values import mean, std
from pytest_hypersearch.stats.ranking import Ranking

FAILURES = (State.FAILED, State.INVALID, State.CRASHED, State.TIMED_OUT)
_RANDOM_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|[-+]?\d*\.\d+(e[-+]?\d+)?|\d+e[-+]?\d+")


class Summary(NamedTuple):
    """Statistics of some values; None where there are too few for them.

    Attributes:
        n: How many there are.
        mean: Their mean.
        std: Their sample standard deviation.
        sem: The standard error of the mean.
        low: Lower end of the mean's 95% confidence interval (Student's t).
        high: Its upper end.
        median: The median.
        min: The lowest.
        max: The highest.
    """

    n: int
    mean: float | None = None
    std: float | None = None
    sem: float | None = None
    low: float | None = None
    high: float | None = None
    median: float | None = None
    min: float | None = None
    max: float | None = None


@frozen
class Group:
    """The trials that share the values of some parameters.

    Attributes:
        key: The shared values, in the order of the parameters asked for.
        trials: Its complete trials.
        scores: Statistics of their scores.
        best: Its best configuration, None without a complete trial.
        configurations: How many of its configurations have a score.
    """

    key: tuple[Any, ...]
    trials: tuple[TrialRecord, ...]
    scores: Summary
    best: Configuration | None
    configurations: int

    @property
    def duration(self) -> float | None:
        """Mean time of a complete trial in seconds, None without one."""
        return mean([trial.duration for trial in self.trials]) if self.trials else None


@frozen
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


def group(
    trials: Iterable[TrialRecord], ranking: Ranking, parameters: Sequence[str]
) -> list[Group]:
    """Group trials by the values of parameters.

    Args:
        trials: Trials of one study; those of other sweeps or without the parameters are left out.
        ranking: The ranking of some of its sweeps.
        parameters: Names of the parameters; no name makes one group of all.

    Returns:
        The groups in the order of their best configurations; those without a score at the end.
    """
    names = {sweep.name for sweep in ranking.sweeps}
    configurations: dict[str, list[Configuration]] = {
        key: []
        for trial in trials
        if trial.sweep in names and (key := _key(trial.params, parameters)) is not None
    }
    for each in ranking.ordered:
        if key := _key(each.trials[0].params, parameters):
            configurations[key].append(each)
    groups = [
        group_of(tuple(json.loads(key)), ranking.among(members))
        for key, members in configurations.items()
    ]
    return sorted(groups, key=lambda each: rank_key(each.best))


def _key(params: Config, parameters: Sequence[str]) -> str | None:
    """A text that equal values share; None without all of the parameters."""
    if not all(name in params for name in parameters):
        return None
    return json.dumps([params[name] for name in parameters])  # 1, 1.0, True and "1" differ


def group_of(key: tuple[Any, ...], ranking: Ranking) -> Group:
    """Return the group of all configurations of a ranking."""
    trials = tuple(trial for each in ranking.ordered for trial in each.trials)
    best = ranking[0] if ranking else None
    return Group(key, trials, summary(scores_of(trials)), best, len(ranking))


def count(trials: Iterable[TrialRecord], planned: int) -> dict[State, int]:
    """Counts trials by state, in the order of `State`; what is missing of the plan is not run."""
    counts = Counter(trial.state for trial in trials)
    counts[State.NOT_RUN] += max(0, planned - counts.total())
    return {state: counts[state] for state in State if counts[state]}


def failures(trials: Iterable[TrialRecord]) -> list[Failure]:
    """Counts failures by kind: state and reason.

    Reasons that differ only in measured numbers (decimals, addresses) are one kind, named by its
    first.

    Returns:
        The kinds in the order of `FAILURES`, the most frequent first.
    """
    reasons_of: dict[tuple[State, str], list[str]] = {}
    for trial in trials:
        if trial.state in FAILURES:
            kind = _RANDOM_NUMBERS.sub("#", trial.reason)
            reasons_of.setdefault((trial.state, kind), []).append(trial.reason)
    kinds = [Failure(state, reasons[0], len(reasons)) for (state, _), reasons in reasons_of.items()]
    return sorted(kinds, key=lambda kind: (FAILURES.index(kind.state), -kind.count))


def steps_saved(trials: Iterable[TrialRecord]) -> float | None:
    """Estimates the share of steps that pruning saved.

    Returns:
        Between 0 and 1, taking a pruned trial for as long as the median complete one would have
        been; None if no trial was pruned, or none is complete that reported.
    """
    known = list(trials)
    pruned = [trial.steps for trial in known if trial.state is State.PRUNED]
    whole = [t.steps for t in known if t.state is State.COMPLETE and t.steps]
    if not pruned or not whole:
        return None
    length = median(whole)
    saved = sum(max(0.0, length - steps) for steps in pruned)
    return saved / (saved + sum(pruned) + sum(whole))


def t_quantile(freedom: int) -> float:
    """Returns the 97.5% quantile of Student's t distribution, to 0.2% or better.

    Exact for 1 and 2 degrees of freedom, otherwise the expansion of Abramowitz & Stegun,
    Handbook of Mathematical Functions (1964), 26.7.5.

    Args:
        freedom: Degrees of freedom, at least 1.
    """
    if freedom == 1:
        return math.tan(math.pi * 0.475)
    if freedom == 2:  # noqa: PLR2004 - closed form
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    z = 1.959963984540054
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))


def summary(values: Sequence[float]) -> Summary:
    """Returns statistics of some values."""
    n, spread = len(values), std(values)
    if not values:
        return Summary(0)
    known = Summary(n, mean(values), median=median(values), min=min(values), max=max(values))
    if spread is None:
        return known
    sem = spread / math.sqrt(n)
    half, centre = t_quantile(n - 1) * sem, known.mean or 0.0
    return known._replace(std=spread, sem=sem, low=centre - half, high=centre + half)
