"""What the arguments of a mark are checked by, whatever they mean."""

from __future__ import annotations

import re
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.errors import SweepError
from pytest_hypersearch.core.values import number_of, shown

if TYPE_CHECKING:
    from collections.abc import Mapping


def wrong(argument: str, value: object, expected: str) -> SweepError:
    """What to raise about the value of an argument."""
    return SweepError(f"sweep({argument}={shown(value)}): {expected}")


def text(given: Mapping[str, Any], argument: str, default: str) -> str:
    """A non-empty string."""
    value = given.get(argument, default)
    if not isinstance(value, str) or not value.strip():
        raise wrong(argument, value, "expected a non-empty string")
    return value


def integer(given: Mapping[str, Any], argument: str, default: int, *, least: int) -> int:
    """An integer that is large enough."""
    value = given.get(argument, default)
    number = number_of(value)
    if not isinstance(number, int) or number < least:
        raise wrong(argument, value, f"expected an integer of at least {least}")
    return number


def flag(given: Mapping[str, Any], argument: str) -> bool:
    """True or False, which is the default."""
    value = given.get(argument, False)
    if not isinstance(value, bool):
        raise wrong(argument, value, "expected True or False")
    return value


def one_of(given: Mapping[str, Any], argument: str, options: tuple[str, ...], default: str) -> Any:  # noqa: ANN401  one of several Literal types
    """One of several words."""
    value = given.get(argument, default)
    if not isinstance(value, str) or value not in options:
        raise wrong(argument, value, f"expected one of {', '.join(map(repr, options))}")
    return value


def identifier(argument: str, value: object, *, also: str = "") -> str:
    """A name that is fit for ids, file names and options."""
    pattern = rf"[A-Za-z_][\w.\-{also}]*"
    if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
        raise wrong(argument, value, "expected ASCII letters, digits, '-', '_' and '.'")
    return value


def files(value: object) -> tuple[str, ...]:
    """The paths in ``depends_on``, as strings."""
    files = (value,) if isinstance(value, (str, PathLike)) else value
    if not isinstance(files, (list, tuple)) or not all(
        isinstance(file, (str, PathLike)) for file in files
    ):
        raise wrong("depends_on", value, "expected a path or a list of paths")
    return tuple(str(fspath(file)) for file in files)
