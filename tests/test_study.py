import json
import math
import time

import pytest
from engine_parts import Noting, outcome, sweep

from pytest_hypersearch.core.errors import NotYetError, StoreError
from pytest_hypersearch.core.trial import Attempt, Key, State, trial_seed
from pytest_hypersearch.engine.study import NODE_LOSSES, Study
from pytest_hypersearch.search.samplers import Table
from pytest_hypersearch.store.curves import TimedSeries, pack
from pytest_hypersearch.store.reader import Stored, StoredRun
from pytest_hypersearch.store.records import SessionRecord, to_json


class Bench:
    """A study with what it wrote."""

    def __init__(self, sampler=None, *, stored=None, numbers=None, curves=dict, **options):
        self.sweep = sweep(**options)
        self.sampler = sampler or Noting()
        self.session = SessionRecord((self.sweep,))
        self.written = [to_json(self.session)]
        numbers = range(self.sweep.n_trials) if numbers is None else numbers
        keys = [Key("s", n, r) for n in numbers for r in range(self.sweep.replicates)]
        self.study = Study(
            "test_it.py::test_f",
            [self.sweep],
            slots={f"test_it.py::test_f[{n}-r{r}]": Key(s, n, r) for s, n, r in keys},
            samplers={"s": self.sampler},
            write=lambda *records: self.written.extend(map(to_json, records)),
            stored=Stored(stored or StoredRun(), self.session),
            tables={} if self.sampler.adaptive else {"s": Table(self.sampler, self.sweep)},
            curves=curves,
        )

    def ask(self, number, replicate=0, worker="gw0", **options):
        return self.study.ask(Key("s", number, replicate), worker, **options)

    def tell(self, number, score=1.0, replicate=0, attempt=1, **options):
        told = outcome(score, **options)
        return self.study.tell(Key("s", number, replicate), attempt, told)

    def run(self, number, score=1.0, replicate=0, **options):
        attempt = self.ask(number, replicate).number
        return self.tell(number, score, replicate, attempt, **options)

    def kinds(self):
        return [record["k"] for record in self.written[1:]]

    def resumed(self, **options):
        stored = StoredRun()
        stored.read(json.loads(json.dumps(self.written)))
        assert not stored.damaged
        return Bench(stored=stored, **options)

    @property
    def trials(self):
        return self.study.results().trials


def done(answer):
    """What becomes of a trial that was asked for."""
    if isinstance(answer, Attempt):
        return "run"
    return "replay" if answer.cached else "skip"


def test_a_trial_is_written_down_before_it_runs_and_before_its_end_is_known():
    bench = Bench()
    attempt = bench.ask(0)
    assert (attempt.params, attempt.seed, attempt.number) == ({"x": 0}, trial_seed(0, 0), 1)
    assert bench.kinds() == ["suggest", "start"]
    record = bench.tell(0, 2.5)
    assert bench.kinds() == ["suggest", "start", "end"]
    assert (record.state, record.score, record.worker, record.attempt) == (
        "complete",
        2.5,
        "gw0",
        1,
    )
    assert bench.study.records == {Key("s", 0, 0): record}


def test_a_trial_that_is_handed_out_ahead_is_written_down_when_it_begins():
    bench = Bench()
    bench.ask(0, begins=False)
    bench.ask(1, begins=False)
    assert bench.kinds() == ["suggest", "suggest"]
    bench.study.begin(Key("s", 0, 0))
    assert bench.kinds()[2:] == ["start"]
    assert bench.tell(0).attempt == 1
    assert bench.tell(1).attempt == 1  # its end comes before it is known to have begun
    assert bench.kinds()[2:] == ["start", "end", "start", "end"]


def test_a_trial_that_never_began_is_due_as_if_it_had_not_been_handed_out():
    bench = Bench(stop={"trials": 2})
    bench.ask(0, begins=False)
    bench.ask(1, begins=False)
    assert done(bench.ask(2)) == "skip"  # two are under way
    assert bench.study.withdraw("gw1") == []
    assert bench.study.withdraw("gw0") == [Key("s", 0, 0), Key("s", 1, 0)]
    assert bench.tell(0) is None
    assert bench.ask(0, worker="gw1").number == 1
    assert bench.tell(0).worker == "gw1"
    assert [str(trial.state) for trial in bench.trials[:2]] == ["complete", "not run"]


def test_an_item_that_is_skipped_before_its_test_ends_a_trial_that_has_begun():
    bench = Bench()
    for number, begun in ((0, False), (1, True)):
        key = Key("s", number, 0)
        bench.ask(number, begins=False)
        if begun:
            bench.study.begin(key)
        assert bench.study.skip(key, "skipped: no GPU").reason == "skipped: no GPU"
    assert bench.kinds()[2:] == ["start", "end"]
    assert done(bench.resumed().ask(1)) == "run"


def test_it_is_said_that_the_best_is_not_what_the_model_expects_to_be_best():
    class Expecting(Noting):
        def recommend(self, _space, history):
            return max(history, key=lambda each: each.index).index

    bench = Bench(sampler=Expecting(), n_trials=3)
    for number in (0, 2, 1):
        bench.run(number, score=float(number))

    (note,) = bench.study.results().notes
    assert note == "test_f: the model expects #2 to be best; #0 may lead by noise"
    assert not bench.resumed(sampler=Expecting(), n_trials=3).study.results().notes


@pytest.mark.parametrize(
    ("prune", "last"),
    [
        ("median", {"score": 1.0, "steps": 1}),
        ("median", {"state": State.PRUNED}),
        ("median", {"state": State.FAILED, "steps": 1}),
        (None, {"score": 1.0}),
    ],
)
def test_it_is_said_that_a_pruner_had_no_reports_of_the_metric(prune, last):
    bench = Bench(prune=prune, mode="max")
    for number in range(2):
        bench.run(number, score=1.0)
    note = "test_f: prune= had no effect on s: no trial reported score"
    assert bench.study.results().notes == ((note,) if prune else ())
    bench.run(2, **last)
    assert bench.study.results().notes == ()


def test_what_could_not_be_written_has_not_happened():
    bench = Bench()
    bench.ask(0)

    def full(*_records):
        raise StoreError("no space")

    bench.study._write = full
    with pytest.raises(StoreError):
        bench.tell(0)
    with pytest.raises(StoreError):
        bench.ask(1)
    assert not bench.study.records
    assert list(bench.study.running) == [Key("s", 0, 0)]


def test_seeds_depend_on_the_sweeps_seed_and_the_replicate_alone():
    bench = Bench(replicates=2, seed=3)
    seeds = [[bench.ask(n, r).seed for r in range(2)] for n in range(3)]
    assert seeds[0] == seeds[1] == seeds[2]
    assert len({*seeds[0], trial_seed(4, 0)}) == 3


def test_a_late_end_of_an_attempt_given_up_is_dropped():
    bench = Bench()
    bench.ask(0)
    assert bench.study.crash(Key("s", 0, 0), "gw0")
    assert bench.tell(0, attempt=1) is None
    assert bench.ask(0, worker="gw1").number == 2
    assert bench.tell(0, 9.0, attempt=1) is None
    assert bench.tell(0, 1.0, attempt=2).score == 1.0
    assert bench.tell(0, 9.0, attempt=2) is None
    assert bench.kinds() == ["suggest", "start", "crash", "start", "end"]
    assert bench.trials[0].score == 1.0


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_trial_crashes_for_good_after_its_retries(retries):
    bench = Bench(retries=retries)
    key = Key("s", 2, 0)
    for turn in range(retries + 1):
        assert bench.ask(2, worker=f"gw{turn}").number == turn + 1
        assert bench.study.crash(key, f"gw{turn}") == (turn < retries)
    record = bench.study.records[key]
    assert (record.state, record.attempt) == (State.CRASHED, retries + 1)
    assert record.reason == f"gw{retries} died"
    assert done(bench.ask(2)) == "skip"
    assert not bench.study.crash(key, "gw9")


def test_lost_nodes_have_a_count_of_their_own():
    bench = Bench(retries=0)
    key = Key("s", 2, 0)
    for turn in range(NODE_LOSSES + 1):
        bench.ask(2, worker=f"gw{turn}")
        again = bench.study.crash(key, f"gw{turn}", node_lost=True)
        assert again == (turn < NODE_LOSSES)
    assert bench.study.records[key].reason == f"node lost: gw{NODE_LOSSES}"


def test_a_clock_that_is_set_meanwhile_makes_no_crash_a_timeout(monkeypatch):
    bench = Bench(timeout="1h")
    bench.ask(0)
    later = time.time() + 7200
    monkeypatch.setattr("pytest_hypersearch.engine.study.wall", lambda: later)
    assert bench.study.crash(Key("s", 0, 0), "gw0")


def test_a_crash_before_the_trial_was_asked_for_counts():
    bench = Bench(retries=0)
    assert not bench.study.crash(Key("s", 1, 0), "gw0")
    assert bench.study.records[Key("s", 1, 0)].state is State.CRASHED


def test_a_crash_that_nobody_retried_is_a_crash_in_the_results():
    bench = Bench()
    bench.ask(0)
    bench.study.crash(Key("s", 0, 0), "gw0")
    assert bench.trials[0].state is State.CRASHED
    bench.ask(0)
    assert bench.trials[0].state is State.NOT_RUN


def test_results_name_every_trial_of_the_plan():
    bench = Bench(n_trials=3, replicates=2)
    bench.run(0, 5.0)
    bench.ask(0, 1)
    bench.study.skip(Key("s", 1, 0), "skipped: no GPU")
    trials = bench.trials
    assert [(trial.number, trial.replicate) for trial in trials] == [
        (n, r) for n in range(3) for r in range(2)
    ]
    assert [trial.reason for trial in trials] == [
        "",
        "interrupted",
        "skipped: no GPU",
        *["not started"] * 3,
    ]
    assert not bench.study.done


def test_a_study_is_done_when_all_has_ended_somehow():
    bench = Bench(n_trials=3, retries=0)
    bench.run(0)
    bench.study.skip(Key("s", 1, 0), "skipped")
    assert not bench.study.done
    bench.study.crash(Key("s", 2, 0), "gw0")
    assert bench.study.done


def test_a_space_that_is_used_up_leaves_trials_unrun():
    bench = Bench(Noting(limit=2), n_trials=4)
    assert [done(bench.ask(n)) for n in range(4)] == ["run", "run", "skip", "skip"]
    assert bench.study.records[Key("s", 3, 0)].state is State.NOT_RUN


def test_a_trial_that_runs_again_replaces_its_end():
    bench = Bench(n_trials=1)
    bench.run(0, None, state=State.FAILED)
    assert bench.study.done
    assert bench.ask(0).number == 2
    assert not bench.study.done
    bench.tell(0, 4.0, attempt=2)
    assert [trial.score for trial in bench.trials] == [4.0]


def test_history_is_what_finished_in_that_order_then_what_is_pending():
    bench = Bench()
    for number in (0, 1, 2, 3):
        bench.ask(number)
    bench.tell(2, 0.2)
    bench.tell(0, 0.0, state=State.FAILED)
    bench.ask(4)
    assert bench.sampler.histories[4] == [
        (2, "complete", (0.2,)),
        (0, "failed", ()),
        (1, "running", ()),
        (3, "running", ()),
    ]
    bench.study.item_failed(Key("s", 2, 0), 1, "in call: late", "", keeps_score=False)
    bench.ask(5)
    assert bench.sampler.histories[5][0] == (2, "failed", ())


def test_scores_are_turned_so_that_lower_is_better():
    bench = Bench(mode="max")
    bench.run(0, 3.0)
    bench.ask(1)
    assert bench.sampler.histories[1] == [(0, "complete", (-3.0,))]


def test_a_sampler_gets_the_curves_of_what_was_pruned_and_what_ran_to_its_end():
    options = {"prune": "median", "mode": "max", "replicates": 2}
    bench, curves = Bench(**options), {}
    for number, replicate, values, state in (
        (0, 0, [1.0, 2.0], State.FAILED),
        (0, 1, [2.0, 4.0], State.COMPLETE),
        (1, 0, [1.0, math.nan, 0.5], State.PRUNED),
        (1, 1, [0.1], State.PRUNED),
        (2, 0, [], State.PRUNED),
        (2, 1, [float(n) for n in range(1000)], State.PRUNED),
    ):
        attempt = bench.ask(number, replicate).number
        key, steps = Key("s", number, replicate), range(len(values))
        if values:
            bench.study.report(key, attempt, {"score": pack(steps, values)})
            curves[key, attempt] = {"score": TimedSeries([*steps], values, [0.0] * len(values))}
        bench.tell(number, values[-1] if values else None, replicate, attempt, state=state)
    again = bench.resumed(curves=lambda: curves, **options)
    for number in range(3):
        for replicate in range(2):
            again.ask(number, replicate)
            if (number, replicate) == (0, 0):
                again.tell(0, None, 0, 2, state=State.FAILED)
    for each in (bench, again):
        each.ask(3)
        reports = each.sampler.reports[3]
        assert (reports[0], reports[1]) == (((0, -2.0), (1, -4.0)), ((0, -0.1),))
        assert (len(reports[2]), reports[2][0], reports[2][-1]) == (16, (0, 0.0), (999, -999.0))


def test_replicates_are_one_configuration_whose_first_scores_count():
    bench = Bench(replicates=2)
    bench.run(0, 1.0, replicate=0)
    bench.ask(1)
    assert bench.sampler.histories == {0: [], 1: [(0, "complete", (1.0,))]}
    bench.run(0, 2.0, replicate=1)
    bench.ask(2)
    assert bench.sampler.histories[2][0] == (0, "complete", (1.0, 2.0))


def test_what_did_not_run_is_no_news_to_a_sampler():
    bench = Bench()
    bench.ask(0)
    bench.tell(0, None, state=State.NOT_RUN)
    bench.ask(1)
    assert bench.sampler.histories[1] == []


def test_points_come_first():
    bench = Bench(points=[{"x": 55}, {"x": 66}], n_trials=3)
    assert [bench.ask(n).params["x"] for n in range(3)] == [55, 66, 2]
    assert list(bench.sampler.histories) == [2]


@pytest.mark.parametrize("parallel", [1, 2, 3])
def test_in_parallel_a_proposal_waits_for_those_before_its_horizon(parallel):
    bench = Bench(parallel=parallel, n_trials=5)
    for number in range(parallel):
        bench.ask(number)
    with pytest.raises(NotYetError):
        bench.ask(parallel)
    bench.tell(0, 7.0)
    bench.ask(parallel)
    pending = [(n, "running", ()) for n in range(1, parallel)]
    assert bench.sampler.histories[parallel] == [(0, "complete", (7.0,)), *pending]


def test_in_parallel_history_is_in_the_order_of_numbers_up_to_the_horizon():
    bench = Bench(parallel=3)
    for number in (0, 1, 2):
        bench.ask(number)
    for number in (2, 1, 0):
        bench.tell(number, float(number))
    bench.ask(3)
    assert bench.sampler.histories[3] == [
        (0, "complete", (0.0,)),
        (1, "running", ()),
        (2, "running", ()),
    ]
    bench.ask(4)
    assert bench.sampler.histories[4] == [
        (0, "complete", (0.0,)),
        (1, "complete", (1.0,)),
        (2, "running", ()),
        (3, "running", ()),
    ]


def test_in_parallel_replicates_are_waited_for():
    bench = Bench(parallel=1, replicates=2)
    bench.run(0, 1.0)
    with pytest.raises(NotYetError):
        bench.ask(1)
    bench.run(0, 2.0, replicate=1)
    assert done(bench.ask(1)) == "run"


def test_in_parallel_who_asks_first_makes_no_difference():
    first, second = Bench(parallel=4), Bench(parallel=4)
    for number in range(4):
        first.ask(number)
    for number in (3, 0, 2, 1):
        second.ask(number)
    assert first.sampler.histories == second.sampler.histories


def test_a_forced_proposal_goes_by_what_is_there():
    bench = Bench(parallel=1)
    bench.ask(0)
    assert done(bench.ask(1, force=True)) == "run"
    assert bench.sampler.histories[1] == [(0, "running", ())]


def test_a_forced_replicate_runs_and_settles_nothing_for_the_others():
    bench = Bench(n_trials=3, replicates=3, race=True)
    bench.run(0, 5.0)
    assert done(bench.ask(1, replicate=1, force=True)) == "run"
    bench.tell(1, 1.0, replicate=1)
    bench.run(1, 1.0)
    bench.run(2, 1.2)
    assert [done(bench.ask(number, replicate=1)) for number in (0, 2)] == ["run", "run"]


def test_in_parallel_a_crash_that_is_retried_is_waited_for():
    bench = Bench(parallel=1)
    bench.ask(0)
    bench.study.crash(Key("s", 0, 0), "gw0")
    with pytest.raises(NotYetError):
        bench.ask(1)
    bench.ask(0)
    bench.study.crash(Key("s", 0, 0), "gw1")
    bench.ask(1)
    assert bench.sampler.histories[1] == [(0, "crashed", ())]


def test_trials_of_a_part_of_the_plan_wait_for_that_part():
    bench = Bench(parallel=1, numbers=[2, 5])
    with pytest.raises(NotYetError):
        bench.ask(5)
    bench.run(2)
    assert done(bench.ask(5)) == "run"


def test_a_resumed_study_replays_what_finished_and_runs_the_rest():
    bench = Bench(n_trials=4)
    bench.run(0, 0.5, logged={"note": "hm"})
    bench.run(1, None, state=State.FAILED)
    bench.ask(2)
    again = bench.resumed(n_trials=4)
    record = again.ask(0)
    assert record.cached
    assert (record.score, record.logged) == (0.5, {"note": "hm"})
    assert [done(again.ask(n)) for n in (1, 2, 3)] == ["run"] * 3
    assert again.written[1:][0]["attempt"] == 2
    assert [r["attempt"] for r in again.written if r["k"] == "start"] == [2, 2, 1]
    assert list(again.sampler.histories) == [3]
    assert again.sampler.histories[3][0] == (0, "complete", (0.5,))


def test_a_budget_of_trials_is_not_overspent_by_those_that_run_at_once():
    bench = Bench(stop={"trials": 2})
    assert [done(bench.ask(number)) for number in range(3)] == ["run", "run", "skip"]


def test_a_budget_that_was_used_up_is_so_whichever_trial_a_resumed_run_is_asked_for_first():
    bench = Bench(stop={"trials": 2})
    bench.run(0)
    bench.run(1)
    resumed = bench.resumed(stop={"trials": 2})
    assert [done(resumed.ask(number)) for number in (2, 0, 1)] == ["skip", "replay", "replay"]
    more = bench.resumed(stop={"trials": 3})
    assert [done(more.ask(number)) for number in (2, 0, 1)] == ["run", "replay", "replay"]


def test_a_trial_that_is_repeated_needs_no_budget_of_its_own():
    bench = Bench(stop={"trials": 1})
    bench.run(0, state="failed", failed=True)
    assert done(bench.ask(1)) == "skip"
    assert done(bench.ask(0)) == "run"
    assert bench.study.crash(Key("s", 0, 0), "gw0")
    assert done(bench.ask(0, closed="--sweep-timeout")) == "run"


def test_only_what_earlier_sessions_left_is_replayed():
    """A plugin that retries failures asks again for what has just ended."""
    bench = Bench(n_trials=2)
    bench.run(0)
    assert done(bench.ask(0)) == "run"
    again = bench.resumed(n_trials=2)
    assert [done(again.ask(0)) for _ in range(2)] == ["replay"] * 2
    again.run(1)
    assert done(again.ask(1)) == "run"


def test_identity_is_configuration_replicate_and_seed():
    bench = Bench(n_trials=2, replicates=2)
    bench.run(0, replicate=1)
    assert done(bench.resumed(n_trials=2, replicates=2).ask(0, 1)) == "replay"
    assert done(bench.resumed(n_trials=2, replicates=2).ask(0, 0)) == "run"
    assert done(bench.resumed(n_trials=2, replicates=2, seed=1).ask(0, 1)) == "run"
    assert done(bench.resumed(n_trials=2, replicates=2, points=[{"x": 1}]).ask(0, 1)) == "run"


def test_proposals_are_kept_with_what_they_were_made_from():
    bench = Bench(n_trials=3)
    bench.run(0)
    bench.run(1)
    before = bench.study.proposals.suggestions()
    again = bench.resumed(n_trials=3)
    again.ask(0)
    again.ask(1)
    assert again.study.proposals.suggestions() == before
    assert [suggestion.seen for suggestion in before] == [0, 1]
    assert not again.sampler.histories


def test_a_proposal_outside_of_the_space_is_made_anew():
    bench = Bench(n_trials=2)
    bench.run(1)
    again = bench.resumed(n_trials=2, space={"x": [0, 2, 3]})
    assert done(again.ask(0)) == "run"
    assert list(again.sampler.histories) == [0]


def test_scores_and_logs_that_json_cannot_say_are_stored():
    bench = Bench(n_trials=1)
    nan = float("nan")
    bench.run(0, nan, state=State.PRUNED, logged={"rate": float("inf")})
    end = bench.written[-1]
    assert (end["metrics"], end["logged"]) == ({"score": "nan"}, {"rate": "inf"})
    record = bench.resumed(n_trials=1).ask(0)
    assert record.state == "pruned"
    assert record.score != record.score


def test_a_score_of_zero_is_a_score():
    bench = Bench(n_trials=1)
    bench.run(0, 0.0)
    assert bench.resumed(n_trials=1).ask(0).score == 0.0
