"""The command ``list``."""

from __future__ import annotations

from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.core.values import time_text
from pytest_hypersearch.results.cli.output import FOUND, print_text, tell_notes
from pytest_hypersearch.results.export import rows_text
from pytest_hypersearch.results.gates import FAILING
from pytest_hypersearch.results.query import rankings_of
from pytest_hypersearch.results.report.runs import Judge, judge_by
from pytest_hypersearch.results.results import load_results
from pytest_hypersearch.stats.grouping import FAILURES
from pytest_hypersearch.store.baseline import baseline_at

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from pytest_hypersearch.results.query import Row
    from pytest_hypersearch.stats.ranking import RankedStudy


def list_runs(given: Namespace) -> int:
    """List stored runs: all of them, a line each."""
    results = load_results(*given.what, run="all")
    tell_notes(results)
    judge = judge_by(baseline_at(Path(given.baseline)) if given.baseline else None)
    rows = [_run_row(one, judge) for one in results.ranked]
    drop = ("running", "planned", "sweeps", "note", "commit", "started", "metric", "name", "tags")
    print_text(rows_text(_short(rows) if given.format == "table" else rows, given.format, drop))
    return FOUND


def _short(rows: Sequence[Row]) -> list[Row]:
    """Rows for a screen: names without what all share, the direction beside its metric."""
    start = _shared([row["test"] for row in rows])
    optional = ("commit", "name", "gate", "tags", "note")
    left_out = {"mode", *(name for name in optional if not any(r[name] for r in rows))}
    short = []
    for row in rows:
        metric = f"{row['metric']} ({row['mode']})" if row["metric"] else None
        kept = {name: value for name, value in row.items() if name not in left_out}
        short.append(kept | {"test": row["test"][start:], "metric": metric})
    return short


def _shared(nodeids: Sequence[str]) -> int:
    """How many characters of directories, file and class all node ids begin with."""
    prefix = commonprefix(nodeids).partition("[")[0]  # noqa: RUF071  no paths alone
    return max(prefix.rfind(mark) + len(mark) if mark in prefix else 0 for mark in ("/", "::"))


def _run_row(ranked: RankedStudy, judge: Judge) -> Row:
    study = ranked.study
    verdicts = {each.verdict for each in judge([study])[study.nodeid]}
    starts = [trial.started for trial in study.trials if trial.started is not None]
    states = [trial.state for trial in study.trials]
    ranking = next(iter(rankings_of([ranked])), None)
    return {
        "test": study.nodeid,
        "run": Path(study.run).name,
        "name": study.name or None,
        "started": time_text(min(starts)) if starts else None,
        "commit": study.commit[:7] or None,
        "sweeps": ", ".join(sweep.name for sweep in study.sweeps),
        "complete": states.count(State.COMPLETE),
        "failed": sum(state in FAILURES for state in states),
        "planned": sum(sweep.planned for sweep in study.sweeps),
        "running": states.count(State.RUNNING),
        "metric": ranking.sweeps[0].metric if ranking else None,
        "mode": ranking.sweeps[0].mode if ranking else None,
        "best": ranking.best.score if ranking and ranking.best else None,
        "gate": ", ".join(sorted(verdicts, key=lambda one: (one not in FAILING, one))) or None,
        "tags": ", ".join(study.tags) or None,
        "note": study.note or None,
    }
