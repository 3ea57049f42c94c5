"""How long reading, filtering and grouping stored trials takes.

    python benchmarks/loading.py [--trials 100000] [--repeats 3]

A run is written to a store as the plugin writes it: a random search over three parameters with two
metrics and five replicates, one trial in a hundred failed. Times are CPU seconds of this process,
the least of the repeats; memory is the process's peak at the end.
"""

from __future__ import annotations

import argparse
import platform
import resource
import tempfile
from functools import partial
from pathlib import Path
from random import Random
from time import process_time
from typing import TYPE_CHECKING, TypeVar

from pytest_hypersearch import Results, choice, load_results, loguniform, uniform
from pytest_hypersearch.core.trial import trial_seed
from pytest_hypersearch.plugin.mark.arguments import from_mark
from pytest_hypersearch.store.curves import pack
from pytest_hypersearch.store.journal import FORMAT
from pytest_hypersearch.store.runs import Store

if TYPE_CHECKING:
    from collections.abc import Callable

REPLICATES = 5
_Found = TypeVar("_Found")
SPACE = {
    "lr": loguniform(1e-4, 1),
    "dropout": uniform(0, 1),
    "act": choice(["relu", "tanh", "gelu"]),
}


def write(root: Path, trials: int, steps: int = 0) -> int:
    """Write a run, of which each trial reported so many values; return its journal's bytes."""
    configs = trials // REPLICATES
    given = {"random": SPACE, "n_trials": configs, "replicates": REPLICATES, "metric": "loss"}
    sweep, nodeid, rng = from_mark((), given), "test_net.py::test_net", Random(0)
    run = Store(root).new_run(nodeid)
    head = {"format": FORMAT, "nodeid": nodeid, "sweeps": [sweep.to_json()]}
    records = [{"k": "run", **head}, {"k": "session", "sweeps": head["sweeps"]}]
    curves = []
    for number in range(configs):
        params = {"lr": rng.random(), "dropout": rng.random(), "act": rng.choice(["relu", "tanh"])}
        for replicate in range(REPLICATES):
            place = {"sweep": "random", "number": number, "replicate": replicate, "attempt": 1}
            item = f"{nodeid}[random-{number:03d}-r{replicate}]"
            seed, started = trial_seed(0, replicate), 1_700_000_000 + len(records)
            start = {"seed": seed, "params": params, "worker": "gw0", "started": started}
            records.append({"k": "start", **place, **start, "item": item})
            records.append({"k": "end", **place, **_outcome(rng)})
            falling = [1 / (1 + step) + 0.1 * rng.random() for step in range(steps)]
            if steps:
                series = {"loss": pack(list(range(steps)), falling)}
                curves.append({"k": "curve", **place, "series": series})
    run.journal.append_many(records)
    run.curves.append_many(curves)
    run.close()
    return run.journal.path.stat().st_size


def _outcome(rng: Random) -> dict[str, object]:
    if rng.random() < 0.01:  # noqa: PLR2004  one in a hundred
        return {"state": "failed", "metrics": {}, "duration": 0.1, "reason": "ValueError: nan"}
    loss = rng.random()
    metrics = {"loss": loss, "accuracy": 1 - loss}
    return {"state": "complete", "metrics": metrics, "duration": rng.random()}


def jobs(path: Path) -> dict[str, Callable[[Results], object]]:
    """What is measured beside reading, by name."""
    return {
        "filter": lambda results: results.filter(lr__lt=0.5, act="relu", status="success"),
        "group_by, agg": lambda results: results.group_by("act").agg(),
        "best": lambda results: results.best(10),
        "history": Results.history,
        "table": Results.table,
        "DataFrame": lambda results: results.table(as_dataframe=True),
        "to_csv": lambda results: results.to_csv(path / "out.csv"),
        "to_json": lambda results: results.to_json(path / "out.json"),
        "to_parquet": lambda results: results.to_parquet(path / "out.parquet"),
    }


def timed(job: Callable[[], _Found]) -> tuple[_Found, float]:
    """What a job returns, and its CPU seconds."""
    start = process_time()
    return job(), process_time() - start


def main() -> None:
    """Print the time of each job."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        size = write(root, given.trials)
        print(f"{platform.platform()}, Python {platform.python_version()}")
        print(f"{given.trials} trials, {size / 1e6:.0f} MB, least CPU time of {given.repeats}")
        times: dict[str, list[float]] = {}
        for _ in range(given.repeats):
            results, seconds = timed(partial(load_results, root))
            times.setdefault("load_results", []).append(seconds)
            for name, job in jobs(root).items():
                times.setdefault(name, []).append(timed(partial(job, results))[1])
    for name, each in times.items():
        print(f"{name:14} {min(each):6.2f} s")
    print(f"peak memory    {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:6.0f} MiB")


if __name__ == "__main__":
    main()
