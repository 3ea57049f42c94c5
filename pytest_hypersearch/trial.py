"""What is known about one trial: its states and its record."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Raw: TypeAlias = "int | float | str | bool | None"
Config: TypeAlias = "dict[str, Raw]"


class Key(NamedTuple):
    """Which trial of a study."""

    sweep: str
    number: int
    replicate: int


class State(StrEnum):
    """How a trial stands or ended; only complete trials rank."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    INVALID = "invalid"
    PRUNED = "pruned"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    RACED_OUT = "raced out"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial as it is stored and shown.

    Attributes:
        nodeid: The pytest item that ran it.
        sweep: Name of the sweep within its study.
        number: Index of the configuration within its sweep, from 0; the number in the item's id.
        replicate: Index of the repetition of this configuration, from 0.
        params: The configuration, as JSON scalars.
        state: How it ended.
        score: Value of the sweep's metric; None unless complete or pruned.
        metrics: Every number that the trial gave, by name.
        seed: Seed of ``trial.rng``; equal for all configurations of one replicate.
        steps: How many values of the metric it reported on its way.
        attempt: 1 for the first execution in its run, 2 for the first retry, and so on.
        duration: Wall time of the test's call in seconds.
        reason: One line on why it is not complete, empty otherwise.
        cached: Whether it was replayed from the store instead of run.
        worker: Name of the process that ran it, empty in plain pytest.
        logged: What the test gave to ``trial.log``.
        peak_memory: The most bytes of memory that its process held during the test's call; None
            where the system cannot tell.
        cpu_time: CPU seconds of the test's call, its finished child processes included.
        started: When it was handed out, in seconds since the epoch; None if it was not.
        error: The traceback of its failure as pytest shows it, its end if it is long.
    """

    nodeid: str
    sweep: str
    number: int
    replicate: int
    params: Config
    state: State
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    steps: int = 0
    attempt: int = 1
    duration: float = 0.0
    reason: str = ""
    cached: bool = False
    worker: str = ""
    logged: dict[str, Raw] = field(default_factory=dict)
    peak_memory: int | None = None
    cpu_time: float | None = None
    started: float | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrialRecord:
        """The inverse of `to_json`."""
        return cls(**{**data, "state": State(data["state"])})
