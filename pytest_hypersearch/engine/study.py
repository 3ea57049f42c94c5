"""A study: the trials of one test's sweeps, from being asked for to being told.

The study decides which configuration a trial gets, knows what is due, running and done, and records
each step in the journal before it is acknowledged. It knows neither pytest nor where trials run.

The life of a trial, with who causes each step, the method that takes it, and its journal record::

    due -----------+-- runner asks: `ask` -> running                     start (suggest before it)
                   +-- worker claims it with the end of the one before:
                   |   `ask` -> reserved                                 suggest, if it was proposed
                   +-- runner asks, and it is stored: `ask` -> replayed  replay, if its item is new
                   +-- runner asks, and a budget, a stop rule or the
                   |   space is used up: `ask` -> not run                none: due when resumed
                   +-- runner asks, and the race is lost: `ask`
                   |   -> raced out                                      skip
                   +-- item skips or fails before its test: `skip`
                   |   -> not run                                        none; end if begun
    reserved ------+-- pytest begins with its item: `begin` -> running   start
                   +-- runner tells the outcome first: `tell`
                   |   -> complete, ...                                  start and end together
                   +-- worker is gone: `withdraw` -> due                 none
    running -------+-- runner reports values: `report` -> running        curve, in its own file
                   +-- runner tells the outcome: `tell` -> complete,
                   |   failed, invalid, pruned, timed out or not run     end
                   +-- owner hears that the process died: `crash`
                   |   -> due again while retries are left, then crashed;
                   |   timed out if its time was up                      crash, or end
                   +-- session ends -> not run: interrupted              none: due when resumed
    ended ---------+-- item fails after that: `item_failed` -> failed,
                   |   or as it was if only the teardown failed          failed: due when resumed
                   +-- another plugin repeats the item: `ask` -> running start

Every `ask` that hands a trial out begins another attempt. Messages that name an earlier one come
from a process that was given up, and are dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from pytest_hypersearch.core.contracts import Sampler
from pytest_hypersearch.core.space import same_config
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import (
    Attempt,
    Config,
    Key,
    Outcome,
    State,
    TrialRecord,
    ended,
    trial_seed,
    under_way,
)
from pytest_hypersearch.core.values import monotonic, plural, wall
from pytest_hypersearch.engine.proposals import Proposals
from pytest_hypersearch.engine.pruning import Pruning, StoredCurves
from pytest_hypersearch.engine.racing import Looks, Rounds
from pytest_hypersearch.engine.stopping import PlanProgress, Stopping
from pytest_hypersearch.search.samplers import Table
from pytest_hypersearch.stats.ranking import BestSoFar
from pytest_hypersearch.store import records
from pytest_hypersearch.store.curves import Packed
from pytest_hypersearch.store.reader import Stored
from pytest_hypersearch.store.records import Record

NODE_LOSSES = 10
"""How often a trial is run again because its node was lost."""


class Write(Protocol):
    """Puts records into the journal together, or raises `StoreError`."""

    def __call__(self, *records: Record) -> None:
        """Write them."""


class Study:
    """The trials of one test's sweeps, for one combination of the test's other parameters.

    Args:
        nodeid: The test without the trials' part.
        sweeps: Its sweeps.
        slots: The trials of this session's plan, by the node id of their items.
        samplers: The sampler of each sweep, by the sweep's name.
        write: Puts records into the journal.
        stored: What earlier sessions left.
        tables: The configurations of all sweeps whose samplers look at no results.
        curves: Reads the curves that they left, by trial and attempt.
        replays: Configurations of a baseline that adaptive samplers' sweeps begin with.

    Attributes:
        records: The ended trials.
        reserved: The trials that are handed out and have not begun.
        running: The trials that runners work on.
        present: The stored trials that are in the plan.
    """

    def __init__(
        self,
        nodeid: str,
        sweeps: Iterable[Sweep],
        *,
        slots: Mapping[str, Key],
        samplers: Mapping[str, Sampler],
        write: Write,
        stored: Stored,
        tables: Mapping[str, Table],
        curves: Callable[[], StoredCurves] = dict,
        replays: Mapping[str, Sequence[Config]] = {},
        before: StudyResults | None = None,
    ) -> None:
        self.nodeid = nodeid
        self.sweeps = {sweep.name: sweep for sweep in sweeps}
        self.slots = dict(slots)
        settling = {
            name: sweep.at_least or 1
            for name, sweep in self.sweeps.items()
            if sweep.race or sweep.at_least
        }
        self.progress = PlanProgress(self.slots.values(), settling)
        self.records: Mapping[Key, TrialRecord] = self.progress.records
        self.rounds = Rounds(self.sweeps, self.slots.values(), self.progress)
        self.looks = Looks(self.sweeps, self.progress, self.results, before)
        self.pruning = Pruning(self.sweeps, curves)
        self.proposals = Proposals(
            self.sweeps,
            samplers,
            self.progress,
            tables=tables,
            stored=stored,
            reports=self.pruning.reports,
            write=write,
            replays=replays,
        )
        self.reserved: dict[Key, Attempt] = {}
        self.running: dict[Key, Attempt] = {}
        self.notes: list[str] = []
        self._write = write
        self._stored = stored
        self.present = stored.present()
        self._nodeids = {key: nodeid for nodeid, key in self.slots.items()}
        self._attempts = dict(stored.run.attempts)
        self._crashes: Counter[Key] = Counter()
        self._losses: Counter[Key] = Counter()
        self._spans: dict[str, tuple[float, float]] = {}
        infos = [self.info(sweep) for sweep in self.sweeps.values()]
        self.best = BestSoFar(infos)
        for record in self.others:
            self.best.add(record)
        self._stopping = {
            info.name: Stopping(rule, info)
            for info in infos
            if (rule := self.sweeps[info.name].stop)
        }
        self._recall()

    @property
    def done(self) -> bool:
        """Whether every trial of the plan has ended."""
        return self.progress.done

    @property
    def planned(self) -> int:
        """How many trials the sweeps have, whichever are selected."""
        return sum(sweep.n_trials * sweep.replicates for sweep in self.sweeps.values())

    @property
    def part(self) -> str:
        """Which part of the plan the session runs, empty if it runs all."""
        if len(self.slots) >= self.planned:
            return ""
        others = f", {len(self.others)} others as stored" if self.others else ""
        shard = self._stored.session.shard
        what = f"partial: shard {shard}, " if shard else ""
        return f"{what}{len(self.slots)} of {self.planned} trials selected{others}"

    @property
    def _lost_nodes(self) -> str:
        """How many trials were run again because their nodes were lost, empty if none."""
        lost = [
            key for key, losses in self._losses.items() if losses and not self._is_given_up(key)
        ]
        return f"{plural(len(lost), 'trial')} retried: node lost" if lost else ""

    @property
    def _doubt(self) -> str:
        """Which other configuration is best by the model of the leader's sampler; or empty."""
        if self.best.leader is None:
            return ""
        name, leader = self.best.leader
        number = self.proposals.recommended(name)
        if number in {None, leader}:
            return ""
        test = self.nodeid.rpartition("::")[2]
        return f"{test}: the model expects #{number} to be best; #{leader} may lead by noise"

    @property
    def _unjudged(self) -> list[str]:
        """The sweeps with a pruner that completed trials, and no trial reported the metric."""
        test = self.nodeid.rpartition("::")[2]
        records = self.records.values()
        completed = {each.sweep for each in records if each.state is State.COMPLETE}
        judged = {each.sweep for each in records if each.steps or each.state is State.PRUNED}
        return [
            f"{test}: prune= had no effect on {name}: no trial reported {sweep.metric}"
            for name, sweep in self.sweeps.items()
            if sweep.prune and name in completed - judged
        ]

    @cached_property
    def others(self) -> list[TrialRecord]:
        """The stored trials of the plan that are not selected."""
        if len(self.slots) >= self.planned:
            return []
        stored = (each for each in self.present.records() if each.key not in self._nodeids)
        return [replace(record, cached=True) for record in stored]

    @property
    def left(self) -> int:
        """How many trials of the plan have not ended."""
        return len(self.slots) - len(self.records)

    def is_fixed(self, name: str) -> bool:
        """Whether a sweep's trials run whatever came of others, as soon as a worker is free."""
        sweep = self.sweeps[name]
        depends = sweep.race or sweep.at_least or sweep.stop or sweep.resources
        return not depends and name in self.proposals.tables

    def is_over(self, name: str, number: int) -> bool:
        """Whether all planned trials of a configuration have ended, raced or not."""
        keys = (Key(name, number, replicate) for replicate in range(self.sweeps[name].replicates))
        return all(key in self.records for key in keys if key in self._nodeids)

    def is_due(self, item: str) -> bool:
        """Whether an item is that of a trial that has not ended."""
        return item in self.slots and self.slots[item] not in self.records

    @cached_property
    def durations(self) -> dict[str, float]:
        """Seconds that trials took in earlier sessions, by item."""
        stored = self.present.trials.items()
        own = {key: seconds for key, each in stored if (seconds := each.duration) is not None}
        known = {**self._stored.durations, **own}
        return {item: known[key] for item, key in self.slots.items() if key in known}

    def ask(
        self,
        key: Key,
        worker: str,
        *,
        force: bool = False,
        closed: str = "",
        take: Callable[[], None] = lambda: None,
        begins: bool = True,
    ) -> Attempt | TrialRecord:
        """Hand out a trial.

        Args:
            key: Which one.
            worker: Who will run it.
            force: Decide from what is known instead of raising `NotYetError`.
            closed: Why nothing is to start any more; what is stored is replayed all the same.
            take: Called before its configuration is proposed and again before it is started:
                takes what the trial needs, or raises `NotYetError`.
            begins: Whether its test begins at once; else `begin` or `tell` says so.

        Returns:
            The attempt that the worker is to make; else the trial's end: it is stored, or left out.

        Raises:
            NotYetError: Its configuration depends on trials that are still to end.
            StoreError: The journal cannot be written.
        """
        sweep = self.sweeps[key.sweep]
        stopping = self._stopping.get(key.sweep)
        self.reserved.pop(key, None)
        over = closed or (stopping.reason(self._under_way_in(key.sweep)) if stopping else "")
        if self._began(key):
            over = ""  # left out, a trial that failed or crashed and is repeated would pass
        if over:
            params: Config | None = self.proposals.known(key)
        else:
            # Proposed while the trial waits, it would not know of results that come meanwhile.
            if not self.proposals.is_decided(key.sweep, key.number):
                take()
            params = self.proposals.configuration(key.sweep, key.number, force=force)
        if params is None:
            return self._leave_out(key, {}, State.NOT_RUN, "search space exhausted")
        seed = trial_seed(sweep.seed, key.replicate)
        if record := self._replay(key, params, seed):
            return self._finish(key, record)
        if over:
            more = "; continue with --sweep-resume" if closed else ""
            self._note(f"{key.sweep} stopped early: {over}{more}")
            return self._leave_out(key, params, State.NOT_RUN, f"budget exhausted: {over}")
        if self._is_given_up(key):
            return self._record(key, params, State.NOT_RUN, reason="its process died too often")
        if (left_out := self._dropped(key, params, seed, force=force)) is not None:
            return left_out
        take()
        number = self._attempts.get(key, 0) + 1
        attempt = Attempt(params, seed, number, worker, round(wall(), 3), monotonic())
        self.reserved[key] = attempt
        if begins:
            self.begin(key)
        return attempt

    def begin(self, key: Key, *others: Record, ran: float = 0.0) -> None:
        """Take note that a trial that was handed out begins.

        Args:
            key: Which one.
            others: Records that are written together with that.
            ran: How many seconds ago it has begun.

        Raises:
            StoreError: The journal cannot be written.
        """
        # Handed out ahead, it has waited for the teardown of the trial before.
        attempt = self.reserved[key]
        attempt.started, attempt.since = round(wall() - ran, 3), monotonic() - ran
        start = records.StartRecord(
            *key,
            attempt.number,
            attempt.seed,
            attempt.params,
            attempt.worker,
            attempt.started,
            item=self._nodeids[key],
        )
        self._write(start, *others)
        del self.reserved[key]
        if key in self.records:
            self.progress.reopen(key)
            self.proposals.changed(key)
        self._attempts[key] = attempt.number
        self._spans.setdefault(key.sweep, (attempt.since, attempt.since))
        if key.sweep in self._stopping:
            self._stopping[key.sweep].start()
        self.pruning.start(key)
        self.running[key] = attempt

    def withdraw(self, worker: str) -> list[Key]:
        """Take back what was handed to a runner that is gone and had not begun; return it."""
        withdrawn = [key for key, attempt in self.reserved.items() if attempt.worker == worker]
        for key in withdrawn:
            del self.reserved[key]
        return withdrawn

    def _dropped(self, key: Key, params: Config, seed: int, *, force: bool) -> TrialRecord | None:
        """Leave a trial out that lost its race, or whose gate has decided; None if it is to run.

        A lost race is recorded; what a gate decides depends on its baseline, too.
        """
        if reason := self.rounds.out(key, force=force):
            self._write(records.SkipRecord(*key, seed, params, State.RACED_OUT, reason))
            return self._leave_out(key, params, State.RACED_OUT, reason)
        if reason := self.looks.out(key, force=force):
            return self._leave_out(key, params, State.NOT_RUN, reason)
        return None

    def tell(self, key: Key, attempt: int, outcome: Outcome) -> TrialRecord | None:
        """Take the end of a trial; None if that attempt was given up before.

        Raises:
            StoreError: The journal cannot be written.
        """
        end = records.end_of(key, attempt, outcome)
        if key in self.reserved and self.reserved[key].number == attempt:
            self.begin(key, end, ran=outcome.duration)
        elif self._runs(key, attempt):
            self._write(end)
        else:
            return None
        record = ended(self._nodeids[key], key, self.running.pop(key), outcome)
        return self._finish(key, record)

    def item_failed(
        self, key: Key, attempt: int, reason: str, error: str, *, keeps_score: bool
    ) -> TrialRecord | None:
        """Take note that a trial's item failed after the trial had ended: it is to run again.

        Returns:
            The trial; None if it is not this attempt that it ended with.

        Raises:
            StoreError: The journal cannot be written.
        """
        record = self.records.get(key)
        if record is None or record.attempt != attempt or record.cached:
            return None
        state = record.state if keeps_score else State.FAILED
        score = record.score if keeps_score else None
        self._write(records.FailedRecord(*key, attempt, state, reason, error))
        changed = replace(record, state=state, score=score, reason=reason, error=error)
        return self._finish(key, changed)

    def report(self, key: Key, attempt: int, series: Mapping[str, Packed]) -> None:
        """Take what a running trial reported; nothing if that attempt was given up before."""
        if self._runs(key, attempt):
            self.pruning.take(key, series)

    def verdict(self, key: Key, attempt: int) -> str:
        """Why a running trial should be pruned; empty if it should go on."""
        if not self._runs(key, attempt):
            return "this attempt was abandoned"
        return self.pruning.verdict(key)

    def skip(self, key: Key, reason: str) -> TrialRecord:
        """Take note that a trial's item ended before its test could begin."""
        self.reserved.pop(key, None)
        if key in self.running:
            outcome = Outcome(State.NOT_RUN, reason=reason)
            if record := self.tell(key, self.running[key].number, outcome):
                return record
        record = self._record(key, self.proposals.known(key), State.NOT_RUN, reason=reason)
        return self._finish(key, record)

    def crash(
        self,
        key: Key,
        worker: str,
        reason: str = "",
        seconds: float | None = None,
        *,
        node_lost: bool = False,
    ) -> bool:
        """Take note that the process that ran a trial is gone.

        A trial that was at its time limit has timed out: pytest-timeout may end the process.

        Args:
            key: Which trial.
            worker: Who ran it.
            reason: What is known of the death, if more than that the worker died.
            seconds: How long the trial ran; by default since it was handed out.
            node_lost: Whether it is no fault of the process: then `NODE_LOSSES` count, not retries.

        Returns:
            Whether the trial is due once more.
        """
        if key in self.records:
            return False
        reason = reason or (f"node lost: {worker}" if node_lost else f"{worker} died")
        started, limit = self.running.get(key), self.sweeps[key.sweep].timeout
        ran = monotonic() - started.since if started and seconds is None else seconds
        if started and limit and ran is not None and ran >= limit:
            reason = f"timeout > {limit:g} s: {reason}"
            outcome = Outcome(State.TIMED_OUT, duration=limit, reason=reason, failed=True)
            self.tell(key, started.number, outcome)
            return False
        (self._losses if node_lost else self._crashes)[key] += 1
        if not started and (stored := self.present.finished(key)):
            # It died before it was told to replay the trial.
            if self._is_given_up(key):
                self._finish(key, stored)
            return key not in self.records
        self.running.pop(key, None)
        attempt = started.number if started else 0
        self._write(records.CrashRecord(*key, attempt, reason, worker))
        if not self._is_given_up(key):
            return True
        record = self._record(
            key,
            started.params if started else self.proposals.known(key),
            State.CRASHED,
            seed=started.seed if started else 0,
            attempt=max(attempt, 1),
            reason=reason,
            worker=worker,
            started=started.started if started else None,
        )
        self._finish(key, record)
        return False

    def _is_given_up(self, key: Key) -> bool:
        """Whether a trial's processes died, or their nodes were lost, too often."""
        too_often = self._crashes.get(key, 0) > self.sweeps[key.sweep].retries
        return too_often or self._losses.get(key, 0) > NODE_LOSSES

    def died_after_end(self, key: Key, worker: str, reason: str = "") -> None:
        """Take note that the process that ran a trial is gone after the trial had ended."""
        record = self.records[key]
        if record.worker == worker and record.state is not State.CRASHED and not record.cached:
            trial = self._nodeids[key].removeprefix(self.nodeid.partition("[")[0]).strip("[]")
            self._note(f"{trial} had ended when {reason or f'{worker} died'}")

    def elapsed(self, key: Key) -> float:
        """Seconds since a running trial was handed out, 0 if it does not run."""
        attempt = self.running.get(key)
        return round(monotonic() - attempt.since, 3) if attempt else 0.0

    def under_way(self, key: Key, attempt: int) -> TrialRecord | None:
        """The trial as it runs or begins; None if that attempt was given up before."""
        own = self.running.get(key) or self.reserved.get(key)
        if own is None or own.number != attempt:
            return None
        return self.begun(key, own)

    def begun(self, key: Key, attempt: Attempt) -> TrialRecord:
        """The trial as it begins."""
        return under_way(self._nodeids[key], key, attempt, State.RUNNING)

    def is_best(self, record: TrialRecord) -> bool:
        """Whether the trial's configuration leads the study now."""
        return self.best.leader == (record.sweep, record.number)

    def results(self) -> StudyResults:
        """The trials of the run: the selected ones, and of the others those that are stored.

        Selected trials that did not end are not run.
        """
        selected = [self.records.get(key) or self._missing(key) for key in self._nodeids]
        places = {name: order for order, name in enumerate(self.sweeps)}
        trials = sorted(
            selected + self.others,
            key=lambda each: (places[each.sweep], each.number, each.replicate),
        )
        return StudyResults(
            nodeid=self.nodeid,
            sweeps=tuple(self.info(sweep) for sweep in self.sweeps.values()),
            trials=tuple(trials),
            notes=(
                *filter(None, [self.part, self._lost_nodes, self._doubt, *self._unjudged]),
                *(*self.notes, *self._stored.notes, *self.present.notes),
            ),
        )

    def _under_way_in(self, sweep: str) -> int:
        """How many trials of a sweep runners have."""
        return sum(key.sweep == sweep for key in (*self.running, *self.reserved))

    def _runs(self, key: Key, attempt: int) -> bool:
        return key in self.running and self.running[key].number == attempt

    def info(self, sweep: Sweep) -> Sweep:
        """One of the sweeps for readers, as it stands."""
        first, last = self._spans.get(sweep.name, (0.0, 0.0))
        planned = sweep.n_trials * sweep.replicates
        return replace(sweep, prune=None, planned=planned, elapsed=last - first)

    def _missing(self, key: Key) -> TrialRecord:
        started = self.running.get(key)
        if not started and (key in self._crashes or key in self._losses):
            reason = "its process died, and it was not tried again"
            return self._record(key, self.proposals.known(key), State.CRASHED, reason=reason)
        if started is None:
            return self._record(key, self.proposals.known(key), State.NOT_RUN, reason="not started")
        return under_way(self._nodeids[key], key, started, State.NOT_RUN, reason="interrupted")

    def _record(self, key: Key, params: Config, state: State, **values: Any) -> TrialRecord:  # noqa: ANN401  the record's own fields
        return TrialRecord(self._nodeids[key], *key, params, state, **values)

    def _began(self, key: Key) -> bool:
        """Whether the trial was started or replayed in this session."""
        record = self.records.get(key)
        died = key in self._crashes or key in self._losses
        return died or (record is not None and record.state is not State.NOT_RUN)

    def _recall(self) -> None:
        """Tell the stop rules of all stored trials, whichever of them is asked for first."""
        for key in self._nodeids if self._stopping else ():
            if key.sweep in self._stopping and (record := self.present.finished(key)):
                self._stopping[key.sweep].take(record)

    def _replay(self, key: Key, params: Config, seed: int) -> TrialRecord | None:
        """Return the stored trial, if it need not run again."""
        stored = self.present.finished(key)
        if stored is None or stored.seed != seed or not same_config(stored.params, params):
            return None
        item = self._nodeids[key]
        self.pruning.replay(key, stored.state, stored.attempt)
        if stored.nodeid == item:
            return stored
        self._write(records.ReplayRecord(*key, item))
        return replace(stored, nodeid=item)

    def _leave_out(self, key: Key, params: Config, state: State, reason: str) -> TrialRecord:
        return self._finish(key, self._record(key, params, state, reason=reason))

    def _note(self, text: str) -> None:
        """Tell the reader of the results, once."""
        note = f"{self.nodeid.rpartition('::')[2]}: {text}"
        if note not in self.notes:
            self.notes.append(note)

    def _finish(self, key: Key, record: TrialRecord) -> TrialRecord:
        self.progress.end(key, record)
        self.proposals.changed(key)
        self.best.add(record)
        self.pruning.end(key, record.state)
        if key.sweep in self._stopping:
            self._stopping[key.sweep].take(record)
        now = monotonic()
        first, _ = self._spans.get(key.sweep, (now, now))
        self._spans[key.sweep] = first, now
        return record
