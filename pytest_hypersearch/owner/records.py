"""Records of trials, made of how they were started, what they told, or what is stored of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.owner.outcome import used
from pytest_hypersearch.score import judge
from pytest_hypersearch.trial import Key, State, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_hypersearch.store.lines import Record
    from pytest_hypersearch.trial import Config


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
