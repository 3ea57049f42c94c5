"""When a sweep has had enough."""

import pytest
from example_studies import record, sweep_of

from pytest_hypersearch.core.goals import StopRule
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.engine.stopping import Stopping


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def reasons(scores, info=None, **rule):
    """What is said after each trial."""
    stopping = Stopping(StopRule(**rule), info or sweep_of("s"))
    found = [stopping.reason()]
    for number, score in enumerate(scores):
        state = State.FAILED if score is None else State.COMPLETE
        stopping.take(record(number, score, sweep="s", state=state))
        found.append(stopping.reason())
    return found


def test_nothing_stops_a_sweep_without_a_rule():
    assert reasons([1, 2, None, 3]) == [""] * 5


@pytest.mark.parametrize(("mode", "scores"), [("min", [3, 2, 1]), ("max", [0, 0.5, 2])])
def test_a_target_is_reached(mode, scores):
    said = "loss 1 reached the target 1" if mode == "min" else "loss 2 reached the target 1"
    assert reasons(scores, sweep_of("s", mode=mode), score=1) == ["", "", "", said]


def test_patience_counts_trials_since_the_best_was_clearly_beaten():
    said = "no improvement of loss in 2 trials"
    assert reasons([5, 4, 4, None], patience=2) == ["", "", "", "", said]
    assert reasons([5, 4.9, 4.8, 4.0], patience=2, min_delta=0.5) == ["", "", "", said, ""]


def test_a_budget_of_trials_counts_all_that_ended():
    assert reasons([1, None, 2], trials=2) == ["", "", "2 trials", "2 trials"]


def test_trials_that_did_not_run_cost_nothing():
    stopping = Stopping(StopRule(trials=1, patience=1), sweep_of("s"))
    stopping.take(record(0, state=State.NOT_RUN, sweep="s"))
    stopping.take(record(1, state=State.RACED_OUT, sweep="s"))
    assert stopping.reason() == ""


def test_time_runs_from_the_first_trial():
    clock = Clock()
    stopping = Stopping(StopRule(time=10), sweep_of("s"), clock)
    clock.now += 60
    assert stopping.reason() == ""
    stopping.start()
    clock.now += 9
    stopping.start()
    assert stopping.reason() == ""
    clock.now += 1
    assert stopping.reason() == "10 s"


def test_replicates_are_judged_by_their_mean():
    stopping = Stopping(StopRule(score=1.5), sweep_of("s", replicates=2))
    stopping.take(record(0, 2.0, sweep="s"))
    assert stopping.reason() == ""
    stopping.take(record(0, 1.0, sweep="s", replicate=1))
    assert stopping.reason() == "loss 1.5 reached the target 1.5"
