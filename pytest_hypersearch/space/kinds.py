"""The kinds of distributions: what a user's entry of a space stands for, and its JSON record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pytest_hypersearch.given import shown
from pytest_hypersearch.space.choices import Choice, choice, is_options
from pytest_hypersearch.space.frozen import Scipy, from_frozen, is_frozen
from pytest_hypersearch.space.numeric import Integer, Normal, Real

Distribution: TypeAlias = Real | Integer | Normal | Choice | Scipy
Branch: TypeAlias = Mapping[str, Distribution]


def as_distribution(value: object) -> Distribution:
    """Return the distribution that a user's entry of a search space stands for.

    Args:
        value: A distribution, options as `choice` takes them, or a frozen scipy.stats distribution.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(value, (Real, Integer, Normal, Choice, Scipy)):
        return value
    if is_options(value):
        return choice(value)  # type: ignore[arg-type]
    if is_frozen(value):
        return from_frozen(value)
    raise ValueError(f"{shown(value)}: expected a list of values or a distribution")


def distribution_from_json(record: Mapping[str, Any]) -> Distribution:
    """Return the distribution that ``to_json`` described; a choice comes back without its objects.

    Raises:
        ValueError: The record is of an unknown kind.
    """
    match record["kind"]:
        case "uniform" | "loguniform" as kind:
            return Real(record["low"], record["high"], record["step"], kind == "loguniform")
        case "randint" | "lograndint" as kind:
            return Integer(record["low"], record["high"], record["step"], kind == "lograndint")
        case "normal":
            return Normal(record["mean"], record["std"], record["step"])
        case "choice":
            return Choice.from_json(record)
        case "scipy":
            return Scipy.from_json(record)
        case unknown:
            raise ValueError(f"{unknown!r} is no known kind of distribution")
