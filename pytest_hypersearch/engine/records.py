"""What a runner tells of a trial's end, and what of it the journal keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.trial import Key, State, TrialRecord, judge, storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_hypersearch.core.trial import Config
    from pytest_hypersearch.store.lines import Record


def stored_outcome(outcome: Mapping[str, Any]) -> Record:
    """An outcome as the journal keeps it: without what is empty, not a number as text."""
    kept = {
        name: value
        for name, value in outcome.items()
        if value is not None and value is not False and value not in ("", {})
    }
    for name in {"metrics", "logged"} & kept.keys():
        kept[name] = {key: storable(value) for key, value in kept[name].items()}
    if "score" in kept:
        kept["score"] = storable(kept["score"])
    return {"metrics": {}, **kept, "duration": round(outcome["duration"], 6)}


def empty_outcome(outcome: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """What is left of an outcome that cannot be kept: that its trial failed, and why."""
    nothing: dict[str, Any] = {"score": None, "metrics": {}, "logged": {}}
    return {**outcome, **nothing, "state": State.FAILED, "reason": reason, "failed": True}


def timed_out(reason: str, duration: float) -> dict[str, Any]:
    """The outcome of a trial whose process was ended with it when its time was up."""
    nothing: dict[str, Any] = {"score": None, "metrics": {}, "logged": {}, "steps": None}
    end = {"state": State.TIMED_OUT, "duration": duration, "reason": reason}
    return {**nothing, **end, "error": "", "failed": True}


def used(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the resources that a trial used."""
    return {name: outcome.get(name) for name in ("peak_memory", "cpu_time")}


@dataclass(frozen=True, slots=True)
class Started:
    """A trial that a runner works on.

    Attributes:
        at: When it started, in seconds since 1970.
        since: The same by the clock that nobody sets.
    """

    params: Config
    seed: int
    attempt: int
    worker: str
    at: float
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
    item: str, key: Key, started: Started, state: State, *, reason: str = ""
) -> TrialRecord:
    """A trial that has been started, and no more is known of it."""
    return trial_record(
        item,
        key,
        started.params,
        state,
        reason=reason,
        seed=started.seed,
        attempt=started.attempt,
        worker=started.worker,
        started=started.at,
    )


def ended(item: str, key: Key, started: Started, outcome: Mapping[str, Any]) -> TrialRecord:
    """A trial that has told its outcome."""
    return trial_record(
        item,
        key,
        started.params,
        State(outcome["state"]),
        score=outcome["score"],
        metrics=dict(outcome["metrics"]),
        seed=started.seed,
        steps=outcome["steps"] or 0,
        attempt=started.attempt,
        duration=outcome["duration"],
        reason=outcome["reason"],
        worker=started.worker,
        logged=dict(outcome["logged"]),
        **used(outcome),
        started=started.at,
        error=outcome["error"],
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
        **used(end),
        started=end.get("started"),
    )
