"""Live progress: what stands in one line while trials run, and when it is worth a line of a log.

Nothing here reads a clock or writes: times come in as arguments, text goes out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_hypersearch.terminal.comparisons import split
from pytest_hypersearch.terminal.display import Look, clean, columns, cut, show_duration
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Mapping


MILESTONE_SHARE = 0.1
MILESTONE_SECONDS = 30.0
_CELLS = 10
_NAME_COLUMNS = 16
_MINUTE = 60.0
_HOUR = 3600.0
_NAMED = (
    State.PRUNED,
    State.FAILED,
    State.INVALID,
    State.CRASHED,
    State.TIMED_OUT,
    State.NOT_RUN,
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is.

    Attributes:
        name: What to call it: `short_name` of its node id.
        planned: Trials in the plan.
        counts: Trials that ended, by state.
        cached: How many of them were replayed from the store.
        best: Best score so far, None before the first.
        number: The best configuration's number.
    """

    name: str
    planned: int
    counts: Mapping[State, int] = field(default_factory=dict)
    cached: int = 0
    best: float | None = None
    number: int | None = None

    @property
    def done(self) -> int:
        """Trials that ended."""
        return sum(self.counts.values())


def short_name(nodeid: str) -> str:
    """Returns a node id without file and class: ``test_cnn[cifar]``."""
    test, arguments = split(nodeid)
    return test.rpartition("::")[2] + arguments


def bar(progress: Progress, *, elapsed: float, width: int, ascii_only: bool = False) -> str:
    """Writes the live line.

    ``[######----] test_cnn 58/100 best 0.9531 (#52) 16 pruned 3 failed 1.9/s eta 22s``

    Args:
        progress: How far the study is.
        elapsed: Seconds since its first trial started in this session.
        width: Columns of the terminal; the line leaves the last one free, or it would wrap. What
            does not fit goes in this order: rate, counts, bar, time left, best.
        ascii_only: Whether the terminal cannot encode anything beyond ASCII.
    """
    filled = round(_CELLS * progress.done / max(progress.planned, 1))
    if progress.done < progress.planned:
        filled = min(filled, _CELLS - 1)
    drawn = f"[{'#' * filled:-<{_CELLS}}]"
    return _line(progress, drawn, elapsed, Look(width - 1, 0, ascii_only))


def milestone(progress: Progress, *, elapsed: float, width: int, ascii_only: bool = False) -> str:
    """Writes the line of a log that has no live line; arguments as for `bar`."""
    return _line(progress, "", elapsed, Look(width - 1, 0, ascii_only))


def milestone_due(
    last: tuple[int, float], done: int, planned: int, now: float
) -> tuple[int, float] | None:
    """Decides whether to write a milestone: after 10% of the trials and 30 seconds.

    Args:
        last: Trials done and time at the last milestone, or at the start.
        done: Trials done now.
        planned: Trials in the plan; at its end the summary follows and none is due.
        now: The time in seconds, on any clock.

    Returns:
        The new ``last`` if a milestone is due, else None.
    """
    far = done - last[0] >= MILESTONE_SHARE * planned and now - last[1] >= MILESTONE_SECONDS
    return (done, now) if far and done < planned else None


def _line(progress: Progress, drawn: str, elapsed: float, look: Look) -> str:
    fresh = progress.done - progress.cached
    rate = fresh / elapsed if fresh and elapsed > 0 else 0.0
    left = progress.planned - progress.done
    counts = " ".join(f"{progress.counts[s]} {s}" for s in _NAMED if progress.counts.get(s))
    best = "" if progress.best is None else f"best {progress.best:.4g} (#{progress.number})"
    parts = {
        "bar": drawn,
        "name": cut(clean(progress.name, look), max(_NAME_COLUMNS, look.width // 3), look),
        "done": f"{progress.done}/{progress.planned}",
        "best": best,
        "counts": counts,
        "rate": _rate(rate) if rate else "",
        "eta": f"eta {_time_left(left / rate)}" if rate and left > 0 else "",
    }
    for dispensable in ("rate", "counts", "bar", "eta", "best"):
        if columns(_joined(parts)) <= look.width:
            break
        parts[dispensable] = ""
    return cut(_joined(parts), look.width, look)


def _joined(parts: Mapping[str, str]) -> str:
    return " ".join(part for part in parts.values() if part)


def _rate(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:.1f}/s"
    if per_second * _MINUTE >= 1:
        return f"{per_second * _MINUTE:.1f}/min"
    return f"{per_second * _HOUR:.1f}/h"


def _time_left(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds < _MINUTE - 0.5 else show_duration(seconds)
