"""How evenly trials of very different lengths spread over workers.

    python benchmarks/balance.py [--trials 64] [--workers 8] [--seeds 5] [--scale 0.5]

Each trial sleeps, so cores do not matter; lengths are uniform from next to nothing to the longest,
or lognormal (sigma 1), a few being many times as long as most; in random order, known to nobody.
The ideal time is max(longest trial, sum of lengths / workers): no schedule is shorter. As ratios to
it are shown, for a first run and for a second one with --sweep-rerun, which knows the lengths:

- queue: what a perfect queue takes, computed. A worker that is free takes the next trial at no
  cost: the next in order, which is about what one that knows no lengths can hope for, or the
  longest.
- trials: measured by the clock in the trials, from the first one's start to the last one's end.
- command: the whole command, with the start of pytest and its workers and their collection.
"""

from __future__ import annotations

import argparse
import heapq
import os
import platform
import random
import subprocess
import tempfile
import time
from pathlib import Path

from overhead import pytest_command

SOURCE = """
import os, time
import pytest

@pytest.mark.sweep(grid={{"length": {lengths}}})
def test_sleep(length):
    start = time.monotonic()
    time.sleep(length)
    line = f"{{start}} {{time.monotonic()}}\\n"
    file = os.open("ran", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)
    return length
"""


def lengths(kind: str, count: int, seed: int, scale: float) -> list[float]:
    """Seconds that the trials sleep."""
    luck = random.Random(seed)
    draw = {
        "uniform": lambda: luck.uniform(0.02, 2),
        "lognormal": lambda: luck.lognormvariate(0, 1),
    }
    return [scale * draw[kind]() for _ in range(count)]


def queued(times: list[float], workers: int) -> float:
    """How long a perfect queue takes for the trials in this order."""
    free = [0.0] * workers
    for length in times:
        heapq.heappush(free, heapq.heappop(free) + length)
    return max(free)


def run(folder: Path, option: str, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds from the first trial's start to the last one's end, and of the whole command."""
    command = pytest_command(option, "-n", str(options.workers))
    start = time.monotonic()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - start
    ran = folder / "ran"
    rows = [[*map(float, line.split())] for line in ran.read_text().splitlines()]
    ran.unlink()
    if len(rows) != options.trials:
        raise SystemExit(f"{len(rows)} of {options.trials} trials ran")
    return max(row[1] for row in rows) - min(row[0] for row in rows), whole


def measure(times: list[float], options: argparse.Namespace) -> list[tuple[float, float]]:
    """What a first run takes, and a second one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_sleep.py").write_text(SOURCE.format(lengths=times))
        (folder / "pytest.ini").write_text("[pytest]\n")
        return [run(folder, option, options) for option in ("--sweep=run", "--sweep-rerun")]


def compare(kind: str, options: argparse.Namespace) -> None:
    """Print a row for each seed."""
    head = f"{'queue':>8}{'trials':>8}{'command':>9}"
    print(f"\n{kind:10}{'longest':>9}{'ideal s':>9}{head}{head}, lengths known")
    for seed in range(options.seeds):
        times = lengths(kind, options.trials, seed, options.scale)
        ideal = max(*times, sum(times) / options.workers)
        print(f"{seed:10}{max(times):9.2f}{ideal:9.2f}", end="", flush=True)
        orders = times, sorted(times, reverse=True)
        for order, (spent, whole) in zip(orders, measure(times, options), strict=True):
            best = queued(order, options.workers)
            print(f"{best / ideal:8.2f}{spent / ideal:8.2f}{whole / ideal:9.2f}", end="")
        print(flush=True)


def main() -> None:
    """Measure and print everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=0.5)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    for kind in ("uniform", "lognormal"):
        compare(kind, options)


if __name__ == "__main__":
    main()
