"""From the records of a stored run to the results of its study.

Only what was recorded is told: trials that were handed out or left out by a race. How many more the
marks asked for is in the sweeps' ``planned``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, Key, State, TrialRecord, judge
from pytest_hypersearch.search.samplers import builtin
from pytest_hypersearch.search.samplers.proposal import Table
from pytest_hypersearch.store.stored import FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_hypersearch.store.journal import JournalContents
    from pytest_hypersearch.store.lines import Record
    from pytest_hypersearch.store.runs import Run


_SCALARS = frozenset({int, float, str, bool, type(None)})
_MOST = 1_000_000  # a forged number of trials must not keep the reader busy
_ONCE = 2  # what comes before the first session, and that session


class Identity(NamedTuple):
    """Which trial, whatever its number: configurations may be numbered anew when a run goes on."""

    sweep: str
    config: str
    replicate: int


class Place(NamedTuple):
    """Under which key and attempt a run's files know a trial."""

    key: Key
    attempt: int


@dataclass(slots=True)
class _Found:
    """A trial as far as it was read: how it stands, where, and in which session."""

    record: TrialRecord
    place: Place
    session: int


def identity_of(trial: TrialRecord) -> Identity:
    """Return what makes two trials of one study the same."""
    config = config_key(trial.params) if trial.params else f"#{trial.number}"
    return Identity(trial.sweep, config, trial.replicate)


def read_run(run: Run) -> StudyResults:
    """Read a stored run.

    Args:
        run: It may belong to a live session; its open trials are then running.

    Returns:
        The last that is known of each trial, in the order of sweep, configuration and replicate;
        damaged lines are skipped and counted in the notes.

    Raises:
        StoreError: The journal cannot be read, or was written by a newer version.
        ValueError: The records of what was searched are missing.
    """
    contents = run.read()
    reading = _read(contents)
    if not reading.sweeps:
        raise ValueError(f"{run.path}: expected a journal that begins with a plan")
    damaged = contents.damaged + reading.damaged
    lines = "1 damaged line" if damaged == 1 else f"{damaged} damaged lines"
    notes = (f"{lines} skipped in {run.path}",) if damaged else ()
    return StudyResults(
        nodeid=reading.nodeid or run.path.parent.name,
        sweeps=tuple(reading.timed()),
        trials=tuple(reading.trials(live=run.in_use())),
        notes=notes,
        run=str(run.path),
    )


def places_of(run: Run) -> dict[tuple[Identity, float | None], Place]:
    """Return under which key a run's files know the last attempt at each trial and its start.

    Raises:
        StoreError: The journal cannot be read, or was written by a newer version.
    """
    return {
        (who, found.record.started): found.place for who, found in _read(run.read()).found.items()
    }


def distinct(numbers: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Give each configuration a number of its own, by sweep and configuration.

    Of several with the same number, the last keeps it, and the others come after all.
    """
    owners = {(name, number): config for (name, config), number in numbers.items()}
    last: dict[str, int] = {}
    for name, number in owners:
        last[name] = max(last.get(name, 0), number)
    found = {}
    for (name, config), number in numbers.items():
        if owners[name, number] != config:
            last[name] += 1
            number = last[name]  # noqa: PLW2901
        found[name, config] = number
    return found


def _read(contents: JournalContents) -> _Reading:
    reading = _Reading()
    for record in contents.records:
        reading.take(record)
    return reading


class _Reading:
    """What was read of a run so far.

    Attributes:
        nodeid: The study.
        sweeps: The last form of each sweep.
        found: The last that is known of each trial.
        damaged: Records that make no sense.
    """

    def __init__(self) -> None:
        self.nodeid = ""
        self.sweeps: dict[str, Sweep] = {}
        self.found: dict[Identity, _Found] = {}
        self.damaged = 0
        self._sessions: list[dict[str, tuple[str, ...]]] = [{}]
        self._open: dict[Place, _Found] = {}
        self._seen: set[Place] = set()
        self._configs: dict[tuple[str, int], Config] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def take(self, record: Record) -> None:
        """Read a record; one that makes no sense is counted, an unknown one passed over."""
        read = _READERS.get(record["k"]) if isinstance(record["k"], str) else None
        if read is None:
            return
        try:
            read(self, record)
        except (AttributeError, KeyError, TypeError, ValueError):
            self.damaged += 1

    def on_run(self, record: Record) -> None:
        self.nodeid = self.nodeid or _text(record["nodeid"])
        self._take_sweeps(record["sweeps"])

    def on_session(self, record: Record) -> None:
        self._open.clear()
        self._sessions.append({})
        self._take_sweeps(record["sweeps"])
        names = {name: sweep.metrics for name, sweep in self.sweeps.items()}
        self._sessions[-1] = names

    def on_suggest(self, record: Record) -> None:
        self._configs[_text(record["sweep"]), int(record["number"])] = _config(record["params"])

    def on_start(self, record: Record) -> None:
        place, params = _place(record), _config(record["params"])
        if place in self._seen:
            return
        self._seen.add(place)
        trial = TrialRecord(
            nodeid=_text(record.get("item", "")) or self.nodeid,
            sweep=place.key.sweep,
            number=place.key.number,
            replicate=place.key.replicate,
            params=params,
            state=State.RUNNING,
            seed=int(record["seed"]),
            attempt=place.attempt,
            worker=_text(record["worker"]),
            started=_number(record.get("started")),
        )
        self._open[place] = self._keep(trial, place)
        self._configs[place.key[:2]] = params

    def on_end(self, record: Record) -> None:
        place = _place(record)
        found = self._open.pop(place, None)
        if found is None:
            if place in self._seen:
                return
            raise KeyError(place)
        score = record.get("score")
        found.record = replace(
            found.record,
            state=State(record["state"]),
            score=None if score is None else float(score),
            metrics={name: float(value) for name, value in record["metrics"].items()},
            steps=int(record.get("steps", 0)),
            duration=float(record["duration"]),
            reason=_text(record.get("reason", "")),
            logged=_config(record.get("logged", {})),
            error=_text(record.get("error", "")),
            peak_memory=_whole(record.get("peak_memory")),
            cpu_time=_number(record.get("cpu_time")),
        )

    def on_crash(self, record: Record) -> None:
        place, reason = _place(record), _text(record["reason"])
        found = self._open.pop(place, None)
        if found is None:
            self._left_out(place, State.CRASHED, reason)
        else:
            found.record = replace(found.record, state=State.CRASHED, reason=reason)

    def on_skip(self, record: Record) -> None:
        place = _place({**record, "attempt": 1})
        self._left_out(place, State(record["state"]), _text(record["reason"]))

    def _left_out(self, place: Place, state: State, reason: str) -> None:
        """Keep a trial that was never handed out, with what is known of its configuration."""
        params = self._configs.get(place.key[:2], {})
        trial = TrialRecord(self.nodeid, *place.key, params, state, reason=reason)
        self._keep(trial, place)

    def _keep(self, trial: TrialRecord, place: Place) -> _Found:
        who = identity_of(trial)
        self._numbers.pop(who[:2], None)  # the last to take a number is the last in this dict
        self._numbers[who[:2]] = trial.number
        found = self.found[who] = _Found(trial, place, len(self._sessions) - 1)
        return found

    def _take_sweeps(self, sweeps: Iterable[Mapping[str, Any]]) -> None:
        for data in sweeps:
            if data["mode"] not in {"min", "max"}:
                raise ValueError(f"{data['mode']!r} is not a mode")
            sweep = Sweep.from_json(data)
            self.sweeps[sweep.name] = replace(sweep, planned=sweep.n_trials * sweep.replicates)

    def timed(self) -> Iterable[Sweep]:
        """Each sweep with its wall time."""
        times = self._times()
        for sweep in self.sweeps.values():
            yield replace(sweep, elapsed=times.get(sweep.name, 0.0))

    def _times(self) -> dict[str, float]:
        """How long each sweep took, without the time between sessions."""
        spans: dict[tuple[str, int], tuple[float, float]] = {}
        for found in self.found.values():
            record, which = found.record, (found.record.sweep, found.session)
            if record.started is not None:
                first, last = spans.get(which, (record.started, 0.0))
                end = record.started + record.duration
                spans[which] = min(first, record.started), max(last, end)
        times: dict[str, float] = {}
        for (name, _), (first, last) in spans.items():
            times[name] = times.get(name, 0.0) + last - first
        return times

    def trials(self, *, live: bool) -> list[TrialRecord]:
        """Every trial with its last number.

        Args:
            live: Whether trials that have not ended still run.
        """
        numbers = self._renumbered()
        places = {name: place for place, name in enumerate(self.sweeps)}
        trials = [
            self._settled(found, numbers[who[:2]], live=live and found.place in self._open)
            for who, found in self.found.items()
            if who.sweep in places
        ]
        return sorted(trials, key=lambda t: (places[t.sweep], t.number, t.replicate))

    def _settled(self, found: _Found, number: int, *, live: bool) -> TrialRecord:
        """A trial as it stands now that all is read; its score is that of today's metric."""
        record = found.record
        if number != record.number:
            record = replace(record, number=number)
        if record.state is State.RUNNING and not live:
            return replace(record, state=State.NOT_RUN, reason="interrupted")
        names = self.sweeps[record.sweep].metrics
        known = self._sessions[found.session].get(record.sweep, names)
        if known == names or record.state not in FINISHED or record.state is State.PRUNED:
            return record
        verdict = judge(None, record.metrics, *names)
        return replace(record, state=verdict.state, score=verdict.score, reason=verdict.reason)

    def _renumbered(self) -> dict[tuple[str, str], int]:
        """A number for each configuration.

        A run that goes on with another grid or ``n_trials`` numbers its configurations anew, while
        trials that it replays stay recorded under their old numbers.
        """
        numbers = dict(self._numbers)
        if len(self._sessions) > _ONCE:
            for sweep in self.sweeps.values():
                for number, config in _table(sweep):
                    if numbers.pop((sweep.name, config), None) is not None:
                        numbers[sweep.name, config] = number
        return distinct(numbers)


_READERS: Mapping[str, Callable[[_Reading, Record], None]] = {
    "run": _Reading.on_run,
    "session": _Reading.on_session,
    "suggest": _Reading.on_suggest,
    "start": _Reading.on_start,
    "end": _Reading.on_end,
    "crash": _Reading.on_crash,
    "skip": _Reading.on_skip,
}


def _table(sweep: Sweep) -> Iterator[tuple[int, str]]:
    """The numbers of configurations that follow from the sweep alone."""
    sampler = builtin(sweep.strategy) if sweep.strategy in {"grid", "random"} else None
    if sampler is not None:
        for number, config in enumerate(Table(sampler, sweep).upto(min(sweep.n_trials, _MOST))):
            yield number, config_key(config)


def _place(record: Record) -> Place:
    key = Key(_text(record["sweep"]), int(record["number"]), int(record["replicate"]))
    return Place(key, int(record["attempt"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def _whole(value: object) -> int | None:
    return None if value is None else int(value)  # type: ignore[call-overload]


def _config(params: Mapping[str, Any]) -> Config:
    if not _SCALARS.issuperset(map(type, params.values())):
        raise TypeError(f"{params!r} are not parameters")
    return dict(params)
