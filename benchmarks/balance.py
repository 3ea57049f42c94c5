"""How evenly trials of very different lengths spread over workers.

    python benchmarks/balance.py [--trials 64] [--workers 8] [--seeds 5] [--scale 0.5]

Each trial sleeps, so cores do not matter; lengths are uniform from next to nothing to the longest,
or lognormal (sigma 1), a few being many times as long as most; in random order, known to nobody.
The ideal time is max(longest trial, sum of lengths / workers): no schedule is shorter. As ratios to
it are shown:

- queue: what a perfect queue takes, computed. A worker that is free takes the next trial at no
  cost, which is about what one that knows no lengths can hope for.
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


def measure(times: list[float], workers: int) -> tuple[float, float]:
    """Seconds from the first trial's start to the last one's end, and of the whole command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_sleep.py").write_text(SOURCE.format(lengths=times))
        (folder / "pytest.ini").write_text("[pytest]\n")
        command = pytest_command("--sweep=run", "-n", str(workers))
        start = time.monotonic()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - start
        rows = [[*map(float, line.split())] for line in (folder / "ran").read_text().splitlines()]
    if len(rows) != len(times):
        raise SystemExit(f"{len(rows)} of {len(times)} trials ran")
    return max(row[1] for row in rows) - min(row[0] for row in rows), whole


def compare(kind: str, options: argparse.Namespace) -> None:
    """Print a row for each seed."""
    print(f"\n{kind:10}{'longest':>9}{'ideal s':>9}{'queue':>7}{'trials':>8}{'command':>9}")
    for seed in range(options.seeds):
        times = lengths(kind, options.trials, seed, options.scale)
        ideal = max(*times, sum(times) / options.workers)
        spent, whole = measure(times, options.workers)
        best = queued(times, options.workers)
        print(
            f"{seed:10}{max(times):9.2f}{ideal:9.2f}"
            f"{best / ideal:7.2f}{spent / ideal:8.2f}{whole / ideal:9.2f}"
        )


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
