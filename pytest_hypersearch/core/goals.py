"""What a sweep is after: metrics to bring down or up, bounds to keep, and when it is enough."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from pytest_hypersearch.core.values import number_of, shown, shown_number

Mode: TypeAlias = Literal["min", "max"]

ScopeName: TypeAlias = Literal["session", "package", "module", "class", "function"]

_CONSTRAINT = re.compile(r"\s*(<=|>=)\s*(\S+)\s*")


class Goal(NamedTuple):
    """A metric and its better direction.

    Attributes:
        metric: Name of the metric.
        mode: Whether lower or higher values are better.
    """

    metric: str
    mode: Mode

    def signed(self, value: float) -> float:
        """Return a value of the metric so that lower is better."""
        return value if self.mode == "min" else -value


class Constraint(NamedTuple):
    """A bound on a metric.

    Attributes:
        metric: Name of the metric.
        sign: ``<=`` for an upper bound, ``>=`` for a lower one.
        bound: The bound, which a value may reach.
    """

    metric: str
    sign: str
    bound: float

    def excess(self, value: float) -> float:
        """Return by how much a value breaks the bound, relative to the bound's size.

        Negative or zero where the bound is kept; absolute if the bound is 0.
        """
        beyond = value - self.bound if self.sign == "<=" else self.bound - value
        return beyond / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        return f"{self.metric} {self.sign} {shown_number(self.bound)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """What ends a sweep before its plan; None for what does not.

    Attributes:
        score: Target: a score as good as this is good enough.
        patience: Trials without a better best score.
        min_delta: By how much a best score must be better to count as such.
        time: Wall time in seconds, from the sweep's first trial in this session.
        trials: Trials that have ended, those of earlier sessions included.
    """

    score: float | None = None
    patience: int | None = None
    min_delta: float = 0.0
    time: float | None = None
    trials: int | None = None


def constraint_of(metric: str, text: object) -> Constraint:
    """Return the constraint on a metric that a text like ``<= 50`` states.

    Raises:
        ValueError: It states none.
    """
    match = _CONSTRAINT.fullmatch(text) if isinstance(text, str) else None
    bound = _number(match[2]) if match else None
    if match is None or bound is None:
        raise ValueError(f"{metric}: {shown(text)}: expected '<= number' or '>= number'")
    return Constraint(metric, match[1], bound)


def _number(text: str) -> float | None:
    try:
        return number_of(float(text))
    except ValueError:
        return None


ONE_SE = "one-se"


def simplest_of(pick: str) -> str:
    """Returns the parameter or metric whose lowest value is the simplest; often there is none."""
    return pick.partition(":")[2]
