"""The hooks of the controlling process: what the user sees of the sweeps, and their tidy end."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.values import below, monotonic, printable, shown_number
from pytest_hypersearch.engine.owner import Owner
from pytest_hypersearch.engine.resources.ledger import Shares
from pytest_hypersearch.engine.resources.machine import Machine, missing_features, this_machine
from pytest_hypersearch.engine.warm_start import WarmStart
from pytest_hypersearch.plugin import setting
from pytest_hypersearch.plugin.gate import Gates, Nothing
from pytest_hypersearch.plugin.live import Follower, follow
from pytest_hypersearch.plugin.tracking import Tracking
from pytest_hypersearch.plugin.xdist import workers as xdist
from pytest_hypersearch.results.study_history import Reported
from pytest_hypersearch.results.terminal.format import Look, encodes_signs
from pytest_hypersearch.search.samplers.random import Random
from pytest_hypersearch.store.archive import Archive, Observer, Policy
from pytest_hypersearch.store.baseline import COMMIT_DIGITS

if TYPE_CHECKING:  # imported where GitHub runs the session
    from pytest_hypersearch.plugin.ci import Annotations


TITLE = "hypersearch"
MOST_NAMED = 10


class Controller:
    """Holds the owner of this session's studies.

    Args:
        config: Of the session.
        checks: Whether the best of a baseline is checked instead of running the sweeps.
        elsewhere: Whether workers may run on other machines.

    Attributes:
        owner: The owner, with its store in pytest's cache.
        gates: Judge the sweeps' scores.
        follower: Follows the sweeps for the live line.
    """

    def __init__(self, config: pytest.Config, *, checks: bool, elsewhere: bool = False) -> None:
        self._config = config
        self._checks = checks
        self._first_asked: float | None = None
        self._warnings: list[str] = []
        self._results: list[StudyResults] = []
        self.follower = Follower()
        self.gates = Gates(config, checks=checks)
        policy = Policy(
            resume=config.option.sweep_resume or config.option.sweep_rerun,
            replay=not config.option.sweep_rerun,
            keep_stale=config.option.sweep_stale == "keep",
            keep_runs=_keep_runs(config),
            name=config.option.sweep_name or "",
            shard="/".join(map(str, config.option.sweep_shard or ())),
        )
        command = ["pytest", *map(str, config.invocation_params.args)]
        observer = Observer(config.rootpath, command)
        archive = Archive(self._store_root, policy, self._warnings.append, observer)
        self.owner = Owner(
            lambda strategy: (
                Nothing() if checks else config.hook.pytest_hypersearch_sampler(strategy=strategy)
            ),
            archive,
            self._closed,
            Shares(
                _machine(config),
                elsewhere=elsewhere,
                named=config.option.sweep_resources or {},
            ),
            self.gates,
            start=WarmStart(archive.studies, resume=policy.resume),
        )
        self._annotations: Annotations | None = None
        self._tracking = Tracking(config.pluginmanager, self.owner)
        self.owner.listen(self._tracking.take)

    def _closed(self) -> str:
        """Why no trial is to start any more, empty before the sweeps' time is up.

        It begins when the first trial is asked for: imports and collection are not part of it.
        """
        timeout: float | None = self._config.option.sweep_timeout
        self._first_asked = self._first_asked or monotonic()
        over = timeout is not None and monotonic() - self._first_asked >= timeout
        return f"--sweep-timeout={shown_number(timeout)}" if over else ""

    def _store_root(self) -> Path:
        cache = getattr(self._config, "cache", None)
        if cache is None:
            raise OSError("pytest's cache is switched off")
        path: Path = cache.mkdir("hypersearch-check" if self._checks else "hypersearch")
        return path

    def pytest_report_header(self) -> list[str]:
        """Say which parameters the command line replaces."""
        settings = [each.shown for each in self._config.option.sweep_set]
        return [printable(f"{TITLE}: {', '.join(settings)} by --sweep-set")] if settings else []

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Fail for trials that nobody has run here, which pytest would pass over; judge gates."""
        result = yield
        why = "another plugin took over"
        if xdist.distributes(self._config):
            why = f"no worker is left, or {why}"
        for study, items in self.owner.lost().items():
            session.testscollected += 1
            session.config.hook.pytest_runtest_logreport(report=_lost(study, items, why))
        self.gates.close(session, [*map(self._with_commit, self.owner.results())])
        for change in self.gates.changes:
            self._tracking.judged(change.nodeid, change.sweep, change.judgement)
        return result

    def _with_commit(self, study: StudyResults) -> StudyResults:
        gated = [sweep.name for sweep in study.sweeps if sweep.gates]
        if not gated or not study.run:
            return study
        known = self.owner.sweep_run(study.nodeid, gated[0]).provenance
        commit = known.commit[:COMMIT_DIGITS] + "+" * bool(known.dirty)
        return replace(study, commit=commit)

    def pytest_sessionstart(self) -> None:
        """Follow the sweeps on the terminal, which is there by now, and tests for GitHub."""
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if follow(self._config, self.follower, ascii_only=_ascii_only(terminal)):
            self.owner.listen(self.follower.take)
        if os.environ.get("GITHUB_ACTIONS"):
            from pytest_hypersearch.plugin.ci import Annotations

            self._annotations = Annotations()
            self._config.pluginmanager.register(self._annotations, "hypersearch_annotations")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Close the runs, after the workers are gone; warn now that no other thread does."""
        try:
            self.owner.close()
        except StoreError as error:
            self._warnings.append(str(error))
        self._results = self.owner.results()
        self._warnings += self._tracking.finish(self._results, self._tell)
        self._tell_github()
        if self.owner.runs and (missing := missing_features()):
            self._warnings.append(f"on this system sweeps run without {', '.join(missing)}")
        for line in self._warnings:
            _warn(self._config, line)

    def _tell_github(self) -> None:
        if not os.environ.get("GITHUB_STEP_SUMMARY") or not self.owner.runs:
            return
        from pytest_hypersearch.plugin.ci import append_summary

        try:
            append_summary([] if self._checks else self.shown(), self.gates)
        except OSError as error:
            self._warnings.append(f"GitHub job summary not written: {error}")

    def _tell(self, line: str) -> None:
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(line)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401  pytest's terminal reporter
        """Show what the sweeps found."""
        verbosity = self._config.get_verbosity()
        studies = [] if self._checks and self.gates.changes else self.shown()
        if self._checks and self.gates.changes and verbosity >= -1:
            terminalreporter.section(TITLE)
            self._show_gates(terminalreporter)
        if not studies or verbosity < -1:
            return
        from pytest_hypersearch.results.terminal.summary import section
        from pytest_hypersearch.stats.ranking import rank_study

        terminalreporter.section(TITLE)
        for line in section(
            [rank_study(study) for study in studies],
            width=_width(terminalreporter),
            verbosity=verbosity,
            ascii_only=_ascii_only(terminalreporter),
            interrupted=self.owner.unfinished,
        ):
            for text, markup in line:
                terminalreporter.write(text, **markup)
            terminalreporter.line("")
        self._show_gates(terminalreporter)
        if self.owner.broken:
            terminalreporter.line(printable(f"stopped: {self.owner.broken}"), red=True)

    def _show_gates(self, terminal: Any) -> None:  # noqa: ANN401  pytest's terminal reporter
        look = Look(_width(terminal), self._config.get_verbosity(), _ascii_only(terminal))
        for number, line in enumerate(self.gates.lines(look)):
            if not (number or self._checks) and look.verbosity >= 0:
                terminal.line("")
            for text, markup in line:
                terminal.write(text, **markup)
            terminal.line("")
        if self.gates.failed:
            terminal.stats.setdefault("failed", [])  # pytest's last line is red by this key
        if self._annotations is not None:
            for change in self.gates.failed:
                terminal.line(self._annotations.of(change, self._config.rootpath))

    def shown(self) -> list[StudyResults]:
        """The results of the session, with their directories as the user would write them."""
        here = self._config.invocation_params.dir

        def seen(path: str) -> str:
            return path and str(below(Path(path), here))

        return [
            replace(results, run=seen(results.run), saved=seen(results.saved))
            for results in self._results
        ]


def _lost(study: str, items: Sequence[str], why: str) -> pytest.TestReport:
    shown = "\n".join(f"  {item}" for item in items[:MOST_NAMED])
    more = f"\n  and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    count = "1 trial was" if len(items) == 1 else f"{len(items)} trials were"
    return pytest.TestReport(
        nodeid=study,
        location=(study.partition("::")[0], None, study.partition("::")[2]),
        keywords={},
        outcome="failed",
        longrepr=f"{count} lost: {why}. Run with --sweep-resume:\n{shown}{more}",
        when="call",
    )


def _width(terminal: Any) -> int:  # noqa: ANN401  any reporter
    """The columns of a reporter; that of another plugin may not tell them."""
    writer = getattr(terminal, "_tw", None)
    width: int = getattr(writer, "fullwidth", 0) or shutil.get_terminal_size().columns
    return width


def _ascii_only(terminal: Any) -> bool:  # noqa: ANN401  any reporter
    """Whether the terminal's encoding is too small for the signs that the summary would use."""
    return not encodes_signs(getattr(getattr(terminal, "_tw", None), "_file", None))


def _warn(config: pytest.Config, line: str) -> None:
    """Let pytest's summary show a warning, which makes no error of it: the session is over."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn(pytest.PytestWarning(line), stacklevel=1)
    config.hook.pytest_warning_recorded.call_historic(
        kwargs={"warning_message": caught[0], "nodeid": "", "when": "config", "location": None}
    )


def _machine(config: pytest.Config) -> Callable[[], Machine]:
    """What tells of the machine; only what the user says of it is checked at once."""
    named = config.option.sweep_gpus
    if not named:
        return this_machine
    try:
        machine = this_machine(named)
    except ValueError as error:
        raise pytest.UsageError(f"--sweep-gpus={','.join(named)}: {error}") from None
    return lambda: machine


def _keep_runs(config: pytest.Config) -> int:
    text = str(setting(config, "sweep_keep_runs"))
    if not text.isdecimal() or int(text) < 1:
        raise pytest.UsageError(f"sweep_keep_runs={text}: expected an integer of at least 1")
    return int(text)


def temporary_owner(config: pytest.Config) -> Owner:
    """An owner whose store is removed when the session ends, for sweeps that are only checked."""
    roots: list[Path] = []

    def root() -> Path:
        roots.append(Path(tempfile.mkdtemp(prefix="pytest-hypersearch-")))
        return roots[-1]

    def clean_up() -> None:
        owner.close()
        for each in roots:
            shutil.rmtree(each, ignore_errors=True)

    policy = Policy(resume=False, replay=True, keep_stale=False, keep_runs=1)
    observer = Observer(config.rootpath, ())
    owner = Owner(lambda _strategy: Random(), Archive(root, policy, lambda _: None, observer))
    config.add_cleanup(clean_up)
    return owner


class ReportFile:
    """Writes the page after the runs are closed, and tells where it is.

    Raises:
        pytest.UsageError: The path is that of a directory, or plotly is not installed.
    """

    def __init__(self, config: pytest.Config, controller: Controller) -> None:
        given: str = config.option.sweep_report
        self._folder = config.invocation_params.dir
        self._path = self._folder / given
        self._controller = controller
        self._outcome = ""
        if not given or self._path.is_dir():
            raise pytest.UsageError(f"--sweep-report={given}: expected the path of a file")
        from pytest_hypersearch.results.report.page import require_plotly

        try:
            require_plotly()
        except ModuleNotFoundError as error:
            raise pytest.UsageError(f"--sweep-report={given}: {error}") from None

    # trylast, and registered after the controller: its runs are closed by then
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the page, unless no sweep was run."""
        studies = self._controller.shown()
        if not studies:
            return
        from pytest_hypersearch.results.report.page import page
        from pytest_hypersearch.results.report.payload import beside

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            verdicts = self._controller.gates.verdicts(studies)
            known = map(self._reported, studies)
            text = page(known, beside(self._path), judge=lambda _: verdicts)
            self._path.write_text(text, encoding="utf-8")
        except OSError as error:
            self._outcome = f"report not written: {self._path}: {error.strerror or error}"
        else:
            self._outcome = f"report: {self._path.resolve().as_uri()}"

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401  pytest's terminal reporter
        """Link to the page."""
        if self._outcome:
            terminalreporter.line(self._outcome)

    def _reported(self, study: StudyResults) -> Reported:
        """A study with the curves of the last attempt at each trial."""
        stored = self._controller.owner.stored_curves(study.nodeid)
        last = {(t.key, t.attempt) for t in study.trials}
        curves = {key[0]: series for key, series in stored.items() if key in last}
        return Reported(study, curves, [self._folder / study.run] if study.run else [])
