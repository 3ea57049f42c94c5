"""What an earlier session left in a run's journal, as far as this session can use it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.store.fingerprint import changed
from pytest_hypersearch.store.runs import artifact_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_hypersearch.core.trial import Config
    from pytest_hypersearch.store.lines import Record


Identity = tuple[str, str, int, int]
"""Sweep, canonical configuration, replicate and seed: what makes two trials the same."""

FINISHED = frozenset({State.COMPLETE, State.PRUNED, State.INVALID})


@dataclass(slots=True)
class Stored:
    """Finished trials to replay, and configurations that were proposed.

    Attributes:
        ends: The last end of each trial that counts, by identity.
        suggestions: What the sampler of a sweep proposed and from how many results, by the sweep's
            name and seed and the configuration's number.
        durations: Seconds that each trial took, whatever code it ran and came to, by identity.
        attempts: How often each trial was started, by sweep, number and replicate.
        saved: The directory of what each trial saved, whatever code it ran, by identity.
        superseded: Directories of what trials saved before they ran again, by identity.
        unfinished: The directories of trials whose process died before their end, by identity.
        stale: How many finished trials ran other code.
        changed: The files that differ between their code and today's.
        damaged: Lines that could not be read.
    """

    ends: dict[Identity, Record] = field(default_factory=dict)
    suggestions: dict[tuple[str, int, int], tuple[Config, int]] = field(default_factory=dict)
    durations: dict[Identity, float] = field(default_factory=dict)
    attempts: dict[tuple[str, int, int], int] = field(default_factory=dict)
    saved: dict[Identity, str] = field(default_factory=dict)
    superseded: dict[Identity, list[str]] = field(default_factory=dict)
    unfinished: dict[Identity, str] = field(default_factory=dict)
    stale: int = 0
    changed: tuple[str, ...] = ()
    damaged: int = 0


def identity(sweep: str, params: Config, replicate: int, seed: int) -> Identity:
    """What makes two trials the same, whatever their place in the plan."""
    return sweep, config_key(params), replicate, seed


def gather(
    records: Iterable[Record],
    *,
    code: Mapping[str, str],
    keep_stale: bool,
    damaged: int = 0,
) -> Stored:
    """Read a run's records; a later end of a trial replaces an earlier one.

    Args:
        records: The journal's records in order; those of unknown kinds are passed over.
        code: Today's fingerprint, by file.
        keep_stale: Whether trials of other code count all the same.
        damaged: Lines that could not be read; records that make no sense are added to them.
    """
    reading = _Reading(code, keep_stale, Stored(damaged=damaged))
    for record in records:
        try:
            reading.take(record)
        except (KeyError, TypeError, ValueError):
            reading.stored.damaged += 1
    return reading.result()


class _Reading:
    """What was read of a run so far."""

    def __init__(self, code: Mapping[str, str], keep_stale: bool, stored: Stored) -> None:
        self.stored = stored
        self._code = dict(code)
        self._keep_stale = keep_stale
        self._session: Mapping[str, str] = {}
        self._counts = keep_stale
        self._started: dict[tuple[str, int, int, int], Record] = {}
        self._open: dict[tuple[str, int, int], Record] = {}
        self._stale: dict[Identity, Mapping[str, str]] = {}

    def take(self, record: Record) -> None:
        match record["k"]:
            case "session":
                self._leave_open()
                self._session = dict(record["fingerprint"])
                self._counts = self._keep_stale or self._session == self._code
                self._started.clear()
            case "suggest":
                which = record["sweep"], record["seed"], record["number"]
                self.stored.suggestions[which] = dict(record["params"]), record["seen"]
            case "start":
                self._started[_place(record)] = record
                self._open.setdefault(_place(record)[:3], record)
                self.stored.attempts[_place(record)[:3]] = int(record["attempt"])
            case "end" if start := self._started.get(_place(record)):
                self._end(_who(start), record)
            case "saved" if start := self._started.get(_place(record)):
                self.stored.saved[_who(start)] = _name(record)

    def _leave_open(self) -> None:
        """What a session left unfinished goes on where it was, unless the code has changed."""
        for record in self._open.values() if self._counts else ():
            self.stored.unfinished.setdefault(_who(record), artifact_name(*_place(record)))
        self._open.clear()

    def _end(self, who: Identity, record: Record) -> None:
        self._open.pop(_place(record)[:3], None)
        self.stored.unfinished.pop(who, None)
        if who in self.stored.saved:
            self.stored.superseded.setdefault(who, []).append(self.stored.saved.pop(who))
        self._stale.pop(who, None)
        self.stored.ends.pop(who, None)
        self.stored.durations[who] = float(record["duration"])
        if record["state"] not in FINISHED or record.get("failed"):
            return
        metrics = {name: float(value) for name, value in dict(record["metrics"]).items()}
        if self._counts:
            started = self._started[_place(record)].get("started")
            self.stored.ends[who] = {**record, "metrics": metrics, "started": started}
        else:
            self._stale[who] = self._session

    def result(self) -> Stored:
        self._leave_open()
        sessions = {id(session): session for session in self._stale.values()}
        files = (changed(dict(old), self._code) for old in sessions.values())
        self.stored.stale = len(self._stale)
        self.stored.changed = tuple(dict.fromkeys(name for names in files for name in names))
        return self.stored


def _name(record: Record) -> str:
    name = str(record["directory"])
    if not re.fullmatch(r"[\w-]+", name, re.ASCII):
        raise ValueError(f"{name!r} is not the name of a study directory")
    return name


def _who(start: Record) -> Identity:
    return identity(start["sweep"], start["params"], start["replicate"], start["seed"])


def _place(record: Record) -> tuple[str, int, int, int]:
    return record["sweep"], record["number"], record["replicate"], record["attempt"]
