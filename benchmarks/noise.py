"""What is recommended after a search under strong noise, and how good it really is.

    OMP_NUM_THREADS=1 python benchmarks/noise.py --seeds 20 --first 100 --out noise.jsonl
    python benchmarks/noise.py --report noise.jsonl

Five functions with noise, by default half as large as the spread of random configurations. By
`--noise 0 --bad 0.1`, a tenth of the evaluations is as bad as the worst random one instead. The
report has the mean regret of the true value, without noise, of what a search recommends, relative
to that of the median random configuration, and its standard error. The searches, of equally many
evaluations:

- random, CMA-ES, bayes: a score for each configuration; recommended is that of the best score, of
  CMA-ES also the mean of its distribution, of bayes also what `Optimizer.recommend` says.
- three: bayes with three replicates of each configuration.
- race: bayes with half of the evaluations, then replicates of what may still be best, up to five.
- one decision: bayes, in which each evaluation is a new configuration or a replicate, whichever has
  the larger augmented expected improvement (Huang, Allen, Notz & Zeng, Global optimization of
  stochastic black-box systems via sequential kriging meta-models, J. Global Optim. 2006).
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from statistics import fmean, median, pstdev, stdev
from typing import Any, Final

import cmaes
import numpy as np
from contender import lines_of

from pytest_hypersearch import uniform
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.samplers import Observation, Optimizer
from pytest_hypersearch.search.gp import GP
from pytest_hypersearch.search.gp.acquisition import LogEI
from pytest_hypersearch.search.gp.cache import history_of, surrogate_of
from pytest_hypersearch.stats.racing import raced_out

Point = Mapping[str, float]
SAMPLE: Final = 2000


def branin(p: Point) -> float:
    """Three equal valleys in two dimensions; Branin 1972."""
    x, y = 15 * p["a"] - 5, 15 * p["b"]
    valley = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def rosenbrock(p: Point) -> float:
    """A bent valley in three dimensions; Rosenbrock 1960."""
    v = [4 * p[name] - 2 for name in "abc"]
    return sum(100 * (after - v**2) ** 2 + (1 - v) ** 2 for v, after in pairwise(v))


_RATES: Final = ((3, 10, 30), (0.1, 10, 35), (3, 10, 30), (0.1, 10, 35))
_CENTRES: Final = (
    (0.3689, 0.1170, 0.2673),
    (0.4699, 0.4387, 0.7470),
    (0.1091, 0.8732, 0.5547),
    (0.0381, 0.5743, 0.8828),
)


def hartmann(p: Point) -> float:
    """Four hills of different height in three dimensions; Hartman 1973."""
    x = [p[name] for name in "abc"]
    hills = zip((1.0, 1.2, 3.0, 3.2), _RATES, _CENTRES, strict=True)
    return -sum(
        height * math.exp(-sum(r * (v - c) ** 2 for r, v, c in zip(rates, x, centre, strict=True)))
        for height, rates, centre in hills
    )


def sphere(p: Point) -> float:
    """A bowl in five dimensions."""
    return sum((p[name] - 0.3) ** 2 for name in "abcde")


def ackley(p: Point) -> float:
    """A funnel with many dents in three dimensions; Ackley 1987."""
    v = [10 * p[name] - 4 for name in "abc"]
    far = math.exp(-0.2 * math.sqrt(sum(x * x for x in v) / 3))
    return -20 * far - math.exp(sum(math.cos(2 * math.pi * x) for x in v) / 3) + 20 + math.e


@dataclass(frozen=True, slots=True)
class Problem:
    """A function of parameters from 0 to 1, and its minimum."""

    function: Callable[[Point], float]
    names: str
    least: float

    def random_scores(self) -> list[float]:
        """Scores of random configurations."""
        draws = random.Random(0)
        points = ({name: draws.random() for name in self.names} for _ in range(SAMPLE))
        return [self.function(point) for point in points]


PROBLEMS: Final = (
    Problem(branin, "ab", 0.397887),
    Problem(rosenbrock, "abc", 0.0),
    Problem(hartmann, "abc", -3.86278),
    Problem(sphere, "abcde", 0.0),
    Problem(ackley, "abc", 0.0),
)


Measure = Callable[[Point], float]
Recommended = dict[str, Point]
_PLANNED: Final = 5  # replicates of a race
_FIRST: Final = 6  # evaluations before the first decision
_FLOOR: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Run:
    """A search of a problem.

    Attributes:
        names: The parameters.
        seed: Of the search.
        budget: How many evaluations there are.
        measure: The score with noise.
    """

    names: str
    seed: int
    budget: int
    measure: Measure

    def optimizer(self, strategy: str = "bayes") -> Optimizer:
        """Return an optimizer of the space."""
        space = {name: uniform(0, 1) for name in self.names}
        return Optimizer(space, strategy, seed=self.seed)

    def tell(self, optimizer: Optimizer, params: Point) -> float:
        """Evaluate a configuration, and return its score."""
        score = self.measure(params)
        optimizer.tell(params, score)
        return score


def at_random(run: Run) -> Recommended:
    """Random configurations."""
    optimizer = run.optimizer("random")
    for _ in range(run.budget):
        run.tell(optimizer, optimizer.ask())
    return {"random": optimizer.best.params}


def by_cma(run: Run) -> Recommended:
    """CMA-ES from the centre, with the initial step of Optuna's sampler."""
    size = len(run.names)
    bounds = np.tile([0.0, 1.0], (size, 1))
    search = cmaes.CMA(np.full(size, 0.5), 1 / 6, bounds=bounds, seed=run.seed + 1)
    told: list[tuple[float, Point]] = []
    while len(told) < run.budget:
        generation = []
        for _ in range(min(search.population_size, run.budget - len(told))):
            x = search.ask()
            params = dict(zip(run.names, x.tolist(), strict=True))
            told.append((run.measure(params), params))
            generation.append((x, told[-1][0]))
        if len(generation) == search.population_size:
            search.tell(generation)
    mean = np.clip(search.mean, 0.0, 1.0).tolist()
    return {
        "CMA-ES, best": min(told, key=itemgetter(0))[1],
        "CMA-ES, mean": dict(zip(run.names, mean, strict=True)),
    }


def by_bayes(run: Run) -> Recommended:
    """New configurations only."""
    optimizer = run.optimizer()
    for _ in range(run.budget):
        run.tell(optimizer, optimizer.ask())
    return {"bayes, best": optimizer.best.params, "bayes": optimizer.recommend().params}


def three_each(run: Run) -> Recommended:
    """Three replicates of each configuration."""
    optimizer = run.optimizer()
    for _ in range(run.budget // 3):
        params = optimizer.ask()
        for _ in range(3):
            run.tell(optimizer, params)
    return {"three": optimizer.recommend().params}


def by_race(run: Run) -> Recommended:
    """Half of the evaluations for configurations, then a race; what it leaves, for new ones."""
    optimizer = run.optimizer()
    params: list[Point] = []
    scores: dict[int, list[float]] = {}
    for number in range(run.budget // 2):
        params.append(optimizer.ask())
        scores[number] = [run.tell(optimizer, params[number])]
    left = run.budget - len(params)
    for replicate in range(1, _PLANNED):
        out = raced_out(scores, replicate=replicate, planned=_PLANNED)
        racing = [number for number in scores if number not in out][:left]
        scores = {n: [*scores[n], run.tell(optimizer, params[n])] for n in racing}
        left -= len(racing)
    for _ in range(left):
        run.tell(optimizer, optimizer.ask())
    return {"race": optimizer.recommend().params}


def decided(run: Run) -> Recommended:
    """A new configuration or a replicate, by augmented expected improvement."""
    space = Space(({name: uniform(0, 1) for name in run.names},))
    sampler, told = GP(), list[Observation]()
    for number in range(run.budget):
        config = sampler.suggest(space, seed=run.seed, index=len(told), history=told)
        again = _replicate(space, told, config) if number >= _FIRST else None
        if again is None:
            scores = (run.measure(config),)
            told.append(Observation(len(told), config, State.COMPLETE, scores))
        else:
            scores = (*told[again].scores, run.measure(told[again].params))
            told[again] = replace(told[again], scores=scores)
    return {"one decision": told[sampler.recommend(space, told)].params}


def _replicate(space: Space, told: list[Observation], config: Point) -> int | None:
    """Return which finished configuration is worth more than a new one, None if that is better."""
    history = history_of(space, told)
    surrogate = surrogate_of(history, ())
    if surrogate is None:
        return None
    posterior = surrogate.finished
    X = np.vstack([history.table.X, history.encoding.row(0, dict(config))])
    sigma, noise = posterior.predict(X)[1], posterior.factor.kernel.hyper.noise_variance
    value = LogEI(posterior, float(surrogate.expected.min())).value(X)
    value += np.log1p(-np.sqrt(noise / (sigma**2 + noise)))
    largest = int(np.argmax(value))
    return None if largest == len(told) else largest


SEARCHES: Final = (at_random, by_cma, by_bayes, three_each, by_race, decided)


def regrets(problem: Problem, seed: int, budget: int, noise: float, bad: float) -> dict[str, float]:
    """Return the relative regret of what each search recommends."""
    scores = problem.random_scores()
    scale, sd = median(scores) - problem.least, noise * pstdev(scores)
    reached = {}
    for search in SEARCHES:
        luck = random.Random(seed)

        def measure(params: Point, luck: random.Random = luck) -> float:
            if bad and luck.random() < bad:
                return max(scores)
            return problem.function(params) + luck.gauss(0.0, sd)

        chosen = search(Run(problem.names, seed, budget, measure))
        for name, params in chosen.items():
            reached[name] = round((problem.function(params) - problem.least) / scale, 5)
    return reached


def report(path: Path) -> Iterator[str]:
    """Yield a table of mean regrets, and one of the differences from bayes."""
    runs = [json.loads(line) for line in lines_of(path)]
    names = list(runs[0]["regret"])
    yield f"| evaluations | function | {' | '.join(names)} |"
    yield "|--:|---|" + "--:|" * len(names)
    for budget in sorted({run["budget"] for run in runs}):
        chosen = [run for run in runs if run["budget"] == budget]
        for function in dict.fromkeys(run["function"] for run in chosen):
            own = [run["regret"] for run in chosen if run["function"] == function]
            cells = [_mean([each[name] for each in own], ".3f") for name in names]
            yield f"| {budget} | {function} | {' | '.join(cells)} |"
        logs = {
            name: [math.log10(max(run["regret"][name], _FLOOR)) for run in chosen] for name in names
        }
        less = {
            name: [a - b for a, b in zip(logs[name], logs["bayes"], strict=True)] for name in names
        }
        cells = [_mean(less[name], "+.2f") for name in names]
        yield f"| {budget} | log10, less bayes | {' | '.join(cells)} |"


def _mean(numbers: list[float], form: str) -> str:
    """Return the mean and its standard error."""
    return f"{fmean(numbers):{form}} ({stdev(numbers) / len(numbers) ** 0.5:.3f})"


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--budgets", type=int, nargs="+", default=[15, 30, 60])
    parser.add_argument("--noise", type=float, default=0.5, help="in spreads of random scores")
    parser.add_argument("--bad", type=float, default=0.0, help="share of evaluations that go wrong")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    if given.report:
        print("\n".join(report(given.report)))
        return
    for seed in range(given.first, given.first + given.seeds):
        for problem in PROBLEMS:
            for budget in given.budgets:
                record: dict[str, Any] = {
                    "function": problem.function.__name__,
                    "seed": seed,
                    "budget": budget,
                }
                record["regret"] = regrets(problem, seed, budget, given.noise, given.bad)
                with given.out.open("a") as file:
                    file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
