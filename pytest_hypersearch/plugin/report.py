"""``--sweep-report``: the report of a session, written when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_hypersearch.core.trial import Key
from pytest_hypersearch.results.history import Reported
from pytest_hypersearch.results.report.artifacts import beside
from pytest_hypersearch.results.report.page import page, require_plotly

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.plugin.controller import Controller


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
        try:
            _write(self._path, page(map(self._reported, studies), beside(self._path)))
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
        last = {(Key(t.sweep, t.number, t.replicate), t.attempt) for t in study.trials}
        curves = {key[0]: series for key, series in stored.items() if key in last}
        return Reported(study, curves, [self._folder / study.run] if study.run else [])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
