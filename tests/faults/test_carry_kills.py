"""Sessions that begin a new run with trials of an older one, killed or out of space on the way."""

import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import main

WORKERS = pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "n1"])


DIES = """
import os, signal, sys

left = [int(os.environ["DIE_AT"])]

def watch(event, args):
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.truncate", "os.rmdir"):
        if args and "hypersearch" in str(args[0]) and ".pytest_cache" in str(args[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
"""


def contents(run):
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@WORKERS
def test_a_session_that_dies_while_it_carries_trials_over_loses_and_doubles_none(
    project, monkeypatch, tmp_path_factory, workers
):
    """Killed at calls of the system that touch the store; between two of them nothing changes."""
    source = """
@pytest.mark.sweep(grid={"x": list(range(30))}, keep="all"MODE)
def test_f(x, trial):
    ran(x)
    (trial.path / "x").write_text(str(x))
    return x
"""
    project.write(source.replace("MODE", ""))
    assert project.run()[0] == 0
    before = contents(project.journals[0].parent)
    project.write(source.replace("MODE", ", mode='max'"))
    project.forget()
    kept = tmp_path_factory.mktemp("kept") / "cache"
    shutil.copytree(project.path / ".pytest_cache", kept, symlinks=True)
    moments = random.Random(len(workers)).sample(range(1, 40), 2 if workers else 4)
    died = 0
    for moment in moments:
        shutil.rmtree(project.path / ".pytest_cache")
        shutil.copytree(kept, project.path / ".pytest_cache", symlinks=True)
        (project.path / "conftest.py").write_text(DIES)
        monkeypatch.setenv("DIE_AT", str(moment))
        died += project.spawn("--sweep-resume", *workers)[0] == -signal.SIGKILL
        (project.path / "conftest.py").unlink()
        assert contents(project.journals[0].parent) == before
        code, output = project.run("--sweep-resume")
        assert code == 0, output
        assert not project.ran
        (study,) = load_results(project.path).studies
        assert Counter(trial.params["x"] for trial in study.trials) == Counter(range(30))
        assert study.sweeps[0].mode == "max"
        assert {trial.directory.partition("/")[0] for trial in study.trials} == {"0001"}
        assert contents(project.journals[0].parent) == before
    assert died


MERGES = """
from pytest_hypersearch.results.cli import main
raise SystemExit(main(["merge", "shard-1", "shard-2", "--into", "merged"]))
"""


def test_a_merge_that_dies_is_done_by_the_next_one(project, monkeypatch):
    monkeypatch.chdir(project.path)
    project.write("""
@pytest.mark.sweep(grid={"x": list(range(8))}, keep="all")
def test_f(x, trial):
    (trial.path / "x").write_text(str(x))
    trial.report(x)
    return x
""")
    for shard in (1, 2):
        project.here(f"--sweep-shard={shard}/2", "-o", f"cache_dir=shard-{shard}")
    before = [contents(project.path / f"shard-{shard}") for shard in (1, 2)]
    died = 0
    for moment in random.Random(3).sample(range(1, 40), 3):
        shutil.rmtree("merged", ignore_errors=True)
        monkeypatch.setenv("DIE_AT", str(moment))
        script = DIES.replace('".pytest_cache" in', '"merged" in') + MERGES
        died += subprocess.run([sys.executable, "-c", script], check=False).returncode < 0
        for _ in range(2):
            assert main(["merge", "shard-1", "shard-2", "--into", "merged"]) == 0
        (study,) = load_results("merged", run="all").studies
        assert Counter(trial.number for trial in study.trials) == Counter(range(8))
        (best,) = load_results("merged").best()
        assert (best.path / "x").read_text() == "0"
        (published,) = project.path.glob("merged/**/best/r0/x")
        assert published.read_text() == "0"
        assert len(load_results("merged").curves()) == 8
    assert died
    assert [contents(project.path / f"shard-{shard}") for shard in (1, 2)] == before


def fill(path):
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"0" * 512)


def test_a_disk_without_room_for_the_new_run_leaves_the_old_one(project, small_disk):
    source = """
@pytest.mark.sweep(grid={"x": list(range(30))}MODE)
def test_f(x):
    ran(x)
    return x
"""
    cache = ("-o", "cache_dir=disk/cache", "-p", "no:stepwise")
    project.write(source.replace("MODE", ""))
    assert project.spawn(*cache)[0] == 0
    (run,) = small_disk.glob("cache/d/hypersearch/*/0001")
    before = contents(run)
    project.write(source.replace("MODE", ", mode='max'"))
    fill(small_disk / "ballast")
    code, output = project.spawn("--sweep-resume", *cache)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert output.count("No space left on device") == 1
    assert "Traceback" not in output
    assert contents(run) == before
    (small_disk / "ballast").unlink()
    assert project.spawn("--sweep-resume", *cache)[0] == 0
    assert project.ran.total() == 30
    assert Counter(trial.number for trial in load_results(small_disk / "cache")) == Counter(
        range(30)
    )
    assert contents(run) == before
