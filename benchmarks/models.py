"""Regret on real learners: the bayes sampler beside Optuna's.

    OMP_NUM_THREADS=1 python benchmarks/models.py --samplers bayes,tpe,random --seeds 8 \
        --out models.jsonl
    python benchmarks/models.py --report models.jsonl

The problems are those of `learners`. Runs are appended to the file, and those that it has are not
run again. Regret is that of the best told trial by its true score: (score - best known) / (median
of random trials - best known), its logarithm floored at 1e-4. The best known score is that of all
runs in the files.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from time import process_time
from typing import Any, TypeAlias

import numpy as np
import optuna
from contender import Contender, lines_of
from learners import FOLDS, HELD_OUT, PROBLEMS, TUNED, Branch, Params, Problem

Curves: TypeAlias = dict[tuple[str, int], list[float]]

FLOOR = 1e-4
_RESAMPLED = 4000


class Optuna:
    """One of Optuna's samplers; branches are a first choice."""

    def __init__(
        self, sampler: Callable[[int], optuna.samplers.BaseSampler], space: list[Branch], seed: int
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space = space
        self.study = optuna.create_study(sampler=sampler(seed))

    def ask(self) -> Params:
        """Return the next parameters."""
        self.trial = self.study.ask()
        number = 0
        if len(self.space) > 1:
            number = self.trial.suggest_categorical("branch", range(len(self.space)))
        return {name: self._suggest(name, entry) for name, entry in self.space[number].items()}

    def _suggest(self, name: str, entry: tuple[Any, ...]) -> Any:
        if entry[0] == "cat":
            if len(entry[1]) == 1:
                return entry[1][0]
            return self.trial.suggest_categorical(name, entry[1])
        kind, low, high, log = entry
        suggest = self.trial.suggest_int if kind == "int" else self.trial.suggest_float
        return suggest(name, low, high, log=log)

    def tell(self, params: Params, value: float) -> None:  # noqa: ARG002  as Contender's
        """Take the value of the parameters asked for last; NaN for a failure."""
        if math.isfinite(value):
            self.study.tell(self.trial, value)
        else:
            self.study.tell(self.trial, state=optuna.trial.TrialState.FAIL)


def _optuna(kind: Any, **options: Any) -> Callable[[list[Branch], int], Any]:
    return lambda space, seed: Optuna(lambda s: kind(seed=s, **options), space, seed)


SAMPLERS: dict[str, Callable[[list[Branch], int], Any]] = {
    "bayes": Contender,
    "tpe": _optuna(optuna.samplers.TPESampler),
    "random": _optuna(optuna.samplers.RandomSampler),
    "gpsampler": _optuna(optuna.samplers.GPSampler),
}


def run(sampler: str, name: str, seed: int, trials: int) -> dict[str, Any]:
    """Return the true scores of the incumbents, and all scores told."""
    problem = PROBLEMS[name]
    contender = SAMPLERS[sampler](problem.branches, seed)
    told, incumbents, cpu = [], [], 0.0
    best, true = math.inf, math.nan
    for number in range(trials):
        start = process_time()
        params = contender.ask()
        cpu += process_time() - start
        value = problem.score(params, _fold(problem, name, seed, number))
        start = process_time()
        contender.tell(params, value)
        cpu += process_time() - start
        told.append(value)
        if value < best:
            best, true = value, problem.true(params)
        incumbents.append(true)
    return {
        "told": [_rounded(v) for v in told],
        "true": [_rounded(v) for v in incumbents],
        "cpu": round(cpu, 2),
    }


def _fold(problem: Problem, name: str, seed: int, number: int) -> int:
    digest = blake2b(f"{name}/{seed}/{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % FOLDS if problem.noisy else 0


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def regrets(paths: list[Path]) -> dict[str, Curves]:
    """Return log10 regret after each trial by sampler, problem and seed."""
    runs = [json.loads(line) for path in paths for line in lines_of(path)]
    best: dict[str, float] = defaultdict(lambda: math.inf)
    random = defaultdict(list)
    for each in runs:
        known = (v for v in each["true"] if v is not None)
        best[each["problem"]] = min([best[each["problem"]], *known])
        if each["sampler"] == "random":
            random[each["problem"]] += [v for v in each["told"] if v is not None]
    curves: dict[str, Curves] = defaultdict(dict)
    for each in runs:
        low = best[each["problem"]]
        spread = float(np.median(random[each["problem"]])) - low
        values = [1.0 if v is None else (v - low) / spread for v in each["true"]]
        logs = [math.log10(min(max(v, FLOOR), 1.0)) for v in values]
        curves[each["sampler"]][each["problem"], each["seed"]] = logs
    return curves


def report(paths: list[Path], focus: str, checkpoints: list[int]) -> Iterator[str]:
    """Yield the lines of tables of the focus against each other sampler."""
    curves = regrets(paths)
    for half, problems in (("tuned on", TUNED), ("held out", HELD_OUT), ("all", PROBLEMS)):
        yield f"\n{half}: {len(problems)} spaces\n"
        columns = "".join(f" at {t} | wins / ties / losses |" for t in checkpoints)
        yield f"| against | pairs |{columns}"
        yield "|---|--:|" + "--:|---|" * len(checkpoints)
        for other in sorted(set(curves) - {focus}):
            keys = [k for k in curves[focus] if k in curves[other] and k[0] in problems]
            cells = "".join(_compared(curves[focus], curves[other], keys, t) for t in checkpoints)
            yield f"| {other} | {len(keys)} |{cells}"
    yield "\n| space | seeds | " + " | ".join(sorted(curves)) + " |"
    yield "|---|--:|" + "--:|" * len(curves)
    for name in PROBLEMS:
        seeds = {k[1] for k in curves[focus] if k[0] == name}
        cells = [
            f"{np.mean([c[checkpoints[-1] - 1] for k, c in curves[s].items() if k[0] == name]):.2f}"
            if any(k[0] == name for k in curves[s])
            else "-"
            for s in sorted(curves)
        ]
        yield f"| {name} | {len(seeds)} | " + " | ".join(cells) + " |"


def _compared(ours: Curves, other: Curves, keys: list[tuple[str, int]], trial: int) -> str:
    """Return the mean difference over problems with a 95% interval, and wins, ties and losses."""
    groups = defaultdict(list)
    for key in keys:
        groups[key[0]].append(ours[key][trial - 1] - other[key][trial - 1])
    if not groups:
        return " - | - |"
    rng = np.random.default_rng(0)
    samples = [np.array(each) for each in groups.values()]
    means = []
    for _ in range(_RESAMPLED):  # problems, and seeds within each
        picked = [samples[i] for i in rng.integers(len(samples), size=len(samples))]
        means.append(np.mean([rng.choice(each, len(each)).mean() for each in picked]))
    low, high = np.percentile(means, [2.5, 97.5])
    centre = np.mean([each.mean() for each in samples])
    errors = [each.std(ddof=1) / len(each) ** 0.5 for each in samples]
    wins = sum(each.mean() < -2 * e for each, e in zip(samples, errors, strict=True))
    losses = sum(each.mean() > 2 * e for each, e in zip(samples, errors, strict=True))
    ties = len(samples) - wins - losses
    return f" {centre:+.2f} [{low:+.2f}, {high:+.2f}] | {wins} / {ties} / {losses} |"


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samplers", default="bayes,tpe,random")
    parser.add_argument("--problems", default="")
    parser.add_argument("--label", default="", help="name of bayes in the file")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", type=Path, nargs="+")
    parser.add_argument("--focus", default="bayes")
    options = parser.parse_args()
    if options.report:
        print("\n".join(report(options.report, options.focus, [10, 25, options.trials])))
        return
    halves = {"": PROBLEMS, "tuned": TUNED, "held-out": HELD_OUT}
    names = list(halves.get(options.problems, options.problems.split(",")))
    done = set()
    if options.out.exists():
        for line in lines_of(options.out):
            each = json.loads(line)
            done.add((each["sampler"], each["problem"], each["seed"]))
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for name in names:
            for sampler in options.samplers.split(","):
                label = options.label if options.label and sampler == "bayes" else sampler
                if (label, name, seed) in done:
                    continue
                result = run(sampler, name, seed, options.trials)
                record = {"sampler": label, "problem": name, "seed": seed} | result
                with options.out.open("a") as file:
                    file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
