"""What a race costs and what it loses, and whether the summary's sets contain the best.

    python benchmarks/racing.py noises [--races 1000] [--seed 0] [NOISE ...]
    python benchmarks/racing.py problems [--races 400] [--replicates 10] [--seed 0] [PROBLEM ...]

Every race draws a table of scores, m configurations x replicates, whose expected scores are known.

``noises`` is about promises under noise that is not normal, see `NOISES`. Scores are
``quality + sqrt(share) * luck + sqrt(1 - share) * own``: normal qualities whose standard deviation
is the gap, luck common to the configurations of a replicate, and a noise of each trial's own.
Prints a row for each noise, numbers of configurations and replicates, and share. For each gap: how
often the race drops what all replicates would name, the share of trials that it runs, and how often
the truly best one is neither the best nor among those "not significantly worse": by all replicates,
and by those that the race ran.

``problems`` is about finding the best. Fixed replicates run the same number for every configuration
and name the lowest mean; the race names the lowest mean among those that ran all. All of them see
the same table. Prints one row a problem, in Markdown: how often the truly best one is named with
all replicates, with half of them, with as many as the race used on average, by the race; how often
the race drops what all replicates would have named; and the mean share of trials that it ran.
"""

from __future__ import annotations

import argparse
import platform
import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from pytest_hypersearch.stats.comparing import indistinct
from pytest_hypersearch.stats.racing import raced_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Problem = Callable[[Generator, int], tuple[Array, Array]]
    """Generator and replicates -> expected scores (m,) and scores (m, replicates)."""
    Noise = Callable[[Generator, tuple[int, int]], Array]
    """Generator and shape (m, replicates) -> noise."""

GAPS = (0.1, 0.5, 1.0, 3.0)
DESIGNS = tuple(product((12, 40), (5, 10)))
SHARES = (0.0, 0.5)
HEADER = """\
| problem | all | half | same cost | race | dropped | trials |
|---|--:|--:|--:|--:|--:|--:|"""


def gaussian(rng: Generator, shape: tuple[int, int]) -> Array:
    """Normal noise with a standard deviation of 1."""
    return rng.normal(size=shape)


def student(rng: Generator, shape: tuple[int, int]) -> Array:
    """Student's t distribution with 3 degrees of freedom, not scaled."""
    return rng.standard_t(3, shape)


def skewed(rng: Generator, shape: tuple[int, int]) -> Array:
    """Lognormal (sigma 0.8), less its mean and over its standard deviation: bad luck is far out."""
    noise = rng.lognormal(0, 0.8, shape)
    mean = np.exp(0.8**2 / 2)
    return (noise - mean) / (mean * np.sqrt(np.exp(0.8**2) - 1))


def diverged(rng: Generator, shape: tuple[int, int]) -> Array:
    """Normal, and one value in twenty is worse by 20."""
    return rng.normal(size=shape) + 20 * rng.binomial(1, 0.05, shape)


def shifted(rng: Generator, shape: tuple[int, int]) -> Array:
    """Normal, and one value in twenty is off by 10, for better or for worse alike."""
    sign = 2 * rng.binomial(1, 0.5, shape) - 1
    return rng.normal(size=shape) + 10 * sign * rng.binomial(1, 0.05, shape)


def mixed(rng: Generator, shape: tuple[int, int]) -> Array:
    """Normal, and one value in twenty has ten times the standard deviation."""
    return rng.normal(size=shape) * (1 + 9 * rng.binomial(1, 0.05, shape))


def uneven(rng: Generator, shape: tuple[int, int]) -> Array:
    """Normal, and every third configuration has four times the standard deviation."""
    noise = rng.normal(size=shape)
    if len(noise) > 1:
        noise[::3] *= 4
    return noise


NOISES: dict[str, Noise] = {
    "normal": gaussian,
    "t, 3 degrees": student,
    "skewed": skewed,
    "5% worse by 20": diverged,
    "5% off by 10": shifted,
    "5% ten times": mixed,
    "every third x 4": uneven,
}


def noisy(noise: Noise, m: int, *, gap: float, share: float) -> Problem:
    """Normal means, and noise of which a share is common to the configurations of a replicate."""

    def draw(rng: Generator, replicates: int) -> tuple[Array, Array]:
        means = rng.normal(0, gap, m)
        luck, own = noise(rng, (1, replicates)), noise(rng, (m, replicates))
        return means, means[:, None] + np.sqrt(share) * luck + np.sqrt(1 - share) * own

    return draw


def normal(m: int, *, gap: float, shared: float = 0.0, spread: float = 0.0) -> Problem:
    """Normal means and unit noise.

    Args:
        m: Number of configurations.
        gap: Standard deviation of the means.
        shared: Standard deviation of the luck that all configurations of a replicate share.
        spread: How far the logarithms of the noises' sizes differ between configurations.
    """

    def draw(rng: Generator, replicates: int) -> tuple[Array, Array]:
        means = rng.normal(0, gap, m)
        sizes = np.exp(rng.normal(0, spread, (m, 1)))
        luck = shared * rng.normal(size=replicates)
        return means, means[:, None] + luck + sizes * rng.normal(size=(m, replicates))

    return draw


def heavy_tails(m: int, *, gap: float) -> Problem:
    """Normal means, noise of Student's t distribution with 2.5 degrees of freedom."""

    def draw(rng: Generator, replicates: int) -> tuple[Array, Array]:
        means = rng.normal(0, gap, m)
        return means, means[:, None] + rng.standard_t(2.5, size=(m, replicates))

    return draw


def bad_seeds(m: int, *, gap: float) -> Problem:
    """Normal means and noise; one trial in twenty is worse by twenty times the noise."""

    def draw(rng: Generator, replicates: int) -> tuple[Array, Array]:
        means, scores = normal(m, gap=gap)(rng, replicates)
        return means, scores + 20 * rng.binomial(1, 0.05, scores.shape)

    return draw


def losses(m: int) -> Problem:
    """Positive losses, most near the best, whose noise grows with them."""

    def draw(rng: Generator, replicates: int) -> tuple[Array, Array]:
        lag = rng.exponential(1, m)
        means = 0.1 * (1 + lag)
        noise = 0.1 * means * (1 + lag)
        return means, means[:, None] + noise[:, None] * rng.normal(size=(m, replicates))

    return draw


def diverging(m: int, *, gap: float) -> Problem:
    """Normal means and noise, but three in ten are off by up to thirty orders of magnitude."""

    def draw(rng: Generator, replicates: int) -> tuple[Array, Array]:
        means, scores = normal(m, gap=gap)(rng, replicates)
        off = rng.binomial(1, 0.3, m) == 1
        sizes = rng.uniform(1, 30, (off.sum(), 1)) + rng.random((off.sum(), replicates))
        scores[off], means[off] = 10**sizes, np.inf
        return means, scores

    return draw


def error_rates(m: int, *, examples: int = 200) -> Problem:
    """Error rates on test sets of few examples; how hard these are is common to all."""

    def draw(rng: Generator, replicates: int) -> tuple[Array, Array]:
        thresholds = rng.normal(1.0, 0.3, m)
        hard = 0.8 * rng.normal(size=(replicates, examples))
        own = 0.6 * rng.normal(size=(m, replicates, examples))
        return -thresholds, (hard + own > thresholds[:, None, None]).mean(axis=2)

    return draw


def close_second(m: int, *, lag: float, others: float) -> Problem:
    """One best, one that is behind by ``lag``, and a field that is behind by ``others`` or more."""

    def draw(rng: Generator, replicates: int) -> tuple[Array, Array]:
        means = np.concatenate([[0.0, lag], others + rng.exponential(1, m - 2)])
        return means, means[:, None] + rng.normal(size=(m, replicates))

    return draw


PROBLEMS: dict[str, Problem] = {
    "20 normal, gaps 3 x noise": normal(20, gap=3),
    "40 normal, gaps 1 x noise": normal(40, gap=1),
    "40 normal, shared luck 5 x noise": normal(40, gap=1, shared=5),
    "40 normal, gaps 0.5 x noise": normal(40, gap=0.5),
    "100 normal, gaps 1 x noise": normal(100, gap=1),
    "5 normal, gaps 2 x noise": normal(5, gap=2),
    "40 normal, unequal noise": normal(40, gap=1, spread=0.7),
    "40 heavy tails": heavy_tails(40, gap=1.5),
    "40 with bad seeds": bad_seeds(40, gap=2),
    "60 losses, noise grows": losses(60),
    "40, three in ten diverge": diverging(40, gap=2),
    "50 error rates": error_rates(50),
    "30 with a close second": close_second(30, lag=0.5, others=2),
    "20 all equal (worst case)": normal(20, gap=0),
    "5 all equal (worst case)": normal(5, gap=0),
}


@dataclass(slots=True)
class Tally:
    """How often the best one was named on one problem.

    Attributes:
        fixed: By fixed numbers of replicates, from none to all.
        raced: By the race.
        dropped: How often the race dropped what all replicates name.
        share: Mean share of all trials that the race ran.
    """

    fixed: list[int]
    raced: int = 0
    dropped: int = 0
    share: float = 0.0


def race(scores: Array) -> tuple[int, int, set[int]]:
    """Race over a table (m, replicates): the named one, the trials run, and those dropped."""
    planned = scores.shape[1]
    out = raced_out(dict(enumerate(scores.tolist())), replicate=planned - 1, planned=planned)
    ran = dict.fromkeys(range(len(scores)), planned) | {
        number: int(re.findall(r"after (\d+) replicates", reason)[0])
        for number, reason in out.items()
    }
    named = min(ran.keys() - out, key=lambda number: float(scores[number].mean()))
    return named, sum(ran.values()), {*out}


@dataclass(slots=True)
class Promise:
    """What became of the promises in one cell; shares of all races.

    Attributes:
        dropped: How often the race dropped what all replicates name.
        trials: Mean share of all trials that the race ran.
        missed: How often the truly best one was not in the set that all replicates give.
        lost: How often it was not in the set that the race gives.
    """

    dropped: float = 0.0
    trials: float = 0.0
    missed: float = 0.0
    lost: float = 0.0

    def __str__(self) -> str:
        shares = (self.dropped, self.missed, self.lost)
        dropped, missed, lost = (f"{100 * share:.1f}" for share in shares)
        return f"{dropped} / {100 * self.trials:.0f} / {missed} / {lost}"


def promise(problem: Problem, races: int, replicates: int, seed: int) -> Promise:
    """Race on tables of a problem, and take the sets of the best."""
    rng = np.random.default_rng(seed)
    found = Promise()
    for _ in range(races):
        means, scores = problem(rng, replicates)
        truth, first = int(means.argmin()), int(scores.mean(axis=1).argmin())
        named, trials, out = race(scores)
        found.dropped += (first in out) / races
        found.trials += trials / scores.size / races
        table = {number: dict(enumerate(row)) for number, row in enumerate(scores.tolist())}
        found.missed += (truth not in {first, *indistinct(table, first)}) / races
        left = {number: row for number, row in table.items() if number not in out}
        found.lost += (truth not in {named, *indistinct(left, named)}) / races
    return found


def measure(problem: Problem, races: int, replicates: int, seed: int) -> Tally:
    """Race on tables of a problem."""
    rng = np.random.default_rng(seed)
    tally = Tally([0] * (replicates + 1))
    for _ in range(races):
        means, scores = problem(rng, replicates)
        best = means == means.min()
        fixed = {n: int(scores[:, :n].mean(axis=1).argmin()) for n in range(1, replicates + 1)}
        named, trials, out = race(scores)
        for number, one in fixed.items():
            tally.fixed[number] += bool(best[one])
        tally.raced += bool(best[named])
        tally.dropped += fixed[replicates] in out
        tally.share += trials / scores.size / races
    return tally


def row(name: str, tally: Tally, races: int, replicates: int) -> str:
    """One line of the table."""
    same = round(tally.share * replicates)
    counts = [tally.fixed[n] for n in (replicates, replicates // 2, same)]
    counts += [tally.raced, tally.dropped]
    cells = [f"{count / races:.1%}" for count in counts]
    return f"| {name} | {' | '.join(cells)} | {tally.share:.0%} |"


def noises(given: argparse.Namespace) -> None:
    """Print the table of promises."""
    print(f"| noise | m x n | common | {' | '.join(f'gap {gap:g}' for gap in GAPS)} |")
    print("|---|--:|--:|" + "--:|" * len(GAPS))
    for name, noise in NOISES.items():
        if given.names and not any(word in name for word in given.names):
            continue
        for (m, n), share in product(DESIGNS, SHARES):
            problems = [noisy(noise, m, gap=gap, share=share) for gap in GAPS]
            cells = [str(promise(each, given.races, n, given.seed)) for each in problems]
            print(f"| {name} | {m} x {n} | {share:g} | {' | '.join(cells)} |", flush=True)


def problems(given: argparse.Namespace) -> None:
    """Print the table of problems."""
    print(HEADER)
    for name, problem in PROBLEMS.items():
        if not given.names or any(word in name for word in given.names):
            tally = measure(problem, given.races, given.replicates, given.seed)
            print(row(name, tally, given.races, given.replicates), flush=True)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description="Racing beside fixed replicates.")
    parser.add_argument("what", choices=("noises", "problems"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="words in names of rows")
    parser.add_argument("--races", type=int, default=400)
    parser.add_argument("--replicates", type=int, default=10, help="of problems")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_intermixed_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}\n")
    {"noises": noises, "problems": problems}[given.what](given)


if __name__ == "__main__":
    main()
