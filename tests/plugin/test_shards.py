"""Sweeps that several jobs divide, and the run that is made of theirs."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.plugin.shard import dealt
from pytest_hypersearch.results.cli import main
from pytest_hypersearch.store.annotations import annotate
from pytest_hypersearch.store.journal import encode, read
from pytest_hypersearch.store.runs import Run

SOURCE = """
from pytest_hypersearch import uniform

def value(trial, *numbers):
    ran(trial.number, trial.replicate)
    trial.report(sum(numbers), step=0)
    (trial.path / "model").write_text(repr(trial.params))
    return sum(numbers) + trial.replicate / 10

@pytest.mark.sweep(grid={"x": [3, 1, 2], "y": [1, 2]}, replicates=2, keep="all")
@pytest.mark.sweep(random={"x": [1, 2, 3, 4], "y": [1, 2, 3, 4]}, n_trials=7, keep="all")
def test_both(x, y, trial):
    return value(trial, x, y)

@pytest.mark.sweep(bayes={"x": uniform(0, 1)}, n_trials=3, parallel=1, keep="all")
def test_bayes(x, trial):
    return value(trial, x)

@pytest.mark.sweep(grid={"x": [1]}, replicates=5, gate={"score": "<= 2"})
def test_seeds(x, trial):
    assert trial.replicate != 3
    return value(trial, x)

def test_best(sweeps):
    assert sweeps.best("test_bayes").score < 1
    assert len(sweeps.results("test_both")) == 19
"""


def known(trial):
    return (
        *(trial.nodeid, trial.sweep, trial.number, trial.replicate, trial.seed, trial.state),
        *(json.dumps(trial.params), trial.score),
    )


def share(project, shard, *args, shards=4):
    return project.here(f"--sweep-shard={shard}/{shards}", "-o", f"cache_dir=shard-{shard}", *args)


@pytest.mark.parametrize(
    ("workers", "shards"), [((), (1, 2, 3, 4)), (("-n2",), (1, 2))], ids=["plain", "n2"]
)
def test_what_is_merged_is_what_one_session_would_have_run(
    project, monkeypatch, capsys, workers, shards
):
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("COLUMNS", "200")
    project.write(SOURCE)
    project.here("-o", "cache_dir=whole")
    whole = load_results("whole")
    project.forget()
    outputs = [share(project, shard, *workers, shards=len(shards)).stdout.str() for shard in shards]
    assert project.ran.total() == len(whole) - 1  # the failing one fails before it is counted
    parts = [load_results(f"shard-{shard}") for shard in shards]
    assert {len(part) for part in parts} <= ({6, 7} if len(shards) == 4 else {13, 14})
    assert all("random" in {trial.sweep for trial in part} for part in parts)
    assert sum({"bayes"} <= {trial.sweep for trial in part} for part in parts) == 1
    assert all("note: partial: shard " in output for output in outputs)
    assert any("gates wait for pytest-hypersearch merge" in output for output in outputs)
    study = parts[0].studies[-1]
    tagged = study.trials[0]
    annotate(Run(Path(study.run)), [tagged.key], add=["good"])
    annotate(Run(Path(study.run)), [None], note="night")
    capsys.readouterr()
    assert main(["merge", *(f"shard-{shard}" for shard in shards), "--into", "merged"]) == 0
    text = f"test_it.py::test_both: 19 of 19 trials from {len(shards)} runs"
    assert text in capsys.readouterr().out
    merged = load_results("merged")
    assert sorted(map(known, merged)) == sorted(map(known, whole))
    assert merged.notes == whole.notes == ()
    assert [t.nodeid for t in merged.filter(tags="good")] == [tagged.nodeid]
    assert len(merged.filter(run_note="night")) == len(merged.studies[-1].trials)
    assert [len(study.trials) for study in merged.studies] == [3, 19, 5]
    assert {(known(each.trial), each.values) for each in merged.curves()} == {
        (known(each.trial), each.values) for each in whole.curves()
    }
    for side in (merged, whole):
        best = side.filter(test="test_both").best()[0]
        assert {r: (path / "model").read_text() for r, path in best.paths.items()} == dict.fromkeys(
            best.paths, "{'x': 1, 'y': 1}"
        )
    facts = [
        json.loads(next((project.path / name).rglob("*test_both/best/params.json")).read_text())
        for name in ("merged", "whole")
    ]
    assert facts[0] == facts[1]
    assert main(["compare", "whole", "merged"]) in {0, 3}
    assert "REGRESSED" not in capsys.readouterr().out
    for command in (["list"], ["show"], ["export", "--to", "csv", "-"]):
        assert main([*command, "merged"]) == 0
    project.forget()
    result = project.here("--sweep-resume", "-o", "cache_dir=merged")
    assert result.parseoutcomes() == {"cached": 26, "failed": 1, "passed": 2}
    assert not project.ran


def test_a_test_within_a_shard_is_told_that_it_judges_a_part(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]})
def test_f(x):
    return x

@pytest.mark.sweep(grid={"x": [1]})
def test_g(x):
    return x

def test_f_is_good(sweeps):
    assert sweeps.best("test_f").score <= 4

def test_g_is_good(sweeps):
    assert sweeps.best("test_g").score == 1
""")
    outputs = [share(project, shard, "-v", "-rs", shards=2) for shard in (1, 2)]
    for result in outputs:
        result.stdout.fnmatch_lines(
            "*test_f_is_good PASSED (test_it.py::test_f: partial: shard ?/2, 2 of 4 trials *"
        )
    counts = sum((Counter(result.parseoutcomes()) for result in outputs), Counter())
    assert counts["skipped"] == 1
    texts = [result.stdout.str() for result in outputs]
    assert any("test_it.py::test_g: runs in another shard" in text for text in texts)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--sweep-shard=5/4"], "*--sweep-shard: '5/4': expected I/N such as 2/4, with I from*"),
        (["--sweep-shard=0/4"], "*--sweep-shard: '0/4': expected I/N such as 2/4*"),
        (["--sweep-shard=x"], "*--sweep-shard: 'x': expected I/N such as 2/4*"),
        (["--sweep-shard=1/2", "--sweep=smoke"], "*--sweep-shard: requires --sweep"),
        (
            ["--sweep-shard=1/2", "--sweep-update-baseline=new"],
            "*--sweep-update-baseline: cannot be combined with --sweep-shard; update it from*",
        ),
    ],
)
def test_bad_shards_are_refused_in_one_line(project, args, message):
    project.write(SOURCE)
    result = project.here(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


PLAIN = """
from model import loss

@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]})
def test_f(x):
    return loss(x)
"""


def test_trials_that_depend_on_each_other_stay_together(project):
    project.write("""
from probe import ran

@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]}, prune="median")
def test_pruned(x, trial):
    return x

@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]}, replicates=3, race=True)
def test_raced(x, trial):
    return x

@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]}, stop={"trials": 4})
def test_stopped(x):
    return x

@pytest.mark.sweep(
    grid={"x": [1, 2, 3, 4]}, gate={"score": 1}, replicates={"at_least": 3, "at_most": 4}
)
def test_looks(x, trial):
    return x
""")
    lists = [
        project.here("--collect-only", "-q", f"--sweep-shard={shard}/3").outlines
        for shard in (1, 2, 3)
    ]
    for test in ("pruned", "raced", "stopped", "looks"):
        counts = [sum(f"test_{test}[" in line for line in lines) for lines in lists]
        assert sorted(counts)[:2] == [0, 0]
        assert max(counts) in {4, 12, 16}


def test_isolated_trials_run_in_their_shard(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2, 3]}, isolate=True)
def test_f(x):
    ran(x)
    return x
""")
    for shard in (1, 2):
        assert share(project, shard, shards=2).ret == 0
    assert project.ran == {"1": 1, "2": 1, "3": 1}


@pytest.fixture
def divided(project, monkeypatch):
    monkeypatch.chdir(project.path)
    (project.path / "model.py").write_text("def loss(x):\n    return x\n")
    project.write(PLAIN)
    return project


def merged(capsys, *shards, into="merged"):
    code = main(["merge", *(f"shard-{shard}" for shard in shards), "--into", into])
    printed = capsys.readouterr()
    return code, printed.err or printed.out


def test_missing_shards_are_named_and_what_there_is_can_be_completed(divided, capsys):
    for shard in (1, 2, 4):
        share(divided, shard)
    for _ in range(2):
        code, text = merged(capsys, 1, 2, 4)
        assert (code, "test_it.py::test_f: missing: 3/4" in text) == (1, True)
    assert load_results("merged").notes == ("only some trials of the plan were selected",)
    result = divided.here("--sweep-resume", "-o", "cache_dir=merged")
    assert result.parseoutcomes() == {"cached": 3, "passed": 1}


def test_runs_of_other_code_or_plan_are_not_merged(divided, capsys):
    share(divided, 1, shards=2)
    (divided.path / "model.py").write_text("def loss(x):\n    return x + 1\n")
    share(divided, 2, shards=2)
    code, text = merged(capsys, 1, 2)
    assert code == 2
    assert "did not run the same code: model.py changed" in text
    divided.write(PLAIN.replace("4]", "5]"))
    share(divided, 1, shards=2)
    code, text = merged(capsys, 1, 2)
    assert code == 2
    assert "have different sweeps: grid" in text
    share(divided, 2, shards=3)
    code, text = merged(capsys, 1, 2)
    assert (code, "are shards of 2 and of 3" in text) == (2, True)
    assert not (divided.path / "merged").exists()
    (journal,) = divided.path.glob("shard-2/d/hypersearch/*/0001/journal.jsonl")
    journal.write_text("damaged")
    code, text = merged(capsys, 1, 2)
    assert code == 2
    assert f"{journal.parent.relative_to(divided.path)}: expected a journal that begins" in text
    assert not (divided.path / "merged").exists()
    assert main(["merge", "nowhere", "--into", "merged"]) == 2
    assert main(["merge", ".", "--into", "merged"]) == 2


def test_a_trial_that_several_have_is_taken_from_where_it_got_furthest(
    divided, capsys, monkeypatch
):
    divided.write(
        PLAIN.replace("return loss(x)", "assert x < 3 or 'ok' in os.environ\n    return x")
    )
    divided.here("-o", "cache_dir=shard-1")
    divided.here("-o", "cache_dir=shard-2", "-k", "x:1 or x:3")
    monkeypatch.setenv("ok", "1")
    divided.here("-o", "cache_dir=shard-3", "-k", "x:3")
    assert merged(capsys, 1, 2, 3)[0] == 0
    states = {trial.params["x"]: str(trial.state) for trial in load_results("merged")}
    assert states == {1: "complete", 2: "complete", 3: "complete", 4: "failed"}


NIGHTLY = (
    PLAIN
    + """
@pytest.mark.sweep(grid={"x": [1]})
def test_one(x):
    return loss(x)

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_same(x):
    ran(x)
    return x
"""
)


def test_merged_runs_follow_each_other_in_a_cache_that_all_jobs_restore(divided, capsys):
    divided.write(NIGHTLY)
    for night in (1, 2):
        (divided.path / "model.py").write_text(f"def loss(x):\n    return x + {night}\n")
        for shard in (1, 2):
            if night == 2:
                shutil.rmtree(f"shard-{shard}")
                shutil.copytree(".pytest_cache", f"shard-{shard}", symlinks=True)
            share(divided, shard, "--sweep-resume", shards=2)
        for _ in range(2):
            code, text = merged(capsys, 1, 2, into=".pytest_cache")
            assert code == 0, text
        for test in ("test_f", "test_one"):
            assert load_results(test).best()[0].score == 1 + night
    assert divided.ran == {"1": 1, "2": 1}
    studies = Counter(study.nodeid for study in load_results(run="all").studies)
    assert studies == {
        "test_it.py::test_f": 2,
        "test_it.py::test_one": 2,
        "test_it.py::test_same": 1,
    }


def test_shares_are_balanced_by_how_long_trials_took_in_a_whole_run(project, monkeypatch):
    monkeypatch.chdir(project.path)
    source = """
@pytest.mark.sweep(grid={"x": [1, 2, 3, 4, 5, 6]})
def test_f(x):
    return ADDED
"""
    project.write(source.replace("ADDED", "x"))
    project.here("-o", "cache_dir=whole")
    (journal,) = project.path.glob("whole/**/journal.jsonl")
    records = read(journal).records
    for record in records:
        if record["k"] == "end":
            record["duration"] = 60.0 if record["number"] == 3 else 1.0
    journal.write_bytes(b"".join(encode(record) for record in records))
    project.write(source.replace("ADDED", "x + 1"))
    shares = []
    for shard in (1, 2):
        shutil.copytree("whole", f"shard-{shard}")
        share(project, shard, "--sweep-resume", shards=2)
        own = load_results(f"shard-{shard}", run=-1)
        shares.append({trial.params["x"] for trial in own})
    assert sorted(shares, key=len) == [{4}, {1, 2, 3, 5, 6}]


def test_units_are_dealt_evenly_and_alike():
    sizes = Counter({("t", "a", number, -1): 3 for number in range(10)})
    sizes[("t", "b", -1, -1)] = 12
    shards = dealt(sizes, 4)
    loads = Counter()
    for unit, shard in shards.items():
        loads[shard] += sizes[unit]
    assert sorted(loads.values()) == [9, 9, 12, 12]
    assert shards == dealt(Counter(dict(reversed(sizes.items()))), 4)
    assert set(dealt(sizes, 1).values()) == {1}
