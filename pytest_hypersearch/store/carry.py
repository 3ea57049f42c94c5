"""What a new run carries over from earlier runs of its study: the trials that are still valid.

A session continues a run if plan and code are the same. Otherwise it begins a new run, and the
earlier ones stay as they are. A trial is valid if it finished, the plan has its configuration, seed
and replicate, and it ran the same code; its number may be another one than before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field, replace
from typing import Final

from pytest_hypersearch.core.errors import SamplerError
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Key, trial_seed
from pytest_hypersearch.core.values import plural
from pytest_hypersearch.search.samplers import Table
from pytest_hypersearch.store.fingerprint import changes_text
from pytest_hypersearch.store.journal import json_text
from pytest_hypersearch.store.reader import StoredRun, StoredTrial, judged
from pytest_hypersearch.store.records import EndRecord, Record, SavedRecord, SessionRecord
from pytest_hypersearch.store.runs import digest

_ASKED: Final = (
    *("strategy", "space", "seed", "points", "metric", "mode", "others", "constraints", "pick"),
    "at_least",
)


def plan_of(sweeps: Iterable[Sweep]) -> dict[str, str]:
    """Return a digest of what each sweep searches and optimises, by its name."""
    found = {}
    for sweep in sweeps:
        data = sweep.to_json()
        asked = {name: data.get(name) for name in _ASKED} | {"metrics": sweep.metrics}
        found[sweep.name] = digest(json_text(asked))
    return found


def continues(session: SessionRecord, run: StoredRun) -> bool:
    """Tell whether a session has the plan of a run, or more trials of it, and its code."""
    last = run.sessions[-1]
    sweeps = {sweep.name: sweep for sweep in session.sweeps}
    return (session.plan, session.fingerprint) == (last.plan, last.fingerprint) and all(
        each.n_trials <= sweeps[each.name].n_trials
        and each.replicates <= sweeps[each.name].replicates
        for each in last.sweeps
    )


@frozen
class CarriedOver:
    """What a new run has of earlier ones.

    Attributes:
        records: The records with which it begins.
        sources: The run that each trial is from, and its key there.
        durations: Seconds that trials of the plan took before, whatever code they ran.
        notes: What the user must be told of the trials that are left out.
    """

    records: list[Record] = field(default_factory=list)
    sources: dict[Key, tuple[str, Key]] = field(default_factory=dict)
    durations: dict[Key, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def carry_over(
    runs: Iterable[tuple[str, StoredRun]],
    session: SessionRecord,
    tables: Mapping[str, Table],
    *,
    keep_stale: bool,
    again: Collection[Key] | None,
) -> CarriedOver:
    """Find what a new run has of earlier runs.

    Args:
        runs: The names and contents of the earlier runs: first the one that would have been
            continued, of which the notes tell, then those that fill the gaps.
        session: The session that begins the new run.
        tables: The configurations of all sweeps whose samplers look at no results.
        keep_stale: Whether trials that ran other code are valid.
        again: The trials that are to run again with the configurations that they had, None if there
            are none.
    """
    found = CarriedOver()
    taken: set[Key] = set()
    stale: set[Key] = set()
    adaptive: dict[str, str] = {}
    for place, (name, run) in enumerate(runs):
        earlier = _Earlier(name, run, session, tables)
        for key, trial in earlier.trials.items():
            if (seconds := trial.duration) is not None:
                found.durations.setdefault(key, seconds)
            if key in taken or key in (again or ()) or not earlier.finished(key):
                continue
            if not earlier.is_valid and not keep_stale:
                stale |= set() if place else {key}
            # What a sampler proposed in one run does not go with what it proposed in another.
            elif key.sweep in tables or adaptive.setdefault(key.sweep, name) == name:
                taken.add(key)
                found.sources[key] = name, trial.key
                found.records.extend(earlier.records(key, trial))
        if not place:
            changes = changes_text([(run.sessions[-1].fingerprint, session.fingerprint)])
            found.notes.extend(_absent(earlier.absent))
            found.records.extend(earlier.proposals() if again is not None else ())
    if left := len(stale - taken):
        found.notes.append(f"{plural(left, 'stored trial')} stale: {changes}")
    return found


class _Earlier:
    """An earlier run, as the plan of a new one has it.

    Attributes:
        trials: Its trials by their keys in the new plan.
        absent: How many of its trials the plan does not have.
        is_valid: Whether it ran the same code.
    """

    def __init__(
        self, name: str, run: StoredRun, session: SessionRecord, tables: Mapping[str, Table]
    ) -> None:
        self.absent = 0
        self.trials: dict[Key, StoredTrial] = {}
        self._name = name
        self._run = run
        self._sweeps = {sweep.name: sweep for sweep in session.sweeps}
        self._tables = tables
        self.is_valid = run.sessions[-1].fingerprint == session.fingerprint
        trials = defaultdict(list)
        for trial in run.trials:
            trials[trial.key.sweep].append(trial)
        for each, ran in trials.items():
            sweep = self._sweeps.get(each)
            mine = [trial for trial in ran if sweep and _may_have(sweep, trial)]
            self.absent += len(ran) - len(mine)
            if sweep and mine:
                self._place(sweep, mine)

    def _place(self, sweep: Sweep, ran: Iterable[StoredTrial]) -> None:
        """Give trials their keys in the plan: first those that keep them."""
        plan = self._configurations(sweep)
        moved = []
        for trial in ran:
            known = plan is None or not trial.params
            config = "" if known else config_key(trial.params)
            if trial.key.number < sweep.n_trials and (
                known or (plan and plan.get(trial.key.number) == config)
            ):
                self.trials[trial.key] = trial
            else:
                moved.append((trial, config))
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, config in (plan or {}).items():
            numbers[config].append(number)
        for trial, config in sorted(moved, key=lambda each: each[0].key):
            keys = (trial.key._replace(number=number) for number in numbers[config])
            if key := next((key for key in keys if key not in self.trials), None):
                self.trials[key] = trial
            else:
                self.absent += 1

    def _configurations(self, sweep: Sweep) -> dict[int, str] | None:
        """Return the configurations of a sweep's plan by number, None if it draws as before."""
        if self._draws_as_before(sweep):
            return None
        if table := self._tables.get(sweep.name):
            with suppress(SamplerError):
                rows = enumerate(table.upto(sweep.n_trials))
                return {number: config_key(config) for number, config in rows}
        configs = {
            each.number: each.params
            for each in self._run.suggestions.values()
            if (each.sweep, each.seed) == (sweep.name, sweep.seed)
            and sweep.space.contains(each.params)
        }
        configs |= dict(enumerate(sweep.points))
        return {n: config_key(config) for n, config in configs.items() if n < sweep.n_trials}

    def _draws_as_before(self, sweep: Sweep) -> bool:
        before = (each for each in self._run.sessions[-1].sweeps if each.name == sweep.name)
        return any(_drawn(each) == _drawn(sweep) for each in before)

    def finished(self, key: Key) -> bool:
        """Tell whether a trial need not run again, by today's metrics."""
        trial = self.trials[key]
        return (
            trial.is_finished
            and isinstance(trial.outcome, EndRecord)
            and judged(trial.outcome, self._sweeps[key.sweep].metrics) is not None
        )

    def records(self, key: Key, trial: StoredTrial) -> Iterator[Record]:
        """Yield the records of a finished trial as those of another run."""
        attempt = trial.last
        if attempt is None or not isinstance(trial.outcome, EndRecord):
            return
        seed = self._sweeps[key.sweep].seed
        if known := self._run.suggestions.get((key.sweep, seed, trial.key.number)):
            yield replace(known, number=key.number)
        yield replace(
            attempt.start,
            number=key.number,
            item=self._run.items.get(trial.key) or attempt.start.item,
            origin=attempt.start.origin or self._name,
            recorded=attempt.ran_as.number if attempt.ran_as != key else None,
            refers=bool(trial.saved or trial.outcome.steps),
            stale=attempt.start.stale or not self.is_valid,
        )
        yield replace(trial.outcome, number=key.number)
        if trial.saved:
            directory = trial.saved.rpartition("/")[2]
            yield SavedRecord(*key, attempt.start.attempt, directory)

    def proposals(self) -> Iterator[Record]:
        """Yield what samplers proposed for sweeps that draw as before."""
        names = {name for name, each in self._sweeps.items() if self._draws_as_before(each)}
        yield from (each for each in self._run.suggestions.values() if each.sweep in names)


def _absent(number: int) -> list[str]:
    verb = "is" if number == 1 else "are"
    return (
        [f"{plural(number, 'stored trial')} {verb} not part of the present plan"] if number else []
    )


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
