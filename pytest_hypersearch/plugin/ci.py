"""What continuous integration shows: JUnit properties, and GitHub's job summary as Markdown."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.values import printable
from pytest_hypersearch.plugin.gate import Gates
from pytest_hypersearch.results.comparison import Change, markup_row, short_text
from pytest_hypersearch.results.export import markup_of
from pytest_hypersearch.results.terminal.format import (
    Line,
    Look,
    clean,
    plain,
    show_duration,
    show_mean,
    show_params,
)
from pytest_hypersearch.results.terminal.lines import count_words, rule_text, trials_of
from pytest_hypersearch.results.terminal.summary import section
from pytest_hypersearch.results.terminal.tables import families
from pytest_hypersearch.stats.failures import failure_rule
from pytest_hypersearch.stats.ranking import RankedStudy, rank_study

VARIABLE: Final = "GITHUB_STEP_SUMMARY"
MOST_BYTES: Final = 1_000_000  # GitHub takes 1 MiB from a step
_LOOK: Final = Look(100)
MARKER: Final = "<!-- pytest-hypersearch -->"


def append_summary(studies: Sequence[StudyResults], gates: Gates) -> None:
    """Append the sweeps and their verdicts to the file that the environment names.

    Raises:
        OSError: It cannot be written.
    """
    text = job_summary(studies, gates.changes, gates.lines(_LOOK))
    with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(text)


def job_summary(
    studies: Sequence[StudyResults], changes: Sequence[Change] = (), verdicts: Sequence[Line] = ()
) -> str:
    """Write tables with a row for each gate and sweep, and, folded, what the terminal shows.

    It begins with a comment by which a workflow finds the text again, to update it.

    Args:
        studies: The results.
        changes: The verdicts of the gates.
        verdicts: What the terminal shows of them.
    """
    ranked = [rank_study(study) for study in studies]
    rows = [_row(one, sweep) for one in ranked for sweep in one.study.sweeps]
    table = markup_of(rows, "github")
    lines = section(ranked, width=_LOOK.width, verbosity=0, ascii_only=False)
    parts = ["\n".join(map(plain, part)) for part in (lines, verdicts)]
    text = "\n\n".join(filter(None, parts))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    details = f"<details><summary>Details</summary>\n\n{fence}text\n{text}\n{fence}\n\n</details>\n"
    if changes:
        first = markup_of([markup_row(change, _LOOK) for change in changes], "github")
        table = f"{first}\n\n{table}"
    head = f"{MARKER}\n### Hyperparameter sweeps\n\n"
    whole = f"{head}{table}\n\n{_fails(ranked)}{details}\n"
    if len(whole.encode()) <= MOST_BYTES:
        return whole
    short = table.encode()[: MOST_BYTES // 2].decode(errors="ignore").rpartition("\n")[0]
    return f"{head}{short}\n\nThe rest is in the log.\n"


class Annotations:
    """Hooks that take note of where tests are, so that GitHub shows failed gates beside them."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[str, int]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of the file and line of a test, by its node id without parameters."""
        if report.when == "setup":
            file, number, _ = report.location
            self._places.setdefault(report.nodeid.partition("[")[0], (file, (number or 0) + 1))

    def of(self, change: Change, root: Path) -> str:
        """Return the command by which GitHub shows a failed gate beside its test.

        Args:
            change: The verdict.
            root: The directory that node ids are relative to.
        """
        default = change.nodeid.partition("::")[0], 1
        file, number = self._places.get(change.nodeid.partition("[")[0], default)
        path = os.path.relpath(root / file, os.environ.get("GITHUB_WORKSPACE", root))
        title = f"{change.nodeid.rpartition('::')[2]} [gate {change.label}]"
        values = {"file": path, "line": str(number), "title": title}
        options = ",".join(f"{name}={_quoted(value, ':,')}" for name, value in values.items())
        return f"::error {options}::{_quoted(short_text(change))}"


def _quoted(text: str, also: str = "") -> str:
    """Text as GitHub's commands have it: https://github.com/actions/toolkit, command.ts."""
    return "".join(
        f"%{ord(char):02X}" if char in f"%\r\n{also}" else char for char in printable(text)
    )


def _fails(ranked: Sequence[RankedStudy]) -> str:
    """A table of what the failing configurations of each test have in common, if there is any."""
    rows = [
        {"test": clean(test, _LOOK), "where it fails": rule_text(rule, _LOOK)}
        for test, studies in families(ranked).items()
        if (rule := failure_rule([one.study for one in studies])) is not None
    ]
    return markup_of(rows, "github") + "\n\n" if rows else ""


def _row(ranked: RankedStudy, sweep: Sweep) -> dict[str, str]:
    trials = trials_of(ranked.study, sweep)
    best = ranked.of(sweep).best
    score = "" if best is None else show_mean(best.score, best.std, _LOOK)
    return {
        "test": clean(ranked.study.nodeid, _LOOK),
        "sweep": clean(sweep.name, _LOOK),
        "trials": " ".join(text for text, _ in count_words(trials, sweep.planned)),
        "best": f"{sweep.mode} {clean(sweep.metric, _LOOK)} {score}" if best else "none",
        "with": "" if best is None else " ".join(show_params(best.params, _LOOK)),
        "time": show_duration(sweep.elapsed),
    }
