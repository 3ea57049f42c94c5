"""What a mark spends: replicates raced, trials pruned or cut off, the sweep stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.durations import duration_of
from pytest_hypersearch.given import number_of
from pytest_hypersearch.goals import StopRule
from pytest_hypersearch.marks.values import SweepError, integer, wrong
from pytest_hypersearch.pruners import pruner
from pytest_hypersearch.pruners.travel import pickled

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_hypersearch.pruners import Pruner

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
        raise wrong("stop", value, "expected patience beside min_delta")
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
    race = given.get("race", False)
    if not isinstance(race, bool):
        raise wrong("race", race, "expected True or False")
    if race and given.get("replicates", 1) < FEWEST_RACED:
        raise wrong("race", race, f"expected replicates= of at least {FEWEST_RACED} beside it")
    if race and not isinstance(given.get("metric", ""), str):
        raise wrong("race", race, "expected one metric beside it")
    if race and given.get("constraints"):
        raise wrong("race", race, "expected no constraints= beside it")
    if race and given.get("pick") in {"median", "max", "min"}:
        raise wrong("race", race, f"expected no pick={given['pick']!r} beside it")
    return race


def timeout_of(given: Mapping[str, Any]) -> float | None:
    """The seconds that a trial may take, None if it may take any time."""
    return _duration(given, "timeout") if "timeout" in given else None


def prune_of(given: Mapping[str, Any]) -> Pruner | None:
    """The pruner, None without one."""
    if "prune" not in given:
        return None
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
