"""Frozen dataclasses that take little time to define and to make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields
from functools import wraps
from operator import attrgetter
from typing import Any, Final, NoReturn, TypeVar, cast, dataclass_transform

_T = TypeVar("_T")
_set: Final[Callable[[object, str, object], None]] = object.__setattr__


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[_T]) -> type[_T]:
    """Make a frozen dataclass with slots that is compared, hashed and shown by its fields.

    `dataclasses` compiles six methods for each such class, which took half of the time in which a
    session starts, and its instances set each field by a call. Here one method is compiled. It runs
    while the instance is one of a subclass that is not frozen.
    """
    if not hasattr(kind, "__post_init__"):
        setattr(kind, "__post_init__", _do_nothing)  # noqa: B010  an unknown attribute to mypy
    made: Any = dataclass(slots=True, eq=False, repr=False)(kind)
    values, init = _getter(made.__match_args__), made.__init__

    @wraps(init)
    def thaw_and_init(self: object, *args: object, **named: object) -> None:
        _set(self, "__class__", _THAWED[type(self)])
        init(self, *args, **named)

    def equal(self: object, other: object) -> bool:
        return values(self) == values(other) if type(self) is type(other) else NotImplemented

    def hashed(self: object) -> int:
        return hash(values(self))

    made.__init__ = thaw_and_init
    methods = _METHODS | {"__eq__": equal, "__hash__": hashed}
    for name in methods.keys() - vars(kind).keys():
        setattr(made, name, methods[name])
    return cast("type[_T]", made)


def constructor(kind: type[_T]) -> type[_T]:
    """Return what makes instances of a frozen class in half of the time, for many of them."""
    return _THAWED[kind]


class _Thawed(dict[type, type]):
    """Subclasses of frozen classes; their instances are frozen at the end of ``__init__``."""

    def __missing__(self, kind: Any) -> type:  # noqa: ANN401  a class with `__post_init__`
        post_init, init = kind.__post_init__, kind.__init__

        def freeze(self: Any) -> None:  # noqa: ANN401  of the subclass
            post_init(self)
            self.__class__ = kind

        methods = {
            "__slots__": (),
            "__init__": getattr(init, "__wrapped__", init),
            "__post_init__": freeze,
            "__setattr__": object.__setattr__,
            "__delattr__": object.__delattr__,
        }
        self[kind] = type(kind.__name__, (kind,), methods)
        return self[kind]


_THAWED: Final = _Thawed()


def _getter(names: tuple[str, ...]) -> Callable[[object], object]:
    return attrgetter(*names) if names else lambda _: ()


def _do_nothing(_: object) -> None:
    """Stand for a ``__post_init__`` that a class does not define."""


def _refuse(_: object, name: str, *value: object) -> NoReturn:
    verb = "assign to" if value else "delete"
    raise FrozenInstanceError(f"cannot {verb} field {name!r}")


def _repr(self: Any) -> str:  # noqa: ANN401  any dataclass
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _state(self: Any) -> list[object]:  # noqa: ANN401  any dataclass
    return [getattr(self, each.name) for each in fields(self)]


def _set_state(self: Any, state: list[object]) -> None:  # noqa: ANN401  any dataclass
    for each, value in zip(fields(self), state, strict=True):
        _set(self, each.name, value)


_METHODS: Final = {
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__repr__": _repr,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
