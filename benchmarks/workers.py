"""What workers on other machines cost, and how many of them one owner bears.

``python benchmarks/workers.py`` compares, side by side in rounds, ``-n 3`` with three workers that
a command starts here, and with ``--ray`` with three workers on Ray, one on each of three nodes that
it starts in namespaces of their own (or on that of ``--ray ADDRESS``): the whole command with
20 and with 220 trivial trials, the latency of reports that a pruner reviews, and after the death of
a worker in mid-trial the time until the trial runs again and until another worker has a trial.

``python benchmarks/workers.py --scale 200 --trials 20000`` lets so many runners, threads on the
channels' side of the owner, ask, review and tell trials as fast as the owner answers: messages per
second, memory, and how unevenly it serves them.

``python benchmarks/workers.py --pipes 200 --trials 20000`` runs a whole session with so many
workers, each a process with a pipe to the controller that sends what a real worker sends and runs
no tests (`pipes_worker.py`), but for one real worker, which collects.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

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
LOSS = """
import os, signal, time, pytest
from pathlib import Path

@pytest.mark.sweep(grid={"x": range(300)}, metric="loss")
def test_loss(x, trial):
    lost, replaced = Path("lost"), Path("replaced")
    if x == 60 and not lost.exists():  # by now all workers are up
        lost.write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    if x == 60:
        trial.log(retried=time.time() - float(lost.read_text()))
    if int(os.environ["PYTEST_XDIST_WORKER"][2:]) > 2 and not replaced.exists():
        trial.log(replaced=time.time() - float(lost.read_text()))
        replaced.touch()
    if not replaced.exists():
        time.sleep(0.1)
    return x
"""


@dataclass
class Way:
    """A way to start three workers, and what it took in each round."""

    options: list[str]
    prefix: list[str] = field(default_factory=list)
    few: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)
    reports: list[float] = field(default_factory=list)
    retried: list[float] = field(default_factory=list)
    replaced: list[float] = field(default_factory=list)

    def run(self, folder: Path, test: str, trials: int = 0) -> float:
        """Time a whole command."""
        command = [sys.executable, "-m", "pytest", "-q", "--sweep=run", *self.options]
        environment = {**os.environ, "TRIALS": str(trials)}
        start = time.perf_counter()
        subprocess.run(
            [*self.prefix, *command, f"test_{test}.py"],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - start

    def measure(self, folder: Path) -> None:
        """Measure it once more."""
        self.few.append(self.run(folder, "trivial", 20))
        self.many.append(self.run(folder, "trivial", 220))
        self.run(folder, "reports")
        for logged in last_logged(folder, "reports"):
            self.reports += map(float, logged["times"].split())
        self.run(folder, "loss")
        for logged in last_logged(folder, "loss"):
            self.retried += [logged["retried"]] if "retried" in logged else []
            self.replaced += [logged["replaced"]] if "replaced" in logged else []
        for name in ("lost", "replaced"):
            (folder / name).unlink(missing_ok=True)

    def row(self) -> str:
        """Format the least times of commands, and medians of the others."""
        each = 1e3 * (min(self.many) - min(self.few)) / 200
        ordered = sorted(self.reports)
        p95 = ordered[int(0.95 * len(ordered))]
        replaced = f"{statistics.median(self.replaced):.1f}" if self.replaced else "later"
        losses = f"{statistics.median(self.retried):.2f} | {replaced}"
        reports = f"{statistics.median(ordered):.2f} ({p95:.2f})"
        return f"{min(self.few):.1f} | {each:.1f} | {reports} | {losses}"


def last_logged(folder: Path, test: str) -> list[dict[str, Any]]:
    """What the trials of the newest run have logged."""
    journals = sorted(folder.glob(f".pytest_cache/d/hypersearch/*{test}/*/journal.jsonl"))
    records = map(json.loads, journals[-1].read_text().splitlines())
    return [record.get("logged", {}) for record in records if record["k"] == "end"]


def compare(ways: dict[str, Way], rounds: int) -> None:
    """Print a row for each way to start three workers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for test, text in {"trivial": TEST, "reports": REPORTS, "loss": LOSS}.items():
            (folder / f"test_{test}.py").write_text(text)
        (folder / "pytest.ini").write_text("[pytest]\nsweep_env = TRIALS\n")
        for _ in range(rounds):
            for way in ways.values():
                way.measure(folder)
    print("| workers | start and 20 trials, s | a further trial, ms |", end="")
    print(" reviewed report, ms: median (p95) | lost trial runs again, s | worker replaced, s |")
    print("|---" * 6 + "|")
    for name, way in ways.items():
        print(f"| {name} | {way.row()} |")


@contextmanager
def on_ray(address: str) -> Iterator[Way]:
    """Use the cluster at an address, or one of three nodes that is started for this."""
    if address:
        yield Way(["-n3", f"--sweep-on=ray:{address}"])
        return
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "faults"))
    import ray_cluster

    if why_not := ray_cluster.why_not():
        raise SystemExit(why_not)
    os.environ.update(ray_cluster.TOKEN)
    with ray_cluster.cluster() as cluster:
        enter = ["sh", "-c", f'exec {shlex.join(cluster.enter)} --wd="$PWD" "$@"', "sh"]
        yield Way(["-n3", f"--sweep-on=ray:{cluster.address}"], enter)


def scale(runners: int, trials: int) -> None:  # noqa: PLR0915  a script
    """Print what one owner bears."""
    from pytest_hypersearch import uniform
    from pytest_hypersearch.core.space import Space
    from pytest_hypersearch.core.study import StudyCode
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import Outcome, State
    from pytest_hypersearch.engine import messages
    from pytest_hypersearch.engine.owner import Owner
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


USED = """
import json, resource, time
from pathlib import Path

START = {}

def pytest_runtest_logstart():
    START.setdefault("cpu", time.process_time())
    START.setdefault("time", time.perf_counter())

def pytest_sessionfinish(session):
    if START and not hasattr(session.config, "workerinput"):
        used = {
            "start": START["cpu"],
            "cpu": time.process_time() - START["cpu"],
            "time": time.perf_counter() - START["time"],
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        Path("used.json").write_text(json.dumps(used))
"""
"""What the controller needs, without its workers."""

MESSAGES_PER_TRIAL = 9
"""Six events and a command of xdist, and a request with its reply."""


def pipes(workers: int, trials: int) -> None:
    """Print what one controller bears with workers that are processes."""
    import execnet

    from pytest_hypersearch.core.trial import Outcome, State
    from pytest_hypersearch.engine import messages
    from pytest_hypersearch.plugin.remote.node import facts
    from pytest_hypersearch.plugin.remote.protocol import encoded

    environment = {**os.environ, "TRIALS": str(trials)}
    command = [sys.executable, "-m", "pytest", "-q", "--sweep", "test_trivial.py"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_trivial.py").write_text(TEST)
        (folder / "conftest.py").write_text(USED)
        (folder / "pytest.ini").write_text("[pytest]\nsweep_env = TRIALS\n")
        collect = [*command, "--collect-only"]
        listed = subprocess.run(
            collect, cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        items = [line for line in listed.stdout.splitlines() if "::" in line]
        digest = blake2b("\n".join(items).encode(), digest_size=16).hexdigest()
        outcome = Outcome(State.COMPLETE, score=0.5, metrics={"loss": 0.5})
        requests = [
            messages.Hello(digest),
            messages.Durations(),
            messages.Claim("ITEM", hands_out=True),
            messages.Tell("ITEM", 1, outcome, then="NEXT"),
            messages.Finish(saved=False),
        ]
        script = {
            "execnet": str(Path(execnet.__file__).parents[1]),
            "facts": encoded(facts()).decode(),
            "items": items,
            "messages": {type(each).__name__: messages.encode(0, each) for each in requests},
            "served": str(folder / "served"),
            "report": {
                "$report_type": "TestReport",
                "location": ("test_trivial.py", 1, "test"),
                "keywords": {"test_trivial": 1},
                "outcome": "passed",
                "longrepr": None,
                "user_properties": [],
                "sections": [],
                "duration": 0.001,
                "start": 1.0,
                "stop": 1.001,
            },
        }
        file = folder / "script.json"
        file.write_text(json.dumps(script))
        worker = [sys.executable, "-S", str(Path(__file__).with_name("pipes_worker.py")), str(file)]
        on = ["--sweep-on={python}", f"--sweep-on={workers - 1}*{shlex.join(worker)} {{args}}"]
        subprocess.run([*command, *on], cwd=folder, env=environment, check=True)
        used = json.loads((folder / "used.json").read_text())
        lines = (folder / "served").read_text().split()
    served, waits = list(map(int, lines[::2])), list(map(float, lines[1::2]))
    print(f"{workers} workers, {trials} trials, {MESSAGES_PER_TRIAL} messages each")
    rates = [trials / used["time"], trials / used["cpu"]]
    print(f"{rates[0]:.0f} trials/s, {rates[1]:.0f} per CPU second of the controller,")
    print(f"{rates[1] * MESSAGES_PER_TRIAL:.0f} messages per CPU second")
    print(f"start: {used['start']:.0f} CPU seconds; memory: {used['memory']:.0f} MiB")
    print(f"a worker got {min(served)} to {max(served)} trials, and waited at most")
    print(f"{max(waits):.2f} s (median of the longest waits {statistics.median(waits):.2f} s)")


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ray", metavar="ADDRESS", nargs="?", const="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, metavar="RUNNERS")
    parser.add_argument("--pipes", type=int, metavar="WORKERS")
    parser.add_argument("--trials", type=int, default=20_000)
    options = parser.parse_args()
    if options.scale:
        scale(options.scale, options.trials)
        return
    if options.pipes:
        pipes(options.pipes, options.trials)
        return
    ways = {"-n 3": Way(["-n3"]), "a command": Way(["-n3", "--sweep-on={python}"])}
    if options.ray is None:
        compare(ways, options.rounds)
        return
    with on_ray(options.ray) as way:
        compare({**ways, "Ray": way}, options.rounds)


if __name__ == "__main__":
    main()
