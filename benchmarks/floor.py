"""What a pruner could save at best on the stored learning curves, and where the steps go.

    python benchmarks/floor.py [--seeds 20] [--tolerance 0.01]

Sweeps are replayed and charged as in `pruning.py`, with one worker. Rules with foresight know how
each trial would end, and after so many of its reports stop it if it would not beat the best
completed one. A rule that gives its verdicts then and spares whatever becomes the new best cannot
spend less.

Printed for each problem: the steps until the best is found; what the steps of `forecast` were spent
on; and what the second report tells about the end: where among all values at that step the best
configuration is, from 0 for the lowest to 1, and Spearman's rank correlation over all.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from pruning import HEADLINE, Contender, Ours, goal_of, problems, replay
from scipy.stats import spearmanr

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.search.pruners import pruner
from pytest_hypersearch.search.pruners.forecast import LEAST_REPORTS, WARMUP_SHARE

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERDICTS = (1, 2, 3, 4, 5)  # after so many reports
PARTS = ("new best", "other complete", "pruned, warm-up", "pruned, later")


class Foresight:
    """Stops a trial that will not beat the best completed one.

    Args:
        ends: The last values of all trials, lower being better.
        reports: How many reports it lets each trial make.
    """

    def __init__(self, ends: NDArray[np.float64], reports: int) -> None:
        self._ends = ends
        self._reports = reports
        self._best = math.inf

    def begin(self, number: int) -> None:
        """A trial starts."""

    def report(self, number: int, step: int, value: float) -> bool:  # noqa: ARG002  a protocol's
        """Compare its end with the best so far."""
        hopeless = math.isfinite(self._best) and not self._ends[number] < self._best
        return hopeless and step + 1 >= self._reports

    def end(self, number: int, state: State, value: float) -> None:  # noqa: ARG002  a protocol's
        """Keep the best value."""
        if state is State.COMPLETE:
            self._best = min(self._best, value)


class Watched(Ours):
    """The pruner in question, and what its steps are spent on."""

    def __init__(self, goal: float, warmup: int) -> None:
        super().__init__(pruner(HEADLINE))
        self.spending: Counter[str] = Counter()
        self._goal = goal
        self._warmup = warmup
        self._best = math.inf

    def end(self, number: int, state: State, value: float) -> None:
        """Count the steps of a trial."""
        super().end(number, state, value)
        if self._best <= self._goal:
            return
        steps, begun, part = len(self._curves[number].steps), 0, "other complete"
        if state is State.PRUNED:
            begun = min(steps, self._warmup)
            part = "pruned, later"
        elif value < self._best:
            self._best, part = value, "new best"
        self.spending["pruned, warm-up"] += begun
        self.spending[part] += steps - begun


def warmup_of(steps: int) -> int:
    """The number of the first report after which `forecast` may prune."""
    return max(math.ceil(WARMUP_SHARE * (steps - 1)) + 1, LEAST_REPORTS)


@cache
def orders(n: int, seeds: int) -> list[NDArray[np.int64]]:
    """The orders in which `pruning.py` goes through n configurations."""
    return [np.random.default_rng(seed).permutation(n) for seed in range(seeds)]


def charged(contender: Contender, values: NDArray[np.float64], goal: float) -> int:
    """Steps of one sweep until the best was found."""
    return replay(contender, values, goal, workers=1).charged


def floors(values: NDArray[np.float64], seeds: int, goal: float) -> list[float]:
    """Mean steps of no pruning and of foresight after so many reports, the warm-up's last."""
    n, steps = values.shape
    sweeps = [values[order] for order in orders(n, seeds)]
    return [
        float(np.mean([charged(Ours(None), sweep, goal) for sweep in sweeps])),
        *(
            float(np.mean([charged(Foresight(sweep[:, -1], k), sweep, goal) for sweep in sweeps]))
            for k in (*VERDICTS, warmup_of(steps))
        ),
    ]


def spent(values: NDArray[np.float64], seeds: int, goal: float) -> list[float]:
    """Mean steps of `forecast`, and the shares of what they were spent on."""
    n, steps = values.shape
    spending: Counter[str] = Counter()
    for order in orders(n, seeds):
        watched = Watched(goal, warmup_of(steps))
        replay(watched, values[order], goal, workers=1)
        spending += watched.spending
    total = spending.total()
    return [total / seeds, *(spending[part] / total for part in PARTS)]


def told(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where the best is among the second values, and their correlation with the last."""
    filled = np.where(np.isnan(values), np.inf, values)
    second, last = filled[:, :2].min(axis=1), filled[:, -1]
    place = float(np.mean(second < second[last.argmin()]))
    return place, float(spearmanr(second, last).statistic)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="random orders (default: 20)")
    parser.add_argument("--tolerance", type=float, default=0.01, help="default: 0.01")
    options = parser.parse_args()
    reports = " | ".join(map(str, VERDICTS))
    print(f"| problem | none | {HEADLINE} | {reports} | a tenth |\n|---|{'--:|' * 8}")
    lines = []
    for name, values in problems().items():
        goal = goal_of(values, options.tolerance)
        none, *known = floors(values, options.seeds, goal)
        total, *shares = spent(values, options.seeds, goal)
        print(f"| {name} | {' | '.join(f'{steps:.0f}' for steps in (none, total, *known))} |")
        place, correlation = told(values)
        parts = " | ".join(f"{share:.0%}" for share in shares)
        lines.append(f"| {name} | {parts} | {place:.2f} | {correlation:.2f} |")
    print(f"\n| problem | {' | '.join(PARTS)} | place of the best | correlation |")
    print(f"|---|{'--:|' * 6}", *lines, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
