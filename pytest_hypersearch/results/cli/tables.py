"""The command ``show``: a summary, a table of groups, or a table of trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_hypersearch.results.cli.output import FOUND, nothing, print_text, tell_notes
from pytest_hypersearch.results.cli.selection import results_of
from pytest_hypersearch.results.export import MARKUP, columns_of, rows_of, rows_text
from pytest_hypersearch.results.query import entries
from pytest_hypersearch.results.results import Groups, Results
from pytest_hypersearch.results.terminal.format import look_of, plain, terminal_width
from pytest_hypersearch.results.terminal.lines import annotation_lines
from pytest_hypersearch.results.terminal.summary import section
from pytest_hypersearch.results.terminal.tables import group_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from pytest_hypersearch.results.query import Row


_OWN = ("sweep", "number", "replicate", "status", "score", "duration", "tags", "note")


def show(given: Namespace) -> int:
    """Show the summary of runs, a table of groups, or a table of trials."""
    results = results_of(given.what, given.filter)
    tell_notes(results)
    if not results:
        return nothing()
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
