"""How often values, or strategies, that are alike are found different, and which differences show.

    python benchmarks/comparing.py [--runs 2000] [--seed 0] [TABLE ...]

Scores of k values in c contexts (configurations of the other parameters) over n seeds are drawn as
``quality(context) + effect(value, context) + luck(seed) + luck(value, seed) + own(trial)``: the
luck of a value and a seed is what its trials have in common, and `share` its part of the variance
of 1. Prints the tables in Markdown.
"""

from __future__ import annotations

import argparse
import platform
from typing import TYPE_CHECKING

import numpy as np
from gate import noise, show
from scipy.special import stdtr

from pytest_hypersearch.core.goals import ALPHA
from pytest_hypersearch.core.space import Space, uniform
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.results.contrasts import Course
from pytest_hypersearch.stats.blocks import friedman, pairwise, ranks_of
from pytest_hypersearch.stats.steps import steps

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from pytest_hypersearch.stats.blocks import Unit

    Array = NDArray[np.float64]


def draw(
    rng: Generator,
    n: int,
    c: int,
    k: int,
    *,
    share: float = 0.5,
    kind: str = "normal",
    effect: float = 0.0,
    wild: int = 0,
) -> list[Array]:
    """Draws scores (c, k) of n seeds.

    Args:
        rng: The generator.
        n: Number of seeds.
        c: Number of contexts.
        k: Number of values.
        share: Share of the variance that the trials of a value and a seed have in common.
        kind: The noise.
        effect: By how much the last value is worse, in standard deviations of a seed's difference.
        wild: Number of contexts whose scores are all multiplied by a thousand.
    """
    unit = np.sqrt(2 * (share + (1 - share) / c))
    Y = (
        rng.normal(size=(1, c, 1))
        + noise(kind, rng, (n, 1, 1))
        + np.sqrt(share) * noise(kind, rng, (n, 1, k))
        + np.sqrt(1 - share) * noise(kind, rng, (n, c, k))
    )
    Y[:, :, -1] += effect * unit
    Y[:, :wild] *= 1000
    return list(Y)


def rates(runs: int, seed: int, n: int, c: int, k: int, **world: float | str) -> list[float]:
    """How often any pair is found different, Friedman's test says so, and pairs over all blocks."""
    rng = np.random.default_rng(seed)
    counts = np.zeros(3)
    for _ in range(runs):
        units = draw(rng, n, c, k, **world)  # type: ignore[arg-type]
        counts[0] += found(units, "seed")
        counts[1] += friedman(ranks_of(units)) <= ALPHA
        d = np.concatenate([Y[:, 0] - Y[:, -1] for Y in units])
        counts[2] += 2 * stdtr(d.size - 1, -abs(d.mean()) / d.std(ddof=1) * d.size**0.5) <= ALPHA
    return list(counts / runs)


def found(units: list[Array], unit: Unit) -> bool:
    """Whether any pair of values is found different."""
    return any((pair.adjusted or 0.0) <= ALPHA for pair in pairwise(units, unit))


def seeds(runs: int, seed: int) -> None:
    """Values that are alike, on one problem."""
    show(
        ("noise, share, contexts", "2 x 3", "2 x 5", "2 x 10", "4 x 5", "Friedman", "all blocks"),
        (
            (
                f"{kind}, {share}, {c}{', a wild one' * bool(wild)}",
                *(f"{rates(runs, seed, n, c, 2, **world)[0]:.1%}" for n in (3, 5, 10)),
                *(f"{x:.1%}" for x in rates(runs, seed, 5, c, 4, **world)[:2]),
                f"{rates(runs, seed, 5, c, 2, **world)[2]:.1%}",
            )
            for kind, share, c, wild in (
                *((kind, 0.5, 6, 0) for kind in ("normal", "t3", "skewed", "outliers")),
                ("normal", 0.0, 6, 0),
                ("normal", 0.9, 6, 0),
                ("normal", 0.5, 1, 0),
                ("normal", 0.5, 6, 1),
            )
            for world in [{"kind": kind, "share": share, "wild": wild}]
        ),
    )


def power(runs: int, seed: int) -> None:
    """One value is worse."""
    show(
        ("effect", "2 x 3", "2 x 5", "2 x 8", "2 x 20", "2 x 8, a wild context", "4 x 8"),
        (
            (
                f"{effect:g} sd",
                *(f"{rates(runs, seed, n, 6, 2, effect=effect)[0]:.0%}" for n in (3, 5, 8, 20)),
                f"{rates(runs, seed, 8, 6, 2, effect=effect, wild=1)[0]:.0%}",
                f"{rates(runs, seed, 8, 6, 4, effect=effect)[0]:.0%}",
            )
            for effect in (0.5, 1.0, 1.5, 2.0, 3.0)
        ),
    )


def problems(runs: int, seed: int) -> None:
    """Values over problems whose scales and preferences differ; any pair found different."""

    def rate(count: int, k: int, effect: float) -> tuple[float, float]:
        rng = np.random.default_rng(seed)
        counts = np.zeros(2)
        for _ in range(runs):
            units = []
            for _ in range(count):
                scores = np.concatenate(draw(rng, 3, 2, k)) + rng.normal(size=k)
                scores[:, -1] += effect * np.sqrt(2)
                units.append(10 ** rng.normal() * scores)
            counts += found(units, "problem"), friedman(ranks_of(units)) <= ALPHA
        return tuple(counts / runs)

    show(
        (
            "effect",
            *(f"{k} values x {n}" for k, n in ((2, 6), (2, 10), (2, 20), (4, 10), (4, 20))),
            "Friedman, 4 x 10",
        ),
        (
            (
                f"{effect:g} sd",
                *(
                    f"{rate(n, k, effect)[0]:.1%}"
                    for k, n in ((2, 6), (2, 10), (2, 20), (4, 10), (4, 20))
                ),
                f"{rate(10, 4, effect)[1]:.1%}",
            )
            for effect in (0.0, 0.5, 1.0, 2.0)
        ),
    )


def strategies(runs: int, seed: int) -> None:
    """Two searches whose best are equally good; one of them found several that are.

    The best is chosen by all seeds, or both by all and for each seed by the others.
    """

    def searched(rng: Generator, qualities: Array, n: int) -> Course:
        Y = qualities[:, None] + rng.normal(size=(len(qualities), n))
        sweep = Sweep(
            name="s",
            strategy="random",
            space=Space(({"x": uniform(0, 1)},)),
            n_trials=len(Y),
            replicates=n,
        )
        trials = [
            TrialRecord(f"{i}", "s", i, j, {"x": 0.5}, State.COMPLETE, float(y), seed=j)
            for i, row in enumerate(Y)
            for j, y in enumerate(row)
        ]
        return Course(0, None, sweep, trials)  # type: ignore[arg-type]

    def rate(near: int, n: int) -> tuple[float, float]:
        rng = np.random.default_rng(seed)
        counts = np.zeros(2)
        for _ in range(runs):
            courses = [
                searched(
                    rng,
                    np.where(np.arange(20) < good, 0.0, 3 + rng.exponential(size=20) * 3),
                    n,
                )
                for good in (1, near)
            ]
            tests = []
            for apart in (False, True):
                scores = [course.scores(20 * n, apart=apart) for course in courses]
                tests.append(
                    found([np.array([[one[j] for one in scores]]) for j in range(n)], "seed")
                )
            counts += tests[0], all(tests)
        return tuple(counts / runs)

    show(
        ("near the best", *(f"{n} seeds, {how}" for n in (3, 5, 10) for how in ("all", "both"))),
        (
            (f"1 and {near} of 20", *(f"{x:.1%}" for n in (3, 5, 10) for x in rate(near, n)))
            for near in (1, 5, 15)
        ),
    )


def history(runs: int, seed: int) -> None:
    """Steps over runs whose luck is drawn anew; the change is of 2 sd of a seed's difference."""

    def rate(count: int, n: int, kind: str, at: int, size: float = 2) -> str:
        rng = np.random.default_rng(seed)
        hits = 0
        for _ in range(runs):
            scores = noise(kind, rng, (count, n))
            scores[at:] += size * np.sqrt(2)
            found = [one.run for one in steps(scores.tolist())]
            hits += bool(found) if at == count else at in found
        return f"{hits / runs:.1%}"

    show(
        (
            "seeds, runs",
            "unchanged",
            "unchanged, t3",
            "worse since the middle",
            "worse in the last",
        ),
        (
            (
                f"{n}, {count}",
                rate(count, n, "normal", count),
                rate(count, n, "t3", count),
                rate(count, n, "normal", count // 2),
                rate(count, n, "normal", count - 1),
            )
            for n in (3, 5, 10)
            for count in (2, 5, 10, 30)
        ),
    )


TABLES = {
    "seeds": seeds,
    "power": power,
    "problems": problems,
    "strategies": strategies,
    "history": history,
}


def main() -> None:
    """Print the tables that are asked for, or all."""
    parser = argparse.ArgumentParser(description="Wrong verdicts on values that are alike.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}\n")
    for name in given.tables or TABLES:
        print(f"## {name}\n")
        TABLES[name](given.runs, given.seed)


if __name__ == "__main__":
    main()
