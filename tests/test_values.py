"""What counts as a number wherever a user gives one."""

from __future__ import annotations

import math
import tracemalloc
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from pytest_hypersearch.core.space import Space, lograndint, loguniform, normal, randint, uniform
from pytest_hypersearch.core.trial import number
from pytest_hypersearch.core.values import number_of, writable


class Small(IntEnum):
    ONE = 1


class Money:
    """A class of a user's, as ``float`` takes it."""

    def __float__(self):
        return 1.0


class Count:
    def __index__(self):
        return 1


class Broken:
    shape = ()

    def item(self):
        raise RuntimeError("not on this device")


ONES = [
    1,
    1.0,
    Small.ONE,
    Decimal(1),
    Decimal("1.0"),
    Fraction(3, 3),
    np.float32(1),
    np.int8(1),
    np.float64(1),
    np.longdouble(1),
    np.array(1),
    np.array([1.0]),
    np.array([[[1]]]),
    np.ma.array([1.0]),
    pd.Series([1.0]),
    Money(),
    Count(),
]
NO_NUMBERS = [
    None,
    "1",
    b"1",
    np.str_("1"),
    np.array(["1"]),
    True,
    np.bool_(True),
    np.array([True]),
    np.array(True),
    1j,
    np.complex64(1),
    np.zeros(2),
    np.zeros((1, 0)),
    np.datetime64("2020"),
    pd.Series([1.0, 2.0]),
    [1.0],
    {"a": 1},
    Decimal("sNaN"),
    Broken(),
    object(),
]


@pytest.mark.parametrize("value", ONES, ids=lambda value: f"{type(value).__name__}-{value!r:.9}")
def test_whatever_float_takes_for_a_number_is_one(value):
    assert number_of(value) == number(value) == 1
    assert type(number(value)) is float
    assert isinstance(number_of(value), (int, float))


@pytest.mark.parametrize("package", ["torch", "jax.numpy", "tensorflow", "cupy"])
def test_scalars_of_frameworks_are_numbers(package):
    module = pytest.importorskip(package)
    make = getattr(module, "tensor", None) or getattr(module, "constant", None) or module.asarray
    for value in (make(1.0), make([1.0]), make(1)):
        assert number_of(value) == number(value) == 1
    for value in (make([1.0, 2.0]), make(True)):
        assert number_of(value) is None


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_texts_booleans_and_several_numbers_are_none(value):
    assert number_of(value) is None
    with pytest.raises(TypeError, match="which is not a number"):
        number(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32("inf"), math.inf),
        (Decimal("-Infinity"), -math.inf),
        (10**400, math.inf),
        (Fraction(-(10**400)), -math.inf),
        (np.array([np.nan]), math.nan),
        (Decimal("NaN"), math.nan),
        (np.ma.array([1.0], mask=[True]).mean(), math.nan),
        (np.ma.array([1.0], mask=[True]), math.nan),
    ],
)
def test_infinities_and_nan_are_recorded_but_no_bounds(value, expected):
    assert number(value) == pytest.approx(expected, nan_ok=True)
    assert number_of(value) is None


def test_plain_values_are_known_to_have_a_text_without_writing_it():
    value = {"rows": [[0.5] * 1000] * 1000, 1: (None, {True}, frozenset({"a", -(10**600)}))}
    tracemalloc.start()
    try:
        assert writable(value) is value
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10**6  # its text takes five times as much
    assert writable([value, {1: -(10**5000)}])[1] == {1: f"-{10**5000:#x}"}


def test_integers_stay_exact():
    assert number_of(np.uint64(2**64 - 1)) == 2**64 - 1
    assert number_of(np.array([2**62 + 1])) == 2**62 + 1


@pytest.mark.parametrize("one", [Decimal(1), Fraction(1), np.array([1.0]), np.float32(1), Money()])
def test_bounds_are_numbers_by_the_same_rule(one):
    space = Space(
        (
            {
                "u": uniform(one, 2),
                "s": uniform(0, 2, step=one),
                "l": loguniform(one, 2),
                "i": randint(one, 2, step=one),
                "g": lograndint(one, 2),
                "n": normal(one, one, step=one),
            },
        )
    )
    plain = Space.from_json(space.to_json())
    assert plain == space
    assert [type(space.branches[0][name].low) for name in "ulig"] == [float, float, int, int]
    config = {"u": one, "s": one, "l": one, "i": one, "g": one, "n": one}
    assert space.validate_config(config) == {**dict.fromkeys("usln", 1.0), "i": 1, "g": 1}
