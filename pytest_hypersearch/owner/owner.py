"""The owner: the one place where studies live, whoever runs their trials.

Runners send it `pytest_hypersearch.messages` over a link and get the replies.
"""

from __future__ import annotations

import contextlib
import traceback
from dataclasses import asdict, replace
from threading import RLock
from typing import TYPE_CHECKING

from pytest_hypersearch.marks import Sweep
from pytest_hypersearch.messages import UNANSWERED
from pytest_hypersearch.naming import called
from pytest_hypersearch.owner.background import Background
from pytest_hypersearch.owner.desk import Desk
from pytest_hypersearch.owner.events import Ended, Reported, Started, SweepRun
from pytest_hypersearch.owner.keeping import Keeper
from pytest_hypersearch.owner.outcome import empty_outcome
from pytest_hypersearch.owner.proposals import NotYetError
from pytest_hypersearch.owner.study import Study
from pytest_hypersearch.pruners.travel import PrunerError, unpickled
from pytest_hypersearch.resources.shares import Shares
from pytest_hypersearch.samplers.proposal import SamplerError
from pytest_hypersearch.store.journal import StoreError
from pytest_hypersearch.store.runs import digest
from pytest_hypersearch.trial import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_hypersearch.curves import Series
    from pytest_hypersearch.messages import Message
    from pytest_hypersearch.owner.desk import Answer
    from pytest_hypersearch.owner.events import Event, Listener
    from pytest_hypersearch.results import StudyResults
    from pytest_hypersearch.samplers import Sampler
    from pytest_hypersearch.store.archive import Archive, RunLog
    from pytest_hypersearch.trial import TrialRecord


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
        self.studies: dict[str, Study] = {}
        self.broken = ""
        self._samplers = samplers
        self._archive = archive
        self._listeners: list[Listener] = []
        self._closed = closed
        self._shares = shares or Shares()
        self._logs: dict[str, RunLog] = {}
        self._keepers: dict[str, Keeper] = {}
        self._background = Background(archive.warn)
        self._at_work: dict[str, tuple[Keeper, Key]] = {}
        self._slots: dict[str, tuple[Study, Key]] = {}
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
            return not all(study.done for study in self.studies.values())

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
            for nodeid, (study, key) in self._slots.items():
                started = study.running.get(key)
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
        study, key = self._slots[nodeid]
        if key in study.records:
            return False
        started = study.running.get(key)
        if started is not None and started.worker != worker:
            return True
        try:
            again = study.crash(key, worker, reason, seconds)
        except StoreError as error:
            self.broken = self.broken or str(error)
            return False
        if not again:
            self._ended(study, study.records[key])
        return again

    def lost(self) -> dict[str, list[str]]:
        """The items whose trials have not ended, by study."""
        with self._lock:
            return {
                study.nodeid: [
                    slot for slot, key in study.slots.items() if key not in study.records
                ]
                for study in self.studies.values()
                if not study.done
            }

    def results(self) -> list[StudyResults]:
        """The results of all studies, in the order of collection."""
        with self._lock:
            return [self._results(study) for study in self.studies.values()]

    def sweep_run(self, study: Study, name: str) -> SweepRun:
        """A sweep of a study in this run, for trackers; the run exists."""
        with self._lock:
            log = self._logs[study.nodeid]
            return SweepRun(
                id=digest(f"{log.run_id}\n{name}"),
                nodeid=study.nodeid,
                info=study.info(study.sweeps[name]),
                directory=log.path,
                provenance=log.provenance(),
            )

    def stored_curves(self, study: str) -> Mapping[tuple[Key, int], Mapping[str, Series]]:
        """What the run's trials reported, by trial and attempt."""
        return self._logs[study].curves()

    def close(self) -> None:
        """Close all runs; what is recorded is on disk."""
        with self._lock:
            for worker in list(self._at_work):
                self._torn_down(worker, saved=False)
            for keeper in self._keepers.values():
                keeper.close()
            self._background.close()
            for log in self._logs.values():
                with contextlib.suppress(StoreError):
                    log.end()
                log.close()
            self._shares.close()
            self._archive.observer.close()

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _reply(self, worker: str, message: Message, *, force: bool) -> Message:
        """What to answer; an error that is not the sweep's end is part of it."""
        if self.broken and message["op"] != "view":
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
                self.broken = f"{message['op']}: {type(error).__name__}: {error}"
            return {"error": self._fault(message, error)}
        return reply

    def _fault(self, message: Message, error: BaseException) -> str:
        """What to say of an error; a trial that cannot be handed out has ended."""
        known = isinstance(error, SamplerError)
        if message["op"] == "ask":
            study, key = self._slots[message["slot"]]
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            self._ended(study, study.skip(key, reason))
        return str(error) if known else "".join(traceback.format_exception(error))

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
                self._add(plan)
            self._digest = message["digest"]
        return {}

    def _add(self, plan: Message) -> None:
        nodeid = plan["nodeid"]
        pruners = {name: unpickled(text) for name, text in plan["pruners"].items()}
        sweeps = [
            replace(Sweep.from_json(data), prune=pruners.get(data["name"]))
            for data in plan["sweeps"]
        ]
        log = self._archive.open(nodeid, plan)
        slots = {
            slot: Key(sweeps[place].name, number, replicate)
            for slot, place, number, replicate in plan["slots"]
        }
        samplers = {sweep.name: self._samplers(sweep.strategy) for sweep in sweeps}
        study = Study(
            nodeid,
            sweeps,
            slots=slots,
            samplers=samplers,
            write=log.write,
            stored=log.stored,
            curves=log.curves,
        )
        self.studies[nodeid], self._logs[nodeid] = study, log
        self._keepers[nodeid] = Keeper(study, log, self._background)
        self._slots.update((slot, (study, key)) for slot, key in slots.items())

    def _on_past(self, _worker: str, _message: Message, *, force: bool) -> Message:  # noqa: ARG002
        studies = self.studies.values()
        return {"durations": {item: s for study in studies for item, s in study.durations.items()}}

    def _on_ask(self, worker: str, message: Message, *, force: bool) -> Message:
        self._torn_down(worker, saved=False)
        study, key = self._slots[message["slot"]]
        ended = key in study.records
        with self._shares.offer(worker, study.sweeps[key.sweep]) as offer:
            reply = study.ask(key, worker, force=force, closed=self._closed(), take=offer.take)
            if reply["do"] == "run":
                reply |= offer.keep()
        if reply["do"] == "run":
            keeper = self._keepers[study.nodeid]
            self._at_work[worker] = keeper, key
            reply["path"] = keeper.start(key, reply)
            if trial := study.under_way(key, reply["attempt"]):
                self._emit(Started(study, trial))
        elif not ended:
            self._ended(study, study.records[key])
        return reply

    def _on_report(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        self._take_curve(message)
        return {}

    def _on_review(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        study, key = self._slots[message["slot"]]
        self._take_curve(message)
        return {"prune": study.verdict(key, message["attempt"])}

    def _take_curve(self, message: Message) -> None:
        study, key = self._slots[message["slot"]]
        series, attempt = message["series"], message["attempt"]
        if series:
            head = {"k": "curve", **key._asdict(), "attempt": attempt}
            self._logs[study.nodeid].write_curve(head, series)
            study.report(key, attempt, series)
            if trial := study.under_way(key, attempt):
                self._emit(Reported(study, trial, series))

    def _on_tell(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        study, key = self._slots[message["slot"]]
        reply: Message = {}
        try:
            record = study.tell(key, message["attempt"], message["outcome"])
        except ValueError as error:
            reply["error"] = f"the trial's metrics and logged values make {error}"
            outcome = empty_outcome(message["outcome"], reply["error"])
            record = study.tell(key, message["attempt"], outcome)
        if record is None:
            return {"best": False}
        self._ended(study, record)
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
            keeper, key = self._at_work.pop(worker)
            keeper.over(key, saved=saved)
            self._free(worker)

    def _ended(self, study: Study, record: TrialRecord) -> None:
        self._keepers[study.nodeid].ended(record)
        self._emit(Ended(study, record))

    def _on_skip(self, worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        self._torn_down(worker, saved=False)
        study, key = self._slots[message["slot"]]
        self._ended(study, study.skip(key, message["reason"]))
        return {}

    def _on_saw(self, _worker: str, message: Message, *, force: bool) -> Message:  # noqa: ARG002
        self._archive.observer.packages.update(message["packages"])
        return {}

    def _on_view(self, _worker: str, message: Message, *, force: bool) -> Message:
        found = self._find(message["study"])
        if len(found) != 1:
            known = [study.nodeid for study in found or self.studies.values()]
            return {"count": len(found), "found": known}
        study = found[0]
        keeper = self._keepers[study.nodeid]
        if message["wait"] and not force and not (study.done and keeper.quiet):
            raise NotYetError
        return {
            "results": self._results(study).to_json(),
            "suggestions": [asdict(suggestion) for suggestion in study.proposals.suggestions()],
            "paths": keeper.paths(),
        }

    def _find(self, name: str) -> list[Study]:
        """Studies by node id, or by the end of it: ``test_mlp``, ``test_mlp[cifar]``."""
        return [self.studies[nodeid] for nodeid in called(self.studies, name)]

    def _results(self, study: Study) -> StudyResults:
        log, saved = self._logs[study.nodeid], self._keepers[study.nodeid].directory()
        results = study.results()
        return replace(results, notes=(*results.notes, *log.notes), run=log.path, saved=saved)
