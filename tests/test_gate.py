import math

import numpy as np
import pytest
from noises import KINDS, noise

from pytest_hypersearch.stats.gate import (
    holm,
    look_level,
    looks,
    power,
    seeds_needed,
    sequential,
    smallest_loss,
    threshold,
    verdict,
)


def side(rows):
    return {name: dict(enumerate(row)) for name, row in enumerate(rows)}


def pair(rng, n=5, m=12, *, kind="normal", share=0.5, loss=0.0, spread=1.0):
    """Scores before and now, with luck that the configurations of a seed share."""
    quality = spread * rng.normal(size=(m, 1))
    found = [
        quality
        + math.sqrt(share) * noise(kind, rng, 1, n)
        + math.sqrt(1 - share) * noise(kind, rng, m, n)
        for _ in range(2)
    ]
    return side(found[0].tolist()), side((found[1] + loss).tolist())


def rate(count, **world):
    rng = np.random.default_rng(3)
    return sum(verdict(*pair(rng, **world)).verdict == "REGRESSED" for _ in range(count)) / count


BEFORE = [[1.0, 1.2, 0.9, 1.1], [2.0, 2.3, 2.1, 2.2], [3.0, 3.1, 2.9, 3.3]]


def moved(by, rows=BEFORE):
    return [[score + change for score, change in zip(row, by, strict=True)] for row in rows]


WORSE = moved([0.5, 0.6, 0.4, 0.5])
UNSURE = moved([0.5, -0.4, 0.3, -0.2])


def test_the_verdicts_of_the_interval():
    before = side(BEFORE)
    assert verdict(before, side(WORSE)).verdict == "REGRESSED"
    assert verdict(side(WORSE), before).verdict == "better"
    assert verdict(before, side(WORSE), tolerance=0.5).verdict == "undecided"
    assert verdict(before, side(WORSE), tolerance=0.7).verdict == "same"
    assert verdict(before, side(UNSURE)).verdict == "undecided"
    assert verdict(before, side(UNSURE), tolerance=1.0).verdict == "same"


def test_higher_may_be_better():
    assert verdict(side(BEFORE), side(WORSE), mode="max").verdict == "better"
    assert verdict(side(WORSE), side(BEFORE), mode="max").verdict == "REGRESSED"
    assert verdict(side(WORSE), side(BEFORE), mode="max").loss == pytest.approx(0.5)


def test_the_bounds_are_of_a_one_sided_paired_t_test():
    found = verdict(side(BEFORE), side(WORSE))
    assert found.loss == pytest.approx(0.5)
    half = 2.353363 * math.sqrt(0.02 / 3) / 2
    assert (found.low, found.high) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))
    assert found.seeds == (0, 1, 2, 3)


def test_strict_asks_for_a_loss_beyond_the_tolerance():
    for strict, expected in ((False, "REGRESSED"), (True, "undecided")):
        found = verdict(side(BEFORE), side(WORSE), tolerance=0.45, strict=strict)
        assert found.verdict == expected


def test_equal_numbers_are_the_same_with_a_single_seed():
    one = [row[:1] for row in BEFORE]
    assert verdict(side(one), side(one)).verdict == "same"
    tiny = [[score * (1 + 1e-9) for score in row] for row in one]
    assert verdict(side(one), side(tiny)).reason == "same numbers"
    assert verdict(side(one), side([row[:1] for row in WORSE])).verdict == "undecided"
    assert "3 or more" in verdict(side(one), side([row[:1] for row in WORSE])).reason


def test_seeds_that_all_differ_by_the_same_need_no_test():
    two = [row[:2] for row in BEFORE]
    for change, expected in ((0.5, "REGRESSED"), (-0.5, "better"), (0.01, "same")):
        assert verdict(side(two), side(moved([change] * 2, two)), tolerance=0.1).verdict == expected


def test_the_best_of_both_sides_are_judged():
    before = {name: {0: float(name), 1: name + 0.5, 2: name + 0.2} for name in range(6)}
    now = {name: {seed: score + 0.1 for seed, score in row.items()} for name, row in before.items()}
    now[5] = {0: -9.0, 1: -9.0, 2: -9.0}
    found = verdict(before, now)
    assert {*found.losses} == {0, 1, 5}
    assert {*verdict(before, now, top=None).losses} == {*range(6)}
    assert next(reversed(found.losses)) == 5


def test_a_failing_configuration_is_broken_if_it_is_judged():
    now = side(WORSE)
    now[1][2] = None
    found = verdict(side(BEFORE), now, top=2)
    assert (found.verdict, found.broken, found.seeds) == ("broken", (1,), (0, 1, 3))
    for seed in now[1]:
        now[1][seed] = None
    found = verdict(side(BEFORE), now, top=2)
    assert (found.verdict, found.seeds) == ("broken", ())
    now = side(BEFORE)
    now[2] = dict.fromkeys(range(4))
    assert verdict(side(BEFORE), now, top=2).verdict == "same"


def test_what_did_not_run_again_is_not_paired():
    now = side(BEFORE)
    now[0] = {0: 1.0}
    found = verdict(side(BEFORE), now)
    assert (found.verdict, found.seeds) == ("undecided", (0,))
    assert "fewer than half" in found.reason


def test_what_was_raced_out_before_is_not_judged():
    before, now = side(BEFORE), side(WORSE)
    before[9] = now[9] = {0: 0.0}
    assert {*verdict(before, now).losses} == {0, 1, 2}


def test_configurations_may_come_and_go():
    before, now = side(BEFORE), side(WORSE)
    before["old"] = now["new"] = dict.fromkeys(range(4), 0.0)
    found = verdict(before, now)
    assert (found.gone, found.new, found.shared) == (("old",), ("new",), 3)
    found = verdict({"old": {0: 1.0}}, {"new": {0: 1.0}})
    assert (found.verdict, found.loss) == ("not comparable", None)
    assert verdict({0: {7: 1.0}}, {0: {8: 1.0}}).verdict == "not comparable"
    assert verdict({}, {}).verdict == "not comparable"


def test_a_percentage_is_of_the_judged_configurations_before():
    assert verdict(side(BEFORE), side(WORSE), tolerance="10%", top=1).tolerance == (
        pytest.approx(0.105)
    )
    negative = side([[-score for score in row] for row in WORSE])
    now = side([[-score for score in row] for row in BEFORE])
    assert verdict(negative, now, tolerance="1%").tolerance == pytest.approx(0.02591667)
    zero, other = side([[0.0] * 3]), side([[0.1, 0.2, 0.3]])
    with pytest.raises(ValueError, match="'1%' of a mean score of 0; give an absolute number"):
        verdict(zero, other, tolerance="1%")
    assert verdict(zero, zero, tolerance="1%").verdict == "same"


@pytest.mark.parametrize("given", ["much", "", "%", -1, "-1%", math.nan, math.inf])
def test_a_tolerance_is_a_number_or_a_percentage(given):
    with pytest.raises(ValueError, match="expected a number of at least 0 or a percentage"):
        verdict(side(BEFORE), side(WORSE), tolerance=given)


def test_scores_may_be_of_any_size():
    for size in (1e-300, 1e300):
        before, now = (
            side([[size * score for score in row] for row in rows]) for rows in (BEFORE, WORSE)
        )
        assert verdict(before, now).verdict == "REGRESSED"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_unchanged_scores_are_rarely_found_worse(kind, share):
    assert rate(200, kind=kind, share=share) <= 0.08


def test_the_best_by_luck_alone_is_rarely_found_worse():
    assert rate(200, m=40, spread=0.0) <= 0.08


def test_eight_seeds_find_a_loss_of_one_standard_deviation():
    sd = math.sqrt(2 * (0.5 + 0.5 / 3))
    assert 0.75 <= rate(200, n=8, loss=sd) <= 0.9


def test_wild_configurations_hide_no_loss():
    rng = np.random.default_rng(3)
    count = 0
    for _ in range(100):
        sides = pair(rng, n=8, loss=2 * math.sqrt(2 * (0.5 + 0.5 / 3)))
        for one in sides:
            one[0] = {seed: 1000 * (score + 5) for seed, score in one[0].items()}
        count += verdict(*sides).verdict == "REGRESSED"
    assert count >= 95


def test_many_gates_share_one_error():
    rng = np.random.default_rng(3)
    alone = together = 0
    for _ in range(200):
        found = [verdict(*pair(rng)) for _ in range(10)]
        alone += any(one.verdict == "REGRESSED" for one in found)
        together += any(one.verdict == "REGRESSED" for one in holm(found))
    assert together <= 16
    assert alone > 60


def test_holm_keeps_what_is_significant_among_all():
    surely = side(moved([0.50, 0.51, 0.49, 0.5]))
    found = [verdict(side(BEFORE), now) for now in (side(WORSE), side(UNSURE), surely)]
    assert [one.verdict for one in holm(found)] == ["REGRESSED", "undecided", "REGRESSED"]
    barely = side(moved([0.5, 0.15, 0.7, 0.3]))
    found = [verdict(side(BEFORE), now) for now in (barely, side(UNSURE), side(UNSURE))]
    assert found[0].verdict == "REGRESSED"
    assert holm(found)[0].verdict == "undecided"
    assert holm(found)[0].reason == "not significant among 3 gates"


def test_the_calculator_is_exact():
    assert [seeds_needed(delta) for delta in (0.25, 0.5, 0.75, 1, 1.5, 2, 3)] == [
        101, 27, 13, 8, 5, 4, 3,
    ]  # fmt: skip
    losses = [round(smallest_loss(seeds), 2) for seeds in (3, 4, 5, 8, 10, 20, 30)]
    assert losses == [2.3, 1.65, 1.36, 0.98, 0.85, 0.58, 0.46]
    assert power(8, 1.0) >= 0.8 > power(7, 1.0)


def test_undecided_says_how_many_seeds_would_decide():
    found = verdict(side(BEFORE), side(UNSURE), tolerance=0.2)
    assert found.needed == seeds_needed(0.2 / found.spread)
    assert found.found == pytest.approx(found.spread * smallest_loss(4))
    assert verdict(side(BEFORE), side(UNSURE)).needed is None


def test_numbers_beyond_reason_end_in_no_endless_search():
    assert seeds_needed(1e-300) is None
    huge = verdict(side([[1e308, 1e308, 1.5]]), side([[-1e308, 2.0, 3.0]]), tolerance="1%")
    assert (huge.verdict, huge.found, huge.needed) == ("undecided", None, None)
    assert "too large" in huge.reason


def test_looks_spend_one_error():
    assert looks(3, 20) == [3, 5, 8, 12, 20]
    assert looks(5, 5) == [5]
    assert looks(3, 10) == [3, 5, 10]
    level = look_level((3, 5, 8, 12, 20))
    assert level == pytest.approx(0.014, abs=0.0005)
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(200):
        before, now = pair(rng, n=20, m=3)
        for n in looks(3, 20):
            some = [
                {k: dict([*row.items()][:n]) for k, row in one.items()} for one in (before, now)
            ]
            if verdict(*some, level=level).verdict == "REGRESSED":
                alarms += 1
                break
    assert alarms <= 16


def bounded(rows, bound, **options):
    return threshold(side(rows), bound, mode="max", **options)


def test_a_threshold_is_judged_by_the_best_configuration_s_mean():
    rows = [[0.90, 0.92, 0.91, 0.93], [0.95, 0.97, 0.96, 0.98], [0.5, 0.6, 0.5, 0.6]]
    assert bounded(rows, 0.99).verdict == "missed"
    assert bounded(rows, 0.9).verdict == "met"
    found = bounded(rows, 0.97)
    assert (found.verdict, found.now, found.loss) == (
        "undecided",
        pytest.approx(0.965),
        pytest.approx(0.005),
    )
    assert found.needed == seeds_needed(found.loss / found.spread)
    assert threshold(side(rows), 0.5, mode="min").verdict == "undecided"
    assert threshold(side(rows), 0.2, mode="min").verdict == "missed"
    assert bounded([[0.9] * 3], 0.9).verdict == "met"
    assert bounded([[0.9] * 3], 0.91).verdict == "missed"
    assert bounded([[0.9, 0.8]], 0.99).verdict == "undecided"
    assert bounded([[None, None]], 0.9).verdict == "missed"


def test_a_threshold_is_not_met_by_the_luck_of_the_best():
    rng = np.random.default_rng(1)
    found = [bounded(rng.normal(size=(40, 5)).tolist(), 0.0).verdict for _ in range(200)]
    assert found.count("met") <= 16
    assert found.count("missed") <= 4


def test_looks_end_with_the_first_that_decides():
    rng = np.random.default_rng(4)
    before, now = pair(rng, n=20, loss=3.0)
    found = sequential(before, now, range(20), at_least=3)
    assert found.verdict == "REGRESSED"
    assert len(found.seeds) < 20
    level = look_level(tuple(looks(3, 20)))
    assert found.p < 0.05
    first = verdict(
        *(
            {n: {s: row[s] for s in found.seeds} for n, row in side.items()}
            for side in (before, now)
        ),
        level=level,
    )
    assert (first.verdict, first.losses) == ("REGRESSED", found.losses)
    assert sequential(before, before, range(20), at_least=3).seeds == (0, 1, 2)
    short = {name: {s: row[s] for s in range(5)} for name, row in before.items()}
    assert len(sequential(short, now, range(20), at_least=3, tolerance=99.0, alpha=1e-9).seeds) == 5


def test_looks_go_on_with_those_that_were_judged_first():
    rng = np.random.default_rng(2)
    before, now = pair(rng, n=8)
    judged = set(
        verdict(
            *(
                {n: {s: row[s] for s in range(3)} for n, row in side.items()}
                for side in (before, now)
            )
        ).losses
    )
    for name in set(now) - judged:
        now[name] = {seed: now[name][seed] for seed in range(3)}
    found = sequential(before, now, range(8), at_least=3)
    assert (set(found.losses), found.seeds) == (judged, tuple(range(8)))
    assert (found.shared, found.gone) == (12, ())
    assert len(sequential(before, now, range(8), at_least=3, most=4).seeds) == 3


def test_all_looks_together_have_the_error_of_one():
    rng = np.random.default_rng(7)
    pairs = [pair(rng, n=20) for _ in range(200)]
    found = [sequential(*sides, range(20), at_least=3).verdict for sides in pairs]
    assert found.count("REGRESSED") <= 16
