"""The records of a run: a dataclass for each kind, written by `to_json` and read by `from_json`.

A record is a line of the journal (see `pytest_hypersearch.store.journal`): a JSON object with its
kind under ``k``, without the fields that have their default. A journal begins with a ``run``
record. Each session that works on the run begins with a ``session`` record, to which the records
up to the next one belong.

In the records of a trial, ``attempt`` tells which execution of it in the run, from 1, ``seed`` is
its seed and ``params`` its configuration.

What is read is untrusted. Each field is checked for its type and range; a record with a wrong field
counts as damaged and costs itself alone. Kinds and fields that are not known are passed over.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields
from itertools import chain, repeat
from math import isfinite
from operator import attrgetter
from types import NoneType
from typing import Annotated, Any, ClassVar, Final, TypeAlias, TypeVar, get_args, get_type_hints

from pytest_hypersearch.core.codec import fields_of
from pytest_hypersearch.core.frozen import constructor, frozen
from pytest_hypersearch.core.goals import ONE_SE
from pytest_hypersearch.core.study import STATISTICS
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, Key, Outcome, Raw, State, storable
from pytest_hypersearch.core.values import encodable
from pytest_hypersearch.stats.gate import Tolerance
from pytest_hypersearch.store.curves import Series, unpack
from pytest_hypersearch.store.journal import FORMAT, MAX_LINE, Json

_MANY: Final = 10**9  # trials, attempts: more than any run has
_LARGE: Final = 10**308  # integers that a float can hold
_LATE: Final = 2.5e11  # seconds since 1970 that a date can hold
_LONG: Final = 1e12  # seconds
_NUMBERS: Final = {int, float}
_ENDS: Final = {*State} - {State.RUNNING, State.RACED_OUT, State.CRASHED}

_Read: TypeAlias = "Callable[[Any], Any]"
_Check: TypeAlias = "Callable[[Collection[Any]], bool]"
_Kind = TypeVar("_Kind")

_CHECKS: Final[dict[_Read, _Check]] = {}
"""What tells of many values at once that each would be read as it is, by what reads one; if it does
not tell, they may be all the same."""


def _quick(read: _Read, check: _Check) -> _Read:
    _CHECKS[read] = check
    return read


def _are(kind: type, low: float, high: float) -> _Check:
    # JSON has no NaN, so that the least and the largest tell of all.
    return lambda values: (
        {*map(type, values)} == {kind} and (low <= min(values) and max(values) <= high)
    )


def _are_texts(values: Collection[Any]) -> bool:
    return {*map(type, values)} == {str} and "".join(values).isascii()


def _are_scalars(values: Collection[Any]) -> bool:
    kinds = {*map(type, values)}
    if not kinds <= {str, int, float, bool, NoneType}:
        return False
    texts = [value for value in values if type(value) is str] if str in kinds else []
    rest = [value for value in values if type(value) in _NUMBERS] if kinds & _NUMBERS else [0]
    return "".join(texts).isascii() and min(rest) >= -_LARGE and max(rest) <= _LARGE


def _whole(low: int = -_LARGE, high: int = _LARGE) -> _Read:
    def read(value: Any) -> int:  # noqa: ANN401  any JSON value
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{value!r} is not an integer from {low} to {high}")
        return value

    return _quick(read, _are(int, low, high))


def _number(low: float = -sys.float_info.max, high: float = sys.float_info.max) -> _Read:
    def read(value: Any) -> float:  # noqa: ANN401  any JSON value
        if type(value) not in {int, float} or not low <= value <= high:
            raise ValueError(f"{value!r} is not a number from {low} to {high}")
        return float(value)

    return _quick(read, _are(float, low, high))


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError(f"{value!r} is not a string")
    return value if value.isascii() else encodable(value)


def _one_of(*allowed: str) -> _Read:
    def read(value: object) -> object:
        if value not in allowed:
            raise ValueError(f"{value!r} is not one of {allowed}")
        return value

    return read


def _optional(read: _Read) -> _Read:
    return _quick(lambda value: None if value is None else read(value), _CHECKS[read])


def _tuple(read: _Read) -> _Read:
    def read_all(value: object) -> tuple[Any, ...]:
        if type(value) is not list:
            raise TypeError(f"{value!r} is not an array")
        return tuple(map(read, value))

    return read_all


def _dict(read: _Read) -> _Read:
    def read_all(value: object) -> dict[str, Any]:
        if type(value) is not dict:
            raise TypeError(f"{value!r} is not an object")
        return {_text(name): read(each) for name, each in value.items()}

    def check(values: Collection[Any]) -> bool:
        if read not in _CHECKS or {*map(type, values)} != {dict}:
            return False
        names = {*chain.from_iterable(values)}
        inner = [*chain.from_iterable(map(dict.values, values))]
        return not names or ("".join(names).isascii() and _CHECKS[read](inner))

    return _quick(read_all, check)


def _scalar(value: Any) -> Raw:  # noqa: ANN401  any JSON value
    kind = type(value)
    if kind is str:
        return _text(value)
    scalar: Raw = value
    if kind is float and value - value == 0:
        return scalar
    if value is None or kind is bool or (kind is int and -_LARGE <= value <= _LARGE):
        return scalar
    raise ValueError(f"{value!r} is not a scalar")


def _metric(value: object) -> float:
    """Read a number, for which JSON has a text if it is not finite."""
    if type(value) is float and value - value == 0:
        return value
    return float(value) if value in {"nan", "inf", "-inf"} else _FLOAT(value)


def _series(value: object) -> Series:
    packed = _dict(_plain)(value)
    if not packed.keys() >= {"steps", "values"}:
        raise ValueError(f"{value!r} is not a packed series")
    return unpack(packed)


def _state(*allowed: State) -> _Read:
    states = {str(state): state for state in allowed}

    def read(value: Any) -> State:  # noqa: ANN401  any JSON value
        state = states.get(value)
        if state is None:
            raise ValueError(f"{value!r} is not one of {allowed}")
        return state

    return read


def _option(value: object) -> str:
    """Read an option of the command line that a sweep may have."""
    option = _text(value)
    if not (re.match(r"--sweep-(set|trials|seed|replicates)=", option) and option.isprintable()):
        raise ValueError(f"{option!r} is not an option of sweeps")
    return option


def _name_like(pattern: str, what: str) -> _Read:
    def read(value: object) -> str:
        name = _text(value)
        if not re.fullmatch(pattern, name, re.ASCII):
            raise ValueError(f"{name!r} is not the name of {what}")
        return name

    return read


_CHECKS.update({_flag: _are(bool, 0, 1), _text: _are_texts, _scalar: _are_scalars})
_CHECKS[_metric] = _are(float, -sys.float_info.max, sys.float_info.max)
_INTEGER, _FLOAT = _whole(), _number()
_TIME, _SECONDS = _number(0, _LATE), _number(0, _LONG)

Count = Annotated[int, _whole(0, _MANY)]
Ordinal = Annotated[int, _whole(1, _MANY)]
Integer = Annotated[int, _INTEGER]
Flag = Annotated[bool, _flag]
Text = Annotated[str, _text]
Name = Annotated[str, lambda value: sys.intern(_text(value))]  # thousands of records have it
Texts = Annotated[Mapping[str, str], _dict(_text)]
Seconds = Annotated[float, _SECONDS]
Params = Annotated[Config, _dict(_scalar)]
Metrics = Annotated[Mapping[str, float], _dict(_metric)]


def _sweep(value: object) -> Sweep:
    """Read a sweep as `Sweep.to_json` wrote it.

    Raises:
        ValueError: It is none.
    """
    given = _dict(lambda each: each)(value)
    known = {name: read(given[name]) for name, read in _SWEEP.items() if name in given}
    try:
        sweep = Sweep.from_json(known)
    except Exception as error:
        raise ValueError(f"not a sweep: {error!r}") from error  # scipy may raise anything
    if not set(sweep.group_by) <= set(sweep.space.names or sweep.group_by):
        raise ValueError(f"{sweep.group_by}: no such parameters")
    return sweep


def _plain(value: object) -> object:
    """Read scalars, and arrays and objects of them."""
    if type(value) is list:
        return [*map(_plain, value)]
    return _dict(_plain)(value) if type(value) is dict else _scalar(value)


def _pick(value: object) -> str:
    return _one_of(*STATISTICS, ONE_SE)(_text(value).partition(":")[0]) and _text(value)


def _row(*reads: _Read) -> _Read:
    def read_all(value: object) -> tuple[Any, ...]:
        values = _tuple(_plain)(value)
        return tuple(read(each) for read, each in zip(reads, values, strict=True))

    return read_all


def _tolerance(value: object) -> float | str:
    size = _text(value) if type(value) is str else _FLOAT(value)
    Tolerance.of(size)
    return size


def _gate(value: object) -> dict[str, Any]:
    given = _dict(_scalar)(value)
    return {name: read(given[name]) for name, read in _GATE.items() if name in given}


_MODE = _one_of("min", "max")
_GATE: Final[Mapping[str, _Read]] = {
    "metric": _text,
    "mode": _MODE,
    "tolerance": _tolerance,
    "bound": _optional(_FLOAT),
    "top": _optional(_whole(1, _MANY)),
    "alpha": _number(0, 1),
    "strict": _flag,
}
_SWEEP: Final[Mapping[str, _Read]] = {
    "name": _text,
    "strategy": _text,
    "space": _tuple(_dict(_dict(_plain))),
    "n_trials": _whole(0, _MANY),
    "metric": _text,
    "mode": _MODE,
    "others": _tuple(_row(_text, _MODE)),
    "constraints": _tuple(_row(_text, _one_of("<=", ">="), _FLOAT)),
    "gates": _tuple(_gate),
    "seed": _INTEGER,
    "replicates": _whole(1, _MANY),
    "pick": _pick,
    "points": _tuple(_dict(_scalar)),
    "start_from": _text,
    "prior": _tuple(_row(_dict(_scalar), _tuple(_FLOAT))),
    "group_by": _tuple(_text),
    "keep": _optional(_whole(0, _MANY)),
    "retries": _whole(0, _MANY),
    "race": _flag,
    "stop": _dict(_scalar),
    "timeout": _optional(_FLOAT),
    "parallel": _optional(_whole(1, _MANY)),
    "resources": _dict(_scalar),
    "isolate": _flag,
    "at_least": _optional(_whole(1, _MANY)),
    "options": _tuple(_option),
}


@frozen
class Provenance:
    """Where a session's results come from, as its runs record it; secrets are masked.

    Attributes:
        commit: The commit that git has checked out, empty if there is none.
        dirty: Whether files that git tracks had changes, None if that is not known.
        python: Python's version.
        platform: Operating system and architecture.
        host: The machine's name.
        command: The command line.
        seeds: The seed of each sweep, by its name.
        packages: Versions of the packages that the tests had imported, by their import names.
        nodes: What nodes have in other versions than that, by their names.
    """

    commit: Text = ""
    dirty: Annotated[bool | None, _optional(_flag)] = None
    python: Text = ""
    platform: Text = ""
    host: Text = ""
    command: Annotated[tuple[str, ...], _tuple(_text)] = ()
    seeds: Annotated[Mapping[str, int], _dict(_INTEGER)] = field(default_factory=dict)
    packages: Texts = field(default_factory=dict)
    nodes: Annotated[Mapping[str, Mapping[str, str]], _dict(_dict(_text))] = field(
        default_factory=dict
    )

    def to_json(self) -> Json:
        """Return the fields as JSON values."""
        return fields_of(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        """Return the inverse of `to_json`; fields that it does not know are left out.

        Raises:
            TypeError, ValueError: A field is of the wrong type or out of its range.
        """
        if not isinstance(data, Mapping):
            raise TypeError(f"{data!r} is not an object")
        return _record(cls, data)


@frozen
class RunRecord:
    """A run was made: once, as the first record.

    Attributes:
        format: Version of this format, see `FORMAT`.
        nodeid: The study.
        sweeps: The sweeps of the test; without their spaces where these would not fit in a line.
        created: When, as an ISO time, for people.
    """

    kind: ClassVar = "run"

    format: Annotated[int, _whole(1, FORMAT)]
    nodeid: Text
    sweeps: Annotated[tuple[Sweep, ...], _tuple(_sweep)]
    created: Text = ""


@frozen
class SessionRecord:
    """A session began to work on the run.

    All sessions of a run have the same plan, of which later ones may have more trials and
    replicates, and the same code.

    Attributes:
        sweeps: The sweeps of the test as this session knows them.
        id: 16 hex digits.
        started: When, as an ISO time, for people.
        plan: Digest of what each sweep searches and optimises, by its name.
        fingerprint: Digest of each file that the test runs, by its path, and ``==`` and the version
            of each package that they import, by its name.
        selected: How many trials of the plan the session selected, None if all.
        name: The name that the session gave to the run, see ``--sweep-name``; else empty.
        shard: Which of how many shards it is, such as ``2/4``, see ``--sweep-shard``; else empty.
        provenance: Where the results come from.
        arguments: The test's other parameters; see `StudyResults`.
    """

    kind: ClassVar = "session"

    sweeps: Annotated[tuple[Sweep, ...], _tuple(_sweep)]
    id: Text = ""
    started: Text = ""
    plan: Texts = field(default_factory=dict)
    fingerprint: Texts = field(default_factory=dict)
    selected: Annotated[int | None, _optional(_whole(0, _MANY))] = None
    name: Text = ""
    shard: Annotated[str, _name_like(r"([1-9]\d{0,5}/[1-9]\d{0,5})?", "a shard")] = ""
    provenance: Annotated[Provenance, Provenance.from_json] = Provenance()
    arguments: Params = field(default_factory=dict)


@frozen
class PackagesRecord:
    """Versions of packages, by import names, that tests imported late: at a session's end.

    Attributes:
        node: The node that has other versions than the session's, empty if all have these.
    """

    kind: ClassVar = "packages"

    versions: Texts
    node: Text = ""


@frozen
class SuggestRecord:
    """A sampler proposed a configuration from results.

    Attributes:
        sweep: Name of the sweep.
        seed: The sweep's seed.
        number: Index of the configuration.
        params: The configuration.
        seen: Finished configurations that the sampler knew.
    """

    kind: ClassVar = "suggest"

    sweep: Text
    seed: Integer
    number: Count
    params: Params
    seen: Count


@frozen
class OfTrial:
    """A record of one trial.

    Attributes:
        sweep: Name of the sweep.
        number: Index of the configuration.
        replicate: Index of its repetition.
    """

    sweep: Name
    number: Count
    replicate: Count

    @property
    def key(self) -> Key:
        """The trial."""
        return tuple.__new__(Key, (self.sweep, self.number, self.replicate))  # twice as quick


@frozen
class StartRecord(OfTrial):
    """A trial was handed to a runner, or was carried over from another run with its end.

    Attributes:
        worker: Who runs it, empty in plain pytest.
        started: When, in seconds since 1970.
        item: Node id of the trial's item.
        origin: The run that it was carried over from, where it ran and its files are; else empty.
        recorded: The number of its configuration in that run, None if it is ``number``.
        refers: Whether that run has files or curves of it.
        stale: Whether it ran other code and was kept by ``--sweep-stale=keep``.
    """

    kind: ClassVar = "start"

    attempt: Ordinal
    seed: Integer
    params: Params
    worker: Text = ""
    started: Annotated[float | None, _TIME] = None
    item: Text = ""
    origin: Annotated[str, _name_like(r"(\d{4,9})?", "a run")] = ""
    recorded: Annotated[int | None, _optional(_whole(0, _MANY))] = None
    refers: Flag = False
    stale: Flag = False


@frozen
class EndRecord(OfTrial):
    """A trial ended. The first end of an attempt counts.

    Attributes:
        state: How it ended.
        metrics: Every number that it gave; ``"nan"``, ``"inf"`` and ``"-inf"`` for what JSON lacks.
        duration: Seconds.
        steps: How many values it reported.
        reason: Why it is not complete.
        error: The traceback of its failure.
        logged: What the test gave to ``trial.log``.
        failed: Whether the test failed by it.
        peak_memory: Bytes, None if that is not known.
        cpu_time: Seconds, None if that is not known.
    """

    kind: ClassVar = "end"

    attempt: Ordinal
    state: Annotated[State, _state(*_ENDS)]
    metrics: Metrics
    duration: Seconds
    steps: Annotated[int, _whole(0, 2**53)] = 0
    reason: Text = ""
    error: Text = ""
    logged: Params = field(default_factory=dict)
    failed: Flag = False
    peak_memory: Annotated[int | None, _whole(0, 2**63)] = None
    cpu_time: Annotated[float | None, _SECONDS] = None


def end_of(key: Key, attempt: int, outcome: Outcome) -> EndRecord:
    """Return the record of a trial's end."""
    return EndRecord(
        *key,
        attempt,
        outcome.state,
        outcome.metrics,
        round(outcome.duration, 6),
        outcome.steps,
        outcome.reason,
        outcome.error,
        outcome.logged,
        outcome.failed,
        outcome.peak_memory,
        outcome.cpu_time,
    )


@frozen
class FailedRecord(OfTrial):
    """The item of a trial failed after the trial had ended: it runs again when resumed.

    Attributes:
        state: The trial's state from then on; that of its end if only the teardown failed.
        reason: Why the item failed.
        error: The traceback of its failure.
    """

    kind: ClassVar = "failed"

    attempt: Ordinal
    state: Annotated[State, _state(*_ENDS)]
    reason: Text
    error: Text = ""


@frozen
class CrashRecord(OfTrial):
    """The process that ran a trial is gone; a start of the next attempt may follow.

    Attributes:
        attempt: 0 if the trial was not handed out yet.
        reason: What is known of the death.
        worker: Who ran it.
    """

    kind: ClassVar = "crash"

    attempt: Count
    reason: Text
    worker: Text = ""


@frozen
class SavedRecord(OfTrial):
    """What a trial saved is whole.

    Attributes:
        directory: Name of its directory among the artifacts of the run in which it ran.
    """

    kind: ClassVar = "saved"

    attempt: Ordinal
    directory: Annotated[str, _name_like(r"[\w-]+", "an artifact directory")]


@frozen
class SkipRecord(OfTrial):
    """A trial was left out.

    Attributes:
        state: ``raced out`` or ``not run``.
        reason: Why.
    """

    kind: ClassVar = "skip"

    seed: Integer
    params: Params
    state: Annotated[State, _state(State.RACED_OUT, State.NOT_RUN)]
    reason: Text


@frozen
class ReplayRecord(OfTrial):
    """A stored trial got another item since it ran, as its sweep has more replicates now."""

    kind: ClassVar = "replay"

    item: Text


@frozen
class CurveRecord(OfTrial):
    """Intermediate values that a trial reported: in the file of curves.

    Attributes:
        series: Steps and values by metric; packed in the file, as `pytest_hypersearch.store.curves`
            tells.
        elapsed: Seconds from the trial's start to the last of the values.
    """

    kind: ClassVar = "curve"

    attempt: Ordinal
    series: Annotated[Mapping[str, Series], _dict(_series)] = field(default_factory=dict)
    elapsed: Seconds = 0.0


@frozen
class NoteRecord:
    """What a person says of a trial, or of the run: in the file of notes.

    Attributes:
        tags: All of its tags.
        note: Its note.
        written: When it was written, in seconds since 1970.
        sweep: Name of the trial's sweep, empty if it is said of the run.
        number: Index of the trial's configuration.
        replicate: Index of its repetition.
    """

    kind: ClassVar = "note"

    tags: Annotated[tuple[str, ...], _tuple(_text)] = ()
    note: Text = ""
    written: Annotated[float, _TIME] = 0.0
    sweep: Text = ""
    number: Count = 0
    replicate: Count = 0

    @property
    def target(self) -> Key | None:
        """The trial, None for the run."""
        return Key(self.sweep, self.number, self.replicate) if self.sweep else None


@frozen
class VerdictRecord:
    """What a session says of a gate: in the file of verdicts.

    Attributes:
        gate: What the gate is called among those of its test.
        verdict: The verdict, empty if the test has no such gate any more.
        text: The verdict with its numbers.
        against: The name of the baseline, empty for a threshold.
        judged: When it was judged, in seconds since 1970.
    """

    kind: ClassVar = "verdict"

    gate: Text
    verdict: Text
    text: Text = ""
    against: Text = ""
    judged: Annotated[float, _TIME] = 0.0


Record: TypeAlias = (
    RunRecord
    | SessionRecord
    | PackagesRecord
    | SuggestRecord
    | StartRecord
    | EndRecord
    | FailedRecord
    | CrashRecord
    | SavedRecord
    | SkipRecord
    | ReplayRecord
    | CurveRecord
    | NoteRecord
    | VerdictRecord
)


def to_json(record: Record) -> Json:
    """Return a record as the JSON object that the journal keeps."""
    kind = type(record)
    data: Json = {"k": record.kind}
    for (name, default), value in zip(_DEFAULTS[kind], _VALUES[kind](record), strict=True):
        if value is not default and value != default:
            number = type(value) is float and isfinite(value)
            data[name] = value if number or type(value) in _PLAIN else _json(value)
    return data


def from_json(batch: Sequence[Json]) -> tuple[list[Record], int]:
    """Return the records that JSON objects describe, in their order, and how many are damaged.

    Those of an unknown kind are left out. Records of one kind with the same fields are checked
    together, a field at a time, unless one of them is damaged.
    """
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, data in enumerate(batch):
        alike[str(data["k"]), *data].append(place)
    records: list[Record | None] = [None] * len(batch)
    damaged = 0
    for (name, *_), places in alike.items():
        if (kind := _KINDS.get(name)) is None:
            continue
        group = [batch[place] for place in places]
        try:
            for place, record in zip(places, _records(kind, group), strict=True):
                records[place] = record
        except (TypeError, ValueError):
            for place, data in zip(places, group, strict=True):
                try:
                    records[place] = _record(kind, data)
                except (TypeError, ValueError):
                    damaged += 1
    return [record for record in records if record is not None], damaged


def _json(value: object) -> object:
    match value:
        case float():
            return storable(value)
        case dict():
            floats = [each for each in value.values() if isinstance(each, float)]
            if all(map(isfinite, floats)):
                return value
            return {name: storable(each) for name, each in value.items()}
        case Provenance():
            return value.to_json()
        case tuple():
            return _sweeps(value) if any(isinstance(one, Sweep) for one in value) else [*value]
    return value


def _sweeps(sweeps: tuple[Sweep, ...]) -> list[Json]:
    """Sweeps, without their spaces if these are too long for a line."""
    found = [sweep.to_json() for sweep in sweeps]
    if len(json.dumps(found)) < MAX_LINE // 2:
        return found
    return [{name: each[name] for name in each if name != "space"} for each in found]


def _record(kind: type[_Kind], data: Mapping[str, Any]) -> _Kind:
    reads = _READS[kind]
    values = {}
    for name, value in data.items():
        if (read := reads.get(name)) is not None:
            values[name] = read(value)
    return kind(**values)


def _records(kind: Any, alike: Sequence[Json]) -> list[Any]:  # noqa: ANN401  mypy: no type[_Kind]
    """Return what `_record` returns for each of several objects with the same names."""
    reads, columns = _READS[kind], {}
    for name, values in zip(alike[0], zip(*map(dict.values, alike), strict=True), strict=True):
        if name in reads:
            columns[name] = _column(reads[name], values)
    for name, default in _DEFAULTS[kind]:
        if name not in columns:
            if default is MISSING:
                raise TypeError(f"{name} is missing")
            columns[name] = repeat(default, len(alike))  # records may share it: they are frozen
    return [*map(constructor(kind), *(columns[name] for name, _ in _DEFAULTS[kind]))]


def _column(read: _Read, values: tuple[Any, ...]) -> Iterable[Any]:
    if read in _CHECKS and _CHECKS[read](values):
        return values
    if {*map(type, values)} == {str}:
        known = {value: read(value) for value in {*values}}
        return [known[value] for value in values]
    return [*map(read, values)]


def _reads_of(kind: type[Any]) -> dict[str, _Read]:
    """Return what reads each field."""
    hints = get_type_hints(kind, include_extras=True)
    return {each.name: hints[each.name].__metadata__[0] for each in fields(kind)}


def _default(each: Field[Any]) -> object:
    """Return a field's default, `MISSING` if it has none."""
    return each.default if each.default_factory is MISSING else each.default_factory()


_PLAIN: Final = frozenset({int, str, bool, State})  # JSON has them as they are
_KINDS: Final[Mapping[str, type[Record]]] = {kind.kind: kind for kind in get_args(Record)}
_READS: Final[Mapping[object, dict[str, _Read]]] = {
    kind: _reads_of(kind) for kind in (*_KINDS.values(), Provenance)
}
_DEFAULTS: Final[Mapping[object, tuple[tuple[str, object], ...]]] = {
    kind: tuple((each.name, _default(each)) for each in fields(kind)) for kind in _KINDS.values()
}
_VALUES: Final[Mapping[object, Callable[[Record], tuple[object, ...]]]] = {
    kind: attrgetter(*(each.name for each in fields(kind))) for kind in _KINDS.values()
}
