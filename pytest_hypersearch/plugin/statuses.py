"""Report statuses: letter, word and count of a trial's report in pytest's own lines.

What is shown travels with the report, as JSON text: under xdist a report crosses a process, and
anything but exact built-in types would break the run (pytest-xdist#1145, pytest-xdist#1273).
"""

from __future__ import annotations

import json
from collections.abc import Generator
from functools import lru_cache
from itertools import takewhile

import pytest

from pytest_hypersearch.core.trial import State, TrialRecord

ATTRIBUTE = "hypersearch"

_LEAST = 10  # columns in which a parameter says anything
_SKIPPED = {
    State.PRUNED: ("pruned", "p", "PRUNED"),
    State.INVALID: ("invalid", "i", "INVALID"),
    State.FAILED: ("tolerated", "t", "TOLERATED"),
    State.RACED_OUT: ("raced out", "o", "RACED OUT"),
    State.NOT_RUN: ("not run", "n", "NOT RUN"),
}


def attach(
    report: pytest.TestReport,
    record: TrialRecord,
    *,
    best: bool = False,
    note: str = "",
    verbosity: int,
) -> None:
    """Set the status that a trial gives to the report of its item, if it is not pytest's own."""
    if report.outcome == "failed":
        params = ", ".join(f"{name}={value!r}" for name, value in record.params.items())
        about = f"{params}\nreplicate {record.replicate}, seed {record.seed}"
        report.sections.append(("trial", about))
    look = _look(report, record)
    if look is None or hasattr(report, "wasxfail"):
        return
    category, letter, word, colour = look
    if verbosity > 0:
        from pytest_hypersearch.results.terminal.summary import word as text

        word = f"{word} {text(record, best)}".strip() + (f", {note}" if note else "")
    elif category == "passed":
        return
    set_status(report, category, letter, word, colour)


def set_status(
    report: pytest.TestReport, category: str, letter: str, word: str, colour: str
) -> None:
    """Set how a report is counted and shown, as long as its outcome stays what it is."""
    setattr(report, ATTRIBUTE, _encoded(report.outcome, category, letter, word, colour))


@lru_cache(maxsize=64)
def _encoded(*status: str) -> str:
    return json.dumps(status)


@lru_cache(maxsize=64)
def _decoded(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


class ReportStatuses:
    """Shows reports with their status."""

    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport, config: pytest.Config
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Return the category, letter and word of the report."""
        text = getattr(report, ATTRIBUTE, None)
        if text is None:
            return None
        outcome, category, letter, word, colour = _decoded(text)
        if outcome != report.outcome:
            return None  # another plugin thought better of it, such as rerunfailures
        return category, letter, (_fitting(word, report, config), {colour: True})


def _fitting(
    word: str, report: pytest.CollectReport | pytest.TestReport, config: pytest.Config
) -> str:
    """Leave out of a trial's line what would make it wider than the terminal."""
    if config.get_verbosity() < 1:
        return word
    from pytest_hypersearch.results.terminal.format import Look, columns, cut

    node = getattr(report, "node", None)
    around = len(" " + " [100%]") + (len(f"[{node.gateway.id}]  ") if node else 0)
    room = config.get_terminal_writer().fullwidth - columns(report.nodeid) - around
    result, *_ = word.split(" (")
    status = " ".join(takewhile(str.isupper, result.split()))
    fitting = [word] if columns(word) <= room else []
    if columns(result) + _LEAST <= room:
        fitting.append(cut(word, room, Look(ascii_only=True)))
    scored = result.removesuffix(" best")
    return next((text for text in [*fitting, result, scored] if columns(text) <= room), status)


class OriginNotes:
    """Hooks that tell in a test's report of results that are not of this session.

    Args:
        verbosity: From 1 on, a test that passes tells it beside its word.
    """

    def __init__(self, verbosity: int) -> None:
        self._verbosity = verbosity
        self._notes: dict[str, None] = {}

    def note(self, text: str) -> None:
        """Tell something in the report of the item that runs."""
        self._notes[text] = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Begin anew with each item."""
        self._notes.clear()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the notes to the report that shows the item's outcome."""
        report = yield
        if self._notes and (report.when == "call" or (report.when == "setup" and report.failed)):
            report.sections.append(("sweeps", "\n".join(self._notes)))
            item.user_properties += [("hypersearch.origin", note) for note in self._notes]
            if report.passed and self._verbosity > 0:
                self._show(report)
        return report

    def _show(self, report: pytest.TestReport) -> None:
        _, *look = _decoded(getattr(report, ATTRIBUTE, _PASSED))
        category, letter, word, colour = look
        set_status(report, category, letter, f"{word} ({'; '.join(self._notes)})", colour)


_PASSED = json.dumps(["passed", "passed", ".", "PASSED", "green"])


def _look(report: pytest.TestReport, record: TrialRecord) -> tuple[str, str, str, str] | None:
    if report.outcome == "passed" and report.when == "call":
        if record.cached:
            return "cached", "c", "CACHED", "green"
        return "passed", ".", "PASSED", "green"
    if report.outcome == "skipped":
        if record.state is State.NOT_RUN and record.reason.startswith("skipped"):
            return None
        # Another plugin may skip the item of a trial that has been replayed.
        status = _SKIPPED.get(record.state)
        return (*status, "yellow") if status else None
    return None
