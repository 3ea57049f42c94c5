"""What a runner tells of a trial's end, and the trial as the study knows it until then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pytest_hypersearch.core.trial import Config, Key, Raw, State, TrialRecord


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a trial, on which a runner works.

    Attributes:
        params: The configuration.
        seed: The trial's seed.
        number: 1 for the first execution in the run.
        worker: The runner.
        started: When it started, in seconds since 1970.
        since: The same by the monotonic clock.
    """

    params: Config
    seed: int
    number: int
    worker: str
    started: float
    since: float


def trial_record(item: str, key: Key, params: Config, state: State, **values: Any) -> TrialRecord:  # noqa: ANN401  the record's own fields
    """The record of an item's trial."""
    return TrialRecord(item, key.sweep, key.number, key.replicate, params, state, **values)


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
