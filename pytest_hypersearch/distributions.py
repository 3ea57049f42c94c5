"""The functions with which users write distributions of numbers."""

from __future__ import annotations

import math

from pytest_hypersearch.numeric import Integer, Normal, Real, number_of, written_call


def uniform(low: float, high: float, *, step: float | None = None) -> Real:
    """Return floats from low to high, all equally likely.

    Args:
        low: Smallest value.
        high: Largest value, included.
        step: Take only ``low``, ``low + step``, ... up to high.

    Raises:
        TypeError: A bound or the step is no number.
        ValueError: A bound is not finite, low is above high, or the step is not positive.
    """
    call = written_call("uniform", low, high, step)
    return _real_range(call, low, high, step, log=False)


def loguniform(low: float, high: float, *, step: float | None = None) -> Real:
    """Return floats from low to high whose logarithm is uniform.

    Args:
        low: Smallest value, above 0.
        high: Largest value, included.
        step: Take only ``low``, ``low + step``, ... up to high.

    Raises:
        TypeError: A bound or the step is no number.
        ValueError: A bound is not finite, low is not positive or above high, or the step is not
            positive.
    """
    call = written_call("loguniform", low, high, step)
    return _real_range(call, low, high, step, log=True)


def randint(low: int, high: int, *, step: int | None = None) -> Integer:
    """Return whole numbers from low to high, both included, all equally likely.

    Args:
        low: Smallest value.
        high: Largest value, included.
        step: Take only ``low``, ``low + step``, ... up to high.

    Raises:
        TypeError: A bound or the step is no whole number.
        ValueError: low is above high, or the step is not positive.
    """
    call = written_call("randint", low, high, step)
    return _integer_range(call, low, high, step, log=False)


def lograndint(low: int, high: int) -> Integer:
    """Return whole numbers from low to high, both included, uniform in the logarithm.

    Args:
        low: Smallest value, at least 1.
        high: Largest value, included.

    Raises:
        TypeError: A bound is no whole number.
        ValueError: low is below 1 or above high.
    """
    return _integer_range(written_call("lograndint", low, high, None), low, high, None, log=True)


def normal(mean: float, std: float, *, step: float | None = None) -> Normal:
    """Return normally distributed floats.

    Args:
        mean: Centre.
        std: Standard deviation, above 0.
        step: Round to multiples of it.

    Raises:
        TypeError: An argument is no number.
        ValueError: An argument is not finite, or std or the step is not positive.
    """
    suffix = "" if step is None else f", step={step!r}"
    call = f"normal(mean={mean!r}, std={std!r}{suffix})"
    centre, spread = _finite(call, "mean", mean), _finite(call, "std", std)
    if spread <= 0:
        raise ValueError(f"{call}: std must be above 0")
    return Normal(centre, spread, _positive_step(call, step))


def _real_range(call: str, low: object, high: object, step: object, *, log: bool) -> Real:
    a, b = _finite(call, "low", low), _finite(call, "high", high)
    _check_order(call, a, b, smallest=math.nextafter(0.0, 1.0) if log else None)
    return Real(a, b, _positive_step(call, step), log)


def _integer_range(call: str, low: object, high: object, step: object, *, log: bool) -> Integer:
    a, b = _whole(call, "low", low), _whole(call, "high", high)
    _check_order(call, a, b, smallest=1 if log else None)
    stride = 1 if step is None else _whole(call, "step", step)
    if stride <= 0:
        raise ValueError(f"{call}: step must be above 0")
    return Integer(a, b, stride, log)


def _check_order(call: str, low: float, high: float, smallest: float | None) -> None:
    if smallest is not None and low < smallest:
        limit = "at least 1" if smallest == 1 else "above 0"
        raise ValueError(f"{call}: low must be {limit}, for a logarithmic scale")
    if low > high:
        raise ValueError(f"{call}: low must be below high")


def _positive_step(call: str, step: object) -> float | None:
    if step is None:
        return None
    width = _finite(call, "step", step)
    if width <= 0:
        raise ValueError(f"{call}: step must be above 0")
    return width


def _finite(call: str, name: str, value: object) -> float:
    number = number_of(value)
    if number is None:
        wrong = ValueError if isinstance(value, float) else TypeError
        raise wrong(f"{call}: {name} must be a finite number")
    return float(number)


def _whole(call: str, name: str, value: object) -> int:
    number = number_of(value)
    if number is None or number != int(number):
        wrong = ValueError if isinstance(value, float) else TypeError
        raise wrong(f"{call}: {name} must be a whole number")
    return int(number)
