"""The owner: the one place where studies live, whoever runs their trials.

Runners send it `pytest_hypersearch.engine.messages` over a link and get the replies.
"""

from __future__ import annotations

import contextlib
from threading import RLock
from traceback import format_exception
from typing import TYPE_CHECKING, Final

from pytest_hypersearch.core.errors import NotYetError, PrunerError, SamplerError, StoreError
from pytest_hypersearch.core.secrets import masked
from pytest_hypersearch.core.study import called
from pytest_hypersearch.core.values import error_text
from pytest_hypersearch.engine.artifacts import Background
from pytest_hypersearch.engine.events import Ended, Reported, Started
from pytest_hypersearch.engine.messages import UNANSWERED
from pytest_hypersearch.engine.records import empty_outcome
from pytest_hypersearch.engine.request_queue import Desk
from pytest_hypersearch.engine.resources.shares import Shares
from pytest_hypersearch.engine.study_run import StudyRun, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_hypersearch.core.contracts import Sampler
    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.trial import Key, TrialRecord
    from pytest_hypersearch.engine.events import Event, Listener, SweepRun
    from pytest_hypersearch.engine.messages import Message
    from pytest_hypersearch.engine.request_queue import Answer
    from pytest_hypersearch.store.archive import Archive
    from pytest_hypersearch.store.curves import Series


# What is done in a broken session too: nothing starts, what runs is recorded if it can be.
_GOES_ON: Final = frozenset({"over", "report", "tell", "view"})


class Owner:
    """Studies, samplers, journals and retries of one session.

    Args:
        samplers: The sampler of a strategy.
        archive: Where runs are kept.
        closed: Tells why nothing is to start any more, empty while trials should.
        shares: Gives trials what they demand of the machine.
    """

    def __init__(
        self,
        samplers: Callable[[str], Sampler],
        archive: Archive,
        closed: Callable[[], str] = str,
        shares: Shares | None = None,
    ) -> None:
        self.runs: dict[str, StudyRun] = {}
        self.broken = ""
        self._samplers = samplers
        self._archive = archive
        self._listeners: list[Listener] = []
        self._closed = closed
        self._shares = shares or Shares()
        self._background = Background(archive.warn)
        self._at_work: dict[str, tuple[StudyRun, Key]] = {}
        self._slots: dict[str, tuple[StudyRun, Key]] = {}
        self._verdicts: dict[tuple[str, str], bool] = {}
        self._digest = ""
        self._desk = Desk(self._reply, self._order)
        self._lock = RLock()

    def listen(self, listener: Listener) -> None:
        """Tell a listener what happens from now on; it is called by any thread, one at a time."""
        self._listeners.append(listener)

    @property
    def waiting(self) -> list[str]:
        """The items that wait for results of others."""
        with self._lock:
            return [
                message["slot"]
                for worker, message in self._desk.waiting
                if worker not in self._shares.waiting
            ]

    @property
    def unfinished(self) -> bool:
        """Whether a trial of the plan has not ended."""
        with self._lock:
            return not all(run.study.done for run in self.runs.values())

    def plans(self, item: str) -> bool:
        """Whether an item is a trial of the plan."""
        return item in self._slots

    def handle(self, worker: str, message: Message, answer: Answer) -> None:
        """Take a message of a runner; the answer may be given later, by another thread."""
        with self._lock:
            self._desk.take(worker, message, answer)

    def poll(self) -> None:
        """Look whether other sessions on this machine have freed what a trial waits for."""
        with self._lock:
            if self._shares.waiting:
                self._desk.look_again()

    def release(self) -> None:
        """Answer the first waiting message from what is known: nothing more is coming."""
        with self._lock:
            self._desk.force_first()

    def died(self, worker: str) -> None:
        """Take note that a runner died, over whatever it was running."""
        with self._lock:
            # It waits no more; an answer would start an attempt that nobody works on.
            self._desk.forget(worker)
            self._free(worker)
            for nodeid, (run, key) in self._slots.items():
                started = run.study.running.get(key)
                if started is not None and started.worker == worker:
                    self._verdicts[nodeid, worker] = self._crash(nodeid, worker)
            self._torn_down(worker, saved=False)
            self._desk.look_again()

    def crash(self, nodeid: str, worker: str) -> bool:
        """Take note over which item a runner died; return whether the item is due again."""
        with self._lock:
            if (nodeid, worker) in self._verdicts:
                return self._verdicts[nodeid, worker]
            again = nodeid in self._slots and self._crash(nodeid, worker)
            self._desk.look_again()
            return again

    def _free(self, worker: str) -> None:
        try:
            self._shares.free(worker)
        except StoreError as error:
            self.broken = self.broken or str(error)

    def _crash(
        self, nodeid: str, worker: str, reason: str = "", seconds: float | None = None
    ) -> bool:
        run, key = self._slots[nodeid]
        if key in run.study.records:
            return False
        started = run.study.running.get(key)
        if started is not None and started.worker != worker:
            return True
        try:
            again = run.study.crash(key, worker, reason, seconds)
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

    def stored_curves(self, study: str) -> Mapping[tuple[Key, int], Mapping[str, Series]]:
        """What the run's trials reported, by trial and attempt."""
        return self.runs[study].log.curves()

    def close(self) -> None:
        """Close all runs; what is recorded is on disk."""
        with self._lock:
            for worker in list(self._at_work):
                self._torn_down(worker, saved=False)
            for run in self.runs.values():
                run.keeper.close()
            self._background.close()
            for run in self.runs.values():
                with contextlib.suppress(StoreError):
                    run.log.end()
                run.log.close()
            self._shares.close()
            self._archive.observer.close()

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _reply(self, worker: str, message: Message, *, force: bool) -> Message:
        """What to answer; an error that is not the sweep's end is part of it."""
        if self.broken and message["op"] not in _GOES_ON:
            return {"stop": self.broken}
        try:
            reply: Message = getattr(self, f"_on_{message['op']}")(worker, message, force=force)
        except (NotYetError, KeyboardInterrupt):
            raise
        except (StoreError, PrunerError) as error:
            self.broken = str(error)
            return {"stop": self.broken}
        except BaseException as error:  # noqa: BLE001  a sampler may do anything: the runner waits
            if message["op"] in UNANSWERED:
                self.broken = masked(f"{message['op']}: {type(error).__name__}: {error}")
            return {"error": self._fault(message, error)}
        return reply

    def _fault(self, message: Message, error: BaseException) -> str:
        """What to say of an error; a trial that cannot be handed out has ended."""
        known = isinstance(error, SamplerError)
        reason = masked(str(error) if known else f"{type(error).__name__}: {error_text(error)}")
        if message["op"] == "ask":
            run, key = self._slots[message["slot"]]
            self._ended(run, run.study.skip(key, reason))
        return reason if known else f"{reason}\n\n{masked(''.join(format_exception(error)))}"

    def _order(self, message: Message) -> tuple[int, int]:
        """Trials by number, then those who want to look at results."""
        if message["op"] != "ask":
            return 1, 0
        return 0, self._slots[message["slot"]][1].number

    def _on_hello(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        return {"known": message["digest"] == self._digest}

    def _on_plan(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        if message["digest"] != self._digest:
            self.broken = self._shares.refusal(message["studies"])
            if self.broken:
                return {"stop": self.broken}
            for plan in message["studies"]:
                run = opened(plan, self._archive, self._samplers, self._background)
                self.runs[plan["nodeid"]] = run
                self._slots.update((slot, (run, key)) for slot, key in run.study.slots.items())
            self._digest = message["digest"]
        return {}

    def _on_past(self, _worker: str, _message: Message, *, force: bool) -> Message:  # noqa: ARG002
        studies = [run.study for run in self.runs.values()]
        return {"durations": {item: s for study in studies for item, s in study.durations.items()}}

    def _on_ask(self, worker: str, message: Message, *, force: bool) -> Message:
        self._torn_down(worker, saved=False)
        run, key = self._slots[message["slot"]]
        study = run.study
        ended = key in study.records
        with self._shares.offer(worker, study.sweeps[key.sweep]) as offer:
            reply = study.ask(key, worker, force=force, closed=self._closed(), take=offer.take)
            if reply["do"] == "run":
                reply |= offer.keep()
        if reply["do"] == "run":
            self._at_work[worker] = run, key
            reply["path"] = run.keeper.start(key, reply)
            if trial := study.under_way(key, reply["attempt"]):
                self._emit(Started(study, trial))
        elif not ended:
            self._ended(run, study.records[key])
        return reply

    def _on_report(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        self._take_curve(message)
        return {}

    def _on_review(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        run, key = self._slots[message["slot"]]
        self._take_curve(message)
        return {"prune": run.study.verdict(key, message["attempt"])}

    def _take_curve(self, message: Message) -> None:
        run, key = self._slots[message["slot"]]
        if trial := run.take_curve(key, message):
            self._emit(Reported(run.study, trial, message["series"]))

    def _on_tell(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        run, key = self._slots[message["slot"]]
        study = run.study
        reply: Message = {}
        try:
            record = study.tell(key, message["attempt"], message["outcome"])
        except ValueError as error:
            reply["error"] = f"the trial's metrics and logged values make {error}"
            outcome = empty_outcome(message["outcome"], reply["error"])
            record = study.tell(key, message["attempt"], outcome)
        if record is None:
            return {"best": False}
        self._ended(run, record)
        return {**reply, "best": study.is_best(record)}

    def _on_crash(self, worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        again = self._crash(message["slot"], worker, message["reason"], message["seconds"])
        self._torn_down(worker, saved=False)
        return {"again": again}

    def _on_over(self, worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        self._torn_down(worker, saved=message["saved"])
        return {}

    def _torn_down(self, worker: str, *, saved: bool) -> None:
        """The item that a worker was at is over, which its next message tells at the latest."""
        if worker in self._at_work:
            run, key = self._at_work.pop(worker)
            run.keeper.over(key, saved=saved)
            self._free(worker)

    def _ended(self, run: StudyRun, record: TrialRecord) -> None:
        run.keeper.ended(record)
        self._emit(Ended(run.study, record))

    def _on_skip(self, worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        self._torn_down(worker, saved=False)
        run, key = self._slots[message["slot"]]
        self._ended(run, run.study.skip(key, message["reason"]))
        return {}

    def _on_saw(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        self._archive.observer.packages.update(message["packages"])
        return {}

    def _on_view(self, _worker: str, message: Message, *, force: bool) -> Message:
        # Studies go by node id, or by the end of it: ``test_mlp``, ``test_mlp[cifar]``.
        found = called(self.runs, message["study"])
        if len(found) != 1:
            return {"count": len(found), "found": found or [*self.runs]}
        run = self.runs[found[0]]
        if message["wait"] and not force and not (run.study.done and run.keeper.quiet):
            raise NotYetError
        return run.view()
