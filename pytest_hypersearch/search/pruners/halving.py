"""Asynchronous successive halving and Hyperband: rungs that only the best of a step pass."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pytest_hypersearch.core.contracts import Curve, not_a_number, rivals, span_of, values_at
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.values import check_number, shown_number

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Halving:
    """Prune a trial that is not among the best at a rung.

    This is the stopping variant of asynchronous successive halving, Li et al., A System for
    Massively Parallel Hyperparameter Tuning (MLSys 2020). No trial waits: it is compared with the
    trials that have passed the rung by then. Rungs lie at ``min_step``, ``factor * min_step``,
    ``factor**2 * min_step`` and so on. A trial passes a rung at the first step at or beyond it that
    the trial reports, and is compared with values at this step.

    Attributes:
        min_step: The first rung. None for a quarter of the way from the first to the last step of
            completed trials; the distances of later rungs then also count from the first step.
        factor: Ratio of the distances of two successive rungs. One of this number of trials passes
            a rung.
        min_trials: Nothing is pruned at a rung that fewer trials, this one counted, have reached.
        warmup_trials: Number of trials that must be complete before any is pruned.
        nan: Whether a NaN prunes at once; else it counts as worse than any number.

    Raises:
        ValueError: An option is out of its bounds.
    """

    min_step: float | None = None
    factor: float = 2
    min_trials: int = 4
    warmup_trials: int = 1
    nan: bool = False

    _first_rung: ClassVar[float] = 1 / 4

    def __post_init__(self) -> None:
        check_number(self, "factor", 1, above=True)
        check_number(self, "min_trials", 1)
        check_number(self, "warmup_trials", 0)
        if self.min_step is not None:
            check_number(self, "min_step", 0, above=True)

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:
        """Compare the trial with all that have passed the rungs which it has newly reached."""
        if self.nan and (reason := not_a_number(trial, since)):
            return reason
        completed = rivals(trial, others)
        if len(completed) < self.warmup_trials or not (rungs := self._rungs(completed)):
            return ""
        bracket = self._bracket(rungs, completed)
        own = bracket(trial)
        steps = list(rungs.later(own, self.factor).reached(trial, since, self.factor))
        started = rivals(trial, others, complete=False) if steps else []
        return self._compare(trial, [curve for curve in started if bracket(curve) == own], steps)

    def _bracket(self, rungs: _Rungs, completed: Sequence[Curve]) -> Callable[[Curve], int]:  # noqa: ARG002  one bracket
        """Return what gives the bracket of a trial: how many rungs it skips."""
        return lambda _: 0

    def _rungs(self, completed: Sequence[Curve]) -> _Rungs | None:
        if self.min_step is not None:
            return _Rungs(0.0, self.min_step)
        if not completed or (span := span_of(completed)).last <= span.first:
            return None
        return _Rungs(span.first, self._first_rung * (span.last - span.first))

    def _compare(self, trial: Curve, peers: Sequence[Curve], steps: Sequence[float]) -> str:
        for step in steps:
            value = _number(trial.value_at(step))
            values = sorted([*(_number(peer) for peer in values_at(peers, step)), value])
            passing = max(int(len(values) / self.factor), 1)
            if len(values) >= self.min_trials and value > values[passing - 1]:
                return (
                    f"rung at step {shown_number(step)}: {trial.shown(value)} is not among the "
                    f"best {passing} of {len(values)} ({trial.shown(values[passing - 1])})"
                )
        return ""


@dataclass(frozen=True)
class Hyperband(Halving):
    """Halving in several brackets at once, each with its first rung further up.

    Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization (JMLR 2018),
    without its barriers. A configuration belongs to a bracket by its number alone, brackets that
    start early getting more of them, as in the paper; trials are compared within their bracket.
    The last bracket has its first rung at the end: it prunes nothing. The other options are those
    of `Halving`.

    Attributes:
        min_step: The first rung of the first bracket; None for a ninth of the way from the first
            to the last step of completed trials.
        warmup_trials: Number of trials that must be complete before any is pruned; at least one, by
            whose length the brackets are laid out.

    Raises:
        ValueError: An option is out of its bounds.
    """

    factor: float = 3
    min_trials: int = 3
    _first_rung: ClassVar[float] = 1 / 9

    def __post_init__(self) -> None:
        check_number(self, "warmup_trials", 1)
        super().__post_init__()

    def _bracket(self, rungs: _Rungs, completed: Sequence[Curve]) -> Callable[[Curve], int]:
        brackets = rungs.until(span_of(completed).last, self.factor)
        return lambda curve: bracket_of(curve.number, brackets, self.factor)


@frozen
class _Rungs:
    """Where the rungs lie: at ``origin + first * factor**k``."""

    origin: float
    first: float

    def reached(self, trial: Curve, since: float, factor: float) -> Iterator[float]:
        """Yield the steps after ``since`` at which the trial passed a rung."""
        offset = self.first
        while trial.steps and self.origin + offset <= trial.steps[-1]:
            step = trial.steps[bisect_left(trial.steps, self.origin + offset)]
            if step > since:
                yield step
            offset *= factor

    def later(self, skipped: int, factor: float) -> _Rungs:
        """Return the rungs without the first few."""
        return _Rungs(self.origin, self.first * factor**skipped)

    def until(self, last: float, factor: float) -> int:
        """Return how many rungs there are up to a step, at least 1."""
        reach = max((last - self.origin) / self.first, 1.0)
        # A hair more, since the logarithm of a whole power may fall just short of it.
        return int(math.log(reach, factor) + 1e-9) + 1


def bracket_of(number: int, brackets: int, factor: float) -> int:
    """Return the bracket of a configuration, from 0 for the one with the earliest first rung.

    Multiples of the golden ratio spread any run of numbers evenly over the shares.
    """
    shares = [math.ceil(brackets * factor**left / (left + 1)) for left in range(brackets)][::-1]
    point = (number * _GOLDEN) % 1 * sum(shares)
    for bracket, share in enumerate(shares):
        point -= share
        if point < 0:
            return bracket
    return brackets - 1


def _number(value: float | None) -> float:
    return math.inf if value is None or math.isnan(value) else value
