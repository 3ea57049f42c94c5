"""What is read of runs that went on, were damaged, still run, or lie in several caches."""

import json
import shutil
from itertools import count

import pytest
from stored_project import run_sweeps

from pytest_hypersearch import load_results
from pytest_hypersearch.core.trial import trial_seed
from pytest_hypersearch.plugin.mark.arguments import from_mark
from pytest_hypersearch.store.journal import FORMAT, Journal, encode
from pytest_hypersearch.store.reader import read_run
from pytest_hypersearch.store.runs import Run, Store

GRID = """
import os, pytest

@pytest.mark.sweep(grid={{"x": {values}}}, replicates=2, race={race})
def test_f(x, trial):
    trial.report(x)
    if x == 3 and trial.replicate == 1 and os.environ.get("KILL"):
        os._exit(1)
    return {{"score": x, "twice": 2 * x}}
"""


def write(folder, values, race=False):
    (folder / "pytest.ini").touch()
    (folder / "test_it.py").write_text(GRID.format(values=values, race=race))


def sweep(**options):
    given = {"grid": {"x": [1, 2, 3]}, "replicates": 2, **options}
    return from_mark((), given).to_json()


class Written:
    """A run whose records a test writes."""

    def __init__(self, root, *sweeps, nodeid="t.py::test_f"):
        self.run = Store(root).new_run(nodeid)
        self.attempts = count(1)
        self.name = (sweeps or [sweep()])[0]["name"]
        self.write(k="run", format=FORMAT, nodeid=nodeid, sweeps=sweeps or [sweep()])
        self.session(*sweeps)

    def write(self, **record):
        self.run.journal.append(record)

    def session(self, *sweeps):
        self.write(k="session", sweeps=sweeps or [sweep()])

    def start(self, number, x, replicate=0):
        attempt = next(self.attempts)
        place = {"sweep": self.name, "number": number, "replicate": replicate, "attempt": attempt}
        known = {"params": {"x": x}, "worker": "", "started": 1e9 + attempt}
        known["seed"] = trial_seed(0, replicate)
        self.write(k="start", **place, **known, item=f"t.py::test_f[x:{x}-r{replicate}]")
        return place

    def end(self, number, x, replicate=0, state="complete", **changes):
        place = self.start(number, x, replicate)
        known = {"state": state, "metrics": {"score": x, "cost": -x}, "duration": 0.5}
        self.write(k="end", **place, **{**known, **changes})

    def read(self):
        return read_run(Run(self.run.path))


@pytest.fixture
def written(tmp_path):
    return lambda *sweeps: Written(tmp_path, *sweeps)


def test_a_run_that_went_on_with_a_larger_grid_has_todays_numbers(tmp_path):
    write(tmp_path, [1, 3])
    run_sweeps(tmp_path)
    write(tmp_path, [1, 2, 3, 4])
    run_sweeps(tmp_path, "--sweep-resume", "--sweep-stale=keep")
    results = load_results(tmp_path)
    found = [(t.number, t.replicate, t.params["x"], t.score) for t in results]
    assert found == [(n, r, n + 1, n + 1) for n in range(4) for r in range(2)]
    assert results.studies[0].sweeps[0].planned == 8
    assert [curve.values for curve in results.curves()] == [(x,) for x in (1, 1, 2, 2, 3, 3, 4, 4)]


def test_trials_in_flight_when_the_process_died_are_interrupted(tmp_path):
    write(tmp_path, [1, 2, 3, 4])
    run_sweeps(tmp_path, KILL="1")
    results = load_results(tmp_path)
    (lost,) = results.filter(status="not run")
    assert (lost.params, lost.replicate, lost.reason) == ({"x": 3}, 1, "interrupted")
    assert len(results) == 6


def test_what_still_runs_is_running_and_what_ran_before_is_interrupted(written):
    run = written()
    run.start(0, 1)
    run.session()
    run.start(1, 2)
    assert [trial.state for trial in run.read().trials] == ["not run", "running"]
    run.run.close()
    assert [trial.state for trial in run.read().trials] == ["not run", "not run"]


def test_raced_out_trials_have_their_configuration(written):
    run = written()
    run.end(2, 3)
    place = {"sweep": "grid", "number": 2, "replicate": 1}
    known = {"seed": trial_seed(0, 1), "params": {"x": 3}}
    run.write(k="skip", **place, **known, state="raced out", reason="worse than #0")
    trial = run.read().trials[1]
    assert (trial.state, trial.params, trial.reason) == ("raced out", {"x": 3}, "worse than #0")


def test_the_last_attempt_counts(written):
    run = written()
    run.end(0, 1, state="failed", reason="ValueError", error="Traceback")
    place = run.start(0, 1)
    run.write(k="crash", **place, reason="gw0 died")
    assert run.read().trials[0].state == "crashed"
    run.end(0, 1)
    (trial,) = run.read().trials
    assert (trial.state, trial.attempt, trial.error) == ("complete", 3, "")


def test_a_record_that_comes_twice_counts_once(written):
    run = written()
    run.end(0, 1)
    text = run.run.journal.path.read_bytes().splitlines(keepends=True)
    run.run.close()
    run.run.journal.path.write_bytes(b"".join([*text, *text[2:]]))
    (trial,) = run.read().trials
    assert trial.state == "complete"
    assert run.read().notes == ()


def test_the_score_is_todays_metric(written):
    run = written()
    run.end(0, 1)
    run.session(sweep(metric="cost", mode="max"))
    run.end(1, 2)
    study = run.read()
    assert [trial.score for trial in study.trials] == [-1, -2]
    assert study.sweeps[0].mode == "max"


def test_the_time_between_sessions_is_no_time_of_the_sweep(written):
    run = written()
    run.end(0, 1)
    run.end(1, 2)
    run.session()
    run.attempts = count(10_000)
    run.end(2, 3)
    assert run.read().sweeps[0].elapsed == pytest.approx(1.5 + 0.5)


def test_numbers_that_nan_and_infinity_took_come_back(written):
    run = written()
    run.end(0, 1, state="invalid", metrics={"score": "nan", "cost": "-inf"})
    metrics = run.read().trials[0].metrics
    assert metrics["score"] != metrics["score"]
    assert metrics["cost"] == float("-inf")


@pytest.mark.parametrize(
    "record",
    [
        {"k": "start", "sweep": "grid"},
        {"k": "start", "sweep": ["grid"], "number": 0, "replicate": 0, "attempt": 1},
        {"k": "end", "sweep": "grid", "number": 0, "replicate": 0, "attempt": 99},
        {"k": "suggest", "sweep": "grid", "number": 0, "params": {"x": {"y": 1}}},
        {"k": "skip", "sweep": "grid", "number": 0, "replicate": 0, "state": "odd", "reason": ""},
        {"k": "session", "sweeps": [{"name": "grid", "mode": "up"}]},
        {"k": "session", "sweeps": 3},
    ],
)
def test_records_that_make_no_sense_are_counted(written, record):
    run = written()
    run.end(0, 1)
    run.write(**record)
    study = run.read()
    assert len(study.trials) == 1
    assert study.notes == (f"1 damaged line skipped in {run.run.path}",)


def test_records_of_unknown_kinds_are_passed_over(written):
    run = written()
    run.write(k="later")
    run.write(k=["odd"])
    assert run.read().notes == ()


def test_damaged_lines_cost_only_their_trials(swept, tmp_path):
    cache = shutil.copytree(swept / ".pytest_cache", tmp_path / ".pytest_cache")
    (journal,) = cache.glob("d/hypersearch/*-test_net/0002/journal.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"k":"end"' in line)
    lines[place] = lines[place].replace(b'"complete"', b'"COMPLETE"').replace(b"fail", b"FAIL")
    journal.write_bytes(b"".join(lines) + b'{"k":"end","sweep')
    results = load_results(tmp_path)
    assert len(results) == 62
    assert len(results.filter(status="not run")) == 1
    assert results.notes == (f"2 damaged lines skipped in {journal.parent}",)


def test_a_run_without_its_first_line_is_read_all_the_same(swept, tmp_path):
    cache = shutil.copytree(swept / ".pytest_cache", tmp_path / ".pytest_cache")
    (journal,) = cache.glob("d/hypersearch/*-test_net/0002/journal.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"\xff\xfe\n" + b"".join(lines[1:]))
    results = load_results(tmp_path)
    assert len(results) == 62
    assert any("test_net" in study.nodeid for study in results.studies)


def test_a_run_of_a_newer_version_is_named_and_the_others_are_read(swept, tmp_path):
    cache = shutil.copytree(swept / ".pytest_cache", tmp_path / ".pytest_cache")
    (journal,) = cache.glob("d/hypersearch/*-test_net/0002/journal.jsonl")
    with journal.open("ab") as file:
        file.write(encode({"k": "run", "format": FORMAT + 1}))
    results = load_results(tmp_path)
    assert len(results) == 62 - 48
    assert len(results.notes) == 1
    assert "was written by a newer pytest-hypersearch" in results.notes[0]


def test_nothing_in_the_files_is_executed(tmp_path):
    """scipy.stats has functions that are no distributions: ``test`` runs pytest."""
    (tmp_path / "test_evil.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')")
    call = {"kind": "scipy", "name": "test", "args": [], "kwds": {"tests": [str(tmp_path)]}}
    sweeps = [sweep() | {"space": [{"x": call}], "prune": "gASVdGVzdA=="}]
    path = tmp_path / ".pytest_cache" / "d" / "hypersearch" / "evil" / "0001"
    records = [
        {"k": "run", "format": FORMAT, "nodeid": "t.py::test_f", "sweeps": sweeps},
        {"k": "session", "sweeps": [sweep()]},
    ]
    Journal(path / "journal.jsonl").append_many(records)
    results = load_results(tmp_path)
    assert results.studies[0].sweeps[0].name == "grid"
    assert len(results.notes) == 1
    assert not (tmp_path / "marker").exists()


def test_a_link_in_place_of_a_journal_is_not_followed(swept, tmp_path):
    (secret,) = swept.glob(".pytest_cache/d/hypersearch/*-test_net/0002/journal.jsonl")
    run = tmp_path / ".pytest_cache" / "d" / "hypersearch" / "evil" / "0001"
    run.mkdir(parents=True)
    (run / "journal.jsonl").symlink_to(secret)
    with pytest.raises(Exception, match="cannot read"):
        load_results(tmp_path)


def shards(tmp_path, *choices):
    """The caches of machines that ran some trials each."""
    for name, chosen in choices:
        folder = tmp_path / name
        folder.mkdir()
        write(folder, [1, 2, 3])
        run_sweeps(folder, "-k", chosen)
        yield folder


def test_caches_of_shards_become_one(tmp_path):
    caches = list(shards(tmp_path, ("one", "x:1 or x:2"), ("two", "x:3 or x:2-r1")))
    assert [len(load_results(cache)) for cache in caches] == [4, 3]
    results = load_results(*caches)
    (study,) = results.studies
    assert [(t.params["x"], t.replicate) for t in study.trials] == [
        (x, r) for x in (1, 2, 3) for r in (0, 1)
    ]
    assert study.sweeps[0].planned == 6
    assert results.best()[0].params == {"x": 1}
    assert [curve.values for curve in results.curves()] == [(1,), (1,), (2,), (2,), (3,), (3,)]


def test_shards_of_other_sweeps_become_one(tmp_path):
    for name in ("grid", "random"):
        run = Written(tmp_path / name, sweep() | {"name": name})
        run.end(0, 1)
        run.run.close()
    results = load_results(tmp_path / "grid", tmp_path / "random")
    (study,) = results.studies
    assert [one.name for one in study.sweeps] == ["grid", "random"]
    assert [trial.sweep for trial in results] == ["grid", "random"]


def test_what_searched_otherwise_stays_apart(tmp_path):
    for name, values in (("one", [1, 2]), ("two", [1, 2, 3])):
        (tmp_path / name).mkdir()
        write(tmp_path / name, values)
        run_sweeps(tmp_path / name)
    results = load_results(tmp_path / "one", tmp_path / "two")
    assert [len(study.trials) for study in results.studies] == [4, 6]


def test_configurations_of_one_number_in_two_caches_get_their_own(tmp_path):
    bayes = from_mark((), {"random": {"x": [1, 2, 3, 4]}, "n_trials": 2}).to_json()
    bayes |= {"name": "grid", "strategy": "own"}
    paths = []
    for name, values in (("one", [1, 2]), ("two", [3, 1])):
        run = Written(tmp_path / name, bayes)
        for number, x in enumerate(values):
            run.end(number, x)
        run.run.close()
        paths.append(tmp_path / name)
    trials = load_results(*paths).studies[0].trials
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert [trial.params["x"] for trial in trials] == [1, 2, 3, 1]


def test_tests_get_the_results_of_earlier_ones(tmp_path):
    write(tmp_path, [1, 2])
    with (tmp_path / "test_it.py").open("a") as file:
        file.write("""
def test_later(sweeps):
    results = sweeps.results("test_f")
    assert len(results.filter(x__lt=2, status="success")) == 2
    assert results.best()[0].params == {"x": 1}
    assert [curve.values for curve in results.curves()] == [(1,), (1,), (2,), (2,)]
    open("later", "w").write(str(len(results)))
""")
    run_sweeps(tmp_path, "-n2")
    assert (tmp_path / "later").read_text() == "4"


def test_records_tell_when_and_as_what_a_trial_started(swept):
    (journal,) = swept.glob(".pytest_cache/d/hypersearch/*-test_net/0002/journal.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    starts = [record for record in records if record["k"] == "start"]
    assert all(record["item"].startswith("test_it.py::test_net[") for record in starts)
    assert [record["started"] for record in starts] == sorted(r["started"] for r in starts)
