"""How often the gate's verdicts are wrong, and what losses they find.

    python benchmarks/gate.py [--runs 2000] [--seed 0] [TABLE ...]

Pairs of runs of m configurations over n seeds, before and now, are drawn as
``quality + sqrt(share) * luck(seed) + sqrt(1 - share) * own(trial)``, everything anew on each side
but the qualities: as after a change of code that draws one more random number. Noise has a standard
deviation of 1. A loss, and the tolerance, are in standard deviations of a seed's difference, the
mean over the three judged configurations. Prints the tables in Markdown.
"""

from __future__ import annotations

import argparse
import platform
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr

from pytest_hypersearch.core.goals import ALPHA, TOP
from pytest_hypersearch.stats.gate import (
    holm,
    look_level,
    looks,
    power,
    seeds_needed,
    sequential,
    verdict,
)
from pytest_hypersearch.store.baseline import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.random import Generator
    from numpy.typing import NDArray

    from pytest_hypersearch.stats.gate import Judgement

    Array = NDArray[np.float64]

SIGMA = 0.8


def noise(kind: str, rng: Generator, shape: tuple[int, ...]) -> Array:
    """Draws noise with a standard deviation of 1.

    ``normal``; ``t3``, Student's t with 3 degrees of freedom; ``skewed``, lognormal with sigma 0.8;
    ``outliers``, normal but for one value in twenty, which is worse by 6.
    """
    if kind == "t3":
        return rng.standard_t(3, shape) / np.sqrt(3)
    if kind == "skewed":
        mean = np.exp(SIGMA**2 / 2)
        drawn = rng.lognormal(0, SIGMA, shape)
        return (drawn - mean) / (mean * np.sqrt(np.exp(SIGMA**2) - 1))
    drawn = rng.normal(size=shape)
    if kind == "outliers":
        return (drawn + 6 * rng.binomial(1, 0.05, shape) - 0.3) / np.sqrt(1 + 36 * 0.05 * 0.95)
    return drawn


def unit(share: float, judged: int = TOP) -> float:
    """The standard deviation of a seed's difference, of the mean over the judged configurations."""
    return float(np.sqrt(2 * (share + (1 - share) / judged)))


def draw(
    rng: Generator,
    m: int,
    n: int,
    *,
    share: float = 0.5,
    kind: str = "normal",
    loss: float = 0.0,
    spread: float = 1.0,
    wild: int = 0,
) -> tuple[Array, Array]:
    """Draws scores (m, n) before and now.

    Args:
        rng: The generator.
        m: Number of configurations.
        n: Number of seeds.
        share: Share of the variance that is common to the trials of a seed.
        kind: The noise.
        loss: How much is lost now, in units of `unit`.
        spread: Standard deviation of the qualities.
        wild: Number of configurations whose scores are all multiplied by a thousand.
    """
    quality = spread * rng.normal(size=(m, 1))
    sides = [
        quality
        + np.sqrt(share) * noise(kind, rng, (1, n))
        + np.sqrt(1 - share) * noise(kind, rng, (m, n))
        for _ in range(2)
    ]
    sides[1] = sides[1] + loss * unit(share)
    for side in sides:
        side[:wild] = 1000 * (side[:wild] + 5)
    return sides[0], sides[1]


def judge(before: Array, now: Array, **options: float | None) -> Judgement[int]:
    """The verdict on two tables."""
    return verdict(table_of(before), table_of(now), **options)  # type: ignore[arg-type]


def table_of(side: Array) -> dict[int, dict[int, float]]:
    """The scores (m, n) by configuration and seed."""
    return dict(enumerate(dict(enumerate(row)) for row in side.tolist()))


def alarms(runs: int, seed: int, m: int, n: int, **world: float | str) -> float:
    """How often the gate finds a regression."""
    rng = np.random.default_rng(seed)
    found = (judge(*draw(rng, m, n, **world)).verdict for _ in range(runs))  # type: ignore[arg-type]
    return sum(one == "REGRESSED" for one in found) / runs


def pairs_alarms(runs: int, seed: int, m: int, n: int, **world: float | str) -> float:
    """How often a one-sided t-test over all trials, as if independent, finds a regression."""
    rng = np.random.default_rng(seed)
    count = 0
    for _ in range(runs):
        before, now = draw(rng, m, n, **world)  # type: ignore[arg-type]
        d = (now - before).ravel()
        count += stdtr(d.size - 1, -d.mean() / d.std(ddof=1) * np.sqrt(d.size)) < ALPHA
    return count / runs


def show(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Prints a table."""
    head = [*head]
    print(f"| {' | '.join(head)} |\n|---{'|--:' * (len(head) - 1)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
    print()


def false_alarms(runs: int, seed: int) -> None:
    """Checks 1 and 5: nothing changed."""
    cells = [
        (kind, share) for kind in ("normal", "t3", "skewed", "outliers") for share in (0, 0.5, 0.9)
    ]
    show(
        ("noise, common share", "12 x 5", "12 x 10", "40 equal x 5", "12 x 5, over all trials"),
        (
            (
                f"{kind}, {share}",
                f"{alarms(runs, seed, 12, 5, kind=kind, share=share):.1%}",
                f"{alarms(runs, seed, 12, 10, kind=kind, share=share):.1%}",
                f"{alarms(runs, seed, 40, 5, kind=kind, share=share, spread=0.0):.1%}",
                f"{pairs_alarms(runs, seed, 12, 5, kind=kind, share=share):.1%}",
            )
            for kind, share in cells
        ),
    )


def found_losses(runs: int, seed: int) -> None:
    """Checks 2 and 4: something is lost, with and without a wild configuration."""
    show(
        ("loss", "12 x 5", "12 x 8", "12 x 20", "12 x 8, one wild", "12 x 8, three wild"),
        (
            (
                f"{loss:g} sd",
                *(f"{alarms(runs, seed, 12, n, loss=loss):.0%}" for n in (5, 8, 20)),
                *(f"{alarms(runs, seed, 12, 8, loss=loss, wild=wild):.0%}" for wild in (1, 3)),
            )
            for loss in (0.0, 0.5, 1.0, 1.5, 2.0)
        ),
    )


def calculator(runs: int, seed: int) -> None:
    """Check 12: the seeds that are named, beside simulated power."""

    def simulated(delta: float, n: int) -> float:
        d = delta + np.random.default_rng(seed).normal(size=(10 * runs, n))
        t = d.mean(axis=1) / d.std(axis=1, ddof=1) * np.sqrt(n)
        return float((stdtr(n - 1, -t) < ALPHA).mean())

    deltas = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
    show(
        ("loss", "seeds named", "computed", "simulated", "with one seed fewer"),
        (
            (
                f"{d:g} sd",
                f"{n}",
                f"{power(n, d):.1%}",
                f"{simulated(d, n):.1%}",
                f"{power(n - 1, d):.1%}",
            )
            for d, n in ((d, seeds_needed(d)) for d in deltas)
        ),
    )


def many_gates(runs: int, seed: int) -> None:
    """Check 14: any alarm in a session of several gates of which nothing changed."""

    def session(gates: int, share: float, *, together: bool) -> float:
        rng = np.random.default_rng(seed)
        count = 0
        for _ in range(runs):
            found = [judge(*draw(rng, 12, 5, share=share)) for _ in range(gates)]
            found = holm(found) if together else found
            count += any(one.verdict == "REGRESSED" for one in found)
        return count / runs

    show(
        ("gates, common share", "Holm", "each by itself"),
        (
            (
                f"{gates}, {share}",
                *(f"{session(gates, share, together=both):.1%}" for both in (True, False)),
            )
            for gates, share in ((2, 0.5), (10, 0.0), (10, 0.5), (10, 0.9))
        ),
    )


def checks(runs: int, seed: int) -> None:
    """The baseline's best configuration alone, chosen by the seeds that judge it, and by others."""

    def chosen_by_the_same(before: Array, now: Array) -> Judgement[int]:
        best = before.mean(axis=1).argmin()
        return judge(before[[best]], now[[best]])

    def chosen_by_others(before: Array, now: Array) -> Judgement[int]:
        rows = {(str(m), 0): {"loss": tuple(row)} for m, row in enumerate(before.tolist())}
        entry = Entry(0, {"loss": "min"}, rows).fresh("loss")
        assert entry is not None  # noqa: S101
        best, seeds = int(next(iter(entry.trials))[0]), entry.replicates
        return judge(before[[best]][:, seeds], now[[best]][:, seeds])

    def rates(m: int, n: int, loss: float, **world: float | str) -> list[str]:
        return [
            f"{sum(check(*pair).verdict == 'REGRESSED' for pair in pairs) / runs:.1%}"
            for pairs in [[draw(rng, m, n, loss=loss, **world) for _ in range(runs)]]  # type: ignore[arg-type]
            for check in (chosen_by_the_same, chosen_by_others)
        ]

    rng = np.random.default_rng(seed)
    show(
        (
            "configurations x seeds, noise, common share",
            *("same", "others", "same, 2 sd", "others, 2 sd"),
        ),
        (
            (
                f"{m} x {n}, {kind}, {share}",
                *rates(m, n, 0.0, kind=kind, share=share, spread=spread),
                *rates(m, n, 2.0, kind=kind, share=share, spread=spread),
            )
            for m, spread in ((12, 1.0), (40, 0.0))
            for n in (4, 5, 8, 20)
            for kind, share in (("normal", 0.5), ("t3", 0.0), ("normal", 0.9), ("outliers", 0.5))
        ),
    )


def replays(runs: int, seed: int) -> None:
    """Nothing changed, and only the best of the baseline run again, as with `bayes`."""

    def rate(m: int, n: int, kept: int, share: float, spread: float) -> str:
        rng = np.random.default_rng(seed)
        count = 0
        for _ in range(runs):
            before, now = draw(rng, m, n, share=share, spread=spread)
            best = np.argsort(before.mean(axis=1))[:kept].tolist()
            again = table_of(now)
            found = verdict(table_of(before), {name: again[name] for name in best})
            count += found.verdict == "REGRESSED"
        return f"{count / runs:.1%}"

    show(
        ("configurations x seeds, common share", *(f"best {kept}" for kept in (3, 6, 12))),
        (
            (f"{m} x {n}, {share}", *(rate(m, n, kept, share, spread) for kept in (3, 6, 12)))
            for m, spread in ((12, 1.0), (40, 1.0), (40, 0.0))
            for n in (5, 8)
            for share in (0.0, 0.5, 0.9)
        ),
    )


def several_looks(runs: int, seed: int) -> None:
    """Looks after some of the seeds, with an error that is spent over all of them."""
    plan = looks(3, 20)
    level = look_level(tuple(plan))

    def play(loss: float, tolerance: float, kind: str) -> tuple[float, float, float]:
        rng = np.random.default_rng(seed)
        ends = []
        for _ in range(runs):
            sides = map(table_of, draw(rng, 12, 20, kind=kind, loss=loss))
            one = sequential(*sides, range(20), at_least=3, tolerance=tolerance * unit(0.5))
            alarm, passed = one.verdict == "REGRESSED", one.verdict in {"same", "better"}
            ends.append((alarm, passed, len(one.seeds)))
        return tuple(np.mean(ends, axis=0))

    print(f"Looks after {plan} seeds, each at a level of {level:.2%}:\n")
    show(
        ("loss, tolerance, noise", "REGRESSED", "same or better", "seeds"),
        (
            (f"{loss:g} sd, {tolerance:g} sd, {kind}", f"{alarm:.1%}", f"{same:.0%}", f"{n:.1f}")
            for loss, tolerance, kind in (
                *((loss, 0.5, "normal") for loss in (0.0, 0.5, 1.0, 2.0)),
                (0.0, 0.0, "normal"),
                (0.0, 0.0, "t3"),
                (0.0, 0.5, "t3"),
                (1.0, 0.5, "t3"),
            )
            for alarm, same, n in [play(loss, tolerance, kind)]
        ),
    )


TABLES = {
    "false-alarms": false_alarms,
    "losses": found_losses,
    "calculator": calculator,
    "gates": many_gates,
    "check": checks,
    "replays": replays,
    "looks": several_looks,
}


def main() -> None:
    """Print the tables that are asked for, or all."""
    parser = argparse.ArgumentParser(description="Wrong verdicts of the gate, and losses found.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}\n")
    for name in given.tables or TABLES:
        TABLES[name](given.runs, given.seed)


if __name__ == "__main__":
    main()
