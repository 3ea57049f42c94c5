"""Journals whose checksums are right and whose values are hostile: every field of every record."""

import copy
import json

from pytest_hypersearch.core.trial import trial_seed
from pytest_hypersearch.plugin.mark.arguments import from_mark
from pytest_hypersearch.store.curves import pack
from pytest_hypersearch.store.journal import FORMAT, encode
from pytest_hypersearch.store.records import (
    CrashRecord,
    EndRecord,
    PackagesRecord,
    Provenance,
    ReplayRecord,
    RunRecord,
    SavedRecord,
    SessionRecord,
    SkipRecord,
    StartRecord,
    SuggestRecord,
    to_json,
)

NODEID = "test_it.py::test_f"
HOSTILE = (
    *(None, True, False, 0, -1, 1, 10**9, 2**53, 2**63, -(10**18), 10**400, -(10**400)),
    *(0.5, -1.5, 1e308, -1e308, 5e-324),
    *("", "nan", "-inf", "x" * 5000, "../../etc", "\x1b[31m\r\n::error::", "\ud800", "\u202eb<&>"),
    *([], [1], [[]], {}, {"": None}, {"x": {"y": 1}}, {"kind": "scipy", "name": "test"}),
)


def sweeps():
    """A grid and a sampler that looks at results, with every field that a sweep can have."""
    common = {"metric": "loss", "replicates": 3, "group_by": "act", "seed": 3}
    limits = {"constraints": {"size": "<= 50"}, "timeout": "1h", "stop": {"patience": 99}}
    resources = {"resources": {"cpus": 1}, "isolate": True}
    grid = {"grid": {"act": ["relu", "tanh"], "layers": [1, 2, 3]}, **resources}
    space = {"act": ["relu", "tanh"], "layers": [1, 2, 3]}
    found = {"bayes": space, "n_trials": 6, "points": [{"act": "relu", "layers": 2}]}
    return tuple(from_mark((), {**common, **limits, **each}) for each in (grid, found))


def records():
    """The records of a run, of every kind; and those of its file of curves."""
    grid, bayes = sweeps()
    provenance = Provenance(
        commit="a" * 40, dirty=True, command=("pytest",), seeds={"grid": 3}, packages={"numpy": "2"}
    )
    session = SessionRecord(
        (grid, bayes), "0" * 16, "2026-01-01", {"a.py": "1"}, provenance=provenance
    )
    yield RunRecord(FORMAT, NODEID, (grid, bayes), "2026-01-01")
    yield session
    for number, act in enumerate(("relu", "tanh")):
        for sweep in (grid, bayes):
            params = {"act": act, "layers": 1 + number}
            if sweep is bayes:
                yield SuggestRecord("bayes", 3, number, params, number)
            for replicate in range(3):
                key = sweep.name, number, replicate
                item = f"{NODEID}[{sweep.name}-{number:03d}-r{replicate}]"
                start = trial_seed(3, replicate), params, "gw0", 1.7e9 + 10 * number
                yield StartRecord(*key, 1, *start, item)
                metrics = {"loss": number + replicate / 3, "size": 7.0}
                yield EndRecord(
                    *(*key, 1, "complete", metrics, 1.5, 3, "", ""),
                    *({"note": "kept"}, False, 10**6, 1.25),
                )
                yield SavedRecord(*key, 1, f"{sweep.name}-{number}-r{replicate}")
    seed = trial_seed(3, 0)
    yield StartRecord("grid", 2, 0, 1, seed, {"act": "relu", "layers": 3}, "gw1", 1.7e9)
    yield CrashRecord("grid", 2, 0, 1, "gw1 died", "gw1")
    yield SkipRecord("grid", 3, 0, seed, {"act": "tanh", "layers": 1}, "raced out", "worse")
    yield ReplayRecord("grid", 0, 0, f"{NODEID}[act:relu-layers:1-r0]")
    yield PackagesRecord({"torch": "2.9"})
    yield PackagesRecord({"torch": "2.8"}, "node2")


def curves():
    place = {"k": "curve", "sweep": "grid", "number": 0, "replicate": 0, "attempt": 1}
    yield place | {"series": {"loss": pack([0, 1, 2], [3.0, 2.0, 1.0])}}


def journal():
    return json.loads(json.dumps([to_json(record) for record in records()]))


def places(value, path=()):
    """The paths of all values within a JSON value, from the outermost."""
    if path:
        yield path
    within = enumerate(value) if isinstance(value, list) else ()
    for name, each in value.items() if isinstance(value, dict) else within:
        yield from places(each, (*path, name))


def kinds(data):
    """One record of each kind, by its place."""
    found = {}
    for place, record in enumerate(data):
        found.setdefault(record["k"], place)
    return found.values()


def forgeries(data):
    """Copies of records in which one value is a hostile one, or a name is gone."""
    for place in kinds(data):
        for path in places(data[place]):
            for value in HOSTILE:
                yield (place, *path), value, forged(data, place, path, value)


def forged(data, place, path, value):
    record = copy.deepcopy(data[place])
    inner = record
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return [*data[:place], record, *data[place + 1 :]]


def write(path, data):
    """Write records as a file with right checksums."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(encode, data)))
