"""Several runs of a test on one page: the trend over runs, and two runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pytest_hypersearch.core.goals import TOLERANCE
from pytest_hypersearch.core.study import GateVerdict, StudyResults
from pytest_hypersearch.results.comparison import (
    ACCEPTED,
    FAILING,
    PASSING,
    Change,
    compare,
    gates,
    measures,
    verdict_of,
)
from pytest_hypersearch.results.run_history import RunHistory, basis_text, run_history, step_texts
from pytest_hypersearch.results.study_history import Reported
from pytest_hypersearch.store.baseline import Baseline
from pytest_hypersearch.store.find import Loaded

Json: TypeAlias = dict[str, Any]
Judge: TypeAlias = Callable[[Iterable[StudyResults]], Mapping[str, Sequence[GateVerdict]]]
"""Judges the gates of studies; returns the verdicts by node id."""

EVERY_PAIR: Final = 6
"""Of so many of the newest runs each pair is compared."""
MOST_ROWS: Final = 200


def tests_of(studies: Sequence[Reported]) -> list[Json]:
    """Return what the page shows of tests with several runs, as JSON values.

    Args:
        studies: All studies of the page, to whose places the numbers refer.

    Returns:
        For each such test its ``nodeid``, the places of its ``runs``, oldest first, the
        ``history`` over them (None if they have no metric in common) and the ``pairs`` of runs
        that are compared.
    """
    found: dict[str, list[int]] = {}
    for place, each in enumerate(studies):
        if each.runs:
            found.setdefault(each.study.nodeid, []).append(place)
    return [
        {
            "nodeid": nodeid,
            "runs": places,
            "history": _history(studies, places),
            "pairs": [_pair(studies, *pair) for pair in _pairs(places)],
        }
        for nodeid, places in found.items()
        if len(places) > 1
    ]


def judge_by(baseline: Baseline | None) -> Judge:
    """Return what judges the gates of the newest runs by a baseline.

    Without one, thresholds are judged, and of other gates what the run's session said is told.
    """

    def judge(studies: Iterable[StudyResults]) -> Mapping[str, Sequence[GateVerdict]]:
        newest = {study.nodeid: study for study in studies}
        verdicts: dict[str, dict[str, GateVerdict]] = {
            nodeid: {} if baseline else {each.gate: each for each in study.gates}
            for nodeid, study in newest.items()
        }
        for change in gates(newest.values(), baseline.studies if baseline else ()).changes:
            if baseline or change.gate.bound is not None:
                verdicts[change.nodeid][change.label] = verdict_of(change)
        return {nodeid: [*own.values()] for nodeid, own in verdicts.items()}

    return judge


def verdict_values(verdicts: Iterable[GateVerdict]) -> list[Json]:
    """Return the verdicts of a test's gates as JSON values."""
    return [
        {
            "gate": each.gate,
            "verdict": each.verdict,
            "kind": _kind(each.verdict),
            "text": each.text + (f", against {each.against}" if each.against else ""),
        }
        for each in verdicts
    ]


def _kind(verdict: str) -> str:
    if verdict in FAILING:
        return "bad"
    return "good" if verdict in {*PASSING, ACCEPTED} else "open"


def _history(studies: Sequence[Reported], places: Sequence[int]) -> Json | None:
    loaded = [Loaded(studies[place].study, tuple(studies[place].runs)) for place in places]
    try:
        history = run_history(loaded, None, TOLERANCE)
    except ValueError:  # another metric in each run
        return None
    of = {run: place for place in places for run in studies[place].runs}
    return {
        "metric": history.metric,
        "mode": history.mode,
        "basis": basis_text(history),
        "points": list(_points(history, of)),
        "steps": [
            {"point": step.step.run, "loss": step.step.loss, "word": word, "text": text}
            for step, (word, text) in zip(history.steps, step_texts(history), strict=True)
        ],
    }


def _points(history: RunHistory, of: dict[Any, int]) -> Iterator[Json]:
    for point, row in zip(history.points, history.table(), strict=True):
        kept = ("run", "started", "best", "low", "high", "n", "verdict", "loss")
        yield {name: row[name] for name in kept} | {
            "study": of[point.runs[-1]],
            "commit": point.commit,
        }


def _pairs(places: Sequence[int]) -> list[tuple[int, int]]:
    """The runs that are compared: neighbours, all with the newest, and each pair of the newest."""
    first = len(places) - EVERY_PAIR
    return [
        (before, now)
        for j, now in enumerate(places)
        for i, before in enumerate(places[:j])
        if i >= first or i == j - 1 or j == len(places) - 1
    ]


def _pair(studies: Sequence[Reported], before: int, now: int) -> Json:
    """Two runs configuration by configuration, the judged ones first, then the largest losses."""
    found = compare([studies[now].study], [studies[before].study], TOLERANCE)
    return {"before": before, "now": now, "changes": list(map(_change, found.changes))}


def _change(change: Change) -> Json:
    rows = sorted(change.configurations(), key=lambda row: (not row["judged"], -row["loss"]))
    one = change.judgement
    return {
        "metric": change.metric,
        "mode": change.mode,
        "verdict": one.verdict,
        "kind": _kind(one.verdict),
        "text": " ".join(measures(change)),
        "gone": len(one.gone),
        "new": len(one.new),
        "left": max(0, len(rows) - MOST_ROWS),
        "rows": [
            {name: value for name, value in row.items() if name != "params"}
            for row in rows[:MOST_ROWS]
        ],
    }
