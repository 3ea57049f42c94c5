"""The commands ``list`` and ``show``: tables of runs, trials and groups, or a summary."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from os.path import commonprefix
from pathlib import Path
from typing import Any

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.core.values import time_text
from pytest_hypersearch.results.cli.selection import FOUND, print_text, selected, tell_notes
from pytest_hypersearch.results.comparison import FAILING
from pytest_hypersearch.results.export import MARKUP, columns_of, rows_of, rows_text
from pytest_hypersearch.results.query import Row, entries, rankings_of
from pytest_hypersearch.results.report.runs import Judge, judge_by
from pytest_hypersearch.results.results import Groups, Results, load_results
from pytest_hypersearch.results.terminal.format import look_of, plain, terminal_width
from pytest_hypersearch.results.terminal.lines import annotation_lines
from pytest_hypersearch.results.terminal.summary import section
from pytest_hypersearch.results.terminal.tables import group_text
from pytest_hypersearch.stats.grouping import FAILURES
from pytest_hypersearch.stats.ranking import RankedStudy
from pytest_hypersearch.store.baseline import baseline_at

_OWN = ("sweep", "number", "replicate", "status", "score", "duration", "tags", "note")


def show(given: Namespace) -> int:
    """Show the summary of runs, a table of groups, or a table of trials."""
    results = selected(given)
    if given.rows:
        print_text(_pivot(results, given))
        return FOUND
    if given.metric:
        raise ValueError("show --metric: expected --rows, too")
    as_rows = given.columns or given.sort or given.format != "table"
    if given.group_by and as_rows:
        print_text(rows_text(_group_rows(results.group_by(*given.group_by), given), given.format))
    elif given.group_by:
        groups = results.group_by(*given.group_by)
        print_text(group_text(groups.fields, groups.ranked, terminal_width()))
    elif as_rows:
        print_text(rows_text(_trial_rows(results, given), given.format))
    else:
        print_text(_summary(results, given.verbose))
    return FOUND


def _pivot(results: Results, given: Namespace) -> str:
    for option in ("group_by", "sort"):
        if getattr(given, option):
            raise ValueError(f"show --rows: expected no --{option.replace('_', '-')}")
    table = results.pivot(given.rows, given.columns, given.metric)
    if given.format == "table":
        return table.text(terminal_width())
    if given.format in MARKUP:
        return table.markup(given.format)
    return rows_text(table.table(), given.format)


def _summary(results: Results, verbosity: int) -> str:
    look = look_of(terminal_width())
    lines = section(
        [one for one in results.ranked if one.study.trials],
        width=look.width,
        verbosity=verbosity,
        ascii_only=look.ascii_only,
    )
    lines += annotation_lines(results.studies, look)
    return "\n".join(map(plain, lines))


def _trial_rows(results: Results, given: Namespace) -> list[Row]:
    """The chosen columns of the trials, sorted; by default what identifies and judges a trial."""
    fields = results.fields
    chosen = [fields.find(name) for name in given.columns] or [
        field
        for field in fields.every()
        if field.name in _OWN or field.name.startswith(("params.", "arguments.", "metrics."))
        if field.name not in {"tags", "note"} or any(map(field.get, entries(results.studies)))
    ]
    rows = rows_of(columns_of(entries(results.studies), chosen))
    if not given.sort:
        return rows
    by = fields.find(given.sort.removeprefix("-"))
    values = columns_of(entries(results.studies), [by])[by.name]
    return _sorted(rows, values, down=given.sort.startswith("-"))


def _group_rows(groups: Groups, given: Namespace) -> list[Row]:
    """The chosen columns of the groups, sorted; by default all, the group with the best first."""
    rows = groups.agg()
    if given.sort and rows:
        by = _column(rows[0], given.sort.removeprefix("-"))
        rows = _sorted(rows, [row[by] for row in rows], down=given.sort.startswith("-"))
    names = [_column(row, name) for row in rows[:1] for name in given.columns]
    return [{name: row[name] for name in names} for row in rows] if names else rows


def _column(row: Row, name: str) -> str:
    """The column of groups that a user calls by its name, with or without what it belongs to."""
    found = [one for one in row if name in {one, one.partition(".")[2], one.replace(".", "__")}]
    if len(found) != 1:
        raise ValueError(f"{name}: expected one of {', '.join(row)}")
    return found[0]


def _sorted(rows: Sequence[Row], values: Sequence[Any], *, down: bool) -> list[Row]:
    """The rows in the order of their values, those without one last."""
    order = sorted(range(len(rows)), key=lambda place: _sort_key(values[place]), reverse=down)
    return [rows[place] for place in sorted(order, key=lambda place: values[place] is None)]


def _sort_key(value: Any) -> tuple[str, Any]:  # noqa: ANN401  any scalar
    number = isinstance(value, (int, float))
    return ("", value) if number else (type(value).__name__, str(value))


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
