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
    sweeps = _sweeps(parts)
    places = {name: place for place, name in enumerate(sweeps)}
    return replace(
        parts[0],
        sweeps=tuple(max(known, key=lambda sweep: sweep.elapsed) for known in sweeps.values()),
        trials=tuple(sorted(trials, key=lambda t: (places[t.sweep], t.number, t.replicate))),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def mergeable(parts: Iterable[StudyResults]) -> list[list[StudyResults]]:
    """Put those results together that are of one study and searched the same.

    Each may have some of the study's sweeps; those that several have must be alike.
    """
    found: list[list[StudyResults]] = []
    for part in parts:
        group = next((group for group in found if _fits(part, group)), None)
        if group is None:
            found.append([part])
        else:
            group.append(part)
    return found


def _fits(part: StudyResults, group: Sequence[StudyResults]) -> bool:
    return part.nodeid == group[0].nodeid and all(
        len({replace(sweep, elapsed=0.0) for sweep in known}) == 1
        for known in _sweeps([*group, part]).values()
    )


def _sweeps(parts: Iterable[StudyResults]) -> dict[str, list[SweepInfo]]:
    """The sweeps of several results by name."""
    found: dict[str, list[SweepInfo]] = {}
    for sweep in (sweep for part in parts for sweep in part.sweeps):
        found.setdefault(sweep.name, []).append(sweep)
    return found


def _standing(trial: TrialRecord) -> tuple[int, float]:
    idle = trial.state in {State.NOT_RUN, State.RACED_OUT, State.RUNNING}
    rank = 2 if trial.state is State.COMPLETE else 0 if idle else 1
    return rank, trial.started or 0.0
