"""Groups of trials by the values of any fields, and the statistics of each group."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.query import ABSENT
from pytest_hypersearch.stats.grouping import Group
from pytest_hypersearch.stats.moments import summary
from pytest_hypersearch.stats.ranking import objectives, rank, rank_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.results.export import Row
    from pytest_hypersearch.results.query import Entry, Field
    from pytest_hypersearch.stats.ranking import Ranked


Key = tuple[Any, ...]


def group_rows(
    fields: Sequence[Field], key: Key, studies: Sequence[StudyResults], metric: str | None
) -> Iterator[Row]:
    """Yield a row for each objective of a group's trials; see `Groups.agg`."""
    shared = {field.name: value for field, value in zip(fields, key, strict=True)}
    for alike in objectives_of(studies):
        group = group_of(key, studies, alike)
        name = metric or alike[0].metric
        numbers = summary(_values(group.trials, name))
        yield shared | {"metric": name} | numbers | {"best": _best(group, alike[0], metric)}


def _values(trials: Iterable[TrialRecord], metric: str) -> list[float]:
    known = (trial.metrics.get(metric, math.nan) for trial in trials)
    return [value for value in known if math.isfinite(value)]


def _best(group: Group, sweep: Sweep, metric: str | None) -> float | None:
    if metric is None or metric == sweep.metric:
        return group.best.value if group.best else None
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


def objectives_of(studies: Iterable[StudyResults]) -> list[tuple[Sweep, ...]]:
    """Put the sweeps that have trials together by what they are after; see `objectives`."""
    return objectives(
        sweep
        for study in studies
        for names in [{trial.sweep for trial in study.trials}]
        for sweep in study.sweeps
        if sweep.name in names
    )


def group_of(key: Key, studies: Sequence[StudyResults], alike: Sequence[Sweep]) -> Group:
    """Return what the terminal's tables show of the trials of sweeps of one objective."""
    ranked = ranked_in(studies, alike)
    trials = [
        trial
        for study in studies
        for names in [{sweep.name for sweep in study.sweeps if sweep in alike}]
        for trial in study.trials
        if trial.state is State.COMPLETE and trial.score is not None and trial.sweep in names
    ]
    return Group(key, tuple(trials), ranked[0] if ranked else None, len(ranked))


def ranked_in(studies: Iterable[StudyResults], alike: Sequence[Sweep]) -> list[Ranked]:
    """Rank the configurations of several studies by one objective, best first."""
    each = [rank(study.trials, [s for s in study.sweeps if s in alike]) for study in studies]
    found = [ranked for ranked in each if ranked]
    if len(found) == 1:
        return found[0]
    return sorted((one for ranked in found for one in ranked), key=rank_key)


def order_of(studies: Sequence[StudyResults]) -> tuple[float, bool, tuple[float, ...]]:
    """Return what groups are sorted by: their best configuration by the first objective."""
    alike = objectives_of(studies)
    ranked = ranked_in(studies, alike[0]) if alike else []
    return rank_key(ranked[0] if ranked else None)
