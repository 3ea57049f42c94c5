"""Following sweeps while they run: a line rewritten in place, or in a log a line now and then."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from pytest_hypersearch.owner.events import Ended
from pytest_hypersearch.terminal.progress import (
    Progress,
    bar,
    milestone,
    milestone_due,
    short_name,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pytest_hypersearch.owner.events import Event
    from pytest_hypersearch.owner.study import Study
    from pytest_hypersearch.trial import State

DRAW_SECONDS = 0.1
ERASE = "\r\x1b[K"


@dataclass(slots=True)
class Followed:
    """A study that is under way.

    Attributes:
        study: The study.
        started: When its first trial ended or was handed out, on the monotonic clock.
        told: Trials done and time at its last milestone.
    """

    study: Study
    started: float
    told: tuple[int, float]
    counts: Counter[State] = field(default_factory=Counter)
    cached: int = 0

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            short_name(self.study.nodeid),
            len(self.study.slots),
            dict(self.counts),
            self.cached,
            self.study.best.score,
            self.study.best.number,
        )


class Follower:
    """Counts trials as they end; the owner may call from any thread."""

    def __init__(self) -> None:
        self.latest: Followed | None = None
        self._studies: dict[str, Followed] = {}

    def take(self, event: Event) -> None:
        """Count a trial that ended."""
        if not isinstance(event, Ended):
            return
        study, trial = event.study, event.trial
        followed = self._studies.get(study.nodeid)
        if followed is None:
            now = monotonic() - trial.duration
            followed = self._studies[study.nodeid] = Followed(study, now, (0, now))
        followed.counts[trial.state] += 1
        followed.cached += trial.cached
        self.latest = followed


class LiveLine:
    """Hooks that keep one line with the latest study's progress below pytest's own output.

    Trials have no letters then. Whatever else pytest writes finds an empty line.
    """

    def __init__(self, follower: Follower, terminal: Any, *, ascii_only: bool) -> None:  # noqa: ANN401  pytest's terminal reporter
        self._follower = follower
        self._terminal = terminal
        self._ascii_only = ascii_only
        self._drawn = 0.0
        self._shown = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> Generator[None, tuple[str, str, Any], tuple[str, str, Any]]:
        """Leave the letter of a trial away."""
        category, letter, word = yield
        return category, "" if letter and is_trial(report) else letter, word

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Make room for what pytest writes when a file begins."""
        if self._shown and self._file(nodeid) != self._terminal.currentfspath:
            self._erase()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, object, object]:
        """Draw the line anew, at most some times a second; make room for other tests' letters."""
        if not is_trial(report):
            self._erase()
        result = yield
        if is_trial(report):
            self._draw(report.nodeid)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logfinish(self) -> None:
        """Make room for the last line's percentage."""
        if getattr(self._terminal, "_is_last_item", True):
            self._erase()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Leave no line behind."""
        self._erase()

    def _erase(self) -> None:
        if self._shown:
            self._write(ERASE)
            self._shown = False
            self._drawn = 0.0

    def _draw(self, nodeid: str) -> None:
        now, followed = monotonic(), self._follower.latest
        if followed is None or now - self._drawn < DRAW_SECONDS:
            return
        writer = self._terminal._tw  # noqa: SLF001  no public way to the line's width
        if writer.width_of_current_line:
            self._terminal.ensure_newline()
            if writer.width_of_current_line:
                writer.line()
        # pytest writes the file's name when it changes; beside this line it would for each item.
        self._terminal.currentfspath = self._file(nodeid)
        text = bar(
            followed.progress,
            elapsed=now - followed.started,
            width=writer.fullwidth,
            ascii_only=self._ascii_only,
        )
        self._write(ERASE + text)
        self._drawn, self._shown = now, True

    def _file(self, nodeid: str) -> Path:
        path: Path = self._terminal.config.rootpath / nodeid.partition("::")[0]
        return path

    def _write(self, text: str) -> None:
        """Past the terminal writer, which would count the columns."""
        file = self._terminal._tw._file  # noqa: SLF001  see above
        file.write(text)
        file.flush()


class Milestones:
    """Hooks that write a line now and then where no line can be rewritten."""

    def __init__(self, follower: Follower, terminal: Any, *, ascii_only: bool) -> None:  # noqa: ANN401  pytest's terminal reporter
        self._follower = follower
        self._terminal = terminal
        self._ascii_only = ascii_only

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        """Tell how far the latest study is, after pytest has written its letter."""
        followed = self._follower.latest
        if followed is None:
            return
        now, done = monotonic(), followed.counts.total()
        told = milestone_due(followed.told, done, len(followed.study.slots), now)
        if told is None:
            return
        followed.told = told
        writer = self._terminal._tw  # noqa: SLF001  no public way to the line's width
        self._terminal.ensure_newline()
        if writer.width_of_current_line:
            writer.line()
        text = milestone(
            followed.progress,
            elapsed=now - followed.started,
            width=writer.fullwidth,
            ascii_only=self._ascii_only,
        )
        self._terminal.write_line(text)


def is_trial(report: pytest.TestReport) -> bool:
    """Whether the report is of a trial's item."""
    return "sweep_trial" in report.keywords


def follow(config: pytest.Config, follower: Follower, *, ascii_only: bool) -> None:
    """Register the hooks that suit the terminal."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None or config.get_verbosity() != 0:
        return
    kind = LiveLine if _rewritable(config, terminal) else Milestones
    config.pluginmanager.register(
        kind(follower, terminal, ascii_only=ascii_only), "hypersearch_live"
    )


def _rewritable(config: pytest.Config, terminal: Any) -> bool:  # noqa: ANN401  pytest's terminal reporter
    on_ci = any(os.environ.get(name) for name in ("CI", "BUILD_NUMBER"))
    return bool(
        terminal.isatty
        and not on_ci
        and os.environ.get("TERM") != "dumb"
        and config.option.capture != "no"
    )
