"""A line for each sweep, as with ``-q`` and where results are printed, or a row in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from typing import TypeAlias

from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.study_history import steps
from pytest_hypersearch.results.terminal.format import (
    Line,
    Look,
    Segment,
    clean,
    columns,
    cut,
    line,
    look_of,
    pad,
    plain,
    show_duration,
    show_mean,
    show_params,
)
from pytest_hypersearch.results.terminal.lines import (
    count_words,
    front_words,
    trials_of,
    words_text,
)
from pytest_hypersearch.stats.grouping import FAILURES, count
from pytest_hypersearch.stats.ranking import RankedStudy, Ranking

_NODEID_COLUMNS = 24
_LEAST = 12  # columns of a test's name in a narrow terminal
_PARAMS_COLUMNS = 14  # columns of the first parameters
_SWEEP_COLUMNS = 20
_TESTS = 15
_FEW = 12  # sweeps whose parameters may take a line each
_COUNTS = {"counts", "short"}
_HTML_COLUMNS = 100
_HTML_HEAD = ("test", "sweep", "trials", "best", "parameters", "best so far")


_Texts: TypeAlias = "dict[str, str]"
"""The texts of a line on a sweep, by what they tell."""


def headlines(studies: Sequence[RankedStudy], look: Look) -> list[Line]:
    """Writes a line for each sweep: test, sweep, counts, time, best score, its parameters.

    What does not fit goes in this order: the best's number, the time, the counts other than
    complete and failed, the sweep's name where each test has one, the beginning of the test's name.
    Parameters that do not fit beside the rest have a line of their own if there are few sweeps.
    """
    rows = [_headline(ranked, sweep, look) for ranked in studies for sweep in ranked.study.sweeps]
    alone = all(len(ranked.study.sweeps) == 1 for ranked in studies)
    least = ["test", "short", "best"] if alone else ["test", "sweep", "short", "best"]
    choices = [
        ["test", "sweep", "counts", "time", "best", "number"],
        ["test", "sweep", "counts", "time", "best"],
        ["test", "sweep", "counts", "best"],
        ["test", "sweep", "short", "best"],
        least,
        [*least[:-1], "score"],
    ]
    many = bool(rows[_FEW:])
    for names in choices if many else choices[:-1]:
        if _width(rows, [*names, "params"]) <= look.width:
            return _drawn(rows, [*names, "params"], look)
    if many and _width(rows, least, _NODEID_COLUMNS) + _PARAMS_COLUMNS <= look.width:
        return _drawn(rows, [*least, "params"], look)
    fitting = [n for n in choices if _width(rows, n) <= look.width]
    fitting += [n for n in choices if _width(rows, n, _NODEID_COLUMNS) <= look.width]
    drawn = _drawn(rows, [*fitting, choices[-1]][0], look)
    if many:
        return drawn
    below = [line(cut(f"    {row['params']}", look.width, look)) for row in rows]
    return [
        each
        for row, first, params in zip(rows, drawn, below, strict=True)
        for each in ((first, params) if row["params"] else (first,))
    ]


def _headline(ranked: RankedStudy, sweep: Sweep, look: Look) -> _Texts:
    trials = trials_of(ranked.study, sweep)
    by_state = count(trials, sweep.planned)
    failed = sum(by_state.get(state, 0) for state in FAILURES)
    short = f"{by_state.get(State.COMPLETE, 0)} of {max(sweep.planned, len(trials))}"
    best = ranked.of(sweep).best
    alone = best is not None and not sweep.others
    text = _best(ranked.of(sweep), look)
    number = f"#{best.number}" if best and alone else _goals(sweep, look)
    return {
        "test": clean(ranked.study.nodeid, look),
        "sweep": cut(clean(sweep.name, look), _SWEEP_COLUMNS, look),
        "counts": words_text(count_words(trials, sweep.planned)),
        "short": f"{short}, {failed} failed" if failed else short,
        "time": show_duration(sweep.elapsed) if sweep.elapsed else "",
        "best": text,
        "score": f"{sweep.mode} {show_mean(best.score, None, look)}" if best and alone else text,
        "number": f"({number})" if best else "",
        "params": " ".join(show_params(best.params, look)) if best and alone else "",
        "failed": "failed" * bool(failed),
    }


def _goals(sweep: Sweep, look: Look) -> str:
    return ", ".join(f"{goal.mode} {clean(goal.metric, look)}" for goal in sweep.goals)


def _best(ranking: Ranking, look: Look) -> str:
    if not ranking:
        return "no score"
    best = ranking.best
    if best is None:
        return "none feasible"
    if best.sweep.others:
        return front_words(ranking.front)
    return f"{best.sweep.mode} {clean(best.sweep.metric, look)} {show_mean(best.score, None, look)}"


def _widths(rows: Sequence[_Texts], names: Sequence[str]) -> list[int]:
    return [max((columns(row[name]) for row in rows), default=0) for name in names]


def _width(rows: Sequence[_Texts], names: Sequence[str], test: int | None = None) -> int:
    """Return the columns that some of the texts take, with names of tests cut to so many."""
    first, *others = _widths(rows, names)
    return min(first, first if test is None else test) + sum(others) + 2 * len(others)


def _drawn(rows: Sequence[_Texts], names: Sequence[str], look: Look) -> list[Line]:
    """Draws some of the texts; the test's name makes room for the others down to some columns."""
    widths = _widths(rows, names)
    excess = _width(rows, names) - look.width
    least = _NODEID_COLUMNS if "params" in names else _LEAST
    if excess > 0:
        widths[0] = max(least, widths[0] - excess)
    return [
        _row(
            [(row[n], {"red": True} if row["failed"] and n in _COUNTS else {}) for n in names],
            widths,
            look,
        )
        for row in rows
    ]


def _row(cells: Sequence[Segment], widths: Sequence[int], look: Look) -> Line:
    (nodeid, markup), *others = cells
    parts = [(cut(nodeid, widths[0], look, left=True), markup), *others]
    while not parts[-1][0]:
        parts.pop()
    padded = [
        (pad(text, width) + "  ", markup)
        for (text, markup), width in zip(parts[:-1], widths, strict=False)
    ]
    row = (*padded, parts[-1])
    return row if columns(plain(row)) <= look.width else line(cut(plain(row), look.width, look))


def sweep_text(results: Sequence[RankedStudy], notes: Iterable[str], width: int) -> str:
    """Count the trials and show a line for each sweep, as far as they fit on a screen."""
    look = look_of(width)
    studies = [_tried(each) for each in results if each.study.trials]
    lines = [_counts(results), *map(plain, headlines(studies[:_TESTS], look))]
    if studies[_TESTS:]:
        lines.append(f"and {len(studies) - _TESTS} more tests")
    return "\n".join([*lines, *(clean(f"note: {note}", look) for note in notes)])


def _tried(ranked: RankedStudy) -> RankedStudy:
    """A study without the sweeps of which filters left nothing."""
    study = ranked.study
    names = {trial.sweep for trial in study.trials}
    sweeps = tuple(sweep for sweep in study.sweeps if sweep.planned or sweep.name in names)
    return replace(ranked, study=replace(study, sweeps=sweeps))


def sweep_html(results: Sequence[RankedStudy], notes: Iterable[str]) -> str:
    """Return a table for a notebook: each sweep's trials, its best configuration, and its history.

    Texts of users are escaped.
    """
    look = Look(_HTML_COLUMNS)
    studies = [_tried(each) for each in results if each.study.trials]
    rows = [
        _html_row(ranked, sweep, look)
        for ranked in studies[:_TESTS]
        for sweep in ranked.study.sweeps
    ]
    head = "".join(f"<th>{name}</th>" for name in _HTML_HEAD)
    texts = [f"note: {note}" for note in notes]
    if studies[_TESTS:]:
        texts.insert(0, f"and {len(studies) - _TESTS} more tests")
    below = "".join(f"<p>{escape(clean(text, look))}</p>" for text in texts)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<p>{escape(_counts(results))}</p>{table}{below}"


def _html_row(ranked: RankedStudy, sweep: Sweep, look: Look) -> str:
    trials, ranking = trials_of(ranked.study, sweep), ranked.of(sweep)
    best = ranking.best
    text = _best(ranking, look)
    if best is not None and not sweep.others:
        metric = f"{sweep.mode} {clean(sweep.metric, look)}"
        text = f"{metric} {show_mean(best.score, best.std, look)} (#{best.number})"
    elif best is not None:
        text += f" ({_goals(sweep, look)})"
    cells = [
        clean(ranked.study.nodeid, look),
        clean(sweep.name, look),
        words_text(count_words(trials, sweep.planned)),
        text,
        "" if best is None or sweep.others else ", ".join(show_params(best.params, look)),
    ]
    values = [
        step.best
        for step in steps(ranked.study, sweep.goals[0])
        if step.trial.sweep == sweep.name and step.best is not None
    ]
    drawn = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr>{drawn}<td>{_sparkline(values)}</td></tr>"


_WIDE, _HIGH = 90, 18


def _sparkline(values: Sequence[float]) -> str:
    """Draw a course as a line of a word's size, empty for no values."""
    if not values:
        return ""
    values = [*values[:: 1 + len(values) // _WIDE], values[-1]]
    high, span = max(values), max(values) - min(values) or 1.0
    points = " ".join(
        f"{_WIDE * place / max(1, len(values) - 1):.4g},{_HIGH * (high - value) / span:.4g}"
        for place, value in enumerate(values)
    )
    label = f"from {values[0]:.4g} to {values[-1]:.4g}"
    line = f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
    box = f'width="{_WIDE}" height="{_HIGH}" viewBox="-2 -2 {_WIDE + 4} {_HIGH + 4}"'
    return f'<svg {box} role="img" aria-label="{label}">{line}</svg>'


def _counts(results: Iterable[RankedStudy]) -> str:
    trials = [trial for each in results for trial in each.study.trials]
    counts = count(trials, 0)
    states = ", ".join(f"{number} {state}" for state, number in counts.items())
    return f"Results: {len(trials)} trials" + (f": {states}" if counts else "")
