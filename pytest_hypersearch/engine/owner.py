"""The owner of a session's studies, whoever runs their trials.

Runners send it `pytest_hypersearch.engine.messages` over a link and get the replies.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from threading import RLock
from traceback import format_exception
from typing import Final

from pytest_hypersearch.core.contracts import Preloaded, Sampler
from pytest_hypersearch.core.errors import NotYetError, PrunerError, SamplerError, StoreError
from pytest_hypersearch.core.secrets import masked
from pytest_hypersearch.core.study import StudyResults, called
from pytest_hypersearch.core.trial import Attempt, Key, State, TrialRecord
from pytest_hypersearch.core.values import error_text
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.artifacts import Background
from pytest_hypersearch.engine.request_queue import Answer, RequestQueue
from pytest_hypersearch.engine.resources.ledger import Shares
from pytest_hypersearch.engine.study_run import (
    Compared,
    Ended,
    Event,
    Listener,
    NoBaseline,
    Reported,
    Start,
    Started,
    StudyRun,
    SweepRun,
    opened,
    stored_state,
)
from pytest_hypersearch.store.archive import Archive
from pytest_hypersearch.store.curves import Packed, TimedSeries
from pytest_hypersearch.store.find import newest
from pytest_hypersearch.store.fingerprint import versions_in

_NOT_STARTED: Final = frozenset({State.NOT_RUN, State.RACED_OUT})


class Owner:
    """Studies, samplers, journals and retries of one session.

    Args:
        samplers: The sampler of a strategy.
        archive: Where runs are kept.
        closed: Tells why nothing is to start any more, empty while trials should.
        shares: Gives trials what they demand of the machine.
        baseline: What the results are compared with.
        start: Returns a sweep with the points of the stored run that it starts from, and a note
            if it has none.

    Attributes:
        other_versions: Packages in other versions than here, by the workers that told so.
    """

    def __init__(
        self,
        samplers: Callable[[str], Sampler],
        archive: Archive,
        closed: Callable[[], str] = str,
        shares: Shares | None = None,
        baseline: Compared | None = None,
        *,
        start: Start = lambda _nodeid, sweep: (sweep, ""),
    ) -> None:
        self.runs: dict[str, StudyRun] = {}
        self.broken = ""
        self.shares = shares or Shares()
        self._samplers = samplers
        self._archive = archive
        self._listeners: list[Listener] = []
        self._closed = closed
        self._start = start
        self._baseline = baseline or NoBaseline()
        self._background = Background(archive.warn)
        self._current: dict[str, tuple[StudyRun, Key]] = {}
        self._trials: dict[str, tuple[StudyRun, Key]] = {}
        self._retries: dict[tuple[str, str], bool] = {}
        self._told: dict[str, tuple[str, bool]] = {}
        self._torn_down: dict[str, str] = {}
        self._lost_nodes: set[str] = set()
        self._loading: set[str] = set()
        self._has_loaded = False
        self._digest = ""
        self.other_versions: dict[str, dict[str, str]] = {}
        self._queue = RequestQueue(self._reply, self._priority)
        self._lock = RLock()

    def listen(self, listener: Listener) -> None:
        """Tell a listener what happens from now on; it is called by any thread, one at a time."""
        self._listeners.append(listener)

    def ignore(self, listener: Listener) -> None:
        """Tell a listener nothing more."""
        self._listeners.remove(listener)

    @property
    def waiting(self) -> list[str]:
        """The items that wait for results of others."""
        with self._lock:
            return [
                request.item
                for worker, request, _ in self._queue.waiting
                if isinstance(request, messages.Ask | messages.Claim | messages.View)
                and worker not in self.shares.waiting
            ]

    @property
    def packages(self) -> dict[str, str]:
        """Versions of the packages that tests of the plan import, by their import names."""
        fingerprints = [run.log.stored.session.fingerprint for run in self.runs.values()]
        return {k: v for each in fingerprints for k, v in versions_in(each).items()}

    @property
    def unfinished(self) -> bool:
        """Whether a trial of the plan has not ended."""
        with self._lock:
            return not all(run.study.done for run in self.runs.values())

    def plans(self, item: str) -> bool:
        """Whether an item is a trial of the plan."""
        return item in self._trials

    def is_stored(self, item: str) -> bool:
        """Whether an item is that of a trial that is replayed, if its configuration is the same."""
        run, key = self._trials[item]
        return run.study.present.is_finished(key)

    def is_independent(self, item: str) -> bool:
        """Whether a trial of the plan may be handed out together with others.

        That is so if it is stored, or neither results nor free resources decide about it.
        """
        run, key = self._trials[item]
        return self.is_stored(item) or run.study.is_fixed(key.sweep)

    def has_ended(self, item: str) -> bool:
        """Whether an item is that of a trial that has ended."""
        with self._lock:
            return item in self._trials and self._record(item) is not None

    def left(self, item: str, worker: str) -> TrialRecord | None:
        """The trial of an item at which a worker died, if nothing is left of it but to be shown.

        The worker has told its end, and its test did not fail; or it was replayed or left out.
        """
        with self._lock:
            record = self._record(item) if item in self._trials else None
            if record is None or self._told.get(worker) == (item, False):
                return record
            return record if record.cached or record.state in _NOT_STARTED else None

    def _record(self, item: str) -> TrialRecord | None:
        run, key = self._trials[item]
        return run.study.records.get(key)

    def item_died(self, item: str, worker: str) -> bool:
        """Whether a worker died in the teardown of an item whose trial it had run.

        It is no fault of the item if that was torn down, or if the worker's node was lost.
        """
        with self._lock:
            excused = self._torn_down.get(worker) == item or worker in self._lost_nodes
            record = self._record(item) if self._told.get(worker) == (item, False) else None
            if excused or record is None:
                return False
            reason = f"in teardown: {worker} died"
            self._item_failed(
                messages.ItemFailed(item, record.attempt, reason, "", keeps_score=True)
            )
            return True

    def begin(self, item: str) -> None:
        """Take note that pytest begins with an item; its trial begins if it was handed out."""
        with self._lock:
            try:
                if item in self._trials:
                    self._begin(*self._trials[item])
            except StoreError as error:
                self.broken = self.broken or str(error)

    def ahead(self, worker: str, item: str) -> messages.Assignment | None:
        """Hand out the trial that a worker comes to next, while the one before is torn down.

        Returns:
            None if it has to wait, or cannot be handed out: the worker asks for it in its turn.
        """
        with self._lock:
            run, key = self._trials[item]
            # What a trial has of the machine it keeps until it is torn down.
            if run.study.sweeps[key.sweep].resources:
                return None
            try:
                return None if self.broken else self._hand_out(worker, item, begins=False)
            except Exception:  # noqa: BLE001  it is refused when the worker asks in its turn
                return None

    def handle(self, worker: str, request: messages.AnyRequest, answer: Answer) -> None:
        """Take a request of a runner; the reply may be given later, by another thread."""
        with self._lock:
            self._queue.take(worker, request, answer)

    def note(self, notice: messages.AnyNotice) -> None:
        """Take a message that has no reply; if that fails, the session ends."""
        with self._lock:
            try:
                match notice:
                    case messages.Report():
                        self._take_values(notice.item, notice.attempt, notice.series)
                    case messages.Packages():
                        self._archive.observer.take_packages(notice.versions, notice.node)
            except StoreError as error:
                self.broken = str(error)
            except Exception as error:  # noqa: BLE001  nobody waits to be told of it
                name, kind = type(notice).__name__, type(error).__name__
                self.broken = masked(f"{name}: {kind}: {error}")

    def poll(self) -> None:
        """Answer requests whose samplers are imported, or whose share another session has freed."""
        with self._lock:
            if self.shares.waiting or self._has_loaded:
                self._has_loaded = False
                self._queue.retry()

    def release(self) -> None:
        """Answer the first waiting request from what is known: nothing more is coming."""
        with self._lock:
            self._queue.force_first()

    def died(self, worker: str, *, node_lost: bool = False) -> None:
        """Take note that a runner died, over whatever it was running.

        Args:
            worker: Its name.
            node_lost: Whether it died with its node, or cannot be reached: then the trial has its
                own, larger number of tries.
        """
        with self._lock:
            # It waits no more; an answer would start an attempt that nobody works on.
            self._queue.forget(worker)
            self._free(worker)
            if node_lost:
                self._lost_nodes.add(worker)
            for nodeid, (run, key) in self._trials.items():
                started = run.study.running.get(key)
                if started is not None and started.worker == worker:
                    self._retries[nodeid, worker] = self._crash(nodeid, worker)
            for run in self.runs.values():
                for key in run.study.withdraw(worker):
                    run.artifacts.finish(key, saved=False)
            self._finish(worker, saved=False)
            self._queue.retry()

    def crash(self, nodeid: str, worker: str) -> bool:
        """Take note over which item a runner died; return whether the item is due again."""
        with self._lock:
            if (nodeid, worker) in self._retries:
                return self._retries[nodeid, worker]
            again = nodeid in self._trials and self._crash(nodeid, worker)
            self._queue.retry()
            return again

    def _free(self, worker: str) -> None:
        try:
            self.shares.free(worker)
        except StoreError as error:
            self.broken = self.broken or str(error)

    def _crash(
        self, nodeid: str, worker: str, reason: str = "", seconds: float | None = None
    ) -> bool:
        run, key = self._trials[nodeid]
        if key in run.study.records:
            run.study.died_after_end(key, worker, reason)
            return False
        started = run.study.running.get(key)
        if started is not None and started.worker != worker:
            return True
        try:
            lost = worker in self._lost_nodes
            again = run.study.crash(key, worker, reason, seconds, node_lost=lost)
        except StoreError as error:
            self.broken = self.broken or str(error)
            return False
        if not again:
            self._ended(run, run.study.records[key])
        return again

    def lost(self) -> dict[str, list[str]]:
        """The items whose trials have not ended, by study."""
        with self._lock:
            return {
                study.nodeid: [
                    slot for slot, key in study.slots.items() if key not in study.records
                ]
                for study in (run.study for run in self.runs.values())
                if not study.done
            }

    def results(self) -> list[StudyResults]:
        """The results of all studies, in the order of collection."""
        with self._lock:
            return [run.results() for run in self.runs.values()]

    def sweep_run(self, study: str, name: str) -> SweepRun:
        """A sweep of a study in this run, for trackers; the run exists."""
        with self._lock:
            return self.runs[study].sweep(name)

    def stored_curves(self, study: str) -> Mapping[tuple[Key, int], Mapping[str, TimedSeries]]:
        """What the run's trials reported, by trial and attempt."""
        return self.runs[study].log.curves()

    def close(self) -> None:
        """Close all runs; what is recorded is on disk."""
        with self._lock:
            for worker in list(self._current):
                self._finish(worker, saved=False)
            for run in self.runs.values():
                run.artifacts.close()
            self._background.close()
            for run in self.runs.values():
                with contextlib.suppress(StoreError):
                    run.log.end()
                run.log.close()
            self.shares.close()
            self._archive.observer.close()

    def _emit(self, kind: Callable[..., Event], *about: object) -> None:
        if self._listeners:
            event = kind(*about)
            for listener in tuple(self._listeners):
                listener(event)

    def _reply(self, worker: str, request: messages.AnyRequest, force: bool) -> messages.Reply:
        """What to reply; an error that does not end the session is part of it."""
        # In a broken session nothing starts, and what runs is recorded if it can be.
        if self.broken and not isinstance(
            request, messages.Finish | messages.ItemFailed | messages.Tell | messages.View
        ):
            return messages.Refused(self.broken, ends_session=True)
        try:
            return self._answer(worker, request, force=force)
        except (NotYetError, KeyboardInterrupt):
            raise
        except (StoreError, PrunerError) as error:
            self.broken = str(error)
            return messages.Refused(self.broken, ends_session=True)
        except BaseException as error:  # noqa: BLE001  a sampler may do anything: the runner waits
            return self._refuse(request, error)

    def _answer(self, worker: str, request: messages.AnyRequest, *, force: bool) -> messages.Reply:  # noqa: C901, PLR0911, PLR0912  one case for each type
        match request:
            case messages.Ask() | messages.Claim():
                self._finish(worker, saved=False)
                begins = isinstance(request, messages.Ask)
                return self._hand_out(worker, request.item, begins=begins, force=force)
            case messages.Tell():
                return self._tell(worker, request)
            case messages.ItemFailed():
                return self._item_failed(request)
            case messages.Review():
                return self._review(request)
            case messages.Finish():
                if worker in self._told:
                    self._torn_down[worker] = self._told[worker][0]
                self._finish(worker, saved=request.saved)
                return messages.Done()
            case messages.Skip():
                self._finish(worker, saved=False)
                self._free(worker)  # what a trial was given that has not begun
                return self._skip(request)
            case messages.Crash():
                self._begin(*self._trials[request.item])
                again = self._crash(request.item, worker, request.reason, request.seconds)
                self._finish(worker, saved=False)
                return messages.CrashVerdict(again)
            case messages.View():
                return self._view(request, force=force)
            case messages.Hello():
                return messages.Known(request.digest == self._digest)
            case messages.Plan():
                return self._plan(worker, request)
            case messages.Requirements():
                return messages.PackageVersions(self.packages)
            case messages.OtherVersions():
                self.other_versions[worker] = request.versions
                return messages.Done()
            case messages.Durations():
                return self._durations()

    def _refuse(self, request: messages.AnyRequest, error: BaseException) -> messages.Refused:
        """Say what went wrong; a trial that cannot be handed out has ended."""
        if isinstance(error, SamplerError):
            reason = details = masked(str(error))
        else:
            reason = masked(f"{type(error).__name__}: {error_text(error)}")
            details = f"{reason}\n\n{masked(''.join(format_exception(error)))}"
        if isinstance(request, messages.Ask | messages.Claim):
            run, key = self._trials[request.item]
            self._ended(run, run.study.skip(key, reason))
        return messages.Refused(details)

    def _priority(self, request: messages.AnyRequest) -> tuple[int, int]:
        """Trials by number, then tests that look at results."""
        if isinstance(request, messages.Ask | messages.Claim):
            return 0, self._trials[request.item][1].number
        return 1, 0

    def _plan(self, worker: str, plan: messages.Plan) -> messages.Done | messages.Refused:
        if self._digest:  # a worker with another one gets no tests
            return messages.Done()
        self.broken = self.shares.refusal(plan.studies)
        if self.broken:
            return messages.Refused(self.broken, ends_session=True)
        for each in plan.studies:
            run = opened(
                each,
                self._archive,
                self._samplers,
                self._background,
                baseline=self._baseline,
                start=self._start,
            )
            self.runs[each.nodeid] = run
            self._trials.update((item, (run, key)) for item, key in run.study.slots.items())
            if worker:  # else tests run in this process, and imports would disturb them
                self._preload({sweep.strategy for sweep in run.study.sweeps.values()})
        self._digest = plan.digest
        return messages.Done()

    def _preload(self, strategies: set[str]) -> None:
        """Import what samplers need beside the session: trials of other sweeps do not wait."""
        for strategy in strategies - self._loading:
            sampler = self._samplers(strategy)
            if isinstance(sampler, Preloaded):
                self._loading.add(strategy)
                self._background.submit(partial(self._load, strategy, sampler))

    def _load(self, strategy: str, sampler: Preloaded) -> None:
        with contextlib.suppress(Exception):  # the first proposal will say it
            sampler.preload()
        # Without the lock: whoever holds it may wait for this thread.
        self._loading.discard(strategy)
        self._has_loaded = True

    def _durations(self) -> messages.TrialDurations:
        studies = [run.study for run in self.runs.values()]
        return messages.TrialDurations(
            {item: s for study in studies for item, s in study.durations.items()}
        )

    def _hand_out(
        self, worker: str, item: str, *, begins: bool, force: bool = False
    ) -> messages.Assignment:
        run, key = self._trials[item]
        study = run.study
        known = key in study.records
        loads = study.sweeps[key.sweep].strategy in self._loading
        if loads and not force and not study.proposals.is_decided(key.sweep, key.number):
            raise NotYetError
        with self.shares.offer(worker, study.sweeps[key.sweep]) as offer:
            closed = self._closed()
            answer = study.ask(
                key, worker, force=force, closed=closed, take=offer.take, begins=begins
            )
            share = offer.keep() if isinstance(answer, Attempt) else None
        if isinstance(answer, Attempt):
            path = run.artifacts.start(key, answer)
            if begins:
                self._begun(run, key, answer)
            return messages.RunTrial(answer.params, answer.seed, answer.number, path, share)
        if not known:
            self._ended(run, answer)
        if answer.cached:
            return messages.ReplayTrial(answer)
        return messages.SkipTrial(answer.state, answer.reason)

    def _begin(self, run: StudyRun, key: Key, number: int | None = None) -> None:
        """Let a trial begin that was handed out ahead; nothing if it has begun.

        Args:
            run: The run.
            key: The trial.
            number: Which attempt says so; late messages of one that was given up begin no other.
        """
        attempt = run.study.reserved.get(key)
        if attempt and number in {None, attempt.number}:
            run.study.begin(key)
            self._begun(run, key, attempt)

    def _begun(self, run: StudyRun, key: Key, attempt: Attempt) -> None:
        """Take note that a trial begins: the one before is torn down."""
        self._finish(attempt.worker, saved=False)
        self._current[attempt.worker] = run, key
        self._emit(Started, run.study, key, attempt)

    def _review(self, request: messages.Review) -> messages.PruneVerdict:
        self._take_values(request.item, request.attempt, request.series)
        run, key = self._trials[request.item]
        return messages.PruneVerdict(run.study.verdict(key, request.attempt))

    def _take_values(self, item: str, attempt: int, series: Mapping[str, Packed]) -> None:
        run, key = self._trials[item]
        self._begin(run, key, attempt)
        if trial := run.take_values(key, attempt, series):
            self._emit(Reported, run.study, trial, series)

    def _tell(self, worker: str, request: messages.Tell) -> messages.Told | messages.Refused:
        run, key = self._trials[request.item]
        study = run.study
        refused: messages.Refused | None = None
        attempt = study.reserved.get(key)
        if attempt and attempt.number == request.attempt:
            self._begun(run, key, attempt)
        try:
            record = study.tell(key, request.attempt, request.outcome)
        except ValueError as error:
            refused = messages.Refused(f"the trial's metrics and logged values make {error}")
            outcome = request.outcome.without_values(refused.reason)
            record = study.tell(key, request.attempt, outcome)
        if record is None:
            return messages.Told(best=False)
        self._told[worker] = request.item, request.outcome.failed
        self._ended(run, record)
        return refused or messages.Told(study.is_best(record))

    def _item_failed(self, request: messages.ItemFailed) -> messages.Done:
        run, key = self._trials[request.item]
        how = {"reason": request.reason, "error": request.error}
        record = run.study.item_failed(key, request.attempt, keeps_score=request.keeps_score, **how)
        if record is not None and not request.keeps_score:
            self._ended(run, record)
        return messages.Done()

    def _skip(self, request: messages.Skip) -> messages.Done:
        run, key = self._trials[request.item]
        self._ended(run, run.study.skip(key, request.reason))
        return messages.Done()

    def _finish(self, worker: str, *, saved: bool) -> None:
        """Take note that a worker's item is torn down, as its next message says at the latest."""
        if worker in self._current:
            run, key = self._current.pop(worker)
            run.artifacts.finish(key, saved=saved)
            self._free(worker)

    def _ended(self, run: StudyRun, record: TrialRecord) -> None:
        run.artifacts.ended(record)
        self._emit(Ended, run.study, record)

    def _view(
        self, request: messages.View, *, force: bool
    ) -> messages.StudyState | messages.NoSuchStudy | messages.Unfinished:
        # Studies go by node id, or by the end of it: ``test_mlp``, ``test_mlp[cifar]``.
        matches = called(self.runs, request.study)
        if not matches:
            return self._stored(request.study)
        if len(matches) > 1:
            return messages.NoSuchStudy(matches, list(self.runs))
        run = self.runs[matches[0]]
        own = run.study.is_due(request.item)
        ahead = run.study.left - own
        if not request.wait or (not ahead and (own or force or run.artifacts.idle)):
            return run.state()
        if own or force:  # a trial that waits for its own study would wait for itself
            return messages.Unfinished(run.study.nodeid, ahead)
        raise NotYetError

    def _stored(self, name: str) -> messages.StudyState | messages.NoSuchStudy:
        """A study that this session does not run, as its newest run left it."""
        stored = self._archive.studies()
        matches = called(stored, name)
        if len(matches) != 1:
            return messages.NoSuchStudy(matches, [*dict.fromkeys([*self.runs, *stored])])
        return stored_state(newest(stored[matches[0]]))
