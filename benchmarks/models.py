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
TRIALS = 50  # after which scores on other folds are taken
LATER = (60, 75, 100, 150, 200)
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


Make: TypeAlias = Callable[[list[Branch], int, int], Any]


def _optuna(kind: Any, **options: Any) -> Make:
    return lambda space, seed, _: Optuna(lambda s: kind(seed=s, **options), space, seed)


def _ngopt(space: list[Branch], seed: int, trials: int) -> Any:
    import ngopt
    from smac_facade import WORSE_THAN_CHANCE

    return ngopt.Contender(space, seed, n_trials=trials, failure=WORSE_THAN_CHANCE)


def _smac(space: list[Branch], seed: int, trials: int) -> Any:
    import smac_facade

    return smac_facade.Contender(space, seed, trials)


SAMPLERS: dict[str, Make] = {
    "bayes": lambda space, seed, _: Contender(space, seed),
    "tpe": _optuna(optuna.samplers.TPESampler),
    "random": _optuna(optuna.samplers.RandomSampler),
    "gpsampler": _optuna(optuna.samplers.GPSampler),
    "ngopt": _ngopt,
    "smac": _smac,
}


def run(sampler: str, name: str, seed: int, trials: int) -> dict[str, Any]:
    """Return the true scores of the incumbents and of what is recommended, and all scores told."""
    problem = PROBLEMS[name]
    contender = SAMPLERS[sampler](problem.branches, seed, trials)
    told, incumbents, recommended, cpu = [], [], [], 0.0
    best, true, incumbent = math.inf, math.nan, None
    chosen, expected, elsewhere = None, math.nan, list[float]()
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
            best, true, incumbent = value, problem.true(params), params
        incumbents.append(true)
        if hasattr(contender, "recommend"):
            choice = contender.recommend()
            if choice is not chosen:
                chosen, expected = choice, problem.true(choice)
            recommended.append(true if chosen is None else expected)
        if number + 1 == TRIALS and not problem.noisy:
            reported = [each for each in (incumbent, chosen) if each is not None]
            elsewhere = [problem.elsewhere(each) for each in reported]
    curves = {
        "told": told,
        "true": incumbents,
        "recommended": recommended,
        "elsewhere": elsewhere,
    }
    rounded = {name: [_rounded(v) for v in curve] for name, curve in curves.items() if curve}
    return {**rounded, "cpu": round(cpu, 2)}


def _fold(problem: Problem, name: str, seed: int, number: int) -> int:
    digest = blake2b(f"{name}/{seed}/{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % FOLDS if problem.noisy else 0


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def loaded(paths: list[Path]) -> tuple[list[dict[str, Any]], dict[str, tuple[float, float]]]:
    """Return the runs, and by problem the best known score and how far random trials are from it.

    That is the distance of their median.
    """
    runs = [json.loads(line) for path in paths for line in lines_of(path)]
    best: dict[str, float] = defaultdict(lambda: math.inf)
    random = defaultdict(list)
    for each in runs:
        known = (v for v in (*each["true"], *each.get("recommended", ())) if v is not None)
        best[each["problem"]] = min([best[each["problem"]], *known])
        if each["sampler"] == "random":
            random[each["problem"]] += [v for v in each["told"] if v is not None]
    return runs, {name: (low, float(np.median(random[name])) - low) for name, low in best.items()}


def regrets(
    runs: list[dict[str, Any]], scales: dict[str, tuple[float, float]], floor: float
) -> dict[str, Curves]:
    """Return log10 regret after each trial by sampler, problem and seed."""
    curves: dict[str, Curves] = defaultdict(dict)
    for each in runs:
        low, spread = scales[each["problem"]]
        for label, name in (("", "true"), (", by its model", "recommended")):
            values = [1.0 if v is None else (v - low) / spread for v in each.get(name, [])]
            if values:
                logs = [math.log10(min(max(v, floor), 1.0)) for v in values]
                curves[each["sampler"] + label][each["problem"], each["seed"]] = logs
    return curves


def report(paths: list[Path], focus: str, checkpoints: list[int], floor: float) -> Iterator[str]:
    """Yield the lines of tables of the focus against each other sampler."""
    runs, scales = loaded(paths)
    curves = regrets(runs, scales, floor)
    for half, problems in (("tuned on", TUNED), ("held out", HELD_OUT), ("all", PROBLEMS)):
        yield f"\n{half}: {len(problems)} spaces\n"
        columns = "".join(f" at {t} | wins / ties / losses |" for t in checkpoints)
        yield f"| against | pairs |{columns}"
        yield "|---|--:|" + "--:|---|" * len(checkpoints)
        for other in sorted(set(curves) - {focus}):
            keys = [k for k in curves[focus] if k in curves[other] and k[0] in problems]
            cells = [_compared(curves[focus], curves[other], keys, t, t) for t in checkpoints]
            yield f"| {other} | {len(keys)} |{''.join(cells)}"
    yield from _with_more_trials(curves, focus, checkpoints[-1])
    yield from _elsewhere(runs, scales, focus)
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


def _with_more_trials(curves: dict[str, Curves], focus: str, trials: int) -> Iterator[str]:
    """Yield a table of the focus against samplers that have more trials, held-out spaces only."""
    yield f"\nheld out: {focus} after {trials} trials, others after more\n"
    yield "| against | its trials | pairs | difference | wins / ties / losses |"
    yield "|---|--:|--:|--:|---|"
    for other in sorted(curves):
        for more in LATER:
            keys = [
                k
                for k in curves[focus]
                if k[0] in HELD_OUT and len(curves[other].get(k, ())) >= more
            ]
            if keys:
                cells = _compared(curves[focus], curves[other], keys, trials, more)
                yield f"| {other} | {more} | {len(keys)} |{cells}"


def _elsewhere(
    runs: list[dict[str, Any]], scales: dict[str, tuple[float, float]], focus: str
) -> Iterator[str]:
    """Yield a table of scores on folds that nothing was told of, in percent of the scale."""
    reached: dict[str, Curves] = defaultdict(dict)
    for each in runs:
        spread = scales[each["problem"]][1]
        scores = [100.0 if v is None else 100.0 * v / spread for v in each.get("elsewhere", ())]
        for label, score in zip(("", ", by its model"), scores, strict=False):
            reached[each["sampler"] + label][each["problem"], each["seed"]] = [score]
    yield "\non other folds, spaces without noise, percent of the median of random trials\n"
    yield "| half | against | pairs | difference | wins / ties / losses |\n|---|---|--:|--:|---|"
    for half, problems in (("tuned on", TUNED), ("held out", HELD_OUT), ("all", PROBLEMS)):
        for other in sorted(set(reached) - {focus}):
            keys = [k for k in reached[focus] if k in reached[other] and k[0] in problems]
            cells = _compared(reached[focus], reached[other], keys, 1, 1)
            yield f"| {half} | {other} | {len(keys)} |{cells}"


def _compared(
    ours: Curves, other: Curves, keys: list[tuple[str, int]], trials: int, its_trials: int
) -> str:
    """Return the mean difference over problems with a 95% interval, and wins, ties and losses."""
    groups = defaultdict(list)
    for key in keys:
        groups[key[0]].append(ours[key][trials - 1] - other[key][its_trials - 1])
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
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", type=Path, nargs="+")
    parser.add_argument("--focus", default="bayes")
    parser.add_argument("--floor", type=float, default=FLOOR)
    options = parser.parse_args()
    if options.report:
        checkpoints = [10, 25, options.trials]
        print("\n".join(report(options.report, options.focus, checkpoints, options.floor)))
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
