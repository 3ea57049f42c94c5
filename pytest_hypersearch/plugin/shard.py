"""The share of a job among several: which trials of the sweeps a session with a shard runs.

All jobs collect the same trials and deal them out alike: by hashes of their names, and by how long
they took in the newest run that has all trials. Jobs that start with the same cache, or with none,
agree on it; the runs of shards themselves have a part of the trials, and do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeAlias

import pytest

from pytest_hypersearch.core.trial import Key
from pytest_hypersearch.core.values import mean
from pytest_hypersearch.plugin.collect import Slot
from pytest_hypersearch.plugin.plan import study_nodeid, trials_among
from pytest_hypersearch.store.find import newest, stored_studies
from pytest_hypersearch.store.reader import is_whole, read_stored

Unit: TypeAlias = "tuple[str, str, int, int]"
"""What stays together: of a study, a sweep, a number and a replicate; -1 and "" stand for all."""


class Sharding:
    """Deselects the trials of other shards; tests without sweeps run in all of them.

    Attributes:
        elsewhere: The studies of which other shards run all trials.

    Args:
        config: Of the session.
        shard: Which shard, from 1.
        shards: How many there are.
    """

    def __init__(self, config: pytest.Config, shard: int, shards: int) -> None:
        self.elsewhere: list[str] = []
        self._config = config
        self._shard = shard
        self._shards = shards

    # tryfirst: what a user selects among the trials does not change where each of them runs
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the trials of this shard."""
        trials = {item: (study_nodeid(item, slot), slot) for _, item, slot in trials_among(items)}
        units = _Units(self._config, trials.values(), self._shards)
        unit_of = {item: units.of(study, slot) for item, (study, slot) in trials.items()}
        sizes: dict[Unit, float] = dict.fromkeys(unit_of.values(), 0.0)
        for item, seconds in _durations(self._config, trials).items():
            sizes[unit_of[item]] += seconds
        shards = dealt(sizes, self._shards)
        others = [item for item, unit in unit_of.items() if shards[unit] != self._shard]
        if not others:
            return
        dropped = set(others)
        items[:] = [item for item in items if item not in dropped]
        kept = {study for item, (study, _) in trials.items() if item not in dropped}
        studies = dict.fromkeys(study for study, _ in trials.values())
        self.elsewhere += (study for study in studies if study not in kept)
        self._config.hook.pytest_deselected(items=others)


class _Units:
    """Which trials stay together, as others' results have a part in them."""

    def __init__(
        self, config: pytest.Config, trials: Iterable[tuple[str, Slot]], shards: int
    ) -> None:
        self._config = config
        self._shards = shards
        pruned = {study for study, slot in trials if any(each.prune for each in slot.sweeps)}
        self._pruned = pruned
        self._adaptive: dict[str, bool] = {}

    def of(self, study: str, slot: Slot) -> Unit:
        """The unit of a trial."""
        sweep = slot.sweep
        if study in self._pruned:
            return study, "", -1, -1
        waits = sweep.race or sweep.stop or sweep.at_least
        if waits or self._is_adaptive(sweep.strategy):
            return study, sweep.name, -1, -1
        # Replicates of a configuration are judged together, unless there is too little to share.
        together = sweep.n_trials >= self._shards
        return study, sweep.name, slot.number, -1 if together else slot.replicate

    def _is_adaptive(self, strategy: str) -> bool:
        if strategy not in self._adaptive:
            sampler = self._config.hook.pytest_hypersearch_sampler(strategy=strategy)
            self._adaptive[strategy] = sampler.adaptive
        return self._adaptive[strategy]


def _durations(
    config: pytest.Config, trials: Mapping[pytest.Function, tuple[str, Slot]]
) -> dict[pytest.Function, float]:
    """Seconds that each trial is expected to take; 1 for all if nothing is stored."""
    stored: dict[tuple[str, Key], float] = {}
    cache = getattr(config, "cache", None)
    runs_of = stored_studies(cache.mkdir("hypersearch")) if cache else {}
    for study in dict.fromkeys(study for study, _ in trials.values()):
        run = newest(runs_of[study]) if study in runs_of else None
        if run and is_whole(run):
            for trial in read_stored(run).trials:
                if trial.duration is not None:
                    stored[study, trial.key] = trial.duration
    usual = mean([*stored.values()]) if stored else 1.0
    return {
        item: stored.get((study, Key(slot.sweep.name, slot.number, slot.replicate)), usual)
        for item, (study, slot) in trials.items()
    }


def dealt(sizes: Mapping[Unit, float], shards: int) -> dict[Unit, int]:
    """Deal units out: the largest first, each to the shard with the least so far.

    Among those of a size, the units of a sweep follow each other in the order of their hashes: each
    shard gets its share of every sweep, and no regular part of a grid.

    Args:
        sizes: How long each unit takes.
        shards: How many shards there are.

    Returns:
        The shard of each unit, from 1.
    """
    loads = [0.0] * shards
    found = {}
    for unit in sorted(sizes, key=lambda unit: (-sizes[unit], unit[:2], _hash(unit))):
        place = loads.index(min(loads))
        loads[place] += sizes[unit]
        found[unit] = place + 1
    return found


def _hash(unit: Sequence[object]) -> bytes:
    text = "\n".join(map(str, unit))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
