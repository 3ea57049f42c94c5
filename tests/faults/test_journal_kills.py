import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from journal_writer import NODEID, record

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.store.journal import Journal, read
from pytest_hypersearch.store.runs import RunInUse, Store

SCRIPT = Path(__file__).with_name("journal_writer.py")


@contextmanager
def started(*arguments):
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def tell(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def numbered(*numbers):
    return [{"k": "end", "number": number} for number in numbers]


@pytest.fixture
def no_fsync(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def whole(tmp_path):
    """A journal's bytes and its records."""
    records = [
        {"k": "run", "format": 1, "nodeid": NODEID},
        *(
            {"k": "end", "number": number, "score": number / 7, "params": {"act": "relu"}}
            for number in range(12)
        ),
    ]
    Journal(tmp_path / "whole.jsonl").append_many(records)
    return (tmp_path / "whole.jsonl").read_bytes(), records


@pytest.mark.parametrize("seed", range(2))
def test_nothing_acknowledged_is_lost_when_writers_are_killed(tmp_path, seed):
    path = tmp_path / "journal.jsonl"
    answer = subprocess.run(
        [sys.executable, SCRIPT, "kills", path, "200", str(seed)],
        stdout=subprocess.PIPE,
        check=True,
    )
    acknowledged = set(map(int, answer.stdout.split()))
    contents = read(path)
    found = [entry["number"] for entry in contents.records]
    assert len(acknowledged) > 100  # as many by those alone that tear a line
    assert acknowledged <= set(found)
    assert found == sorted(set(found))
    assert contents.records == [record(number) for number in found]
    assert 50 <= contents.damaged <= 200


def test_a_journal_can_be_read_while_it_is_written(tmp_path):
    with started("until_told", tmp_path) as writer:
        acknowledged = -1
        for _ in range(50):
            for _ in range(20):
                acknowledged = int(writer.stdout.readline())
            contents = read(Store(tmp_path).runs(NODEID)[-1].journal.path)
            numbers = [entry["number"] for entry in contents.records]
            assert len(numbers) > acknowledged
            assert numbers == list(range(len(numbers)))
            assert contents.damaged <= 1
        writer.stdin.close()
        writer.stdout.read()


@pytest.mark.usefixtures("no_fsync")
def test_a_journal_cut_at_any_byte_keeps_what_was_whole_and_takes_the_next_record(tmp_path, whole):
    data, records = whole
    lines = data.splitlines()
    path = tmp_path / "journal.jsonl"
    new = {"k": "end", "number": 99}
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        left = data[:cut].splitlines()
        intact = sum(line == before for line, before in zip(left, lines, strict=False))
        assert read(path).records == records[:intact]
        journal = Journal(path)
        journal.append(new)
        journal.close()
        contents = read(path)
        assert contents.records == [*records[:intact], new]
        assert contents.damaged == len(left) - intact


def test_a_flipped_bit_never_changes_a_value_unseen(tmp_path, whole):
    data, records = whole
    path = tmp_path / "journal.jsonl"
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position * 5 % 8
        path.write_bytes(flipped)
        contents = read(path)
        rest = iter(records)
        assert all(entry in rest for entry in contents.records)
        assert len(contents.records) >= len(records) - 2
        assert contents.damaged or contents.records == records


@pytest.mark.usefixtures("no_fsync")
def test_garbage_anywhere_costs_at_most_the_line_that_it_hits(tmp_path, whole):
    data, records = whole
    path = tmp_path / "journal.jsonl"
    new = {"k": "end", "number": 99}
    dice = random.Random(7)
    for _ in range(300):
        place = dice.randrange(len(data) + 1)
        garbage = dice.choice(
            [
                dice.randbytes(dice.randrange(1, 2000)),
                b"\0" * dice.randrange(1, 2000),
                b"\n" * dice.randrange(1, 9),
                b"[" * dice.randrange(1, 400_000),
                data[: dice.randrange(1, len(data))],
            ]
        )
        path.write_bytes(data[:place] + garbage + data[place:])
        journal = Journal(path)
        journal.append(new)
        journal.close()
        found = read(path).records
        assert found.pop() == new
        assert all(entry in records for entry in found)
        missing = [entry for entry in records if entry not in found]
        assert len(missing) <= 1


def fill(process):
    """Read acknowledgements up to the error; return both."""
    acknowledged = []
    for line in process.stdout:
        if line.startswith("error "):
            return acknowledged, line[6:-1]
        acknowledged.append(int(line))
    pytest.fail("the writer ended without an error")


def test_a_file_size_limit_loses_nothing_and_can_be_lifted(tmp_path):
    path = tmp_path / "journal.jsonl"
    with started("limited", path, 300_000) as writer:
        acknowledged, error = fill(writer)
        assert error == f"cannot write {path}: File too large"
        assert (read(path).records, read(path).damaged) == (list(map(record, acknowledged)), 0)
        tell(writer)
        acknowledged.append(int(writer.stdout.readline()))
        assert writer.wait(30) == 0
    assert (read(path).records, read(path).damaged) == (list(map(record, acknowledged)), 0)


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount, "-t", "tmpfs", "-o", "size=400k", "none", disk]
    if os.getuid() != 0 or not mount:
        pytest.skip("a small disk needs root to be mounted")
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this system does not allow to mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_loses_nothing_and_can_be_cleared(small_disk):
    path = small_disk / "study" / "journal.jsonl"
    ballast = [small_disk / "ballast-0", small_disk / "ballast-1"]
    for file in ballast:
        file.write_bytes(b"x" * 120_000)
    with started("until_full", path, 2) as writer:
        acknowledged = []
        for file in ballast:
            more, error = fill(writer)
            acknowledged += more
            assert error == f"cannot write {path}: No space left on device"
            assert (read(path).records, read(path).damaged) == (list(map(record, acknowledged)), 0)
            file.unlink()
            tell(writer)
        acknowledged.append(int(writer.stdout.readline()))
        assert writer.wait(30) == 0
    assert (read(path).records, read(path).damaged) == (list(map(record, acknowledged)), 0)


def test_a_file_lost_on_a_full_disk_comes_back_when_there_is_room(small_disk):
    path = small_disk / "study" / "journal.jsonl"
    journal = Journal(path)
    records = [record(number) for number in range(1, 9)]
    journal.append_many(records)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (400 * 1024 - path.stat().st_size - 50_000))
    path.unlink()
    for _ in range(3):
        with pytest.raises(StoreError, match="No space left on device"):
            journal.append(record(9))
    ballast.unlink()
    journal.append(record(9))
    journal.close()
    assert (read(path).records, read(path).damaged) == ([*records, record(9)], 0)


@pytest.mark.parametrize("how", ["deleted", "moved", "taken"])
def test_deleting_the_store_again_and_again_loses_nothing(tmp_path, how):
    root = tmp_path / "cache" / "hypersearch"
    dice = random.Random(how)
    strangers = []
    with started("until_told", root) as writer:
        acknowledged = []
        for turn in range(40):
            acknowledged += [int(writer.stdout.readline()) for _ in range(dice.randrange(60))]
            if how == "moved":
                with suppress(FileNotFoundError):
                    root.parent.rename(tmp_path / f"elsewhere-{turn}")
            else:
                shutil.rmtree(root.parent, ignore_errors=True)
            if how == "taken":
                stranger = Store(root).new_run(NODEID)
                stranger.journal.append_many([{"k": "note", "turn": turn}])
                strangers.append(stranger)
        writer.stdin.close()
        *rest, place = writer.stdout.read().split()
        assert writer.wait(30) == 0
    numbers = [*acknowledged, *map(int, rest)]
    for name, kind in (("journal.jsonl", "end"), ("curves.jsonl", "step")):
        contents = read(Path(place) / name)
        assert contents.records == [{"k": kind, "number": number} for number in numbers]
        assert contents.damaged == 0
    for turn, stranger in enumerate(strangers):
        stranger.close()
        assert read(stranger.journal.path).records == [{"k": "note", "turn": turn}]


def test_processes_that_make_runs_at_once_get_different_ones(tmp_path):
    with (
        started("many_runs", tmp_path, 20) as one,
        started("many_runs", tmp_path, 20) as two,
        started("many_runs", tmp_path, 20) as three,
    ):
        processes = [one, two, three]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            tell(process)
        paths = [process.stdout.readline().strip() for process in processes for _ in range(20)]
        Store(tmp_path).prune(NODEID, 1)
    assert max(Counter(paths).values()) == 1
    for path in paths:
        assert read(Path(path) / "journal.jsonl").records == [{"k": "run", "path": path}]


def test_a_live_run_is_refused_and_free_once_its_owner_is_killed(tmp_path):
    with started("hold", tmp_path) as holder:
        child = int(holder.stdout.readline())
        run = Store(tmp_path).runs(NODEID)[-1]
        with pytest.raises(RunInUse, match=f"^{run.path} is in use by another pytest session$"):
            run.acquire()
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(RunInUse):
            run.acquire()
        holder.kill()
        holder.wait()
        try:
            run.acquire()
        finally:
            os.kill(child, signal.SIGKILL)
    run.journal.append_many(numbered(1))
    run.close()
    assert read(run.journal.path).records == numbered(0, 1)


def test_of_two_that_resume_a_run_at_once_one_gets_it(tmp_path):
    run = Store(tmp_path).new_run(NODEID)
    run.journal.append_many(numbered(0))
    run.close()
    with started("resume", tmp_path) as one, started("resume", tmp_path) as two:
        for process in (one, two):
            assert process.stdout.readline() == "ready\n"
        for process in (one, two):
            tell(process)
        answers = sorted(process.stdout.readline().strip() for process in (one, two))
    assert answers == [f"{run.path} is in use by another pytest session", "mine"]
