"""Choices among arbitrary objects, which go by their labels wherever they are stored or sampled."""

from __future__ import annotations

import inspect
import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import accumulate
from math import isfinite, prod
from typing import Any, Final

from pytest_hypersearch.core.secrets import is_secret, masked, veiled
from pytest_hypersearch.core.trial import Raw
from pytest_hypersearch.core.values import encodable, number_of, scalar_of, shown

_SCALARS: Final = (int, float, str, bool, type(None))
_ABSENT: Final = object()  # the object behind a label that was read from JSON
_LARGEST_ARRAY: Final = 64  # elements that a label can show
# An address, or a set of several elements, whose order depends on hashes: PYTHONHASHSEED.
_UNSTABLE: Final = re.compile(r" at 0x|\{(?:(?!: )[^{}])*, (?:(?!: )[^{}])*\}")


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One of several options, in a fixed order.

    Two choices are equal if their labels and weights are, whatever their objects.

    Attributes:
        labels: The options as JSON scalars, no two equal in value and type.
        objects: What the test gets, in the order of the labels.
        weights: Probability of each option, None if all are equally likely.
        problem: What is wrong with the options or weights, empty if nothing is.
    """

    labels: tuple[Raw, ...]
    objects: tuple[object, ...]
    weights: tuple[float, ...] | None = None
    problem: str = ""
    _positions: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        positions = {label_text(label): i for i, label in enumerate(self.labels)}
        object.__setattr__(self, "_positions", positions)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Choice):
            return NotImplemented
        return (*self._positions, self.weights) == (*other._positions, other.weights)

    def __hash__(self) -> int:
        return hash((*self._positions, self.weights))

    def check(self) -> None:
        """Refuse options or weights that make no choice.

        Raises:
            ValueError: They are of the wrong kind, too few, or not distinct.
        """
        if self.problem:
            raise ValueError(self.problem)

    @property
    def size(self) -> int:
        """Number of options."""
        return len(self.labels)

    @property
    def equal_shares(self) -> bool:
        """Whether all options are equally likely."""
        return self.weights is None

    def at(self, position: int) -> Raw:
        """Return the label at a position."""
        return self.labels[position]

    def position(self, raw: Raw) -> int:
        """Return the position of a label.

        Raises:
            KeyError: There is no such label.
        """
        return self._positions[label_text(raw)]

    def from_unit(self, u: float) -> Raw:
        """Return the label whose share of [0, 1] holds u."""
        if self.weights is None:
            return self.labels[min(int(u * self.size), self.size - 1)]
        return self.labels[min(bisect_right([*accumulate(self.weights)], u), self.size - 1)]

    def to_unit(self, raw: Raw) -> float:
        """Return the centre of the label's share of [0, 1]."""
        position = self.position(raw)
        if self.weights is None:
            return (position + 0.5) / self.size
        return sum(self.weights[:position]) + self.weights[position] / 2

    def centre(self) -> Raw:
        """Return the likeliest label, the middle one if all are equally likely."""
        if self.weights is None:
            return self.labels[(self.size - 1) // 2]
        return self.labels[self.weights.index(max(self.weights))]

    def contains(self, raw: Raw) -> bool:
        """Tell whether raw is a label, of the same value and type."""
        return type(raw) in _SCALARS and label_text(raw) in self._positions

    def encode(self, value: object) -> Raw:
        """Return the label of an option given as its object or its label.

        Raises:
            ValueError: The value is not an option.
        """
        scalar = scalar_of(value)
        for raw, option in zip(self.labels, self.objects, strict=True):
            if option is value or option is scalar:
                return raw
        name = _stable_name(scalar)
        for raw, option in zip(self.labels, self.objects, strict=True):
            if isinstance(name, str) and name == _stable_name(option):
                return raw
        if not self.contains(name) or (name is None and scalar is not None):
            raise ValueError(f"{shown(value)}: expected a value of {self}")
        return self.labels[self.position(name)]

    def decode(self, raw: Raw) -> object:
        """Return the object that a label is for.

        Raises:
            KeyError: There is no such label.
            LookupError: The choice was read from JSON, which has no objects.
        """
        option = self.objects[self.position(raw)]
        if option is _ABSENT:
            raise LookupError(f"only the test itself has the object behind the label {raw!r}")
        return option

    def veiled(self, parameter: str) -> Choice:
        """Return the choice with ``secret-0``, ... in the labels for the secrets of the options.

        A label that the user gave beside its option stays.
        """
        secret = is_secret(parameter)
        labels = tuple(
            _veiled(raw, option, f"secret-{i}", secret=secret)
            for i, (raw, option) in enumerate(zip(self.labels, self.objects, strict=True))
        )
        return self if labels == self.labels else replace(self, labels=labels)

    def to_json(self) -> dict[str, object]:
        """Return a JSON object from which `distribution_from_json` restores the labels."""
        pairs = zip(self.labels, self.objects, strict=True)
        opaque = [i for i, (raw, option) in enumerate(pairs) if option is not raw]
        weights = None if self.weights is None else list(self.weights)
        return {
            "kind": "choice",
            "options": list(self.labels),
            "weights": weights,
            "opaque": opaque,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> Choice:
        """Return the choice with labels only: other objects than JSON scalars cannot be decoded."""
        labels, opaque, weights = record["options"], record.get("opaque", []), record.get("weights")
        if not isinstance(labels, list) or not isinstance(opaque, list):
            raise TypeError(f"{record!r} does not describe a choice")
        objects = tuple(_ABSENT if i in opaque else raw for i, raw in enumerate(labels))
        shares = tuple(weights) if isinstance(weights, list) else None
        return cls(tuple(labels), objects, shares)

    def __str__(self) -> str:
        return f"choice({shown(list(self.labels))})"


def choice(
    options: Sequence[object] | Mapping[str, object], *, weights: Sequence[float] | None = None
) -> Choice:
    """Return one of several options.

    Args:
        options: A list, tuple, range, one-dimensional array, or a mapping of labels to objects.
            Numbers, strings, booleans and None are their own labels; functions and classes go by
            their qualified name, lists and dicts of such by their JSON text with sorted names, sets
            likewise, small arrays by their elements, other objects by their repr if it is the same
            in every process.
        weights: Relative probability of each option, above 0; equal if not given.
    """
    try:
        labels, objects = _labelled(options)
        return Choice(labels, objects, _shares(weights, len(labels)))
    except ValueError as error:
        suffix = "" if weights is None else f", weights={shown(weights)}"
        return Choice((), (), problem=f"choice({shown(options)}{suffix}): {error}")


def is_options(value: object) -> bool:
    """Tell whether a plain value lists options: a list, tuple, range, array or mapping."""
    return isinstance(value, (list, tuple, range, Mapping)) or getattr(value, "ndim", None) == 1


@lru_cache(maxsize=4096, typed=True)
def label_text(raw: Raw) -> str:
    """Return a text that differs for values that differ in value or type, -0.0 counting as 0.0."""
    return json.dumps(raw + 0.0 if type(raw) is float else raw)


def _labelled(options: object) -> tuple[tuple[Raw, ...], tuple[object, ...]]:
    """Return the labels and objects of the options.

    Raises:
        ValueError: They are not options, or some have no label of their own.
    """
    if not is_options(options):
        raise ValueError(
            "expected a list, tuple, range, one-dimensional array or mapping of labels to objects"
        )
    values: Any = options.tolist() if hasattr(options, "tolist") else options
    objects = tuple(map(scalar_of, values.values() if isinstance(values, Mapping) else values))
    labels = tuple(map(_key, values) if isinstance(values, Mapping) else map(_label, objects))
    if not labels:
        raise ValueError("expected at least one option")
    counts = Counter(map(label_text, labels))
    for raw in labels:
        if counts[label_text(raw)] > 1:
            raise ValueError(f"expected each option once; {shown(raw)} is given twice")
    return labels, objects


def _veiled(raw: Raw, option: object, mask: str, *, secret: bool) -> Raw:
    """Return the label of an option, with a mask for its secrets if the label is its own text."""
    if not isinstance(raw, str) or raw != _stable_name(option):
        return raw
    if secret:
        return mask
    plain = isinstance(option, (list, tuple, dict))
    return _stable_name(veiled(option, mask)) if plain else masked(raw, mask)


def _key(label: object) -> Raw:
    if not _is_scalar(label):
        raise ValueError(f"expected strings or numbers as labels, not {shown(label)}")
    return encodable(label) if isinstance(label, str) else label  # type: ignore[return-value]


def _label(value: object) -> Raw:
    name = _stable_name(value)
    if name is None and value is not None:
        raise ValueError(
            f"expected options with a name that is the same in every process, not {shown(value)}; "
            "give it a label: choice({'label': value})"
        )
    return name


def _stable_name(value: object) -> Raw:
    """Return a value's label: a scalar itself, a text for anything else, None without one.

    Lone surrogates, which are no text to other readers, are escaped.
    """
    if _is_scalar(value):
        return encodable(value) if isinstance(value, str) else value  # type: ignore[return-value]
    try:
        return encodable(_text(value))
    except Exception:  # noqa: BLE001  a user's class may do anything
        return None


def _text(value: object) -> str:
    """Return a text that is the same in every process, whatever the seed of its hashes.

    Raises:
        ValueError: There is none.
    """
    value = scalar_of(value)
    if _is_scalar(value):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{{','.join(sorted(f'{_text(k)}:{_text(v)}' for k, v in value.items()))}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{','.join(sorted(map(_text, value)))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_text, value))}]"
    if hasattr(value, "shape") and hasattr(value, "tolist"):
        # The repr of a large array is cut, and that of any one is rounded.
        if prod(value.shape) > _LARGEST_ARRAY:
            raise ValueError("too large an array")
        return f"{type(value).__name__}({_text(value.tolist())})"
    return _name_of(value)


def _name_of(value: object) -> str:
    """Return the text of an object that holds no others."""
    if inspect.isroutine(value) or isinstance(value, type):
        return _qualified_name(value)
    if isinstance(value, partial):
        keywords = (f"{name}={_text(each)}" for name, each in sorted(value.keywords.items()))
        return f"partial({', '.join([*map(_text, (value.func, *value.args)), *keywords])})"
    text = repr(value)
    if _UNSTABLE.search(text):
        raise ValueError("a text that differs between processes")
    return text


def _qualified_name(value: Any) -> str:  # noqa: ANN401  a function or class
    name: str = value.__qualname__
    if "<" in name:
        raise ValueError("a lambda, or defined within a function")
    return f"{value.__module__}.{name}"


def _is_scalar(value: object) -> bool:
    return type(value) in _SCALARS and not (isinstance(value, float) and not isfinite(value))


def _shares(weights: object, size: int) -> tuple[float, ...] | None:
    """Return weights as probabilities.

    Raises:
        ValueError: They are not one positive number for each option.
    """
    if weights is None:
        return None
    given: Any = weights if is_options(weights) and not isinstance(weights, Mapping) else ()
    values = [number_of(weight) or 0.0 for weight in given]
    total = sum(values)
    if len(values) != size or min(values) <= 0 or not isfinite(total):
        raise ValueError(f"expected {size} finite weights above 0, one for each option")
    return tuple(weight / total for weight in values)
