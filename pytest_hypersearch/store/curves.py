"""Curves: what trials report on their way, packed for the link and the file of curves.

A series is the values of one metric with the steps at which they were reported, in the order of the
reports. Packed, it is ``{"steps": [first, count], "values": text}``: the values as little-endian
doubles in base64, exact, NaN and infinity included, and ten times quicker to write than as decimal
numbers. Steps that are not consecutive integers are packed like the values.

A record of the file has the values since the one before, and when the last of them came. The others
came at most `FLUSH_SECONDS` after the record before, so their times are known about as well.
"""

from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

FLUSH_SECONDS: Final = 0.2
"""The longest that a reported value waits before it is sent, if another is reported after it."""

# Three doubles take 32 characters of base64, at the end of which it can be cut.
_GROUP, _GROUP_TEXT = 3, 32

# JSON's longest escape of a character, and its marks around a series.
_ESCAPED, _MARKS = 12, 32

Series: TypeAlias = "tuple[list[float], list[float]]"
Packed: TypeAlias = "dict[str, Any]"


class TimedSeries(NamedTuple):
    """A series, and when its values came.

    Attributes:
        steps: Where in the trial each value was reported.
        values: The values.
        times: Seconds since the trial was handed out.
    """

    steps: list[float]
    values: list[float]
    times: list[float]


class Joined:
    """A series that is put together from the records of a file."""

    def __init__(self) -> None:
        self._steps: list[float] = []
        self._values: list[float] = []
        self._marks: list[tuple[int, float]] = [(0, 0.0)]

    def add(self, steps: Sequence[float], values: Sequence[float], elapsed: float) -> None:
        """Add the values of a record, the last of which came after so many seconds."""
        self._steps.extend(steps)
        self._values.extend(values)
        if elapsed == self._marks[-1][1]:  # a long batch has several records
            self._marks.pop()
        self._marks.append((len(self._values), elapsed))

    def series(self) -> TimedSeries:
        """The series, with a time for each value."""
        times: list[float] = []
        for (first, since), (last, until) in pairwise([(0, 0.0), *self._marks]):
            count = last - first
            share = min(until - since, FLUSH_SECONDS) / max(count, 1)
            times += [round(since + share * k, 3) for k in range(1, count)]
            times += [until] * (count > 0)
        return TimedSeries(self._steps, self._values, times)


def pack(steps: Sequence[float], values: Sequence[float]) -> Packed:
    """Pack a series of at least one value as JSON values.

    Raises:
        OverflowError: A step is an integer beyond the range of floats.
    """
    first, count = steps[0], len(steps)
    if isinstance(steps, range) or (
        isinstance(first, int) and list(steps) == list(range(first, first + count))
    ):
        return {"steps": [first, count], "values": _text(values)}
    return {"steps": _text(steps), "values": _text(values)}


def unpack(packed: Mapping[str, Any]) -> Series:
    """The inverse of `pack`.

    Raises:
        ValueError: It is no packed series.
    """
    steps, values = packed["steps"], _doubles(packed["values"])
    if isinstance(steps, str):
        at = _doubles(steps)
    else:
        first, count = steps
        at = list(range(first, first + min(count, len(values) + 1)))
    if len(at) != len(values):
        raise ValueError(f"a series of {len(at)} steps and {len(values)} values")
    return at, values


def portions(series: Mapping[str, Packed], most: int) -> Iterator[dict[str, Packed]]:
    """Packed series in parts of about `most` characters, which make them up in this order."""
    part: dict[str, Packed] = {}
    size = 0
    for name, packed in series.items():
        for piece in _pieces(packed, most // 2):
            more = _ESCAPED * len(name) + sum(map(len, map(str, piece.values()))) + _MARKS
            if part and (size + more > most or name in part):
                yield part
                part, size = {}, 0
            part[name] = piece
            size += more
    yield part


def series_json(series: Mapping[str, Packed]) -> str:
    """Packed series as compact JSON; their texts, in base64, are not looked through again."""
    parts = (
        f'{json.dumps(name)}:{{"steps":{_steps_json(one["steps"])},"values":"{one["values"]}"}}'
        for name, one in series.items()
    )
    return f"{{{','.join(parts)}}}"


def _pieces(packed: Packed, most: int) -> Iterator[Packed]:
    """A packed series in pieces, each of whose texts has at most `most` characters."""
    steps, values = packed["steps"], packed["values"]
    if len(values) <= most:
        yield packed
        return
    width = most // _GROUP_TEXT * _GROUP_TEXT
    for start in range(0, len(values), width):
        text = values[start : start + width]
        if isinstance(steps, str):
            yield {"steps": steps[start : start + width], "values": text}
        else:
            first, done = steps[0], start // _GROUP_TEXT * _GROUP
            count = min(width // _GROUP_TEXT * _GROUP, steps[1] - done)
            yield {"steps": [first + done, count], "values": text}


def _steps_json(steps: list[int] | str) -> str:
    return f'"{steps}"' if isinstance(steps, str) else f"[{steps[0]},{steps[1]}]"


def _text(numbers: Sequence[float]) -> str:
    try:
        doubles = struct.pack(f"<{len(numbers)}d", *numbers)
    except struct.error:
        raise OverflowError("an integer is beyond the range of floats") from None
    return b64encode(doubles).decode("ascii")


def _doubles(text: str) -> list[float]:
    doubles = b64decode(text, validate=True)
    try:
        return list(struct.unpack(f"<{len(doubles) // 8}d", doubles))
    except struct.error:
        raise ValueError(f"{len(doubles)} bytes are not a whole number of doubles") from None
