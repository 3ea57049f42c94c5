"""What a machine has: cores, memory and the devices that a session may use."""

import os
import sys

import pytest

from pytest_hypersearch.core.sweep import Demand
from pytest_hypersearch.engine.resources.machine import Gpu, Machine, device_names, this_machine

UUIDS = ("GPU-aaaa", "GPU-bbbb", "GPU-cccc")
DRIVER = f"""
class NVMLError(Exception): pass
UUIDS = {UUIDS}
def nvmlInit(): pass
def nvmlShutdown(): pass
def nvmlDeviceGetCount(): return len(UUIDS)
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetUUID(handle): return UUIDS[handle]
"""


@pytest.fixture(autouse=True)
def _no_mask(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def three_gpus(monkeypatch, tmp_path):
    """Stands in for the driver's library, of which no test machine has the driver."""
    (tmp_path / "pynvml.py").write_text(DRIVER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    yield
    sys.modules.pop("pynvml", None)


def test_cores_and_memory_are_those_that_may_be_used():
    machine = this_machine()
    assert machine.cores == tuple(sorted(os.sched_getaffinity(0)))
    assert 2**26 < machine.memory <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_the_drivers_devices_go_by_their_uuids(three_gpus):
    assert this_machine().gpus == tuple(Gpu(uuid, uuid) for uuid in UUIDS)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("2,0", [Gpu("2", "GPU-cccc"), Gpu("0", "GPU-aaaa")]),
        ("GPU-bb", [Gpu("GPU-bb", "GPU-bbbb")]),
        ("", []),
        ("-1", []),
        ("1,-1,0", [Gpu("1", "GPU-bbbb")]),
        ("NoDevFiles", []),
    ],
)
def test_an_outer_mask_is_honoured(three_gpus, monkeypatch, mask, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
    assert list(this_machine().gpus) == expected


def test_named_devices_need_no_driver():
    named = ("0", "MIG-7f/1/2")
    assert this_machine(named).gpus == tuple(Gpu(name, name) for name in named)


def test_a_named_device_that_the_mask_hides_is_refused(three_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-bbbb,2")
    assert this_machine(("1",)).gpus == (Gpu("1", "GPU-bbbb"),)
    with pytest.raises(ValueError, match="0: expected a device of CUDA_VISIBLE_DEVICES=GPU-bbbb,2"):
        this_machine(("1", "0"))


def test_names_are_read_up_to_the_first_that_is_none():
    assert device_names(" 0, 1,0") == ("0", "1")
    assert device_names("0,x,1") == ("0",)
    assert device_names("MIG-GPU-8932/0/1") == ("MIG-GPU-8932/0/1",)


@pytest.mark.parametrize(
    ("demand", "lacking"),
    [
        (Demand(cpus=2, gpus=1, memory=100), ""),
        (Demand(cpus=3), "3 cpus; this machine has 2"),
        (Demand(gpus=2), "2 gpus; this machine has 1 (7)"),
        (Demand(memory=2**31), "2 GiB of memory; this machine has 1 GiB"),
    ],
)
def test_what_can_never_be_met_is_told(demand, lacking):
    machine = Machine((0, 1), (Gpu("7", "u"),), 2**30)
    assert machine.lacks(demand).startswith(lacking)
    assert bool(machine.lacks(demand)) is bool(lacking)
    nothing = Machine((0,), (), 1)
    assert "none that is known; --sweep-gpus=0,1" in nothing.lacks(Demand(gpus=0.5))
