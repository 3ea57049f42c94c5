"""How often a rule is told for failures that have none, and which rules are found.

    python benchmarks/failures.py [--runs 400] [--seed 0] [TABLE ...]

Configurations have k parameters: a third are choices of 3 options, the others are uniform. Trials
fail with a probability that depends on the parameters, or on nothing. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import platform
from itertools import product
from random import Random
from time import process_time
from typing import TYPE_CHECKING

from gate import show

from pytest_hypersearch import choice, uniform
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.samplers import Optimizer
from pytest_hypersearch.stats.failures import failure_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_hypersearch.core.trial import Config

    Fails = Callable[[Config], float]


CENTRE = 0.5


def space(k: int) -> dict[str, object]:
    """The parameters."""
    return {f"p{i}": choice(["a", "b", "c"]) if i % 3 == 1 else uniform(0, 1) for i in range(k)}


def random_configs(rng: Random, n: int, k: int) -> list[Config]:
    """Draws configurations."""
    return [
        {f"p{i}": rng.choice("abc") if i % 3 == 1 else rng.random() for i in range(k)}
        for _ in range(n)
    ]


def grid_configs(values: int, k: int) -> list[Config]:
    """A grid of so many values for each of k parameters."""
    return [{f"p{i}": v for i, v in enumerate(each)} for each in product(range(values), repeat=k)]


def study(
    rng: Random, configs: Iterable[Config], fails: Fails, *, replicates: int = 1, shared: float = 0
) -> StudyResults:
    """Runs trials; replicates of a configuration share the luck of some of them."""
    trials = []
    for number, config in enumerate(configs):
        luck = rng.random()
        for replicate in range(replicates):
            own = luck if rng.random() < shared else rng.random()
            state = State.FAILED if own < fails(config) else State.COMPLETE
            trials.append(TrialRecord("t", "s", number, replicate, config, state, 1.0))
    return StudyResults("t", (), tuple(trials))


def searched(rng: Random, seed: int, n: int, k: int, rate: float) -> StudyResults:
    """Runs a Bayesian sweep, which avoids what has failed; failures have no reason."""
    optimizer = Optimizer(space(k), seed=seed)
    trials = []
    for number in range(n):
        config = optimizer.ask()
        failed = rng.random() < rate
        optimizer.tell(config, None if failed else _score(config))
        state = State.FAILED if failed else State.COMPLETE
        trials.append(TrialRecord("t", "s", number, 0, config, state, 1.0))
    return StudyResults("t", (), tuple(trials))


def _score(config: Config) -> float:
    return sum((v - CENTRE) ** 2 if isinstance(v, float) else (v == "a") for v in config.values())


def within(outside: float = 0.0, inside: float = 1.0, **bounds: float | str) -> Fails:
    """The chance to fail where numbers are at least, and options equal to, some values."""

    def fails(config: Config) -> float:
        held = (
            config[name] == bound if isinstance(bound, str) else config[name] >= bound
            for name, bound in bounds.items()
        )
        return inside if all(held) else outside

    return fails


def told(runs: int, make: Callable[[Random, int], StudyResults]) -> str:
    """How often a rule is told."""
    found = sum(failure_rule([make(Random(seed), seed)]) is not None for seed in range(runs))
    return f"{found / runs:.1%}"


def nothing(runs: int) -> None:
    """Failures at random."""
    rates = (0.05, 0.2, 0.5)

    def cells(make: Callable[[Random, float], StudyResults]) -> list[str]:
        return [told(runs, lambda rng, _, rate=rate: make(rng, rate)) for rate in rates]

    rows = {
        f"{n} random, {k} parameters": lambda rng, rate, n=n, k=k: study(
            rng, random_configs(rng, n, k), lambda _: rate
        )
        for n, k in ((20, 3), (60, 3), (60, 10), (200, 25), (1000, 10))
    }
    rows["grid 4 x 4 x 4"] = lambda rng, rate: study(rng, grid_configs(4, 3), lambda _: rate)
    rows["60 random x 5 replicates, shared luck"] = lambda rng, rate: study(
        rng, random_configs(rng, 60, 5), lambda _: rate, replicates=5, shared=0.9
    )
    show(
        ("failures", *(f"{rate:.0%}" for rate in rates)),
        ((name, *cells(make)) for name, make in rows.items()),
    )


def adaptive(runs: int) -> None:
    """Failures at random in a Bayesian sweep, which avoids where they were."""
    n, k, rates = 40, 3, (0.2, 0.5)
    cells = (
        told(runs // 4, lambda rng, seed, rate=rate: searched(rng, seed, n, k, rate))
        for rate in rates
    )
    head = ("failures", *(f"{rate:.0%}" for rate in rates))
    show(head, [(f"{n} by bayes, {k} parameters", *cells)])


def power(runs: int) -> None:
    """Failures with a reason, and others at random; the share of runs in which it is found."""

    def cell(n: int, fails: Fails, names: set[str]) -> str:
        count = 0
        for seed in range(runs):
            rng = Random(seed)
            rule = failure_rule([study(rng, random_configs(rng, n, 6), fails)])
            count += rule is not None and {each.name for each in rule.conditions} == names
        return f"{count / runs:.0%}"

    rules: dict[str, tuple[Fails, set[str]]] = {
        "p0 >= 0.8": (within(p0=0.8), {"p0"}),
        "p0 >= 0.8, 5% others": (within(0.05, p0=0.8), {"p0"}),
        "p0 >= 0.8 in half": (within(0, 0.5, p0=0.8), {"p0"}),
        "p0 >= 0.6 and p1 = a": (within(p0=0.6, p1="a"), {"p0", "p1"}),
        "p0 >= 0.5, p1 = a, p2 >= 0.5": (within(p0=0.5, p1="a", p2=0.5), {"p0", "p1", "p2"}),
    }
    sizes = (20, 40, 80, 200)
    show(
        ("reason", *(f"{n} configurations" for n in sizes)),
        ((name, *(cell(n, *rule) for n in sizes)) for name, rule in rules.items()),
    )


def cost(runs: int) -> None:
    """CPU seconds for many configurations."""
    del runs
    rng = Random(0)
    rows = []
    for n, k in ((100, 5), (1000, 10), (10_000, 25)):
        results = study(rng, random_configs(rng, n, k), within(0.1, p0=0.8))
        start = process_time()
        failure_rule([results])
        rows.append((f"{n} x {k}", f"{process_time() - start:.3f} s"))
    show(("configurations x parameters", "CPU time"), rows)


TABLES = {"nothing": nothing, "adaptive": adaptive, "power": power, "cost": cost}


def main() -> None:
    """Print the tables that are asked for, or all."""
    parser = argparse.ArgumentParser(description="False and true rules for failures.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--runs", type=int, default=400)
    given = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}\n")
    for name in given.tables or TABLES:
        print(f"## {name}\n")
        TABLES[name](given.runs)


if __name__ == "__main__":
    main()
