"""All commands but ``list`` and ``show``, and their exit codes."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.goals import TOLERANCE
from pytest_hypersearch.core.study import some
from pytest_hypersearch.core.trial import TrialRecord
from pytest_hypersearch.core.values import plural
from pytest_hypersearch.results.cli.selection import (
    FOUND,
    INCOMPARABLE,
    NO_MATCH,
    NOTHING,
    WORSE,
    condition,
    json_or_text,
    print_text,
    results_of,
    selected,
    tell_notes,
    warn,
)
from pytest_hypersearch.results.comparison import FAILING, comparison_text, gate_lines, gates
from pytest_hypersearch.results.contrasts import contrast_text
from pytest_hypersearch.results.export import json_of, rows_text, studies_json
from pytest_hypersearch.results.query import Row
from pytest_hypersearch.results.report.runs import judge_by
from pytest_hypersearch.results.results import Results
from pytest_hypersearch.results.run_history import history_text
from pytest_hypersearch.results.terminal.format import look_of, plain, terminal_width
from pytest_hypersearch.store.annotations import annotate, targets_called
from pytest_hypersearch.store.baseline import COMMIT_DIGITS, Baseline, baseline_at, read_baseline
from pytest_hypersearch.store.find import NothingStoredError, is_test_file, removable, studies_of
from pytest_hypersearch.store.merge import merge_runs
from pytest_hypersearch.store.runs import Run, discard


def best(given: Namespace) -> int:
    """Print the best configuration of a test."""
    results = results_of(given.what, given.filter)
    tell_notes(results)
    tests = list(dict.fromkeys(study.nodeid for study in results.studies))
    if len(tests) > 1:
        raise ValueError(f"best: expected one test, not {', '.join(tests)}")
    found = results.best()
    if not found:
        raise NothingStoredError(_why_none_is_best(results, given.filter))
    if given.format == "pytest":
        _refuse_others(found[0].trials, Path(results.studies[0].run))
        items = (shlex.quote(trial.nodeid) for trial in found[0].trials)
        options = map(shlex.quote, found[0].sweep.options)
        print_text(" ".join(["pytest", *items, "--sweep-rerun", *options]))
    else:
        print_text(json_of(found[0].params, indent=2))
    return FOUND


def _why_none_is_best(results: Results, conditions: list[str]) -> str:
    if len(results.successful):
        return "best: no configuration satisfies the constraints"
    return NO_MATCH if conditions else "best: no trial is complete"


def _refuse_others(trials: Iterable[TrialRecord], run: Path) -> None:
    """Refuse to print what might be run, but is no test of this project: caches may be forged."""
    for item in (trial.nodeid for trial in trials):
        file, colons, _ = item.partition("::")
        option = item.startswith("-")
        if option or not colons or not item.isprintable() or not is_test_file(Path(file), run):
            raise ValueError(f"{item}: expected a test in a test file below the working directory")


def _tolerance(given: Namespace) -> str:
    return TOLERANCE if given.tolerance is None else given.tolerance


def history(given: Namespace) -> int:
    """Show what became of tests over their runs."""
    results = selected(given, run="all")
    histories = [
        part.over_runs(given.metric, tolerance=_tolerance(given))
        for _, part in sorted(results.group_by("test"), key=lambda group: str(group[0]))
    ]
    if given.format == "table":
        print_text("\n\n".join(history_text(one, terminal_width()) for one in histories))
    else:
        print_text(rows_text([row for one in histories for row in one.table()], given.format))
    return FOUND


def export(given: Namespace) -> int:
    """Write a file."""
    results = selected(given)
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
    results = selected(given)
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


def tag(given: Namespace) -> int:
    """Tag trials or a run, or take tags away."""
    add, remove = ([], given.tags) if given.remove else (given.tags, [])
    return _annotate(given, add, remove, None)


def note(given: Namespace) -> int:
    """Write a note on trials or a run; an empty one takes it away."""
    return _annotate(given, [], [], " ".join(given.text))


def _annotate(given: Namespace, add: Sequence[str], remove: Sequence[str], text: str | None) -> int:
    studies = results_of([given.test], []).studies
    if len(studies) != 1:
        names = some(study.nodeid for study in studies)
        raise ValueError(f"{given.test}: expected one test, not {names}")
    (study,) = studies
    targets = targets_called(study, given.trial)
    annotate(Run(Path(study.run)), targets, add=add, remove=remove, note=text)
    done = "noted" if text is not None else "tagged" if add else "untagged"
    what = "" if targets == [None] else f"{plural(len(targets), 'trial')} of "
    print_text(f"{done}: {what}{study.nodeid}, run {Path(study.run).name}")
    return FOUND


def compare(given: Namespace) -> int:
    """Compare two sets of results, or values within one; the verdict is an exit code."""
    if given.by:
        return _compare_by(given)
    if given.now is None:
        raise ValueError("compare: expected B, the new results, or --by NAME")
    sides = [results_of([what], given.filter) for what in (given.before, given.now)]
    if given.filters:
        sides = [
            side.filter(**condition(text)) for side, text in zip(sides, given.filters, strict=True)
        ]
    for side in sides:
        tell_notes(side)
    found = sides[1].compare(sides[0], tolerance=_tolerance(given))
    if given.format == "table":
        print_text(comparison_text(found, terminal_width()))
    else:
        print_text(rows_text(found.table(), given.format))
    if found.verdict in FAILING:
        return WORSE
    return INCOMPARABLE if found.blind else FOUND


def _compare_by(given: Namespace) -> int:
    for name in ("now", "filters", "tolerance"):
        if getattr(given, name) is not None:
            option = "B" if name == "now" else f"--{name}"
            raise ValueError(f"compare --by compares values within A: expected no {option}")
    name, _, values = given.by.partition("=")
    results = results_of([given.before], given.filter)
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
    results = results_of(given.what, given.filter)
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
