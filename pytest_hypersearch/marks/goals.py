"""Metrics, modes and constraints among the arguments of a mark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_hypersearch.goals import Constraint, Goal, constraint_of
from pytest_hypersearch.marks.values import SweepError, one_of, text, wrong

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
    _refuse_optuna(given, "metric", strategy)
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
    if found:
        _refuse_optuna(given, "constraints", strategy)
    return tuple(found)


def _refuse_optuna(given: Mapping[str, Any], argument: str, strategy: str) -> None:
    if strategy.startswith("optuna:"):
        what = "Optuna's samplers are told one score; expected bayes, random or grid beside it"
        raise wrong(argument, given[argument], what)
