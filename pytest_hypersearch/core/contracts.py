"""Interfaces of samplers and pruners, and their input: observations and learning curves."""

from __future__ import annotations

import math
import pickle
from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import neg
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

from pytest_hypersearch.core.errors import PrunerError
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.trial import Config, State
from pytest_hypersearch.core.values import shown_number

Reports: TypeAlias = tuple[tuple[float, float], ...]
"""Steps in ascending order with the values there, lower being better; see `Curve.reports`."""

_REPORTS: Final = 16  # of a trial, that a sampler gets


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
        index = bisect_left(self.steps, step)
        if step in self._values:
            self._replace(index, value)
        else:
            self._insert(index, step, value)

    def _insert(self, index: int, step: float, value: float) -> None:
        """Take a value at a new step before others: their bests are as low, up to the first."""
        best = _lower(value, self._best_before(index))
        end = bisect_left(self.bests, -best, index, key=neg)
        self.steps.insert(index, step)
        self.bests[index:end] = [best] * (end - index + 1)
        self._values[step] = value

    def _replace(self, index: int, value: float) -> None:
        """Take another value at a step that has one."""
        self._total = math.nan
        self._values[self.steps[index]] = value
        best = self._best_before(index)
        for i in range(index, len(self.steps)):
            best = _lower(self._values[self.steps[i]], best)
            if best == self.bests[i]:
                return
            self.bests[i] = best

    def _best_before(self, index: int) -> float:
        return self.bests[index - 1] if index else math.inf

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
        index = bisect_right(self.steps, step)
        return self.bests[index - 1] if index else math.inf

    @property
    def reports(self) -> Reports:
        """Steps in ascending order with their values, lower being better: 16 of many.

        The first and the last are among them; NaN is left out.
        """
        pairs = [(step, each) for step in self.steps if (each := self._values[step]) == each]
        if len(pairs) <= _REPORTS:
            return tuple(pairs)
        last = len(pairs) - 1
        return tuple(pairs[round(i * last / (_REPORTS - 1))] for i in range(_REPORTS))

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


@frozen
class Span:
    """From the first to the last step of the trials that were completed."""

    first: float
    last: float

    def at(self, share: float) -> float:
        """Return the step at which this share of a full trial is done."""
        return self.first + share * (self.last - self.first)


def rivals(trial: Curve, others: Sequence[Curve], *, complete: bool = True) -> list[Curve]:
    """Return the curves that a trial is compared with: those of its own replicate.

    All configurations meet the same luck in one replicate, so that nobody is pruned for a seed.

    Args:
        trial: The trial under review.
        others: The curves of other configurations.
        complete: Only those that ran to their end, else all that have reported.
    """
    replicate = trial.replicate
    if complete:
        wanted = State.COMPLETE
        return [c for c in others if c.ended is wanted and c.replicate == replicate and c.steps]
    return [c for c in others if c.replicate == replicate and c.steps]


def span_of(curves: Sequence[Curve]) -> Span:
    """Return from where to where these curves reach, of which there is at least one."""
    return Span(min([c.steps[0] for c in curves]), max([c.steps[-1] for c in curves]))


def due(trial: Curve, since: float, start: float, interval: float) -> Iterator[float]:
    """Yield the steps to review: the first that was reported in each interval from the start on.

    Args:
        trial: The trial under review.
        since: Up to which step it has been reviewed.
        start: The first step that may be reviewed.
        interval: Length of an interval, in steps.
    """
    for step in trial.since(since):
        if step < start:
            continue
        opening = start + (step - start) // interval * interval
        if trial.steps[bisect_left(trial.steps, opening)] == step:
            yield step


def is_milestone(reports: int) -> bool:
    """Tell whether a trial is to be reviewed after so many reports, by rules that take their time.

    Each time at first, beyond 32 once in a 16th of the reports so far.
    """
    return reports % max(reports // 16, 1) == 0


def not_a_number(trial: Curve, since: float) -> str:
    """Return why a trial with NaN among its new values is pruned, empty if it has none."""
    for step in trial.since(since):
        if math.isnan(trial.value_at(step) or 0.0):
            return f"step {shown_number(step)}: nan"
    return ""


@frozen
class Observation:
    """The state and results of one configuration, as a sampler gets them.

    Attributes:
        index: The configuration's index within its sweep, from 0.
        params: The configuration.
        state: How its replicates ended as a whole; ``State.RUNNING`` while it is pending.
        scores: One score for each complete replicate. Lower is better, whatever the sweep's mode.
        others: The same for each further metric of a sweep that has several.
        excess: For each constraint, by how much each complete replicate broke it, relative to the
            bound; negative or zero where it was kept.
        reports: What its first complete trial reported, or its last one if none is complete.
    """

    index: int
    params: Config
    state: State
    scores: tuple[float, ...] = ()
    others: tuple[tuple[float, ...], ...] = ()
    excess: tuple[tuple[float, ...], ...] = ()
    reports: Reports = ()


class Sampler(Protocol):
    """A pure function that proposes configurations; memory of earlier calls may only save time."""

    @property
    def adaptive(self) -> bool:
        """Whether proposals depend on the history; others can be listed before anything runs."""
        ...

    def suggest(
        self, space: Space, *, seed: int, index: int, history: Sequence[Observation]
    ) -> Config | None:
        """Return the configuration with this index, None if the space is used up.

        Args:
            space: What may be proposed.
            seed: The sweep's seed.
            index: Which configuration of the sweep this is, from 0.
            history: Finished configurations in a fixed order, then the pending ones.
        """
        ...


@runtime_checkable
class Preloaded(Protocol):
    """A sampler whose first proposal has to import much, which can be done before."""

    def preload(self) -> None:
        """Import it; called by another thread than `Sampler.suggest`."""
        ...


@runtime_checkable
class Recommends(Protocol):
    """A sampler whose model says which configuration is best, whatever luck it had."""

    def recommend(self, space: Space, history: Sequence[Observation]) -> int | None:
        """Return the index of the finished configuration that is expected to score best.

        Returns:
            That of the best score unless another one is notably better to the model; None without
            a model or a configuration that keeps the constraints, and with several metrics.
        """
        ...


ONE_METRIC: Final = frozenset({"optuna:CmaEsSampler"})
"""Strategies that cannot pursue several metrics."""


@runtime_checkable
class Pruner(Protocol):
    """A rule that says when a trial is to be stopped."""

    def verdict(self, trial: Curve, others: Sequence[Curve], *, since: float) -> str:
        """Return why to prune the trial, in one line, or an empty text to let it go on.

        Args:
            trial: What it has reported so far.
            others: The curves of the study's other configurations in a fixed order, those of
                running and of pruned trials included.
            since: The step up to which the trial has been reviewed; minus infinity at first. All
                later steps are to be looked at, of which there may be several.
        """
        ...


# A pickle is safe here: it stays between processes of one session, which run the same tests. No
# file ever holds one.
def pickled(pruner: Pruner) -> str:
    """The pruner as text.

    Raises:
        ValueError: It cannot be pickled.
    """
    try:
        return b64encode(pickle.dumps(pruner)).decode("ascii")
    except Exception as error:
        what = f"expected a pruner that can be pickled ({type(error).__name__}: {error})"
        raise ValueError(what) from error


def unpickled(text: str) -> Pruner:
    """The pruner in a text.

    Raises:
        PrunerError: Its class cannot be imported here.
    """
    try:
        rule: Pruner = pickle.loads(b64decode(text))  # noqa: S301  see above
    except Exception as error:
        raise PrunerError(
            f"sweep(prune=...): {type(error).__name__}: {error}; expected a pruner that the "
            "controlling process can import, such as one in conftest.py or in an installed package"
        ) from error
    return rule
