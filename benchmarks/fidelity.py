"""What searches with pruners cost, and what the sampler gains from the values of pruned trials.

    python benchmarks/fidelity.py stored RUNS.jsonl [--names NAME...] [--seeds 100 120]
    python benchmarks/fidelity.py functions RUNS.jsonl [--names NAME...] [--seeds 0 6]
    python benchmarks/fidelity.py table RUNS.jsonl...

A name is a strategy and a pruner: ``bayes+forecast`` of this package, ``TPE+HyperbandPruner`` of
Optuna, or ``SMAC`` for its multi-fidelity facade, which needs ``pip install smac``. The strategy
``blind`` is ``bayes`` without the values of pruned trials, which then count as bad as the upper
quartile of scores.

stored: A proposal gets the curve of the nearest of the 200 stored configurations (`curves.json.gz`)
that was not tried yet, and the sampler is told that one. SMAC, which asks for a configuration again
to train it further, is told its own, and only further steps are counted. A search has found the
best when a trial that ran to its end scores within 1% of the best of 200 full trials, as in
`pruning.py`. Counted are the steps of all trials until then; a search that used up the 200 without
it begins again with the same sampler (TPE for SMAC) and no pruner, whose steps are added.

functions: Test functions with curves of 30 steps that fall to their values, how fast and from how
far depending on the parameters. What counts is the regret of the best trial that ran to its end
after the steps of 10, 20 and 40 full trials.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import optuna
from contender import lines_of
from curves import PROBLEMS, boosting, linear, load
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pruning import goal_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pytest_hypersearch.core.space import Space, choice, lograndint, loguniform, randint, uniform
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.samplers import Observation
from pytest_hypersearch.search.pruners import Curve, pruner
from pytest_hypersearch.search.samplers import builtin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

TUNED = (
    "digits-network",
    "diabetes-boosting",
    "digits-linear",
    "diabetes-network",
    "moons-network",
)
"""Problems on which the method was chosen, every other one of the nine; the rest were held out."""
MOMENTA, BATCHES = [0.0, 0.5, 0.9, 0.98], [16, 32, 64, 128]
SCHEDULES = ["constant", "cosine", "stairs", "warm-up"]
NETWORK = {
    "lr": ("float", 1e-4, 1.0, True),
    "momentum": ("int", 0, 3, False),
    "batch": ("int", 0, 3, False),
    "width": ("int", 4, 96, True),
    "depth": ("int", 1, 2, False),
    "l2": ("float", 1e-6, 1e-1, True),
    "schedule": ("cat", SCHEDULES),
    "scale": ("float", 0.1, 2.0, True),
}
LINEAR = {name: entry for name, entry in NETWORK.items() if name not in {"width", "depth"}} | {
    "lr": ("float", 1e-5, 1.0, True)
}
BOOSTING = {
    "learning_rate": ("float", 0.005, 1.0, True),
    "max_depth": ("int", 1, 6, False),
    "subsample": ("float", 0.3, 1.0, False),
    "max_features": ("float", 0.1, 1.0, False),
    "min_samples_leaf": ("int", 1, 40, True),
}


@dataclass(frozen=True, slots=True)
class Pool:
    """The stored configurations of a problem.

    Attributes:
        space: Name to kind, low, high and log, or the options.
        configs: The configurations.
        units: The same in the unit cube (n, d); of an option, its number.
        ordered: Which parameters (d,) have an order.
        values: Their curves (n, steps), lower being better.
        goal: The score that counts as the best.
    """

    space: dict[str, tuple[Any, ...]]
    configs: list[dict[str, Any]]
    units: NDArray[np.float64]
    ordered: NDArray[np.bool_]
    values: NDArray[np.float64]
    goal: float

    def nearest(self, params: dict[str, Any], free: NDArray[np.bool_]) -> int:
        """Return the number of the nearest free configuration."""
        gaps = self.units - unit(self.space, params)
        gaps[:, ~self.ordered] = gaps[:, ~self.ordered] != 0
        distances = (gaps**2).sum(axis=1)
        return int(np.argmin(np.where(free, distances, math.inf)))


def unit(space: dict[str, tuple[Any, ...]], params: dict[str, Any]) -> NDArray[np.float64]:
    """Return a configuration in the unit cube."""
    row = []
    for name, (kind, *entry) in space.items():
        if kind == "cat":
            row.append(float(entry[0].index(params[name])))
            continue
        low, high, log = entry
        scaled = [math.log(v) if log else float(v) for v in (params[name], low, high)]
        row.append((scaled[0] - scaled[1]) / (scaled[2] - scaled[1]))
    return np.array(row)


@cache
def pool(name: str) -> Pool:
    """Return the pool of a problem; its configurations are drawn again as they were trained."""
    problem = next(each for each in PROBLEMS if each.name == name)
    stored = next(each for each in load() if each.name == name)
    values = stored.values if stored.mode == "min" else -stored.values
    space = BOOSTING if problem.draw is boosting else LINEAR if problem.draw is linear else NETWORK
    configs = []
    for number in range(len(values)):
        drawn = problem.draw(np.random.default_rng([sum(name.encode()), number]))
        if space is not BOOSTING:
            drawn |= {
                "momentum": MOMENTA.index(drawn["momentum"]),
                "batch": BATCHES.index(drawn["batch"]),
                "width": (drawn["layers"] or [4])[0],
                "depth": len(drawn["layers"]),
            }
        configs.append({key: drawn[key] for key in space})
    units = np.array([unit(space, config) for config in configs])
    ordered = np.array([kind != "cat" for kind, *_ in space.values()])
    return Pool(space, configs, units, ordered, values, goal_of(values, 0.01))


class Search(Protocol):
    """A sampler and a pruner; values are lower-better, steps count from 1."""

    def ask(self) -> dict[str, Any]:
        """Propose a configuration."""

    def start(self, params: dict[str, Any]) -> None:
        """This configuration is run for the proposal."""

    def report(self, step: int, value: float) -> bool:
        """Take a value and tell whether to prune."""

    def end(self, state: State, value: float) -> None:
        """The trial has ended."""


class Ours:
    """A strategy and a pruner of this package, as in ``bayes+forecast``."""

    def __init__(self, name: str, space: dict[str, tuple[Any, ...]], seed: int) -> None:
        strategy, _, rule = name.partition("+")
        self._blind, self._seed = strategy == "blind", seed
        self._sampler = builtin("bayes" if self._blind else strategy)
        self._space = Space((dict(_ours(space)),))
        self._rule = None if rule == "none" else pruner(rule)
        self._curves: list[Curve] = []
        self._told: list[Observation] = []
        self._params: dict[str, Any] = {}

    def ask(self) -> dict[str, Any]:
        """Ask the sampler."""
        return self._sampler.suggest(
            self._space, seed=self._seed, index=len(self._told), history=self._told
        )

    def start(self, params: dict[str, Any]) -> None:
        """Start a curve."""
        self._params = params
        self._curves.append(Curve(len(self._curves)))

    def report(self, step: int, value: float) -> bool:
        """Review the curve with the new value."""
        trial = self._curves[-1]
        trial.add(step, value)
        rule = self._rule
        return rule is not None and bool(rule.verdict(trial, self._curves[:-1], since=step - 1))

    def end(self, state: State, value: float) -> None:
        """Add the trial to the history."""
        curve = self._curves[-1]
        curve.ended = state
        scores = (value,) if state is State.COMPLETE else ()
        reports = () if self._blind else curve.reports
        number = len(self._told)
        self._told.append(Observation(number, self._params, state, scores, reports=reports))


class Optuna:
    """TPE and a pruner of Optuna, as in ``TPE+HyperbandPruner``, both with their defaults."""

    def __init__(self, name: str, space: dict[str, tuple[Any, ...]], seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore")
        kind = getattr(optuna.pruners, name.partition("+")[2])
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed), pruner=kind(), study_name=f"{seed}"
        )
        self._space = {key: _theirs(entry) for key, entry in space.items()}
        self._trial: optuna.Trial

    def ask(self) -> dict[str, Any]:
        """Ask for a trial."""
        self._trial = self._study.ask(self._space)
        return self._trial.params

    def start(self, params: dict[str, Any]) -> None:
        """Give the trial the parameters that are run in place of its own."""
        storage = self._study._storage  # noqa: SLF001  has no public face
        for name, entry in self._space.items():
            internal = entry.to_internal_repr(params[name])
            storage.set_trial_param(self._trial._trial_id, name, internal, entry)  # noqa: SLF001

    def report(self, step: int, value: float) -> bool:
        """Report the value."""
        self._trial.report(value, step)
        return self._trial.should_prune()

    def end(self, state: State, value: float) -> None:
        """Tell how it ended."""
        if state is State.COMPLETE:
            self._study.tell(self._trial, value)
        else:
            told = "PRUNED" if state is State.PRUNED else "FAIL"
            self._study.tell(self._trial, state=optuna.trial.TrialState[told])


def _ours(space: dict[str, tuple[Any, ...]]) -> Iterator[tuple[str, Any]]:
    for name, (kind, *entry) in space.items():
        if kind == "cat":
            yield name, choice(entry[0])
        else:
            low, high, log = entry
            float_kind, int_kind = (loguniform, lograndint) if log else (uniform, randint)
            yield name, (float_kind if kind == "float" else int_kind)(low, high)


def _theirs(entry: tuple[Any, ...]) -> optuna.distributions.BaseDistribution:
    if entry[0] == "cat":
        return CategoricalDistribution(entry[1])
    kind, low, high, log = entry
    return (FloatDistribution if kind == "float" else IntDistribution)(low, high, log=log)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A search that was replayed.

    Attributes:
        bests: Steps spent when a trial that ran to its end was the best so far, and its score.
        spent: Steps in all; the search ends when it has found the best.
        trials: How many trials were started.
        seconds: CPU time of the sampler and the pruner.
    """

    bests: list[tuple[int, float]]
    spent: int
    trials: int
    seconds: float


def replay(search: Search, each: Pool) -> Outcome:
    """Run a search until it has found the best or used up the pool."""
    free = np.ones(len(each.configs), dtype=bool)
    spent, begun, bests = 0, time.process_time(), [(0, math.inf)]
    while free.any() and bests[-1][1] > each.goal:
        number = each.nearest(search.ask(), free)
        free[number] = False
        search.start(each.configs[number])
        steps, value = _trial(search, each.values[number].tolist())
        spent += steps
        if value < bests[-1][1]:
            bests.append((spent, value))
    return Outcome(bests[1:], spent, int((~free).sum()), time.process_time() - begun)


def _trial(search: Search, curve: list[float]) -> tuple[int, float]:
    """Run a trial; return its steps, and its score, infinite without one."""
    for step, value in enumerate(curve, 1):
        if search.report(step, value) and step < len(curve):
            search.end(State.PRUNED, value)
            return step, math.inf
    lost = not math.isfinite(curve[-1])
    search.end(State.INVALID if lost else State.COMPLETE, curve[-1])
    return len(curve), math.inf if lost else curve[-1]


def _never(config: object, seed: int = 0, budget: float = 0.0) -> float:
    """Stand for the trial in SMAC, which is asked and told."""
    raise NotImplementedError(config, seed, budget)


def smac(each: Pool, seed: int) -> Outcome:
    """Run SMAC's multi-fidelity facade: Hyperband with a random forest, as it comes."""
    from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
    from smac import MultiFidelityFacade, Scenario
    from smac.runhistory import StatusType, TrialValue

    warnings.simplefilter("ignore")
    space = ConfigurationSpace(seed=seed)
    for name, (kind, *entry) in each.space.items():
        if kind == "cat":
            space.add(Categorical(name, entry[0]))
        else:
            low, high, log = entry
            space.add((Float if kind == "float" else Integer)(name, (low, high), log=log))
    last = each.values.shape[1]
    scenario = Scenario(
        space,
        deterministic=True,
        n_trials=100_000,
        min_budget=last / 27,
        max_budget=last,
        seed=seed,
        output_directory=Path(tempfile.gettempdir(), "smac"),
    )
    facade = MultiFidelityFacade(scenario, _never, overwrite=True, logging_level=50)
    free = np.ones(len(each.configs), dtype=bool)
    curves: dict[Any, list[float]] = {}
    done: dict[Any, int] = defaultdict(int)
    spent, seconds, bests = 0, 0.0, [(0, math.inf)]
    worst = float(np.nanmax(each.values))
    while spent < each.values.size and bests[-1][1] > each.goal:
        begun = time.process_time()
        info = facade.ask()
        seconds += time.process_time() - begun
        if info.config not in curves:
            if not free.any():
                break
            number = each.nearest(dict(info.config), free)
            free[number] = False
            curves[info.config] = each.values[number].tolist()
        step = min(last, max(1, round(info.budget)))
        spent += max(0, step - done[info.config])
        done[info.config] = max(done[info.config], step)
        value = curves[info.config][step - 1]
        if step == last and value < bests[-1][1]:
            bests.append((spent, value))
        lost = not math.isfinite(value)
        begun = time.process_time()
        facade.tell(info, TrialValue(cost=worst if lost else value, status=StatusType.SUCCESS))
        seconds += time.process_time() - begun
    return Outcome(bests[1:], spent, len(curves), seconds)


LENGTH = 30
CHECKED = (10, 20, 40)  # full trials
_A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8]]
_A += [[17, 8, 0.05, 10, 0.1, 14]]
_P = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991]]
_P += [[2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]


def branin(x: float, y: float) -> float:
    """Return Branin's function above its minimum."""
    bend = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.397887


def rosenbrock(x: NDArray[np.float64]) -> float:
    """Return Rosenbrock's function."""
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def hartmann6(u: NDArray[np.float64]) -> float:
    """Return Hartmann's function of six parameters above its minimum."""
    distances = (np.array(_A) * (u - 1e-4 * np.array(_P)) ** 2).sum(axis=1)
    return 3.32237 - float(np.exp(-distances) @ [1.0, 1.2, 3.0, 3.2])


TARGETS = {
    "branin": (2, lambda u: branin(15 * u[0] - 5, 15 * u[1]) / 50),
    "rosenbrock4": (4, lambda u: math.log1p(rosenbrock(4 * u - 2)) / 5),
    "hartmann6": (6, hartmann6),
}
"""By name the number of parameters, in [0, 1], and the regret of a configuration."""


def descend(search: Search, target: Callable[..., float], seed: int) -> list[float]:
    """Return log10 regrets of the best trial that ran to its end, after the checked steps."""
    rng, spent, bests = np.random.default_rng(seed + 99), 0, [(0, math.inf)]
    while spent < CHECKED[-1] * LENGTH:
        params = search.ask()
        search.start(params)
        u = np.array(list(params.values()))
        steps = np.arange(1.0, LENGTH + 1)
        decay = steps ** -(0.3 + 1.2 * u[0]) - float(LENGTH) ** -(0.3 + 1.2 * u[0])
        noise = 0.01 * rng.standard_normal(LENGTH) * (steps < LENGTH)
        done, value = _trial(search, (target(u) + (0.5 + u[-1]) * decay + noise).tolist())
        spent += done
        if value < bests[-1][1]:
            bests.append((spent, value))
    within = [min(v for at, v in bests if at <= count * LENGTH) for count in CHECKED]
    return [math.log10(min(max(regret, 1e-6), 10.0)) for regret in within]


STORED = ("bayes+forecast", "blind+forecast", "bayes+none")
STORED += tuple(f"TPE+{rule}Pruner" for rule in ("Hyperband", "Median", "SuccessiveHalving", "Nop"))
AT_ONCE = "halving:min_step=1,factor=4,min_trials=1"
FUNCTIONS = tuple(
    f"{name}+{rule}"
    for rule in ("forecast", "median", "halving", AT_ONCE)
    for name in ("bayes", "blind")
)


def stored(options: argparse.Namespace) -> None:
    """Replay searches of stored curves and append them to a file."""
    problems = [each.name for each in PROBLEMS]
    for problem, name, seed, put in _missing(options, problems, STORED):
        each = pool(problem)
        if name == "SMAC":
            outcome = smac(each, seed)
        else:
            kind = Optuna if name.startswith("TPE+") else Ours
            outcome = replay(kind(name, each.space, seed), each)
        put([outcome.bests, outcome.spent, outcome.trials, round(outcome.seconds, 2)])


def functions(options: argparse.Namespace) -> None:
    """Search functions and append the regrets to a file."""
    for problem, name, seed, put in _missing(options, list(TARGETS), FUNCTIONS):
        d, target = TARGETS[problem]
        space = {f"x{i}": ("float", 0.0, 1.0, False) for i in range(d)}
        put([[round(each, 3) for each in descend(Ours(name, space, seed), target, seed)]])


def _missing(
    options: argparse.Namespace, problems: list[str], names: tuple[str, ...]
) -> Iterator[tuple[str, str, int, Callable[[list[Any]], object]]]:
    """Yield the runs that are not in the file yet, and what appends one to it."""
    path = Path(options.path)
    lines = path.read_text().splitlines() if path.exists() else []
    known = {tuple(json.loads(line)[:3]) for line in lines}
    with path.open("a", buffering=1) as file:
        for seed, name, problem in product(
            range(*options.seeds), options.names or names, options.problems or problems
        ):
            if (problem, name, seed) not in known:
                head = [problem, name, seed]
                yield (
                    *head,
                    lambda cells, head=head: file.write(json.dumps([*head, *cells]) + "\n"),
                )


def table(options: argparse.Namespace) -> None:
    """Print what the searches cost."""
    rows = [json.loads(line) for path in options.paths for line in lines_of(Path(path))]
    of_functions = [row for row in rows if row[0] in TARGETS]
    if of_functions:
        _table_of_functions(of_functions)
    rows = [row for row in rows if row[0] not in TARGETS]
    if rows:
        _table_of_stored(rows)


def _table_of_functions(rows: list[list[Any]]) -> None:
    """Print by pruner the difference that the values of pruned trials make."""
    regrets = {tuple(row[:3]): np.array(row[3]) for row in rows}
    print(f"| pruner | {' | '.join(f'{n} full trials' for n in CHECKED)} | better/worse |")
    print("|---|" + "--:|" * (len(CHECKED) + 1))
    for name in dict.fromkeys(row[1] for row in rows if row[1].startswith("bayes+")):
        rule = name.removeprefix("bayes+")
        gains = np.array(
            [
                regrets[problem, name, seed] - regrets[problem, f"blind+{rule}", seed]
                for problem, other, seed in regrets
                if other == name and (problem, f"blind+{rule}", seed) in regrets
            ]
        )
        error = 1.96 * gains.std(axis=0, ddof=1) / math.sqrt(len(gains))
        cells = [f"{m:+.2f} ± {e:.2f}" for m, e in zip(gains.mean(axis=0), error, strict=True)]
        last = gains[:, -1]
        print(f"| {rule} | {' | '.join(cells)} | {(last < 0).sum()}/{(last > 0).sum()} |")


def _table_of_stored(rows: list[list[Any]]) -> None:
    """Print the mean steps of each search, and ratios over problems with intervals."""
    spent = {(problem, name, seed): steps for problem, name, seed, _, steps, *_ in rows}
    runs: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    found: dict[str, list[bool]] = defaultdict(list)
    times: dict[str, list[float]] = defaultdict(list)
    for problem, name, seed, bests, steps, trials, seconds in rows:
        lost = not bests or bests[-1][1] > pool(problem).goal
        again = "TPE+NopPruner" if name.startswith(("TPE", "SMAC")) else "bayes+none"
        if lost and (problem, again, seed) not in spent:
            continue
        runs[problem, name][seed] = steps + (spent[problem, again, seed] if lost else 0)
        found[name].append(not lost)
        times[name].append(1000 * seconds / trials)
    names = list(dict.fromkeys(name for _, name in runs))
    wanted = [each.name for each in PROBLEMS if (each.name, names[0]) in runs]
    print("| search | " + " | ".join(wanted) + " | found | runs | ms a trial |")
    print("|---|" + "--:|" * (len(wanted) + 3))
    for name in names:
        steps = [runs[each, name].values() for each in wanted]
        cells = [f"{statistics.fmean(each):.0f}" if each else "-" for each in steps]
        share, took = statistics.fmean(found[name]), statistics.fmean(times[name])
        print(f"| {name} | {' | '.join(cells)} | {share:.0%} | {len(found[name])} | {took:.1f} |")
    groups = {
        "tuned": [each for each in wanted if each in TUNED],
        "held out": [each for each in wanted if each not in TUNED],
        "all": wanted,
    }
    print(f"\nSteps of {names[0]} relative to others: geometric mean over problems [95%].\n")
    print("| search | " + " | ".join(groups) + " |\n|---|" + "--:|" * len(groups))
    for name in names[1:]:
        cells = [_ratio(runs, names[0], name, group) for group in groups.values()]
        print(f"| {name} | {' | '.join(cells)} |")


def _ratio(
    runs: dict[tuple[str, str], dict[int, float]], ours: str, theirs: str, group: list[str]
) -> str:
    """Return the ratio of mean steps for the seeds of both, with an interval by the bootstrap."""
    rng = np.random.default_rng(0)
    rows = [
        np.array([[runs[each, ours][seed], runs[each, theirs][seed]] for seed in both])
        for each in group
        if (both := runs[each, ours].keys() & runs[each, theirs].keys())
    ]

    def ratio(tables: list[NDArray[np.float64]]) -> float:
        means = [each.mean(axis=0) for each in tables]
        return float(np.exp(np.mean([np.log(a / b) for a, b in means])))

    drawn = [ratio([x[rng.integers(len(x), size=len(x))] for x in rows]) for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{ratio(rows):.2f} [{low:.2f}, {high:.2f}]"


def main() -> int:
    """Run or print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for call, seeds in ((stored, (100, 120)), (functions, (0, 6))):
        running = commands.add_parser(call.__name__)
        running.add_argument("path")
        running.add_argument("--names", nargs="+", metavar="NAME")
        running.add_argument("--problems", nargs="+", metavar="NAME")
        running.add_argument("--seeds", nargs=2, type=int, default=seeds)
        running.set_defaults(call=call)
    printing = commands.add_parser("table")
    printing.add_argument("paths", nargs="+")
    printing.set_defaults(call=table)
    options = parser.parse_args()
    options.call(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
