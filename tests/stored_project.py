"""A project whose sweeps were really run, twice, for tests of what is read of them."""

import os
import subprocess
import sys

from fork_server import NESTED

TESTS = """
import os
import pytest
from pytest_hypersearch import choice, loguniform, uniform

SHIFT = float(os.environ.get("SHIFT", "0"))
HOSTILE = ["=cmd|' /C calc'!A0", "</script><script>alert(1)</script>", "a|b\\n::error::x"]

@pytest.mark.sweep(grid={"lr": [0.1, 0.01], "opt": ["adam", "sgd"]}, replicates=3, metric="loss")
@pytest.mark.sweep(random={"lr": loguniform(1e-3, 0.1), "opt": ["adam", "sgd"]}, n_trials=12,
                   replicates=3, metric="loss")
def test_net(lr, opt, trial):
    for step in range(3):
        trial.report(1 / (step + 1))
    trial.log(note="kept")
    assert lr < 0.1 or opt == "sgd", "too high"
    luck = 0.01 * trial.replicate * (1 + lr)
    return {"loss": abs(lr - 0.02) + luck + SHIFT + 0.02 * (opt == "sgd"), "lr": 2 * lr}

@pytest.mark.parametrize("data", ["x", "y"])
@pytest.mark.sweep(bayes={"a": uniform(0, 1)}, n_trials=4, metric="accuracy", mode="max")
def test_other(a, data):
    return a * (1 - a) + SHIFT * (data == "y")

@pytest.mark.sweep(grid={"name": HOSTILE, "size": [1, 2]})
def test_hostile(name, size, trial):
    trial.log({"text": name, "@log": -1})
    return {"score": len(name) + size, "=1+1": 2.0}
"""


def run_sweeps(folder, *args, **environment):
    """Run pytest in a directory; what fails there is part of the example."""
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--sweep", *args],
        cwd=folder,
        env=os.environ | NESTED | {"OMP_NUM_THREADS": "1"} | environment,
        check=False,
        stdout=subprocess.DEVNULL,
    )


def make(folder):
    """Write the project and run its sweeps twice, the second time with higher scores."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(TESTS)
    run_sweeps(folder)
    run_sweeps(folder, SHIFT="0.5")
    return folder
