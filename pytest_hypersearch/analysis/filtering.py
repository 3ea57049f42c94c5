"""Which trials fulfil conditions such as ``lr__lt=0.1``."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_hypersearch.analysis.fields import ABSENT
from pytest_hypersearch.given import shown
from pytest_hypersearch.naming import called, some
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_hypersearch.analysis.fields import Entry, Field, Fields

COMPLETE_TOO: Final = ("success", "completed")
"""Other words for the state complete."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        text: How the user wrote it.
        field: What it looks at.
        test: Compares a trial's value with the one asked for.
        value: The one asked for.
    """

    text: str
    field: Field
    test: Callable[[Any, Any], bool]
    value: object


def conditions(fields: Fields, given: Mapping[str, object]) -> list[Condition]:
    """Return what keyword arguments ask for.

    Args:
        fields: What the trials have.
        given: Names with or without an operator (``lr__lt``) and values.

    Raises:
        ValueError: A name or a value makes no sense; the message tells what would.
    """
    return [_condition(fields, name, value) for name, value in given.items()]


def matching(entries: Iterable[Entry], conditions: Sequence[Condition]) -> list[Entry]:
    """Return those entries that fulfil all conditions; what a trial lacks fulfils none.

    Raises:
        ValueError: A condition's value can be compared with no trial's.
    """
    found = list(entries)
    for condition in conditions:
        found = _fulfilling(found, condition)
    return found


def _fulfilling(entries: list[Entry], condition: Condition) -> list[Entry]:
    found, misfit, compared = [], ABSENT, False
    for entry in entries:
        value = condition.field.get(entry)
        if value is ABSENT or (value is None and condition.test is not _equal):
            continue
        try:
            fits = condition.test(value, condition.value)
        except TypeError:
            misfit = value
            continue
        compared = True
        if fits:
            found.append(entry)
    if misfit is not ABSENT and not compared:
        raise ValueError(
            f"{condition.text}={shown(condition.value)}: expected a value that can be compared "
            f"with {shown(misfit)}"
        )
    return found


def _condition(fields: Fields, text: str, value: object) -> Condition:
    name, test = text, OPERATORS["eq"]
    head, _, last = text.rpartition("__")
    if head and last in OPERATORS and not _known(fields, text):
        name, test = head, OPERATORS[last]
    field = fields.find(name)
    if test is _in and (isinstance(value, (str, bytes)) or not hasattr(value, "__iter__")):
        raise ValueError(f"{text}={shown(value)}: expected a list of values")
    if field.name == "status" and test in {_equal, _unequal, _in}:
        value = [_state(one) for one in value] if test is _in else _state(value)  # type: ignore[attr-defined]
    if field.name == "test" and test is _equal:
        test, value = _in, _tests(fields.tests, str(value))
    return Condition(text, field, test, value)


def _known(fields: Fields, name: str) -> bool:
    return any(name in names for names in (fields.params, fields.metrics, fields.logged))


def _state(word: object) -> str:
    text = str(word).replace("_", " ")
    if text in COMPLETE_TOO:
        return State.COMPLETE
    if text not in list(State):
        raise ValueError(f"status={shown(word)}: expected one of {', '.join(State)}")
    return text


def _tests(known: Sequence[str], name: str) -> list[str]:
    found = called(known, name)
    if not found:
        raise ValueError(f"test={shown(name)}: no such test; expected {some(known)}")
    return found


def _equal(value: object, other: object) -> bool:
    """Compare as configurations do: True is not 1."""
    return isinstance(value, bool) is isinstance(other, bool) and value == other


def _unequal(value: object, other: object) -> bool:
    return not _equal(value, other)


def _in(value: object, options: Iterable[object]) -> bool:
    return any(_equal(value, option) for option in options)


def _contains(value: object, part: object) -> bool:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return str(part) in value


OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": _equal,
    "ne": _unequal,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "in": _in,
    "contains": _contains,
}
"""What may follow a name, behind two underscores."""
