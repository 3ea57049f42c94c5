"""From the arguments of a ``sweep`` mark to a validated sweep, its gates among them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pytest_hypersearch.core.errors import SweepError
from pytest_hypersearch.core.goals import ALPHA, TOLERANCE, TOP, Gate, Goal, Mode, constraint_of
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.values import number_of, shown
from pytest_hypersearch.plugin.mark.budget import (
    MODES,
    constraints_of,
    goals_of,
    pick_of,
    prune_of,
    race_of,
    resources_of,
    stop_of,
    timeout_of,
)
from pytest_hypersearch.plugin.mark.spaces import (
    base_of,
    encoded,
    files,
    flag,
    identifier,
    indirect_of,
    integer,
    names_of,
    one_of,
    points_of,
    space_of,
    start_from_of,
    text,
    wrong,
)
from pytest_hypersearch.plugin.mark.typed import sweep
from pytest_hypersearch.stats.gate import LEAST_SEEDS, Tolerance

SHORTHANDS = ("grid", "random", "bayes")
SCOPES = ("session", "package", "module", "class", "function")
MOST_TRIALS = 1_000_000

# Names of these arguments in Optuna, scikit-learn and Ray Tune.
_SPACE = "grid=, random= or bayes="
_ELSEWHERE = {
    "baseline": "gate= and pytest's --sweep-baseline",
    "catch": "raises=",
    "config": _SPACE,
    "cv": "replicates=",
    "direction": "mode='min' or 'max'",
    "directions": "mode=['min', 'max', ...]",
    "error_score": "raises=",
    "load_if_exists": "pytest's --sweep-resume",
    "max_concurrent_trials": "parallel=",
    "max_failures": "retries=",
    "n_iter": "n_trials=",
    "n_jobs": "pytest's -n",
    "num_samples": "n_trials=",
    "param_distributions": "random=",
    "param_grid": "grid=",
    "param_space": _SPACE,
    "points_to_evaluate": "points=",
    "pruner": "prune=",
    "random_state": "seed=",
    "resources_per_trial": "resources=",
    "resume": "pytest's --sweep-resume",
    "sampler": "strategy=",
    "scheduler": "prune=",
    "scoring": "metric=",
    "search_alg": "strategy=",
    "search_space": _SPACE,
    "storage": "pytest's cache_dir",
    "storage_path": "pytest's cache_dir",
    "study_name": "name=",
    "time_budget_s": "stop={'time': ...}",
    "verbose": "pytest's -v",
}

_ARGUMENTS = frozenset(cast("dict[str, Any]", sweep.__kwdefaults__))


def from_mark(args: Sequence[object], kwargs: Mapping[str, Any]) -> Sweep:
    """Validate the arguments of a ``sweep`` mark.

    Raises:
        SweepError: Anything is missing, unknown, contradictory or of the wrong kind.
    """
    if args:
        raise SweepError(
            f"sweep({shown(args[0])}, ...): expected keyword arguments only, such as grid={{...}}"
        )
    for name in kwargs:
        if name not in _ARGUMENTS:
            near = difflib.get_close_matches(name, sorted(_ARGUMENTS), n=1)
            meant = _ELSEWHERE.get(name, near[0] if near else "")
            hint = (
                f"did you mean {meant}?" if meant else f"expected {', '.join(sorted(_ARGUMENTS))}"
            )
            raise wrong(name, kwargs[name], f"no such argument; {hint}")
    given, at_least = sequential_of(
        {name: value for name, value in kwargs.items() if value is not None}
    )
    strategy, argument = _strategy(given)
    space = space_of(argument, given[argument], strategy)
    goals = goals_of(given, strategy)
    (metric, mode), *others = goals
    return Sweep(
        name=identifier("name", given.get("name", strategy.replace(":", "-"))),
        strategy=strategy,
        space=space,
        n_trials=_n_trials(given, strategy, space),
        metric=metric,
        mode=mode,
        others=tuple(others),
        constraints=constraints_of(given, strategy),
        seed=integer(given, "seed", 0, least=0),
        replicates=integer(given, "replicates", 1, least=1),
        pick=pick_of(given, strategy, space),
        points=points_of(given, space),
        start_from=start_from_of(given, strategy),
        group_by=names_of(given, "group_by", space),
        keep=_keep(given),
        retries=integer(given, "retries", 1, least=0),
        race=race_of(given),
        prune=prune_of(given),
        stop=stop_of(given),
        timeout=timeout_of(given),
        parallel=_parallel(given, strategy),
        raises=_raises(given.get("raises", ())),
        base=base_of(given.get("base"), space),
        scope=one_of(given, "scope", SCOPES, "function"),
        indirect=indirect_of(given, space),
        depends_on=files(given.get("depends_on", ())),
        resources=resources_of(given),
        isolate=_isolate(given),
        gates=gates_of(given, goals),
        at_least=at_least,
    )


def _strategy(given: Mapping[str, Any]) -> tuple[str, str]:
    """The strategy and the name of the argument that holds its space."""
    named = [name for name in (*SHORTHANDS, "strategy") if name in given]
    if len(named) != 1:
        what = " and ".join(f"{name}=..." for name in named) or "no strategy"
        raise SweepError(
            f"sweep: given {what}; expected exactly one of grid={{...}}, random={{...}}, "
            "bayes={...} or strategy='...' with space={...}"
        )
    if named[0] != "strategy":
        if "space" in given:
            raise wrong("space", given["space"], f"expected it in {named[0]}=")
        return named[0], named[0]
    if "space" not in given:
        raise wrong("strategy", given["strategy"], "requires space={...}")
    strategy = text(given, "strategy", "")
    return identifier("strategy", strategy, also=":"), "space"


def _n_trials(given: Mapping[str, Any], strategy: str, space: Space) -> int:
    size = space.size
    if strategy == "grid":
        if "n_trials" in given:
            raise wrong(
                "n_trials",
                given["n_trials"],
                "not accepted by grid=, which tries every combination",
            )
        wanted = size or 0
    else:
        if "n_trials" not in given:
            raise SweepError(
                f"sweep({strategy}=...): requires n_trials=, the number of configurations"
            )
        wanted = integer(given, "n_trials", 1, least=1)
        wanted = wanted if size is None else min(wanted, size)
    total = wanted * integer(given, "replicates", 1, least=1)
    if total > MOST_TRIALS:
        raise SweepError(
            f"sweep({strategy}=...): {total:,} trials; expected at most {MOST_TRIALS:,}"
        )
    return wanted


def _parallel(given: Mapping[str, Any], strategy: str) -> int | None:
    if "parallel" not in given:
        return None
    if strategy in {"grid", "random"}:
        raise wrong(
            "parallel",
            given["parallel"],
            f"not accepted by {strategy}=, which is reproducible without it",
        )
    return integer(given, "parallel", 1, least=1)


def _isolate(given: Mapping[str, Any]) -> bool:
    isolate = flag(given, "isolate")
    if isolate and not hasattr(os, "killpg"):
        raise wrong("isolate", isolate, "expected False on this system, which is not POSIX")
    return isolate


def _keep(given: Mapping[str, Any]) -> int | None:
    if isinstance(given.get("keep"), str) and given["keep"] == "all":
        return None
    try:
        return integer(given, "keep", 1, least=1)
    except SweepError:
        expected = "expected an integer of at least 1 or 'all'"
        raise wrong("keep", given["keep"], expected) from None


def _raises(value: object) -> tuple[type[BaseException], ...]:
    kinds = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        raise wrong("raises", value, "expected an exception class or a tuple of them")
    return kinds


KEYS = ("tolerance", "threshold", "mode", "top", "alpha", "strict")
_VALUES = "expected a loss such as '1%' or 0.005, a threshold such as '>= 0.95', or a dict"


def gates_of(given: Mapping[str, Any], goals: Sequence[Goal]) -> tuple[Gate, ...]:
    """The gates that ``gate`` asks for; ``goals`` are what the sweep optimises."""
    value = given.get("gate", False)
    if value is False:
        return ()
    metrics = {goals[0].metric: {}} if value is True else value
    if not isinstance(metrics, Mapping) or not metrics:
        raise wrong("gate", value, "expected True or a dict such as {'val_loss': '1%'}")
    if integer(given, "replicates", 1, least=1) < LEAST_SEEDS:
        hint = (
            f"requires replicates= of at least {LEAST_SEEDS}; 8 detect a loss of one standard "
            "deviation"
        )
        raise wrong("gate", value, hint)
    modes: dict[object, Mode] = {goal.metric: goal.mode for goal in goals}
    return tuple(gate for metric, entry in metrics.items() for gate in _gates(metric, entry, modes))


def sequential_of(given: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The arguments with the most replicates in place of a dict, and the least, None without."""
    value = given.get("replicates")
    if not isinstance(value, Mapping):
        return dict(given), None
    if set(value) != {"at_least", "at_most"}:
        raise wrong("replicates", value, "expected an integer, or a dict of at_least and at_most")
    named = _named("replicates", value)
    least = integer(named, "replicates['at_least']", LEAST_SEEDS, least=LEAST_SEEDS)
    most = integer(named, "replicates['at_most']", least, least=least + 1)
    gate = given.get("gate")
    if not gate or (isinstance(gate, Mapping) and all(map(_is_threshold, gate.values()))):
        raise wrong("replicates", value, "requires a gate= that compares with a baseline")
    if given.get("race"):
        raise wrong("replicates", value, "cannot be combined with race=True")
    return {**given, "replicates": most}, least


def _is_threshold(entry: object) -> bool:
    if isinstance(entry, Mapping):
        return "threshold" in entry and "tolerance" not in entry
    return isinstance(entry, str) and entry.strip()[:1] in {"<", ">"}


def _gates(metric: object, entry: object, modes: Mapping[object, Mode]) -> Iterator[Gate]:
    """A gate against the baseline, one against a threshold, or both."""
    if not isinstance(metric, str) or not metric.strip():
        raise wrong("gate", metric, "expected names of metrics")
    encoded("gate", metric)
    name = f"gate[{metric!r}]"
    options = entry if isinstance(entry, Mapping) else {_kind(name, entry): entry}
    if not set(options) <= set(KEYS):
        raise wrong(name, entry, f"expected a dict with some of {', '.join(KEYS)}")
    if "threshold" in options:
        if "tolerance" not in options and {"top", "strict"} & set(options):
            raise wrong(name, entry, "expected 'top' and 'strict' with a 'tolerance' only")
        yield _threshold(name, metric, options, modes.get(metric))
    if "threshold" not in options or "tolerance" in options:
        yield Gate(
            metric=metric,
            mode=_mode(name, options, modes.get(metric)),
            tolerance=_tolerance(name, options),
            top=_top(name, options),
            alpha=_alpha(name, options),
            strict=flag(_named(name, options), f"{name}['strict']"),
        )


def _kind(name: str, entry: object) -> str:
    """What an entry that is no dict says."""
    if _is_threshold(entry):
        return "threshold"
    if isinstance(entry, str) or number_of(entry) is not None:
        return "tolerance"
    raise wrong(name, entry, _VALUES)


def _named(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options by the names that messages give them."""
    return {f"{name}[{key!r}]": value for key, value in options.items()}


def _threshold(name: str, metric: str, options: Mapping[str, Any], mode: Mode | None) -> Gate:
    try:
        _, sign, bound = constraint_of(metric, options["threshold"])
    except ValueError as error:
        raise SweepError(f"sweep({name}): {error}") from None
    better: Mode = "max" if sign == ">=" else "min"
    if better != (mode or better):
        expected = f"expected {'>=' if mode == 'max' else '<='}: mode={mode!r} of the sweep"
        raise wrong(name, options["threshold"], expected)
    return Gate(metric=metric, mode=better, bound=bound, alpha=_alpha(name, options))


def _mode(name: str, options: Mapping[str, Any], mode: Mode | None) -> Mode:
    if mode is None and "mode" not in options:
        hint = "requires 'mode': 'min' or 'max' in a dict, as the sweep does not optimise it"
        raise SweepError(f"sweep({name}=...): {hint}")
    given: Mode = one_of(_named(name, options), f"{name}['mode']", MODES, mode or "min")
    if given != (mode or given):
        raise wrong(f"{name}['mode']", given, f"expected {mode!r} as in the sweep")
    return given


def _tolerance(name: str, options: Mapping[str, Any]) -> float | str:
    value = options.get("tolerance", TOLERANCE)
    number = number_of(value)
    tolerance = value if number is None else number
    try:
        Tolerance.of(tolerance)
    except ValueError:
        raise wrong(name, value, _VALUES) from None
    return tolerance.strip() if isinstance(tolerance, str) else tolerance


def _top(name: str, options: Mapping[str, Any]) -> int | None:
    if options.get("top") == "all":
        return None
    return integer(_named(name, options), f"{name}['top']", TOP, least=1)


def _alpha(name: str, options: Mapping[str, Any]) -> float:
    value = options.get("alpha", ALPHA)
    number = number_of(value)
    if number is None or not 0 < number < 0.5:  # noqa: PLR2004 - a coin is no test
        raise wrong(f"{name}['alpha']", value, "expected a number above 0 and below 0.5")
    return float(number)
