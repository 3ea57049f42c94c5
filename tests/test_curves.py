"""Curves: series packed and unpacked, and read back from records."""

import json
import math

import pytest

from pytest_hypersearch.core.trial import Key
from pytest_hypersearch.store.curves import pack, portions, unpack
from pytest_hypersearch.store.reader import read_curves


@pytest.mark.parametrize(
    "steps", [[0], [0, 1, 2], [7, 8, 9], [0, 2, 4], [1, 0, 2], [0.5, 1.5, 2.5], [3, 3, 3]]
)
def test_a_series_comes_back_as_it_was(steps):
    values = [0.1 * step - 1 / 3 for step in steps]
    assert unpack(json.loads(json.dumps(pack(steps, values)))) == (steps, values)


def test_the_time_of_a_value_is_known_by_its_record():
    place = {"k": "curve", "sweep": "s", "number": 0, "replicate": 0, "attempt": 1}
    records = [
        place | {"series": {"loss": pack([0], [9.0])}, "elapsed": 2.0},
        place | {"series": {"loss": pack([1, 2], [8.0, 7.0])}, "elapsed": 3.0},
        place | {"series": {"loss": pack([3, 4], [6.0, 5.0]), "acc": pack([4], [1])}, "elapsed": 3},
    ]
    ((_, series),) = read_curves(records).items()
    assert series["loss"].times == [2.0, 2.05, 2.1, 2.15, 3.0]
    assert series["acc"].times == [3.0]


def test_values_that_json_has_no_word_for_come_back():
    values = [math.inf, -math.inf, math.nan, -0.0, 5e-324]
    _, found = unpack(json.loads(json.dumps(pack(range(5), values), allow_nan=False)))
    assert [value.hex() for value in found] == [value.hex() for value in values]


def test_consecutive_steps_take_no_room():
    assert pack(range(10, 1010), [0.0] * 1000)["steps"] == [10, 1000]


@pytest.mark.parametrize(
    "packed",
    [
        {"steps": [0, 3], "values": pack([0], [1.0])["values"]},
        {"steps": [0, 10**15], "values": pack([0], [1.0])["values"]},
        {"steps": [0, 1], "values": "no base64!"},
        {"steps": "AAAA", "values": pack([0], [1.0])["values"]},
    ],
)
def test_a_damaged_series_is_refused(packed):
    with pytest.raises(ValueError, match=r"."):
        unpack(packed)


@pytest.mark.parametrize("first", [0, 0.5])
@pytest.mark.parametrize("count", [1, 11, 12, 13, 100])
def test_a_long_series_is_cut_into_pieces_that_make_it_up(first, count):
    steps, values = [first + place for place in range(count)], [place / 7 for place in range(count)]
    parts = list(portions({"a": pack(steps, values), "b": pack([0], [1.0])}, 256))
    head = {"k": "curve", "sweep": "s", "number": 0, "replicate": 0, "attempt": 1}
    records = [{**head, "series": part} for part in parts]
    expected = {"a": (steps, values), "b": ([0], [1.0])}
    assert untimed(records) == {(Key("s", 0, 0), 1): expected}
    assert max(len(json.dumps(part)) for part in parts) < 320


def untimed(records):
    return {
        key: {name: one[:2] for name, one in series.items()}
        for key, series in read_curves(records).items()
    }


def test_records_of_a_trial_are_put_together_by_attempt():
    def record(attempt, steps, values, **key):
        place = {"sweep": "s", "number": 0, "replicate": 0, **key}
        return {"k": "curve", **place, "attempt": attempt, "series": {"loss": pack(steps, values)}}

    records = [
        record(1, [0], [9.0]),
        record(2, [0, 1], [5.0, 4.0]),
        {"k": "curve", "sweep": "s"},
        {"k": "later", "what": "unknown"},
        record(2, [2], [3.0]),
        record(1, [0], [7.0], number=1),
    ]
    assert untimed(records) == {
        (Key("s", 0, 0), 1): {"loss": ([0], [9.0])},
        (Key("s", 0, 0), 2): {"loss": ([0, 1, 2], [5.0, 4.0, 3.0])},
        (Key("s", 1, 0), 1): {"loss": ([0], [7.0])},
    }
