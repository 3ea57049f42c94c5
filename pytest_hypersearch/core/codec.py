"""Dataclasses as JSON objects, written by their fields and read by the types of these.

Types with methods ``to_json`` and ``from_json`` are written and read by them. What is read here was
written by this package; records of the journal, which may be forged, are checked field by field in
`pytest_hypersearch.store.records`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_T = TypeVar("_T")


def json_object(value: Any) -> dict[str, Any]:  # noqa: ANN401  whatever JSON does not know
    """Return a dataclass as a JSON object, in which there may be others: the ``default`` of json.

    Raises:
        TypeError: It is no dataclass.
    """
    if not is_dataclass(value):
        raise TypeError(f"{value!r} ({type(value).__name__}) has no form in JSON")
    plain: dict[str, Any] = value.to_json() if hasattr(value, "to_json") else fields_of(value)
    return plain


def fields_of(value: Any) -> dict[str, Any]:  # noqa: ANN401  a dataclass with slots
    """Return the fields of a dataclass by name."""
    return {name: getattr(value, name) for name in value.__slots__}


def read_fields(kind: Callable[..., _T], data: dict[str, Any]) -> _T:
    """Return the dataclass whose fields a JSON object has.

    Raises:
        TypeError, ValueError: It has other fields, or a value of the wrong kind.
    """
    return kind(**data | {name: read(data[name]) for name, read in _nested(kind) if name in data})


@cache
def _nested(kind: Callable[..., object]) -> list[tuple[str, Callable[[Any], Any]]]:
    """Return what reads those fields of a dataclass that JSON has in another form."""
    reads = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
    return [(name, read) for name, read in reads.items() if read is not None]


def _reader(hint: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401  a type hint
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType} and NoneType in inner:
        read = _reader(inner[inner[0] is NoneType])
        return read and (lambda value: None if value is None else read(value))
    if origin is tuple:
        reads = [_reader(each) or _same for each in inner if each is not Ellipsis]
        if inner[-1] is Ellipsis:
            return lambda values: tuple(map(reads[0], values))
        return lambda values: tuple(read(each) for read, each in zip(reads, values, strict=True))
    return _class_reader(hint) if isinstance(hint, type) and origin is None else None


def _class_reader(kind: Any) -> Any:  # noqa: ANN401  a class, and what takes a JSON value, or None
    if hasattr(kind, "from_json"):
        return kind.from_json
    if hasattr(kind, "__dataclass_fields__"):
        return partial(read_fields, kind)
    # The fields of a named tuple are an array in JSON.
    return getattr(kind, "_make", kind if issubclass(kind, Enum) else None)


def _same(value: Any) -> Any:  # noqa: ANN401  a JSON value
    return value
