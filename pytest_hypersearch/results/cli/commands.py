"""From texts of the command line to what they ask for: which runs, which trials."""

from __future__ import annotations

import json
import re
import shlex
import sys
from dataclasses import replace
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.core.values import plural, printable, time_text
from pytest_hypersearch.results.comparison import comparison_text, gates
from pytest_hypersearch.results.contrasts import contrast_text
from pytest_hypersearch.results.export import (
    MARKUP,
    columns_of,
    json_of,
    rows_of,
    rows_text,
    studies_json,
)
from pytest_hypersearch.results.gates import FAILING, gate_lines
from pytest_hypersearch.results.query import entries, rankings_of
from pytest_hypersearch.results.report.runs import Judge, judge_by
from pytest_hypersearch.results.results import Groups, Results, load_results
from pytest_hypersearch.results.run_history import history_text
from pytest_hypersearch.results.terminal.format import look_of, plain, terminal_width
from pytest_hypersearch.results.terminal.lines import annotation_lines
from pytest_hypersearch.results.terminal.summary import section
from pytest_hypersearch.results.terminal.tables import group_text
from pytest_hypersearch.stats.grouping import FAILURES
from pytest_hypersearch.store.baseline import COMMIT_DIGITS, Baseline, baseline_at, read_baseline
from pytest_hypersearch.store.find import (
    NothingStoredError,
    is_test_file,
    removable,
    split_run,
    studies_of,
)
from pytest_hypersearch.store.merge import merge_runs
from pytest_hypersearch.store.runs import Run, discard

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Sequence

    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.results.query import Row
    from pytest_hypersearch.stats.ranking import RankedStudy


_SIGNS = {"<=": "le", ">=": "ge", "!=": "ne", "=": "eq", "<": "lt", ">": "gt", "~": "contains"}
_CONDITION = re.compile(r"([^<>=!~]+)(<=|>=|!=|=|<|>|~)(.*)", re.DOTALL)


def results_of(what: Sequence[str], filters: Iterable[str], *, run: str | None = None) -> Results:
    """Load what is meant by ``WHAT`` or ``WHAT@RUN``, and filter it.

    Args:
        what: Tests or paths.
        filters: Conditions.
        run: The run if no other one is asked for.

    Raises:
        NothingStoredError, StoreError, ValueError: As `load_results` and `Results.filter`.
    """
    split = [split_run(one) for one in what]
    runs = list(dict.fromkeys(asked for _, asked in split))
    if len(runs) > 1:
        raise ValueError(f"{' '.join(what)}: expected the same @RUN for all")
    chosen = (runs[0] if runs else None) or run
    results = load_results(*(name for name, _ in split if name), run=chosen)
    for text in filters:
        results = results.filter(**condition(text))
    return results


def condition(text: str) -> dict[str, Any]:
    """Return the argument of `Results.filter` that a condition such as ``lr<0.1`` stands for.

    A value is read as JSON if it is some, otherwise as text.

    Raises:
        ValueError: It is no condition.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}: expected a condition such as status=success or lr<0.1")
    name, sign, value = match[1].strip(), match[2], match[3].strip()
    return {name if sign == "=" else f"{name}__{_SIGNS[sign]}": _value(value)}


def _value(text: str) -> Any:  # noqa: ANN401  any JSON value
    try:
        return json.loads(text)
    except ValueError:
        return text


FOUND, NOTHING, WORSE, INCOMPARABLE = 0, 1, 1, 3
_OWN = ("sweep", "number", "replicate", "status", "score", "duration", "tags", "note")


def list_runs(given: Namespace) -> int:
    """List stored runs: all of them, a line each."""
    results = load_results(*given.what, run="all")
    _tell(results)
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
    verdicts = {change.judgement.verdict for change in judge([study])}
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


def show(given: Namespace) -> int:
    """Show the summary of runs, a table of groups, or a table of trials."""
    results = results_of(given.what, given.filter)
    _tell(results)
    if not results:
        return _nothing()
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


def best(given: Namespace) -> int:
    """Print the best configuration of a test."""
    results = results_of(given.what, given.filter)
    _tell(results)
    tests = list(dict.fromkeys(study.nodeid for study in results.studies))
    if len(tests) > 1:
        raise ValueError(f"best: expected one test, not {', '.join(tests)}")
    found = results.best()
    if not found:
        return _nothing()
    if given.format == "pytest":
        _refuse_others(found[0].trials, Path(results.studies[0].run))
        items = (shlex.quote(trial.nodeid) for trial in found[0].trials)
        options = map(shlex.quote, found[0].sweep.options)
        print_text(" ".join(["pytest", *items, "--sweep-rerun", *options]))
    else:
        print_text(json_of(found[0].params, indent=2))
    return FOUND


def _refuse_others(trials: Iterable[TrialRecord], run: Path) -> None:
    """Refuse to print what might be run, but is no test of this project: caches may be forged."""
    for item in (trial.nodeid for trial in trials):
        file, colons, _ = item.partition("::")
        option = item.startswith("-")
        if option or not colons or not item.isprintable() or not is_test_file(Path(file), run):
            raise ValueError(f"{item}: expected a test in a test file below the working directory")


def compare(given: Namespace) -> int:
    """Compare two sets of results, or values within one; the verdict is an exit code."""
    if given.by:
        return _compare_by(given)
    if given.now is None:
        raise ValueError("compare: expected B, the new results, or --by NAME")
    try:
        sides = [results_of([what], given.filter) for what in (given.before, given.now)]
    except NothingStoredError as error:
        _note(str(error))
        return INCOMPARABLE
    if given.filters:
        sides = [
            side.filter(**condition(text)) for side, text in zip(sides, given.filters, strict=True)
        ]
    for side in sides:
        _tell(side)
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
        _note(str(error))
        return INCOMPARABLE
    _tell(results)
    found = results.compare_by(name, *(_value(text) for text in values.split(",") if text))
    if given.format == "table":
        print_text(contrast_text(found, terminal_width()))
    elif rows := found.table():
        print_text(rows_text(rows, given.format))
    else:
        _note(f"not comparable: {found.reason}")
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
        _note(str(error))
        return INCOMPARABLE
    _tell(results)
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


def history(given: Namespace) -> int:
    """Show what became of tests over their runs."""
    results = results_of(given.what, given.filter, run="all")
    _tell(results)
    if not results:
        return _nothing()
    histories = [
        part.over_runs(given.metric, tolerance=given.tolerance)
        for _, part in sorted(results.group_by("test"), key=lambda group: str(group[0]))
    ]
    if given.format == "table":
        print_text("\n\n".join(history_text(one, terminal_width()) for one in histories))
    else:
        print_text(rows_text([row for one in histories for row in one.table()], given.format))
    return FOUND


def export(given: Namespace) -> int:
    """Write a file."""
    results = results_of(given.what, given.filter)
    _tell(results)
    if not results:
        return _nothing()
    if given.file != "-":
        getattr(results, f"to_{given.to}")(given.file)
    elif given.to == "csv":
        print_text(rows_text(results.table(), "csv"))
    elif given.to == "json":
        print_text(studies_json(results.studies))
    else:
        raise ValueError(f"export --to {given.to}: expected a file, not standard output")
    return FOUND


def report(given: Namespace) -> int:
    """Write the report, or serve it until interrupted."""
    if given.serve:
        _serve(lambda: results_of(given.what, given.filter), given.baseline)
        return FOUND
    results = results_of(given.what, given.filter)
    _tell(results)
    if not results:
        return _nothing()
    results.to_html(given.file, baseline=given.baseline)
    print_text(f"report: {Path(given.file).resolve().as_uri()}")
    return FOUND


def _serve(load: Callable[[], Results], baseline: str | None) -> None:
    """Serve the report on stored runs until interrupted; it follows those that still go on.

    Before anything is stored, the page waits for it.

    Raises:
        ModuleNotFoundError: plotly is not installed.
    """
    from pytest_hypersearch.results.report.serve import serve, stamp_of

    stores: set[Path] = set()

    def current() -> Results | None:
        try:
            results = load()
        except NothingStoredError:
            return None
        stores.update(Path(study.run).parent.parent for study in results.studies)
        return results

    def stamp() -> str:
        return stamp_of(stores) if stores or current() else ""

    first = current()
    if first is None:
        _note("nothing is stored yet; the page waits for the first trial")
    else:
        _tell(first)
    judge = judge_by(baseline_at(Path(baseline)) if baseline else None)
    serve(lambda: results.reported() if (results := current()) else [], stamp, _announce, judge)


def _announce(address: str) -> None:
    print_text(f"report: {address}  (for this machine only; Ctrl-C ends it)")
    sys.stdout.flush()


def merge(given: Namespace) -> int:
    """Make one run of each study of several jobs; missing shards are an exit code."""
    whole = True
    for made in merge_runs([*map(Path, given.what)], Path(given.into)):
        trials = f"{made.trials} of {made.planned} trials"
        print_text(
            f"{made.run.nodeid}: {trials} from {plural(made.parts, 'run')}\n  {made.run.path}"
        )
        if made.missing:
            whole = False
            _note(f"{made.run.nodeid}: missing: {', '.join(made.missing)}")
    return FOUND if whole else NOTHING


def clean(given: Namespace) -> int:
    """Remove old runs, but none of a live session."""
    studies: dict[Path, set[Path]] = {}
    for path in (run.path.absolute() for runs in studies_of(given.what) for run in runs):
        studies.setdefault(path.parent, set()).add(path)
    for path in (path for runs in studies.values() for path in removable(runs, given.keep)):
        if not given.dry_run:
            _remove(path)
        elif not Run(path).in_use():
            print_text(f"would remove {path}")
    return FOUND


def _remove(path: Path) -> None:
    try:
        discard(path)
    except (OSError, StoreError) as error:
        _note(f"kept: {error}")
    else:
        print_text(f"removed {path}")


def _nothing() -> int:
    _note("no trials match")
    return NOTHING


def _tell(results: Results) -> None:
    for note in results.notes:
        _note(f"note: {note}")


def _note(text: str) -> None:
    sys.stderr.write(f"pytest-hypersearch: {printable(text)}\n")


def print_text(text: str) -> None:
    """Print what a command has to tell."""
    sys.stdout.write(f"{printable(text)}\n")
