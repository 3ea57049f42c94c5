import random
from dataclasses import replace

import pytest
from example_studies import cnn_random, record, sweep_of

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.plugin.live import Progress, bar, milestone, milestone_due, short_name
from pytest_hypersearch.results.terminal.format import columns
from pytest_hypersearch.stats.ranking import BestSoFar, rank

COUNTS = {State.COMPLETE: 39, State.FAILED: 3, State.PRUNED: 16}
PROGRESS = Progress("test_cnn", 100, COUNTS, best=0.95312, number=52)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (81, "[######----] test_cnn 58/100 best 0.9531 (#52) 16 pruned 3 failed 1.9/s eta 22s"),
        (80, "[######----] test_cnn 58/100 best 0.9531 (#52) 16 pruned 3 failed 1.9/s eta 22s"),
        (79, "[######----] test_cnn 58/100 best 0.9531 (#52) 16 pruned 3 failed eta 22s"),
        (60, "[######----] test_cnn 58/100 best 0.9531 (#52) eta 22s"),
        (50, "test_cnn 58/100 best 0.9531 (#52) eta 22s"),
        (40, "test_cnn 58/100 best 0.9531 (#52)"),
        (30, "test_cnn 58/100"),
        (10, "test_cnn…"),
        (1, ""),
    ],
)
def test_the_live_line_is_never_wider_than_the_terminal_less_one(width, expected):
    assert bar(PROGRESS, elapsed=30.5, width=width) == expected
    assert columns(expected) < width


def test_a_log_gets_the_line_without_the_bar():
    text = "test_cnn 58/100 best 0.9531 (#52) 16 pruned 3 failed 1.9/s eta 22s"
    assert milestone(PROGRESS, elapsed=30.5, width=80) == text


def test_nothing_is_claimed_before_the_first_result():
    assert bar(Progress("test_cnn", 100), elapsed=0, width=80) == "[----------] test_cnn 0/100"


def test_the_bar_is_full_only_at_the_end():
    almost = Progress("t", 1000, {State.COMPLETE: 999})
    assert bar(almost, elapsed=0, width=80) == "[#########-] t 999/1000"
    done = Progress("t", 1000, {State.COMPLETE: 1000})
    assert bar(done, elapsed=10, width=80) == "[##########] t 1000/1000 100.0/s"
    assert bar(Progress("t", 0), elapsed=1, width=80) == "[----------] t 0/0"


def test_replayed_trials_do_not_make_the_rate():
    progress = replace(PROGRESS, cached=48)
    text = "test_cnn 58/100 best 0.9531 (#52) 16 pruned 3 failed 20.0/min eta 2m06s"
    assert milestone(progress, elapsed=30, width=80) == text
    only_cached = replace(PROGRESS, cached=58)
    assert milestone(only_cached, elapsed=30, width=80).endswith("3 failed")


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        (58, "t 58/100 1.0/s eta 42s"),
        (83, "t 58/100 41.9/min eta 1m00s"),
        (5800, "t 58/100 36.0/h eta 1h10m"),
    ],
)
def test_slow_rates_are_told_per_minute_or_hour(elapsed, expected):
    progress = Progress("t", 100, {State.COMPLETE: 58})
    assert milestone(progress, elapsed=elapsed, width=80) == expected


def test_names_are_harmless_and_leave_room():
    hostile = replace(PROGRESS, name="::error::\x1b[2J激活")
    text = milestone(hostile, elapsed=0, width=80)
    assert text == r"\x3a:error::\x1b[2J激活 58/100 best 0.9531 (#52) 16 pruned 3 failed"
    text = milestone(hostile, elapsed=0, width=48, ascii_only=True)
    assert text == r"\x3a:error::\... 58/100 best 0.9531 (#52)"
    long = replace(PROGRESS, name="test_cnn[cifar-resnet18-augmented-pretrained]")
    text = "[######----] test_cnn[cifar-resnet18-a… 58/100 best 0.9531 (#52) eta 22s"
    assert bar(long, elapsed=30.5, width=80) == text


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("tests/test_a.py::test_cnn", "test_cnn"),
        ("test_a.py::TestNets::test_cnn[cifar::10]", "test_cnn[cifar::10]"),
        ("a[b]/test_a.py::test_cnn[x]", "test_cnn[x]"),
    ],
)
def test_short_names_leave_out_file_and_class(nodeid, expected):
    assert short_name(nodeid) == expected


def test_trials_of_every_state_are_done():
    assert Progress("t", 5, {State.COMPLETE: 2, State.FAILED: 1}).done == 3


def test_best_so_far_agrees_with_the_final_ranking_at_every_step():
    sweeps = [sweep_of("a", replicates=2), sweep_of("b", replicates=3)]
    trials = [
        record(number, (number * 7 + replicate * 5) % 10, sweep=sweep.name, replicate=replicate)
        for sweep in sweeps
        for number in range(8)
        for replicate in range(sweep.replicates)
    ]
    random.Random(3).shuffle(trials)
    best = BestSoFar(sweeps)
    for end, trial in enumerate(trials, start=1):
        best.add(trial)
        first = rank(trials[:end], sweeps)[0]
        assert best.leader == (first.sweep.name, first.number)
        assert best.score == pytest.approx(first.mean)


def test_best_so_far_passes_over_what_does_not_rank():
    best = BestSoFar([sweep_of("a"), sweep_of("b", metric="accuracy")])
    best.add(record(0, 1.0, sweep="b"))
    best.add(record(0, 1.0, sweep="a", state=State.PRUNED))
    best.add(record(0, sweep="a"))
    assert (best.score, best.number) == (None, None)
    assert BestSoFar([]).score is None


def test_a_milestone_needs_ten_percent_and_thirty_seconds():
    assert milestone_due((0, 0.0), 10, 100, 29.9) is None
    assert milestone_due((0, 0.0), 9, 100, 1000.0) is None
    assert milestone_due((0, 0.0), 10, 100, 30.0) == (10, 30.0)
    assert milestone_due((10, 30.0), 20, 100, 59.0) is None
    assert milestone_due((10, 30.0), 100, 100, 900.0) is None


def test_a_run_writes_at_most_nine_milestones():
    study = cnn_random(1000)
    last, written = (0, 0.0), 0
    for done, _ in enumerate(study.trials, start=1):
        due = milestone_due(last, done, 1000, now=done * 7.0)
        if due is not None:
            last, written = due, written + 1
    assert written == 9
