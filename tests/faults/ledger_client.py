"""Takes shares of a machine and gives them back, again and again; notes what it held and when.

python ledger_client.py DIRECTORY FILE SEED TIMES
"""

import os
import random
import sys
import time
from pathlib import Path

from pytest_hypersearch.core.sweep import Demand
from pytest_hypersearch.engine.resources.ledger import Ledger
from pytest_hypersearch.engine.resources.machine import Gpu, Machine

MACHINE = Machine(cores=(0, 1, 2, 3), gpus=(Gpu("0", "0"), Gpu("1", "1")), memory=100)
DEMANDS = (
    Demand(cpus=1),
    Demand(cpus=3, gpus=0.5),
    Demand(cpus=2, gpus=1, memory=60),
    Demand(gpus=2),
    Demand(cpus=4, memory=50),
    Demand(gpus=0.25, memory=30),
)


def main(directory, file, seed, times):
    luck = random.Random(seed)
    ledger = Ledger(MACHINE, Path(directory))
    for number in range(int(times)):
        demand = luck.choice(DEMANDS)
        while (devices := ledger.take("w", demand, ("0", "1"))) is None:
            time.sleep(0.002)
        start = time.monotonic()
        time.sleep(luck.random() * 0.02)
        row = (start, time.monotonic(), demand.cpus, demand.portion, demand.memory, *devices)
        with open(file, "ab", buffering=0) as log:  # noqa: PTH123  one write a line
            log.write((" ".join(map(str, row)) + "\n").encode())
        # Some die with all they hold; the last ones end in order.
        if number + 1 == int(times) and luck.random() < 0.5:
            os.kill(os.getpid(), 9)
        ledger.free("w")
    ledger.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
