"""Gates in a session: the baseline's options, verdicts as items of their own, and the update."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final, Literal, TypeAlias

import pytest

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.study import GateVerdict, StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config
from pytest_hypersearch.core.values import below, plural, printable
from pytest_hypersearch.plugin import on_ci, setting
from pytest_hypersearch.plugin.statuses import set_status
from pytest_hypersearch.plugin.xdist import workers as xdist
from pytest_hypersearch.results.comparison import (
    FAILING,
    PASSING,
    Change,
    brief_text,
    change_lines,
    gate_label,
    gate_lines,
    gates,
    properties_of,
    short_text,
    verdict_of,
)
from pytest_hypersearch.results.terminal.format import Line, Look, line
from pytest_hypersearch.stats.gate import LEAST_SEEDS, Judgement
from pytest_hypersearch.store.baseline import Baseline, Scores, read_baseline
from pytest_hypersearch.store.runs import Run
from pytest_hypersearch.store.verdicts import read_verdicts, write_verdicts

UPDATES: Final = ("new", "all")
BARE: Final = ""
_UPDATE: Final = "--sweep-update-baseline"
_USUAL: Final = "sweeps.baseline.json"
Outcome: TypeAlias = Literal["passed", "failed", "skipped"]
_PREFIX: Final = "hypersearch."
_UNCOMPARED: Final = frozenset({"no baseline", "not comparable"})


class Gates:
    """Judges the gates of a session's sweeps, and updates the baseline.

    Attributes:
        against: The name of the baseline, empty without one.
        changes: The verdicts, when all trials have ended.

    Raises:
        pytest.UsageError: An option makes no sense, or the baseline cannot be read.

    Args:
        config: Of the session.
        checks: Whether only the best configurations of the baseline run.
    """

    def __init__(self, config: pytest.Config, *, checks: bool = False) -> None:
        self._checks = checks
        self.changes: tuple[Change, ...] = ()
        self._config = config
        self._update = _update_of(config)
        self._path = _path_of(config)
        if self._update and self._path is None:
            raise pytest.UsageError(
                f"{_UPDATE}: requires --sweep-baseline=PATH or sweep_baseline in the configuration"
            )
        if checks and self._path is None:
            raise pytest.UsageError(
                "--sweep=check: requires --sweep-baseline=PATH or the key sweep_baseline"
            )
        self.against = str(below(self._path, config.invocation_params.dir)) if self._path else ""
        self._baseline = baseline_of(config)
        self._deselected = False
        self._outcome = ""
        self._updated = False

    def replays(self, nodeid: str, sweep: Sweep) -> Sequence[Config]:
        """The configurations of the baseline that a sweep is to try first."""
        if not self._checks:
            return self._baseline.best(nodeid, sweep)
        entry = self._baseline.fresh(nodeid, sweep)
        configs = entry.configs if entry else []
        return [config for config in configs if sweep.space.contains(config)]

    def before(self, nodeid: str) -> StudyResults | None:
        """Return the baseline's scores of a study, by which sequential replicates end.

        None if they are about to be replaced: then all replicates run.
        """
        test = self._baseline.tests.get(nodeid)
        if test is None or self._checks or self._update == "all":
            return None
        return Baseline({nodeid: test}).studies[0]

    def pytest_deselected(self) -> None:
        """Take note that the session is not that of the whole suite."""
        self._deselected = True

    def close(self, session: pytest.Session, studies: Sequence[StudyResults]) -> None:
        """Judge, report each verdict as an item, and update the baseline.

        Raises:
            pytest.Session.Failed: A gate fails, and the session is to stop at failures.
            pytest.UsageError: The baseline cannot be written.
        """
        if self._config.option.sweep_shard is not None:
            gated = any(sweep.gates for study in studies for sweep in study.sweeps)
            self._outcome = "gates wait for pytest-hypersearch merge" if gated else ""
            return
        before = self._baseline if not self._checks else self._fresh(studies)
        self.changes = tuple(map(self._explained, gates(studies, before.studies).changes))
        session.testscollected += len(self.changes)
        try:
            for change in self.changes:
                for report in self._reports(change):
                    session.config.hook.pytest_runtest_logreport(report=report)
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
            if self._update and self._path:
                self._write(self._path, studies)
        finally:
            self._store(studies)

    def verdicts(self, studies: Sequence[StudyResults]) -> dict[str, list[GateVerdict]]:
        """Return the verdicts by study, as they are kept and shown on the page."""
        return {
            study.nodeid: [
                verdict_of(change, self.against, accepted=self._updated and self._accepts(change))
                for change in self.changes
                if change.nodeid == study.nodeid
            ]
            for study in studies
        }

    def _store(self, studies: Sequence[StudyResults]) -> None:
        """Keep the verdicts in the runs, for those who look at these later."""
        verdicts = self.verdicts(studies)
        for study in studies:
            if not study.run:
                continue
            run = Run(Path(study.run))
            before = read_verdicts(run)
            judged = [
                each
                for each in verdicts[study.nodeid]
                if each.verdict != "no baseline" or each.gate in before
            ]
            labels = {gate_label(study, sweep, g) for sweep in study.sweeps for g in sweep.gates}
            gone = [GateVerdict(gate, "", "") for gate in before if gate not in labels]
            if judged or gone:
                with suppress(StoreError):  # the summary has them all the same
                    write_verdicts(run, [*judged, *gone])

    def _fresh(self, studies: Sequence[StudyResults]) -> Baseline:
        """What the best configurations are checked against."""
        known = {
            study.nodeid: {
                sweep.name: entry
                for sweep in study.sweeps
                if (entry := self._baseline.fresh(study.nodeid, sweep)) is not None
            }
            for study in studies
        }
        tests = self._baseline.tests
        return Baseline(
            {n: Scores(tests[n].commit, entries) for n, entries in known.items() if entries}
        )

    def _explained(self, change: Change) -> Change:
        """Say why there is no baseline: no file, or, for a check, too few seeds in it."""
        if change.judgement.verdict != "no baseline":
            return change
        test = self._baseline.tests.get(change.nodeid)
        entry = test.sweeps.get(change.sweep) if test else None
        judgement = change.judgement
        if self._path is None:
            judgement = replace(judgement, reason="none is named by --sweep-baseline=PATH")
        elif not self._path.exists():
            judgement = replace(judgement, reason=f"{self.against}: no such file")
        elif entry and self._checks:
            least = plural(LEAST_SEEDS + 1, "replicate")
            count = len(entry.replicates)
            reason = f"a check needs {least}, the baseline has {count}: raise replicates= first"
            judgement = Judgement("not comparable", reason)
        return replace(change, judgement=judgement)

    def _write(self, path: Path, studies: Sequence[StudyResults]) -> None:
        replaces = self._update == "all"
        new = self._baseline.updated(studies, replaces=replaces, drops=replaces and self._whole())
        try:
            written = new.write(path)
        except StoreError as error:
            raise pytest.UsageError(str(error)) from None
        self._updated = True
        self._outcome = f"baseline {'written' if written else 'unchanged'}: {self.against}"

    def _whole(self) -> bool:
        """Whether the session ran the whole suite, as far as that can be known."""
        config = self._config
        given = config.args_source is pytest.Config.ArgsSource.ARGS
        inside = config.invocation_params.dir != config.rootpath
        return not (given or inside or self._deselected or xdist.distributes(config))

    def _reports(self, change: Change) -> list[pytest.TestReport]:
        """The reports of a verdict's item; that of the teardown has the properties."""
        nodeid = printable(f"{change.nodeid} [gate {change.label}]")
        verdict = change.judgement.verdict
        text = printable(short_text(change)).removeprefix(verdict).strip()
        outcome = self._outcome_of(change)
        file = change.nodeid.partition("::")[0]
        longrepr: str | tuple[str, int, str] | None = None
        if outcome == "failed":
            longrepr = printable("\n".join(change_lines(change, Look(100), self.against)))
        elif outcome == "skipped":
            # pytest shows it in brackets after the verdict.
            whole = text.startswith("(") and text.endswith(")")
            longrepr = (file, 0, f"Skipped: {text[1:-1] if whole else text}")
        location = (file, None, nodeid.partition("::")[2])
        call = pytest.TestReport(nodeid, location, {}, outcome, longrepr, "call")
        status = {
            "failed": (verdict.lower(), "F", "red"),
            "skipped": (verdict, "u", "yellow"),
            "passed": ("passed", ".", "green"),
        }
        category, letter, colour = status[outcome]
        word = verdict.upper() if outcome == "skipped" else brief_text(change)
        set_status(call, category, letter, word, colour)
        end = pytest.TestReport(nodeid, location, {}, "passed", None, "teardown")
        properties = properties_of(change, self.against)
        end.user_properties = [(f"{_PREFIX}{name}", value) for name, value in properties]
        return [call, end]

    def _outcome_of(self, change: Change) -> Outcome:
        verdict = change.judgement.verdict
        if verdict in PASSING or self._accepts(change):
            return "passed"
        undecided = verdict == "undecided" and self._config.option.sweep_undecided == "fail"
        if verdict in FAILING or undecided or (verdict in _UNCOMPARED and on_ci()):
            return "failed"
        return "skipped"

    def _accepts(self, change: Change) -> bool:
        """Whether a change's scores go into the baseline, whatever the verdict."""
        if self._update == "all":
            return change.gate.bound is None
        return bool(self._update) and change.judgement.verdict == "no baseline"

    @property
    def failed(self) -> list[Change]:
        """The verdicts that fail the session."""
        return [change for change in self.changes if self._outcome_of(change) == "failed"]

    def lines(self, look: Look) -> list[Line]:
        """What the summary says of the gates."""
        given = self._config.option.sweep_baseline or ("" if self._path else _USUAL)
        option = f"--sweep-baseline={shlex.quote(given)}" if given else ""
        changes = [
            change
            for change in self.changes
            if not self._update or change.judgement.verdict != "no baseline"
        ]
        shown = gate_lines(
            changes, look, against=self.against, option=None if self._update else option
        )
        return shown + ([line(printable(self._outcome))] if self._outcome else [])


def _update_of(config: pytest.Config) -> str:
    """How to update the baseline, empty if it is left alone."""
    given: str | None = config.option.sweep_update_baseline
    if given is None:
        return ""
    if given == BARE and on_ci():
        raise pytest.UsageError(f"{_UPDATE}: expected {_UPDATE}=new or {_UPDATE}=all in CI")
    if given not in {BARE, *UPDATES}:
        hint = f"use {_UPDATE} as the last option or write {_UPDATE}=new"
        raise pytest.UsageError(f"{_UPDATE}={given}: expected new or all; {hint}")
    return given or "new"


def _path_of(config: pytest.Config) -> Path | None:
    option: str | None = config.option.sweep_baseline
    if option is not None:
        if not option:
            raise pytest.UsageError("--sweep-baseline=: expected the path of a file")
        return config.invocation_params.dir / option
    key: str = setting(config, "sweep_baseline")
    folder = config.inipath.parent if config.inipath else config.rootpath
    return folder / key if key else None


_baseline: pytest.StashKey[Baseline] = pytest.StashKey()


def baseline_of(config: pytest.Config) -> Baseline:
    """Return the baseline of a session, which has no tests if there is none.

    Raises:
        pytest.UsageError: It cannot be read.
    """
    if _baseline not in config.stash:
        path = _path_of(config)
        try:
            known = read_baseline(path) if path else None
        except StoreError as error:
            raise pytest.UsageError(printable(str(error))) from None
        config.stash[_baseline] = known or Baseline({})
    return config.stash[_baseline]


def checked_replicates(config: pytest.Config, test: str, sweep: Sweep) -> set[int]:
    """Return by which replicates the best of a sweep is judged, in any of the test's studies."""
    known = baseline_of(config)
    studies = [nodeid for nodeid in known.tests if nodeid.partition("[")[0] == test]
    entries = filter(None, (known.fresh(nodeid, sweep) for nodeid in studies))
    return {replicate for entry in entries for replicate in entry.replicates}


class Nothing:
    """Proposes nothing: what is checked comes from the baseline."""

    adaptive: ClassVar[bool] = True

    def suggest(self, space: Space, **_: object) -> None:
        """Propose nothing."""
