"""What a new run carries over from earlier ones: trials that are valid by its plan and its code."""

import json
from dataclasses import replace

import pytest

from pytest_hypersearch.core.trial import trial_seed
from pytest_hypersearch.plugin.mark.arguments import from_mark
from pytest_hypersearch.search.samplers import Table, builtin
from pytest_hypersearch.store.carry import carry_over, continues, plan_of
from pytest_hypersearch.store.reader import Present, StoredRun
from pytest_hypersearch.store.records import (
    EndRecord,
    SavedRecord,
    SessionRecord,
    StartRecord,
    SuggestRecord,
    to_json,
)

CODE = {"test_it.py": "1", "numpy": "==2.3", "python": "==3.11"}
BAYES = {"grid": None, "bayes": {"x": range(9)}, "n_trials": 3}


def sweep(**options):
    return from_mark((), {"grid": {"x": range(9)}, "name": "s", **options})


def session(code=CODE, **options):
    sweeps = (sweep(**options),)
    return SessionRecord(sweeps, plan=plan_of(sweeps), fingerprint=dict(code))


def trial(
    number, x=None, *, score=None, replicate=0, state="complete", attempt=1, steps=0, **metrics
):
    params = {"x": number if x is None else x}
    who = "s", number, replicate, attempt
    yield StartRecord(*who, trial_seed(0, replicate), params, item=f"i{number}")
    metrics["score"] = float(number if score is None else score)
    yield EndRecord(*who, state, metrics, duration=2.0, steps=steps)


def stored(*records):
    run = StoredRun()
    run.read(json.loads(json.dumps([to_json(each) for each in records])))
    return run


def carried(now, *runs, keep_stale=False, again=None):
    """The new run with what it has of others, whose names are a, b and so on, and the notes."""
    tables = {
        each.name: Table(builtin(each.strategy), each)
        for each in now.sweeps
        if each.strategy != "bayes"
    }
    named = zip(["0001", "0002", "0003"], runs, strict=False)
    found = carry_over(named, now, tables, keep_stale=keep_stale, again=again)
    return stored(now, *found.records), found


def scores(run, now):
    present = Present(run, now)
    return {key.number: present.finished(key).score for key in present.trials}


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({}, True),
        ({"replicates": 2}, True),
        ({"group_by": "x", "timeout": 9, "keep": "all"}, True),
        ({"seed": 1}, False),
        ({"metric": "loss"}, False),
        ({"mode": "max"}, False),
        ({"constraints": {"size": "<= 3"}}, False),
        ({"grid": {"x": range(10)}}, False),
        ({"name": "t"}, False),
    ],
)
def test_a_run_is_continued_with_its_plan_and_more_of_it(options, same):
    assert continues(session(**options), stored(session())) is same


def test_a_run_is_not_continued_with_fewer_trials_or_other_code():
    few, many = ({"grid": None, "random": {"x": range(99)}, "n_trials": n} for n in (5, 9))
    assert continues(session(**many), stored(session(**few)))
    assert not continues(session(**few), stored(session(**many)))
    assert not continues(session(), stored(session(replicates=2)))
    assert not continues(session({**CODE, "numpy": "==2.4"}), stored(session()))


def test_a_space_without_room_in_the_journal_is_known_by_its_digest():
    large = {"x": ["a" * 70_000 + str(i) for i in range(2)]}
    run = stored(session(grid=large))
    assert not run.sessions[-1].sweeps[0].space.names
    assert continues(session(grid=large), run)
    assert not continues(session(grid={"x": large["x"][::-1]}), run)


def test_finished_trials_are_carried_over_with_where_they_ran():
    old = stored(
        session(),
        *trial(0),
        SavedRecord("s", 0, 0, 1, "s-0-r0"),
        *trial(1, state="failed"),
        *trial(2, attempt=3),
    )
    now = session(mode="max")
    run, found = carried(now, old)
    assert scores(run, now) == {0: 0.0, 2: 2.0}
    assert [each.start.origin for each in run.carried] == ["0001", "0001"]
    assert [each.saved for each in run.trials] == ["0001/artifacts/s-0-r0", ""]
    assert run.attempts == {("s", 0, 0): 1, ("s", 2, 0): 3}
    assert found.notes == []
    third, _ = carried(session(constraints={"score": "<= 3"}), run)
    assert third.trials[0].saved == "0001/artifacts/s-0-r0"
    assert third.origins == {"0001"}
    third, _ = carried(session(mode="max"), stored(session(), *trial(0, steps=3)))
    assert third.origins == {"0001"}
    third, _ = carried(session(mode="max"), stored(session(), *trial(0)))
    assert third.origins == set()


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ({"helper.py": "2"}, "helper.py changed"),
        ({"numpy": "==2.4"}, "numpy 2.3 -> 2.4"),
        (
            {"python": "==3.12", "torch": "==2.9"},
            "python 3.11 -> 3.12, torch none -> 2.9",
        ),
        ({"a.py": "1", "b.py": "2", "torch": "==1"}, "a.py, b.py changed, torch none -> 1"),
    ],
)
def test_trials_of_other_code_or_packages_are_stale_unless_they_are_kept(code, changes):
    old = stored(session(), *trial(0), *trial(1))
    now = session({**CODE, **code})
    run, found = carried(now, old)
    assert (run.trials, found.notes) == ([], [f"2 stored trials stale: {changes}"])
    assert set(found.durations.values()) == {2.0}
    kept, found = carried(now, old, keep_stale=True)
    assert (scores(kept, now), found.notes) == ({0: 0.0, 1: 1.0}, [])
    assert Present(kept, now).notes == ["2 trials ran other code: --sweep-stale=keep"]
    more, _ = carried(replace(now, plan={}), kept)
    assert Present(more, now).notes == ["2 trials ran other code: --sweep-stale=keep"]


def test_code_that_is_back_finds_its_trials_in_an_older_run():
    old = stored(session(), *trial(0, score=5), *trial(1, score=6))
    newer = stored(session({"test_it.py": "2"}), *trial(0, score=7))
    run, found = carried(session(), newer, old)
    assert scores(run, session()) == {0: 5.0, 1: 6.0}
    assert found.notes == []


def test_what_is_to_run_again_is_left_to_it():
    old = stored(session(), *trial(0), *trial(1))
    run, _ = carried(session(), old, again={("s", 1, 0)})
    assert scores(run, session()) == {0: 0.0}


def test_a_configuration_is_found_under_its_new_number():
    old = stored(session(grid={"x": [1, 3]}), *trial(0, 1, score=0), *trial(1, 3, score=1))
    now = session(grid={"x": [0, 3, 2, 1]})
    run, found = carried(now, old)
    assert scores(run, now) == {1: 1.0, 3: 0.0}
    assert {each.start.key.number: each.start.recorded for each in run.carried} == {1: None, 3: 0}
    assert found.notes == []


def test_what_the_plan_does_not_have_is_left_out_and_counted():
    old = stored(session(grid={"x": [1, 3, 5]}), *trial(0, 1), *trial(1, 3), *trial(2, 5))
    now = session(grid={"x": [5, 6]})
    run, found = carried(now, old)
    assert scores(run, now) == {0: 2.0}
    assert found.notes == ["2 stored trials are not part of the present plan"]
    run, found = carried(session(grid={"y": [1]}), stored(session(), *trial(0)))
    assert found.notes == ["1 stored trial is not part of the present plan"]


@pytest.mark.parametrize(
    "options",
    [{"seed": 1}, {"grid": {"x": [True, 2.0]}}, {"grid": {"x": [1, 2], "y": [1]}}, {"name": "t"}],
)
def test_other_seeds_types_parameters_and_sweeps_have_none_of_the_stored_trials(options):
    old = stored(session(grid={"x": [1, 2]}), *trial(0, 1), *trial(1, 2))
    run, _ = carried(session(**{"grid": {"x": [1, 2]}, **options}), old)
    assert run.trials == []


def test_fewer_replicates_and_trials_leave_out_the_others():
    old = stored(session(replicates=2), *trial(0), *trial(0, replicate=1), *trial(8))
    run, _ = carried(session(grid={"x": range(8)}), old)
    assert [each.key for each in run.trials] == [("s", 0, 0)]


def test_trials_without_todays_metric_are_left_out_and_the_others_are_judged_anew():
    nan = float("nan")
    old = stored(session(), *trial(0), *trial(1, loss="nan"), *trial(2, loss=5.0))
    now = session(metric="loss")
    run, _ = carried(now, old)
    states = {each.number: (each.state, each.score) for each in Present(run, now).records()}
    assert states == {1: ("invalid", None), 2: ("complete", 5.0)}
    assert nan != states[1][1]


def test_proposals_go_with_the_trials_that_were_made_of_them():
    old = stored(
        session(**BAYES),
        *(SuggestRecord("s", 0, n, {"x": n}, n) for n in range(3)),
        *trial(0),
        *trial(1, state="failed"),
        *trial(2),
    )
    run, _ = carried(session(**BAYES, metric="score", mode="max"), old)
    assert {number for _, _, number in run.suggestions} == {0, 2}
    now = session({**CODE, "numpy": "==2.4"}, **BAYES)
    run, _ = carried(now, old)
    assert run.suggestions == {}
    run, _ = carried(now, old, again={("s", 1, 0)})
    assert {number for _, _, number in run.suggestions} == {0, 1, 2}


def test_proposals_of_two_runs_are_not_mixed():
    one = stored(session(**BAYES), SuggestRecord("s", 0, 0, {"x": 5}, 0), *trial(0, 5))
    two = stored(session(**BAYES), SuggestRecord("s", 0, 1, {"x": 7}, 0), *trial(1, 7))
    run, _ = carried(session(**BAYES, mode="max"), one, two)
    assert [each.key.number for each in run.trials] == [0]
