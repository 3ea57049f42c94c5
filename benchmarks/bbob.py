"""Regret on COCO's bbob functions: the bayes sampler beside nevergrad's NGOpt and Optuna's.

    OMP_NUM_THREADS=1 python benchmarks/bbob.py --samplers bayes,NGOpt --dimensions 2,3,5 \
        --instances 1,2 --out bbob.jsonl
    python benchmarks/bbob.py --report bbob.jsonl

Needs coco-experiment and nevergrad. Runs are appended to
the file, and those that it has are not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import cocoex
import numpy as np
from contender import Contender, lines_of

_FLOOR = 1e-6
_TIE = 0.1  # in log10 regret
_RESAMPLED = 4000


Evaluate: TypeAlias = Callable[[Callable[[Any], float], int, int, int, int], None]


def bayes(f: Callable[[Any], float], d: int, seed: int, budget: int, evaluations: int) -> None:  # noqa: ARG001  as a peer's
    """Evaluate the bayes sampler's proposals."""
    contender = Contender({f"x{i}": ("float", -5.0, 5.0, False) for i in range(d)}, seed)
    for _ in range(evaluations):
        params = contender.ask()
        contender.tell(params, f([params[f"x{i}"] for i in range(d)]))


def peer(name: str) -> Evaluate:
    """Return a peer's run: a sampler of Optuna's, or an optimizer of nevergrad's."""

    def evaluate(
        f: Callable[[Any], float], d: int, seed: int, budget: int, evaluations: int
    ) -> None:
        if name.endswith("Sampler"):
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            study = optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=seed))
            study.optimize(
                lambda t: f([t.suggest_float(f"x{i}", -5, 5) for i in range(d)]), evaluations
            )
            return
        import nevergrad

        space = nevergrad.p.Array(shape=(d,)).set_bounds(-5.0, 5.0)
        space.random_state.seed(seed)
        optimizer = nevergrad.optimizers.registry[name](space, budget=budget)
        for _ in range(evaluations):
            asked = optimizer.ask()
            optimizer.tell(asked, f(asked.value))

    return evaluate


def run(sampler: str, problem: Any, seed: int, budget: int, evaluations: int) -> list[float]:
    """Return log10 of the best value so far less the optimum, after each evaluation."""
    optimum = _optimum(problem)
    reached: list[float] = []

    def f(x: Any) -> float:
        value = float(problem(np.clip(np.asarray(x, float), -5.0, 5.0)))
        reached.append(min([value - optimum, *reached[-1:]]))
        return value

    evaluate = bayes if sampler == "bayes" else peer(sampler)
    evaluate(f, problem.dimension, seed, budget, evaluations)
    return [round(math.log10(max(v, _FLOOR)), 4) for v in reached]


def _optimum(problem: Any) -> float:
    with TemporaryDirectory() as directory, chdir(directory):
        problem._best_parameter("print")  # noqa: SLF001  writes a file; there is no other way
        return float(problem(np.loadtxt("._bbob_problem_best_parameter.txt")))


def report(paths: list[Path], focus: str) -> Iterator[str]:
    """Yield a table of the focus against each other, by dimension and share of the budget."""
    runs: dict[str, dict[tuple[int, int, int], list[float]]] = defaultdict(dict)
    for line in (line for path in paths for line in lines_of(path)):
        each = json.loads(line)
        runs[each["sampler"]][each["function"], each["d"], each["instance"]] = each["log10"]
    rng = np.random.default_rng(0)
    yield "| against | dimensions | share of the budget | difference | wins / ties / losses |"
    yield "|---|---|---|--:|---|"
    for other in sorted(set(runs) - {focus}):
        keys = [key for key in runs[focus] if key in runs[other]]
        dimensions = sorted({d for _, d, _ in keys})
        for chosen in (*([d] for d in dimensions), dimensions):
            for share in (0.25, 0.5, 1.0):
                groups = defaultdict(list)
                for key in (key for key in keys if key[1] in chosen):
                    at = round(share * len(runs[focus][key])) - 1
                    groups[key[0]].append(runs[focus][key][at] - runs[other][key][at])
                samples = [np.array(group) for group in groups.values()]
                flat = np.concatenate(samples)
                means = np.array([sample.mean() for sample in samples])
                resampled = rng.choice(means, (_RESAMPLED, len(means))).mean(axis=1)
                low, high = np.percentile(resampled, [2.5, 97.5])
                wins, losses = (flat < -_TIE).sum(), (flat > _TIE).sum()
                name = ", ".join(map(str, chosen))
                yield (
                    f"| {other} | {name} | {share} | {flat.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
                    f" | {wins} / {len(flat) - wins - losses} / {losses} |"
                )


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samplers", default="bayes,NGOpt")
    parser.add_argument("--dimensions", default="2,3,5")
    parser.add_argument("--instances", default="1,2")
    parser.add_argument("--functions", default="1-24")
    parser.add_argument("--budget", type=int, default=20, help="evaluations a dimension")
    parser.add_argument("--share", type=float, default=1.0, help="of the budget, then stop")
    parser.add_argument("--label", default="", help="name of bayes in the file")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", type=Path, nargs="+")
    parser.add_argument("--focus", default="bayes")
    options = parser.parse_args()
    if options.report:
        print("\n".join(report(options.report, options.focus)))
        return
    warnings.simplefilter("ignore")
    done = set()
    if options.out.exists():
        for line in lines_of(options.out):
            each = json.loads(line)
            done.add((each["sampler"], each["function"], each["d"], each["instance"]))
    suite = cocoex.Suite(
        "bbob",
        f"instances:{options.instances}",
        f"dimensions:{options.dimensions} function_indices:{options.functions}",
    )
    for problem in suite:
        for sampler in options.samplers.split(","):
            label = options.label if options.label and sampler == "bayes" else sampler
            key = (label, problem.id_function, problem.dimension, problem.id_instance)
            if key in done:
                continue
            record = dict(zip(("sampler", "function", "d", "instance"), key, strict=True))
            budget = options.budget * problem.dimension
            evaluations = round(options.share * budget)
            record["log10"] = run(sampler, problem, problem.id_instance, budget, evaluations)
            with options.out.open("a") as file:
                file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
