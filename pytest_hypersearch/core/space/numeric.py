"""What the arguments of numeric distributions must be.

Each function takes the distribution as its user wrote it and raises ValueError with a message that
begins with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_hypersearch.core.space import steps
from pytest_hypersearch.core.values import number_of, shown, shown_number

if TYPE_CHECKING:
    from pytest_hypersearch.core.trial import Raw


_MOST_SLACK: Final = 1e-3


def check_finite(call: object, **arguments: object) -> None:
    """Refuse anything but finite numbers."""
    for name, value in arguments.items():
        if number_of(value) is None:
            raise ValueError(f"{call}: expected a finite number as {name}")


def check_whole(call: object, **arguments: object) -> None:
    """Refuse anything but whole numbers."""
    for name, value in arguments.items():
        if type(value) is not int or number_of(value) is None:
            raise ValueError(f"{call}: expected a whole number as {name}")


def check_range(call: object, low: Any, high: Any, *, above: float | None = None) -> None:  # noqa: ANN401  numbers by now
    """Refuse ranges that end before they begin, or begin where a logarithm has no value."""
    if above is not None and low <= above:
        raise ValueError(f"{call}: expected low > {above:g}, for a logarithmic scale")
    if low > high:
        raise ValueError(f"{call}: expected low <= high")


def check_positive(call: object, **arguments: Any) -> None:  # noqa: ANN401  numbers by now
    """Refuse numbers that are not above 0."""
    for name, value in arguments.items():
        if value <= 0:
            raise ValueError(f"{call}: expected {name} > 0")


def check_step(call: object, step: Any, largest: float) -> None:  # noqa: ANN401  maybe a number
    """Refuse steps that are not above 0, or lost in the rounding of the largest number."""
    if step is None:
        return
    check_finite(call, step=step)
    check_positive(call, step=step)
    if not steps.slack(largest, step) < _MOST_SLACK:
        raise ValueError(f"{call}: expected a larger step")
    check_finite(call, **{"high + step": largest + step})


_TAIL = 1e-12  # the unit interval's ends have no finite quantile
_REACH = 8  # standard deviations, a little beyond the quantiles of _TAIL


@dataclass(frozen=True, slots=True)
class Real:
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
            ValueError: A bound or the step is no finite number, low is above high (or not above 0
                on a logarithmic scale), or the step is not above 0.
        """
        check_finite(self, low=self.low, high=self.high)
        check_range(self, self.low, self.high, above=0 if self.log else None)
        check_step(self, self.step, max(abs(self.low), abs(self.high)))

    @property
    def size(self) -> int | None:
        """Number of distinct values, None for a continuum."""
        if self.low == self.high:
            return 1
        return None if self.step is None else steps.count(self.low, self.high, self.step)

    @property
    def equal_shares(self) -> bool:
        """Whether all values of a finite range are equally likely."""
        return self.size == 1 or (self.step is not None and not self.log)

    def at(self, position: int) -> float:
        """Return the value at a position of the finite range."""
        if self.step is None:
            return self.low
        value = round(self.low + position * self.step, steps.decimals(self.low, self.step))
        return min(value, self.high)

    def position(self, raw: Raw) -> int:
        """Return the position of a value in the finite range."""
        return 0 if self.step is None else round((_real(raw) - self.low) / self.step)

    def from_unit(self, u: float) -> float:
        """Return the quantile of u in [0, 1]."""
        size = self.size
        if size is not None:
            return self.at(steps.pick(u, self.low, self.step or 1.0, size, log=self.log))
        if self.log:
            value = math.exp((1.0 - u) * math.log(self.low) + u * math.log(self.high))
        else:
            value = (1.0 - u) * self.low + u * self.high
        return min(max(value, self.low), self.high)

    def to_unit(self, raw: Raw) -> float:
        """Return the centre of the value's share of [0, 1]."""
        size = self.size
        if size is not None:
            return steps.centre(self.position(raw), self.low, self.step or 1.0, size, log=self.log)
        value = _real(raw)
        if self.log and (span := _log_ratio(self.high, self.low)):
            return _log_ratio(value, self.low) / span
        if math.isfinite(self.high - self.low):
            return (value - self.low) / (self.high - self.low)
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)

    def centre(self) -> float:
        """Return the median."""
        return self.from_unit(0.5)

    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is a float of this range, on its step."""
        if type(raw) is not float or not self.low <= raw <= self.high:
            return False
        return self.step is None or self.at(self.position(raw)) == raw

    def encode(self, value: object) -> float:
        """Return the float that stands for a user's number, moved to the step it is on.

        Raises:
            ValueError: The value is no number of this range.
        """
        number = number_of(value)
        if number is not None and self.step is not None and self.low <= number <= self.high:
            near = self.at(self.position(float(number)))
            number = near if abs(near - number) <= 1e-9 * self.step else number
        if number is None or not self.contains(float(number)):
            raise ValueError(f"{shown(value)}: expected a value of {self}")
        return float(number)

    def decode(self, raw: Raw) -> object:
        """Return what the test gets: the value itself."""
        return raw

    def to_json(self) -> dict[str, object]:
        """Return a JSON object from which `distribution_from_json` restores this."""
        kind = "loguniform" if self.log else "uniform"
        return {"kind": kind, "low": self.low, "high": self.high, "step": self.step}

    def __str__(self) -> str:
        return _written("loguniform" if self.log else "uniform", self.low, self.high, self.step)


@dataclass(frozen=True, slots=True)
class Integer:
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
            ValueError: A bound or the step is no whole number, low is above high (or below 1 on a
                logarithmic scale), or the step is not above 0.
        """
        check_whole(self, low=self.low, high=self.high, step=self.step)
        check_range(self, self.low, self.high, above=0 if self.log else None)
        check_positive(self, step=self.step)
        check_finite(self, **{"high - low": self.high - self.low})

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
        return (int(_real(raw) if type(raw) is not int else raw) - self.low) // self.step

    def from_unit(self, u: float) -> int:
        """Return the quantile of u in [0, 1]."""
        return self.at(steps.pick(u, self.low, self.step, self.size, log=self.log))

    def to_unit(self, raw: Raw) -> float:
        """Return the centre of the value's share of [0, 1]."""
        return steps.centre(self.position(raw), self.low, self.step, self.size, log=self.log)

    def centre(self) -> int:
        """Return the median."""
        return self.from_unit(0.5)

    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is an int of this range, on its step."""
        return (
            type(raw) is int and self.low <= raw <= self.high and (raw - self.low) % self.step == 0
        )

    def encode(self, value: object) -> int:
        """Return the int that stands for a user's number.

        Raises:
            ValueError: The value is no whole number of this range.
        """
        number = number_of(value)
        if number is None or number != int(number) or not self.contains(int(number)):
            raise ValueError(f"{shown(value)}: expected a value of {self}")
        return int(number)

    def decode(self, raw: Raw) -> object:
        """Return what the test gets: the value itself."""
        return raw

    def to_json(self) -> dict[str, object]:
        """Return a JSON object from which `distribution_from_json` restores this."""
        kind = "lograndint" if self.log else "randint"
        return {"kind": kind, "low": self.low, "high": self.high, "step": self.step}

    def __str__(self) -> str:
        step = self.step if self.step != 1 else None
        return _written("lograndint" if self.log else "randint", self.low, self.high, step)


@dataclass(frozen=True, slots=True)
class Normal:
    """A normally distributed float.

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
            ValueError: An argument is no finite number, or std or the step is not above 0.
        """
        check_finite(self, mean=self.mean, std=self.std)
        check_positive(self, std=self.std)
        reach = abs(self.mean) + _REACH * self.std
        check_finite(self, **{"mean and std": reach})
        check_step(self, self.step, reach)

    @property
    def size(self) -> None:
        """Number of distinct values: without end."""
        return

    @property
    def equal_shares(self) -> bool:
        """Whether all values of a finite range are equally likely: never."""
        return False

    def from_unit(self, u: float) -> float:
        """Return the quantile of u in [0, 1], its ends moved inward by 1e-12."""
        from statistics import NormalDist

        value = NormalDist(self.mean, self.std).inv_cdf(min(max(u, _TAIL), 1.0 - _TAIL))
        if self.step is None:
            return value
        return round(round(value / self.step) * self.step, steps.decimals(0.0, self.step))

    def to_unit(self, raw: Raw) -> float:
        """Return the cumulative probability of the value."""
        return 0.5 * math.erfc((self.mean - _real(raw)) / (self.std * math.sqrt(2.0)))

    def centre(self) -> float:
        """Return the median."""
        return self.from_unit(0.5)

    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is a finite float on the step."""
        if type(raw) is not float or not math.isfinite(raw):
            return False
        return self.step is None or (
            math.isfinite(raw / self.step)
            and round(round(raw / self.step) * self.step, steps.decimals(0.0, self.step)) == raw
        )

    def encode(self, value: object) -> float:
        """Return the float that stands for a user's number.

        Raises:
            ValueError: The value is no finite number on the step.
        """
        number = number_of(value)
        if number is None or not self.contains(float(number)):
            raise ValueError(f"{shown(value)}: expected a value of {self}")
        return float(number)

    def decode(self, raw: Raw) -> object:
        """Return what the test gets: the value itself."""
        return raw

    def to_json(self) -> dict[str, object]:
        """Return a JSON object from which `distribution_from_json` restores this."""
        return {"kind": "normal", "mean": self.mean, "std": self.std, "step": self.step}

    def __str__(self) -> str:
        step = "" if self.step is None else f", step={shown_number(self.step)}"
        return f"normal(mean={shown_number(self.mean)}, std={shown_number(self.std)}{step})"


def _real(raw: Raw) -> float:
    if isinstance(raw, (int, float)):
        return float(raw)
    raise TypeError(f"{raw!r} is not a number")


def _log_ratio(value: float, base: float) -> float:
    ratio = value / base
    return math.log(ratio) if math.isfinite(ratio) else math.log(value) - math.log(base)


def _written(name: str, low: object, high: object, step: object) -> str:
    """Return a range as its user wrote it, for messages."""
    suffix = "" if step is None else f", step={shown_number(step)}"
    return f"{name}(low={shown_number(low)}, high={shown_number(high)}{suffix})"
