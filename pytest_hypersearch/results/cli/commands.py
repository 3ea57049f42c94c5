"""The commands ``best``, ``history``, ``export``, ``report``, ``merge`` and ``clean``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.values import plural
from pytest_hypersearch.results.cli.output import (
    FOUND,
    NOTHING,
    nothing,
    print_text,
    tell_notes,
    warn,
)
from pytest_hypersearch.results.cli.selection import results_of
from pytest_hypersearch.results.export import json_of, rows_text, studies_json
from pytest_hypersearch.results.report.runs import judge_by
from pytest_hypersearch.results.results import Results
from pytest_hypersearch.results.run_history import history_text
from pytest_hypersearch.results.terminal.format import terminal_width
from pytest_hypersearch.store.baseline import baseline_at
from pytest_hypersearch.store.find import NothingStoredError, is_test_file, removable, studies_of
from pytest_hypersearch.store.merge import merge_runs
from pytest_hypersearch.store.runs import Run, discard

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable

    from pytest_hypersearch.core.trial import TrialRecord


def best(given: Namespace) -> int:
    """Print the best configuration of a test."""
    results = results_of(given.what, given.filter)
    tell_notes(results)
    tests = list(dict.fromkeys(study.nodeid for study in results.studies))
    if len(tests) > 1:
        raise ValueError(f"best: expected one test, not {', '.join(tests)}")
    found = results.best()
    if not found:
        return nothing()
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


def history(given: Namespace) -> int:
    """Show what became of tests over their runs."""
    results = results_of(given.what, given.filter, run="all")
    tell_notes(results)
    if not results:
        return nothing()
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
    tell_notes(results)
    if not results:
        return nothing()
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
    tell_notes(results)
    if not results:
        return nothing()
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
        warn("nothing is stored yet; the page waits for the first trial")
    else:
        tell_notes(first)
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
            warn(f"{made.run.nodeid}: missing: {', '.join(made.missing)}")
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
        warn(f"kept: {error}")
    else:
        print_text(f"removed {path}")
