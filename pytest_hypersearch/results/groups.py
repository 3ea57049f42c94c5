"""Groups of trials by the values of any fields, and the statistics of each group."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.study import rank_key
from pytest_hypersearch.results.query import ABSENT
from pytest_hypersearch.stats.grouping import group_of
from pytest_hypersearch.stats.moments import summary
from pytest_hypersearch.stats.ranking import Ranking, objective_of, objectives

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.results.export import Row
    from pytest_hypersearch.results.query import Entry, Field
    from pytest_hypersearch.stats.grouping import Group
    from pytest_hypersearch.stats.ranking import RankedStudy


Key = tuple[Any, ...]


def group_rows(
    fields: Sequence[Field], key: Key, studies: Sequence[RankedStudy], metric: str | None
) -> Iterator[Row]:
    """Yield a row for each objective of a group's trials; see `Groups.agg`."""
    shared = {field.name: value for field, value in zip(fields, key, strict=True)}
    for ranking in rankings_of(studies):
        group = group_of(key, ranking)
        name = metric or ranking.sweeps[0].metric
        numbers = summary(_values(group.trials, name))
        best = _best(group, ranking.sweeps[0], metric)
        yield shared | {"metric": name} | numbers | {"best": best}


def _values(trials: Iterable[TrialRecord], metric: str) -> list[float]:
    known = (trial.metrics.get(metric, math.nan) for trial in trials)
    return [value for value in known if math.isfinite(value)]


def _best(group: Group, sweep: Sweep, metric: str | None) -> float | None:
    if metric is None or metric == sweep.metric:
        return group.best.score if group.best else None
    for goal in sweep.goals:
        if goal.metric == metric and (values := _values(group.trials, metric)):
            return min(values, key=goal.signed)
    return None


def partition(
    entries: Iterable[Entry], fields: Sequence[Field]
) -> Iterator[tuple[Key, list[Entry]]]:
    """Split trials by the values of fields; those without one of them are left out."""
    found: dict[tuple[object, ...], tuple[Key, list[Entry]]] = {}
    for entry in entries:
        key = tuple(field.get(entry) for field in fields)
        if ABSENT not in key:
            exact = tuple((type(value), value) for value in key)  # 1, 1.0 and True differ
            found.setdefault(exact, (key, []))[1].append(entry)
    yield from found.values()


def with_trials(study: StudyResults, trials: Sequence[TrialRecord]) -> StudyResults:
    """Return a study with some of its trials; what was planned does not apply to them."""
    if len(trials) == len(study.trials):
        return study
    sweeps = tuple(replace(sweep, planned=0) for sweep in study.sweeps)
    return replace(study, sweeps=sweeps, trials=tuple(trials))


def rankings_of(studies: Sequence[RankedStudy]) -> list[Ranking]:
    """Return the ranking of each objective that has trials, over all studies."""
    tried = (
        sweep
        for one in studies
        for names in [{trial.sweep for trial in one.study.trials}]
        for sweep in one.study.sweeps
        if sweep.name in names
    )
    return [_merged(studies, sweeps) for sweeps in objectives(tried)]


def _merged(studies: Iterable[RankedStudy], sweeps: Sequence[Sweep]) -> Ranking:
    objective = objective_of(sweeps[0])
    rankings = [
        ranking
        for one in studies
        for ranking in one.rankings
        if ranking and objective_of(ranking.sweeps[0]) == objective
    ]
    if len(rankings) == 1:
        return rankings[0]
    return Ranking(sweeps, sorted((one for each in rankings for one in each.ordered), key=rank_key))


def order_of(studies: Sequence[RankedStudy]) -> tuple[float, bool, tuple[float, ...]]:
    """Return what groups are sorted by: their best configuration by the first objective."""
    rankings = rankings_of(studies)
    return rank_key(rankings[0][0] if rankings and rankings[0] else None)
