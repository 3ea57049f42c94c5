from pytest_hypersearch.store.stored import Stored, gather, identity

CODE = {"test_it.py": "1", "python": "3.11"}


def session(code=CODE):
    return {"k": "session", "fingerprint": dict(code)}


def start(number=0, attempt=1, params=None, seed=7):
    place = {"sweep": "s", "number": number, "replicate": 0, "attempt": attempt}
    return {"k": "start", **place, "seed": seed, "params": params or {"x": number}}


def end(number=0, attempt=1, state="complete", **options):
    place = {"sweep": "s", "number": number, "replicate": 0, "attempt": attempt}
    given = {"state": state, "metrics": {"score": 0.5}, "duration": 1.0, **options}
    return {"k": "end", **place, **given}


def who(number, seed=7):
    return identity("s", {"x": number}, 0, seed)


def read(*records, code=CODE, keep_stale=False, damaged=0):
    return gather(records, code=code, keep_stale=keep_stale, damaged=damaged)


def test_nothing_stored_is_nothing():
    assert read() == Stored()


def test_finished_trials_count_by_what_they_are_not_by_their_place():
    stored = read(session(), start(3), end(3))
    assert stored.ends.keys() == {who(3)}
    assert stored.ends[who(3)]["metrics"] == {"score": 0.5}


def test_complete_pruned_and_invalid_trials_are_finished():
    states = ["complete", "pruned", "invalid", "failed", "timed out", "not run", "crashed", "odd"]
    records = [r for n, state in enumerate(states) for r in (start(n), end(n, state=state))]
    assert read(session(), *records).ends.keys() == {who(0), who(1), who(2)}


def test_an_invalid_trial_that_failed_its_test_is_not_finished():
    assert not read(session(), start(), end(state="invalid", failed=True)).ends


def test_the_last_end_of_a_trial_counts():
    stored = read(session(), start(), end(), start(attempt=2), end(attempt=2, duration=2))
    assert stored.ends[who(0)]["duration"] == 2
    assert not read(
        session(), start(), end(), start(attempt=2), end(attempt=2, state="failed")
    ).ends


def test_an_end_without_its_start_is_of_no_use():
    assert not read(session(), end()).ends
    assert not read(session(), start(attempt=1), end(attempt=2)).ends
    assert not read(session(), start(), session(), end()).ends


def test_values_that_json_cannot_say_are_numbers_again():
    stored = read(session(), start(), end(metrics={"score": "inf", "n": 3}))
    assert stored.ends[who(0)]["metrics"] == {"score": float("inf"), "n": 3.0}


def test_attempts_go_on_where_they_ended():
    stored = read(session(), start(0), start(0, attempt=2), start(1), end(1))
    assert stored.attempts == {("s", 0, 0): 2, ("s", 1, 0): 1}


def test_proposals_are_kept_by_seed():
    def suggest(seed, x):
        return {
            "k": "suggest",
            "sweep": "s",
            "seed": seed,
            "number": 4,
            "params": {"x": x},
            "seen": 3,
        }

    stored = read(session(), suggest(0, 1), suggest(5, 2))
    assert stored.suggestions == {("s", 0, 4): ({"x": 1}, 3), ("s", 5, 4): ({"x": 2}, 3)}


def test_trials_of_other_code_are_stale():
    old = {"helper.py": "9", **CODE}
    records = [session(old), start(0), end(0), start(1), end(1), session(), start(1), end(1)]
    stored = read(*records)
    assert stored.ends.keys() == {who(1)}
    assert stored.stale == 1
    assert stored.changed == ("helper.py",)
    kept = read(*records, keep_stale=True)
    assert kept.ends.keys() == {who(0), who(1)}
    assert (kept.stale, kept.changed) == (0, ())


def test_changed_files_of_several_sessions_are_named_once():
    one, two = {**CODE, "a.py": "1"}, {**CODE, "a.py": "2", "b.py": "1"}
    stored = read(session(one), start(0), end(0), session(two), start(1), end(1))
    assert stored.stale == 2
    assert sorted(stored.changed) == ["a.py", "b.py"]


def test_records_that_make_no_sense_are_counted_with_the_damage():
    nonsense = [
        {"k": "session", "fingerprint": 3},
        {"k": "start", "sweep": []},
        {"k": "suggest"},
        {"k": "end", "sweep": {}},
        end(metrics={"score": "many"}),
        end(metrics=None),
    ]
    stored = read(session(), start(), *nonsense, start(1), end(1), damaged=2)
    assert stored.damaged == 8
    assert stored.ends.keys() == {who(1)}


def test_records_of_kinds_to_come_are_passed_over():
    assert read(session(), {"k": "weather", "rain": True}).damaged == 0


def saved(number=0, attempt=1, directory=""):
    place = {"sweep": "s", "number": number, "replicate": 0, "attempt": attempt}
    return {"k": "saved", **place, "directory": directory or f"s-{number}-r0"}


def test_what_a_trial_saved_belongs_to_its_last_end():
    stored = read(session(), start(), end(), saved())
    assert stored.saved == {who(0): "s-0-r0"}
    again = [session(), start(attempt=2), end(attempt=2)]
    stored = read(session(), start(), end(), saved(), *again)
    assert stored.saved == {}
    assert stored.superseded == {who(0): ["s-0-r0"]}
    stored = read(session(), start(), end(), saved(), *again, saved(attempt=2, directory="new"))
    assert stored.saved == {who(0): "new"}


def test_a_trial_without_its_end_goes_on_in_its_first_directory():
    stored = read(session(), start(), start(attempt=2), session(), start(attempt=3))
    assert stored.unfinished == {who(0): "s-0-r0"}
    assert not read(session(), start(), start(attempt=2), end(attempt=2)).unfinished
    assert read(session(), start(), end(), start(attempt=2)).unfinished == {who(0): "s-0-r0-a2"}


def test_a_trial_of_other_code_or_another_configuration_in_its_place_begins_anew():
    assert not read(session({"test_it.py": "0"}), start(), session()).unfinished
    stored = read(session(), start(params={"x": 5}), session(), start(attempt=2))
    assert stored.unfinished == {who(5): "s-0-r0", who(0): "s-0-r0-a2"}


def test_a_directory_elsewhere_is_damage():
    for name in ("../../home", "/etc", "..", "a/b", ".best"):
        stored = read(session(), start(), end(), saved(directory=name))
        assert stored.saved == {}
        assert stored.damaged == 1
