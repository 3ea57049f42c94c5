"""What became of a sweep's trials, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.terminal.findings import front_words
from pytest_hypersearch.results.terminal.format import (
    clean,
    columns,
    cut,
    flow,
    line,
    pad,
    plain,
    show_duration,
    show_mean,
)
from pytest_hypersearch.stats.grouping import FAILURES, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.results.terminal.format import Line, Look, Segment
    from pytest_hypersearch.stats.ranking import RankedStudy, Ranking


_NODEID_COLUMNS = 24
_COLOURS = {
    State.COMPLETE: "green",
    State.FAILED: "red",
    State.INVALID: "red",
    State.PRUNED: "yellow",
    State.RACED_OUT: "yellow",
    State.CRASHED: "red",
    State.TIMED_OUT: "red",
    State.NOT_RUN: "yellow",
    State.RUNNING: "yellow",
}


def trials_of(results: StudyResults, sweep: Sweep) -> list[TrialRecord]:
    """Returns a sweep's trials."""
    return [trial for trial in results.trials if trial.sweep == sweep.name]


def describe(sweep: Sweep, look: Look) -> str:
    """Says what a sweep is: ``grid 3x3 x 3 replicates``, ``wide (random seed=0)``."""
    words = [clean(sweep.strategy, look)]
    if sweep.shape:
        words.append(" + ".join(_shape(sizes) for sizes in sweep.shape))
    elif sweep.strategy != "grid":
        words.append(f"seed={sweep.seed}")
    if sweep.replicates > 1:
        words.append(f"x {sweep.replicates} replicates")
    text = " ".join(words)
    return text if sweep.name == sweep.strategy else f"{clean(sweep.name, look)} ({text})"


def _shape(sizes: Iterable[int]) -> str:
    return "x".join(str(size) for size in sizes if size > 1) or "1"


def count_words(trials: Sequence[TrialRecord], planned: int) -> list[Segment]:
    """Counts trials by state, in words: `` 38 complete,`` ``2 failed`` ``of 40``."""
    found = count(trials, planned)
    total = max(planned, len(trials))
    cached = sum(trial.cached for trial in trials)
    states = sorted(found, key=list(_COLOURS).index) or [State.COMPLETE]
    words: list[Segment] = [
        (f"{found.get(state, 0)} {state}" + "," * (state != states[-1]), {_COLOURS[state]: True})
        for state in states
    ]
    words[0] = f" {words[0][0]}", words[0][1]
    words.append((f"of {total}", {}))
    if cached:
        words.append((f"({cached} from cache)", {}))
    return words


def sweep_lines(results: StudyResults, look: Look) -> list[Line]:
    """Writes what became of each of a study's sweeps, one below the other."""
    rows = [
        (describe(sweep, look), count_words(trials_of(results, sweep), sweep.planned), sweep)
        for sweep in results.sweeps
    ]
    first = max((columns(label) for label, _, _ in rows), default=0)
    second = max((columns(_text(words)) for _, words, _ in rows), default=0)
    aligned = 2 + first + 2 + second + 2 + 6 <= look.width
    found: list[Line] = []
    for label, words, sweep in rows:
        gap = " " * (second - columns(_text(words)) if aligned else 0)
        time: list[Segment] = (
            [(f"{gap} {show_duration(sweep.elapsed)}", {})] if sweep.elapsed else []
        )
        start = pad(label, first) if aligned else label
        found += flow([(start, {}), *words, *time], look)
    return found


def _text(words: Iterable[Segment]) -> str:
    return " ".join(text for text, _ in words)


def headlines(studies: Sequence[RankedStudy], look: Look) -> list[Line]:
    """Writes one line for each sweep: test, sweep, counts, best score, time.

    What does not fit goes in this order: the best's number, the time, the counts other than
    complete, the beginning of the test's name.
    """
    pairs = [(ranked, sweep) for ranked in studies for sweep in ranked.study.sweeps]
    for short, number, time in (
        (False, True, True),
        (False, False, True),
        (False, False, False),
        (True, False, True),
        (True, False, False),
    ):
        rows = [_cells(*pair, look, short=short, number=number, time=time) for pair in pairs]
        widths = [max(columns(cell) for cell, _ in column) for column in zip(*rows, strict=True)]
        excess = sum(widths) + 2 * (len(widths) - 1) - look.width
        if excess <= 0:
            return [_row(cells, widths, look) for cells in rows]
    widths[0] = max(_NODEID_COLUMNS, widths[0] - excess) if pairs else 0
    return [_row(cells, widths, look) for cells in rows]


def _cells(
    ranked: RankedStudy, sweep: Sweep, look: Look, *, short: bool, number: bool, time: bool
) -> list[Segment]:
    trials = trials_of(ranked.study, sweep)
    found = count(trials, sweep.planned)
    counts = _text(count_words(trials, sweep.planned)).strip()
    if short:
        total = max(sweep.planned, len(trials))
        counts = f"{found.get(State.COMPLETE, 0)} of {total} complete"
    colour = {"red": True} if any(found.get(state) for state in FAILURES) else {}
    return [
        (clean(ranked.study.nodeid, look), {}),
        (clean(sweep.name, look), {}),
        (counts, colour),
        (_best(ranked.of(sweep), look, number=number), {}),
        (show_duration(sweep.elapsed) if time and sweep.elapsed else "", {}),
    ]


def _best(ranking: Ranking, look: Look, *, number: bool) -> str:
    if not ranking:
        return "no score"
    best = ranking.best
    if best is None:
        return "none feasible"
    if best.sweep.others:
        return front_words(ranking.front)
    where = f" (#{best.number})" if number else ""
    return f"best {clean(best.sweep.metric, look)} {show_mean(best.score, None, look)}{where}"


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
