"""What is lost when sessions, workers and isolated trials are killed at random moments.

    python benchmarks/kills.py [--kills 200] [--seed 0] [--keep FOLDER] [WAY ...]

Two sweeps, a grid with replicates and ``bayes`` in parallel, run in four ways. A session is stopped
at a random moment: by SIGKILL to its process group, to the session alone or to one random process
below it, or by SIGTERM or SIGINT. It is resumed and stopped again until it ends by itself. Each
trial writes lines to a log of its own when it starts and when it returns. Prints for each way:

- lost: trials that ran again although their end was in the journal when the session was stopped,
  and trials that are missing or not complete in the end.
- doubled: trials whose complete end is in the journals more than once. A trial whose process dies
  in its teardown is an error that keeps its score and runs again; it is neither lost nor doubled.
- wrong: stored trials that differ from those of a session that nobody stopped, or from the log, and
  files under ``best`` that are not those of the trials it names.

Each of them is named on the standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from overhead import pytest_command

from pytest_hypersearch import load_results
from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.store.journal import read

if TYPE_CHECKING:
    from typing import TypeAlias

    Table: TypeAlias = dict[str, tuple[str, float | None, str]]
    """Node id -> parameters, score, state."""

SOURCE = """
import os, time
from pathlib import Path
import pytest
from pytest_hypersearch import uniform

LOG = Path(__file__).with_name("log")

@pytest.fixture
def log(request):
    def write(*words):
        file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, (" ".join([request.node.nodeid, *words]) + "\\n").encode())
        os.close(file)
    write("start")
    return write

@pytest.mark.sweep(grid={{"x": range(6)}}, replicates=2, retries=9, isolate={isolate})
def test_grid(x, trial, log):
    time.sleep(0.02)
    score = x + trial.rng.random()
    (trial.path / "score").write_text(repr(score))
    log("end", repr(score))
    return score

@pytest.mark.sweep(
    bayes={{"y": uniform(-1, 1)}}, n_trials=6, parallel=2, retries=9, isolate={isolate}
)
def test_bayes(y, trial, log):
    for step in range(5):
        time.sleep(0.005)
        trial.report(y * y + 1 / (1 + step), step=step)
    (trial.path / "score").write_text(repr(y * y))
    log("end", repr(y * y))
    return y * y
"""
TRIALS = 18
WAYS: dict[str, tuple[list[str], bool]] = {
    "plain": ([], False),
    "-n 2": (["-n", "2"], False),
    "isolated": ([], True),
    "-n 2, isolated": (["-n", "2"], True),
}
BLOWS = (
    *("SIGKILL group",) * 4,
    *("SIGKILL session",) * 3,
    *("SIGKILL one",) * 3,
    *("SIGTERM session", "SIGTERM group", "SIGINT group"),
)
PATIENCE = 300


class Project:
    """A directory with the sweeps, and what its sessions left."""

    def __init__(self, path: Path, way: str) -> None:
        self.path = path
        self.options, isolate = WAYS[way]
        path.mkdir(parents=True)
        (path / "pytest.ini").write_text("[pytest]\n")
        (path / "test_it.py").write_text(SOURCE.format(isolate=isolate))

    def start(self, option: str) -> subprocess.Popen[str]:
        """Start a session, the first process of a group of its own."""
        with (self.path / "output").open("a") as output:
            return subprocess.Popen(
                pytest_command(option, *self.options),
                cwd=self.path,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    @property
    def log(self) -> list[list[str]]:
        """The words of each line of the trials' log."""
        file = self.path / "log"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def ended(self) -> Counter[str]:
        """How often each trial ended complete, and its teardown too, by all journals."""
        ended: Counter[str] = Counter()
        for file in self.path.glob(".pytest_cache/d/hypersearch/*/*/journal.jsonl"):
            items: dict[tuple[object, ...], str] = {}
            with suppress(StoreError):  # stopped within the first record
                for record in read(file).records:
                    key = tuple(record.get(name) for name in ("sweep", "number", "replicate"))
                    if record["k"] == "start":
                        items[key] = str(record["item"])
                    elif record["k"] == "end" and record["state"] == "complete":
                        ended[items[key]] += 1
                    elif record["k"] == "failed":
                        ended[items[key]] -= 1
        return +ended

    @property
    def table(self) -> Table:
        """The stored trials."""
        return {
            trial.nodeid: (str(dict(trial.params)), trial.score, str(trial.state))
            for trial in load_results(self.path)
        }

    @property
    def wrong_files(self) -> list[str]:
        """The files under ``best`` that are not those of the trials that it names."""
        trials = {
            (
                trial.nodeid.partition("::")[2].partition("[")[0],
                trial.number,
                trial.replicate,
            ): trial
            for trial in load_results(self.path)
        }
        wrong = []
        for folder in self.path.glob(".pytest_cache/d/hypersearch/*/best"):
            number = json.loads((folder / "params.json").read_text())["number"]
            for file in folder.glob("r*/score"):
                test, replicate = folder.parent.name.partition("-")[2], int(file.parent.name[1:])
                score = repr(trials[test, number, replicate].score)
                if file.read_text() != score:
                    wrong.append(f"{file}: {file.read_text()!r}, not {score} of #{number}")
        return wrong


@dataclass(slots=True)
class Tally:
    """What became of the trials of one way's projects."""

    projects: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    wrong: int = 0

    def add(self, project: Project, expected: Project, stops: list[tuple[int, set[str]]]) -> None:
        """Compare a project that has come to its end with one that nobody stopped."""
        log, table, right = project.log, project.table, expected.table
        again = {
            (words[0], since)
            for since, done in stops
            for words in log[since:]
            if words[1] == "start" and words[0] in done
        }
        missing = [name for name in right if table.get(name, ("", None, ""))[2] != "complete"]
        self.projects += 1
        self.lost += len(again) + len(missing)
        self.doubled += sum(count > 1 for count in project.ended.values())
        told = {(words[0], words[2]) for words in log if words[1] == "end"}
        wrong = [
            f"{name}: {row}, not {right.get(name)}; in the log: {(name, repr(row[1])) in told}"
            for name, row in table.items()
            if row != right.get(name) or (name, repr(row[1])) not in told
        ]
        wrong += project.wrong_files
        self.wrong += len(wrong)
        for what in (*(f"{item} ran again" for item, _ in again), *missing, *wrong):
            print(f"{project.path}: {what}", file=sys.stderr)


def attack(
    project: Project, luck: random.Random, kills: Counter[str]
) -> list[tuple[int, set[str]]]:
    """Stop sessions at random moments until one ends by itself.

    Returns:
        For each stop, the lines of the log and the trials whose complete end was stored by then.
    """
    stops: list[tuple[int, set[str]]] = []
    option = "--sweep"
    while True:
        process = project.start(option)
        option = "--sweep-resume"
        to_come = 2 * (TRIALS - len(project.ended)) * luck.choice((0, *(1,) * 9))
        moment = len(project.log) + luck.uniform(0, to_come)
        while process.poll() is None and len(project.log) < moment:
            time.sleep(0.005)
        time.sleep(luck.uniform(0, 0.04 if to_come else 2))
        if luck.randrange(5) and process.poll() is None:
            blow = luck.choice(BLOWS)
            send(process.pid, blow, luck)
            kills[blow] += 1
        if process.wait(PATIENCE) == 0:
            return stops
        stops.append((len(project.log), set(project.ended)))


def send(session: int, blow: str, luck: random.Random) -> None:
    """Send a signal to a session, its group, or one of the processes below it."""
    name, target = blow.split()
    number = getattr(signal, name)
    with suppress(ProcessLookupError):
        if target == "group":
            os.killpg(session, number)
        else:
            below = members(session) if target == "one" else []
            os.kill(luck.choice(below or [session]), number)


def members(session: int) -> list[int]:
    """The processes below a session."""
    below = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, leader, *_ = stat.read_text().rpartition(")")[2].split()
            if int(leader) == session and state != "Z":
                below.append(int(stat.parent.name))
    return sorted({*below} - {session})


def main() -> int:
    """Attack all ways; return 1 if anything is lost, doubled or wrong."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    parser = argparse.ArgumentParser(description="Kills at random moments.")
    parser.add_argument("ways", nargs="*", metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--kills", type=int, default=200, help="at least so many in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="keep the projects here")
    given = parser.parse_args()
    ways = given.ways or list(WAYS)
    parent = given.keep or Path(tempfile.mkdtemp())
    print(f"{platform.platform()}, Python {platform.python_version()}\n")
    print("| way | projects | kills | lost | doubled | wrong |\n|---|--:|--:|--:|--:|--:|")
    good = True
    for way in ways:
        luck, tally = random.Random(f"{given.seed} {way}"), Tally()
        expected = Project(parent / way / "expected", way)
        if expected.start("--sweep").wait(PATIENCE) or len(expected.table) != TRIALS:
            sys.exit((expected.path / "output").read_text())
        while tally.kills.total() < given.kills / len(ways):
            project = Project(parent / way / str(tally.projects), way)
            tally.add(project, expected, attack(project, luck, tally.kills))
        counts = (tally.lost, tally.doubled, tally.wrong)
        good &= not any(counts)
        cells = (way, tally.projects, tally.kills.total(), *counts)
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    if not given.keep:
        shutil.rmtree(parent)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
