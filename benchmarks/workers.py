"""What workers on other machines cost, and how many of them one owner bears.

``python benchmarks/workers.py`` compares, side by side in rounds, ``-n 3`` with three workers that
a command starts here, and with ``--ray ADDRESS`` with three workers on that cluster: the whole
command with 20 and with 220 trivial trials, and the latency of reports that a pruner reviews.

``python benchmarks/workers.py --scale 200 --trials 20000`` lets so many runners, threads on the
channels' side of the owner, ask, review and tell trials as fast as the owner answers: messages per
second, memory, and how unevenly it serves them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

TEST = """
import os, time, pytest
from pytest_hypersearch import uniform

@pytest.mark.sweep(random={"x": uniform(0, 1)}, n_trials=int(os.environ["TRIALS"]), metric="loss")
def test_trivial(x):
    return x
"""
REPORTS = """
import time, pytest
from pytest_hypersearch import uniform

PRUNE = "median:warmup_trials=99"

@pytest.mark.sweep(random={"x": uniform(0, 1)}, n_trials=6, metric="loss", prune=PRUNE)
def test_reports(x, trial):
    times = []
    for step in range(100):
        start = time.perf_counter()
        trial.report(x, step=step)
        times.append(time.perf_counter() - start)
    trial.log(times=" ".join(f"{1e3 * t:.3f}" for t in times))
    return x
"""


def seconds(folder: Path, options: list[str], trials: int) -> float:
    """Time a whole command."""
    environment = {**os.environ, "TRIALS": str(trials)}
    command = [sys.executable, "-m", "pytest", "-q", "--sweep", *options, "test_trivial.py"]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def latencies(folder: Path, options: list[str]) -> list[float]:
    """Milliseconds that reviewed reports took."""
    command = [sys.executable, "-m", "pytest", "-q", "--sweep", *options, "test_reports.py"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    journals = sorted(folder.glob(".pytest_cache/d/hypersearch/*reports/*/journal.jsonl"))
    records = map(json.loads, journals[-1].read_text().splitlines())
    texts = [record["logged"]["times"] for record in records if record["k"] == "end"]
    return [float(word) for text in texts for word in text.split()]


def compare(ways: dict[str, list[str]], rounds: int) -> None:
    """Print a row for each way to start three workers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_trivial.py").write_text(TEST)
        (folder / "test_reports.py").write_text(REPORTS)
        (folder / "pytest.ini").write_text("[pytest]\nsweep_env = TRIALS\n")
        few: dict[str, list[float]] = {way: [] for way in ways}
        many: dict[str, list[float]] = {way: [] for way in ways}
        reports: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, options in ways.items():
                few[way].append(seconds(folder, options, 20))
                many[way].append(seconds(folder, options, 220))
                reports[way] += latencies(folder, options)
    print("| workers | 20 trials, s | a further trial, ms | reviewed report, ms: median (p95) |")
    print("|---|---|---|---|")
    for way in ways:
        each = 1e3 * (min(many[way]) - min(few[way])) / 200
        ordered = sorted(reports[way])
        p95 = ordered[int(0.95 * len(ordered))]
        median = statistics.median(ordered)
        print(f"| {way} | {min(few[way]):.1f} | {each:.1f} | {median:.2f} ({p95:.2f}) |")


def scale(runners: int, trials: int) -> None:  # noqa: PLR0915  a script
    """Print what one owner bears."""
    from pytest_hypersearch import uniform
    from pytest_hypersearch.core.space import Space
    from pytest_hypersearch.core.study import StudyCode
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import State
    from pytest_hypersearch.engine import messages
    from pytest_hypersearch.engine.owner import Owner
    from pytest_hypersearch.engine.records import Outcome
    from pytest_hypersearch.search.samplers.random import Random
    from pytest_hypersearch.store.archive import Archive, Observer, Policy

    space = Space(({"x": uniform(0, 1)},))
    sweep = Sweep(name="random", strategy="random", space=space, n_trials=trials)
    slots = tuple((f"t.py::t[{number}]", 0, number, 0) for number in range(trials))
    with tempfile.TemporaryDirectory() as name:
        code = StudyCode([name], __file__, "scale", [], [])
        plan = messages.StudyPlan("t.py::t", [sweep.to_json()], {}, slots, code)
        policy = Policy(resume=False, replay=True, keep_stale=False, keep_runs=1)
        archive = Archive(lambda: Path(name), policy, print, Observer(Path(name), ()))
        owner = Owner(lambda _strategy: Random(), archive)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        owner.handle("", messages.Plan("d", (plan,)), lambda _reply: None)
        items = iter([slot[0] for slot in slots])
        lock, served, waits = threading.Lock(), Counter(), []

        def send(worker: str, message: messages.AnyRequest) -> messages.Reply:
            """Encode, handle and decode, as over a channel."""
            _, request = messages.decode_message(messages.encode(0, message))
            replies: list[messages.Reply] = []
            owner.handle(worker, request, replies.append)
            return messages.decode_reply(messages.encode(0, replies[0]))[1]

        def runner(worker: str) -> None:
            while True:
                with lock:
                    item = next(items, None)
                if item is None:
                    return
                start = time.perf_counter()
                send(worker, messages.Ask(item))
                waits.append(time.perf_counter() - start)
                outcome = Outcome(State.COMPLETE, score=0.5, metrics={"score": 0.5})
                send(worker, messages.Tell(item, 1, outcome))
                served[worker] += 1

        threads = [threading.Thread(target=runner, args=(f"gw{i}",)) for i in range(runners)]
        start, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took, cpu = time.perf_counter() - start, time.process_time() - cpu
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        owner.close()
    waits.sort()
    print(f"{runners} runners, {trials} trials, 2 messages each")
    print(f"{2 * trials / took:.0f} messages/s ({2 * trials / cpu:.0f} per CPU second)")
    print(f"memory: {grown / 1024:.0f} MiB more")
    print(f"a runner got {min(served.values())} to {max(served.values())} trials")
    print(f"ask: median {1e3 * statistics.median(waits):.1f} ms, longest {1e3 * waits[-1]:.0f} ms")


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ray", metavar="ADDRESS", help="a cluster with three cores")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, metavar="RUNNERS")
    parser.add_argument("--trials", type=int, default=20_000)
    options = parser.parse_args()
    if options.scale:
        scale(options.scale, options.trials)
        return
    ways = {"-n 3": ["-n3"], "a command": ["-n3", "--sweep-on={python}"]}
    if options.ray:
        ways["Ray"] = ["-n3", f"--sweep-on=ray:{options.ray}"]
    compare(ways, options.rounds)


if __name__ == "__main__":
    main()
