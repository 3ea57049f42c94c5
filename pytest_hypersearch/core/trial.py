"""What is known about one trial: its states and its record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, TypeAlias, cast

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.values import portable, real_of, shown

Raw: TypeAlias = int | float | str | bool | None
Config: TypeAlias = dict[str, Raw]


class Key(NamedTuple):
    """Which trial of a study."""

    sweep: str
    number: int
    replicate: int


class State(StrEnum):
    """How a trial stands or ended; only complete trials rank."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    INVALID = "invalid"
    PRUNED = "pruned"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    RACED_OUT = "raced out"
    NOT_RUN = "not run"


@frozen
class TrialRecord:
    """One trial as it is stored and shown.

    Attributes:
        nodeid: The pytest item that ran it.
        sweep: Name of the sweep within its study.
        number: Index of the configuration within its sweep, from 0; the number in the item's id.
        replicate: Index of the repetition of this configuration, from 0.
        params: The configuration, as JSON scalars.
        state: How it ended.
        score: Value of the sweep's metric; None unless complete or pruned.
        metrics: Every number that the trial gave, by name.
        seed: Seed of ``trial.rng``; equal for all configurations of one replicate.
        steps: How many values of the metric it reported.
        attempt: 1 for the first execution in its run, 2 for the first retry, and so on.
        duration: Wall time of the test's call in seconds.
        reason: One line on why it is not complete, empty otherwise.
        cached: Whether it was replayed from the store instead of run.
        worker: Name of the process that ran it, empty in plain pytest.
        logged: What the test gave to ``trial.log``.
        peak_memory: The most bytes of memory that its process held during the test's call; None
            where the system cannot tell.
        cpu_time: CPU seconds of the test's call, its finished child processes included.
        started: When it was handed out, in seconds since the epoch; None if it was not.
        error: The traceback of its failure as pytest shows it, its end if it is long.
        recorded: The number under which its run's files know it, None if it is ``number``.
        directory: The directory of what it saved, if that is not named after the trial in its run:
            a name among the run's artifacts, or a path from the study's directory.
        tags: What people call it, see ``pytest-hypersearch tag``.
        note: What people say of it.
    """

    nodeid: str
    sweep: str
    number: int
    replicate: int
    params: Config
    state: State
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    steps: int = 0
    attempt: int = 1
    duration: float = 0.0
    reason: str = ""
    cached: bool = False
    worker: str = ""
    logged: dict[str, Raw] = field(default_factory=dict)
    peak_memory: int | None = None
    cpu_time: float | None = None
    started: float | None = None
    error: str = ""
    recorded: int | None = None
    directory: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""

    @property
    def key(self) -> Key:
        """Which trial of its study it is."""
        return Key(self.sweep, self.number, self.replicate)


@lru_cache
def trial_seed(seed: int, replicate: int) -> int:
    """Return the seed of a trial: 32 bits of the sweep's seed and the replicate alone.

    All configurations of a replicate get the same luck (common random numbers), so that they can be
    compared in pairs.
    """
    digest = blake2b(f"{seed}/{replicate}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


class Judgement(NamedTuple):
    """What a trial that did not raise came to.

    Attributes:
        state: Complete or invalid.
        score: Value of the metric, None unless complete.
        metrics: Every number that the trial gave.
        reason: Why it is invalid.
        failed: Whether the test is to blame: it gave no number at all.
    """

    state: State
    score: float | None
    metrics: dict[str, float]
    reason: str = ""
    failed: bool = False


def judge(returned: object, reported: Mapping[str, float], metric: str, *others: str) -> Judgement:
    """Find the score among what a test returned and what it reported last.

    Args:
        returned: The test's return value: a number, a mapping of metrics, or None.
        reported: The last reported value of each metric.
        metric: The name of the score.
        others: Further metrics without which a trial is not complete.
    """
    try:
        metrics = {**reported, **_returned(returned, metric)}
    except TypeError as error:
        return Judgement(State.INVALID, None, dict(reported), str(error), failed=True)
    wanted = (metric, *others)
    for name in wanted:
        if name not in metrics:
            reason = f"no score: {_missing(returned, metrics, name)}"
            return Judgement(State.INVALID, None, metrics, reason, failed=True)
    return judge_metrics(metrics, wanted)


def judge_metrics(metrics: dict[str, float], wanted: Sequence[str]) -> Judgement:
    """Judge a trial by its metrics, of which it has at least those that are wanted.

    Args:
        metrics: Every number that the trial gave.
        wanted: Those without which it is not complete, the score first.
    """
    for name in wanted:
        if not math.isfinite(metrics[name]):
            return Judgement(State.INVALID, None, metrics, f"{name} is {metrics[name]}")
    return Judgement(State.COMPLETE, metrics[wanted[0]], metrics)


def number(value: object) -> float:
    """The value as a float, by the rule of `real_of`; whole numbers too large for it are infinite.

    Raises:
        TypeError: It is no number.
    """
    real = value if type(value) is float else real_of(value)
    if real is None:
        raise TypeError(f"{shown(value)} ({type(value).__name__}), which is not a number")
    try:
        return float(real)
    except OverflowError:
        return math.inf if real > 0 else -math.inf


def metrics_of(value: object, metric: str) -> dict[str, float]:
    """A number as the metric, a mapping as metrics by name.

    Raises:
        TypeError: Something in it is no number, or a name is no string.
    """
    if type(value) is float or not isinstance(value, Mapping):
        return {metric: number(value)}
    if not all(isinstance(name, str) for name in value):
        raise TypeError(f"{shown(value)}, with names that are not strings")
    return {name: _named(name, each) for name, each in value.items()}


def _named(name: str, value: object) -> float:
    try:
        return number(value)
    except TypeError as error:
        raise TypeError(f"{name!r}: {error}") from None


def _returned(value: object, metric: str) -> dict[str, float]:
    if value is None:
        return {}
    try:
        return metrics_of(value, metric)
    except TypeError as error:
        raise TypeError(f"the test returned {error}; expected a number or a dict of them") from None


def _missing(returned: object, metrics: Mapping[str, float], metric: str) -> str:
    if returned is None and not metrics:
        expected = f"a number, or a dict with {metric!r}"
        return f"the test returned None and reported nothing; expected {expected}"
    given = "returned" if returned is not None else "reported"
    names = ", ".join(metrics) or "no metrics"
    return f"the test {given} {names}; expected {metric!r} among them"


def storable(value: Raw) -> Raw:
    """Return a value as JSON has it: NaN, infinity and very long whole numbers as texts."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return cast("Raw", portable(value)) if type(value) is int else value


@frozen
class Outcome:
    """How one execution of a trial ended.

    Attributes:
        state: The trial's state.
        score: Value of the sweep's metric, None without one.
        metrics: Every number that the trial gave, by name.
        duration: Seconds of the test's call.
        reason: One line on why the trial is not complete, empty otherwise.
        error: The traceback of its failure, empty without one.
        logged: What the test gave to ``trial.log``.
        steps: How many values of the metric were reported.
        failed: Whether the test failed.
        peak_memory: The most bytes of memory that the trial's process held, None if not known.
        cpu_time: CPU seconds of the test's call, None if not known.
    """

    state: State
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    duration: float = 0.0
    reason: str = ""
    error: str = ""
    logged: dict[str, Raw] = field(default_factory=dict)
    steps: int = 0
    failed: bool = False
    peak_memory: int | None = None
    cpu_time: float | None = None

    def without_values(self, reason: str) -> Outcome:
        """The outcome of a trial whose metrics and logged values cannot be kept."""
        failed = replace(self, state=State.FAILED, reason=reason, failed=True)
        return replace(failed, score=None, metrics={}, logged={})


@dataclass(slots=True)
class Attempt:
    """One execution of a trial, on which a runner works.

    Attributes:
        params: The configuration.
        seed: The trial's seed.
        number: 1 for the first execution in the run.
        worker: The runner.
        started: When it started, in seconds since 1970; before that, when it was handed out.
        since: The same by the monotonic clock.
    """

    params: Config
    seed: int
    number: int
    worker: str
    started: float
    since: float


def under_way(
    item: str, key: Key, attempt: Attempt, state: State, *, reason: str = ""
) -> TrialRecord:
    """A trial that has been started, and has not told its outcome."""
    return TrialRecord(
        item,
        *key,
        attempt.params,
        state,
        seed=attempt.seed,
        attempt=attempt.number,
        reason=reason,
        worker=attempt.worker,
        started=attempt.started,
    )


def ended(item: str, key: Key, attempt: Attempt, outcome: Outcome) -> TrialRecord:
    """A trial that has told its outcome."""
    return TrialRecord(
        item,
        *key,
        attempt.params,
        outcome.state,
        outcome.score,
        dict(outcome.metrics),
        attempt.seed,
        outcome.steps,
        attempt.number,
        outcome.duration,
        outcome.reason,
        worker=attempt.worker,
        logged=dict(outcome.logged),
        peak_memory=outcome.peak_memory,
        cpu_time=outcome.cpu_time,
        started=attempt.started,
        error=outcome.error,
    )
