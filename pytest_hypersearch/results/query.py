"""Trials by name: their fields, filters, and groups of equal values."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import PurePath
from typing import Any, Final, NamedTuple, TypeAlias

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.study import StudyResults, called, rank_key, some
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.core.values import shown
from pytest_hypersearch.stats.grouping import Group, group_of, summary
from pytest_hypersearch.stats.ranking import RankedStudy, Ranking, objective_of, objectives

Key: TypeAlias = tuple[Any, ...]
Row: TypeAlias = dict[str, Any]

ABSENT: Final = object()
"""The value of a parameter or metric that a trial does not have."""


class Entry(NamedTuple):
    """A trial and where it belongs."""

    study: StudyResults
    sweep: Sweep
    trial: TrialRecord


class Field(NamedTuple):
    """Something that a trial may have.

    Attributes:
        name: Unique among all fields; a parameter's is ``params.lr``.
        get: Finds it, or `ABSENT`.
    """

    name: str
    get: Callable[[Entry], Any]

    @property
    def short(self) -> str:
        """Its name without what it belongs to, such as ``lr``."""
        return self.name.partition(".")[2] or self.name


OWN: Final[Mapping[str, Callable[[Entry], Any]]] = {
    "test": lambda entry: entry.study.nodeid,
    "run": lambda entry: PurePath(entry.study.run).name,
    "sweep": lambda entry: entry.sweep.name,
    "strategy": lambda entry: entry.sweep.strategy,
    "number": lambda entry: entry.trial.number,
    "replicate": lambda entry: entry.trial.replicate,
    "status": lambda entry: str(entry.trial.state),
    "score": lambda entry: entry.trial.score,
    "seed": lambda entry: entry.trial.seed,
    "started": lambda entry: entry.trial.started,
    "duration": lambda entry: entry.trial.duration,
    "cpu_time": lambda entry: entry.trial.cpu_time,
    "peak_memory": lambda entry: entry.trial.peak_memory,
    "steps": lambda entry: entry.trial.steps,
    "attempt": lambda entry: entry.trial.attempt,
    "worker": lambda entry: entry.trial.worker,
    "cached": lambda entry: entry.trial.cached,
    "item": lambda entry: entry.trial.nodeid,
    "reason": lambda entry: entry.trial.reason,
    "error": lambda entry: entry.trial.error,
    "tags": lambda entry: ", ".join(entry.trial.tags),
    "note": lambda entry: entry.trial.note,
    "run_tags": lambda entry: ", ".join(entry.study.tags),
    "run_note": lambda entry: entry.study.note,
}
"""The fields that every trial has."""

_KINDS: Final = {
    "params": "parameter",
    "arguments": "other parameter of the test",
    "metrics": "metric",
    "logged": "logged value",
}


def entries(studies: Iterable[StudyResults]) -> Iterator[Entry]:
    """Yield the trials of studies, in their order."""
    for study in studies:
        sweeps = {sweep.name: sweep for sweep in study.sweeps}
        for trial in study.trials:
            yield Entry(study, sweeps[trial.sweep], trial)


@frozen
class Fields:
    """The fields of some trials.

    Attributes:
        tests: Node ids of their tests.
        params: Names of their parameters, in the order of the spaces.
        arguments: Names of the tests' other parameters.
        metrics: Names of their metrics, the scores first.
        logged: Names of what their tests logged.
    """

    tests: tuple[str, ...]
    params: tuple[str, ...]
    arguments: tuple[str, ...]
    metrics: tuple[str, ...]
    logged: tuple[str, ...]

    @classmethod
    def of(cls, studies: Iterable[StudyResults]) -> Fields:
        """Find the names that occur in studies."""
        listed = list(studies)
        sweeps = [sweep for study in listed for sweep in study.sweeps]
        trials = [trial for study in listed for trial in study.trials]

        def distinct(*sources: Iterable[Iterable[str]]) -> tuple[str, ...]:
            return tuple(dict.fromkeys(chain.from_iterable(chain(*sources))))

        return cls(
            tests=distinct([study.nodeid] for study in listed),
            params=distinct(
                (sweep.space.names for sweep in sweeps), (trial.params for trial in trials)
            ),
            arguments=distinct(study.arguments for study in listed),
            metrics=distinct(
                ([goal.metric for goal in sweep.goals] for sweep in sweeps),
                (trial.metrics for trial in trials),
            ),
            logged=distinct(trial.logged for trial in trials),
        )

    def every(self) -> list[Field]:
        """All fields: the trials' own, then parameters, metrics and logged values."""
        own = [Field(name, get) for name, get in OWN.items()]
        return [*own, *(_member(kind, name) for kind in _KINDS for name in getattr(self, kind))]

    def find(self, name: str) -> Field:
        """Return the field that a user calls by name.

        Args:
            name: Its plain name, or with where it belongs: ``params__lr``, ``metrics__loss``,
                ``trial__seed``, or with a point. ``score`` is the sweep's metric.

        Raises:
            ValueError: There is no such field, or several.
        """
        matches = self._called(name)
        if len(matches) > 1:
            kinds = " and a ".join(_KINDS.get(kind, "field of every trial") for kind, _ in matches)
            ways = " or ".join(f"{kind}__{name}" for kind, _ in matches)
            raise ValueError(f"{name} is a {kinds}: write {ways}")
        if matches:
            return matches[0][1]
        for mark in ("__", "."):
            kind, _, rest = name.partition(mark)
            if fields := [field for where, field in self._called(rest) if where == kind]:
                return fields[0]
        raise ValueError(f"{name}: no such name; expected {self}")

    def _called(self, name: str) -> list[tuple[str, Field]]:
        own = [("trial", Field(name, OWN[name]))] if name in OWN else []
        kinds = [kind for kind in _KINDS if name in getattr(self, kind)]
        if name == "score" and "metrics" in kinds:
            kinds.remove("metrics")
        return [*((kind, _member(kind, name)) for kind in kinds), *own]

    def __str__(self) -> str:
        parts = [f"one of {', '.join(OWN)}"]
        for kind, noun in _KINDS.items():
            if names := getattr(self, kind):
                parts.append(f"a {noun} ({', '.join(names)})")
        return " or ".join(parts)


def _member(kind: str, name: str) -> Field:
    def get(entry: Entry) -> object:
        owner = entry.study if kind == "arguments" else entry.trial
        return getattr(owner, kind).get(name, ABSENT)

    return Field(f"{kind}.{name}", get)


COMPLETE_TOO: Final = ("success", "completed")
"""Other words for the state complete."""


@frozen
class Condition:
    """One condition.

    Attributes:
        text: How the user wrote it.
        field: What it looks at.
        test: Compares a trial's value with the one asked for.
        value: The one asked for.
    """

    text: str
    field: Field
    test: Callable[[Any, Any], bool]
    value: object


def matching(entries: Iterable[Entry], fields: Fields, named: Mapping[str, object]) -> list[Entry]:
    """Return those entries that fulfil all conditions; what a trial lacks fulfils none.

    Args:
        entries: Trials.
        fields: Their fields.
        named: The conditions, as keyword arguments of `Results.filter`.

    Raises:
        ValueError: A name or a value makes no sense; the message tells what would.
    """
    kept = list(entries)
    for condition in [_condition(fields, name, value) for name, value in named.items()]:
        kept = _fulfilling(kept, condition)
    return kept


def _fulfilling(entries: list[Entry], condition: Condition) -> list[Entry]:
    kept, misfit, compared = [], ABSENT, False
    for entry in entries:
        value = condition.field.get(entry)
        if value is ABSENT or (value is None and condition.test is not _equal):
            continue
        try:
            fits = condition.test(value, condition.value)
        except TypeError:
            misfit = value
            continue
        compared = True
        if fits:
            kept.append(entry)
    if misfit is not ABSENT and not compared:
        raise ValueError(
            f"{condition.text}={shown(condition.value)}: expected a value that can be compared "
            f"with {shown(misfit)}"
        )
    return kept


def _condition(fields: Fields, text: str, value: object) -> Condition:
    name, test = text, OPERATORS["eq"]
    head, _, last = text.rpartition("__")
    is_name = any(text in getattr(fields, kind) for kind in _KINDS)
    if head and last in OPERATORS and not is_name:
        name, test = head, OPERATORS[last]
    field = fields.find(name)
    if test is _in and (isinstance(value, (str, bytes)) or not hasattr(value, "__iter__")):
        raise ValueError(f"{text}={shown(value)}: expected a list of values")
    if field.name == "status" and test in {_equal, _unequal, _in}:
        value = [_state(each) for each in value] if test is _in else _state(value)  # type: ignore[attr-defined]
    if field.name == "test" and test is _equal:
        test, value = _in, _tests(fields.tests, str(value))
    return Condition(text, field, test, value)


def _state(word: object) -> str:
    text = str(word).replace("_", " ")
    if text in COMPLETE_TOO:
        return State.COMPLETE
    if text not in list(State):
        raise ValueError(f"status={shown(word)}: expected one of {', '.join(State)}")
    return text


def _tests(listed: Sequence[str], name: str) -> list[str]:
    matches = called(listed, name)
    if not matches:
        raise ValueError(f"test={shown(name)}: no such test; expected {some(listed)}")
    return matches


def _equal(value: object, other: object) -> bool:
    """Compare as configurations do: True is not 1."""
    return isinstance(value, bool) is isinstance(other, bool) and value == other


def _unequal(value: object, other: object) -> bool:
    return not _equal(value, other)


def _in(value: object, options: Iterable[object]) -> bool:
    return any(_equal(value, option) for option in options)


def _contains(value: object, part: object) -> bool:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return str(part) in value


OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": _equal,
    "ne": _unequal,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "in": _in,
    "contains": _contains,
}
"""What may follow a name, behind two underscores."""


def group_rows(
    fields: Sequence[Field], key: Key, studies: Sequence[RankedStudy], metric: str | None
) -> Iterator[Row]:
    """Yield a row for each objective of a group's trials; see `Groups.agg`."""
    shared = {field.name: value for field, value in zip(fields, key, strict=True)}
    for ranking in rankings_of(studies):
        group = group_of(key, ranking)
        name = metric or ranking.sweeps[0].metric
        numbers = summary(metric_values(group.trials, name))._asdict()
        best = _best(group, ranking.sweeps[0], metric)
        yield shared | {"metric": name} | numbers | {"best": best}


def metric_values(trials: Iterable[TrialRecord], metric: str) -> list[float]:
    """Return the finite values of a metric."""
    values = (trial.metrics.get(metric, math.nan) for trial in trials)
    return [value for value in values if math.isfinite(value)]


def _best(group: Group, sweep: Sweep, metric: str | None) -> float | None:
    if metric is None or metric == sweep.metric:
        return group.best.score if group.best else None
    for goal in sweep.goals:
        if goal.metric == metric and (values := metric_values(group.trials, metric)):
            return min(values, key=goal.signed)
    return None


def partition(
    entries: Iterable[Entry], fields: Sequence[Field]
) -> Iterator[tuple[Key, list[Entry]]]:
    """Split trials by the values of fields; those without one of them are left out."""
    groups: dict[tuple[object, ...], tuple[Key, list[Entry]]] = {}
    for entry in entries:
        key = tuple(field.get(entry) for field in fields)
        if ABSENT not in key:
            exact = tuple((type(value), value) for value in key)  # 1, 1.0 and True differ
            groups.setdefault(exact, (key, []))[1].append(entry)
    yield from groups.values()


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
        for study in studies
        for names in [{trial.sweep for trial in study.study.trials}]
        for sweep in study.study.sweeps
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
