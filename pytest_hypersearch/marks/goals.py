"""Metrics, modes and constraints among the arguments of a mark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.given import number_of, shown
from pytest_hypersearch.goals import Constraint, Goal, constraint_of
from pytest_hypersearch.marks.values import SweepError, integer, one_of, text, wrong
from pytest_hypersearch.samplers import ONE_METRIC
from pytest_hypersearch.space import Choice
from pytest_hypersearch.statistics.picking import ONE_SE, STATISTICS

if TYPE_CHECKING:
    from pytest_hypersearch.space import Space

MODES = ("min", "max")


def goals_of(given: Mapping[str, Any], strategy: str) -> list[Goal]:
    """The metrics to optimise with their modes, from ``metric`` and ``mode``; the score first."""
    metric, mode = given.get("metric", "score"), given.get("mode", "min")
    if not isinstance(metric, (list, tuple)):
        return [Goal(text(given, "metric", "score"), one_of(given, "mode", MODES, "min"))]
    for each in metric:
        if not isinstance(each, str) or not each.strip():
            raise wrong("metric", metric, "expected non-empty strings in the list")
    if len(metric) < 2:  # noqa: PLR2004 - one metric is no list
        raise wrong("metric", metric, "expected a name, or a list of two or more names")
    if len(set(metric)) < len(metric):
        raise wrong("metric", metric, "expected each name once")
    modes = [mode] * len(metric) if "mode" not in given else mode
    if not isinstance(modes, (list, tuple)) or len(modes) != len(metric):
        raise wrong("mode", mode, f"expected a list of {len(metric)}, one for each metric")
    if any(each not in MODES for each in modes):
        raise wrong("mode", mode, f"expected only {' or '.join(map(repr, MODES))} in the list")
    if strategy in ONE_METRIC:
        raise wrong("metric", metric, f"expected one metric with strategy={shown(strategy)}")
    return [Goal(*pair) for pair in zip(metric, modes, strict=True)]


def constraints_of(given: Mapping[str, Any], strategy: str) -> tuple[Constraint, ...]:
    """The bounds that ``constraints`` puts on metrics."""
    value = given.get("constraints", {})
    if not isinstance(value, Mapping):
        raise wrong("constraints", value, "expected a dict such as {'latency': '<= 50'}")
    found = []
    for metric, bound in value.items():
        if not isinstance(metric, str) or not metric.strip():
            raise wrong("constraints", metric, "expected names of metrics")
        try:
            found.append(constraint_of(metric, bound))
        except ValueError as error:
            raise SweepError(f"sweep(constraints=...): {error}") from None
    if found and strategy.startswith("optuna:"):
        what = "Optuna's samplers are told no constraints; expected bayes, random or grid"
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
        raise wrong("pick", pick, "expected 'mean', by which several metrics are compared")
    if integer(given, "replicates", 1, least=1) == 1:
        raise wrong("pick", pick, "expected replicates= of at least 2 beside it")
    if rule == ONE_SE and not simplest and strategy != "grid":
        hint = "NAME is a parameter or metric whose lowest value is the simplest"
        raise wrong("pick", pick, f"expected 'one-se:NAME' with {strategy}: {hint}")
    for branch in space.branches:
        entry = branch.get(simplest)
        if isinstance(entry, Choice) and any(number_of(label) is None for label in entry.labels):
            raise wrong("pick", pick, f"expected a parameter of numbers; {simplest} is {entry}")
    return pick
