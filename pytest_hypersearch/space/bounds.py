"""What the arguments of numeric distributions must be.

Each function takes the distribution as its user wrote it and raises ValueError with a message that
begins with it.
"""

from __future__ import annotations

from typing import Any, Final

from pytest_hypersearch.given import number_of
from pytest_hypersearch.space import steps

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
        raise ValueError(f"{call}: expected a wider step")
    check_finite(call, **{"high + step": largest + step})
