"""Metrics, modes and constraints among the arguments of a mark."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from pytest_hypersearch.core.contracts import ONE_METRIC, Pruner, pickled
from pytest_hypersearch.core.errors import SweepError
from pytest_hypersearch.core.goals import (
    ONE_SE,
    Constraint,
    Goal,
    Mode,
    StopRule,
    constraint_of,
    implied_mode,
)
from pytest_hypersearch.core.space import Choice, Space
from pytest_hypersearch.core.study import STATISTICS
from pytest_hypersearch.core.sweep import Demand
from pytest_hypersearch.core.values import duration_of, number_of, shown
from pytest_hypersearch.plugin.mark.spaces import encoded, flag, integer, one_of, text, wrong

MODES = ("min", "max")
DEFAULT_METRIC = "score"


def goals_of(given: Mapping[str, Any], strategy: str) -> list[Goal]:
    """The metrics to optimise with their modes, from ``metric`` and ``mode``; the score first."""
    metric = given.get("metric", DEFAULT_METRIC)
    if not isinstance(metric, (list, tuple)):
        name = text(given, "metric", DEFAULT_METRIC)
        named = "metric" in given and "mode" not in given
        mode = _implied(name, metric) if named else one_of(given, "mode", MODES, "min")
        return [Goal(name, mode)]
    for each in metric:
        if not isinstance(each, str) or not each.strip():
            raise wrong("metric", metric, "expected non-empty strings in the list")
        encoded("metric", each)
    if len(metric) < 2:  # noqa: PLR2004 - one metric is no list
        raise wrong("metric", metric, "expected a name, or a list of two or more names")
    if len(set(metric)) < len(metric):
        raise wrong("metric", metric, "expected distinct names")
    if strategy in ONE_METRIC:
        raise wrong("metric", metric, f"expected one metric with strategy={shown(strategy)}")
    if "mode" not in given:
        return [Goal(each, _implied(each, metric)) for each in metric]
    mode = given["mode"]
    if not isinstance(mode, (list, tuple)) or len(mode) != len(metric):
        raise wrong("mode", mode, f"expected a list of {len(metric)} modes, one per metric")
    if any(each not in MODES for each in mode):
        raise wrong("mode", mode, f"expected only {' or '.join(map(repr, MODES))} in the list")
    return [Goal(*pair) for pair in zip(metric, mode, strict=True)]


def _implied(name: str, metric: object) -> Mode:
    """The direction that a metric's name implies; ``score`` alone is used for either."""
    if name == DEFAULT_METRIC:
        raise wrong(
            "metric", metric, "expected mode='min' or 'max' beside it: scores go either way"
        )
    return implied_mode(name)


def constraints_of(given: Mapping[str, Any], strategy: str) -> tuple[Constraint, ...]:
    """The bounds that ``constraints`` puts on metrics."""
    value = given.get("constraints", {})
    if not isinstance(value, Mapping):
        raise wrong("constraints", value, "expected a dict such as {'latency': '<= 50'}")
    found = []
    for metric, bound in value.items():
        if not isinstance(metric, str) or not metric.strip():
            raise wrong("constraints", metric, "expected names of metrics")
        encoded("constraints", metric)
        try:
            found.append(constraint_of(metric, bound))
        except ValueError as error:
            raise SweepError(f"sweep(constraints=...): {error}") from None
    if found and strategy.startswith("optuna:"):
        what = "Optuna's samplers get no constraints; use bayes, random or grid"
        raise wrong("constraints", value, what)
    return tuple(found)


def pick_of(given: Mapping[str, Any], strategy: str, space: Space) -> str:
    """The rule by which the best configuration is picked."""
    pick = text(given, "pick", "mean").strip()
    rule, colon, simplest = pick.partition(":")
    if rule not in {*STATISTICS, ONE_SE} or (colon and not (simplest and rule == ONE_SE)):
        words = ", ".join(map(repr, (*STATISTICS, ONE_SE)))
        raise wrong("pick", pick, f"expected one of {words}, 'one-se:NAME'")
    if rule == "mean":
        return pick
    if isinstance(given.get("metric"), (list, tuple)):
        raise wrong("pick", pick, "expected 'mean' with several metrics")
    if integer(given, "replicates", 1, least=1) == 1:
        raise wrong("pick", pick, "requires replicates= of at least 2")
    if rule == ONE_SE and not simplest and strategy != "grid":
        hint = "NAME is a parameter or metric, lowest is simplest"
        raise wrong("pick", pick, f"expected 'one-se:NAME' with {strategy}: {hint}")
    for branch in space.branches:
        entry = branch.get(simplest)
        if isinstance(entry, Choice) and any(number_of(label) is None for label in entry.labels):
            raise wrong("pick", pick, f"expected a numeric parameter; {simplest} is {entry}")
    return pick


KINDS = ("cpus", "gpus", "memory")
_STEMS = ("cpu", "gpu", "mem", "core")

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(i?)B\s*", re.ASCII)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def resources_of(given: Mapping[str, Any]) -> Demand | None:
    """Read what each trial demands of its machine, None if nothing.

    Raises:
        SweepError: It is no dict of known kinds to amounts.
    """
    if "resources" not in given:
        return None
    wanted = given["resources"]
    if not isinstance(wanted, Mapping) or not wanted or not all(map(_is_kind, wanted)):
        raise wrong(
            "resources", wanted, f"expected a dict with some of {', '.join(map(repr, KINDS))}"
        )
    return Demand(
        cpus=_amount(wanted, "cpus") if "cpus" in wanted else 0,
        gpus=_gpus(wanted) if "gpus" in wanted else 0,
        memory=_memory(wanted) if "memory" in wanted else 0,
        named={name: _amount(wanted, name) for name in wanted if name not in KINDS},
    )


def _is_kind(name: object) -> bool:
    """Whether it is a kind of resource or a name for one of the user's, and no misspelt kind."""
    return name in KINDS or (
        isinstance(name, str) and name.isidentifier() and not name.lower().startswith(_STEMS)
    )


def _amount(wanted: Mapping[str, Any], name: str) -> int:
    number = number_of(wanted[name])
    if number is None or number < 1 or number != int(number):
        raise wrong("resources", wanted, f"expected {name!r} to be an integer of at least 1")
    return int(number)


def _gpus(wanted: Mapping[str, Any]) -> float:
    number = number_of(wanted["gpus"])
    if number is None or number <= 0 or (number > 1 and number != int(number)):
        raise wrong("resources", wanted, "expected 'gpus' to be a fraction or a whole number")
    return number


def _memory(wanted: Mapping[str, Any]) -> int:
    value = wanted["memory"]
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match:
        base = 1024 if match[3] else 1000
        value = float(match[1]) * base ** _POWERS[match[2]] // 1
    number = number_of(value)
    if number is None or number < 1 or number != int(number):
        raise wrong("resources", wanted, "expected 'memory' to be bytes or a text such as '4GiB'")
    return int(number)


FEWEST_RACED = 3
_RULES = tuple(field.name for field in fields(StopRule))


def stop_of(given: Mapping[str, Any]) -> StopRule | None:
    """The rule that ends the sweep early, None without one."""
    value = given.get("stop")
    if value is None:
        return None
    if not isinstance(value, Mapping) or not value or not set(value) <= set(_RULES):
        raise wrong("stop", value, f"expected a dict with some of {', '.join(_RULES)}")
    if "min_delta" in value and "patience" not in value:
        raise wrong("stop", value, "min_delta requires patience")
    kinds: dict[str, Callable[[Mapping[str, Any], str], float]] = {
        "score": _finite,
        "patience": _count,
        "min_delta": _positive,
        "time": _duration,
        "trials": _count,
    }
    entries = {f"stop[{name!r}]": entry for name, entry in value.items()}
    found: dict[str, Any] = {name: kinds[name](entries, f"stop[{name!r}]") for name in value}
    return StopRule(**found)


def race_of(given: Mapping[str, Any]) -> bool:
    """Whether replicates are raced, which goes by the mean of one metric."""
    race = flag(given, "race")
    if race and given.get("replicates", 1) < FEWEST_RACED:
        raise wrong("race", race, f"requires replicates= of at least {FEWEST_RACED}")
    if race and not isinstance(given.get("metric", ""), str):
        raise wrong("race", race, "requires a single metric")
    if race and given.get("constraints"):
        raise wrong("race", race, "cannot be combined with constraints=")
    if race and given.get("pick") in {"median", "max", "min"}:
        raise wrong("race", race, f"cannot be combined with pick={given['pick']!r}")
    return race


def timeout_of(given: Mapping[str, Any]) -> float | None:
    """The seconds that a trial may take, None if it may take any time."""
    return _duration(given, "timeout") if "timeout" in given else None


def prune_of(given: Mapping[str, Any]) -> Pruner | None:
    """The pruner, None without one."""
    if "prune" not in given:
        return None
    from pytest_hypersearch.search.pruners import pruner

    try:
        found = pruner(given["prune"])
        pickled(found)
    except ValueError as error:
        raise SweepError(f"sweep(prune=...): {error}") from None
    return found


def _count(given: Mapping[str, Any], name: str) -> int:
    return integer(given, name, 1, least=1)


def _finite(given: Mapping[str, Any], name: str) -> float:
    number = number_of(given[name])
    if number is None:
        raise wrong(name, given[name], "expected a finite number")
    return number


def _positive(given: Mapping[str, Any], name: str) -> float:
    number = _finite(given, name)
    if number < 0:
        raise wrong(name, given[name], "expected a number of at least 0")
    return number


def _duration(given: Mapping[str, Any], name: str) -> float:
    try:
        return duration_of(given[name])
    except ValueError as error:
        raise wrong(name, given[name], str(error).partition(": ")[2]) from None
