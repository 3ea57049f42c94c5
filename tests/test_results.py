import json
import math
from dataclasses import replace

import pytest
from example_studies import booth_grid, booth_stacked, cnn_random, record, sweep_of
from scipy import stats

from pytest_hypersearch.core.codec import json_object, read_fields
from pytest_hypersearch.core.space import Space, choice, loguniform, randint
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.core.values import mean, std
from pytest_hypersearch.stats.grouping import (
    Failure,
    count,
    failures,
    group,
    steps_saved,
    t_quantile,
)
from pytest_hypersearch.stats.ranking import objectives, rank, rank_study


def numbers(ranked):
    return [one.number for one in ranked]


def test_lower_scores_rank_first_for_min_and_higher_for_max():
    trials = [record(0, 2.0), record(1, 1.0), record(2, 3.0)]
    assert numbers(rank(trials, [sweep_of()])) == [1, 0, 2]
    assert numbers(rank(trials, [sweep_of(mode="max")])) == [2, 0, 1]


def test_configurations_rank_by_the_mean_over_replicates():
    trials = [
        record(0, 1.0),
        record(0, 5.0, replicate=1),
        record(1, 2.0),
        record(1, 3.0, replicate=1),
    ]
    first, second = rank(trials, [sweep_of(replicates=2)])
    assert (first.number, first.mean, first.scores) == (1, 2.5, (2.0, 3.0))
    assert second.std == pytest.approx(math.sqrt(8))
    assert second.trial.replicate == 0


def test_incomplete_configurations_rank_behind_complete_ones():
    trials = [
        record(0, 0.1),
        record(0, replicate=1),
        record(1, 2.0),
        record(1, 3.0, replicate=1),
        record(2, 0.2),
    ]
    ranked = rank(trials, [sweep_of(replicates=2)])
    assert [(one.number, one.full) for one in ranked] == [(1, True), (0, False), (2, False)]


def test_only_complete_trials_rank():
    states = [state for state in State if state is not State.COMPLETE]
    trials = [record(place, 0.0, state=state) for place, state in enumerate(states)]
    assert not rank(trials, [sweep_of()])


def test_equal_scores_rank_in_the_order_of_sweep_and_number():
    sweeps = [sweep_of("random"), sweep_of("grid")]
    trials = [record(n, 1.0, sweep=name) for name in ("grid", "random") for n in (1, 0)]
    ranked = rank(trials, sweeps)
    assert [(one.sweep.name, one.number) for one in ranked] == [
        ("random", 0),
        ("random", 1),
        ("grid", 0),
        ("grid", 1),
    ]


def test_best_of_a_study_looks_at_all_sweeps_of_the_first_objective():
    study = booth_stacked()
    ranked = rank_study(study)
    assert (ranked.best.sweep.name, ranked.best.number) == ("bayes", 13)
    grid = ranked.of(study.sweeps[0]).best
    assert grid.params == {"lr": 0.01, "momentum": 0.9}
    assert grid.trial.nodeid.endswith("-r0]")
    assert rank_study(replace(study, trials=())).best is None
    assert rank_study(replace(study, sweeps=())).best is None


def test_objectives_put_sweeps_of_one_metric_and_mode_together():
    one, two, three = sweep_of("a"), sweep_of("b", mode="max"), sweep_of("c")
    assert objectives([one, two, three]) == [(one, three), (two,)]


def test_groups_come_in_the_order_of_their_best_configurations():
    study = booth_grid()
    groups = group(study.trials, rank(study.trials, study.sweeps), ["lr"])
    assert [one.key for one in groups] == [(0.01,), (0.1,), (0.001,)]
    first = groups[0]
    scores = [trial.score for trial in study.trials if trial.params["lr"] == 0.01]
    assert (first.scores.n, first.configurations, first.best.number) == (9, 3, 5)
    assert first.scores.mean == pytest.approx(sum(scores) / 9)
    assert first.scores.std == pytest.approx(stats.tstd(scores))
    assert first.scores.median == sorted(scores)[4]
    assert (first.scores.low, first.scores.high) == pytest.approx(
        stats.t.interval(0.95, 8, first.scores.mean, stats.sem(scores)), rel=1e-3
    )
    assert first.duration == 0.5


def test_groups_without_a_score_come_last_and_those_without_the_parameter_not_at_all():
    trials = [
        record(0, params={"lr": 1}),
        record(1, 2.0, params={"lr": 2}),
        record(2, 1.0, params={"width": 3}),
    ]
    groups = group(trials, rank(trials, [sweep_of()]), ["lr"])
    known = [(one.key, one.scores[:3], one.scores.low) for one in groups]
    assert known == [((2,), (1, 2.0, None), None), ((1,), (0, None, None), None)]


def test_groups_tell_values_of_different_types_apart():
    values = [1, 1.0, True, "1", None]
    trials = [record(n, float(n), params={"x": value}) for n, value in enumerate(values)]
    keys = [one.key[0] for one in group(trials, rank(trials, [sweep_of()]), ["x"])]
    assert [repr(key) for key in keys] == [repr(value) for value in values]


def test_trials_missing_from_the_plan_count_as_not_run():
    trials = [record(0, 1.0), record(1), record(2, state=State.NOT_RUN)]
    assert count(trials, 5) == {State.COMPLETE: 1, State.FAILED: 1, State.NOT_RUN: 3}
    assert count([], 0) == {}


def test_failures_are_counted_by_kind_whatever_the_measured_numbers():
    reasons = ["loss 0.51 at 0x7f21", "exit code 1", "loss 1.2e-3 at 0x11", "exit code 2"]
    trials = [record(n, reason=reason) for n, reason in enumerate(reasons)]
    trials.append(record(9, state=State.TIMED_OUT, reason="after 3s"))
    trials.append(record(10, state=State.PRUNED, reason="median"))
    assert failures(trials) == [
        Failure(State.FAILED, "loss 0.51 at 0x7f21", 2),
        Failure(State.FAILED, "exit code 1", 1),
        Failure(State.FAILED, "exit code 2", 1),
        Failure(State.TIMED_OUT, "after 3s", 1),
    ]


def again(study):
    return read_fields(StudyResults, json.loads(json.dumps(study, default=json_object)))


def test_studies_survive_json():
    study = replace(booth_stacked(), notes=("12 trials are stale",))
    assert again(study) == study
    assert again(cnn_random()) == cnn_random()
    space = Space(({"lr": loguniform(1e-4, 1), "act": choice([math.sin])}, {"n": randint(1, 3)}))
    known = replace(study, sweeps=(replace(study.sweeps[0], space=space),))
    assert again(known) == known


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 11, 30, 1000])
def test_quantiles_of_students_t_agree_with_scipy(freedom):
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-3)


def test_moments_do_not_overflow():
    assert mean([1.7e308, 1.7e308]) == pytest.approx(1.7e308)
    assert std([1e200, 3e200]) == pytest.approx(math.sqrt(2) * 1e200)
    assert std([1.0]) is None
    assert std([0.1] * 3) == pytest.approx(0, abs=1e-16)


def test_steps_saved_by_pruning_are_counted_against_complete_trials():
    whole = [record(number, 1.0, steps=20) for number in range(3)]
    pruned = [record(3 + number, 1.0, state=State.PRUNED, steps=5) for number in range(2)]
    longer = record(9, 1.0, state=State.PRUNED, steps=30)
    assert steps_saved([*whole, *pruned]) == 30 / 100
    assert steps_saved([*whole, longer]) == 0
    assert steps_saved(whole) is None
    assert steps_saved(pruned) is None
