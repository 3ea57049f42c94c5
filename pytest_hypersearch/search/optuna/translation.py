"""Distributions and states in Optuna's terms and back: the one translation of this package.

What an Optuna sampler searches must survive the way there and back, for values as well that Optuna
rounds or takes for equal (1 and True, 2**53 + 1): options go as positions, evenly spaced values as
positions, and all else as quantiles in [0, 1]. What people read in Optuna's dashboard are the
values themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Distribution
from pytest_hypersearch.core.space.choices import Choice, choice, label_text
from pytest_hypersearch.core.space.numeric import Integer, Real
from pytest_hypersearch.core.trial import Raw, State

_STATES: Final = {
    State.COMPLETE: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.RUNNING: TrialState.RUNNING,
    State.FAILED: TrialState.FAIL,
}
_EXACT: Final = 2**53  # larger whole numbers are rounded by Optuna, which keeps floats


def to_optuna_state(state: State) -> TrialState:
    """Return Optuna's state of a trial; all that neither completed nor was pruned failed."""
    return _STATES.get(state, TrialState.FAIL)


def from_optuna_state(state: TrialState) -> State | None:
    """Return the state of one of Optuna's trials, None if it waits to be run."""
    return next((ours for ours, theirs in _STATES.items() if theirs == state), None)


@frozen
class Parameter:
    """One parameter as both sides have it.

    Attributes:
        ours: Its distribution.
        theirs: Its distribution in Optuna.
        by: Whether Optuna's values are positions, quantiles, or the values themselves.
    """

    ours: Distribution
    theirs: BaseDistribution
    by: Literal["position", "quantile", "value"]

    @classmethod
    def to_optuna(cls, entry: Distribution) -> Parameter:
        """Return the parameter as an Optuna sampler searches it."""
        if isinstance(entry, Choice):
            return cls(entry, CategoricalDistribution(range(entry.size)), "position")
        if isinstance(entry, Integer) and entry.log and entry.step == 1 and entry.high < _EXACT:
            return cls(entry, IntDistribution(entry.low, entry.high, log=True), "value")
        if entry.equal_shares and entry.size is not None and entry.size < _EXACT:
            return cls(entry, IntDistribution(0, entry.size - 1), "position")
        return cls(entry, FloatDistribution(0.0, 1.0), "quantile")

    @classmethod
    def from_optuna(cls, entry: BaseDistribution) -> Parameter:
        """Return the parameter that our sampler is to search for an Optuna distribution.

        Raises:
            TypeError: It is of an unknown kind.
        """
        if isinstance(entry, CategoricalDistribution):
            return cls(choice(range(len(entry.choices))), entry, "position")
        if isinstance(entry, IntDistribution):
            return cls(Integer(entry.low, entry.high, entry.step, entry.log), entry, "value")
        if isinstance(entry, FloatDistribution):
            return cls(Real(entry.low, entry.high, entry.step, entry.log), entry, "value")
        raise TypeError(f"{entry}: expected a float, int or categorical distribution")

    def theirs_of(self, raw: Raw) -> Any:  # noqa: ANN401  an Optuna type
        """Return Optuna's value for one of our values."""
        if self.by == "value":
            return raw
        if self.by == "quantile":
            return min(max(self.ours.to_unit(raw), 0.0), 1.0)
        position = self.ours.position(raw)
        if isinstance(self.theirs, CategoricalDistribution):
            return self.theirs.choices[position]
        return position

    def ours_of(self, value: Any) -> Raw:  # noqa: ANN401  an Optuna type
        """Return our value for one of Optuna's values."""
        if self.by == "quantile":
            return self.ours.from_unit(value)
        if self.by == "value":
            return int(value) if isinstance(self.ours, Integer) else float(value)
        return self.ours.at(int(self.theirs.to_internal_repr(value)))


def readable(declared: Sequence[Distribution], seen: Sequence[Raw]) -> BaseDistribution:
    """Return the distribution of a parameter's own values, for people.

    It is categorical if any branch has a choice or any value is not a number; else it has the range
    of all branches and values: values may lie outside of a space that has been changed since.

    Args:
        declared: Its distribution in each branch that has it.
        seen: Its values.
    """
    numbers = [value for value in seen if type(value) in {int, float}]
    if not declared or len(numbers) < len(seen) or any(isinstance(e, Choice) for e in declared):
        labels = [label for e in declared if isinstance(e, Choice) for label in e.labels]
        return CategoricalDistribution(list({label_text(v): v for v in (*labels, *seen)}.values()))
    ends = [end for e in declared if isinstance(e, (Real, Integer)) for end in (e.low, e.high)]
    low, high = min([*numbers, *ends]), max([*numbers, *ends])  # type: ignore[type-var]
    log = all(isinstance(e, (Real, Integer)) and e.log for e in declared)
    step = None if log else _common_step(declared, numbers)
    if all(isinstance(e, Integer) for e in declared):
        return IntDistribution(int(low), int(high), log=log, step=int(step or 1))  # type: ignore[arg-type]
    entry = FloatDistribution(float(low), float(high), log=log, step=step)  # type: ignore[arg-type]
    # Optuna lowers the upper bound to low + k * step as it computes that itself.
    fits = all(number <= entry.high for number in numbers)  # type: ignore[operator]
    return entry if fits else FloatDistribution(float(low), float(high))  # type: ignore[arg-type]


def _common_step(declared: Sequence[Distribution], numbers: Sequence[Raw]) -> float | None:
    """Return the step of a range, if all branches agree on it and all values are on it."""
    first, *others = dict.fromkeys(declared)
    if others or not isinstance(first, (Real, Integer)):
        return None
    return first.step if all(map(first.contains, numbers)) else None


@contextmanager
def quietly() -> Iterator[None]:
    """Hold back what Optuna logs and warns of; the user's own studies log as before."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
