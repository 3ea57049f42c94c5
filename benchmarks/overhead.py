"""What a sweep costs beside bare ``parametrize``: CPU time and memory for each trivial item.

    python benchmarks/overhead.py [--items 1000 10000] [--repeats 3]

Every figure is of a whole pytest process in an empty directory: user and system CPU seconds with
its workers', and the peak memory of the largest process. Commands are run in turn, and the least
CPU time of the repeats counts: it is the one that other processes disturbed least. Modules are
compiled once before that, as where packages are installed, whatever ``PYTHONDONTWRITEBYTECODE`` is.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BARE = """
import pytest

@pytest.mark.parametrize("a,b,c", [
    pytest.param(a / 100, b, 1, id=f"a:{{a / 100:g}}-b:{{b}}-c:1")
    for a in range({side}) for b in range({other})
])
def test_trivial(a, b, c):
    pass
"""
GRID = """
import pytest

@pytest.mark.sweep(grid={{"a": [a / 100 for a in range({side})], "b": range({other}), "c": [1]}})
def test_trivial(a, b, c):
    return a
"""
RANDOM = """
import pytest
from pytest_hypersearch import uniform

SPACE = {{"a": uniform(0, 1), "b": uniform(0, 1), "c": uniform(0, 1)}}

@pytest.mark.sweep(random=SPACE, n_trials={items})
def test_trivial(a, b, c):
    return a
"""
WITHOUT = ("-p", "no:hypersearch")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its children used."""

    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class Case:
    """A pytest command: its name in the table, its test file and its arguments."""

    name: str
    source: str
    arguments: tuple[str, ...] = ()


def cases(workers: tuple[str, ...]) -> list[Case]:
    """The commands to compare, the first being the measure of the others."""
    return [
        Case("bare parametrize, without the plugin", BARE, (*WITHOUT, *workers)),
        Case("bare parametrize, with the plugin", BARE, workers),
        Case("grid", GRID, ("--sweep", *workers)),
        Case("grid, replayed", GRID, ("--sweep", "--sweep-resume", *workers)),
        Case("random", RANDOM, ("--sweep", *workers)),
        Case("random, replayed", RANDOM, ("--sweep", "--sweep-resume", *workers)),
    ]


def run(command: list[str], folder: Path) -> Usage:
    """Run a command to its end; the kernel's accounting tells what it used."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder.parent / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def pytest_command(*arguments: str) -> list[str]:
    """A quiet pytest without the plugins that happen to be installed beside ours."""
    others = ("anyio", "asyncio", "timeout", "rerunfailures", "randomly")
    return [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:randomly"),
        *(part for name in others for part in ("-p", f"no:{name}")),
        *arguments,
    ]


def project(folder: Path, case: Case, items: int) -> Path:
    """A folder with the case's test file."""
    folder.mkdir(exist_ok=True)
    side = round(items**0.5)
    source = case.source.format(items=items, side=side, other=items // side)
    (folder / "test_trivial.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


def compare(items: int, workers: tuple[str, ...], repeats: int) -> None:
    """Print a table row for each case."""
    best: dict[str, Usage] = {}
    with tempfile.TemporaryDirectory() as name:
        for case in cases(workers):
            run(pytest_command(*case.arguments), project(Path(name) / "few", case, 4))
        for _ in range(repeats):
            for case in cases(workers):
                # A replay finds the run that the case before it left in the same folder.
                folder = project(Path(name) / case.name.removesuffix(", replayed"), case, items)
                usage = run(pytest_command(*case.arguments), folder)
                known = best.get(case.name)
                best[case.name] = usage if known is None or usage.cpu < known.cpu else known
    measure = best[cases(workers)[0].name]
    print(f"\n{items} items, {'pytest ' + ' '.join(workers) if workers else 'plain pytest'}")
    print(f"{'':38}{'CPU s':>8}{'ms/item':>9}{'ratio':>7}{'MiB':>7}{'KiB/item':>10}")
    for name, usage in best.items():
        extra = (usage.memory - measure.memory) * 1024 / items
        print(
            f"{name:38}{usage.cpu:8.2f}{usage.cpu / items * 1000:9.3f}"
            f"{usage.cpu / measure.cpu:7.2f}{usage.memory:7.0f}{extra:+10.1f}"
        )


def start_up(repeats: int) -> None:
    """Print what the plugin costs a session that runs no sweep."""
    rows = {
        "one test, without the plugin": ("def test_one(): pass\n", WITHOUT),
        "one test, with the plugin": ("def test_one(): pass\n", ()),
        "10,000-trial grid, without --sweep": (GRID.format(side=100, other=100), ()),
        "10,000-trial grid, --collect-only": (
            GRID.format(side=100, other=100),
            ("--sweep", "--collect-only"),
        ),
        "10,000 items, --collect-only, bare": (
            BARE.format(side=100, other=100),
            ("--collect-only", *WITHOUT),
        ),
    }
    best = dict.fromkeys(rows, float("inf"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "one"
        folder.mkdir()
        (folder / "pytest.ini").write_text("[pytest]\n")
        for _ in range(repeats * 5):
            for label, (source, arguments) in rows.items():
                (folder / "test_one.py").write_text(source)
                best[label] = min(best[label], run(pytest_command(*arguments), folder).cpu)
    print(f"\n{'start-up and collection':38}{'CPU ms':>8}")
    for label, cpu in best.items():
        print(f"{label:38}{cpu * 1000:8.0f}")


def main() -> None:
    """Measure and print everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    for items in options.items:
        for workers in ((), ("-n", "2")):
            compare(items, workers, options.repeats)
    start_up(options.repeats)


if __name__ == "__main__":
    main()
