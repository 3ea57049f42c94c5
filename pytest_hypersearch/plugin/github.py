"""GitHub's job summary: what the sweeps found, as Markdown on the page of a workflow's run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_hypersearch.results.export import markup_of
from pytest_hypersearch.results.terminal.format import (
    Look,
    clean,
    plain,
    show_duration,
    show_mean,
    show_params,
)
from pytest_hypersearch.results.terminal.lines import count_words, trials_of
from pytest_hypersearch.results.terminal.summary import section
from pytest_hypersearch.stats.ranking import rank_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.stats.ranking import RankedStudy


VARIABLE: Final = "GITHUB_STEP_SUMMARY"
MOST_BYTES: Final = 1_000_000  # GitHub takes 1 MiB from a step

_LOOK: Final = Look(100)


def append_summary(studies: Sequence[StudyResults]) -> None:
    """Append the sweeps to the file that the environment names.

    Raises:
        OSError: It cannot be written.
    """
    with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(job_summary(studies))


def job_summary(studies: Sequence[StudyResults]) -> str:
    """Write a table with a row for each sweep, and below it, folded, what the terminal shows."""
    ranked = [rank_study(study) for study in studies]
    rows = [_row(one, sweep) for one in ranked for sweep in one.study.sweeps]
    table = markup_of(rows, "markdown")
    lines = section(ranked, width=_LOOK.width, verbosity=0, ascii_only=False)
    text = "\n".join(map(plain, lines))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    details = f"<details><summary>Details</summary>\n\n{fence}text\n{text}\n{fence}\n\n</details>\n"
    whole = f"### Hyperparameter sweeps\n\n{table}\n\n{details}\n"
    if len(whole.encode()) <= MOST_BYTES:
        return whole
    short = table.encode()[: MOST_BYTES // 2].decode(errors="ignore").rpartition("\n")[0]
    return f"### Hyperparameter sweeps\n\n{short}\n\nThe rest is in the log.\n"


def _row(ranked: RankedStudy, sweep: Sweep) -> dict[str, str]:
    trials = trials_of(ranked.study, sweep)
    found = ranked.of(sweep).best
    score = "" if found is None else show_mean(found.score, found.std, _LOOK)
    return {
        "test": clean(ranked.study.nodeid, _LOOK),
        "sweep": clean(sweep.name, _LOOK),
        "trials": " ".join(text for text, _ in count_words(trials, sweep.planned)).strip(),
        "best": f"{clean(sweep.metric, _LOOK)} {score}" if found else "none",
        "with": "" if found is None else " ".join(show_params(found.params, _LOOK)),
        "time": show_duration(sweep.elapsed),
    }
