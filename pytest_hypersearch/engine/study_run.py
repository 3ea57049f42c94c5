"""A study in its run: the study itself, the log of the run, and the files of its trials."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Key
from pytest_hypersearch.engine.artifacts import Keeper
from pytest_hypersearch.engine.events import SweepRun
from pytest_hypersearch.engine.study import Study
from pytest_hypersearch.search.pruners.parse import unpickled
from pytest_hypersearch.store.runs import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_hypersearch.core.contracts import Sampler
    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.engine.artifacts import Background
    from pytest_hypersearch.engine.messages import Message
    from pytest_hypersearch.store.archive import Archive, RunLog


@dataclass(frozen=True, slots=True)
class StudyRun:
    """A study in its run.

    Attributes:
        study: The study.
        log: Where the run's records go.
        keeper: Keeps the files of its best trials.
    """

    study: Study
    log: RunLog
    keeper: Keeper

    def results(self) -> StudyResults:
        """The study's results, and where they are."""
        found = self.study.results()
        notes = (*found.notes, *self.log.notes)
        return replace(found, notes=notes, run=self.log.path, saved=self.keeper.directory())

    def sweep(self, name: str) -> SweepRun:
        """A sweep of the study in this run, for trackers; the run exists."""
        return SweepRun(
            id=digest(f"{self.log.run_id}\n{name}"),
            nodeid=self.study.nodeid,
            info=self.study.info(self.study.sweeps[name]),
            directory=self.log.path,
            provenance=self.log.provenance(),
        )

    def view(self) -> Message:
        """What a test that asks for the study is answered."""
        return {
            "results": self.results().to_json(),
            "suggestions": [asdict(each) for each in self.study.proposals.suggestions()],
            "paths": self.keeper.paths(),
        }

    def take_curve(self, key: Key, message: Message) -> TrialRecord | None:
        """Record what a trial has reported; return the trial if it is under way."""
        attempt, series = message["attempt"], message["series"]
        if not series:
            return None
        self.log.write_curve({"k": "curve", **key._asdict(), "attempt": attempt}, series)
        self.study.report(key, attempt, series)
        return self.study.under_way(key, attempt)


def opened(
    plan: Message, archive: Archive, samplers: Callable[[str], Sampler], background: Background
) -> StudyRun:
    """Open the run of a planned study.

    Args:
        plan: The study as runners plan it.
        archive: Where runs are kept.
        samplers: The sampler of a strategy.
        background: Does the work on files.
    """
    pruners = {name: unpickled(text) for name, text in plan["pruners"].items()}
    sweeps = [
        replace(Sweep.from_json(data), prune=pruners.get(data["name"])) for data in plan["sweeps"]
    ]
    log = archive.open(plan["nodeid"], plan)
    study = Study(
        plan["nodeid"],
        sweeps,
        slots={
            slot: Key(sweeps[place].name, number, replicate)
            for slot, place, number, replicate in plan["slots"]
        },
        samplers={sweep.name: samplers(sweep.strategy) for sweep in sweeps},
        write=log.write,
        stored=log.stored,
        curves=log.curves,
    )
    return StudyRun(study, log, Keeper(study, log, background))
