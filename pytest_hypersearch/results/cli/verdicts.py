"""The commands ``compare`` and ``baseline``, whose verdict is an exit code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.results.cli.output import (
    FOUND,
    INCOMPARABLE,
    WORSE,
    print_text,
    tell_notes,
    warn,
)
from pytest_hypersearch.results.cli.selection import condition, json_or_text, results_of
from pytest_hypersearch.results.comparison import comparison_text, gates
from pytest_hypersearch.results.contrasts import contrast_text
from pytest_hypersearch.results.export import json_of, rows_text
from pytest_hypersearch.results.gates import FAILING, gate_lines
from pytest_hypersearch.results.terminal.format import look_of, plain, terminal_width
from pytest_hypersearch.store.baseline import COMMIT_DIGITS, Baseline, baseline_at, read_baseline
from pytest_hypersearch.store.find import NothingStoredError

if TYPE_CHECKING:
    from argparse import Namespace

    from pytest_hypersearch.results.query import Row


def compare(given: Namespace) -> int:
    """Compare two sets of results, or values within one; the verdict is an exit code."""
    if given.by:
        return _compare_by(given)
    if given.now is None:
        raise ValueError("compare: expected B, the new results, or --by NAME")
    try:
        sides = [results_of([what], given.filter) for what in (given.before, given.now)]
    except NothingStoredError as error:
        warn(str(error))
        return INCOMPARABLE
    if given.filters:
        sides = [
            side.filter(**condition(text)) for side, text in zip(sides, given.filters, strict=True)
        ]
    for side in sides:
        tell_notes(side)
    found = sides[1].compare(sides[0], tolerance=given.tolerance or "1%")
    if given.format == "table":
        print_text(comparison_text(found, terminal_width()))
    else:
        print_text(rows_text(found.table(), given.format))
    if found.verdict in {"REGRESSED", "broken"}:
        return WORSE
    return INCOMPARABLE if found.blind else FOUND


def _compare_by(given: Namespace) -> int:
    for name in ("now", "filters", "tolerance"):
        if getattr(given, name) is not None:
            option = "B" if name == "now" else f"--{name}"
            raise ValueError(f"compare --by compares values within A: expected no {option}")
    name, _, values = given.by.partition("=")
    try:
        results = results_of([given.before], given.filter)
    except NothingStoredError as error:
        warn(str(error))
        return INCOMPARABLE
    tell_notes(results)
    found = results.compare_by(name, *(json_or_text(text) for text in values.split(",") if text))
    if given.format == "table":
        print_text(contrast_text(found, terminal_width()))
    elif rows := found.table():
        print_text(rows_text(rows, given.format))
    else:
        warn(f"not comparable: {found.reason}")
    return INCOMPARABLE if found.blind else FOUND


def baseline(given: Namespace) -> int:
    """Judge stored runs against a baseline, write them into one, or show one."""
    path = Path(given.file)
    known = baseline_at(path) if given.action != "update" else read_baseline(path) or Baseline({})
    if given.action == "show":
        print_text(rows_text(_baseline_rows(known), "table"))
        return FOUND
    try:
        results = results_of(given.what, given.filter)
    except NothingStoredError as error:
        warn(str(error))
        return INCOMPARABLE
    tell_notes(results)
    if given.action == "update":
        studies = [replace(one, commit=one.commit[:COMMIT_DIGITS]) for one in results.studies]
        written = known.updated(studies, replaces=given.all).write(path)
        print_text(f"baseline {'written' if written else 'unchanged'}: {path}")
        return FOUND
    found = gates(results.studies, known.studies)
    look = replace(look_of(terminal_width()), verbosity=1)
    lines = gate_lines(found.changes, look, against=given.file, option="")
    print_text("\n".join(map(plain, lines)) or "no sweep has a gate")
    if {change.judgement.verdict for change in found.changes} & FAILING:
        return WORSE
    return INCOMPARABLE if found.blind else FOUND


def _baseline_rows(known: Baseline) -> list[Row]:
    return [
        {
            "test": nodeid,
            "sweep": name,
            "metric": f"{metric} ({mode})",
            "configurations": len(entry.trials),
            "replicates": max(len(row.get(metric, ())) for row in entry.trials.values()),
            "best": json_of(top[0]) if (top := entry.best(metric, 1)) else None,
            "commit": test.commit or None,
        }
        for nodeid, test in known.tests.items()
        for name, entry in test.sweeps.items()
        for metric, mode in entry.metrics.items()
    ]
