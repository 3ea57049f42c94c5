"""How often unchanged tests are called worse, by real runs.

    python benchmarks/gate_runs.py [--pairs 100] [--share 0.5]

Two sessions of pytest run the same tests, each of 12 configurations over 5 seeds. Their quality
never changes; only the stream of random numbers is another one, as after a change of code that
draws one more. Each test is gated by itself, with the first session as its baseline: a pair.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from pytest_hypersearch import load_results
from pytest_hypersearch.results.comparison import gates
from pytest_hypersearch.store.baseline import Baseline, read_baseline

SOURCE = """
import os
import numpy as np
import pytest

SALT, SHARE = int(os.environ["SALT"]), float(os.environ["SHARE"])

@pytest.mark.parametrize("pair", range({pairs}))
@pytest.mark.sweep(grid={{"c": [*range(12)]}}, replicates=5, metric="loss", gate={{"loss": {loss}}})
def test_unchanged(pair, c, trial):
    luck = np.random.default_rng([trial.seed, pair, SALT]).standard_normal()
    own = np.random.default_rng([trial.seed, pair, SALT, c]).standard_normal()
    return 10 + c / 4 + SHARE**0.5 * luck + (1 - SHARE) ** 0.5 * own
"""
FILE = "sweeps.baseline.json"


def session(folder: Path, salt: int, share: float, *args: str) -> None:
    """Runs the tests; gates may fail it."""
    command = [sys.executable, "-m", "pytest", "-q", "--sweep=run", f"--sweep-baseline={FILE}"]
    environment = {**os.environ, "SALT": str(salt), "SHARE": str(share), "COLUMNS": "80"}
    done = subprocess.run(
        [*command, *args], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    print(f"session {salt}: {done.stdout.splitlines()[-1]}", flush=True)


def verdicts(folder: Path) -> Counter[str]:
    """The verdict of each test of the newest session, without the others."""
    known = read_baseline(folder / FILE) or Baseline({})
    before = {study.nodeid: study for study in known.studies}
    return Counter(
        gates([study], [before[study.nodeid]]).changes[0].judgement.verdict
        for study in load_results(folder).studies
    )


def main() -> None:
    """Run both sessions, and count."""
    parser = argparse.ArgumentParser(description="How often unchanged tests are called worse.")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.5, help="of the noise that seeds share")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_unchanged.py").write_text(SOURCE.format(pairs=given.pairs, loss=0.0))
        session(folder, 0, given.share, "--sweep-update-baseline=new")
        session(folder, 1, given.share)
        print(f"verdicts on {given.pairs} unchanged tests, tolerance 0: {dict(verdicts(folder))}")


if __name__ == "__main__":
    main()
