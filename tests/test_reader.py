"""What the one reader makes of a run's records, for sessions that continue it and for everybody."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_hypersearch.core.trial import trial_seed
from pytest_hypersearch.plugin.mark.arguments import from_mark
from pytest_hypersearch.store.reader import Present, StoredRun, directory_of
from pytest_hypersearch.store.records import (
    CrashRecord,
    EndRecord,
    FailedRecord,
    ReplayRecord,
    SavedRecord,
    SessionRecord,
    SkipRecord,
    StartRecord,
    SuggestRecord,
    to_json,
)

CODE = {"test_it.py": "1", "python": "3.11"}


def sweep(**options):
    return from_mark((), {"grid": {"x": range(9)}, "name": "s", **options})


def session(code=CODE, **options):
    return SessionRecord((sweep(**options),), fingerprint=dict(code))


def start(number=0, attempt=1, params=None, seed=None):
    seed = trial_seed(0, 0) if seed is None else seed
    return StartRecord("s", number, 0, attempt, seed, params or {"x": number}, item=f"i{number}")


def end(number=0, attempt=1, state="complete", score=0.5, **options):
    return EndRecord(
        "s", number, 0, attempt, state, {"score": score}, **{"duration": 1.0, **options}
    )


def saved(number=0, attempt=1, directory="s-0-r0"):
    return SavedRecord("s", number, 0, attempt, directory)


def stored(*records):
    run = StoredRun()
    data = [each if isinstance(each, dict) else to_json(each) for each in records]
    run.read(json.loads(json.dumps(data)))
    return run


def seen(*records, now=None, **options):
    """What a session sees of the records, by default one with the plan and code of the first."""
    return Present(stored(*records), now or session(), **options)


def finished(*records, **options):
    """The scores of the trials that need not run again, by number."""
    present = seen(*records, **options)
    trials = {key.number: present.finished(key) for key in present.trials}
    return {number: trial.score for number, trial in trials.items() if trial}


def test_complete_pruned_and_invalid_trials_are_finished():
    states = ["complete", "pruned", "failed", "timed out", "not run"]
    records = [r for n, state in enumerate(states) for r in (start(n), end(n, state=state))]
    odd = start(5), end(5, state="invalid", score=float("nan"))
    present = seen(session(), *records, *odd)
    done = {key.number: present.finished(key) for key in present.trials}
    assert {n for n, trial in done.items() if trial} == {0, 1, 5}
    assert done[5].state == "invalid"


def test_an_invalid_trial_that_failed_its_test_is_not_finished():
    assert not finished(session(), start(), end(state="invalid", failed=True))


def test_the_first_end_of_an_attempt_counts_and_the_last_attempt_of_a_trial():
    assert finished(session(), start(), end(score=1.0), end(score=-5.0)) == {0: 1.0}
    again = [start(attempt=2), end(attempt=2, score=2.0)]
    assert finished(session(), start(), end(), *again) == {0: 2.0}
    assert not finished(session(), start(), end(), start(attempt=2), end(attempt=2, state="failed"))
    crash = CrashRecord("s", 0, 0, 2, "gw0 died", "gw0")
    assert not finished(session(), start(), end(), start(attempt=2), crash)
    assert not finished(session(), start(), crash_of(1), end())
    assert finished(session(), start(), end(), start(attempt=2)) == {0: 0.5}


def test_a_trial_whose_item_failed_after_its_end_is_not_finished_and_may_keep_its_score():
    def after(state):
        return FailedRecord("s", 0, 0, 1, state, "in teardown: OSError", "Traceback")

    assert not finished(session(), start(), end(), after("complete"))
    (kept,) = seen(session(), start(), end(), after("complete")).records()
    assert (kept.state, kept.score, kept.reason) == ("complete", 0.5, "in teardown: OSError")
    (lost,) = seen(session(), start(), end(), after("failed")).records()
    assert (lost.state, lost.score, lost.error) == ("failed", None, "Traceback")
    again = start(attempt=2), end(attempt=2, score=1.0)
    assert finished(session(), start(), end(), after("failed"), *again) == {0: 1.0}
    assert finished(session(), start(), end(), *again, after("failed")) == {0: 1.0}


def crash_of(attempt):
    return CrashRecord("s", 0, 0, attempt, "gw0 died", "gw0")


def test_an_end_without_its_start_is_damage():
    for records in ([end()], [start(attempt=1), end(attempt=2)]):
        run = stored(session(), *records)
        assert run.damaged == 1
        assert not any(trial.outcome for trial in run.trials)
    late = stored(session(), start(), session(), end())
    assert [trial.outcome for trial in late.trials] == [None]


def test_values_that_json_cannot_say_are_numbers_again():
    present = seen(session(), start(), end(score=float("inf"), state="failed"))
    (trial,) = present.records()
    assert trial.metrics == {"score": float("inf")}


def test_attempts_go_on_where_they_ended():
    run = stored(session(), start(0), start(0, attempt=2), start(1), end(1))
    assert run.attempts == {("s", 0, 0): 2, ("s", 1, 0): 1}


def test_proposals_are_kept_by_seed():
    run = stored(
        session(), SuggestRecord("s", 0, 4, {"x": 1}, 3), SuggestRecord("s", 5, 4, {"x": 2}, 3)
    )
    assert {which: each.params["x"] for which, each in run.suggestions.items()} == {
        ("s", 0, 4): 1,
        ("s", 5, 4): 2,
    }


def test_records_of_kinds_to_come_are_passed_over():
    run = stored(session(), {"k": "weather", "rain": True}, {"k": ["odd"]})
    assert run.damaged == 0


def test_what_a_trial_saved_belongs_to_its_last_end():
    def trial(*records):
        return stored(session(), start(), end(), saved(), *records).trials[0]

    again = start(attempt=2), end(attempt=2)
    assert (trial().saved, trial().directories) == ("s-0-r0", ["s-0-r0"])
    assert (trial(*again).saved, trial(*again).directories) == ("", ["s-0-r0"])
    new = trial(*again, saved(attempt=2, directory="new"))
    assert (new.saved, new.directories) == ("new", ["s-0-r0", "new"])


def test_a_trial_without_its_end_goes_on_in_its_first_directory():
    def unfinished(*records, params=None):
        present = seen(*records)
        return present.unfinished(("s", 0, 0), params or {"x": 0})

    lost = session(), start(), start(attempt=2), session(), start(attempt=3)
    assert unfinished(*lost) == "s-0-r0"
    assert unfinished(*lost, params={"x": 1}) == ""
    assert unfinished(session(), start(), start(attempt=2), end(attempt=2)) == ""
    assert unfinished(session(), start(), end(), start(attempt=2)) == "s-0-r0-a2"
    assert unfinished(session(), start(), crash_of(1), start(attempt=2)) == "s-0-r0"


@pytest.mark.parametrize("name", ["../../home", "/etc", "..", "a/b", ".best", ""])
def test_a_directory_elsewhere_is_damage(name):
    run = stored(session(), start(), end(), to_json(saved()) | {"directory": name})
    assert (run.damaged, run.trials[0].saved) == (1, "")


def test_configurations_that_are_alike_stay_apart_by_their_numbers():
    plan = {"grid": None, "random": {"x": range(9)}, "n_trials": 9}
    params = {"x": 5}
    records = [session(**plan)]
    for number in range(3):
        records += [start(number, params=params), end(number, score=number)]
    assert finished(*records, now=session(**plan)) == {0: 0.0, 1: 1.0, 2: 2.0}


def test_the_last_of_two_proposals_of_a_number_counts():
    plan = {"grid": None, "bayes": {"x": range(9)}, "n_trials": 3}
    records = [session(**plan)]
    for attempt, x in enumerate((1, 2), start=1):
        records += [
            SuggestRecord("s", 0, 0, {"x": x}, 0),
            start(0, attempt, {"x": x}),
            end(0, attempt, score=x),
        ]
        records.append(session(**{**plan, "bayes": {"x": range(8)}}))
    assert finished(*records, now=session(**plan)) == {0: 2.0}


def test_a_trial_has_the_item_that_it_got_last():
    records = [session(), start(3), end(3)]
    assert [trial.nodeid for trial in seen(*records).records()] == ["i3"]
    records += [session(replicates=2), ReplayRecord("s", 3, 0, "new")]
    assert [trial.nodeid for trial in seen(*records).records()] == ["new"]
    again = start(3, attempt=2), end(3, attempt=2)
    assert [trial.nodeid for trial in seen(*records, *again).records()] == ["i3"]


def test_a_trial_of_another_run_is_found_where_it_ran():
    moved = replace(start(attempt=2), origin="0007", recorded=4, refers=True)
    run = stored(session(), moved, end(attempt=2), saved(attempt=2, directory="s-4-r0"))
    (trial,) = run.trials
    assert (trial.saved, trial.directories) == ("0007/artifacts/s-4-r0", [])
    assert trial.last.ran_as == ("s", 4, 0)
    assert run.origins == {"0007"}
    (record,) = Present(run, session()).records()
    assert directory_of(Path("a/0009"), record) == Path("a/0007/artifacts/s-4-r0")
    assert stored(session(), replace(moved, refers=False)).origins == set()


# JSON's 1e999 is infinite to Python; such a number is none that this package writes.
@pytest.mark.parametrize(
    "value",
    [
        {"cpu_time": math.inf},
        {"duration": math.inf},
        {"logged": {"x": -math.inf}},
        {"metrics": {"score": math.inf}},
    ],
)
def test_a_number_that_is_not_finite_is_damage(value):
    run = stored(session(), start(), to_json(end()) | value)
    assert (run.damaged, [trial.outcome for trial in run.trials]) == (1, [None])


@pytest.mark.parametrize("origin", ["../..", "7", "a", "/etc", "0001/x"])
def test_a_run_elsewhere_is_damage(origin):
    run = stored(session(), to_json(start()) | {"origin": origin}, end())
    assert (run.damaged, run.trials) == (2, [])


def test_trials_that_were_left_out_have_their_configuration():
    skip = SkipRecord("s", 3, 0, trial_seed(0, 0), {"x": 3}, "raced out", "worse than #0")
    never = CrashRecord("s", 4, 0, 0, "gw0 died", "gw0")
    present = seen(session(), skip, SuggestRecord("s", 0, 4, {"x": 4}, 0), never)
    assert [(t.state, t.params, t.reason) for t in present.records()] == [
        ("raced out", {"x": 3}, "worse than #0"),
        ("crashed", {"x": 4}, "gw0 died"),
    ]


def test_a_trial_without_todays_metric_has_to_run_again():
    records = [session(), start(), end()]
    assert not finished(*records, now=session(metric="speed"))
    assert not [*seen(*records, now=session(metric="speed")).records()]
