"""The functions with which users write distributions of numbers.

They take anything: what cannot be is refused by `Space`, which knows the parameter's name.
"""

from __future__ import annotations

from typing import Any

from pytest_hypersearch.given import number_of
from pytest_hypersearch.space.numeric import Integer, Normal, Real


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
