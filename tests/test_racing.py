import numpy as np
import pytest
from noises import KINDS, noise

from pytest_hypersearch.stats.racing import raced_out


def race(scores, planned):
    """Runs a race over a table (m, n) of scores; the replicates that each configuration ran."""
    ran = {number: [] for number in range(len(scores))}
    for replicate in range(planned):
        out = raced_out(ran, replicate=replicate, planned=planned)
        for number in ran.keys() - out.keys():
            ran[number].append(scores[number][replicate])
    return ran


def noisy(*means, replicates=10, seed=0):
    noise = np.random.default_rng(seed).normal(size=(len(means), replicates))
    return [list(map(float, row)) for row in noise + np.array(means)[:, None]]


def test_what_is_clearly_behind_gets_no_further_replicates():
    lengths = [len(row) for row in race(noisy(0.0, *[20.0] * 8), planned=10).values()]
    assert lengths == [10, *[2] * 8]


def test_nothing_is_dropped_after_a_single_replicate():
    scores = {0: [0.0], 1: [1e9]}
    assert raced_out(scores, replicate=1, planned=10) == {}


def test_the_reason_names_the_best_and_how_sure_it_is():
    scores = dict(enumerate(noisy(9.0, 9.0, 9.0, 0.0, replicates=3)))
    out = raced_out(scores, replicate=3, planned=10)
    assert out.keys() == {0, 1, 2}
    assert out[0].startswith("behind #3 after 2 replicates (p = ")


def test_scores_from_the_replicate_in_question_on_change_nothing():
    table = noisy(*np.linspace(0, 6, 12))
    known = {number: row[:4] for number, row in enumerate(table)}
    more = {number: row[:4] + [-99.0 * number] * 3 for number, row in enumerate(table)}
    out = raced_out(known, replicate=4, planned=10)
    assert out
    assert raced_out(more, replicate=4, planned=10) == out


def test_the_order_of_configurations_changes_nothing():
    table = dict(enumerate(noisy(*np.linspace(0, 6, 12), replicates=5)))
    shuffled = {number: table[number] for number in sorted(table, key=lambda n: n * 7 % 12)}
    assert raced_out(shuffled, replicate=5, planned=10) == raced_out(table, replicate=5, planned=10)


def test_who_is_out_stays_out():
    table = dict(enumerate(noisy(*np.linspace(0, 6, 12))))
    before = set()
    for replicate in range(1, 10):
        out = raced_out(table, replicate=replicate, planned=10).keys()
        assert before <= out
        before = set(out)
    assert len(before) > 6


def test_few_replicates_left_make_a_lag_harder_to_catch_up():
    scores = dict(enumerate(noisy(0.0, 1.2, 1.2, 1.3, 1.3, replicates=5)))
    assert not raced_out(scores, replicate=5, planned=1000)
    assert raced_out(scores, replicate=5, planned=6)


def test_without_noise_only_equals_of_the_best_go_on():
    ran = race([[1.0] * 9, [1.0] * 9, [1.0 + 1e-12] * 9, [3.0] * 9], planned=9)
    assert [len(row) for row in ran.values()] == [9, 9, 2, 2]
    ran = race([[score] * 9 for score in (0.3, 0.1 + 0.2, 0.3, 1.0, 1e9)], planned=9)
    assert [len(row) for row in ran.values()] == [9, 9, 9, 2, 2]


def test_rounded_scores_that_differ_equally_twice_are_no_proof():
    scores = {0: [0.90, 0.75], 1: [0.92, 0.77]}
    assert (
        raced_out(
            {n: [round(8 * s) for s in row] for n, row in scores.items()}, replicate=2, planned=10
        )
        == {}
    )
    for scale in (1.0, 0.1):  # a tenth of these differs by a rounding error
        table = {0: [7 * scale, 6 * scale] * 5, 1: [8 * scale, 7 * scale] * 5}
        assert raced_out(table, replicate=7, planned=10) == {}
        assert {*raced_out(table, replicate=8, planned=10)} == {1}


def test_luck_that_all_share_is_no_noise():
    assert {*raced_out({0: [0.0753, 0.0217], 1: [0.1303, 0.0767]}, replicate=2, planned=10)} == {1}
    shared = np.random.default_rng(1).normal(0, 100, size=10)
    table = np.array(noisy(*[0.0, *[10.0] * 9])) + shared
    assert [len(row) for row in race(table.tolist(), planned=10).values()] == [10, *[2] * 9]


def test_a_few_that_diverge_do_not_hide_how_the_others_differ():
    table = noisy(*[0.0] * 3, *[20.0] * 5, *[0.0] * 4)
    for number in range(8, 12):
        table[number] = [10.0 ** (20 + number + score) for score in table[number]]
    assert [len(row) for row in race(table, planned=10).values()][3:] == [2] * 9


def test_who_lacks_a_score_is_out_unless_all_do():
    assert raced_out({0: [None], 1: [5.0]}, replicate=1, planned=3) == {
        0: "a replicate has no score, and others have all"
    }
    assert raced_out({0: [None], 1: [None]}, replicate=1, planned=3) == {}
    assert raced_out({0: [1.0, None], 1: [None, 5.0]}, replicate=2, planned=3).keys() == {1}
    assert raced_out({0: [1.0, 2.0, None], 1: [2.0, 1.5, None]}, replicate=3, planned=4) == {}


def test_a_replicate_that_failed_everywhere_does_not_stop_the_race():
    table = [[row[0], None, *row[2:]] for row in noisy(*[0.0, *[20.0] * 5])]
    assert [len(row) for row in race(table, planned=10).values()] == [10, *[3] * 5]


@pytest.mark.parametrize("kind", KINDS)
def test_the_one_that_would_be_the_best_is_rarely_dropped(kind):
    rng = np.random.default_rng(7)
    dropped = 0
    for _ in range(200):
        rows = noise(kind, rng, 12, 10)  # all are equal, the worst case
        best = int(rows.mean(axis=1).argmin())
        dropped += best in raced_out(dict(enumerate(rows.tolist())), replicate=9, planned=10)
    assert dropped <= 16  # 6% are 12


def test_half_of_the_trials_are_saved_under_normal_noise():
    rng = np.random.default_rng(7)
    tables = rng.normal(size=(50, 12, 1)) + rng.normal(size=(50, 12, 10))
    ran = sum(len(row) for rows in tables for row in race(rows.tolist(), planned=10).values())
    assert ran < 0.6 * tables.size
