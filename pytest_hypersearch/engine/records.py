"""What a runner tells of a trial's end, and what of it the journal keeps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.trial import Key, State, TrialRecord, judge, storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.core.trial import Config, Raw
    from pytest_hypersearch.store.lines import Record


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


def stored_outcome(outcome: Outcome) -> Record:
    """An outcome as the journal keeps it: without what is empty, NaN and infinity as text."""
    values = {name: getattr(outcome, name) for name in Outcome.__slots__}
    kept = {
        name: value
        for name, value in values.items()
        if value not in (None, "", {}) and value is not False
    }
    for name in {"metrics", "logged"} & kept.keys():
        kept[name] = {key: storable(value) for key, value in kept[name].items()}
    if outcome.score is not None:
        kept["score"] = storable(outcome.score)
    if not outcome.steps:
        del kept["steps"]
    return {"metrics": {}, **kept, "duration": round(outcome.duration, 6)}


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


@lru_cache
def trial_seed(seed: int, replicate: int) -> int:
    """The seed of a trial: 32 bits that depend on the sweep's seed and the replicate alone.

    All configurations of a replicate meet the same luck (common random numbers), so that they can
    be compared in pairs.
    """
    digest = blake2b(f"{seed}/{replicate}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def trial_record(item: str, key: Key, params: Config, state: State, **values: Any) -> TrialRecord:  # noqa: ANN401  the record's own fields
    """The record of an item's trial."""
    return TrialRecord(item, key.sweep, key.number, key.replicate, params, state, **values)


def under_way(
    item: str, key: Key, attempt: Attempt, state: State, *, reason: str = ""
) -> TrialRecord:
    """A trial that has been started, and has not told its outcome."""
    return trial_record(
        item,
        key,
        attempt.params,
        state,
        reason=reason,
        seed=attempt.seed,
        attempt=attempt.number,
        worker=attempt.worker,
        started=attempt.started,
    )


def ended(item: str, key: Key, attempt: Attempt, outcome: Outcome) -> TrialRecord:
    """A trial that has told its outcome."""
    return replace(
        under_way(item, key, attempt, outcome.state, reason=outcome.reason),
        score=outcome.score,
        metrics=dict(outcome.metrics),
        steps=outcome.steps,
        duration=outcome.duration,
        logged=dict(outcome.logged),
        peak_memory=outcome.peak_memory,
        cpu_time=outcome.cpu_time,
        error=outcome.error,
    )


def replayed(
    item: str, key: Key, end: Record, metrics: Sequence[str], *, params: Config, seed: int
) -> TrialRecord | None:
    """A stored trial, its score looked up anew: another of its metrics may count now.

    Returns:
        None if it has no score by these metrics, so that it has to run again.
    """
    state, found = State(end["state"]), end["metrics"]
    score, reason = found.get(metrics[0]), end.get("reason", "")
    if state is not State.PRUNED:
        verdict = judge(None, found, *metrics)
        if verdict.failed:
            return None
        state, score, reason = verdict.state, verdict.score, verdict.reason
    return trial_record(
        item,
        key,
        params,
        state,
        score=score,
        metrics=found,
        seed=seed,
        steps=end.get("steps", 0),
        attempt=end["attempt"],
        duration=end["duration"],
        reason=reason,
        cached=True,
        logged=end.get("logged", {}),
        peak_memory=end.get("peak_memory"),
        cpu_time=end.get("cpu_time"),
        started=end.get("started"),
    )
