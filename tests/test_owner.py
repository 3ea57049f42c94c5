from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from engine_parts import Noting, outcome, sweep

from pytest_hypersearch.core.study import StudyCode
from pytest_hypersearch.engine.link import DirectLink
from pytest_hypersearch.engine.messages import (
    Ask,
    Claim,
    Done,
    Finish,
    Hello,
    Known,
    NoSuchStudy,
    Plan,
    Refused,
    ReplayTrial,
    Report,
    RunTrial,
    Skip,
    StudyPlan,
    Tell,
    Told,
    View,
)
from pytest_hypersearch.engine.owner import Owner
from pytest_hypersearch.engine.study_run import Ended
from pytest_hypersearch.store.archive import Archive, Observer, Policy

STUDY = "test_it.py::test_f"
FRESH = Policy(resume=False, replay=True, keep_stale=False, keep_runs=3)


class Session:
    """An owner and its answers, by worker."""

    def __init__(self, root, policy=FRESH, sampler=None, studies=(STUDY,), **options):
        self.sampler = sampler or Noting()
        self.heard = []
        self.answers = []
        self.warnings = []
        self.sweep = sweep(**options)
        self.owner = Owner(
            lambda _strategy: self.sampler,
            Archive(lambda: root, policy, self.warnings.append, Observer(root, ["pytest"])),
        )
        self.owner.listen(self._hear)
        (root / "test_it.py").write_text("def test_f(x): pass\n")
        self.plan = Plan("d", tuple(self._study(root, nodeid) for nodeid in studies))

    def _hear(self, event):
        if isinstance(event, Ended):
            self.heard.append((event.trial.number, str(event.trial.state)))

    def _study(self, root, nodeid):
        numbers = range(self.sweep.n_trials)
        return StudyPlan(
            nodeid,
            sweeps=[self.sweep.to_json()],
            pruners={},
            slots=tuple((f"{nodeid}[{number}]", 0, number, 0) for number in numbers),
            code=StudyCode(
                roots=[str(root)],
                file=str(root / "test_it.py"),
                function=nodeid.partition("::")[2],
                fixtures=[],
                depends_on=[],
            ),
        )

    def send(self, worker, request):
        self.owner.handle(worker, request, lambda reply: self.answers.append((worker, reply)))
        return self.answers[-1][1] if self.answers else None

    def ask(self, number, worker="gw0", study=STUDY):
        return self.send(worker, Ask(f"{study}[{number}]"))

    def tell(self, number, attempt=1, worker="gw0", study=STUDY, **options):
        told = outcome(float(number), **options)
        return self.send(worker, Tell(f"{study}[{number}]", attempt, told))

    def workers(self):
        """Who was answered since the last look."""
        answered = [worker for worker, _ in self.answers]
        self.answers.clear()
        return answered


@pytest.fixture
def session(tmp_path):
    def make(**options):
        session = Session(tmp_path, **options)
        session.send("gw0", session.plan)
        session.answers.clear()
        made.append(session)
        return session

    made = []
    yield make
    for one in made:
        one.owner.close()


def test_a_plan_is_taken_once(session):
    one = session()
    assert one.send("gw0", Hello("d")) == Known(known=True)
    assert one.send("gw0", Hello("e")) == Known(known=False)
    study = one.owner.runs[STUDY].study
    assert one.send("gw1", one.plan) == Done()
    assert one.owner.runs[STUDY].study is study


def test_who_waits_is_answered_when_the_results_are_in(session):
    one = session(parallel=1)
    one.ask(0, "gw0")
    one.ask(2, "gw2")
    one.ask(1, "gw1")
    assert one.workers() == ["gw0"]
    assert sorted(one.owner.waiting) == [f"{STUDY}[1]", f"{STUDY}[2]"]
    one.tell(0, worker="gw0")
    assert one.workers() == ["gw0", "gw1"]
    one.tell(1, worker="gw1")
    assert one.workers() == ["gw1", "gw2"]
    assert one.owner.waiting == []


def test_trials_with_a_configuration_do_not_wait_for_a_sampler_that_is_imported(session):
    class Slow(Noting):
        imported = Event()

        def preload(self):
            self.imported.wait(60)

    one = session(sampler=Slow(), points=[{"x": 5}])
    one.ask(1, "gw1")
    one.ask(0, "gw0")
    one.owner.poll()
    assert one.workers() == ["gw0"]
    Slow.imported.set()
    one.owner._background.wait()
    one.owner.poll()
    assert one.workers() == ["gw1"]


def test_a_trial_that_ends_without_having_run_is_a_result_too(session):
    one = session(parallel=1)
    one.ask(1, "gw1")
    one.send("gw0", Skip(f"{STUDY}[0]", "skipped"))
    assert sorted(one.workers()) == ["gw0", "gw1"]


def test_release_answers_the_first_of_those_who_wait(session):
    one = session(parallel=1)
    one.ask(3, "gw3")
    one.ask(2, "gw2")
    one.owner.release()
    assert one.workers() == ["gw2"]
    one.owner.release()
    assert one.workers() == ["gw3"]
    one.owner.release()
    assert one.workers() == []


def test_a_direct_link_never_waits(session):
    one = session(parallel=1)
    link = DirectLink(one.owner)
    assert isinstance(link.call(Ask(f"{STUDY}[4]")), RunTrial)
    assert one.owner.waiting == []


def test_a_dead_worker_waits_no_more(session):
    one = session(parallel=1)
    one.ask(0, "gw0")
    one.ask(1, "gw1")
    one.owner.died("gw1")
    assert one.owner.crash(f"{STUDY}[1]", "gw1")
    assert one.owner.waiting == []
    one.workers()
    one.tell(0, worker="gw0")
    assert one.workers() == ["gw0"]
    assert one.ask(1, "gw2").attempt == 1


def test_a_death_counts_once_however_it_is_told(session):
    one = session(retries=1)
    one.ask(0, "gw0")
    one.owner.died("gw0")
    assert one.owner.crash(f"{STUDY}[0]", "gw0")
    one.ask(0, "gw1")
    assert one.owner.crash(f"{STUDY}[0]", "gw1") is False
    assert one.heard == [(0, "crashed")]


def test_a_retry_that_began_before_the_death_was_told_is_left_alone(session):
    one = session(retries=1)
    one.ask(0, "gw0")
    one.owner.died("gw0")
    assert one.ask(0, "gw1").attempt == 2
    assert one.owner.crash(f"{STUDY}[0]", "gw0")
    assert one.tell(0, attempt=2, worker="gw1") == Told(best=True)
    assert one.heard == [(0, "complete")]


def test_a_death_before_the_trial_was_asked_for_leaves_the_next_worker_alone(session):
    one = session(retries=0)
    one.owner.died("gw0")
    one.ask(0, "gw1")
    assert one.owner.crash(f"{STUDY}[0]", "gw0")
    assert one.tell(0, worker="gw1") == Told(best=True)
    assert one.heard == [(0, "complete")]


def test_a_worker_that_dies_before_what_it_claimed_began_has_not_crashed_it(session):
    one = session(retries=0)
    one.send("gw0", Claim(f"{STUDY}[0]", hands_out=True))
    one.owner.begin(f"{STUDY}[0]")
    one.tell(0)
    assert one.owner.ahead("gw0", f"{STUDY}[1]") == one.owner.ahead("gw0", f"{STUDY}[1]")
    one.owner.died("gw0")
    assert one.owner.results()[0].trials[1].reason == "not started"
    assert one.ask(1, "gw1").attempt == 1
    assert one.tell(1, worker="gw1") == Told(best=False)
    assert one.heard == [(0, "complete"), (1, "complete")]


def test_late_messages_of_a_dead_attempt_begin_no_other(session):
    one = session(retries=1)
    one.ask(0, "gw0")
    one.owner.died("gw0")
    one.send("gw1", Claim(f"{STUDY}[0]", hands_out=True))
    events = []
    one.owner.listen(events.append)
    one.owner.note(Report(f"{STUDY}[0]", 1, {}))
    assert one.tell(0, attempt=1, worker="gw0") == Told(best=False)
    assert not events
    (study,) = [run.study for run in one.owner.runs.values()]
    assert list(study.reserved) == [study.slots[f"{STUDY}[0]"]]
    assert not study.running
    assert one.tell(0, attempt=2, worker="gw1") == Told(best=True)


def test_late_messages_of_a_dead_attempt_are_dropped(session):
    one = session(retries=1)
    one.ask(0, "gw0")
    one.owner.died("gw0")
    one.ask(0, "gw1")
    assert one.tell(0, attempt=1, worker="gw0") == Told(best=False)
    assert one.heard == []
    one.tell(0, attempt=2, worker="gw1")
    one.tell(0, attempt=2, worker="gw1")
    assert one.heard == [(0, "complete")]


def test_a_worker_that_dies_after_its_trial_ended_undoes_nothing(session):
    one = session()
    one.ask(0)
    one.tell(0)
    one.owner.died("gw0")
    assert not one.owner.crash(f"{STUDY}[0]", "gw0")
    assert one.heard == [(0, "complete")]


def test_the_death_over_an_item_of_others_concerns_nobody(session):
    assert not session().owner.crash("test_it.py::test_plain", "gw0")


def test_what_is_lost_is_named(session):
    one = session(n_trials=3)
    one.ask(1)
    one.tell(1)
    assert one.owner.lost() == {STUDY: [f"{STUDY}[0]", f"{STUDY}[2]"]}


def test_a_looker_on_waits_for_the_study_or_sees_it_as_it_is(session):
    one = session(n_trials=2)
    view = View("test_it.py::test_look", "test_f", wait=True)
    one.send("gw1", view)
    assert one.workers() == []
    now = one.send("gw2", replace(view, wait=False))
    assert len(now.results.trials) == 2
    for number in (0, 1):
        one.ask(number)
        one.tell(number)
    assert "gw1" not in one.workers()  # the last trial may still save something in its teardown
    one.send("gw0", Finish(saved=False))
    assert one.workers() == ["gw0", "gw1"]
    assert one.send("gw1", replace(view, study="test_g")) == NoSuchStudy([], [STUDY])


class Faulty(Noting):
    def __init__(self, error):
        super().__init__()
        self._error = error

    def suggest(self, space, *, seed, index, history):
        if index == 1:
            raise self._error
        return super().suggest(space, seed=seed, index=index, history=history)


@pytest.mark.parametrize("error", [ArithmeticError("no idea"), SystemExit("no idea")])
def test_a_fault_is_an_answer_and_ends_that_trial_alone(session, error):
    one = session(sampler=Faulty(error), n_trials=3)
    assert "no idea" in one.ask(1).reason
    assert isinstance(one.ask(2), RunTrial)
    assert one.heard == [(1, "not run")]


def test_a_store_that_fails_stops_all_who_ask(tmp_path, session):
    one = session(parallel=1)
    one.ask(0, "gw0")
    one.ask(1, "gw1")
    for journal in tmp_path.glob("*/*/journal.jsonl"):
        journal.unlink()
        journal.mkdir()
    one.answers.clear()
    reply = one.tell(0, worker="gw0")
    assert one.owner.broken.startswith("cannot ")
    assert reply == Refused(one.owner.broken, ends_session=True)
    assert one.answers == [("gw0", reply), ("gw1", reply)]
    assert one.ask(2) == Refused(one.owner.broken, ends_session=True)
    for journal in tmp_path.glob("*/*/journal.jsonl"):
        journal.rmdir()


def test_a_fault_over_a_notice_stops_all_who_ask(session):
    session = session()
    session.ask(0)
    session.owner.note(Report(f"{STUDY}[0]", 1, {"score": {}}))
    assert session.owner.broken == "Report: KeyError: 'steps'"
    assert session.ask(1) == Refused(session.owner.broken, ends_session=True)


def test_an_outcome_too_large_for_the_journal_becomes_a_failure(session):
    one = session()
    one.ask(0)
    reply = one.tell(0, logged={"text": "a" * 300_000})
    assert "at most" in reply.reason
    assert one.heard == [(0, "failed")]


def test_many_studies_keep_few_files_open(tmp_path, session):
    studies = [f"test_it.py::test_f[{number}]" for number in range(200)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    one = session(studies=studies, n_trials=1, sampler=Noting(adaptive=False))
    for study in studies:
        assert isinstance(one.ask(0, study=study), RunTrial)
        one.tell(0, study=study)
    assert len(list(Path("/proc/self/fd").iterdir())) - before < 160
    one.owner.close()
    resumed = Policy(resume=True, replay=True, keep_stale=False, keep_runs=3)
    two = session(policy=resumed, studies=studies, n_trials=1, sampler=Noting(adaptive=False))
    assert len(list(Path("/proc/self/fd").iterdir())) - before < 160
    assert {type(two.ask(0, study=study)) for study in studies} == {ReplayTrial}
