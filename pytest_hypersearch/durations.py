"""Spans of time as users write them: ``90``, ``"90s"``, ``"1h30m"``."""

from __future__ import annotations

import re
from typing import Final

from pytest_hypersearch.given import number_of, shown

LONGEST: Final = 100 * 366 * 86400  # the system's timers count nanoseconds in 63 bits

_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])\s*")


def duration_of(value: object) -> float:
    """The seconds in a number of seconds, or in a text such as ``1h30m``.

    Raises:
        ValueError: It is no positive span of time.
    """
    seconds = _of_text(value.strip()) if isinstance(value, str) else number_of(value)
    if seconds is None or seconds <= 0:
        raise ValueError(f"{shown(value)}: expected seconds, or a text such as '90s' or '1h30m'")
    if seconds > LONGEST:
        raise ValueError(f"{shown(value)}: expected at most 100 years")
    return float(seconds)


def _of_text(text: str) -> float | None:
    try:
        return number_of(float(text))
    except ValueError:
        parts = _PART.findall(text)
        whole = re.fullmatch(f"(?:{_PART.pattern})+", text)
        return sum(float(count) * _SECONDS[unit] for count, unit in parts) if whole else None
