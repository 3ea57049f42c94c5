"""Results of one study from several caches, such as those of CI shards, put together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_hypersearch.analysis.reading import distinct, identity_of
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_hypersearch.analysis.reading import Identity
    from pytest_hypersearch.results import StudyResults, SweepInfo
    from pytest_hypersearch.trial import TrialRecord


def merge(parts: Sequence[StudyResults]) -> StudyResults:
    """Put results of one study together, of which each has some of the trials.

    Of a trial that several have, the one that got furthest counts: complete before pruned or
    failed ones, these before those that did not run; the latest of equal ones.

    Args:
        parts: Results whose sweeps are alike, see `mergeable`.
    """
    found: dict[Identity, TrialRecord] = {}
    for trial in (trial for part in parts for trial in part.trials):
        who = identity_of(trial)
        if who not in found or _standing(trial) >= _standing(found[who]):
            found[who] = trial
    numbers = distinct({who[:2]: trial.number for who, trial in found.items()})
    trials = [replace(trial, number=numbers[who[:2]]) for who, trial in found.items()]
    first = parts[0]
    places = {sweep.name: place for place, sweep in enumerate(first.sweeps)}
    return replace(
        first,
        sweeps=tuple(_longest(sweeps) for sweeps in zip(*(p.sweeps for p in parts), strict=True)),
        trials=tuple(sorted(trials, key=lambda t: (places[t.sweep], t.number, t.replicate))),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def mergeable(parts: Iterable[StudyResults]) -> list[list[StudyResults]]:
    """Put those results together that are of one study and searched the same."""
    found: dict[tuple[object, ...], list[StudyResults]] = {}
    for part in parts:
        sweeps = tuple(replace(sweep, elapsed=0.0) for sweep in part.sweeps)
        found.setdefault((part.nodeid, sweeps), []).append(part)
    return list(found.values())


def _standing(trial: TrialRecord) -> tuple[int, float]:
    idle = trial.state in {State.NOT_RUN, State.RACED_OUT, State.RUNNING}
    rank = 2 if trial.state is State.COMPLETE else 0 if idle else 1
    return rank, trial.started or 0.0


def _longest(sweeps: Iterable[SweepInfo]) -> SweepInfo:
    return max(sweeps, key=lambda sweep: sweep.elapsed)
