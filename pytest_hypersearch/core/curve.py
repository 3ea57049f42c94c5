"""What a trial reported of the sweep's metric, step by step, as pruners see it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from operator import neg
from typing import TYPE_CHECKING, Literal

from pytest_hypersearch.core.values import shown_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_hypersearch.core.trial import State


class Curve:
    """The values that one trial reported, turned so that lower is better.

    Args:
        number: Index of the trial's configuration.
        replicate: Index of the trial's repetition.
        mode: ``min`` or ``max``, the sweep's; values of ``max`` are negated when they are added.
        ended: How the trial ended, None while it runs.

    Attributes:
        steps: Where it reported, in ascending order; to be read only.
        bests: The lowest value up to each of the steps, infinite before the first number; NaN
            counts as worse than any number. To be read only.
    """

    __slots__ = (
        *("_sign", "_total", "_values"),
        *("bests", "ended", "mode", "number", "replicate", "steps"),
    )

    def __init__(
        self,
        number: int = 0,
        replicate: int = 0,
        *,
        mode: Literal["min", "max"] = "min",
        ended: State | None = None,
    ) -> None:
        self.number = number
        self.replicate = replicate
        self.mode = mode
        self.ended = ended
        self.steps: list[float] = []
        self.bests: list[float] = []
        self._sign = 1.0 if mode == "min" else -1.0
        self._values: dict[float, float] = {}
        self._total = 0.0

    def add(self, step: float, value: float) -> None:
        """Take a value as the test reported it.

        Args:
            step: Where; steps may come in any order, and of one that comes twice the last counts.
            value: What; NaN and infinities too.
        """
        value *= self._sign
        self._total += value
        if not self.steps or step > self.steps[-1]:
            self.steps.append(step)
            self._values[step] = value
            self.bests.append(_lower(value, self.bests[-1] if self.bests else math.inf))
            return
        place = bisect_left(self.steps, step)
        if step in self._values:
            self._replace(place, value)
        else:
            self._insert(place, step, value)

    def _insert(self, place: int, step: float, value: float) -> None:
        """Take a value at a new step before others: their bests are as low, up to the first."""
        best = _lower(value, self._best_before(place))
        end = bisect_left(self.bests, -best, place, key=neg)
        self.steps.insert(place, step)
        self.bests[place:end] = [best] * (end - place + 1)
        self._values[step] = value

    def _replace(self, place: int, value: float) -> None:
        """Take another value at a known step."""
        self._total = math.nan
        self._values[self.steps[place]] = value
        best = self._best_before(place)
        for i in range(place, len(self.steps)):
            best = _lower(self._values[self.steps[i]], best)
            if best == self.bests[i]:
                return
            self.bests[i] = best

    def _best_before(self, place: int) -> float:
        return self.bests[place - 1] if place else math.inf

    @property
    def mean(self) -> float:
        """The mean of all values, lower being better; NaN if there is none or any is no number."""
        if math.isnan(self._total) and not any(map(math.isnan, self._values.values())):
            self._total = sum(self._values.values())  # a step came twice, or infinities cancel out
        return self._total / len(self.steps) if self.steps else math.nan

    @property
    def last_step(self) -> float | None:
        """The highest step, None before the first report."""
        return self.steps[-1] if self.steps else None

    def value_at(self, step: float) -> float | None:
        """Return the value at exactly this step, lower being better; None if there is none."""
        return self._values.get(step)

    def values(self, first: int = 0, stop: int | None = None) -> list[float]:
        """Return the values at ``steps[first:stop]``, lower being better."""
        return [self._values[step] for step in self.steps[first:stop]]

    def best_until(self, step: float) -> float:
        """Return the lowest value at or before a step, infinite if there is no number."""
        place = bisect_right(self.steps, step)
        return self.bests[place - 1] if place else math.inf

    def since(self, step: float) -> Sequence[float]:
        """Return the steps after this one."""
        return self.steps[bisect_right(self.steps, step) :]

    def shown(self, value: float) -> str:
        """Return a value of this curve as the user knows it: in the metric's own direction."""
        return shown_number(float(f"{self._sign * value:.4g}"))

    def in_metric(self, value: float) -> float:
        """Return a value of this curve, lower being better, in the metric's own direction."""
        return self._sign * value


def values_at(curves: Iterable[Curve], step: float) -> list[float]:
    """Return the values at exactly this step of all curves that have one, lower being better."""
    return [value for c in curves if (value := c._values.get(step)) is not None]  # noqa: SLF001  no call for each of hundreds


def _lower(value: float, best: float) -> float:
    return value if value < best else best  # noqa: FURB136 - NaN must lose
