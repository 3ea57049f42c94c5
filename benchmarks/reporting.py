"""What ``trial.report`` costs a training loop: beside the same loop that keeps its curve in a list.

    python benchmarks/reporting.py [--trials 108] [--steps 10000] [--repeats 5]

Each trial is noisy gradient descent with momentum on the Booth function, with numpy, a report at
each step. Both commands are whole pytest processes that run the same sweep and end with the same
scores; the loop's own time is their user and system CPU time less that of a sweep of as many trials
of no step. Commands are run in turn, and the least of the repeats counts.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

from overhead import pytest_command, run

SOURCE = """
import numpy as np
import pytest

@pytest.mark.sweep(random={{"lr": __import__("pytest_hypersearch").loguniform(1e-3, 1e-1)}},
                   n_trials={trials}, metric="value")
def test_booth(lr, trial):
    at, speed, curve = np.array([-5.0, 5.0]), np.zeros(2), []
    a = np.array([[1.0, 2.0], [2.0, 1.0]])
    b = np.array([7.0, 5.0])
    value = float("nan")
    for step in range({steps}):
        rest = a @ at - b
        speed = 0.5 * speed - lr * (2 * a @ rest + trial.rng.normal(0, 0.1, 2))
        at = at + speed
        value = float(rest @ rest)
        {keep}
    return value if {steps} else 0.0
"""
LIST, REPORT = "curve.append(value)", "trial.report(value, step=step)"


def cost(keep: str, trials: int, steps: int) -> float:
    """CPU seconds of a sweep."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_booth.py").write_text(SOURCE.format(trials=trials, steps=steps, keep=keep))
        (folder / "pytest.ini").write_text("[pytest]\n")
        return run(pytest_command("--sweep"), folder).cpu


def main() -> None:
    """Print the three times and the share that reporting adds to the loop."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=108)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    cases = {"no steps": (LIST, 0), "list": (LIST, given.steps), "report": (REPORT, given.steps)}
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(given.repeats):
        for name, (keep, steps) in cases.items():
            found[name].append(cost(keep, given.trials, steps))
    empty, listed, reported = (min(each) for each in found.values())
    calls = given.trials * given.steps
    print(f"{platform.platform()}, Python {platform.python_version()}")
    print(f"{given.trials} trials of {given.steps} steps, least CPU time of {given.repeats}")
    print(f"without steps {empty:.2f} s, curve in a list {listed:.2f} s, reported {reported:.2f} s")
    print(f"a step takes {(listed - empty) / calls * 1e6:.2f} us, ", end="")
    print(f"a report {(reported - listed) / calls * 1e9:.0f} ns more than an append: ", end="")
    print(f"{(reported - listed) / (listed - empty):+.1%}")


if __name__ == "__main__":
    main()
