"""Artifact retention: which files of trials are kept, and which are published as the best.

The work on files is done by one thread beside the session, in the order of the requests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

from pytest_hypersearch.core import study as core
from pytest_hypersearch.core.goals import ONE_SE
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Attempt, Key, State, TrialRecord
from pytest_hypersearch.engine.study import Study
from pytest_hypersearch.stats.ranking import objectives, rank
from pytest_hypersearch.store.archive import RunLog
from pytest_hypersearch.store.best import (
    BEST,
    Edition,
    publish,
    published,
    remove,
    replicate_name,
    tidy,
)
from pytest_hypersearch.store.records import SavedRecord
from pytest_hypersearch.store.runs import artifact_name


class Background:
    """Does jobs one after another, beside the session; there is no thread before the first.

    Args:
        warn: Takes one line that the user must see; called once at most.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned = False
        self._executor: Executor | None = None

    def submit(self, job: Callable[[], object]) -> None:
        """Do a job after those before it. An error in it ends that job alone."""
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(1, "hypersearch")
        self._executor.submit(self._do, job)

    def wait(self) -> None:
        """Wait until all jobs so far are done."""
        if self._executor is not None:
            self._executor.submit(int).result()

    def close(self) -> None:
        """Wait until all jobs are done; more may come, and will start a new thread."""
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def _do(self, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001  whatever happens to files, results are kept
            if not self._warned:
                self._warned = True
                self._warn(f"the best trials' files are not up to date: {_reason(error)}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


Configuration: TypeAlias = tuple[str, int]

STAY = frozenset({State.FAILED, State.CRASHED, State.TIMED_OUT})


class ArtifactRetention:
    """Keeps the files of a study's best configurations.

    As long as no trial saves anything, it only knows which trials run.
    """

    def __init__(self, study: Study, log: RunLog, background: Background) -> None:
        self._study = study
        self._log = log
        self._background = background
        self._busy: set[Key] = set()
        self._directories: dict[Key, str] = {}
        self._saved: dict[Configuration, dict[int, str]] = defaultdict(dict)
        self._waiting: dict[Configuration, None] = {}
        self._kept: dict[str, set[int]] = defaultdict(set)
        self._changed = False
        stored = study.present.trials.items()
        self._earlier = {key: trial.directories for key, trial in stored if trial.directories}
        self._unreplayed = {
            key for key, trial in stored if trial.saved and study.present.finished(key)
        }
        self._resumed: set[Key] = set()
        self._wanted: Edition | None = None
        self._published: Edition | None = None
        # A session that runs some trials of a run again leaves the others' files alone.
        self._decides = not (log.continued and study.part)

    @property
    def idle(self) -> bool:
        """Whether no trial runs or is still to be torn down."""
        return not self._busy

    def start(self, key: Key, attempt: Attempt) -> str:
        """The directory of a trial that was handed out.

        It is a new one, unless the process of the attempt before died: what that one saved is there
        to go on from.
        """
        self._busy.add(key)
        name = self._directories.get(key) or self._unfinished(key, attempt)
        self._directories[key] = name = name or artifact_name(*key, attempt.number)
        return self._log.artifacts(name)

    def ended(self, record: TrialRecord) -> None:
        """Take note of a trial's end; its item may still have to be torn down."""
        if record.cached:
            self._recall(record.key)
        self._settle()

    def finish(self, key: Key, *, saved: bool) -> None:
        """Take note that a trial's item is torn down, and whether it has saved whole files."""
        self._busy.discard(key)
        record = self._study.records.get(key)
        if record is None:
            return
        name = self._directories.pop(key)
        if saved and record.state not in STAY:
            self._log.write(SavedRecord(*key, record.attempt, name))
            self._take(key, name)
        if record.state is State.COMPLETE and key in self._earlier:
            self._remove(key.sweep, self._earlier.pop(key))
        self._settle()

    def close(self) -> None:
        """Publish the best of what there is, however many replicates it has."""
        for name, number in self._waiting:
            if self._is_torn_down((name, number)):
                self._kept[name].add(number)
                self._changed = True
        for name in self._kept if self._study.done else ():
            self._select(name)
        self._publish()
        if self._wanted is not None:
            self._background.submit(partial(tidy, self._wanted.run.parent))

    def directory(self) -> str:
        """Where what the best saved is published, empty if it saved nothing."""
        self._background.wait()
        done = self._published
        if not self._decides and self._leader_is_published():
            return str(Path(self._log.path).parent / BEST)
        if done is None or done != self._wanted:
            return ""
        published_now = done.facts["sweep"], done.facts["number"]
        is_leader = done.directories and published_now == self._study.best.leader
        return str(done.run.parent / BEST) if is_leader else ""

    def _leader_is_published(self) -> bool:
        """Whether an earlier session published the best, maybe of the run that it ran in."""
        run, leader = Path(self._log.path), self._study.best.leader
        stored = (trial for key, trial in self._study.present.trials.items() if key[:2] == leader)
        last = next((trial.last for trial in stored if trial.last), None)
        if last and last.start.origin:
            run, leader = run.parent / last.start.origin, last.ran_as[:2]
        return leader is not None and published(run) == leader

    def paths(self) -> tuple[tuple[Key, str], ...]:
        """The directories that are kept, by trial; the published ones last."""
        best = self.directory()
        kept = [
            (Key(*configuration, replicate), self._log.artifacts(name))
            for configuration, names in self._saved.items()
            for replicate, name in names.items()
            if configuration[1] in self._kept[configuration[0]]
        ]
        if best and self._published is not None:
            leader = self._published.facts["sweep"], self._published.facts["number"]
            kept += [
                (Key(*leader, replicate), f"{best}/{replicate_name(replicate)}")
                for replicate, _ in self._published.directories
            ]
        return tuple(kept)

    def _unfinished(self, key: Key, attempt: Attempt) -> str:
        """The directory of an attempt whose process died in an earlier session."""
        if key in self._resumed or key not in self._study.present.trials:
            return ""
        self._resumed.add(key)
        return self._study.present.unfinished(key, attempt.params)

    @cached_property
    def _infos(self) -> dict[str, Sweep]:
        return {info.name: info for info in self._study.results().sweeps}

    def _take(self, key: Key, name: str) -> None:
        configuration = key.sweep, key.number
        self._saved[configuration][key.replicate] = name
        if self._decides:
            self._waiting[configuration] = None

    def _recall(self, key: Key) -> None:
        """Take what a replayed trial saved, if it was kept."""
        self._unreplayed.discard(key)
        saved = self._study.present.trials[key].saved
        if names := self._earlier.pop(key, []):
            self._remove(key.sweep, (name for name in names if name != saved))
        if saved and Path(self._log.artifacts(saved)).is_dir():
            self._take(key, saved)

    def _is_torn_down(self, configuration: Configuration) -> bool:
        keys = [Key(*configuration, replicate) for replicate in self._replicates(configuration[0])]
        return self._busy.isdisjoint(keys)

    def _replicates(self, sweep: str) -> range:
        return range(self._study.sweeps[sweep].replicates)

    def _settle(self) -> None:
        """Select what is kept and what is best, now that a trial has ended or is torn down."""
        if not self._waiting and not self._changed:
            return
        settled = [
            (name, number)
            for name, number in self._waiting
            if self._study.is_over(name, number) and self._is_torn_down((name, number))
        ]
        for configuration in settled:
            del self._waiting[configuration]
            self._select(*configuration)
        self._publish()

    def _select(self, name: str, *numbers: int) -> None:
        """Select which configurations are kept, with these settled ones among them."""
        candidates = self._kept[name].union(numbers)
        self._changed = True
        if self._study.sweeps[name].pick.startswith(ONE_SE) and not self._study.done:
            self._kept[name] = candidates  # with a new best, any of them may come to be picked
            return
        trials = self._trials(name, candidates)
        places = [self._infos[name]]
        ranking = rank(trials, places)
        stay = ranking[: self._study.sweeps[name].keep or 1]
        if self._infos[name].others:
            stay += ranking.front
        self._kept[name] = {each.number for each in stay}
        for loser in candidates - self._kept[name]:
            self._remove(name, self._saved.pop((name, loser), {}).values())

    def _remove(self, sweep: str, names: Iterable[str]) -> None:
        if self._decides and self._study.sweeps[sweep].keep is not None:
            for name in (name for name in names if "/" not in name):  # those of other runs stay
                self._background.submit(partial(remove, Path(self._log.artifacts(name))))

    def _trials(self, name: str, numbers: Iterable[int]) -> list[TrialRecord]:
        keys = (Key(name, number, r) for number in numbers for r in self._replicates(name))
        return [self._study.records[key] for key in keys if key in self._study.records]

    def _publish(self) -> None:
        """Put the best of what is kept under ``best``, unless a better one may be replayed yet."""
        if not self._changed or (self._unreplayed and not self._study.done) or self._log.whole:
            return
        self._changed = False
        sweeps = objectives(self._infos.values())[0]
        trials = [
            trial for info in sweeps for trial in self._trials(info.name, self._kept[info.name])
        ]
        best = rank(trials, sweeps).best
        if best is None:
            return
        edition = self._edition(best)
        if edition != self._wanted:
            self._wanted = edition
            self._background.submit(self._publish_wanted)

    def _publish_wanted(self) -> None:
        wanted = self._wanted
        if wanted is not None and wanted != self._published and publish(wanted):
            self._published = wanted

    def _edition(self, best: core.Configuration) -> Edition:
        saved = self._saved.get((best.sweep.name, best.number), {}).items()
        directories = {r: Path(self._log.artifacts(name)) for r, name in saved}
        return Edition.of(Path(self._log.path), self._study.nodeid, best, directories)
