"""The kinds of distributions: what a user's entry of a space stands for, and its JSON record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pytest_hypersearch.core.space.choices import Choice, choice, is_options
from pytest_hypersearch.core.space.frozen import Scipy, from_frozen, is_frozen
from pytest_hypersearch.core.space.numeric import Integer, Normal, Real
from pytest_hypersearch.core.values import number_of, shown

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
            raise ValueError(f"{unknown!r} is not a known kind of distribution")


def uniform(low: float, high: float, *, step: float | None = None) -> Real:
    """Return floats from low to high, all equally likely.

    Args:
        low: Smallest value.
        high: Largest value, included.
        step: Take only ``low``, ``low + step``, ... up to high.
    """
    return Real(_float(low), _float(high), _float(step))


def loguniform(low: float, high: float, *, step: float | None = None) -> Real:
    """Return floats from low to high whose logarithm is uniform.

    Args:
        low: Smallest value, above 0.
        high: Largest value, included.
        step: Take only ``low``, ``low + step``, ... up to high.
    """
    return Real(_float(low), _float(high), _float(step), log=True)


def randint(low: int, high: int, *, step: int | None = None) -> Integer:
    """Return whole numbers from low to high, both included, all equally likely.

    Args:
        low: Smallest value.
        high: Largest value, included.
        step: Take only ``low``, ``low + step``, ... up to high.
    """
    return Integer(_int(low), _int(high), 1 if step is None else _int(step))


def lograndint(low: int, high: int) -> Integer:
    """Return whole numbers from low to high, both included, uniform in the logarithm.

    Args:
        low: Smallest value, at least 1.
        high: Largest value, included.
    """
    return Integer(_int(low), _int(high), log=True)


def normal(mean: float, std: float, *, step: float | None = None) -> Normal:
    """Return normally distributed floats.

    Args:
        mean: Centre.
        std: Standard deviation, above 0.
        step: Round to multiples of it.
    """
    return Normal(_float(mean), _float(std), _float(step))


def _float(value: Any) -> Any:  # noqa: ANN401  a number, or what `Real.check` will refuse
    number = number_of(value)
    return value if number is None else float(number)


def _int(value: Any) -> Any:  # noqa: ANN401  a number, or what `Integer.check` will refuse
    number = number_of(value)
    return value if number is None or number != int(number) else int(number)
