"""Live progress: what stands in one line while trials run, and when it is worth a line of a log.

Nothing here reads a clock or writes: times come in as arguments, text goes out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.trial import Key, State
from pytest_hypersearch.core.values import monotonic
from pytest_hypersearch.engine.study import Study
from pytest_hypersearch.engine.study_run import Ended, Event
from pytest_hypersearch.plugin import on_ci
from pytest_hypersearch.results.terminal.format import Look, clean, columns, cut, show_duration
from pytest_hypersearch.results.terminal.tables import split

MILESTONE_SHARE = 0.1
MILESTONE_SECONDS = 30.0
_CELLS = 10
_NAME_COLUMNS = 16
_MINUTE = 60.0
_HOUR = 3600.0
_NAMED = (State.PRUNED, State.FAILED, State.INVALID, State.CRASHED, State.TIMED_OUT, State.NOT_RUN)


@frozen
class Progress:
    """How far a study is.

    Attributes:
        name: What to call it: `short_name` of its node id.
        planned: Trials in the plan.
        counts: Trials that ended, by state.
        cached: How many of them were replayed from the store.
        best: Best score so far, None before the first.
        number: The best configuration's number.
        workers: Which workers on other machines are up and awaited, empty if there are none.
    """

    name: str
    planned: int
    counts: Mapping[State, int] = field(default_factory=dict)
    cached: int = 0
    best: float | None = None
    number: int | None = None
    workers: str = ""

    @property
    def done(self) -> int:
        """Trials that ended."""
        return sum(self.counts.values())


def short_name(nodeid: str) -> str:
    """Returns a node id without file and class: ``test_cnn[cifar]``."""
    test, arguments = split(nodeid)
    return test.rpartition("::")[2] + arguments


def bar(progress: Progress, *, elapsed: float, width: int, ascii_only: bool = False) -> str:
    """Writes the live line.

    ``[######----] test_cnn 58/100 best 0.9531 (#52) 16 pruned 3 failed 1.9/s eta 22s``

    Args:
        progress: How far the study is.
        elapsed: Seconds since its first trial started in this session.
        width: Columns of the terminal; the line leaves the last one free, or it would wrap. What
            does not fit goes in this order: workers, rate, counts, bar, time left, best.
        ascii_only: Whether the terminal cannot encode anything beyond ASCII.
    """
    filled = round(_CELLS * progress.done / max(progress.planned, 1))
    if progress.done < progress.planned:
        filled = min(filled, _CELLS - 1)
    drawn = f"[{'#' * filled:-<{_CELLS}}]"
    return _line(progress, drawn, elapsed, Look(width - 1, 0, ascii_only))


def milestone(progress: Progress, *, elapsed: float, width: int, ascii_only: bool = False) -> str:
    """Writes the line of a log that has no live line; arguments as for `bar`."""
    return _line(progress, "", elapsed, Look(width - 1, 0, ascii_only))


def milestone_due(
    last: tuple[int, float], done: int, planned: int, now: float
) -> tuple[int, float] | None:
    """Decides whether to write a milestone: after 10% of the trials and 30 seconds.

    Args:
        last: Trials done and time at the last milestone, or at the start.
        done: Trials done now.
        planned: Trials in the plan; at its end the summary follows and none is due.
        now: The time in seconds, on any clock.

    Returns:
        The new ``last`` if a milestone is due, else None.
    """
    far = done - last[0] >= MILESTONE_SHARE * planned and now - last[1] >= MILESTONE_SECONDS
    return (done, now) if far and done < planned else None


def _line(progress: Progress, drawn: str, elapsed: float, look: Look) -> str:
    fresh = progress.done - progress.cached
    rate = fresh / elapsed if fresh and elapsed > 0 else 0.0
    left = progress.planned - progress.done
    counts = " ".join(f"{progress.counts[s]} {s}" for s in _NAMED if progress.counts.get(s))
    best = "" if progress.best is None else f"best {progress.best:.4g} (#{progress.number})"
    parts = {
        "bar": drawn,
        "name": cut(clean(progress.name, look), max(_NAME_COLUMNS, look.width // 3), look),
        "done": f"{progress.done}/{progress.planned}",
        "best": best,
        "counts": counts,
        "workers": progress.workers,
        "rate": _rate(rate) if rate else "",
        "eta": f"eta {_time_left(left / rate)}" if rate and left > 0 else "",
    }
    for dispensable in ("workers", "rate", "counts", "bar", "eta", "best"):
        if columns(_joined(parts)) <= look.width:
            break
        parts[dispensable] = ""
    return cut(_joined(parts), look.width, look)


def _joined(parts: Mapping[str, str]) -> str:
    return " ".join(part for part in parts.values() if part)


def _rate(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:.1f}/s"
    if per_second * _MINUTE >= 1:
        return f"{per_second * _MINUTE:.1f}/min"
    return f"{per_second * _HOUR:.1f}/h"


def _time_left(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds < _MINUTE - 0.5 else show_duration(seconds)


DRAW_SECONDS = 0.1
ERASE = "\r\x1b[K"


@dataclass(slots=True)
class Followed:
    """A study that is under way.

    Attributes:
        study: The study.
        started: When its first trial ended or was handed out, on the monotonic clock.
        told: Trials done and time at its last milestone.
        states: How each trial ended at last: it may run more than once.
        cached: How many of them were replayed.
    """

    study: Study
    started: float
    told: tuple[int, float]
    states: dict[Key, State] = field(default_factory=dict)
    cached: int = 0

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            short_name(self.study.nodeid),
            len(self.study.slots),
            Counter(self.states.values()),
            self.cached,
            self.study.best.score,
            self.study.best.number,
        )


class Follower:
    """Counts trials as they end; the owner may call from any thread.

    Attributes:
        latest: The study of the trial that ended last.
        workers: Tells which workers on other machines are up and awaited.
    """

    def __init__(self) -> None:
        self.latest: Followed | None = None
        self.workers: Callable[[], str] = str
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
        followed.states[trial.key] = trial.state
        followed.cached += trial.cached
        self.latest = followed


class _Lines:
    """Writes lines on the latest study's progress to pytest's terminal."""

    def __init__(self, follower: Follower, terminal: Any, *, ascii_only: bool) -> None:  # noqa: ANN401  pytest's terminal reporter
        self._follower = follower
        self._terminal = terminal
        self._ascii_only = ascii_only

    @property
    def _writer(self) -> Any:  # noqa: ANN401  pytest's terminal writer
        return self._terminal._tw  # noqa: SLF001  no public way to the line's width

    def _end_line(self) -> None:
        self._terminal.ensure_newline()
        if self._writer.width_of_current_line:
            self._writer.line()

    def _text(self, write: Callable[..., str], followed: Followed) -> str:
        """Write with `bar` or `milestone`."""
        elapsed, width = monotonic() - followed.started, self._writer.fullwidth
        progress = replace(followed.progress, workers=self._follower.workers())
        return write(progress, elapsed=elapsed, width=width, ascii_only=self._ascii_only)


class LiveLine(_Lines):
    """Hooks that keep one line with the latest study's progress below pytest's own output.

    Trials have no letters then. Whatever else pytest writes finds an empty line.
    """

    _drawn = 0.0
    _shown = False

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
        if self._writer.width_of_current_line:
            self._end_line()
        # pytest writes the file's name when it changes; beside this line it would for each item.
        self._terminal.currentfspath = self._file(nodeid)
        self._write(ERASE + self._text(bar, followed))
        self._drawn, self._shown = now, True

    def _file(self, nodeid: str) -> Path:
        path: Path = self._terminal.config.rootpath / nodeid.partition("::")[0]
        return path

    def _write(self, text: str) -> None:
        """Past the terminal writer, which would count the columns."""
        file = self._writer._file  # noqa: SLF001  no public way
        file.write(text)
        file.flush()


class Milestones(_Lines):
    """Hooks that write a line now and then where no line can be rewritten."""

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        """Tell how far the latest study is, after pytest has written its letter."""
        followed = self._follower.latest
        if followed is None:
            return
        ended, planned = len(followed.states), len(followed.study.slots)
        if told := milestone_due(followed.told, ended, planned, monotonic()):
            followed.told = told
            self._end_line()
            self._terminal.write_line(self._text(milestone, followed))


def is_trial(report: pytest.TestReport) -> bool:
    """Whether the report is of a trial's item."""
    return "sweep_trial" in report.keywords


def follow(config: pytest.Config, follower: Follower, *, ascii_only: bool) -> bool:
    """Register the hooks that suit the terminal; returns whether there are any."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    # Reporters that take its name without being one, such as pytest-tldr's, draw as they like.
    if not isinstance(terminal, pytest.TerminalReporter) or config.get_verbosity() != 0:
        return False
    kind = LiveLine if _rewritable(config, terminal) else Milestones
    config.pluginmanager.register(
        kind(follower, terminal, ascii_only=ascii_only), "hypersearch_live"
    )
    return True


def _rewritable(config: pytest.Config, terminal: pytest.TerminalReporter) -> bool:
    return bool(
        terminal.isatty
        and not on_ci()
        and os.environ.get("TERM") != "dumb"
        and config.option.capture != "no"
    )
