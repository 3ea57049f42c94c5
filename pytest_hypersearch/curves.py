"""Curves: what trials report on their way, packed for the link and the file of curves.

A series is the values of one metric with the steps at which they were reported, in the order of the
reports. Packed, it is ``{"steps": [first, count], "values": text}``: the values as little-endian
doubles in base64, exact, NaN and infinity included, and ten times quicker to write than as decimal
numbers. Steps that are not consecutive integers are packed like the values.
"""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_hypersearch.trial import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_hypersearch.store.journal import Record

Series: TypeAlias = "tuple[list[float], list[float]]"
Packed: TypeAlias = "dict[str, Any]"


def pack(steps: Sequence[float], values: Sequence[float]) -> Packed:
    """Pack a series of at least one value as JSON values."""
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


def read_curves(
    records: Iterable[Record],
) -> dict[tuple[Key, int], dict[str, Series]]:
    """The series of each metric, by trial and attempt, from the records of a file of curves."""
    found: dict[tuple[Key, int], dict[str, Series]] = defaultdict(dict)
    for record in records:
        try:
            trial = Key(record["sweep"], record["number"], record["replicate"]), record["attempt"]
            parts = {name: unpack(packed) for name, packed in record["series"].items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        for name, part in parts.items():
            series = found[trial].setdefault(name, ([], []))
            series[0].extend(part[0])
            series[1].extend(part[1])
    return dict(found)


def _text(numbers: Sequence[float]) -> str:
    doubles = array("d", numbers)
    if sys.byteorder == "big":
        doubles.byteswap()
    return b64encode(doubles.tobytes()).decode("ascii")


def _doubles(text: str) -> list[float]:
    doubles = array("d", b64decode(text, validate=True))
    if sys.byteorder == "big":
        doubles.byteswap()
    return doubles.tolist()
