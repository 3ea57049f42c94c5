"""What a runner tells of a trial's end, and what of it the journal keeps."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_hypersearch.store.lines import Record
    from pytest_hypersearch.trial import Raw


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


def storable(value: Raw) -> Raw:
    """JSON has no word for NaN and infinity; ``float`` reads these words."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value
