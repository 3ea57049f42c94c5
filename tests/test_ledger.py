"""Who gets what of a machine: within a session, between sessions, after deaths."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.sweep import Demand
from pytest_hypersearch.engine.resources.ledger import Ledger
from pytest_hypersearch.engine.resources.machine import Gpu, Machine

CLIENT = Path(__file__).parent / "faults" / "ledger_client.py"
BOTH = ("a", "b")
MACHINE = Machine((0, 1, 2, 3), (Gpu("0", "a"), Gpu("1", "b")), 100)
ELSEWHERE = Machine((4, 5), MACHINE.gpus, 100)


@pytest.fixture
def open_ledger(tmp_path):
    ledgers = []

    def make(machine=MACHINE):
        ledgers.append(Ledger(machine, tmp_path / "machine"))
        return ledgers[-1]

    yield make
    for ledger in ledgers:
        ledger.close()


def cpus(number):
    return Demand(cpus=number)


def test_what_fits_is_given_and_what_does_not_waits(open_ledger):
    one = open_ledger()
    assert one.take("w0", cpus(3)) == ()
    assert one.take("w1", cpus(2)) is None
    assert one.take("w2", Demand(memory=100)) == ()
    assert one.take("w3", Demand(memory=1)) is None
    one.free("w0")
    assert one.take("w1", cpus(2)) == ()
    one.free("w2")
    assert one.take("w3", Demand(memory=1)) == ()


def test_all_of_a_demand_or_nothing(open_ledger):
    one = open_ledger()
    one.take("w0", cpus(4))
    assert one.take("w1", Demand(cpus=1, gpus=1), BOTH) is None
    assert one.take("w2", Demand(gpus=1), BOTH) == ("b",), "the first keeps its place, not more"
    one.free("w0")
    assert one.take("w1", Demand(cpus=1, gpus=1), BOTH) == ("a",)


def test_first_come_first_served_so_that_much_is_not_starved_by_little(open_ledger):
    one = open_ledger()
    one.take("w0", cpus(2))
    assert one.take("w1", cpus(4)) is None
    assert one.take("w2", cpus(1)) is None
    one.free("w0")
    assert one.take("w2", cpus(1)) is None
    assert one.take("w1", cpus(4)) == ()
    one.free("w1")
    assert one.take("w2", cpus(1)) == ()


def test_who_leaves_the_line_keeps_nobody_waiting(open_ledger):
    one = open_ledger()
    one.take("w0", cpus(2))
    one.take("w1", cpus(4))
    one.free("w1")
    assert one.take("w2", cpus(2)) == ()


def test_fractions_share_the_device_that_is_used_least(open_ledger):
    one = open_ledger()
    given = [one.take(f"w{n}", Demand(gpus=0.5), BOTH) for n in range(5)]
    assert given == [("a",), ("b",), ("a",), ("b",), None]
    one.free("w1")
    assert one.take("w4", Demand(gpus=0.5), BOTH) == ("b",)


def test_thirds_make_a_whole(open_ledger):
    one = open_ledger()
    third = Demand(gpus=1 / 3)
    assert [one.take(f"w{n}", third, ("a",)) for n in range(4)] == [("a",)] * 3 + [None]


def test_a_whole_device_is_kept_for_who_waits_for_it(open_ledger):
    one = open_ledger()
    half = Demand(gpus=0.5)
    one.take("w0", half, BOTH)
    one.take("w1", half, BOTH)
    assert one.take("w2", Demand(gpus=1), BOTH) is None
    assert one.take("w3", half, BOTH) == ("b",), "the first device is kept for w2"
    assert one.take("w4", half, BOTH) is None
    one.free("w0")
    assert one.take("w2", Demand(gpus=1), BOTH) == ("a",)


def test_only_devices_that_it_may_have(open_ledger):
    one = open_ledger()
    assert one.take("w0", Demand(gpus=1), ("b",)) == ("b",)
    assert one.take("w1", Demand(gpus=1), ("b",)) is None
    assert one.take("w2", Demand(gpus=1), BOTH) == ("a",)


def test_sessions_at_once_share_the_machine_unless_bound_to_other_cores(open_ledger):
    one, two, three = open_ledger(), open_ledger(), open_ledger(ELSEWHERE)
    one.take("w0", Demand(cpus=3, gpus=2), BOTH)
    assert two.take("w0", cpus(2)) is None
    assert three.take("w0", cpus(2)) == ()
    assert three.take("w1", Demand(gpus=1), BOTH) is None, "devices are no session's own"
    one.free("w0")
    assert two.take("w0", cpus(2)) == ()
    assert three.take("w1", Demand(gpus=1), BOTH) == ("a",)


def test_a_session_that_ends_gives_everything_back(open_ledger, tmp_path):
    one, two = Ledger(MACHINE, tmp_path / "machine"), open_ledger()
    one.take("w0", cpus(2))
    one.take("w1", cpus(4))
    assert two.take("w0", cpus(3)) is None
    one.close()
    assert two.take("w0", cpus(3)) == ()


def start(directory, file, seed, times):
    command = [sys.executable, CLIENT, directory, file, str(seed), str(times)]
    return subprocess.Popen(list(map(str, command)))


def test_eight_processes_never_take_too_much_and_all_come_to_an_end(tmp_path, open_ledger):
    file, times = tmp_path / "held", 8
    processes = [start(tmp_path / "machine", file, seed, times) for seed in range(8)]
    codes = [process.wait(timeout=300) for process in processes]
    assert set(codes) == {0, -9}, "some have died holding a share"
    rows = [line.split() for line in file.read_text().splitlines()]
    assert len(rows) == 8 * times
    for moment in (float(row[0]) for row in rows):
        held = [row for row in rows if float(row[0]) <= moment <= float(row[1])]
        assert sum(int(row[2]) for row in held) <= 4
        assert sum(int(row[4]) for row in held) <= 100
        for device in "01":
            assert sum(float(row[3]) for row in held if device in row[5:]) <= 1
    assert open_ledger().take("w0", Demand(4, 2, 100), BOTH) == BOTH, "the dead hold nothing"


def test_a_directory_that_others_may_write_is_refused(tmp_path):
    directory = tmp_path / "machine"
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    with pytest.raises(StoreError, match="accessible to other users"):
        Ledger(MACHINE, directory)
    directory.rmdir()
    directory.symlink_to(tmp_path)
    with pytest.raises(StoreError, match="accessible to other users"):
        Ledger(MACHINE, directory)


@pytest.mark.skipif(os.getuid() != 0, reason="gives a directory away")
def test_a_directory_of_somebody_else_is_refused(tmp_path):
    directory = tmp_path / "machine"
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, -1)
    with pytest.raises(StoreError, match="expected your own"):
        Ledger(MACHINE, directory)


def test_a_damaged_file_is_named(open_ledger, tmp_path):
    one = open_ledger()
    file = tmp_path / "machine" / "claims-1.json"
    file.write_text("{")
    with pytest.raises(StoreError, match=r"claims-1\.json"):
        one.take("w0", cpus(1))
    file.unlink()
