"""Journals with right checksums and hostile values: each costs its own record, and one clear line.

A part of the forgeries is tried, another one for each command; ``EXHAUSTIVE=1`` tries all of them,
which takes an hour.
"""

import os
import re
from dataclasses import FrozenInstanceError
from itertools import islice

import pytest
from forged import NODEID, curves, forgeries, journal, write

from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import main
from pytest_hypersearch.store import records
from pytest_hypersearch.store.reader import read_run
from pytest_hypersearch.store.runs import Run, Store

STEP = 1 if os.environ.get("EXHAUSTIVE") else 499
DATA = journal()
OTHER = "test_it.py::test_other"
COMMANDS = (
    ("list",),
    ("show", "-v"),
    ("show", "test_f", "--group-by", "act"),
    ("show", "--columns", "item,act,score,error,started", "--sort", "score"),
    ("best", "test_f"),
    ("best", "test_f", "--format", "pytest"),
    ("compare", "test_f", "test_other"),
    ("export", "-", "--to", "csv"),
    ("export", "-", "--to", "json"),
    ("export", "exported", "--to", "optuna"),
    ("report", "test_f"),
    ("clean", "--keep", "1", "--dry-run"),
)
TESTS = """
SPACE = {"act": ["relu", "tanh"], "layers": [1, 2, 3]}

@pytest.mark.sweep(bayes=SPACE, n_trials=6, points=[{"act": "relu", "layers": 2}],
                   metric="loss", replicates=3, seed=3, constraints={"size": "<= 50"})
@pytest.mark.sweep(grid=SPACE, metric="loss", replicates=3, seed=3, constraints={"size": "<= 50"})
def test_f(act, layers):
    return {"loss": layers, "size": 1}
"""


class Forged:
    """A store with a run that is forged again and again, and one of another study."""

    def __init__(self, folder):
        store = Store(folder / ".pytest_cache" / "d" / "hypersearch")
        self.run = Run(store.study_dir(NODEID) / "0001")
        self.other = Run(store.study_dir(OTHER) / "0001")
        self.write(DATA)
        heads = [record | {"nodeid": OTHER} for record in DATA[:1]]
        write(self.other.journal.path, [*heads, *DATA[1:]])
        write(self.run.curves.path, list(curves()))

    def write(self, data):
        write(self.run.journal.path, data)

    def forge(self, step=1, start=0, stop=None):
        """Write every so many forgery; yield where it is and what."""
        for (place, *path), value, data in islice(forgeries(DATA), start, stop, step):
            self.write(data)
            yield f"{DATA[place]['k']} {path}: {value!r}"[:200]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "test_it.py").touch()
    return Forged(tmp_path)


def one_line(text):
    """Check that a command's errors are notes and at most one more line, none of them long."""
    lines = text.splitlines()
    problems = [line for line in lines if not line.startswith("pytest-hypersearch: note: ")]
    return len(problems) <= 1 and all(len(line) < 1000 for line in lines)


def test_the_journals_that_are_forged_are_read_without_a_note(store):
    study = read_run(store.run)
    assert study.notes == ()
    assert {str(trial.state) for trial in study.trials} == {"complete", "crashed", "raced out"}
    assert len(study.trials) == 14
    codes = {args: main(args) for args in COMMANDS}
    assert codes.pop(("compare", "test_f", "test_other")) == 3  # nothing to pair
    assert set(codes.values()) == {0}


def test_a_forged_record_costs_itself_alone(store):
    whole = {(trial.sweep, trial.number, trial.replicate) for trial in read_run(store.run).trials}
    for (place, *path), value, data in islice(forgeries(DATA), 0, None, max(STEP // 30, 1)):
        what = f"{DATA[place]['k']} {path}: {value!r}"[:200]
        store.write(data)
        if path == ["format"] and not isinstance(value, (bool, dict, list, float, type(None))):
            continue  # a later version's file is refused
        study = read_run(store.run)
        left = {(trial.sweep, trial.number, trial.replicate) for trial in study.trials}
        if DATA[place]["k"] not in {"run", "session"}:
            assert len(whole - left) <= 1, what
        elif study.notes and "damaged" in study.notes[0]:
            assert left == whole, what


def test_time_that_ran_backwards_is_damage(store):
    place = next(i for i, record in enumerate(DATA) if record["k"] == "end")
    whole = {sweep.name: sweep.elapsed for sweep in read_run(store.run).sweeps}
    store.write([*DATA[:place], DATA[place] | {"duration": -1e9}, *DATA[place + 1 :]])
    study = read_run(store.run)
    assert "damaged" in study.notes[0]
    assert all(sweep.elapsed <= whole[sweep.name] for sweep in study.sweeps)


def read_or_refused(read, *args):
    try:
        return read(*args)
    except (TypeError, ValueError):
        return None


def test_records_are_read_together_as_each_is_alone():
    for (place, *path), value, data in forgeries(DATA):
        whole, forged = DATA[place], data[place]
        kind = records._KINDS.get(str(forged["k"]))
        if kind is None or "sweeps" in path:
            continue
        what = f"{forged['k']} {path}: {value!r}"[:200]
        alone = read_or_refused(records._record, kind, forged)
        batch = [whole, forged, whole] if [*whole] == [*forged] else [forged]
        together = read_or_refused(records._records, kind, batch)
        if alone is None or together is None:
            assert alone is together is None, what
            continue
        (read,) = together[1:2] or together
        assert (type(read), repr(read)) == (type(alone), repr(alone)), what
        with pytest.raises(FrozenInstanceError):
            setattr(read, next(iter(forged.keys() - {"k"})), None)


def test_every_command_prints_one_line(store, capsys):
    for turn, what in enumerate(store.forge(STEP)):
        for args in COMMANDS if STEP == 1 else [COMMANDS[turn % len(COMMANDS)]]:
            code = main(args)
            out, errors = capsys.readouterr()
            assert code in ({0, 1, 2, 3} if args[0] == "compare" else {0, 1, 2}), (what, args)
            assert one_line(errors), (what, args, errors)
            if args[0] == "list":
                assert "test_other" in out, (what, out, errors)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record | ({"started": 10**400} if record["k"] == "start" else {}),
        lambda record: record | ({"duration": 10**400} if record["k"] == "end" else {}),
        lambda record: record | ({"params": [1]} if record["k"] == "start" else {}),
        lambda record: in_sweeps(record, pick={}),
        lambda record: in_sweeps(record, name=None),
        lambda record: in_sweeps(record, space=[{"act": {"kind": "choice", "options": [[]]}}]),
    ],
)
def test_whole_journals_of_forged_records_stop_nobody(store, capsys, change):
    store.write([change(record) for record in DATA])
    for args in COMMANDS:
        code = main(args)
        out, errors = capsys.readouterr()
        assert code in ({0, 1, 2, 3} if args[0] == "compare" else {0, 1, 2})
        assert one_line(errors)
        assert args[0] != "list" or "test_other" in out
    assert len(load_results("test_other")) == 14


def in_sweeps(record, **change):
    return record | {
        name: [each | change for each in record[name]] for name in {"sweeps"} & {*record}
    }


def test_forged_curves_cost_themselves_alone(store):
    (curve,) = curves()
    for path, value, data in forgeries([curve]):
        write(store.run.curves.path, [*data, curve | {"attempt": 1, "number": 1}])
        found = load_results("test_f").curves()
        assert any(each.trial.number == 1 for each in found), (path, value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["run.lock", "journal.jsonl", "curves.jsonl"])
def test_pipes_keep_no_command_waiting(store, capsys, name):
    (store.run.path / name).unlink(missing_ok=True)
    os.mkfifo(store.run.path / name)
    for args in (("list",), ("show",), ("report",), ("clean", "--keep", "1")):
        assert main(args) in {0, 2}
        assert one_line(capsys.readouterr().err)


@pytest.mark.parametrize("start", range(0, 9000, 1500))
def test_a_resumed_session_goes_on_or_says_in_one_line_why_not(project, start):
    project.write(TESTS)
    store = Forged(project.path)
    for what in store.forge(STEP, start, start + 1500):
        result = project.here("--sweep-resume", "--sweep-stale=keep", "-k", "r0")
        output = "\n".join((*result.outlines, *result.errlines))
        assert result.ret in {0, pytest.ExitCode.USAGE_ERROR}, (what, output)
        assert not re.search("Traceback|INTERNALERROR", output), (what, output)
