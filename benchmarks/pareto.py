"""Volume that Pareto fronts dominate: bayes beside Optuna's samplers of several objectives.

OMP_NUM_THREADS=1 python benchmarks/pareto.py --seeds 10 --trials 60
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import optuna

from pytest_hypersearch import uniform
from pytest_hypersearch.samplers import Optimizer

Scores: TypeAlias = tuple[float, ...]
Objective: TypeAlias = Callable[[Sequence[float]], Scores]


def zdt1(x: Sequence[float]) -> Scores:
    """Convex front (Zitzler, Deb & Thiele 2000)."""
    g = 1.0 + 9.0 * sum(x[1:]) / (len(x) - 1)
    return x[0], g - math.sqrt(x[0] * g)


def zdt2(x: Sequence[float]) -> Scores:
    """Concave front."""
    g = 1.0 + 9.0 * sum(x[1:]) / (len(x) - 1)
    return x[0], g - x[0] * x[0] / g


def branin_currin(x: Sequence[float]) -> Scores:
    """Two unlike functions (Belakaria, Deshwal & Doppa, NeurIPS 2019)."""
    a, b = 15.0 * x[0] - 5.0, 15.0 * x[1]
    bowl = b - 5.1 / (4 * math.pi**2) * a * a + 5.0 / math.pi * a - 6.0
    branin = bowl**2 + 10.0 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10.0
    decay = 1.0 - math.exp(-0.5 / x[1]) if x[1] > 0 else 1.0
    ratio = (2300 * x[0] ** 3 + 1900 * x[0] ** 2 + 2092 * x[0] + 60) / (
        100 * x[0] ** 3 + 500 * x[0] ** 2 + 4 * x[0] + 20
    )
    return branin, decay * ratio


def zdt3(x: Sequence[float]) -> Scores:
    """Front in five parts."""
    g = 1.0 + 9.0 * sum(x[1:]) / (len(x) - 1)
    return x[0], g - math.sqrt(x[0] * g) - x[0] * math.sin(10 * math.pi * x[0])


def zdt4(x: Sequence[float]) -> Scores:
    """Convex front, very many local ones; the optimum of the other parameters is in the middle."""
    tail = [10.0 * each - 5.0 for each in x[1:]]
    g = 1.0 + sum(10.0 + z * z - 10.0 * math.cos(4.0 * math.pi * z) for z in tail)
    return x[0], g - math.sqrt(x[0] * g)


def zdt6(x: Sequence[float]) -> Scores:
    """Concave front, few of whose points are easily met."""
    first = 1.0 - math.exp(-4.0 * x[0]) * math.sin(6 * math.pi * x[0]) ** 6
    g = 1.0 + 9.0 * (sum(x[1:]) / (len(x) - 1)) ** 0.25
    return first, g - first * first / g


def kursawe(x: Sequence[float]) -> Scores:
    """Front in parts, many local ones (Kursawe, PPSN 1990)."""
    z = [10.0 * each - 5.0 for each in x]
    first = sum(-10.0 * math.exp(-0.2 * math.hypot(a, b)) for a, b in pairwise(z))
    return first, sum(abs(a) ** 0.8 + 5.0 * math.sin(a**3) for a in z)


def fonseca(x: Sequence[float]) -> Scores:
    """Concave front on a line through the space (Fonseca & Fleming, 1995)."""
    z, end = [8.0 * each - 4.0 for each in x], 1.0 / math.sqrt(len(x))
    first, second = (1.0 - math.exp(-sum((a + s * end) ** 2 for a in z)) for s in (-1, 1))
    return first, second


def dtlz1(x: Sequence[float]) -> Scores:
    """Plane front, very many local ones (Deb, Thiele, Laumanns & Zitzler, 2005)."""
    tail = [each - 0.5 for each in x[2:]]
    g = 100.0 * (len(tail) + sum(z * z - math.cos(20.0 * math.pi * z) for z in tail))
    half = 0.5 * (1.0 + g)
    return half * x[0] * x[1], half * x[0] * (1.0 - x[1]), half * (1.0 - x[0])


def dtlz2(x: Sequence[float]) -> Scores:
    """Front on a sphere."""
    radius = 1.0 + sum((each - 0.5) ** 2 for each in x[2:])
    a, b = 0.5 * math.pi * x[0], 0.5 * math.pi * x[1]
    return (
        radius * math.cos(a) * math.cos(b),
        radius * math.cos(a) * math.sin(b),
        radius * math.sin(a),
    )


def dtlz3(x: Sequence[float]) -> Scores:
    """Front on a sphere, very many local ones."""
    tail = [each - 0.5 for each in x[2:]]
    g = 100.0 * (len(tail) + sum(z * z - math.cos(20.0 * math.pi * z) for z in tail))
    first, second, third = dtlz2([*x[:2], *([0.5] * len(tail))])
    return (1.0 + g) * first, (1.0 + g) * second, (1.0 + g) * third


def dtlz7(x: Sequence[float]) -> Scores:
    """Front in four parts."""
    g = 1.0 + 9.0 * sum(x[2:]) / (len(x) - 2)
    rest = sum(each / (1.0 + g) * (1.0 + math.sin(3.0 * math.pi * each)) for each in x[:2])
    return x[0], x[1], (1.0 + g) * (3.0 - rest)


PROBLEMS: dict[str, tuple[Objective, int, Scores]] = {  # objective, parameters, reference point
    "zdt1": (zdt1, 5, (1.1, 1.1)),
    "zdt2": (zdt2, 5, (1.1, 1.1)),
    "branin-currin": (branin_currin, 2, (18.0, 6.0)),
    "zdt3": (zdt3, 5, (1.1, 6.0)),
    "zdt4": (zdt4, 5, (1.1, 100.0)),
    "zdt6": (zdt6, 4, (1.1, 8.0)),
    "kursawe": (kursawe, 3, (-4.0, 5.0)),
    "fonseca": (fonseca, 4, (1.0, 1.0)),
    "dtlz1": (dtlz1, 6, (400.0, 400.0, 400.0)),
    "dtlz2": (dtlz2, 6, (1.1, 1.1, 1.1)),
    "dtlz3": (dtlz3, 6, (600.0, 600.0, 600.0)),
    "dtlz7": (dtlz7, 6, (1.1, 1.1, 15.0)),
}


SAMPLERS = ["bayes", "TPESampler", "NSGAIISampler", "RandomSampler"]


def moved(objective: Objective, first: int, distance: float) -> Objective:
    """Return the objective with the optimum of all parameters but the first ones moved."""
    return lambda x: objective([*x[:first], *(abs(each - distance) for each in x[first:])])


def volume(points: Sequence[Scores], reference: Scores) -> float:
    """Return the volume below the reference point that points dominate."""
    inside = sorted(
        {p for p in points if all(map(float.__lt__, p, reference))}, key=lambda p: p[-1]
    )
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - inside[0][0]
    ends = [*(p[-1] for p in inside[1:]), reference[-1]]
    return sum(
        (end - p[-1]) * volume([q[:-1] for q in inside[: i + 1]], reference[:-1])
        for i, (p, end) in enumerate(zip(inside, ends, strict=True))
        if end > p[-1]
    )


def ours(objective: Objective, sizes: tuple[int, int], seed: int, trials: int) -> Iterator[Scores]:
    """Yield the scores of our proposals."""
    size, metrics = sizes
    space = {f"x{i}": uniform(0, 1) for i in range(size)}
    optimizer = Optimizer(space, seed=seed, mode=["min"] * metrics)
    for _ in range(trials):
        params = optimizer.ask()
        scores = objective([params[name] for name in space])
        optimizer.tell(params, scores)
        yield scores


def peer(
    name: str, objective: Objective, sizes: tuple[int, int], seed: int, trials: int
) -> Iterator[Scores]:
    """Yield the scores of the proposals of a sampler of Optuna's."""
    size, metrics = sizes
    sampler = getattr(optuna.samplers, name)(seed=seed)
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * metrics)
    for _ in range(trials):
        trial = study.ask()
        scores = objective([trial.suggest_float(f"x{i}", 0, 1) for i in range(size)])
        study.tell(trial, scores)
        yield scores


def main() -> None:
    """Print mean and standard error of the volume after some of the trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--moved", type=float, default=0.0, help="distance of the optimum")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    names = given.samplers
    at = [given.trials // 3, given.trials]
    print("| problem | trials |", " | ".join(names), "|\n|---|--:|" + "--:|" * len(names))
    for problem in given.problems:
        objective, size, reference = PROBLEMS[problem]
        objective = moved(objective, len(reference) - 1, given.moved)
        sizes = size, len(reference)
        cells: dict[int, list[str]] = {count: [] for count in at}
        for name in names:
            runs = [
                list(
                    ours(objective, sizes, seed, given.trials)
                    if name == "bayes"
                    else peer(name, objective, sizes, seed, given.trials)
                )
                for seed in range(given.first, given.first + given.seeds)
            ]
            for count in at:
                volumes = [volume(run[:count], reference) for run in runs]
                error = np.std(volumes, ddof=1) / math.sqrt(given.seeds)
                cells[count].append(f"{np.mean(volumes):.3f} +- {error:.3f}")
        for count in at:
            print(f"| {problem} | {count} |", " | ".join(cells[count]), "|", flush=True)


if __name__ == "__main__":
    main()
