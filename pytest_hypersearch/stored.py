"""What an earlier session left in a run's journal, as far as this session can use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.fingerprint import changed
from pytest_hypersearch.space import config_key
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_hypersearch.journal import Record
    from pytest_hypersearch.trial import Config

Identity = tuple[str, str, int, int]
"""Sweep, canonical configuration, replicate and seed: what makes two trials the same."""

FINISHED = frozenset({State.COMPLETE, State.PRUNED, State.INVALID})


@dataclass(slots=True)
class Stored:
    """Finished trials to replay, and configurations that were proposed.

    Attributes:
        ends: The last end of each trial that counts, by identity.
        suggestions: What the sampler of a sweep proposed, by sweep and number.
        stale: How many finished trials ran other code.
        changed: The files that differ between their code and today's.
        damaged: Lines that could not be read.
    """

    ends: dict[Identity, Record] = field(default_factory=dict)
    suggestions: dict[tuple[str, int], Config] = field(default_factory=dict)
    stale: int = 0
    changed: tuple[str, ...] = ()
    damaged: int = 0


def identity(sweep: str, params: Config, replicate: int, seed: int) -> Identity:
    """What makes two trials the same, whatever their place in the plan."""
    return sweep, config_key(params), replicate, seed


def gather(
    records: Iterable[Record], *, code: Mapping[str, str], keep_stale: bool, damaged: int = 0
) -> Stored:
    """Read a run's records; a later end of a trial replaces an earlier one.

    Args:
        records: The journal's records in order.
        code: Today's fingerprint, by file.
        keep_stale: Whether trials of other code count all the same.
        damaged: Lines that could not be read, to be passed on.
    """
    stored = Stored(damaged=damaged)
    stale: dict[Identity, Mapping[str, str]] = {}
    session: Mapping[str, str] = {}
    started: dict[tuple[Any, ...], Record] = {}
    for record in records:
        match record["k"]:
            case "session":
                session = record["fingerprint"]
            case "suggest":
                stored.suggestions[record["sweep"], record["number"]] = record["params"]
            case "start":
                started[_place(record)] = record
            case "end" if start := started.get(_place(record)):
                who = identity(record["sweep"], start["params"], record["replicate"], start["seed"])
                stale.pop(who, None)
                stored.ends.pop(who, None)
                if record["state"] not in FINISHED or record.get("failed"):
                    continue
                if keep_stale or session == code:
                    stored.ends[who] = record
                else:
                    stale[who] = session
    stored.stale = len(stale)
    stored.changed = tuple(
        dict.fromkeys(
            name
            for old in {id(old): old for old in stale.values()}.values()
            for name in changed(dict(old), dict(code))
        )
    )
    return stored


def _place(record: Record) -> tuple[Any, ...]:
    return record["sweep"], record["number"], record["replicate"], record["attempt"]
