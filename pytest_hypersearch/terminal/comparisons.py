"""Comparisons: strategies with each other, parameters' values, a test's other parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_hypersearch.statistics.grouping import Group, group
from pytest_hypersearch.statistics.ranking import objectives, rank_key
from pytest_hypersearch.terminal.display import clean, cut, show_value
from pytest_hypersearch.terminal.layout import flow, line
from pytest_hypersearch.terminal.score_tables import group_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_hypersearch.results import StudyResults, SweepInfo
    from pytest_hypersearch.terminal.display import Look
    from pytest_hypersearch.terminal.layout import Line

_GROUP_ROWS = 8
_GROUP_VALUES = 8


def strategies(results: StudyResults, alike: Sequence[SweepInfo], look: Look) -> list[Line]:
    """Compares the sweeps of one objective."""
    rows = sorted(
        ((_overall(results, one), one) for one in alike), key=lambda row: rank_key(row[0].best)
    )
    if len(rows) < 2 or not rows[0][0].n:  # noqa: PLR2004 - nothing to compare
        return []
    names = [clean(sweep.name, look) for _, sweep in rows]
    table = group_table([("sweep", names)], [one for one, _ in rows], look)
    return [_title(alike[0], "sweep", look), *table]


def _overall(results: StudyResults, sweep: SweepInfo) -> Group:
    found = group(results.trials, [sweep], ())
    return found[0] if found else Group((), (), None, 0)


def groupings(results: StudyResults, sweep: SweepInfo, look: Look) -> list[list[Line]]:
    """Groups a sweep's scores, in tables of few rows altogether unless ``-v`` asks for all."""
    tables: list[list[Line]] = []
    left = _GROUP_ROWS
    hidden = []
    prefix = f"{clean(sweep.name, look)}: " if len(results.sweeps) > 1 else ""
    for names, groups in _shown(results, sweep):
        by = ", ".join(clean(name, look) for name in names)
        if look.verbosity < 1 and tables and len(groups) > left:
            hidden.append(by)
            continue
        shown = groups if look.verbosity > 0 else groups[:_GROUP_ROWS]
        keys = [
            (name, [show_value(one.key[place], look) for one in shown])
            for place, name in enumerate(names)
        ]
        table = group_table(keys, shown, look, without=names)
        more = _more(len(groups) - len(shown), look)
        tables.append([_title(sweep, by, look, prefix), *table, *more])
        left -= len(groups)
    if hidden:
        tables[-1] += flow([(f"more with -v: by {', '.join(hidden)}", {"light": True})], look)
    return tables


def _shown(
    results: StudyResults, sweep: SweepInfo
) -> Iterable[tuple[tuple[str, ...], list[Group]]]:
    """Groups by ``group_by``, or for a grid by each parameter that has a few values."""
    by_default = [(name,) for name in sweep.varied] if sweep.strategy == "grid" else []
    for names in [sweep.group_by] if sweep.group_by else by_default:
        groups = group(results.trials, [sweep], names)
        few = bool(sweep.group_by) or len(groups) <= _GROUP_VALUES
        if few and len(groups) > 1 and groups[0].n:
            yield names, groups


def _more(count: int, look: Look) -> list[Line]:
    return flow([(f"and {count} more with -v", {"light": True})], look) if count > 0 else []


def families(studies: Iterable[StudyResults]) -> dict[str, list[StudyResults]]:
    """Puts the studies of one test together, by its node id without arguments."""
    found: dict[str, list[StudyResults]] = {}
    for results in studies:
        found.setdefault(split(results.nodeid)[0], []).append(results)
    return found


def split(nodeid: str) -> tuple[str, str]:
    """Splits a node id into the test and its arguments: ``("t.py::test_f", "[cifar]")``."""
    path, colons, name = nodeid.partition("::")
    test, bracket, arguments = name.partition("[")
    return path + colons + test, bracket + arguments


def other_parameters(studies: Sequence[StudyResults], look: Look) -> list[list[Line]]:
    """Compares the studies of one test, in one table for each objective."""
    tables = []
    for alike in objectives(sweep for results in studies for sweep in results.sweeps):
        rows = sorted(
            (
                (_overall(results, sweep), split(results.nodeid)[1][1:-1], sweep)
                for results in studies
                for sweep in results.sweeps
                if sweep in alike
            ),
            key=lambda row: rank_key(row[0].best),
        )
        if len(rows) < 2 or not rows[0][0].n:  # noqa: PLR2004 - nothing to compare
            continue
        shown = rows if look.verbosity > 0 else rows[:_GROUP_ROWS]
        keys = [("parameters", [clean(arguments, look) for _, arguments, _ in shown])]
        if len({sweep.name for _, _, sweep in rows}) > 1:
            keys.append(("sweep", [clean(sweep.name, look) for _, _, sweep in shown]))
        table = group_table(keys, [one for one, _, _ in shown], look)
        title = _title(alike[0], "the test's other parameters", look)
        tables.append([title, *table, *_more(len(rows) - len(shown), look)])
    return tables


def _title(sweep: SweepInfo, by: str, look: Look, prefix: str = "") -> Line:
    better = "lower" if sweep.mode == "min" else "higher"
    text = f"  {prefix}{clean(sweep.metric, look)} by {by} ({better} is better)"
    return line(cut(text, look.width, look))
