"""The one reader of journals: what a run has on the trials of its study.

Results, the command line, the live page and a session that continues a run all read here, and so
agree. All sessions of a run have the same plan and code; the newest one tells how many trials and
replicates there are. Trials may be carried over from other runs of the study: their records are the
run's own, their files and curves stay where they are and are found from here.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.frozen import constructor, frozen
from pytest_hypersearch.core.space import same_config
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import (
    Config,
    Judgement,
    Key,
    State,
    TrialRecord,
    judge_metrics,
)
from pytest_hypersearch.store.curves import Joined, TimedSeries
from pytest_hypersearch.store.journal import Json, is_newer, newer_error, read_batches
from pytest_hypersearch.store.records import (
    CrashRecord,
    CurveRecord,
    EndRecord,
    FailedRecord,
    Record,
    ReplayRecord,
    RunRecord,
    SavedRecord,
    SessionRecord,
    SkipRecord,
    StartRecord,
    SuggestRecord,
    from_json,
)
from pytest_hypersearch.store.runs import ARTIFACTS, Run, artifact_name, saved_at

FINISHED: Final = frozenset({State.COMPLETE, State.PRUNED, State.INVALID})

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
        directory: Where what it saved is, see `saved_at`; empty if that is not whole.
    """

    start: StartRecord
    session: SessionRecord
    end: EndRecord | CrashRecord | None = None
    directory: str = ""

    @property
    def ran_as(self) -> Key:
        """The trial as the run knows it in which it ran."""
        start = self.start
        number = start.number if start.recorded is None else start.recorded
        return start.key._replace(number=number)


@dataclass(slots=True, eq=False)
class StoredTrial:
    """What a run has on a trial, over all of its sessions.

    Attributes:
        key: The trial.
        params: Its configuration, empty if it was never handed out.
        seed: Its seed.
        attempts: Its executions.
        before: Those that had another configuration, as a proposal was lost.
        outcome: What came of it: of several ends, crashes and skips the last.
    """

    key: Key
    params: Config
    seed: int
    attempts: list[Attempt] = field(default_factory=list)
    before: Sequence[Attempt] = ()
    outcome: Outcome | None = None

    @property
    def last(self) -> Attempt | None:
        """The attempt that the outcome is of; without one the last."""
        attempts = self.attempts
        if len(attempts) > 1:
            ended = (each for each in reversed(attempts) if each.end is self.outcome)
            return next(ended, attempts[-1])
        return attempts[0] if attempts else None

    @property
    def duration(self) -> float | None:
        """Seconds of the last execution that ended, whatever it came to."""
        ends = (each.end for each in reversed(self.attempts))
        return next((end.duration for end in ends if isinstance(end, EndRecord)), None)

    @property
    def directories(self) -> list[str]:
        """Names of the directories of what its attempts saved in this run."""
        own = (each for each in self.attempts if not each.start.origin)
        return [each.directory for each in own if each.directory]

    @property
    def saved(self) -> str:
        """Where what the attempt saved is that the outcome is of, see `saved_at`; or empty."""
        last = self.last if isinstance(self.outcome, EndRecord) else None
        return last.directory if last else ""

    @property
    def is_finished(self) -> bool:
        """Whether it need not run again."""
        end = self.outcome
        return isinstance(end, EndRecord) and end.state in FINISHED and not end.failed


class StoredRun:
    """What a run has, by trial.

    Attributes:
        nodeid: The study, empty if its record is damaged.
        sessions: The sessions, after one that the records before the first session belong to.
        suggestions: What samplers proposed, by sweep, the sweep's seed and number.
        items: Node ids of the items of trials that have got others since they ran.
        damaged: Lines and records that could not be read.
    """

    def __init__(self) -> None:
        self.nodeid = ""
        self.sessions = [SessionRecord(())]
        self.suggestions: dict[tuple[str, int, int], SuggestRecord] = {}
        self.items: dict[Key, str] = {}
        self.damaged = 0
        self._trials: dict[Key, StoredTrial] = {}

    @property
    def trials(self) -> list[StoredTrial]:
        """The trials in the order in which they came first."""
        return [*self._trials.values()]

    @property
    def attempts(self) -> dict[Key, int]:
        """How often each trial was started."""
        every = ((key, (*trial.before, *trial.attempts)) for key, trial in self._trials.items())
        return {key: attempts[-1].start.attempt for key, attempts in every if attempts}

    @property
    def carried(self) -> list[Attempt]:
        """The attempts that were carried over from other runs."""
        trials = self._trials.values()
        attempts = (each for trial in trials for each in (*trial.before, *trial.attempts))
        return [attempt for attempt in attempts if attempt.start.origin]

    @property
    def origins(self) -> set[str]:
        """The runs that hold files or curves of trials of this one."""
        return {each.start.origin for each in self.carried if each.start.refers}

    @property
    def first(self) -> SessionRecord:
        """The session that made the run, whose code all later ones have."""
        return next(iter(self.sessions[1:]), self.sessions[0])

    @property
    def names(self) -> list[str]:
        """The names that sessions gave to the run."""
        return [each.name for each in self.sessions if each.name]

    @property
    def commits(self) -> list[str]:
        """The commits that its sessions ran, the one at which it was made first."""
        return [each.provenance.commit for each in self.sessions if each.provenance.commit]

    def is_open(self, attempt: Attempt) -> bool:
        """Tell whether an attempt has not ended as far as the newest session knows."""
        return attempt.end is None and attempt.session is self.sessions[-1]

    def read(self, batch: Sequence[Json]) -> None:
        """Add records: damaged ones are counted, those of unknown kinds passed over."""
        records, damaged = from_json(batch)
        self.damaged += damaged
        for record in records:
            try:
                if isinstance(record, StartRecord):
                    self._start(record)
                elif isinstance(record, EndRecord):
                    self._end(record)
                else:
                    self._add(record)
            except ValueError:
                self.damaged += 1

    def _add(self, record: Record) -> None:
        match record:
            case CrashRecord():
                self._end(record)
            case RunRecord() | SessionRecord():
                self._plan(record)
            case SuggestRecord():
                self.suggestions[record.sweep, record.seed, record.number] = record
            case FailedRecord():
                self._fail(record)
            case SavedRecord():
                attempt = self._attempt(record.key, record.attempt)[1]
                origin = attempt.start.origin
                inside = f"{origin}/{ARTIFACTS}/" if origin else ""
                attempt.directory = f"{inside}{record.directory}"
            case SkipRecord():
                self._trial(record.key, record.params, record.seed).outcome = record
            case ReplayRecord():
                self.items[record.key] = record.item

    def _plan(self, record: RunRecord | SessionRecord) -> None:
        if isinstance(record, SessionRecord):
            sweeps = record.sweeps or self.sessions[-1].sweeps
            self.sessions.append(replace(record, sweeps=sweeps))
        else:
            self.nodeid = self.nodeid or record.nodeid
            if not self.sessions[1:] and not self._trials:
                self.sessions[0] = SessionRecord(record.sweeps)

    def _start(self, start: StartRecord) -> None:
        key = start.key
        if key not in self._trials or self._find(key, start.attempt) is None:
            attempt = Attempt(start, self.sessions[-1])
            self._trial(key, start.params, start.seed).attempts.append(attempt)
            self.items.pop(key, None)

    def _end(self, end: EndRecord | CrashRecord) -> None:
        key = end.key
        if not end.attempt:
            (self._trials.get(key) or self._trial(key, {}, 0)).outcome = end
            return
        trial, attempt = self._attempt(key, end.attempt)
        if self.is_open(attempt):
            attempt.end = end
            if attempt in trial.attempts:
                trial.outcome = end

    def _fail(self, failed: FailedRecord) -> None:
        trial, attempt = self._attempt(failed.key, failed.attempt)
        before = attempt.end
        if isinstance(before, EndRecord):
            after = replace(before, state=failed.state, reason=failed.reason, failed=True)
            attempt.end = replace(after, error=failed.error)
            if trial.outcome is before:
                trial.outcome = attempt.end

    def _attempt(self, key: Key, number: int) -> tuple[StoredTrial, Attempt]:
        attempt = self._find(key, number)
        if attempt is None:
            raise ValueError(f"attempt {number} of {key} was not started")
        return self._trials[key], attempt

    def _find(self, key: Key, number: int) -> Attempt | None:
        trial = self._trials.get(key)
        if trial is not None:
            for attempt in (*trial.attempts, *trial.before):
                if attempt.start.attempt == number:
                    return attempt
        return None

    def _trial(self, key: Key, params: Config, seed: int) -> StoredTrial:
        trial = self._trials.get(key)
        # A sampler whose proposal was lost may have proposed another configuration since.
        if trial is None or trial.seed != seed or not same_config(trial.params, params):
            before = (*trial.before, *trial.attempts) if trial else ()
            trial = self._trials[key] = StoredTrial(key, params, seed, [], before)
        return trial


def read_stored(run: Run) -> StoredRun:
    """Read the records of a run, which may be in use; damaged ones are skipped and counted.

    Raises:
        StoreError: The journal cannot be read, or was written by a newer version.
    """
    stored = StoredRun()
    with uncollected():
        for records, damaged in read_batches(run.journal.path):
            if any(map(is_newer, records)):
                raise newer_error(run.journal.path)
            stored.read(records)
            stored.damaged += damaged
    return stored


def outline_of(run: Run) -> StoredRun:
    """Read the sessions of a run and which trials are of other runs, without the rest.

    Raises:
        StoreError: The journal cannot be read.
    """
    stored = StoredRun()
    for records, _ in read_batches(run.journal.path, (b'"k":"session"', b'"origin":')):
        stored.read(records)
    return stored


def is_whole(run: Run) -> bool:
    """Tell whether the whole plan of a run was selected, or came to be by parts.

    A run that cannot be read counts as whole: its reader is told why.
    """
    try:
        for sessions, _ in read_batches(run.journal.path, (b'"k":"session"',)):
            if any(each["k"] == "session" and "selected" not in each for each in sessions):
                return True
        stored = read_stored(run)
    except StoreError:
        return True
    return not Present(stored, stored.sessions[-1]).is_part


def starts_of(run: StoredRun) -> dict[Attempted, float | None]:
    """Return when each attempt of a run was started, in seconds since 1970."""
    attempts = (each for trial in run.trials for each in trial.attempts)
    return {(each.start.key, each.start.attempt): each.start.started for each in attempts}


def stored_key(trial: TrialRecord) -> Key:
    """Return the key under which its run knows a trial."""
    number = trial.number if trial.recorded is None else trial.recorded
    return Key(trial.sweep, number, trial.replicate)


def directory_of(run: Path, trial: TrialRecord) -> Path:
    """Return the directory of what a trial of a run saved, which is there if it saved anything."""
    return Path(saved_at(run, trial.directory or artifact_name(*stored_key(trial), trial.attempt)))


def curve_records(run: Run, stored: StoredRun) -> Iterator[CurveRecord]:
    """Yield the records of what trials reported, under the keys that the run has for them.

    Args:
        run: The run.
        stored: What is in its journal; the curves of trials that were carried over are read from
            the runs in which they ran.

    Raises:
        StoreError: A file cannot be read.
    """
    yield from _curves_in(run)
    carried: dict[str, dict[Attempted, Key]] = defaultdict(dict)
    for each in stored.carried:
        carried[each.start.origin][each.ran_as, each.start.attempt] = each.start.key
    for origin, keys in carried.items():
        for record in _curves_in(Run(run.path.parent / origin)):
            if key := keys.get((record.key, record.attempt)):
                yield replace(record, number=key.number)


def _curves_in(run: Run) -> Iterator[CurveRecord]:
    for batch, _ in read_batches(run.curves.path):
        yield from _curves(batch)


def _curves(batch: Sequence[Json]) -> Iterator[CurveRecord]:
    return (record for record in from_json(batch)[0] if isinstance(record, CurveRecord))


def curves_of(run: Run, stored: StoredRun) -> dict[Attempted, dict[str, TimedSeries]]:
    """Return the series of each metric that trials reported, by trial and attempt.

    Raises:
        StoreError: A file cannot be read.
    """
    return _joined(curve_records(run, stored))


def read_curves(records: Sequence[Json]) -> dict[Attempted, dict[str, TimedSeries]]:
    """Return the series of each metric, by trial and attempt, from a file of curves."""
    return _joined(_curves(records))


def _joined(records: Iterable[CurveRecord]) -> dict[Attempted, dict[str, TimedSeries]]:
    parts: dict[Attempted, dict[str, Joined]] = defaultdict(lambda: defaultdict(Joined))
    for record in records:
        for name, (steps, values) in record.series.items():
            parts[record.key, record.attempt][name].add(steps, values, record.elapsed)
    return {
        key: {name: each.series() for name, each in series.items()} for key, series in parts.items()
    }


class Present:
    """The stored trials of a run as a session of it has them.

    Attributes:
        run: What is stored.
        trials: The trials of the session's plan.

    Args:
        run: What is stored.
        session: The session.
        replay: Whether trials that finished need not run again.
    """

    def __init__(self, run: StoredRun, session: SessionRecord, *, replay: bool = True) -> None:
        self.run = run
        self._session = session
        self._replay = replay
        self._sweeps = {sweep.name: sweep for sweep in session.sweeps}
        self.trials = {trial.key: trial for trial in run.trials if self._plans(trial.key)}

    def _plans(self, key: Key) -> bool:
        sweep = self._sweeps.get(key.sweep)
        if sweep is None:
            return False
        return key.number < sweep.n_trials and key.replicate < sweep.replicates

    @property
    def is_part(self) -> bool:
        """Whether trials of the plan are missing because no session selected all of them."""
        planned = sum(each.n_trials * each.replicates for each in self._sweeps.values())
        every = any(each.selected is None for each in self.run.sessions[1:])
        return not every and len(self.trials) < planned

    def finished(self, key: Key) -> TrialRecord | None:
        """Return a trial as it is replayed, None if it has to run again."""
        return self._record(key, self.trials[key], cached=True) if self.is_finished(key) else None

    def is_finished(self, key: Key) -> bool:
        """Whether a trial need not run again."""
        trial = self.trials.get(key)
        return self._replay and trial is not None and trial.is_finished

    def unfinished(self, key: Key, params: Config) -> str:
        """Return the directory in which a trial goes on whose process died, empty for a new one."""
        trial = self.trials.get(key)
        since: list[Attempt] = []
        same = trial and same_config(trial.params, params)
        for attempt in trial.attempts if trial and same else ():
            since = [] if isinstance(attempt.end, EndRecord) else [*since, attempt]
        return artifact_name(*since[0].start.key, since[0].start.attempt) if since else ""

    def records(self, *, live: bool = False) -> Iterator[TrialRecord]:
        """Yield the trials in the order of sweep, number and replicate.

        Args:
            live: Whether a session works on the run: what has not ended is running.
        """
        keys: dict[str, list[Key]] = {name: [] for name in self._sweeps}
        for key in self.trials:
            keys[key.sweep].append(key)
        for key in chain.from_iterable(map(sorted, keys.values())):
            trial = self.trials[key]
            last = trial.attempts[-1] if trial.attempts else None
            if live and last and self.run.is_open(last):
                yield self._started(key, last, _unscored(State.RUNNING))
            elif trial.outcome is not None:
                if record := self._record(key, trial):
                    yield record
            elif last:
                yield self._started(key, last, _unscored(State.NOT_RUN, "interrupted"))

    def elapsed(self) -> dict[str, float]:
        """Return the wall time of each sweep in seconds, that of the run's own sessions alone."""
        spans: dict[tuple[str, int], list[float]] = defaultdict(list)
        for trial in self.trials.values():
            for attempt in trial.attempts:
                start, end = attempt.start, attempt.end
                if start.started is not None and not start.origin:
                    span = spans[start.sweep, id(attempt.session)]
                    span.append(start.started)
                    if isinstance(end, EndRecord):
                        span.append(start.started + end.duration)
        times: dict[str, float] = defaultdict(float)
        for (name, _), span in spans.items():
            times[name] += max(span) - min(span)
        return times

    @cached_property
    def notes(self) -> list[str]:
        """What a reader must be told of the trials."""
        kept = sum(
            attempt is trial.last
            for trial in self.trials.values()
            for attempt in trial.attempts
            if attempt.start.stale
        )
        ran = "1 trial ran" if kept == 1 else f"{kept} trials ran"
        return [f"{ran} other code: --sweep-stale=keep"] if kept else []

    def _record(self, key: Key, trial: StoredTrial, *, cached: bool = False) -> TrialRecord | None:
        outcome, attempt = trial.outcome, trial.last
        if isinstance(outcome, EndRecord) and attempt:
            verdict = judged(outcome, self._sweeps[key.sweep].metrics)
            if verdict is None:
                return None
            return self._started(key, attempt, verdict, outcome, cached=cached)
        if isinstance(outcome, CrashRecord) and attempt:
            return self._started(key, attempt, _unscored(State.CRASHED, outcome.reason))
        state = outcome.state if isinstance(outcome, SkipRecord) else State.CRASHED
        reason = outcome.reason if outcome else ""
        item = self.run.items.get(key, self.run.nodeid)
        params = trial.params or self._params_of(key)
        return TrialRecord(item, *key, params, state, seed=trial.seed, reason=reason)

    def _started(
        self,
        key: Key,
        attempt: Attempt,
        verdict: Judgement,
        end: EndRecord | None = None,
        *,
        cached: bool = False,
    ) -> TrialRecord:
        start, directory = attempt.start, attempt.directory
        usual = not directory or directory == artifact_name(*key, start.attempt)
        state, score, metrics, reason, _ = verdict
        items = self.run.items
        return constructor(TrialRecord)(
            (items and items.get(key)) or start.item or self.run.nodeid,
            *key,
            start.params,
            state,
            score,
            metrics,
            start.seed,
            end.steps if end else 0,
            start.attempt,
            end.duration if end else 0.0,
            reason,
            cached,
            start.worker,
            dict(end.logged) if end else {},
            end.peak_memory if end else None,
            end.cpu_time if end else None,
            start.started,
            end.error if end else "",
            None,
            "" if usual else directory,
        )

    def _params_of(self, key: Key) -> Config:
        """Return the configuration of a trial that was never handed out, as far as it is known."""
        sweep = self._sweeps[key.sweep]
        keys = (key._replace(replicate=replicate) for replicate in range(sweep.replicates))
        trials = (self.trials[each] for each in keys if each in self.trials)
        known = next((trial.params for trial in trials if trial.params), None)
        suggested = self.run.suggestions.get((key.sweep, sweep.seed, key.number))
        return known or (suggested.params if suggested else {})


@frozen
class Stored:
    """A run as a session sees it that continues it.

    Attributes:
        run: What earlier sessions left, or was carried over from other runs.
        session: The session.
        replay: Whether trials that finished are replayed instead of run again.
        durations: Seconds that trials took in other runs.
        notes: What the user must be told of trials that were not carried over.
    """

    run: StoredRun = field(default_factory=StoredRun)
    session: SessionRecord = field(default_factory=partial(SessionRecord, ()))
    replay: bool = True
    durations: Mapping[Key, float] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def present(self) -> Present:
        """Return the stored trials that the session's plan has."""
        return Present(self.run, self.session, replay=self.replay)


def read_planned(run: Run) -> StoredRun:
    """Read the records of a run; see `read_run` for what is raised."""
    stored = read_stored(run)
    if not stored.sessions[-1].sweeps:
        raise ValueError(f"{run.path}: expected a journal that begins with a plan")
    return stored


def read_run(run: Run) -> StudyResults:
    """Read the results of a run.

    Args:
        run: It may belong to a live session; its open trials are then running.

    Returns:
        The trials that are recorded, in the order of sweep, number and replicate. The sweeps tell
        how many the plan has.

    Raises:
        StoreError: The journal cannot be read, or was written by a newer version.
        ValueError: The records of what was searched are missing.
    """
    stored = read_planned(run)
    session = stored.sessions[-1]
    present = Present(stored, session)
    elapsed = present.elapsed()
    with uncollected():
        trials = tuple(present.records(live=run.in_use()))
    part = ["only some trials of the plan were selected"] if present.is_part else []
    return StudyResults(
        nodeid=stored.nodeid or run.path.parent.name,
        sweeps=tuple(
            replace(each, planned=each.n_trials * each.replicates, elapsed=elapsed[each.name])
            for each in session.sweeps
        ),
        trials=trials,
        notes=(*part, *present.notes, *damage(stored, run.path)),
        run=str(run.path),
        commit=stored.first.provenance.commit,
        name=next(reversed(stored.names), ""),
        arguments=session.arguments,
    )


def damage(stored: StoredRun, path: Path | str) -> list[str]:
    """Return a note on the lines of a run that could not be read, if there are any."""
    lines = "1 damaged line" if stored.damaged == 1 else f"{stored.damaged} damaged lines"
    return [f"{lines} skipped in {path}"] if stored.damaged else []


def judged(end: EndRecord, metrics: Sequence[str]) -> Judgement | None:
    """Judge a trial by metrics that may not be those of its time; None if it lacks one."""
    if end.state is not State.COMPLETE and (end.failed or end.state is not State.INVALID):
        score = end.metrics.get(metrics[0]) if end.state is State.PRUNED else None
        return Judgement(end.state, score, dict(end.metrics), end.reason)
    try:
        verdict = judge_metrics(dict(end.metrics), metrics)
    except KeyError:
        return None
    # A trial that is complete has a reason if its item failed in the teardown.
    return verdict._replace(reason=verdict.reason or end.reason) if end.reason else verdict


def _unscored(state: State, reason: str = "") -> Judgement:
    return Judgement(state, None, {}, reason)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector from going through all that is read, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # which counts what there is as old, without going through it
            gc.enable()
