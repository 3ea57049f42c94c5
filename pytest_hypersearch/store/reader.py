"""The one reader of journals: what a run has on the trials of its study.

Results, the command line, the live page and a session that continues a run all read here, and so
agree. What counts is the plan of a session, for readers that of the newest one: its sweeps, the
fingerprint of its code, and whether trials of other code count.

A trial is known by its key (sweep, number, replicate), its configuration and its seed. Where the
sweep has changed since the trial ran, the plan may have its configuration under another number, or
not at all.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pytest_hypersearch.core.errors import SamplerError, StoreError
from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import Judgement, Key, State, TrialRecord, judge, trial_seed
from pytest_hypersearch.search.samplers import Table, builtin
from pytest_hypersearch.store.fingerprint import changed
from pytest_hypersearch.store.journal import is_newer, newer_error, read_batches
from pytest_hypersearch.store.records import (
    CrashRecord,
    CurveRecord,
    EndRecord,
    FailedRecord,
    ReplayRecord,
    RunRecord,
    SavedRecord,
    SessionRecord,
    SkipRecord,
    StartRecord,
    SuggestRecord,
    from_json,
)
from pytest_hypersearch.store.runs import artifact_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import Config
    from pytest_hypersearch.store.curves import Series
    from pytest_hypersearch.store.journal import Json
    from pytest_hypersearch.store.records import Record
    from pytest_hypersearch.store.runs import Run

FINISHED: Final = frozenset({State.COMPLETE, State.PRUNED, State.INVALID})
_MOST: Final = 100_000  # a forged number of trials must not keep the reader busy

Outcome: TypeAlias = "EndRecord | CrashRecord | SkipRecord"
Attempted: TypeAlias = "tuple[Key, int]"
"""A trial as the run's files know it, and which execution of it."""


@dataclass(slots=True, eq=False)
class Attempt:
    """An execution of a trial.

    Attributes:
        start: When it was handed out.
        session: By which session.
        end: How it ended, None if the session is not there any more or still runs it.
        directory: Name of the directory of what it saved, empty if that is not whole.
    """

    start: StartRecord
    session: SessionRecord
    end: EndRecord | CrashRecord | None = None
    directory: str = ""


@dataclass(slots=True, eq=False)
class StoredTrial:
    """What a run has on a trial, over all of its sessions.

    Attributes:
        key: The trial as it was numbered when it ran.
        params: Its configuration, empty if it was never handed out.
        seed: Its seed.
        attempts: Its executions.
        outcome: What came of it: of several ends, crashes and skips the last.
        session: The session that recorded the outcome.
    """

    key: Key
    params: Config
    seed: int
    attempts: list[Attempt] = field(default_factory=list)
    outcome: Outcome | None = None
    session: SessionRecord | None = None

    @property
    def last(self) -> Attempt | None:
        """The attempt that the outcome is of; without one the last."""
        ended = (each for each in reversed(self.attempts) if each.end is self.outcome)
        return next(ended, None) or (self.attempts[-1] if self.attempts else None)

    @property
    def duration(self) -> float | None:
        """Seconds of the last execution that ended, whatever code it ran and came to."""
        ends = (each.end for each in reversed(self.attempts))
        return next((end.duration for end in ends if isinstance(end, EndRecord)), None)

    @property
    def directories(self) -> list[str]:
        """Names of the directories of what its attempts saved."""
        return [each.directory for each in self.attempts if each.directory]

    @property
    def saved(self) -> str:
        """Name of the directory of what the attempt saved that the outcome is of, or empty."""
        return self.last.directory if self.last and isinstance(self.outcome, EndRecord) else ""


class StoredRun:
    """What a run has, by trial.

    Attributes:
        nodeid: The study, empty if its record is damaged.
        sessions: The sessions, after one that the records before the first session belong to.
        suggestions: What samplers proposed, by sweep, the sweep's seed and number.
        attempts: How often each trial was started.
        items: Node ids of the items of trials that have got others since they ran.
        damaged: Lines and records that could not be read.
    """

    def __init__(self) -> None:
        self.nodeid = ""
        self.sessions = [SessionRecord(())]
        self.suggestions: dict[tuple[str, int, int], SuggestRecord] = {}
        self.attempts: dict[Key, int] = {}
        self.items: dict[Key, str] = {}
        self.damaged = 0
        self._trials: dict[tuple[Key, str, int], StoredTrial] = {}
        self._attempts: dict[Attempted, tuple[StoredTrial, Attempt]] = {}
        self._open: set[Attempted] = set()

    @property
    def trials(self) -> list[StoredTrial]:
        """The trials in the order in which they came first."""
        return [*self._trials.values()]

    def is_open(self, attempt: Attempt) -> bool:
        """Tell whether an attempt has not ended as far as the newest session knows."""
        return (attempt.start.key, attempt.start.attempt) in self._open

    def read(self, records: Iterable[Json]) -> None:
        """Add records: damaged ones are counted, those of unknown kinds passed over."""
        for data in records:
            try:
                record = from_json(data)
                if record is not None:
                    self._add(record)
            except (TypeError, ValueError):
                self.damaged += 1

    def _add(self, record: Record) -> None:
        match record:
            case RunRecord() | SessionRecord():
                self._plan(record)
            case SuggestRecord():
                self.suggestions[record.sweep, record.seed, record.number] = record
            case StartRecord():
                self._start(record)
            case EndRecord() | CrashRecord():
                self._end(record)
            case FailedRecord():
                self._fail(record)
            case SavedRecord():
                self._attempt(record)[1].directory = record.directory
            case SkipRecord():
                self._conclude(self._trial(record.key, record.params, record.seed), record)
            case ReplayRecord():
                self.items[record.key] = record.item

    def _plan(self, record: RunRecord | SessionRecord) -> None:
        if isinstance(record, SessionRecord):
            last = self.sessions[-1]
            plan = record.sweeps or last.sweeps
            if plan != last.sweeps:
                self.items.clear()
            code = record.fingerprint or last.fingerprint
            self.sessions.append(replace(record, sweeps=plan, fingerprint=code))
            self._open.clear()
        else:
            self.nodeid = self.nodeid or record.nodeid
            if not self.sessions[1:]:
                self.sessions[0] = SessionRecord(record.sweeps)

    def _start(self, start: StartRecord) -> None:
        place = start.key, start.attempt
        if place in self._attempts:
            return
        trial = self._trial(start.key, start.params, start.seed)
        attempt = Attempt(start, self.sessions[-1])
        trial.attempts.append(attempt)
        self.attempts[start.key] = start.attempt
        self.items.pop(start.key, None)
        self._attempts[place] = trial, attempt
        self._open.add(place)

    def _end(self, end: EndRecord | CrashRecord) -> None:
        if not end.attempt:
            self._conclude(self._trial(end.key, {}, 0), end)
            return
        trial, attempt = self._attempt(end)
        if self.is_open(attempt):
            self._open.remove((end.key, end.attempt))
            attempt.end = end
            self._conclude(trial, end)

    def _fail(self, failed: FailedRecord) -> None:
        trial, attempt = self._attempt(failed)
        before = attempt.end
        if isinstance(before, EndRecord):
            after = replace(before, state=failed.state, reason=failed.reason, failed=True)
            attempt.end = replace(after, error=failed.error)
            if trial.outcome is before:
                trial.outcome = attempt.end

    def _attempt(
        self, record: EndRecord | FailedRecord | CrashRecord | SavedRecord
    ) -> tuple[StoredTrial, Attempt]:
        place = record.key, record.attempt
        if place not in self._attempts:
            raise ValueError(f"{place} was not started")
        return self._attempts[place]

    def _trial(self, key: Key, params: Config, seed: int) -> StoredTrial:
        who = key, config_key(params), seed
        if who not in self._trials:
            self._trials[who] = StoredTrial(key, params, seed)
        return self._trials[who]

    def _conclude(self, trial: StoredTrial, outcome: Outcome) -> None:
        trial.outcome, trial.session = outcome, self.sessions[-1]


def read_stored(run: Run) -> StoredRun:
    """Read the records of a run, which may be in use; damaged ones are skipped and counted.

    Raises:
        StoreError: The journal cannot be read, or was written by a newer version.
    """
    stored = StoredRun()
    for records, damaged in read_batches(run.journal.path):
        if any(map(is_newer, records)):
            raise newer_error(run.journal.path)
        stored.read(records)
        stored.damaged += damaged
    return stored


def is_whole(run: Run) -> bool:
    """Tell whether the whole plan of a run was selected, or came to be by parts.

    A run that cannot be read counts as whole: its reader is told why.
    """
    try:
        for records, _ in read_batches(run.journal.path):
            if any(each["k"] == "session" and "selected" not in each for each in records):
                return True
        stored = read_stored(run)
    except StoreError:
        return True
    return not Present(stored, stored.sessions[-1]).is_part


def starts_of(run: Run) -> dict[Attempted, float | None]:
    """Return when each attempt of a run was started, in seconds since 1970.

    Raises:
        StoreError: As in `read_stored`.
    """
    attempts = (each for trial in read_stored(run).trials for each in trial.attempts)
    return {(each.start.key, each.start.attempt): each.start.started for each in attempts}


def stored_key(trial: TrialRecord) -> Key:
    """Return the key under which the files of its run know a trial."""
    number = trial.number if trial.recorded is None else trial.recorded
    return Key(trial.sweep, number, trial.replicate)


def read_curves(records: Iterable[Json]) -> dict[Attempted, dict[str, Series]]:
    """Return the series of each metric, by trial and attempt, from a file of curves."""
    found: dict[Attempted, dict[str, Series]] = defaultdict(dict)
    for data in records:
        try:
            record = from_json(data)
        except (TypeError, ValueError):
            continue
        if isinstance(record, CurveRecord):
            for name, (steps, values) in record.series.items():
                series = found[record.key, record.attempt].setdefault(name, ([], []))
                series[0].extend(steps)
                series[1].extend(values)
    return dict(found)


class Present:
    """The stored trials that the plan of a session has.

    Attributes:
        run: What is stored.
        trials: The trials by their keys in the plan.
        absent: How many stored trials the plan does not have.

    Args:
        run: What is stored.
        session: The session.
        tables: The configurations of all sweeps whose samplers look at no results; without it,
            those of this package's samplers alone are known.
        replay: Whether trials that finished need not run again.
    """

    def __init__(
        self,
        run: StoredRun,
        session: SessionRecord,
        *,
        tables: Mapping[str, Table] | None = None,
        replay: bool = True,
    ) -> None:
        self.run = run
        self.trials: dict[Key, StoredTrial] = {}
        self.absent = 0
        self._session = session
        self._replay = replay
        self._sweeps = {sweep.name: sweep for sweep in session.sweeps}
        by_sweep: dict[str, list[StoredTrial]] = defaultdict(list)
        for trial in run.trials:
            by_sweep[trial.key.sweep].append(trial)
        for name, trials in by_sweep.items():
            sweep = self._sweeps.get(name)
            mine = [trial for trial in trials if sweep and _may_have(sweep, trial)]
            self.absent += len(trials) - len(mine)
            if sweep and mine:
                self._place(sweep, mine, _configurations(run, sweep, tables))

    def _place(
        self, sweep: Sweep, trials: Iterable[StoredTrial], plan: Mapping[int, str] | None
    ) -> None:
        """Give trials their keys in a plan of configurations by number: first those that keep them.

        Args:
            sweep: The sweep.
            trials: Trials of its space and seeds.
            plan: The configurations, None if the numbers are those at which the trials ran.
        """
        moved = []
        for trial in trials:
            known = plan is None or not trial.params
            config = "" if known else config_key(trial.params)
            if trial.key.number >= sweep.n_trials or not (
                known or (plan and plan.get(trial.key.number) == config)
            ):
                moved.append((trial, config))
                continue
            if trial.key in self.trials:
                self.absent += 1
            self.trials[trial.key] = trial
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, config in (plan or {}).items():
            numbers[config].append(number)
        for trial, config in sorted(moved, key=lambda each: each[0].key):
            keys = (trial.key._replace(number=number) for number in numbers[config])
            if key := next((key for key in keys if key not in self.trials), None):
                self.trials[key] = trial
            else:
                self.absent += 1

    @property
    def is_part(self) -> bool:
        """Whether trials of the plan are missing because no session selected all of them."""
        planned = sum(each.n_trials * each.replicates for each in self._sweeps.values())
        every = any(each.selected is None for each in self.run.sessions[1:])
        return not every and len(self.trials) < planned

    def counts(self, session: SessionRecord | None) -> bool:
        """Tell whether a session ran the code of this one, or its trials count all the same."""
        return session is not None and (
            self._session.keep_stale or session.fingerprint == self._session.fingerprint
        )

    def ended(self, key: Key) -> TrialRecord | None:
        """Return a trial as it ended, None if it did not, ran other code, or lacks a metric."""
        trial = self.trials[key]
        return self._record(key, trial) if self.counts(trial.session) else None

    def finished(self, key: Key) -> TrialRecord | None:
        """Return a trial as it ended, None if it has to run again."""
        trial = self.trials.get(key)
        return self.ended(key) if self._replay and trial and _is_finished(trial) else None

    def unfinished(self, key: Key, params: Config) -> str:
        """Return the directory in which a trial goes on whose process died, empty for a new one."""
        trial = self.trials.get(key)
        since: list[Attempt] = []
        same = trial and config_key(trial.params) == config_key(params)
        for attempt in trial.attempts if trial and same else ():
            since = [] if isinstance(attempt.end, EndRecord) else [*since, attempt]
        first = next((each.start for each in since if self.counts(each.session)), None)
        return artifact_name(*first.key, first.attempt) if first else ""

    def records(self, *, live: bool = False) -> Iterator[TrialRecord]:
        """Yield the trials in the order of sweep, number and replicate.

        Args:
            live: Whether a session works on the run: what has not ended is running.
        """
        places = {name: place for place, name in enumerate(self._sweeps)}
        for key in sorted(self.trials, key=lambda key: (places[key.sweep], key[1:])):
            trial = self.trials[key]
            last = trial.attempts[-1] if trial.attempts else None
            if live and last and self.run.is_open(last):
                yield self._started(key, last, State.RUNNING)
            elif trial.outcome is not None:
                if record := self.ended(key):
                    yield record
            elif last and self.counts(last.session):
                yield self._started(key, last, State.NOT_RUN, reason="interrupted")

    def elapsed(self) -> dict[str, float]:
        """Return the wall time of each sweep in seconds, without the time between sessions."""
        spans: dict[tuple[str, int], tuple[float, float]] = {}
        for key, trial in self.trials.items():
            for attempt in trial.attempts:
                started, which = attempt.start.started, (key.sweep, id(attempt.session))
                if started is not None and self.counts(attempt.session):
                    took = attempt.end.duration if isinstance(attempt.end, EndRecord) else 0.0
                    first, last = spans.get(which, (started, 0.0))
                    spans[which] = min(first, started), max(last, started + took)
        times: dict[str, float] = defaultdict(float)
        for (name, _), (first, last) in spans.items():
            times[name] += last - first
        return times

    def notes(self) -> list[str]:
        """Return what a reader must be told of trials that are left out."""
        stale = [trial for trial in self.trials.values() if self._is_stale(trial)]
        notes = []
        if self.absent:
            verb = "is" if self.absent == 1 else "are"
            notes.append(f"{_stored(self.absent)} {verb} not part of the present plan")
        if stale and (self._replay or self._session.selected is not None):
            sessions = {id(trial.session): trial.session for trial in stale}
            files = {
                name: None
                for session in sessions.values()
                if session
                for name in changed(session.fingerprint, self._session.fingerprint)
            }
            notes.append(f"{_stored(len(stale))} stale: {', '.join(files)} changed")
        return notes

    def _is_stale(self, trial: StoredTrial) -> bool:
        return _is_finished(trial) and not self.counts(trial.session)

    def _record(self, key: Key, trial: StoredTrial) -> TrialRecord | None:
        outcome, attempt = trial.outcome, trial.last
        if isinstance(outcome, EndRecord) and attempt:
            verdict = _judged(outcome, self._sweeps[key.sweep].metrics)
            if verdict is None:
                return None
            return self._started(
                key,
                attempt,
                verdict.state,
                score=verdict.score,
                metrics=verdict.metrics,
                steps=outcome.steps,
                duration=outcome.duration,
                reason=verdict.reason,
                logged=dict(outcome.logged),
                peak_memory=outcome.peak_memory,
                cpu_time=outcome.cpu_time,
                error=outcome.error,
            )
        if isinstance(outcome, CrashRecord) and attempt:
            return self._started(key, attempt, State.CRASHED, reason=outcome.reason)
        state = outcome.state if isinstance(outcome, SkipRecord) else State.CRASHED
        reason = outcome.reason if outcome else ""
        item = self.run.items.get(key, self.run.nodeid)
        params = trial.params or self._params_of(key)
        return TrialRecord(item, *key, params, state, seed=trial.seed, reason=reason)

    def _started(self, key: Key, attempt: Attempt, state: State, **values: Any) -> TrialRecord:  # noqa: ANN401  the record's own fields
        start = attempt.start
        return TrialRecord(
            self.run.items.get(key) or start.item or self.run.nodeid,
            *key,
            start.params,
            state,
            seed=start.seed,
            attempt=start.attempt,
            worker=start.worker,
            started=start.started,
            recorded=None if start.number == key.number else start.number,
            **values,
        )

    def _params_of(self, key: Key) -> Config:
        """Return the configuration of a trial that was never handed out, as far as it is known."""
        trials = (trial for other, trial in self.trials.items() if other[:2] == key[:2])
        known = next((trial.params for trial in trials if trial.params), None)
        seed = self._sweeps[key.sweep].seed
        suggested = self.run.suggestions.get((key.sweep, seed, key.number))
        return known or (suggested.params if suggested else {})


@dataclass(frozen=True, slots=True)
class Stored:
    """A run as a session sees it that continues it.

    Attributes:
        run: What earlier sessions left.
        session: The session.
        replay: Whether trials that finished are replayed instead of run again.
    """

    run: StoredRun = field(default_factory=StoredRun)
    session: SessionRecord = field(default_factory=partial(SessionRecord, ()))
    replay: bool = True

    def present(self, tables: Mapping[str, Table]) -> Present:
        """Return the stored trials that the session's plan has; see `Present`."""
        return Present(self.run, self.session, tables=tables, replay=self.replay)


def read_run(run: Run) -> StudyResults:
    """Read the results of a run.

    Args:
        run: It may belong to a live session; its open trials are then running.

    Returns:
        The trials that are recorded and in the plan of the newest session, in the order of sweep,
        number and replicate. The sweeps tell how many the plan has. What was left out is in the
        notes.

    Raises:
        StoreError: The journal cannot be read, or was written by a newer version.
        ValueError: The records of what was searched are missing.
    """
    stored = read_stored(run)
    session = stored.sessions[-1]
    if not session.sweeps:
        raise ValueError(f"{run.path}: expected a journal that begins with a plan")
    present = Present(stored, session)
    elapsed = present.elapsed()
    part = ["only some trials of the plan were selected"] if present.is_part else []
    return StudyResults(
        nodeid=stored.nodeid or run.path.parent.name,
        sweeps=tuple(
            replace(each, planned=each.n_trials * each.replicates, elapsed=elapsed[each.name])
            for each in session.sweeps
        ),
        trials=tuple(present.records(live=run.in_use())),
        notes=(*part, *present.notes(), *damage(stored, run.path)),
        run=str(run.path),
        commit=session.provenance.commit,
        arguments=session.arguments,
    )


def damage(stored: StoredRun, path: Path | str) -> list[str]:
    """Return a note on the lines of a run that could not be read, if there are any."""
    lines = "1 damaged line" if stored.damaged == 1 else f"{stored.damaged} damaged lines"
    return [f"{lines} skipped in {path}"] if stored.damaged else []


def _judged(end: EndRecord, metrics: Sequence[str]) -> Judgement | None:
    """Judge a trial by metrics that may not be those of its time; None if it lacks one."""
    known = dict(end.metrics)
    if end.state is not State.COMPLETE and (end.failed or end.state is not State.INVALID):
        score = known.get(metrics[0]) if end.state is State.PRUNED else None
        return Judgement(end.state, score, known, end.reason)
    verdict = judge(None, known, *metrics)
    if verdict.failed:
        return None
    # A trial that is complete has a reason if its item failed in the teardown.
    return replace(verdict, reason=verdict.reason or end.reason)


def _is_finished(trial: StoredTrial) -> bool:
    end = trial.outcome
    return isinstance(end, EndRecord) and end.state in FINISHED and not end.failed


def _drawn(sweep: Sweep) -> tuple[object, ...]:
    """Return what the configurations of a sweep follow from."""
    return sweep.strategy, sweep.space, sweep.seed, *map(config_key, sweep.points)


def _may_have(sweep: Sweep, trial: StoredTrial) -> bool:
    """Tell whether a trial is of the sweep's space, seeds and replicates."""
    if trial.key.replicate >= sweep.replicates:
        return False
    return not trial.params or (
        trial.seed == trial_seed(sweep.seed, trial.key.replicate)
        and (not sweep.space.names or sweep.space.contains(trial.params))
    )


def _configurations(
    run: StoredRun, sweep: Sweep, tables: Mapping[str, Table] | None
) -> dict[int, str] | None:
    """Return the configurations of a sweep's plan by number.

    Returns:
        None if they have the numbers at which they ran: the sweep never changed, or nothing is
        known of its sampler, which a plugin offers.
    """
    plans = [each for one in run.sessions for each in one.sweeps if each.name == sweep.name]
    if all(_drawn(each) == _drawn(sweep) for each in plans):
        return None
    if table := (tables or {}).get(sweep.name) or _table_of(sweep):
        with suppress(SamplerError):
            configs = table.upto(min(sweep.n_trials, _MOST))
            return {number: config_key(config) for number, config in enumerate(configs)}
    proposed = {
        each.number: config_key(each.params)
        for each in run.suggestions.values()
        if (each.sweep, each.seed) == (sweep.name, sweep.seed) and sweep.space.contains(each.params)
    }
    if not proposed and tables is None and not sweep.strategy.startswith(("bayes", "optuna:")):
        return None
    points = {number: config_key(point) for number, point in enumerate(sweep.points)}
    return {n: config for n, config in (proposed | points).items() if n < sweep.n_trials}


def _table_of(sweep: Sweep) -> Table | None:
    """Return the configurations of a sweep that follow from it alone."""
    sampler = builtin(sweep.strategy) if sweep.strategy in {"grid", "random"} else None
    return Table(sampler, sweep) if sampler else None


def _stored(number: int) -> str:
    return "1 stored trial" if number == 1 else f"{number} stored trials"
