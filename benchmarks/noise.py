"""What is recommended after a search under strong noise, and how good it really is.

    python benchmarks/noise.py [--seeds 20] [--first 100] [--trials 60] [--noise 0.5]

Five functions with noise, by default half as large as the spread of random configurations. Prints
the mean regret of the true value, without noise, of what each search says is best, relative to that
of the median random configuration, and its standard error:

- random, best observed; bayes, best observed: the configuration of the best score.
- bayes, recommended: `Optimizer.recommend`, by the mean of the model.
- differs: how often the latter two are not the same.
"""

from __future__ import annotations

import argparse
import math
import platform
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, pstdev, stdev
from typing import Final

from pytest_hypersearch import uniform
from pytest_hypersearch.samplers import Optimizer

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

    def searched(self, strategy: str, seed: int, trials: int, sd: float) -> Optimizer:
        """Search with normal noise of a standard deviation."""
        space = {name: uniform(0, 1) for name in self.names}
        optimizer, noise = Optimizer(space, strategy, seed=seed), random.Random(seed)
        for _ in range(trials):
            params = optimizer.ask()
            optimizer.tell(params, self.function(params) + noise.gauss(0.0, sd))
        return optimizer


PROBLEMS: Final = (
    Problem(branin, "ab", 0.397887),
    Problem(rosenbrock, "abc", 0.0),
    Problem(hartmann, "abc", -3.86278),
    Problem(sphere, "abcde", 0.0),
    Problem(ackley, "abc", 0.0),
)


def main() -> None:
    """Print a row for each function."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--noise", type=float, default=0.5, help="in spreads of random scores")
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, {given.trials} trials, {given.seeds} seeds\n")
    print("| function | random, best observed | bayes, best observed | recommended | differs |")
    print("|---|--:|--:|--:|--:|")
    for problem in PROBLEMS:
        scores = problem.random_scores()
        scale, sd = median(scores) - problem.least, given.noise * pstdev(scores)
        regrets: dict[str, list[float]] = {"random": [], "best": [], "recommended": []}
        differs = 0
        for seed in range(given.first, given.first + given.seeds):
            aside = problem.searched("random", seed, given.trials, sd)
            own = problem.searched("bayes", seed, given.trials, sd)
            chosen = {"random": aside.best, "best": own.best, "recommended": own.recommend()}
            for way, configuration in chosen.items():
                if configuration is not None:
                    true = problem.function(configuration.params)
                    regrets[way].append((true - problem.least) / scale)
            differs += chosen["best"] != chosen["recommended"]
        cells = " | ".join(
            f"{fmean(own):.3f} ({stdev(own) / len(own) ** 0.5:.3f})" for own in regrets.values()
        )
        name, share = problem.function.__name__, differs / given.seeds
        print(f"| {name} | {cells} | {share:.0%} |", flush=True)


if __name__ == "__main__":
    main()
