"""Pruners on curves made by hand: what each cuts, what it spares, and how it says why."""

from __future__ import annotations

import math
import pickle
import random
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.search.pruners import (
    Curve,
    Forecast,
    Halving,
    Hyperband,
    Median,
    Patience,
    Percentile,
    Pruner,
    Threshold,
    Wilcoxon,
    pruner,
)
from pytest_hypersearch.search.pruners.forecast import optimistic_end
from pytest_hypersearch.search.pruners.halving import bracket_of

NAN = math.nan
ALWAYS = -math.inf


def curve(values, *, number=0, replicate=0, mode="min", ended=None, first=0, stride=1):
    made = Curve(number, replicate, mode=mode, ended=ended)
    for i, value in enumerate(values):
        made.add(first + i * stride, value)
    return made


def done(values, number=1, **given):
    return curve(values, number=number, ended=State.COMPLETE, **given)


def first_verdict(rule, values, others, **given):
    """The number of reports after which a trial is pruned, None if it ends; and the reason."""
    trial = curve([], **given)
    first, stride = given.get("first", 0), given.get("stride", 1)
    since = ALWAYS
    for i, value in enumerate(values):
        trial.add(first + i * stride, value)
        if reason := rule.verdict(trial, others, since=since):
            return i + 1, reason
        since = first + i * stride
    return None, ""


def decay(start, end, rate, steps=40):
    return [end + (start - end) * math.exp(-rate * i) for i in range(steps)]


FIELD = [done(decay(1, 0.3 + 0.02 * i, 0.2), number=i + 1) for i in range(9)]
LATE_STARTER = [1.0] * 3 + decay(1, 0.1, 0.2, 37)  # stands still for a tenth of its steps
SLOW_STARTER = [1 - 0.9 * (i / 39) ** 1.5 for i in range(40)]  # behind for long, best at the end
BUILT_IN = [
    Forecast(),
    Median(),
    Percentile(25),
    Halving(),
    Hyperband(),
    Threshold(above=10),
    Patience(5),
    Wilcoxon(),
]
COMPARING = [rule for rule in BUILT_IN if not isinstance(rule, Threshold)]


def test_a_curve_knows_its_values_by_step_and_its_best_so_far():
    trial = curve([5, 3, NAN, 4, 1], first=10, stride=10)
    assert trial.steps == [10, 20, 30, 40, 50]
    assert trial.last_step == 50
    assert trial.value_at(20) == 3
    assert math.isnan(trial.value_at(30))
    assert trial.value_at(25) is None
    assert [trial.best_until(step) for step in (5, 10, 35, 45, 99)] == [math.inf, 5, 3, 3, 1]
    assert list(trial.since(30)) == [40, 50]


def test_a_curve_takes_steps_in_any_order_and_the_last_value_of_a_step():
    orders = [[(0, 4), (1, 3), (2, 2)], [(2, 2), (0, 4), (1, 9), (1, 3)], [(1, 3), (2, 2), (0, 4)]]
    for order in orders:
        trial = Curve()
        for step, value in order:
            trial.add(step, value)
        assert (trial.steps, trial.values(), trial.bests) == ([0, 1, 2], [4, 3, 2], [4, 3, 2])
        assert trial.mean == 3


def test_bests_are_those_of_the_steps_in_order_whatever_came_when():
    choices = random.Random(3)
    for _ in range(300):
        trial, last = Curve(), {}
        for _ in range(choices.randint(1, 12)):
            step, value = choices.randint(0, 7), choices.choice([1, 2, 3, NAN, math.inf, -math.inf])
            trial.add(step, value)
            last[step] = value
        lows = [[last[step] for step in sorted(last) if step <= until] for until in sorted(last)]
        expected = [min((v for v in low if not math.isnan(v)), default=math.inf) for low in lows]
        assert (trial.steps, trial.bests) == (sorted(last), expected)


def test_a_replayed_step_takes_back_its_best():
    trial = curve([4, 1, 3])
    trial.add(1, 5)
    assert trial.bests == [4, 4, 3]


def test_an_empty_curve_has_no_step_and_no_mean():
    assert Curve().last_step is None
    assert math.isnan(Curve().mean)
    assert Curve().best_until(3) == math.inf


def test_infinite_values_are_kept():
    trial = curve([math.inf, 2.0, math.inf])
    assert trial.bests == [math.inf, 2, 2]
    assert trial.mean == math.inf


def test_a_curve_to_be_maximised_is_turned_and_shown_as_reported():
    trial = curve([0.5, 0.75], mode="max")
    assert trial.values() == [-0.5, -0.75]
    assert trial.best_until(1) == -0.75
    assert trial.shown(-0.75) == "0.75"


@pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: type(rule).__name__)
def test_every_rule_lets_the_first_trial_run(rule):
    assert isinstance(rule, Pruner)
    assert first_verdict(rule, decay(1, 0.5, 0.1), []) == (None, "")


@pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: type(rule).__name__)
def test_every_rule_takes_a_trial_that_reported_nothing_or_once(rule):
    others = [done([0.5]), done([0.4], number=2), Curve(3, ended=State.COMPLETE), Curve(4)]
    assert rule.verdict(Curve(), others, since=ALWAYS) == ""
    assert rule.verdict(curve([0.45]), others, since=ALWAYS) == ""


@pytest.mark.parametrize("rule", COMPARING, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("starter", [LATE_STARTER, SLOW_STARTER], ids=["late", "slow"])
def test_defaults_spare_a_trial_that_ends_best(rule, starter):
    if isinstance(rule, Wilcoxon):
        pytest.skip("its steps are instances")
    if isinstance(rule, Hyperband):
        pytest.skip("its first bracket is meant to be strict")
    if starter is SLOW_STARTER and not isinstance(rule, (Forecast, Patience)):
        pytest.skip("ranks at early steps cannot know")
    assert first_verdict(rule, starter, FIELD) == (None, "")


@pytest.mark.parametrize("rule", COMPARING, ids=lambda rule: type(rule).__name__)
def test_defaults_cut_a_trial_that_leads_nowhere(rule):
    reports, reason = first_verdict(rule, [1.0] * 40, FIELD, number=1)
    assert reports < 20
    assert reason


@pytest.mark.parametrize("rule", COMPARING, ids=lambda rule: type(rule).__name__)
def test_the_order_of_the_others_does_not_matter(rule):
    rng = random.Random(5)
    others = [
        curve(
            [rng.gauss(1 - 0.02 * i, 0.3) for i in range(rng.choice([12, 40]))],
            number=n,
            ended=rng.choice([State.COMPLETE, State.COMPLETE, State.PRUNED, None]),
        )
        for n in range(30)
    ]
    for _ in range(20):
        trial = [rng.gauss(1.2 - 0.02 * i, 0.3) for i in range(40)]
        expected = first_verdict(rule, trial, others)
        assert first_verdict(rule, trial, rng.sample(others, len(others))) == expected


@pytest.mark.parametrize(
    "rule",
    [rule for rule in BUILT_IN if not isinstance(rule, Wilcoxon)],
    ids=lambda rule: type(rule).__name__,
)
def test_many_steps_at_once_are_reviewed_as_if_one_by_one(rule):
    rng = random.Random(1)
    for _ in range(30):
        values = [rng.gauss(1 - 0.01 * i, 0.1) for i in range(40)]
        values[rng.randrange(40)] = 11
        single, reason = first_verdict(rule, values, FIELD)
        assert rule.verdict(curve(values), FIELD, since=ALWAYS) == reason
        if single is not None:
            assert rule.verdict(curve(values[: single - 1]), FIELD, since=ALWAYS) == ""


@pytest.mark.parametrize(
    "rule",
    [
        Forecast(nan=True),
        Median(nan=True),
        Percentile(50, nan=True),
        Halving(nan=True),
        Hyperband(nan=True),
        Threshold(above=10, nan=True),
        Patience(5, nan=True),
        Wilcoxon(nan=True),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_nan_prunes_at_once_if_asked(rule):
    assert first_verdict(rule, [1, 1, NAN, 1], []) == (3, "step 2: nan")


@pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: type(rule).__name__)
def test_nan_does_not_prune_by_itself(rule):
    assert first_verdict(rule, [1, NAN, 1, NAN], []) == (None, "")


@pytest.mark.parametrize("rule", COMPARING, ids=lambda rule: type(rule).__name__)
def test_a_trial_of_nothing_but_nan_is_worse_than_any(rule):
    if isinstance(rule, Wilcoxon):
        pytest.skip("it compares numbers only")
    assert first_verdict(rule, [NAN] * 40, FIELD, number=1)[0] is not None


@pytest.mark.parametrize("rule", COMPARING, ids=lambda rule: type(rule).__name__)
def test_a_trial_is_compared_with_its_own_replicate(rule):
    lucky = [done([v / 10 for v in c.values()], number=c.number, replicate=1) for c in FIELD]
    bad, good = [1.0] * 40, decay(1, 0.2, 0.2)
    assert first_verdict(rule, bad, [*lucky, *FIELD], number=1)[0] is not None
    assert first_verdict(rule, bad, lucky, number=1) == (None, "")
    assert first_verdict(rule, good, [*lucky, *FIELD], number=1) == (None, "")


@pytest.mark.parametrize("rule", COMPARING, ids=lambda rule: type(rule).__name__)
def test_values_at_other_steps_are_not_compared(rule):
    if isinstance(rule, (Forecast, Patience)):
        pytest.skip("a forecast is for the last step; patience looks at the best until a step")
    between = [done(c.values(), number=c.number, first=0.5) for c in FIELD]
    assert first_verdict(rule, [1.0] * 40, between, number=1) == (None, "")


def test_median_says_why_in_the_metrics_own_direction():
    others = [done([i / 10] * 3, number=i, mode="max") for i in range(1, 10)]
    rule = Median(warmup_steps=0)
    reports, reason = first_verdict(rule, [0.4, 0.4], others, mode="max")
    assert (reports, reason) == (1, "step 0: 0.4 is worse than the median 0.5 of 9 trials")
    assert first_verdict(rule, [0.5], others, mode="max") == (None, "")


def test_median_takes_the_trials_best_so_far():
    others = [done([0.5] * 4, number=i) for i in range(5)]
    assert first_verdict(Median(warmup_steps=0), [0.4, 9, 9, 9], others) == (None, "")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"warmup_steps": 0}, 1),
        ({"warmup_steps": 3}, 4),
        ({"warmup_steps": 2.5}, 4),
        ({"warmup_steps": 3, "interval": 5}, 4),
        ({}, 11),
        ({"warmup_trials": 9}, 11),
        ({"warmup_trials": 10}, None),
        ({"min_trials": 10}, None),
    ],
    ids=str,
)
def test_median_waits_for_steps_and_trials(options, expected):
    assert first_verdict(Median(**options), [2.0] * 40, FIELD)[0] == expected


def test_median_reviews_once_in_an_interval_and_later_if_no_step_came():
    others = [done([1.0] * 20, number=i) for i in range(5)]
    rule = Median(warmup_steps=0, interval=5)
    trial = Curve()
    pruned = []
    for step in (0, 1, 3, 7, 8, 9, 10):
        trial.add(step, 2.0)
        if rule.verdict(trial, others, since=step - 0.5):
            pruned.append(step)
    assert pruned == [0, 7, 10]


def test_median_does_not_count_trials_that_are_pruned_failed_or_running():
    ended = [State.PRUNED, State.FAILED, State.CRASHED, None]
    others = [curve([0.1] * 5, number=i, ended=ended[i % 4]) for i in range(20)]
    assert first_verdict(Median(warmup_steps=0, warmup_trials=0), [9.0] * 5, others) == (None, "")


def test_percentile_keeps_the_best_share():
    others = [done([float(i)], number=i) for i in range(101)]
    rule = Percentile(25, warmup_steps=0)
    assert first_verdict(rule, [25.0], others) == (None, "")
    assert first_verdict(rule, [25.5], others) == (
        1,
        "step 0: 25.5 is outside the best 25% (25) of 101 trials",
    )


def test_steps_may_start_anywhere_and_be_fractions():
    field = [done(c.values(), number=c.number, first=1000, stride=0.25) for c in FIELD]
    for rule in (Median(), Halving(), Forecast()):
        moved, _ = first_verdict(rule, [1.0] * 40, field, first=1000, stride=0.25)
        plain, _ = first_verdict(rule, [1.0] * 40, FIELD)
        assert abs(moved - plain) <= 3  # an interval of one step is four reports now


def test_halving_lets_one_in_factor_pass_each_rung():
    others = [curve([float(i)] * 8, number=i, ended=State.PRUNED) for i in range(11)]
    rule = Halving(min_step=2, factor=3, warmup_trials=0)
    assert first_verdict(rule, [3.0] * 8, others) == (None, "")
    assert first_verdict(rule, [3.5] * 8, others) == (
        3,
        "rung at step 2: 3.5 is not among the best 4 of 12 (3)",
    )


def test_halving_takes_the_value_at_the_rung():
    others = [curve([5.0] * 8, number=i) for i in range(9)]
    rule = Halving(min_step=2, factor=2, warmup_trials=0)
    assert first_verdict(rule, [1, 1, 6, 1], others)[0] == 3
    assert first_verdict(rule, [9, 9, 1, 9, 1], others) == (None, "")


def test_halving_reviews_a_rung_that_was_jumped_over_at_the_next_step():
    others = [curve([5.0] * 9, number=i) for i in range(9)]
    trial = curve([6, 6, 6], stride=3)  # steps 0, 3, 6: the rungs 2 and 4 are met at 3 and 6
    rule = Halving(min_step=2, factor=2, warmup_trials=0)
    assert rule.verdict(trial, others, since=0).startswith("rung at step 3")
    assert rule.verdict(trial, others, since=3).startswith("rung at step 6")
    assert rule.verdict(trial, others, since=6) == ""


def test_halving_needs_enough_trials_at_a_rung():
    others = [curve([5.0] * 9, number=i) for i in range(2)]
    assert first_verdict(Halving(min_step=2, warmup_trials=0), [6.0] * 9, others) == (None, "")


def test_hyperband_compares_within_brackets_and_spares_the_last():
    rule = Hyperband(min_step=1, factor=3)
    others = [done([1.0] * 10, number=i) for i in range(60)]
    pruned_at = {}
    for number in range(100, 160):
        reports, _ = first_verdict(rule, [2.0] * 10, others, number=number)
        pruned_at.setdefault(bracket_of(number, 3, 3), set()).add(reports)
    assert pruned_at == {0: {2}, 1: {4}, 2: {10}}


def test_hyperband_spreads_configurations_over_brackets_by_the_papers_shares():
    counts = [sum(bracket_of(n, 3, 3) == b for n in range(1700)) for b in range(3)]
    assert counts == pytest.approx([900, 500, 300], abs=5)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_threshold_speaks_the_metrics_own_direction(mode):
    rule = Threshold(below=0.1, above=10)
    assert first_verdict(rule, [0.1, 10], [], mode=mode) == (None, "")
    assert first_verdict(rule, [1, 0.05], [], mode=mode) == (2, "step 1: 0.05 is below 0.1")
    assert first_verdict(rule, [1, 11], [], mode=mode) == (2, "step 1: 11 is above 10")
    assert first_verdict(rule, [math.inf], [], mode=mode) == (1, "step 0: inf is above 10")


def test_threshold_waits_for_its_first_step():
    assert first_verdict(Threshold(above=1, warmup_steps=2), [5] * 4, [])[0] == 3


def test_patience_counts_reports_without_a_better_value():
    leader = done([0.1] * 10)
    assert first_verdict(Patience(3), [1, 0.9, 0.95, 0.9, 0.9, 0.8], [leader]) == (
        5,
        "step 4: no improvement on 0.9 for 3 reports",
    )
    assert first_verdict(Patience(3), [1, 0.9, 0.8, 0.7, 0.6, 0.5], [leader])[0] is None
    by_less = Patience(3, min_delta=0.5)
    assert first_verdict(by_less, [1, 0.9, 0.8, 0.7, 0.6, 0.5], [leader])[0] == 4


def test_patience_spares_the_leader_however_long_it_stands():
    assert first_verdict(Patience(3), [0.5] * 10, [done([0.6] * 10)]) == (None, "")


def test_wilcoxon_compares_equal_instances_with_the_best_trial():
    rng = random.Random(0)
    instances = rng.sample(range(100), 12)
    hardness = {step: rng.gauss(0, 10) for step in range(100)}
    best, other, trial = Curve(7, ended=State.COMPLETE), Curve(8, ended=State.COMPLETE), Curve()
    for step in range(100):
        best.add(step, hardness[step])
        other.add(step, hardness[step] + 5)
    reasons = []
    for step in instances:
        trial.add(step, hardness[step] + 1)
        reasons.append(Wilcoxon(p=0.05).verdict(trial, [other, best], since=ALWAYS))
    assert reasons[:4] == [""] * 4  # five signs of five have a chance of 1/32
    assert reasons[4] == ("worse than the best trial (configuration 7) at 5 equal steps, p = 0.031")
    better = curve([hardness[step] - 1 for step in range(20)])
    assert Wilcoxon().verdict(better, [other, best], since=ALWAYS) == ""


def test_wilcoxon_adds_differences_of_any_size():
    best, trial = done([1e308, -1.4e308] * 4), curve([1.4e308, -1.35e308] * 4)
    assert "p = " in Wilcoxon().verdict(trial, [best], since=ALWAYS)
    opposite = done([-1e308, 9e307] * 8)
    assert "p = 0.044" in Wilcoxon().verdict(curve([1e308, -9e307] * 8), [opposite], since=ALWAYS)


def test_forecast_says_what_would_come_of_it():
    reports, reason = first_verdict(Forecast(), decay(1, 0.6, 0.3), FIELD)
    assert reports < 20
    assert reason.startswith("step ")
    assert "at best by step 39, the best trial reached 0.3003" in reason


def test_forecast_never_cuts_what_a_straight_or_speeding_line_takes_to_the_best():
    straight = [1 - 0.8 * i / 39 for i in range(40)]
    speeding = [1 - 0.8 * (i / 39) ** 2 for i in range(40)]
    assert first_verdict(Forecast(warmup_steps=0), straight, FIELD) == (None, "")
    assert first_verdict(Forecast(warmup_steps=0), speeding, FIELD) == (None, "")


def test_forecast_expects_a_curve_that_flattens_to_go_on_flattening():
    trial = Curve()
    for step, value in ((0, 1.0), (1, 0.9), (4, 0.8)):  # its gain grows with the root of the steps
        trial.add(step, value)
    assert optimistic_end(trial, 3, 64) == pytest.approx(0.8 - 0.2 * (16**0.375 - 1))


def test_forecast_gives_noisy_curves_more_time():
    rng = random.Random(3)
    plain, noisy = [], []
    for _ in range(30):
        noise = [rng.gauss(0, 0.05) for _ in range(40)]
        values = decay(0.9, 0.5, 0.1)
        plain.append(first_verdict(Forecast(), values, FIELD)[0] or 40)
        jumping = [v + e for v, e in zip(values, noise, strict=True)]
        noisy.append(first_verdict(Forecast(), jumping, FIELD)[0] or 40)
    assert sum(noisy) > sum(plain)


def test_forecast_lets_a_trial_go_on_that_found_its_first_number():
    values = [NAN] * 10 + decay(1, 0.1, 0.2, 30)
    rule = Forecast(warmup_steps=12)
    assert first_verdict(rule, values, FIELD) == (None, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("median", Median()),
        ("median:warmup_steps=10,nan", Median(warmup_steps=10, nan=True)),
        ("percentile:25", Percentile(25)),
        ("percentile: 12.5, interval=2", Percentile(12.5, interval=2)),
        ("halving", Halving()),
        ("halving:factor=4,min_step=5", Halving(min_step=5, factor=4)),
        ("hyperband:min_trials=5", Hyperband(min_trials=5)),
        ("threshold:<0.1", Threshold(below=0.1)),
        ("threshold:>1e3", Threshold(above=1000)),
        ("threshold:<-1,>1,warmup_steps=3", Threshold(below=-1, above=1, warmup_steps=3)),
        ("threshold:above=2,nan=true", Threshold(above=2, nan=True)),
        ("patience:20", Patience(20)),
        ("patience:20,min_delta=0.01", Patience(20, min_delta=0.01)),
        ("wilcoxon:p=0.05", Wilcoxon(p=0.05)),
        ("forecast:warmup_trials=3", Forecast(warmup_trials=3)),
    ],
)
def test_a_text_names_a_pruner_and_its_options(text, expected):
    assert pruner(text) == expected
    assert pickle.loads(pickle.dumps(expected)) == expected  # noqa: S301 - our own


class Own:
    """A user's rule."""

    def verdict(self, trial, others, *, since):
        return "never liked it" if trial.last_step == 2 else ""


def test_any_object_with_a_verdict_is_a_pruner():
    own = Own()
    assert pruner(own) is own
    assert first_verdict(pruner(own), [1, 2, 3], []) == (3, "never liked it")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("medain", "'medain': expected 'forecast', 'median', 'percentile:25'"),
        ("", "'': expected"),
        (3, "3: expected .* or an object with verdict"),
        (Own, "expected .* or an object with verdict"),
        ("median:steps=3", "no option 'steps'; expected warmup_trials, warmup_steps"),
        ("median:warmup_steps=ten", "'ten' is not a number"),
        ("median:25", "no option '25'"),
        ("percentile", "expected a number for percent"),
        ("percentile:101", "percent=101: expected a number from 0 to 100"),
        ("patience", "expected a number for reports"),
        ("patience:0", "reports=0: expected a finite number, 1 or more"),
        ("patience:1.5", "reports=1.5: expected an integer"),
        ("percentile:25,50", "percent is given twice"),
        ("halving:factor=1", "factor=1: expected a finite number, above 1"),
        ("halving:min_step=0", "min_step=0: expected a finite number, above 0"),
        ("threshold", "a threshold needs a bound"),
        ("threshold:>", "'' is not a number"),
        ("threshold:>nan", "above=nan: expected a finite number"),
        ("threshold:<2,>1", "every value is below the one or above the other"),
        ("wilcoxon:p=2", "p=2: expected a number from 0 to 1"),
        ("median:warmup_trials", "warmup_trials=True: expected a finite number, 0 or more"),
    ],
)
def test_what_is_no_pruner_is_refused_with_what_was_expected(spec, message):
    with pytest.raises(ValueError, match=message):
        pruner(spec)


def test_importing_pruners_imports_no_numpy_and_no_pytest():
    code = (
        "import sys, pytest_hypersearch.search.pruners; "
        "print(sorted({'numpy', 'scipy', 'pytest'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_options_are_the_python_numbers_behind_what_is_given():
    rule = Median(warmup_steps=Decimal("2.5"), interval=np.array([2.0]), warmup_trials=np.int64(1))
    assert repr(rule) == repr(Median(warmup_steps=2.5, interval=2.0, warmup_trials=1))
    assert Threshold(above=Fraction(1, 2)) == Threshold(above=0.5)
    for wrong in ("2", True, None, np.zeros(2)):
        with pytest.raises(ValueError, match=r"interval=.*: expected a finite number, above 0"):
            Median(interval=wrong)
