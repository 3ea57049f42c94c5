import numpy as np
import pytest
from noises import KINDS, noise
from scipy.stats import ttest_1samp

from pytest_hypersearch.stats.blocks import rounded
from pytest_hypersearch.stats.comparing import chances_of, indistinct


def table(*means, replicates=5, spread=1.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=(len(means), replicates))
    return (np.array(means)[:, None] + spread * noise).tolist()


def by_replicate(rows):
    return {name: dict(enumerate(row)) for name, row in enumerate(rows)}


def test_two_configurations_are_compared_by_a_paired_t_test():
    scores = table(0.0, 1.0)
    differences = np.subtract(scores[1], scores[0])
    expected = ttest_1samp(differences, 0, alternative="greater").pvalue
    assert chances_of(scores, 0) == [1.0, pytest.approx(expected)]


def test_planned_replicates_are_a_finite_sample():
    scores = table(0.0, 1.0)
    differences = np.subtract(scores[1], scores[0])
    all_known = differences - differences.mean() * (1 - 1 / np.sqrt(1 - 5 / 8))
    expected = ttest_1samp(all_known, 0, alternative="greater").pvalue
    assert expected < chances_of(scores, 0, planned=8)[1] < 1.5 * expected


def test_a_trial_that_went_astray_says_that_others_may():
    clean = table(0.0, *[9.0] * 11)
    astray = [[*row] for row in clean]
    astray[5][2] -= 40
    for planned, factor in ((None, 1.1), (10, 10)):
        before, after = (chances_of(rows, 0, planned=planned)[1] for rows in (clean, astray))
        assert after > factor * before


def test_others_tell_how_far_two_replicates_scatter():
    pair = [[0.0, 0.5], [4.0, 5.5]]
    crowd = pair + table(*[2.0] * 30, replicates=2, seed=3)
    assert chances_of(pair, 0)[1] > 0.02
    assert chances_of(crowd, 0)[1] < 0.005


def test_one_that_scatters_more_than_others_is_not_taken_for_one_of_them():
    rows = table(*[0.0, *[2.0] * 30], replicates=6)
    rows[1] = [2.0 + 8 * (score - 2.0) for score in rows[1]]
    chances = chances_of(rows, 0)
    assert chances[1] > 10 * np.median(chances[2:])


def test_scores_of_any_size_can_be_compared():
    scores = np.array(table(0.0, 1.0, 9.0))
    expected = pytest.approx(chances_of(scores.tolist(), 0))
    assert chances_of((scores * 1e300).tolist(), 0) == expected
    assert chances_of((scores * 1e-300).tolist(), 0) == expected


def test_what_is_not_significantly_worse_than_the_best():
    scores = by_replicate(table(0.0, 0.3, 50.0, 60.0, 0.5))
    assert indistinct(scores, 0) == [1, 4]


def test_only_common_replicates_count():
    scores = by_replicate(table(*[0.0] * 6, *[30.0] * 3))
    scores[7] = {replicate: scores[7][replicate] for replicate in (1, 3)}
    scores[8] = {0: 31.0}
    assert indistinct(scores, 0) == [1, 2, 3, 4, 5]
    scores[7] = {replicate: score - 30 for replicate, score in scores[7].items()}
    assert indistinct(scores, 0) == [1, 2, 3, 4, 5, 7]


def test_orders_of_magnitude_do_not_hide_what_is_near():
    luck = np.exp(np.random.default_rng(4).normal(0, 0.05, size=3))
    scores = by_replicate([[0.01 * 4.0**number * one for one in luck] for number in range(9)])
    scores[9] = {0: 0.0101, 1: 0.0099, 2: 0.0102}
    assert indistinct(scores, 0) == [9]


def test_a_single_configuration_is_like_no_other():
    assert indistinct({0: {0: 1.0, 1: 2.0}}, 0) == []


@pytest.mark.parametrize("replicates", [2, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_truly_best_is_rarely_found_worse(kind, replicates):
    rng = np.random.default_rng(10 + replicates)
    missed = 0
    for _ in range(200):
        rows = noise(kind, rng, 12, replicates) + np.repeat([[0.0], [1.0]], 6, axis=0)
        best = int(rows.mean(axis=1).argmin())
        missed += best != 0 and 0 not in indistinct(by_replicate(rows.tolist()), best)
    assert missed <= 10


def test_scores_that_vary_by_rounding_alone_are_told_without_a_test():
    scores = {name: dict.fromkeys(range(3), value) for name, value in enumerate((2.5, 1.1, 4.7))}
    scores[0] = {0: 2.5, 1: 2.5 + 4e-16, 2: 2.5}
    assert indistinct(scores, 1) == []


@pytest.mark.parametrize("luck", [[0.0, 1.0], [1.0, 0.0, 2.0, 0.0, 1.0, 3.0]])
def test_equal_differences_mean_the_same_with_and_without_a_rounding_error(luck):
    for unit in (1.0, 0.1, 1 / 3, 1e-200):
        counts = [[unit * (2 + each) for each in luck], [unit * (4 + each) for each in luck]]
        assert chances_of(counts, 0) == [1.0, 2.0 ** -len(luck)]
        assert indistinct(by_replicate(counts), 0) == [1] * (len(luck) < 6)
        real = [[unit * (0.2 + each**1.7 / 3) for each in luck]]
        real.append([each + unit * 0.123 for each in real[0]])
        assert chances_of(real, 0) == [1.0, 0.0]


@pytest.mark.parametrize("least", [0.3, 0.1 + 0.2])
def test_those_equal_to_the_best_but_for_rounding_do_not_limit_the_others(least):
    assert chances_of([[least] * 3, [0.1 + 0.2] * 3, [1.0] * 3], 0) == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("samples", [50, 700, 10_000])
def test_steps_are_found_where_no_two_scores_are_a_single_one_apart(samples):
    correct = np.array([[25, 30], [27, 32]])
    assert chances_of((correct / samples).tolist(), 0) == [1.0, 0.25]
    assert chances_of((1 - correct / samples).tolist()[::-1], 0) == [1.0, 0.25]


def test_continuous_scores_are_hardly_ever_taken_for_stepped():
    rng = np.random.default_rng(5)
    shapes = [(m, n) for m in (2, 3, 10) for n in (2, 3, 5)]
    assert not any(rounded(rng.normal(size=shape)) for shape in shapes for _ in range(100))
    for m, n in shapes:
        luck, lags = rng.normal(size=(100, 1, n)), rng.normal(size=(100, m, 1))
        assert not any(rounded(1000 + scores) for scores in luck + lags)
    assert not rounded(np.array([[10_000.0, 20_000.0, 30_000.0], [10_057.0, 20_057.0, 30_057.0]]))
