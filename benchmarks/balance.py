"""How evenly trials of very different lengths spread over workers.

    python benchmarks/balance.py [--trials 64] [--workers 8] [--seeds 5] [--scale 0.5]

Each trial sleeps, so cores do not matter; lengths are lognormal (sigma 1), in random order, known
to nobody. The ideal time is max(longest trial, sum of lengths / workers): no schedule is shorter.
Measured are, by the clock in the trials themselves, the time from the first trial's start to the
last one's end, which is what scheduling decides; and the whole command, with the start of pytest
and its workers and their collection. Beside them is what a perfect queue would take: a worker that
is free takes the next trial at no cost, the order being the same.
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


def lengths(count: int, seed: int, scale: float) -> list[float]:
    """Seconds that the trials sleep."""
    luck = random.Random(seed)
    return [round(scale * luck.lognormvariate(0, 1), 4) for _ in range(count)]


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


def main() -> None:
    """Measure and print everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=0.5)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    print(f"{'seed':>4}{'longest':>9}{'ideal s':>9}{'queue':>7}{'trials':>8}{'command':>9}")
    for seed in range(options.seeds):
        times = lengths(options.trials, seed, options.scale)
        ideal = max(*times, sum(times) / options.workers)
        spent, whole = measure(times, options.workers)
        best = queued(times, options.workers)
        print(
            f"{seed:4}{max(times):9.2f}{ideal:9.2f}"
            f"{best / ideal:7.2f}{spent / ideal:8.2f}{whole / ideal:9.2f}"
        )


if __name__ == "__main__":
    main()
