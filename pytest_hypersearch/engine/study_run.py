"""A study in its run, with the run's log and artifacts, and the events that listeners hear of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from pytest_hypersearch.core.contracts import Sampler, unpickled
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Attempt, Config, Key, State, TrialRecord
from pytest_hypersearch.core.values import time_text
from pytest_hypersearch.engine.artifacts import ArtifactRetention, Background
from pytest_hypersearch.engine.messages import StudyPlan, StudyState
from pytest_hypersearch.engine.study import Study
from pytest_hypersearch.search.samplers import Table
from pytest_hypersearch.store.annotations import annotated
from pytest_hypersearch.store.archive import Archive, RunLog
from pytest_hypersearch.store.best import kept
from pytest_hypersearch.store.curves import Packed
from pytest_hypersearch.store.reader import read_run
from pytest_hypersearch.store.records import Provenance
from pytest_hypersearch.store.runs import Run, digest

Event: TypeAlias = "Started | Reported | Ended"
Listener: TypeAlias = Callable[[Event], None]
Start: TypeAlias = Callable[[str, Sweep], tuple[Sweep, str]]


class Compared(Protocol):
    """What a session's results are compared with."""

    def replays(self, nodeid: str, sweep: Sweep) -> Sequence[Config]:
        """Return configurations that a sweep begins with if its sampler looks at results."""

    def before(self, nodeid: str) -> StudyResults | None:
        """Return the earlier results of a study, None if its replicates are not to end by them."""


class NoBaseline:
    """There is nothing to compare with."""

    def replays(self, nodeid: str, sweep: Sweep) -> Sequence[Config]:  # noqa: ARG002 - a protocol
        """Return nothing."""
        return ()

    def before(self, nodeid: str) -> None:
        """Return nothing."""


_NOT_ENDED: Final = frozenset({State.NOT_RUN, State.RUNNING})


@frozen
class StudyRun:
    """A study in its run, with the log of its records and what keeps the best trials' files."""

    study: Study
    log: RunLog
    artifacts: ArtifactRetention
    notes: tuple[str, ...] = ()

    def results(self) -> StudyResults:
        """The study's results, and where they are."""
        results = self.study.results()
        notes = (*results.notes, *self.notes, *self.log.notes)
        found = replace(
            results,
            notes=notes,
            run=self.log.path,
            saved=self.artifacts.directory(),
            arguments=self.log.stored.session.arguments,
        )
        return annotated(found, Run(Path(found.run))) if found.run else found

    def sweep(self, name: str) -> SweepRun:
        """A sweep of the study in this run, for trackers; the run exists."""
        return SweepRun(
            id=digest(f"{self.log.run_id}\n{name}"),
            nodeid=self.study.nodeid,
            info=self.study.info(self.study.sweeps[name]),
            directory=self.log.path,
            provenance=self.log.provenance(),
        )

    def state(self) -> StudyState:
        """The study as it stands, for a test that asks for it."""
        suggestions = tuple(self.study.proposals.suggestions())
        others = kept(Path(self.log.path), self.study.others).items()
        paths = (*others, *self.artifacts.paths())
        return StudyState(self.results(), suggestions, paths, self.study.part)

    def take_values(
        self, key: Key, attempt: int, series: Mapping[str, Packed]
    ) -> TrialRecord | None:
        """Record intermediate values of a trial; return the trial if it is under way."""
        if not series:
            return None
        self.log.write_curve(key, attempt, series, self.study.elapsed(key))
        self.study.report(key, attempt, series)
        return self.study.under_way(key, attempt)


def stored_state(run: Run) -> StudyState:
    """A study as one of its earlier runs left it, for a test that asks for it.

    Raises:
        StoreError, ValueError: The run cannot be read.
    """
    results = read_run(run)
    started = min((trial.started for trial in results.trials if trial.started), default=None)
    when = f" of {time_text(started)}" if started else ""
    ended = sum(trial.state not in _NOT_ENDED for trial in results.trials)
    planned = sum(sweep.planned for sweep in results.sweeps)
    part = "" if ended >= planned else f", {ended} of {planned} trials"
    paths = tuple(kept(run.path, results.trials).items())
    return StudyState(results, (), paths, f"stored run {run.path.name}{when}{part}")


def opened(
    plan: StudyPlan,
    archive: Archive,
    samplers: Callable[[str], Sampler],
    background: Background,
    *,
    baseline: Compared,
    start: Start,
) -> StudyRun:
    """Open the run of a planned study.

    Args:
        plan: The study.
        archive: Where runs are kept.
        samplers: The sampler of a strategy.
        background: Does what need not be waited for.
        baseline: What the results are compared with.
        start: Returns a sweep with the points of the stored run that it starts from, and a note
            if it has none.
    """
    pruners = {name: unpickled(text) for name, text in plan.pruners.items()}
    started = [
        start(plan.nodeid, replace(Sweep.from_json(data), prune=pruners.get(data["name"])))
        for data in plan.sweeps
    ]
    sweeps = [sweep for sweep, _ in started]
    slots = {
        item: Key(sweeps[index].name, number, replicate)
        for item, index, number, replicate in plan.slots
    }
    found = {sweep.name: samplers(sweep.strategy) for sweep in sweeps}
    tables = {
        sweep.name: Table(found[sweep.name], sweep)
        for sweep in sweeps
        if not found[sweep.name].adaptive
    }
    log = archive.open(
        plan.nodeid,
        tuple(sweeps),
        plan.code,
        arguments=plan.arguments,
        selected=set(slots.values()),
        tables=tables,
    )
    study = Study(
        plan.nodeid,
        sweeps,
        slots=slots,
        samplers=found,
        write=log.write,
        stored=log.stored,
        tables=tables,
        curves=log.curves,
        replays={sweep.name: baseline.replays(plan.nodeid, sweep) for sweep in sweeps},
        before=baseline.before(plan.nodeid),
    )
    notes = tuple(note for _, note in started if note)
    return StudyRun(study, log, ArtifactRetention(study, log, background), notes)


@frozen
class Started:
    """A trial was handed to a runner.

    Attributes:
        study: Its study, which goes on: to be looked at before the listener returns.
        key: Which of its trials it is.
        attempt: The attempt that begins.
    """

    study: Study
    key: Key
    attempt: Attempt

    @property
    def trial(self) -> TrialRecord:
        """The trial."""
        return self.study.begun(self.key, self.attempt)


@frozen
class Reported:
    """A running trial reported these packed series of each metric since its last report."""

    study: Study
    trial: TrialRecord
    series: Mapping[str, Packed]


@frozen
class Ended:
    """A trial ended, was replayed, or will not run."""

    study: Study
    trial: TrialRecord


@frozen
class SweepRun:
    """One sweep of a study in one run, as trackers get it.

    Attributes:
        id: 16 hex digits: the same when the run is resumed, others in every other run.
        nodeid: The study: the test without the trial's part.
        info: What is searched and optimised, and how. In ``info.space``, options of parameters that
            are named like secrets are ``"secret-0"`` and so on.
        directory: The run's directory.
        provenance: Commit, versions, command line and host of this session.
    """

    id: str
    nodeid: str
    info: Sweep
    directory: str
    provenance: Provenance
