"""Which trials of a study are not worth going on with: its curves, shown to the sweeps' pruners.

A trial is compared with all others of the study that have the same score and mode, whichever sweep
they belong to, except its configuration's other replicates.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TypeAlias

from pytest_hypersearch.core.contracts import Curve, Reports
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Key, State
from pytest_hypersearch.core.values import shown
from pytest_hypersearch.store.curves import Packed, TimedSeries, unpack

StoredCurves: TypeAlias = Mapping[tuple[Key, int], Mapping[str, TimedSeries]]


class Pruning:
    """The curves of one study.

    Args:
        sweeps: The sweeps by name.
        stored: Reads the curves that earlier sessions of the run left, by trial and attempt; called
            once, and only if a trial is replayed.
    """

    def __init__(self, sweeps: Mapping[str, Sweep], stored: Callable[[], StoredCurves]) -> None:
        pruned = {sweep.goals[0] for sweep in sweeps.values() if sweep.prune is not None}
        self._sweeps = {name: one for name, one in sweeps.items() if one.goals[0] in pruned}
        self._read = stored
        self._stored: StoredCurves | None = None
        self._curves: dict[Key, Curve] = {}
        self._in_order: list[Key] = []
        self._reviewed: dict[Key, float] = {}

    def start(self, key: Key) -> None:
        """A trial starts, maybe not for the first time."""
        if key.sweep in self._sweeps:
            mode = self._sweeps[key.sweep].mode
            if key not in self._curves:
                insort(self._in_order, key)
            self._curves[key] = Curve(key.number, key.replicate, mode=mode)
            self._reviewed[key] = -inf

    def take(self, key: Key, series: Mapping[str, Packed]) -> None:
        """A running trial reported."""
        sweep = self._sweeps.get(key.sweep)
        if sweep is not None and sweep.metric in series:
            self._add(key, *unpack(series[sweep.metric]))

    def reports(self, key: Key) -> Reports:
        """Return what a trial has reported, for samplers; nothing if no sweep prunes by it."""
        curve = self._curves.get(key)
        return curve.reports if curve else ()

    def verdict(self, key: Key) -> str:
        """Why a running trial should end; empty if it should go on."""
        sweep, curve = self._sweeps[key.sweep], self._curves[key]
        # A race leaves good configurations only, of which a pruner would end the worse half.
        raced = sweep.race and key.replicate > 0
        if sweep.prune is None or curve.last_step is None or raced:
            return ""
        since, self._reviewed[key] = self._reviewed[key], curve.last_step
        reason = sweep.prune.verdict(curve, self._others(key), since=since)
        if reason and not isinstance(reason, str):
            raise TypeError(
                f"{shown(sweep.prune)}: expected verdict() to return a text, not {shown(reason)}"
            )
        return reason or ""

    def end(self, key: Key, state: State) -> None:
        """A running trial ended."""
        if key in self._curves:
            self._curves[key].ended = state

    def replay(self, key: Key, state: State, attempt: int) -> None:
        """A trial is replayed that ended with this attempt."""
        sweep = self._sweeps.get(key.sweep)
        if sweep is None:
            return
        if self._stored is None:
            self._stored = self._read()
        self.start(key)
        series = self._stored.get((key, attempt), {}).get(sweep.metric)
        if series is not None:
            self._add(key, series.steps, series.values)
        self.end(key, state)

    def _add(self, key: Key, steps: Sequence[float], values: Sequence[float]) -> None:
        for step, value in zip(steps, values, strict=True):
            self._curves[key].add(step, value)

    def _others(self, key: Key) -> list[Curve]:
        goal = self._sweeps[key.sweep].goals[0]
        return [
            self._curves[other]
            for other in self._in_order
            if other[:2] != key[:2] and self._sweeps[other.sweep].goals[0] == goal
        ]
