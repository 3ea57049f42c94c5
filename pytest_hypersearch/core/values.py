"""User-supplied values: as text in messages and for other readers, and as numbers."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any, Final, cast

# Out of reach of tests that freeze the time: freezegun replaces every attribute of a loaded module
# that is a function of `time`, but passes over objects that merely hold one.
monotonic: Final = partial(time.perf_counter)
"""Seconds that only ever grow, for durations and pauses."""

wall: Final = partial(time.time)
"""Seconds since 1970, for what is recorded."""

_COLUMNS: Final = 60


def shown(value: object) -> str:
    """Return a value as it is written in a message: its repr on one line, cut when it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001  a user's class may do anything
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _COLUMNS else f"{text[: _COLUMNS - 3]}..."


def shown_number(value: object) -> str:
    """Return a number as a user writes it, 1 rather than 1.0; anything else as `shown`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:  # noqa: PLR2004
        return str(int(value))
    return shown(value)


def below(path: Path, folder: Path) -> Path:
    """Return a path relative to a directory that it is in, any other one as it is."""
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def error_text(error: BaseException) -> str:
    """Return what an exception says, nothing if its class fails to."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  a user's class may do anything
        return ""


_CONTAINERS: Final = frozenset({list, tuple, dict, set, frozenset})
_PLAIN: Final = _CONTAINERS | {str, float, int, bool, NoneType}
_LEVELS: Final = 20
"""How deep the lists and dicts may be nested that are told as such."""
_LARGEST: Final = 10**640
"""Python writes and reads at least so many digits."""
_ROOM: Final = 100
"""How much deeper than here the stack may be where a value is written."""


def text_of(value: object) -> str:
    """Return the text of any value, as a string of exactly this type.

    That of a whole number with more digits than Python writes is hexadecimal.
    """
    try:
        return "".join([str(value)])
    except Exception:  # noqa: BLE001  a user's class may do anything
        return hex(value) if isinstance(value, int) else shown(value)


def writable(value: object) -> object:
    """Return a value whose text any reader can have: the value, or what `portable` makes of it."""
    try:
        if not _is_plain(value):
            nested = value
            for _ in range(_ROOM if type(value) in _CONTAINERS else 0):
                nested = [nested]
            str(nested)
    except Exception:  # noqa: BLE001  a user's class may do anything
        return portable(value)
    return value


def _is_plain(value: object) -> bool:
    """Tell whether this is known to have a text, which takes far less time than to write it."""
    values: list[Any] = [value]
    for _ in range(_LEVELS):
        kinds = set(map(type, values))
        if not kinds <= _PLAIN:
            return False
        if int in kinds and any(type(each) is int and abs(each) >= _LARGEST for each in values):
            return False
        if kinds.isdisjoint(_CONTAINERS):
            return True
        inner = {id(each): each for each in values if type(each) in _CONTAINERS}.values()
        values = [part for each in inner for part in each]
        values += [part for each in inner if type(each) is dict for part in each.values()]
    return False


def portable(value: object, _within: tuple[int, ...] = ()) -> Any:  # noqa: ANN401  of the same type, if that is Python's own
    """Return a value without what other processes may lack, or fail to write.

    Texts take the place of values of other types than Python's own, and of whole numbers with more
    digits than Python writes; ``...`` that of what is nested too deep, or in itself.
    """
    kind: type[Any] = type(value)
    if kind in {float, bool, NoneType} or (kind is int and abs(cast("int", value)) < _LARGEST):
        return value
    if kind not in _CONTAINERS:
        return encodable(text_of(value))
    if id(value) in _within or len(_within) == _LEVELS:
        return "..."
    within = (*_within, id(value))
    if isinstance(value, dict):
        return {portable(name, within): portable(each, within) for name, each in value.items()}
    return kind([portable(each, within) for each in cast("Iterable[object]", value)])


# Control characters other than line break and tab, and those that turn the direction of writing.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f]")


def printable(text: str) -> str:
    """Return a text with escapes, as of JSON, for what a terminal would obey."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def encodable(value: object) -> str:
    """Return a value's text as any reader can encode it.

    Lone surrogates are escaped: Python has them for bytes in file names that are not text.
    """
    text = str(value)
    escaped = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if escaped == text else escaped  # options of a choice are told by identity


def scalar_of(value: object) -> object:
    """Return the Python scalar behind one of numpy, torch or jax, anything else as it is."""
    item = getattr(value, "item", None)
    return item() if item is not None and getattr(value, "ndim", None) == 0 else value


def real_of(value: object) -> int | float | None:
    """Return the Python number behind what ``float`` takes for one, None for anything else.

    That is a number of Python, numpy, torch or jax, an array of one of them, a Decimal or a
    Fraction, be it finite or not. Texts and booleans are none.
    """
    try:
        if math.prod(getattr(value, "shape", ())) != 1:
            return None
        if hasattr(value, "item"):
            value = math.nan if _is_masked(value) else value.item()
        if isinstance(value, (int, float)):
            return None if isinstance(value, bool) else value
        if hasattr(value, "__float__") or hasattr(value, "__index__"):
            return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except Exception:  # noqa: BLE001, S110  a user's class may do anything
        pass
    return None


def _is_masked(value: object) -> bool:
    """Tell whether this is ``numpy.ma.masked``, whose item is 0.0."""
    mask = getattr(value, "mask", False)
    return not callable(mask) and bool(mask)


def number_of(value: object) -> int | float | None:
    """Return the finite Python number behind a value as `real_of` does, None for anything else."""
    real = real_of(value)
    try:
        return real if real is not None and math.isfinite(real) else None
    except OverflowError:
        return None


def time_text(seconds: float) -> str:
    """Return a time in seconds since 1970 as the user's clock shows it, to the minute."""
    return datetime.fromtimestamp(seconds).isoformat(" ", "minutes")  # noqa: DTZ006  for people


def check_number(owner: object, name: str, least: float, *, above: bool = False) -> None:
    """Refuse an attribute that is not a finite number or too low; keep the Python number behind it.

    Raises:
        ValueError: The attribute is out of bounds.
    """
    value = getattr(owner, name)
    number = number_of(value)
    if number is None or number < least or (above and number == least):
        limit = f"above {shown_number(least)}" if above else f"{shown_number(least)} or more"
        bound = f", {limit}" if math.isfinite(least) else ""
        raise ValueError(f"{name}={shown(value)}: expected a finite number{bound}")
    object.__setattr__(owner, name, number)  # the owners are frozen


LONGEST: Final = 100 * 366 * 86400  # the system's timers count nanoseconds in 63 bits
_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])\s*")


def duration_of(value: object) -> float:
    """The seconds in a number of seconds, or in a text such as ``1h30m``.

    Raises:
        ValueError: It is not a positive duration.
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


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value; does not overflow."""
    if len(values) == 1:
        return values[0]
    count = len(values)
    return math.fsum([value / count for value in values])


def std(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1), None for fewer than two values."""
    if len(values) < 2:  # noqa: PLR2004 - no spread
        return None
    centre = mean(values)
    return math.hypot(*[value - centre for value in values]) / math.sqrt(len(values) - 1)


def plural(number: float, thing: str) -> str:
    """Write a number of things: ``1 cpu``, ``0.5 gpus``."""
    return f"{shown_number(number)} {thing}{'' if number == 1 else 's'}"
