"""Distributions of numbers: uniform and log-uniform ranges, integers, and the normal distribution.

Each check of arguments raises ValueError with a message that begins with the distribution as its
user wrote it.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any, Final

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.trial import Raw
from pytest_hypersearch.core.values import number_of, shown, shown_number

TAIL: Final = 1e-12  # the ends of the unit interval have no finite quantile
_REACH: Final = 8  # standard deviations, a little beyond the quantiles of TAIL
_ROUNDINGS: Final = 8.0 * sys.float_info.epsilon  # of a number, from a few sums and products
_MOST_SLACK: Final = 1e-3  # part of a step
_NARROW: Final = 1e-6  # part of its low end up to which a range's logarithm counts as straight


class Numeric(ABC):
    """A distribution whose values are numbers."""

    __slots__ = ()

    @abstractmethod
    def from_unit(self, u: float) -> int | float:
        """Return the quantile of u in [0, 1]."""

    @abstractmethod
    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is a value of this distribution, and of its type."""

    @abstractmethod
    def _nearest(self, number: float) -> int | float:
        """Return a number of the right type, and on the step if it is very close to it."""

    def centre(self) -> int | float:
        """Return the median."""
        return self.from_unit(0.5)

    def encode(self, value: object) -> int | float:
        """Return a user's number as a value of this distribution.

        Raises:
            ValueError: It is not a number, or not a value of this distribution.
        """
        number = number_of(value)
        raw = None if number is None else self._nearest(number)
        if raw is None or not self.contains(raw):
            raise ValueError(f"{shown(value)}: expected a value of {self}")
        return raw

    def decode(self, raw: Raw) -> object:
        """Return what the test gets: the value itself."""
        return raw


@frozen
class Real(Numeric):
    """A float between two bounds, uniform in value or in its logarithm.

    Attributes:
        low: Smallest value.
        high: Largest value; with a step, the largest ``low + k * step`` that is not above it.
        step: Distance of neighbouring values, None for a continuum.
        log: Whether equal ratios rather than equal differences are equally likely.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def check(self) -> None:
        """Refuse arguments that make no range.

        Raises:
            ValueError: A bound or the step is not finite, low is above high (or not above 0 on a
                logarithmic scale), or the step is not above 0.
        """
        _check_finite(self, low=self.low, high=self.high)
        _check_range(self, self.low, self.high, above=0 if self.log else None)
        _check_step(self, self.step, self._largest)

    @property
    def size(self) -> int | None:
        """Number of distinct values, None for a continuum."""
        if self.low == self.high:
            return 1
        if self.step is None:
            return None
        return int((self.high - self.low) / self.step + _slack(self._largest, self.step)) + 1

    @property
    def equal_shares(self) -> bool:
        """Whether all values of a finite range are equally likely."""
        return self.size == 1 or (self.step is not None and not self.log)

    def at(self, position: int) -> float:
        """Return the value at a position of the finite range."""
        if self.step is None:
            return self.low
        value = round(self.low + position * self.step, _decimals(self.low, self.step))
        # 1/3 + 5 * (1/3) is 1.9999999999999998: rounding must not keep a range from its bound.
        return self.high if abs(self.high - value) <= _ROUNDINGS * self._largest else value

    def position(self, raw: Raw) -> int:
        """Return the position of a value in the finite range."""
        return 0 if self.step is None else round((real(raw) - self.low) / self.step)

    def from_unit(self, u: float) -> float:
        """Return the quantile of u in [0, 1]."""
        size = self.size
        if size is not None:
            return self.at(_pick(u, self.low, self.step or 1.0, size, log=self.log))
        if self.log:
            value = math.exp((1.0 - u) * math.log(self.low) + u * math.log(self.high))
        else:
            value = (1.0 - u) * self.low + u * self.high
        return min(max(value, self.low), self.high)

    def to_unit(self, raw: Raw) -> float:
        """Return the centre of the value's share of [0, 1]."""
        size = self.size
        if size is not None:
            return _middle(self.position(raw), self.low, self.step or 1.0, size, log=self.log)
        value = real(raw)
        if self.log and (span := _log_ratio(self.high, self.low)):
            return _log_ratio(value, self.low) / span
        if math.isfinite(self.high - self.low):
            return (value - self.low) / (self.high - self.low)
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)

    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is a float of this range, on its step."""
        if type(raw) is not float or not self.low <= raw <= self.high:
            return False
        return self.step is None or self.at(self.position(raw)) == raw

    def _nearest(self, number: float) -> float:
        if self.step is not None and self.low <= number <= self.high:
            near = self.at(self.position(float(number)))
            number = near if abs(near - number) <= 1e-9 * self.step else number
        return float(number)

    @property
    def _largest(self) -> float:
        return max(abs(self.low), abs(self.high))

    def to_json(self) -> dict[str, object]:
        """Return a JSON object from which `distribution_from_json` restores this."""
        kind = "loguniform" if self.log else "uniform"
        return {"kind": kind, "low": self.low, "high": self.high, "step": self.step}

    def __str__(self) -> str:
        return _written("loguniform" if self.log else "uniform", self.low, self.high, self.step)


@frozen
class Integer(Numeric):
    """An integer between two bounds, both included, uniform in value or in its logarithm.

    Attributes:
        low: Smallest value.
        high: Largest value; with a step, the largest ``low + k * step`` that is not above it.
        step: Distance of neighbouring values.
        log: Whether equal ratios rather than equal differences are equally likely.
    """

    low: int
    high: int
    step: int = 1
    log: bool = False

    def check(self) -> None:
        """Refuse arguments that make no range.

        Raises:
            ValueError: A bound or the step is not whole, low is above high (or below 1 on a
                logarithmic scale), or the step is not above 0.
        """
        _check_whole(self, low=self.low, high=self.high, step=self.step)
        _check_range(self, self.low, self.high, above=0 if self.log else None)
        _check_positive(self, step=self.step)
        _check_finite(self, **{"high - low": self.high - self.low})

    @property
    def size(self) -> int:
        """Number of distinct values."""
        return (self.high - self.low) // self.step + 1

    @property
    def equal_shares(self) -> bool:
        """Whether all values are equally likely."""
        return not self.log or self.size == 1

    def at(self, position: int) -> int:
        """Return the value at a position of the range."""
        return self.low + position * self.step

    def position(self, raw: Raw) -> int:
        """Return the position of a value in the range."""
        return (int(real(raw) if type(raw) is not int else raw) - self.low) // self.step

    def from_unit(self, u: float) -> int:
        """Return the quantile of u in [0, 1]."""
        return self.at(_pick(u, self.low, self.step, self.size, log=self.log))

    def to_unit(self, raw: Raw) -> float:
        """Return the centre of the value's share of [0, 1]."""
        return _middle(self.position(raw), self.low, self.step, self.size, log=self.log)

    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is an int of this range, on its step."""
        return (
            type(raw) is int and self.low <= raw <= self.high and (raw - self.low) % self.step == 0
        )

    def _nearest(self, number: float) -> int | float:
        return int(number) if number == int(number) else number

    def to_json(self) -> dict[str, object]:
        """Return a JSON object from which `distribution_from_json` restores this."""
        kind = "lograndint" if self.log else "randint"
        return {"kind": kind, "low": self.low, "high": self.high, "step": self.step}

    def __str__(self) -> str:
        step = self.step if self.step != 1 else None
        return _written("lograndint" if self.log else "randint", self.low, self.high, step)


@frozen
class Normal(Numeric):
    """A normally distributed float.

    With a step, its values are those multiples of the step that lie between the quantiles of 1e-12
    and 1 - 1e-12, about seven standard deviations on either side of the mean.

    Attributes:
        mean: Centre.
        std: Standard deviation, above 0.
        step: Values are multiples of it, None for a continuum.
    """

    mean: float
    std: float
    step: float | None = None

    def check(self) -> None:
        """Refuse arguments that make no distribution.

        Raises:
            ValueError: An argument is not a finite number, or std or the step is not above 0.
        """
        _check_finite(self, mean=self.mean, std=self.std)
        _check_positive(self, std=self.std)
        reach = abs(self.mean) + _REACH * self.std
        _check_finite(self, **{"mean and std": reach})
        _check_step(self, self.step, reach)

    @property
    def size(self) -> int | None:
        """Number of distinct values, None for a continuum."""
        return None if self.step is None else self._multiple(1.0) - self._multiple(0.0) + 1

    @property
    def equal_shares(self) -> bool:
        """Whether all values are equally likely, as only one alone is."""
        return self.size == 1

    def at(self, position: int) -> float:
        """Return the value at a position of the finite range."""
        return self._on_step(self._multiple(0.0) + position)

    def position(self, raw: Raw) -> int:
        """Return the position of a value in the finite range."""
        return round(real(raw) / (self.step or 1.0)) - self._multiple(0.0)

    def from_unit(self, u: float) -> float:
        """Return the quantile of u in [0, 1], its ends moved inward by 1e-12."""
        if self.step is None:
            return _normal_quantile(self.mean, self.std, u)
        return self._on_step(self._multiple(u))

    def to_unit(self, raw: Raw) -> float:
        """Return the cumulative probability of the value."""
        return 0.5 * math.erfc((self.mean - real(raw)) / (self.std * math.sqrt(2.0)))

    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is a finite float, on the step and within its ends."""
        if type(raw) is not float or not math.isfinite(raw):
            return False
        return self.size is None or (
            self.at(0) <= raw <= self.at(self.size - 1) and self.at(self.position(raw)) == raw
        )

    def _nearest(self, number: float) -> float:
        return float(number)

    def _multiple(self, u: float) -> int:
        return round(_normal_quantile(self.mean, self.std, u) / (self.step or 1.0))

    def _on_step(self, multiple: int) -> float:
        step = self.step or 1.0
        return round(multiple * step, _decimals(0.0, step))

    def to_json(self) -> dict[str, object]:
        """Return a JSON object from which `distribution_from_json` restores this."""
        return {"kind": "normal", "mean": self.mean, "std": self.std, "step": self.step}

    def __str__(self) -> str:
        step = "" if self.step is None else f", step={shown_number(self.step)}"
        return f"normal(mean={shown_number(self.mean)}, std={shown_number(self.std)}{step})"


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
        step: Take only multiples of it, within about seven standard deviations of the mean.
    """
    return Normal(_float(mean), _float(std), _float(step))


def _float(value: Any) -> Any:  # noqa: ANN401  a number, or what `Real.check` will refuse
    number = number_of(value)
    return value if number is None else float(number)


def _int(value: Any) -> Any:  # noqa: ANN401  a number, or what `Integer.check` will refuse
    number = number_of(value)
    return value if number is None or number != int(number) else int(number)


def _check_finite(call: object, **arguments: object) -> None:
    """Refuse anything but finite numbers."""
    for name, value in arguments.items():
        if number_of(value) is None:
            raise ValueError(f"{call}: expected a finite number as {name}")


def _check_whole(call: object, **arguments: object) -> None:
    """Refuse anything but whole numbers."""
    for name, value in arguments.items():
        if type(value) is not int or number_of(value) is None:
            raise ValueError(f"{call}: expected a whole number as {name}")


def _check_range(call: object, low: float, high: float, *, above: float | None = None) -> None:
    """Refuse ranges that end before they begin, or begin where a logarithm has no value."""
    if above is not None and low <= above:
        raise ValueError(f"{call}: expected low > {above:g}, for a logarithmic scale")
    if low > high:
        raise ValueError(f"{call}: expected low <= high")


def _check_positive(call: object, **arguments: float) -> None:
    """Refuse numbers that are not above 0."""
    for name, value in arguments.items():
        if value <= 0:
            raise ValueError(f"{call}: expected {name} > 0")


def _check_step(call: object, step: float | None, largest: float) -> None:
    """Refuse steps that are not above 0, or lost in the rounding of the largest number."""
    if step is None:
        return
    _check_finite(call, step=step)
    _check_positive(call, step=step)
    if not _slack(largest, step) < _MOST_SLACK:
        raise ValueError(f"{call}: expected a larger step")
    _check_finite(call, **{"high + step": largest + step})


def _slack(largest: float, step: float) -> float:
    """Return by which part of a step rounding may move numbers up to the largest."""
    return _ROUNDINGS * largest / step


@lru_cache(maxsize=256)
def _decimals(low: float, step: float) -> int:
    """Return with how many decimals low and step are written: as many as their sums need."""
    return next((n for n in range(324) if round(low, n) == low and round(step, n) == step), 324)


def _pick(u: float, low: float, step: float, size: int, *, log: bool) -> int:
    """Return the position whose share of [0, 1] holds u."""
    if not log or _is_narrow(low, step, size):
        return min(int(u * size), size - 1)
    first, last = _log_edges(low, step, size)
    value = math.exp((1.0 - u) * first + u * last)
    return min(max(math.floor((value - low) / step + 0.5), 0), size - 1)


def _middle(position: int, low: float, step: float, size: int, *, log: bool) -> float:
    """Return the middle of a position's share of [0, 1]."""
    if not log or _is_narrow(low, step, size):
        return (2 * position + 1) / (2 * size)
    first, last = _log_edges(low, step, size)
    lower = math.log(low + (position - 0.5) * step) if position else first
    upper = math.log(low + (position + 0.5) * step)
    return ((lower + upper) / 2 - first) / (last - first)


def _is_narrow(low: float, step: float, size: int) -> bool:
    return size * step < _NARROW * low


def _log_edges(low: float, step: float, size: int) -> tuple[float, float]:
    """Return the logarithms of the range, widened by half a step so that its ends get a share."""
    return math.log(low - min(step, low) / 2), math.log(low + (size - 0.5) * step)


@lru_cache(maxsize=1024)
def _normal_quantile(mean: float, std: float, u: float) -> float:
    from statistics import NormalDist

    return NormalDist(mean, std).inv_cdf(min(max(u, TAIL), 1.0 - TAIL))


def _log_ratio(value: float, base: float) -> float:
    ratio = value / base
    return math.log(ratio) if math.isfinite(ratio) else math.log(value) - math.log(base)


def real(raw: Raw) -> float:
    """Return a value as a float.

    Raises:
        TypeError: It is not a number.
    """
    if isinstance(raw, (int, float)):
        return float(raw)
    raise TypeError(f"{raw!r} is not a number")


def _written(name: str, low: object, high: object, step: object) -> str:
    """Return a range as its user wrote it, for messages."""
    suffix = "" if step is None else f", step={shown_number(step)}"
    return f"{name}(low={shown_number(low)}, high={shown_number(high)}{suffix})"
