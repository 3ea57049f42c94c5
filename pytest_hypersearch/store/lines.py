"""Records as lines of a file: compact ASCII JSON, whose last key ``c`` is a checksum.

The checksum is the CRC-32 of the line without that key. ``k`` names the kind of a record.
"""

from __future__ import annotations

import json
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator


MAX_LINE = 256 * 1024

_BATCH = 4096

Record: TypeAlias = "dict[str, Any]"


def _refuse_constant(text: str) -> NoReturn:
    msg = f"{text} is not a number"
    raise ValueError(msg)


def _finite(text: str) -> float:
    value = float(text)
    return value if value - value == 0 else _refuse_constant(text)


to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":"), check_circular=False).encode
_from_json = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant).decode


def encode(record: Record) -> bytes:
    """Return a record as a line of the journal.

    Args:
        record: JSON-able values; its kind under ``k``.

    Raises:
        ValueError: A number is not finite, or the line exceeds :data:`MAX_LINE` bytes.
        TypeError: A value is not JSON-able.
    """
    return seal(to_json(record))


def seal(text: str) -> bytes:
    """Return the compact ASCII JSON of a record as a line of the journal.

    Raises:
        ValueError: The line exceeds :data:`MAX_LINE` bytes.
    """
    body = text.encode("ascii")
    line = b'%b,"c":%d}\n' % (body[:-1], zlib.crc32(body))
    if len(line) > MAX_LINE:
        raise ValueError(f"a record of {len(line)} bytes: at most {MAX_LINE} fit in the journal")
    return line


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is too long only a beginning that cannot be valid."""
    starts = True
    for piece in iter(partial(file.readline, MAX_LINE + 1), b""):
        if starts:
            yield piece
        starts = piece.endswith(b"\n")


def batches(file: BinaryIO) -> Iterator[tuple[list[bytes], int]]:
    """Yield lists of undamaged JSON texts, each with the number of damaged lines among them."""
    bodies: list[bytes] = []
    damaged = 0
    for line in lines_of(file):
        if (body := body_of(line)) is not None:
            bodies.append(body)
        elif not line.isspace():
            damaged += 1
        if len(bodies) == _BATCH:
            yield bodies, damaged
            bodies, damaged = [], 0
    yield bodies, damaged


def body_of(line: bytes) -> bytes | None:
    """Return the JSON text of a line without its checksum, None if they do not agree."""
    start, _, checksum = line.rstrip(b"\r\n").rpartition(b',"c":')
    body = start + b"}"
    return body if checksum == b"%d}" % zlib.crc32(body) else None


def decode(bodies: list[bytes]) -> list[Record]:
    """Return the records of JSON texts, without those that are none."""
    try:
        values = _from_json((b"[%b]" % b",".join(bodies)).decode("ascii"))
    except (ValueError, RecursionError):
        values = []
    if len(values) != len(bodies):
        return [record for body in bodies for record in decode([body])] if bodies[1:] else []
    return [value for value in values if isinstance(value, dict) and "k" in value]
