"""What pruning costs and saves, on stored learning curves of models that were really trained.

    python benchmarks/pruning.py [--seeds 20] [--problems digits-network ...] [--workers 4]

A sweep of 200 configurations in random order, the same order for all pruners of a seed, is
replayed from `curves.json.gz`. It has found the best when a trial that ran to its end scores within
1% of the best of 200 full trials: 1% of the way from there to the median of all first values, what
an untrained model has. Counted are the steps spent until then by all trials. A sweep whose pruner
stopped every such trial must begin again without one: it is charged with 200 full trials besides.

Printed for each problem: the mean number of these steps, relative to no pruning, and how often the
best was found; at the end what share of steps the whole sweep took, and the geometric mean over
problems; then the headline pruner, and the best of ours, against the best of Optuna's. Optuna's
pruners are those of Optuna, with its own defaults, behind ask, report and tell.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import statistics
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import optuna
from curves import load

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.search.pruners import Curve, Pruner, pruner

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADLINE = "forecast"
OURS = (
    "forecast",
    "median",
    "halving",
    "halving:min_step=1,factor=4,min_trials=1",  # as SuccessiveHalvingPruner has it
    "hyperband",
)
OPTUNA = {
    "MedianPruner": optuna.pruners.MedianPruner,
    "SuccessiveHalvingPruner": optuna.pruners.SuccessiveHalvingPruner,
    "HyperbandPruner": optuna.pruners.HyperbandPruner,
}
NAMES = ("none", *OURS, *OPTUNA)


class Contender(Protocol):
    """Decides on the trials of one sweep; values are lower-better, steps count from 0."""

    def begin(self, number: int) -> None:
        """A trial starts."""

    def report(self, number: int, step: int, value: float) -> bool:
        """Take a value and tell whether to prune."""

    def end(self, number: int, state: State, value: float) -> None:
        """A trial has ended."""


class Ours:
    """A pruner of this package."""

    def __init__(self, rule: Pruner | None) -> None:
        self._rule = rule
        self._curves: dict[int, Curve] = {}

    def begin(self, number: int) -> None:
        """Start its curve."""
        self._curves[number] = Curve(number)

    def report(self, number: int, step: int, value: float) -> bool:
        """Review the curve with the new value."""
        trial = self._curves[number]
        trial.add(step, value)
        if self._rule is None:
            return False
        others = [curve for curve in self._curves.values() if curve is not trial]
        return bool(self._rule.verdict(trial, others, since=step - 1))

    def end(self, number: int, state: State, value: float) -> None:  # noqa: ARG002  a protocol's
        """Close its curve."""
        self._curves[number].ended = state


class Optuna:
    """A pruner of Optuna."""

    def __init__(self, name: str, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            sampler=optuna.samplers.RandomSampler(seed=seed),
            pruner=OPTUNA[name](),
            study_name=f"sweep {seed}",
        )
        self._trials: dict[int, optuna.Trial] = {}

    def begin(self, number: int) -> None:
        """Ask for a trial."""
        self._trials[number] = self._study.ask()

    def report(self, number: int, step: int, value: float) -> bool:
        """Report the value."""
        self._trials[number].report(value, step)
        return self._trials[number].should_prune()

    def end(self, number: int, state: State, value: float) -> None:
        """Tell how it ended."""
        if state is State.COMPLETE:
            self._study.tell(self._trials[number], value)
        else:
            told = "PRUNED" if state is State.PRUNED else "FAIL"
            self._study.tell(self._trials[number], state=optuna.trial.TrialState[told])


@dataclass(frozen=True, slots=True)
class Outcome:
    """A sweep that was replayed.

    Attributes:
        found: Steps spent until a completed trial was within reach of the best, None if none was.
        spent: Steps of the whole sweep.
        full: Steps of the whole sweep without pruning.
    """

    found: int | None
    spent: int
    full: int

    @property
    def charged(self) -> int:
        """Steps until the best was found, at last without pruning."""
        return self.spent + self.full if self.found is None else self.found


def replay(contender: Contender, values: NDArray[np.float64], goal: float, workers: int) -> Outcome:
    """Replay a sweep; several workers do one step each in turn.

    Args:
        contender: Decides which trials to prune.
        values: Its trials in order (n, steps), lower being better.
        goal: The score that counts as the best.
        workers: How many trials run at once.
    """
    n, steps = values.shape
    running = dict.fromkeys(range(min(workers, n)), 0)  # to the step that each does next
    for number in running:
        contender.begin(number)
    waiting = iter(range(len(running), n))
    spent, found = 0, None
    while running:
        for number, step in list(running.items()):
            value = float(values[number, step])
            spent += 1
            state = _state(contender.report(number, step, value), step == steps - 1, value)
            if state is State.RUNNING:
                running[number] = step + 1
                continue
            contender.end(number, state, value)
            if found is None and state is State.COMPLETE and value <= goal:
                found = spent
            del running[number]
            if (following := next(waiting, None)) is not None:
                contender.begin(following)
                running[following] = 0
    return Outcome(found, spent, n * steps)


def _state(prune: bool, last: bool, value: float) -> State:
    if last:  # a verdict after the last step saves nothing
        return State.COMPLETE if math.isfinite(value) else State.INVALID
    return State.PRUNED if prune else State.RUNNING


@cache
def problems() -> dict[str, NDArray[np.float64]]:
    """The stored curves by problem, lower being better."""
    return {each.name: each.values if each.mode == "min" else -each.values for each in load()}


def goal_of(values: NDArray[np.float64], tolerance: float) -> float:
    """The score that counts as the best of full trials."""
    best = float(np.nanmin(values[:, -1]))
    return best + tolerance * (float(np.nanmedian(values[:, 0])) - best)


def run(task: tuple[str, str, int, int, float]) -> Outcome:
    """Replay a problem with a pruner and a seed."""
    problem, name, seed, workers, tolerance = task
    values = problems()[problem]
    order = np.random.default_rng(seed).permutation(len(values))
    if name in OPTUNA:
        contender: Contender = Optuna(name, seed)
    else:
        contender = Ours(None if name == "none" else pruner(name))
    return replay(contender, values[order], goal_of(values, tolerance), workers)


def table(outcomes: dict[tuple[str, str], list[Outcome]], wanted: list[str]) -> None:
    """Print a row for each pruner."""

    def charged(name: str, problem: str) -> float:
        return statistics.fmean(each.charged for each in outcomes[problem, name])

    print("| pruner | " + " | ".join(wanted) + " | geometric mean | found | steps of the sweep |")
    print("|---|" + "--:|" * (len(wanted) + 3))
    for name in NAMES:
        ratios = [charged(name, each) / charged("none", each) for each in wanted]
        every = [outcome for each in wanted for outcome in outcomes[each, name]]
        found = statistics.fmean(each.found is not None for each in every)
        share = statistics.fmean(each.spent / each.full for each in every)
        cells = [
            f"{charged(name, each):.0f} ({ratio:.2f}, {_found(outcomes[each, name])})"
            for each, ratio in zip(wanted, ratios, strict=True)
        ]
        mean = statistics.geometric_mean(ratios)
        print(f"| {name} | {' | '.join(cells)} | {mean:.2f} | {found:.0%} | {share:.0%} |")
    print(f"\n| problem | best of Optuna's | {HEADLINE} | best of ours |\n|---|---|--:|--:|")
    for each in wanted:
        theirs = min(OPTUNA, key=lambda name: charged(name, each))
        ours = min(OURS, key=lambda name: charged(name, each))
        ratios = [charged(name, each) / charged(theirs, each) for name in (HEADLINE, ours)]
        print(f"| {each} | {theirs} | {ratios[0]:.2f} | {ratios[1]:.2f} ({ours}) |")


def _found(outcomes: list[Outcome]) -> str:
    return f"{statistics.fmean(each.found is not None for each in outcomes):.0%}"


def main() -> int:
    """Replay everything and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="random orders (default: 20)")
    parser.add_argument("--problems", nargs="+", choices=list(problems()), metavar="NAME")
    parser.add_argument("--workers", type=int, default=1, help="trials at once (default: 1)")
    parser.add_argument("--tolerance", type=float, default=0.01, help="default: 0.01")
    parser.add_argument("--processes", type=int, default=2, help="of this benchmark (default: 2)")
    options = parser.parse_args()
    wanted = options.problems or list(problems())
    tasks = [
        (problem, name, seed, options.workers, options.tolerance)
        for problem in wanted
        for name in NAMES
        for seed in range(options.seeds)
    ]
    with multiprocessing.Pool(options.processes) as pool:
        results = pool.map(run, tasks, chunksize=1)
    outcomes: dict[tuple[str, str], list[Outcome]] = {}
    for (problem, name, *_), outcome in zip(tasks, results, strict=True):
        outcomes.setdefault((problem, name), []).append(outcome)
    table(outcomes, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
