from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from collections import Counter
from enum import Enum
from functools import partial

import numpy as np
import pytest
import scipy.stats

from pytest_hypersearch.core.space import (
    Space,
    as_distribution,
    choice,
    config_key,
    distribution_from_json,
    lograndint,
    loguniform,
    normal,
    randint,
    uniform,
)

DISTRIBUTIONS = [
    uniform(-2, 3),
    uniform(0, 1, step=0.1),
    uniform(-1e308, 1e308),
    uniform(2, 2),
    loguniform(1e-5, 1),
    loguniform(0.1, 1, step=0.3),
    randint(-3, 5),
    randint(0, 10, step=3),
    randint(4, 4),
    lograndint(1, 100),
    normal(3, 0.5),
    normal(0, 1, step=0.25),
    uniform(-1e308, 1e308),
    uniform(0, 5e-324),
    uniform(10000000, 10000000.7, step=0.1),
    uniform(0, 1, step=1e-12),
    loguniform(1e-300, 1e300),
    loguniform(5e-324, 1e-300),
    loguniform(1e-300, 1e60, step=3),
    lograndint(2**63, 2**63),
    lograndint(2**63, 2**63 + 5),
    choice(["a", "b", "c"]),
    choice([1, 1.0, True, "1", None]),
    choice(["x", "y"], weights=[1, 3]),
    as_distribution(scipy.stats.randint(1, 5)),
    as_distribution(scipy.stats.loguniform(1e-3, 1)),
    as_distribution(scipy.stats.norm(loc=2, scale=3)),
    as_distribution(scipy.stats.geom(1.0)),
]
UNITS = [0.0, 1e-9, 0.2, 0.35, 0.5, 0.77, 0.999999, 1.0]


def type_exact(value):
    return json.dumps(value)


@pytest.mark.parametrize("entry", DISTRIBUTIONS, ids=str)
def test_quantiles_are_members_in_ascending_shares(entry):
    values = [entry.from_unit(u) for u in UNITS]
    assert all(entry.contains(value) for value in values)
    units = [entry.to_unit(value) for value in values]
    assert units == sorted(units)
    assert all(0 <= u <= 1 for u in units)


@pytest.mark.parametrize("entry", DISTRIBUTIONS, ids=str)
def test_centre_of_a_share_leads_back_to_its_value(entry):
    for u in UNITS[1:-1]:
        value = entry.from_unit(u)
        again = entry.from_unit(entry.to_unit(value))
        if entry.size is None and isinstance(value, float):
            assert again == pytest.approx(value, rel=1e-6, abs=1e-9)
        else:
            assert type_exact(again) == type_exact(value)


@pytest.mark.parametrize("entry", DISTRIBUTIONS, ids=str)
def test_json_restores_a_distribution(entry):
    restored = distribution_from_json(json.loads(json.dumps(entry.to_json())))
    assert restored == entry
    assert restored.from_unit(0.3) == entry.from_unit(0.3)


@pytest.mark.parametrize("entry", DISTRIBUTIONS, ids=str)
def test_centre_is_a_member(entry):
    assert entry.contains(entry.centre())


@pytest.mark.parametrize(
    ("entry", "size"),
    [
        (uniform(0, 1), None),
        (uniform(0, 1, step=0.1), 11),
        (uniform(0, 1, step=0.3), 4),
        (uniform(0, 1, step=5), 1),
        (uniform(1.5, 1.5), 1),
        (loguniform(1, 10, step=1), 10),
        (randint(1, 4), 4),
        (uniform(10000000, 10000000.7, step=0.1), 8),
        (randint(0, 10, step=3), 4),
        (lograndint(2**63, 2**63 + 5), 6),
        (lograndint(1, 1000), 1000),
        (normal(0, 1), None),
        (normal(0, 1, step=1), 15),
        (normal(0, 1, step=100), 1),
        (normal(5, 0.1, step=1 / 3), 5),
        (choice(range(7)), 7),
        (as_distribution(scipy.stats.randint(1, 5)), 4),
        (as_distribution(scipy.stats.poisson(3)), 23),
        (as_distribution(scipy.stats.binom(9, 0.5)), 10),
        (as_distribution(scipy.stats.skellam(3, 4)), 44),
        (as_distribution(scipy.stats.norm()), None),
    ],
    ids=str,
)
def test_size_counts_distinct_values(entry, size):
    assert entry.size == size
    if size is not None:
        assert len({type_exact(entry.at(i)) for i in range(size)}) == size
        assert [entry.position(entry.at(i)) for i in range(size)] == list(range(size))


def test_steps_have_the_decimals_in_which_they_were_written():
    values = [uniform(0, 1, step=0.1).at(i) for i in range(11)]
    assert values == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


THIRDS = [
    uniform(1 / 3, 2, step=1 / 3),
    loguniform(1 / 3, 2, step=1 / 3),
    uniform(0, 1, step=1 / 3),
    uniform(-2, 1 / 3, step=1 / 3),
    uniform(-2, -1 / 3, step=1 / 3),
    loguniform(1 / 7, 1e4, step=1 / 7),
    uniform(0.1, 0.7, step=0.2),
    uniform(1e7 / 3, 1e7, step=1 / 3),
    uniform(1e-9 / 3, 1e-9, step=1e-9 / 3),
    randint(-3, 9, step=4),
]


@pytest.mark.parametrize("entry", THIRDS, ids=str)
def test_the_last_value_of_a_stepped_range_is_its_bound(entry):
    last = entry.size - 1
    assert entry.at(last) == entry.from_unit(1.0) == entry.encode(entry.high) == entry.high
    assert entry.position(entry.high) == last
    values = [entry.at(i) for i in range(max(last - 5, 0), last + 1)]
    assert all(map(entry.contains, values))
    assert values == sorted(set(values))
    assert entry.from_unit(entry.to_unit(entry.high)) == entry.high
    config = Space(({"x": entry},)).grid_config(last)
    assert Space(({"x": entry},)).validate_config(config) == {"x": entry.high}


def test_a_bound_off_the_step_is_no_value():
    entry = uniform(1 / 3, 1.9, step=1 / 3)
    assert entry.at(entry.size - 1) == pytest.approx(5 / 3)
    assert not entry.contains(1.9)


def test_integers_have_equal_shares_and_both_ends():
    shares = Counter(randint(1, 4).from_unit(i / 1000) for i in range(1000))
    assert shares == {1: 250, 2: 250, 3: 250, 4: 250}


def test_log_integers_at_the_ends_have_a_share():
    shares = Counter(lograndint(1, 8).from_unit((i + 0.5) / 1000) for i in range(1000))
    assert shares[1] > shares[2] > shares[8] > 20


def test_log_scale_gives_decades_equal_shares():
    values = [loguniform(1e-4, 1).from_unit(u) for u in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert values == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_a_log_range_of_neighbouring_floats_has_both_its_ends():
    entry = loguniform(1.9999999999999996, 1.9999999999999998)
    assert [entry.to_unit(entry.low), entry.to_unit(entry.high)] == [0.0, 1.0]


def test_weights_are_shares():
    entry = choice(["a", "b"], weights=[1, 3])
    assert Counter(entry.from_unit((i + 0.5) / 100) for i in range(100)) == {"a": 25, "b": 75}
    assert entry.centre() == "b"


def test_normal_quantiles():
    assert normal(10, 2).from_unit(0.5) == pytest.approx(10)
    assert normal(10, 2).from_unit(0.841344746) == pytest.approx(12, abs=1e-6)
    assert math.isfinite(normal(10, 2).from_unit(0.0))


def test_huge_integers_stay_exact():
    entry = randint(0, 10**30)
    assert entry.contains(entry.from_unit(1.0))
    assert entry.at(entry.size - 1) == 10**30


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        (uniform(0, 1), [2.0, -0.1, True, "0.5", None, 1, math.nan]),
        (uniform(0, 1, step=0.5), [0.25]),
        (randint(0, 4, step=2), [1, 6, 2.0, True]),
        (choice([1, "a"]), [1.0, True, "1", "b", [1]]),
        (normal(0, 1, step=0.5), [0.2, math.inf]),
        (as_distribution(scipy.stats.randint(1, 5)), [5, 2.0]),
    ],
    ids=str,
)
def test_contains_is_exact_in_value_and_type(entry, wrong):
    assert not any(entry.contains(value) for value in wrong)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (uniform(1, 0), "uniform(low=1, high=0): expected low <= high"),
        (uniform("a", 1), "uniform(low='a', high=1): expected a finite number as low"),
        (uniform(0, math.inf), "uniform(low=0, high=inf): expected a finite number as high"),
        (uniform(math.nan, 1), "uniform(low=nan, high=1): expected a finite number as low"),
        (uniform(True, 2), "uniform(low=True, high=2): expected a finite number as low"),
        (uniform(0, 10**400), "expected a finite number as high"),
        (uniform(0, 1, step=0), "uniform(low=0, high=1, step=0): expected step > 0"),
        (uniform(0, 1, step="s"), "uniform(low=0, high=1, step='s'): expected a finite number"),
        (uniform(-1e308, 1e308, step=1), "step=1): expected a larger step"),
        (uniform(0, 1, step=1e-13), "step=1e-13): expected a larger step"),
        (uniform(1e16, 1e16 + 8, step=0.5), "step=0.5): expected a larger step"),
        (uniform(1e308, 1.5e308, step=1e308), "expected a finite number as high + step"),
        (loguniform(0, 1), "loguniform(low=0, high=1): expected low > 0"),
        (randint(1.5, 2), "randint(low=1.5, high=2): expected a whole number as low"),
        (randint(0, 5, step=0.5), "step=0.5): expected a whole number as step"),
        (randint(0, 5, step=-1), "randint(low=0, high=5, step=-1): expected step > 0"),
        (randint(5, 1), "randint(low=5, high=1): expected low <= high"),
        (randint(-(10**308), 10**308), "expected a finite number as high - low"),
        (lograndint(0, 5), "lograndint(low=0, high=5): expected low > 0"),
        (normal(0, 0), "normal(mean=0, std=0): expected std > 0"),
        (normal(0, 1, step=-1), "normal(mean=0, std=1, step=-1): expected step > 0"),
        (normal(0, 1e308), "expected a finite number as mean and std"),
        (choice([]), "choice([]): expected at least one option"),
        (choice("abc"), "choice('abc'): expected a list"),
        (choice({1, 2}), "choice({1, 2}): expected a list"),
        (choice(iter([1])), "expected a list"),
        (choice([1, 2, 1]), "choice([1, 2, 1]): expected each option once; 1 is given twice"),
        (choice([0.0, -0.0]), "given twice"),
        (choice([lambda: 0]), "give it a label"),
        (choice([object()]), "give it a label"),
        (choice([1, 2], weights=[1]), "weights=[1]): expected 2 finite weights above 0"),
        (choice([1, 2], weights=[1, 0]), "expected 2 finite weights above 0"),
        (choice([1, 2], weights=[1, math.inf]), "expected 2 finite weights above 0"),
        (choice([1, 2], weights=["a", 1]), "expected 2 finite weights above 0"),
        (choice([1, 2], weights=3), "weights=3): expected 2 finite weights above 0"),
        (choice({(1, 2): 3}), "expected strings or numbers as labels, not (1, 2)"),
        (choice({math.nan: 3}), "expected strings or numbers as labels, not nan"),
        (as_distribution(scipy.stats.norm(0, -1)), "norm(0, -1): expected arguments that make"),
        (as_distribution(scipy.stats.norm(0, 0)), "norm(0, 0): expected arguments that make"),
        (as_distribution(scipy.stats.pareto(0.01)), "expected arguments that give finite numbers"),
        (as_distribution(scipy.stats.yulesimon(0.1)), "arguments that give numbers below 2**53"),
        (as_distribution(scipy.stats.zipf(1.1)), "at most 1 in 1,000 beyond the 1,048,576th value"),
    ],
    ids=str,
)
def test_a_space_refuses_wrong_arguments_and_names_the_parameter(entry, message):
    with pytest.raises(ValueError, match=f"^lr: .*{re.escape(message)}"):
        Space(({"n": randint(1, 2)}, {"lr": entry}))


@pytest.mark.parametrize("value", [7, "adam", {1, 2}, iter([1]), None, object()])
def test_what_is_no_distribution_is_shown(value):
    with pytest.raises(ValueError, match="expected a list of values or a distribution"):
        as_distribution(value)


def test_messages_have_one_line_whatever_is_given():
    class Rude:
        def __repr__(self):
            raise RuntimeError("no")

    for entry in (choice([np.zeros((3, 3)), Rude()]), uniform("a\nb" * 99, 1)):
        with pytest.raises(ValueError, match="expected") as caught:
            Space(({"lr": entry},))
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 300


def test_numpy_scalars_become_python_scalars():
    assert type(randint(np.int64(1), np.int32(4)).low) is int
    assert type(uniform(np.float32(0), np.float64(1)).high) is float
    assert [type(label) for label in choice(np.array([1, 2])).labels] == [int, int]
    assert [type(label) for label in choice([np.float64(1.5), np.bool_(True)]).labels] == [
        float,
        bool,
    ]


class Colour(Enum):
    RED = 1


class Layer:
    pass


def test_objects_go_by_stable_names():
    options = [math.sqrt, dict, Layer, [1, 2], {"a": 1}, Colour.RED, math.nan, (3,)]
    options += [{"b", "a"}, frozenset({2, 1}), {"b": {"y", "x"}, "a": [math.sqrt]}]
    options += [partial(math.pow, 2), partial(math.pow, y=[1]), ["é", np.int64(3), None]]
    entry = choice(options)
    assert entry.labels == (
        "math.sqrt",
        "builtins.dict",
        f"{__name__}.Layer",
        "[1,2]",
        '{"a":1}',
        "<Colour.RED: 1>",
        "nan",
        "[3]",
        '{"a","b"}',
        "{1,2}",
        '{"a":[math.sqrt],"b":{"x","y"}}',
        "partial(math.pow, 2)",
        "partial(math.pow, y=[1])",
        '["é",3,null]',
    )
    assert [entry.decode(label) for label in entry.labels] == options
    assert [entry.encode(option) for option in options] == list(entry.labels)


def test_small_arrays_go_by_their_elements():
    arrays = [np.array([1.0, 1 + 1e-12]), np.array([1.0, 1.0]), np.eye(2, dtype=int)]
    entry = choice(arrays)
    assert entry.labels == (
        "ndarray([1.0,1.000000000001])",
        "ndarray([1.0,1.0])",
        "ndarray([[1,0],[0,1]])",
    )
    assert all(entry.decode(raw) is array for raw, array in zip(entry.labels, arrays, strict=True))


def test_dicts_in_another_order_are_one_option():
    with pytest.raises(ValueError, match="given twice"):
        Space(({"a": choice([{"x": 1, "y": 2}, {"y": 2, "x": 1}])},))


def test_labels_of_a_mapping():
    unlabelled = object()
    entry = choice({"small": 16, "odd": unlabelled})
    assert entry.decode("small") == 16
    assert entry.decode("odd") is unlabelled
    assert entry.encode(unlabelled) == "odd"
    assert entry.encode("small") == "small"


def test_objects_are_not_restored_from_json():
    restored = distribution_from_json(choice([math.sqrt, 3]).to_json())
    assert restored.decode(3) == 3
    with pytest.raises(LookupError, match=r"math\.sqrt"):
        restored.decode("math.sqrt")


def test_choices_differ_by_type_of_label():
    assert choice([1]) != choice([1.0])
    assert choice([1]) != choice([True])
    assert choice([1]) == choice([1])
    assert hash(choice(["a"])) == hash(choice(["a"]))


def test_plain_entries_become_choices():
    for options in ([1, 2], (1, 2), range(1, 3), np.array([1, 2])):
        assert as_distribution(options, is_grid=True) == choice([1, 2])
    assert as_distribution((1, 2, 3)) == choice([1, 2, 3])
    for pair in ((1, 2), (np.int64(1), 2.5), tuple(np.array([0.0, 1.0]))):
        with pytest.raises(ValueError, match=r"expected uniform\(low, high\) or the like"):
            as_distribution(pair)
    assert as_distribution((True, False)) == choice([True, False])
    assert as_distribution({"a": 1}).labels == ("a",)


@pytest.mark.parametrize(
    "given",
    [
        scipy.stats.zipf(3.0),
        scipy.stats.logser(0.9),
        scipy.stats.betabinom(2000, 2, 3),
        scipy.stats.nhypergeom(90, 50, 20),
        scipy.stats.nbinom(5, 1e-9),
        scipy.stats.yulesimon(2.0),
    ],
    ids=lambda given: given.dist.name,
)
def test_quantiles_of_discrete_distributions_are_scipys(given):
    entry = as_distribution(given)
    Space(({"n": entry},))
    for u in UNITS[2:-1]:
        assert entry.from_unit(u) == given.ppf(u)
        upto = given.cdf(given.ppf(u)) + given.cdf(given.ppf(u) - 1)
        assert entry.to_unit(entry.from_unit(u)) == pytest.approx(upto / 2)


@pytest.mark.parametrize(
    ("given", "largest"),
    [(scipy.stats.zipf(1.5), 2**20), (scipy.stats.nbinom(3, 1e-15), 3.405e16)],
    ids=["zipf", "nbinom"],
)
def test_the_ends_of_heavy_tails_are_reached(given, largest):
    assert as_distribution(given).from_unit(1.0) == pytest.approx(largest, rel=1e-3)


def test_own_scipy_distributions_are_refused():
    class Mine(scipy.stats.rv_continuous):
        def _pdf(self, x):
            return x

    with pytest.raises(ValueError, match="expected a distribution of scipy"):
        as_distribution(Mine(name="mine")())
    with pytest.raises(ValueError, match="expected numbers as arguments"):
        as_distribution(scipy.stats.norm([0, 1]))


GRID = Space(({"a": choice(["x", "y"]), "b": randint(0, 2)},))


def test_grid_turns_the_rightmost_parameter_fastest():
    assert [(c["a"], c["b"]) for c in GRID.grid()] == [
        ("x", 0),
        ("x", 1),
        ("x", 2),
        ("y", 0),
        ("y", 1),
        ("y", 2),
    ]
    assert [GRID.grid_config(i) for i in range(6)] == list(GRID.grid())


def test_grid_ends():
    for index in (6, -1):
        with pytest.raises(IndexError):
            GRID.grid_config(index)


def test_grid_of_astronomic_size_is_not_built():
    space = Space(({f"p{i}": randint(1, 1000) for i in range(30)},))
    assert space.size == 1000**30
    assert space.grid_config(1000**30 - 1) == dict.fromkeys(space.names, 1000)


def test_overlapping_branches_give_each_configuration_once():
    space = Space(
        (
            {"a": choice([1, 2, 3]), "b": randint(0, 3)},
            {"a": choice([2, 3, 4]), "b": randint(2, 5)},
            {"b": randint(1, 4), "a": choice([1, 4])},
            {"c": choice([1])},
        )
    )
    configs = list(space.grid())
    expected = {space.key({"a": a, "b": b}) for a in (1, 2, 3) for b in range(4)}
    expected |= {space.key({"a": a, "b": b}) for a in (2, 3, 4) for b in range(2, 6)}
    expected |= {space.key({"a": a, "b": b}) for a in (1, 4) for b in range(1, 5)}
    expected.add(space.key({"c": 1}))
    assert [space.key(c) for c in configs] == list(dict.fromkeys(map(space.key, configs)))
    assert {space.key(c) for c in configs} == expected
    assert space.size == len(expected)
    first = [space.key(c) for c in configs[:12]]
    assert first == [space.key({"a": a, "b": b}) for a in (1, 2, 3) for b in range(4)]


def test_large_branches_that_overlap_are_not_counted():
    wide = {"seed": randint(0, 10**30), "x": uniform(0, 1, step=0.1)}
    space = Space(({"seed": choice([1, 2])}, wide, {"seed": randint(7, 10**9), "x": choice([0.5])}))
    assert space.size is None
    with pytest.raises(ValueError, match=r"seed, x: .* expected at most 100,000 in a branch that"):
        next(space.grid())
    assert space.contains({"seed": 10**29, "x": 0.1})


def test_large_branches_apart_are_counted_not_listed():
    wide = 10**30
    space = Space(
        (
            {"seed": randint(0, wide), "x": uniform(0, 1, step=1e-6)},
            {"seed": randint(wide + 1, 2 * wide), "x": uniform(0, 1, step=1e-6)},
            {"seed": choice(["none"]), "x": uniform(0, 1, step=1e-6)},
            {"seed": randint(0, wide), "x": choice([0, 2, 3])},
            {"seed": choice([1, 2, -1]), "x": choice([0, 1.0, 9.0])},
        )
    )
    # Of the last branch, 1 and 2 are among the first with 1.0, and among the fourth with 0.
    assert space.size == (2 * wide + 1 + 1) * 1_000_001 + 3 * (wide + 1) + 9 - 4
    assert space.grid_config(space.size - 1) == {"seed": -1, "x": 9.0}


def test_grids_of_overlapping_ranges_are_those_of_their_values():
    rng = random.Random(0)
    for _ in range(25):
        kinds = [rng.choice([randint, uniform]) for _ in range(2)]
        steps = {randint: [1, 2, 3], uniform: [0.1, 0.25, 0.05]}
        space = Space(
            tuple(
                {
                    name: kind(low, low + rng.randint(0, 4), step=rng.choice(steps[kind]))
                    for name, kind in zip("ab", kinds, strict=True)
                    for low in [rng.choice([-2, 0, 1])]
                }
                for _ in range(3)
            )
        )
        listed = dict.fromkeys(
            space.key({"a": branch["a"].at(i), "b": branch["b"].at(j)})
            for branch in space.branches
            for i in range(branch["a"].size)
            for j in range(branch["b"].size)
        )
        assert [space.key(config) for config in space.grid()] == list(listed)


def test_continuous_spaces_have_no_grid():
    space = Space(({"lr": uniform(0, 1)},))
    assert space.size is None
    with pytest.raises(ValueError, match=r"lr: uniform.* is continuous"):
        next(space.grid())


def test_keys_compare_by_value_and_type():
    keys = [config_key({"a": v}) for v in (1, 1.0, True, "1", None, "None", 0.0, 0, False)]
    assert len(set(keys)) == len(keys)
    assert config_key({"a": -0.0}) == config_key({"a": 0.0})
    assert config_key({"a": 1, "b": 2}) == config_key({"b": 2, "a": 1})


def test_branches_are_found_by_names_and_values():
    space = Space(
        (
            {"kernel": choice(["linear"])},
            {"kernel": choice(["rbf"]), "gamma": loguniform(1e-3, 1)},
        )
    )
    assert space.names == ("kernel", "gamma")
    assert space.branch_of({"kernel": "linear"}) == 0
    assert space.branch_of({"gamma": 0.1, "kernel": "rbf"}) == 1
    assert space.branch_of({"kernel": "linear", "gamma": 0.1}) is None
    assert not space.contains({"kernel": "rbf"})
    assert space.centre() == {"kernel": "linear"}


def test_users_points_become_configurations():
    space = Space(({"lr": uniform(0, 1), "n": randint(1, 9), "act": choice([math.sin, math.cos])},))
    config = space.validate_config({"lr": 1, "n": np.int64(3), "act": math.cos})
    assert config == {"lr": 1.0, "n": 3, "act": "math.cos"}
    assert type(config["lr"]) is float
    assert space.decode(config) == {"lr": 1.0, "n": 3, "act": math.cos}


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"lr": 2.0, "n": 1}, "lr: 2.0: expected a value of uniform"),
        ({"lr": 0.5}, "n: expected a value"),
        ({"lr": 0.5, "n": 1, "x": 0}, "x: no such parameter"),
        ({"lr": 0.5, "n": 1.5}, "n: 1.5: expected a value of randint"),
        ({"lr": 0.5, "n": "1"}, "n: '1': expected a value of randint"),
        ({"lr": None, "n": 1}, "lr: None: expected a value of uniform"),
        ({"lr": math.inf, "n": 1}, "lr: inf: expected a value of uniform"),
    ],
)
def test_wrong_points_name_the_parameter(point, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Space(({"lr": uniform(0, 1), "n": randint(1, 9)},)).validate_config(point)


def test_decoding_a_foreign_configuration_fails_where_values_stand_for_objects():
    space = Space(({"f": choice([math.sin]), "b": randint(0, 2)},))
    assert space.decode({"f": "math.sin", "b": 0}) == {"f": math.sin, "b": 0}
    for foreign in ({"f": "math.cos", "b": 0}, {"f": "math.sin", "b": 3}, {"f": "math.sin"}):
        with pytest.raises(ValueError, match="not in the search space"):
            space.decode(foreign)


def test_spaces_survive_json():
    space = Space(({"f": choice([math.sin]), "x": uniform(0, 1)}, {"n": randint(1, 3)}))
    restored = Space.from_json(json.loads(json.dumps(space.to_json())))
    assert restored == space
    assert hash(restored) == hash(space)
    assert Space(({"n": randint(1, 4)},)) != Space(({"n": randint(1, 3)},))


def test_varied_parameters_have_several_values_in_a_branch_or_between_branches():
    same = {"fixed": choice([1]), "x": uniform(0, 1), "point": uniform(2, 2)}
    assert Space((same,)).varied == ("x",)
    svm = ({"kernel": choice(["linear"]), **same}, {"kernel": choice(["rbf"]), "only": choice([1])})
    assert Space(svm).varied == ("kernel", "x")


def test_a_space_has_a_branch():
    with pytest.raises(ValueError, match="at least one branch"):
        Space(())


def test_importing_and_using_it_imports_no_numpy():
    code = (
        "import sys; from pytest_hypersearch.core.space import *;"
        "s = Space(({'a': uniform(0, 1), 'n': normal(0, 1), 'c': choice([1, 2])},));"
        "s.centre(); assert not {'numpy', 'scipy', 'pytest'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
