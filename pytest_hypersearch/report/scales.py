"""How a parameter's values are laid out on an axis: numbers, logarithms or categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_hypersearch.given import number_of
from pytest_hypersearch.space.numeric import Integer, Real
from pytest_hypersearch.terminal.display import Look, show_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_hypersearch.results import StudyResults
    from pytest_hypersearch.trial import Raw, TrialRecord

_DECADES = 100  # options this far apart were meant as magnitudes


@dataclass(frozen=True, slots=True)
class Scale:
    """The axis of a parameter.

    Attributes:
        parameter: Its name.
        log: Whether equal ratios are drawn at equal distances.
        labels: Its categories in the order of the axis; None for numbers.
    """

    parameter: str
    log: bool = False
    labels: tuple[str, ...] | None = None

    def place(self, value: Raw) -> float | int:
        """Return where a value is: the number itself, or the index of its category."""
        if self.labels is None:
            return float(value)  # type: ignore[arg-type]  # a scale without labels has numbers only
        return self.labels.index(label(value))


def label(value: Raw) -> str:
    """Return a value as it is written on an axis."""
    return show_value(value, Look())


def scales(study: StudyResults) -> list[Scale]:
    """Return the scale of each parameter, in the order in which the trials first name them."""
    names = dict.fromkeys(name for trial in study.trials for name in trial.params)
    return [_scale(name, study) for name in names]


def _scale(name: str, study: StudyResults) -> Scale:
    values = [trial.params[name] for trial in study.trials if name in trial.params]
    if any(number_of(value) is None for value in values):
        return Scale(name, labels=tuple(dict.fromkeys(map(label, _declared(name, study, values)))))
    drawn = [
        branch[name]
        for sweep in study.sweeps
        for branch in (sweep.space.branches if sweep.space else ())
        if name in branch
    ]
    ranges = [one for one in drawn if isinstance(one, (Real, Integer))]
    if ranges:
        return Scale(name, log=any(one.log for one in ranges))
    numbers = [float(value) for value in values]  # type: ignore[arg-type]  # all are numbers
    return Scale(name, log=min(numbers) > 0 and max(numbers) >= _DECADES * min(numbers))


def _declared(name: str, study: StudyResults, values: Iterable[Raw]) -> Iterable[Raw]:
    """The options as the spaces list them, then whatever else occurred."""
    for sweep in study.sweeps:
        for branch in sweep.space.branches if sweep.space else ():
            yield from getattr(branch.get(name), "labels", ())
    yield from values


def in_order(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return trials in the order of their starts; as given where these are not all known."""
    known = list(trials)
    if all(trial.started is not None for trial in known):
        return sorted(known, key=lambda trial: trial.started or 0.0)
    return known
