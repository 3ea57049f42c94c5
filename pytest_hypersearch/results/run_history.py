"""The history of a test over its runs: the best of each, what changed, and since which run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import Gate, Mode, implied_mode
from pytest_hypersearch.core.study import Configuration, Name, StudyResults
from pytest_hypersearch.core.trial import Config
from pytest_hypersearch.core.values import mean, plural, time_text
from pytest_hypersearch.results.comparison import Change, changes, values_of
from pytest_hypersearch.results.query import Row
from pytest_hypersearch.results.terminal.format import (
    Column,
    Look,
    Scale,
    better,
    clean,
    look_of,
    render,
    scale_of,
    show_params,
    wrap,
)
from pytest_hypersearch.stats.gate import LEAST_SEEDS, Tolerance
from pytest_hypersearch.stats.grouping import Summary, summary
from pytest_hypersearch.stats.ranking import rank_study
from pytest_hypersearch.stats.steps import Step, steps
from pytest_hypersearch.store.find import Loaded, merge, mergeable
from pytest_hypersearch.store.reader import is_whole, outline_of
from pytest_hypersearch.store.records import Provenance
from pytest_hypersearch.store.runs import Run


@frozen
class RunPoint:
    """A run of a test, or all runs of one commit.

    Attributes:
        study: The results.
        runs: Directories of the runs.
        provenance: Where the newest of them comes from.
        whole: Whether the whole plan was selected.
        best: The best configuration, None if there is none.
        values: The metric of the best configuration's trials.
        change: The verdict on it against the run before; None for the first.
    """

    study: StudyResults
    runs: tuple[Path, ...]
    provenance: Provenance
    whole: bool
    best: Configuration | None
    values: tuple[float, ...]
    change: Change | None = None

    @property
    def name(self) -> str:
        """The numbers of the runs."""
        return "-".join(dict.fromkeys((self.runs[0].name, self.runs[-1].name)))

    @property
    def commit(self) -> str:
        """The commit in short, with a + if tracked files had changes."""
        short = self.provenance.commit[:7]
        return f"{short}+" if short and self.provenance.dirty else short

    @property
    def started(self) -> float | None:
        """When its first trial started."""
        starts = (trial.started for trial in self.study.trials if trial.started is not None)
        return min(starts, default=None)


@frozen
class ScoreStep:
    """A run since which scores are worse or better.

    Attributes:
        step: Where, by how much and how sure; indices are into `RunHistory.points`.
        losses: By how much each judged configuration changed, the largest loss first.
        versions: Versions that changed with it: ``numpy 2.3 -> 2.4``.
    """

    step: Step
    losses: tuple[tuple[Config, float], ...]
    versions: tuple[str, ...]


@frozen
class RunHistory:
    """The history of a test over its runs; see `Results.over_runs`.

    Attributes:
        nodeid: The test.
        metric: The metric that is judged.
        mode: Whether lower or higher values are better.
        points: The runs, oldest first.
        steps: Where scores changed, in the order of the runs.
        judged: How many configurations, of which all compared runs have all seeds, were judged.
        seeds: How many seeds.
        compared: How many runs were compared for steps.
    """

    nodeid: str
    metric: str
    mode: Mode
    points: tuple[RunPoint, ...]
    steps: tuple[ScoreStep, ...] = ()
    judged: int = 0
    seeds: int = 0
    compared: int = 0

    def table(self) -> list[Row]:
        """Return a row for each run, the oldest first.

        ``run``, ``started``, ``commit``, ``best`` (mean over its replicates) with ``low`` and
        ``high`` (95%), ``n`` (replicates), ``verdict`` and ``loss`` against the run before, and
        ``step``: the loss of a step that begins with this run.
        """
        found = {one.step.run: one.step.loss for one in self.steps}
        return [_row(self, point, found.get(index)) for index, point in enumerate(self.points)]

    def __str__(self) -> str:
        return history_text(self, 80)


def _row(history: RunHistory, point: RunPoint, step: float | None) -> Row:
    numbers = summary(point.values)
    judgement = point.change.judgement if point.change else None
    return {
        "test": history.nodeid,
        "run": point.name,
        "started": point.started,
        "commit": point.provenance.commit or None,
        "metric": history.metric,
        "best": numbers.mean,
        "low": numbers.low,
        "high": numbers.high,
        "n": numbers.n,
        "verdict": judgement.verdict if judgement else None,
        "loss": judgement.loss if judgement else None,
        "step": step,
    }


def run_history(runs: Iterable[Loaded], metric: str | None, tolerance: float | str) -> RunHistory:
    """Tell what became of a test; see `Results.over_runs`.

    Args:
        runs: Its runs, oldest first; at least one.
        metric: The metric to judge, the score of the newest run by default.
        tolerance: The largest change that does not matter.

    Raises:
        ValueError: No run has the metric, or the tolerance makes no sense.
    """
    parts = _by_commit(runs)
    newest = parts[-1][0].results
    modes = {goal.metric: goal.mode for sweep in reversed(newest.sweeps) for goal in sweep.goals}
    name = metric or newest.sweeps[0].metric
    trials = (trial for each in parts for one in each for trial in one.results.trials)
    if not any(name in trial.metrics for trial in trials):
        raise ValueError(f"{newest.nodeid}: no trial has the metric {name}")
    gate = Gate(metric=name, mode=modes.get(name) or implied_mode(name), tolerance=tolerance)
    points = [_point(part, gate) for part in parts]
    judged = changes([point.study for point in points], gate)
    points = [points[0]] + [
        replace(point, change=change) for point, change in zip(points[1:], judged, strict=True)
    ]
    return _with_steps(RunHistory(newest.nodeid, name, gate.mode, tuple(points)), gate)


def _by_commit(runs: Iterable[Loaded]) -> list[list[Loaded]]:
    """Runs one after another that ran the same commit, without changes, and searched the same."""
    groups: list[list[Loaded]] = []
    for each in runs:
        if groups and _alike(groups[-1][-1], each):
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _alike(one: Loaded, other: Loaded) -> bool:
    before, now = _provenance(one), _provenance(other)
    return (
        bool(now.commit)
        and now.dirty is False
        and all(
            getattr(before, name) == getattr(now, name)
            for name in ("commit", "dirty", "python", "packages")
        )
        and len(mergeable([one.results, other.results])) == 1
    )


def _provenance(one: Loaded) -> Provenance:
    return outline_of(Run(one.runs[-1])).first.provenance


def _point(part: Sequence[Loaded], gate: Gate) -> RunPoint:
    study = part[0].results if len(part) == 1 else merge([one.results for one in part])
    runs = tuple(path for one in part for path in one.runs)
    rankings = [one for one in rank_study(study).rankings if one]
    best = next((one.best for one in rankings if one.sweeps[0].metric == gate.metric), None)
    best = best or next((one.best for one in rankings), None)
    trials = best.trials if best else ()
    values = tuple(trial.metrics[gate.metric] for trial in trials if gate.metric in trial.metrics)
    whole = any(map(is_whole, map(Run, runs)))
    return RunPoint(study, runs, _provenance(part[-1]), whole, best, values)


def _with_steps(history: RunHistory, gate: Gate) -> RunHistory:
    """Looks for steps over the whole runs that have configurations and seeds in common."""
    sign = 1.0 if gate.mode == "min" else -1.0
    tables = {
        index: values_of(point.study, gate.metric)
        for index, point in enumerate(history.points)
        if point.whole
    }
    common, places = _common(tables)
    if not common:
        return history
    most = max(map(len, common.values()))
    runs = {  # signed scores of each configuration by run and seed
        name: [[sign * tables[index][name][seed] for seed in sorted(seeds)] for index in places]
        for name, seeds in common.items()
        if len(seeds) == most
    }
    totals = {name: mean([mean(row) for row in rows]) for name, rows in runs.items()}
    judged = sorted(totals, key=totals.__getitem__)[: gate.top]
    judged = [name for name in judged if common[name] == common[judged[0]]]
    scores = [
        [mean(column) for column in zip(*rows, strict=True)]
        for rows in zip(*(runs[name] for name in judged), strict=True)
    ]
    limit = Tolerance.of(gate.tolerance).size_at(mean([mean(row) for row in scores]))
    found = []
    for step in steps(scores, limit):
        before, after = places[step.run - 1], places[step.run]
        losses = {
            name: mean([mean(row) for row in runs[name][step.run : step.end]])
            - mean([mean(row) for row in runs[name][step.start : step.run]])
            for name in judged
        }
        there = replace(step, start=places[step.start], run=after, end=places[step.end - 1] + 1)
        worst = sorted(losses.items(), key=lambda item: -item[1])
        found.append(
            ScoreStep(
                there,
                tuple((json.loads(name[1]), loss) for name, loss in worst),
                _versions(history.points[before].provenance, history.points[after].provenance),
            )
        )
    return replace(
        history, steps=tuple(found), judged=len(judged), seeds=most, compared=len(places)
    )


def _common(
    tables: Mapping[int, Mapping[Name, Mapping[int, float]]],
) -> tuple[dict[Name, set[int]], list[int]]:
    """The configurations and seeds that runs have in common, from the newest run back.

    A run that has too little in common with those after it is passed over.
    """
    common: dict[Name, set[int]] = {}
    places: list[int] = []
    for index in sorted(tables, reverse=True):
        both = {
            name: {*row} & common.get(name, set()) if common else {*row}
            for name, row in tables[index].items()
        }
        both = {name: seeds for name, seeds in both.items() if len(seeds) >= LEAST_SEEDS}
        if both:
            common = both
            places.insert(0, index)
    return common, places


def _versions(before: Provenance, now: Provenance) -> tuple[str, ...]:
    """The versions that changed: ``numpy 2.3 -> 2.4``."""
    sides = ({"python": one.python, **one.packages} for one in (before, now))
    earlier, later = sides
    return tuple(
        f"{name} {earlier[name]} -> {later[name]}"
        for name in earlier
        if later.get(name, earlier[name]) != earlier[name]
    )


def history_text(history: RunHistory, width: int) -> str:
    """Show a line for each run, and where scores changed."""
    look = look_of(width)
    points = history.points
    lines = [clean(f"{history.nodeid}  {history.metric} ({better(history.mode)})", look)]
    lines += render(_columns(points), look, indent=2)
    for one, (word, text) in zip(history.steps, step_texts(history, look), strict=True):
        lines += wrap(f"{word}: {text}", look)
        if one.step.loss > 0:
            lines += wrap(f"worst: {_losses(one, look)}", look)
    return "\n".join([*lines, *wrap(basis_text(history), look)])


def step_texts(history: RunHistory, look: Look | None = None) -> list[tuple[str, str]]:
    """Return for each step ``first worse``, ``worse again`` or ``better``, and its facts."""
    worse = [one for one in history.steps if one.step.loss > 0]
    return [
        (
            "better" if one.step.loss < 0 else "first worse" if one is worse[0] else "worse again",
            _step(one, history.points, look or Look()),
        )
        for one in history.steps
    ]


def basis_text(history: RunHistory) -> str:
    """Says what the steps were looked for in."""
    if history.compared < 2:  # noqa: PLR2004 - nothing to compare
        return f"steps: need 2 whole runs that share {LEAST_SEEDS} seeds of a configuration"
    shared = f"best {history.judged} that they share, {plural(history.seeds, 'seed')}"
    return f"{plural(len(history.steps), 'step')} over {history.compared} runs; {shared}"


def _columns(points: Sequence[RunPoint]) -> list[Column]:
    numbers = [summary(point.values) for point in points]
    known = [x for each in numbers for x in (each.mean, each.low, each.high) if x is not None]
    scale = scale_of(known)
    table = [
        Column("run", tuple(point.name for point in points)),
        Column(
            "started",
            tuple("-" if point.started is None else time_text(point.started) for point in points),
            drop=2,
        ),
        Column("commit", tuple(point.commit or "-" for point in points), right=False),
        Column("best", tuple(scale.value(each.mean) for each in numbers)),
        Column("n", tuple(str(each.n) for each in numbers), drop=1),
        Column("95% CI", tuple(_interval(each, scale) for each in numbers), drop=3),
        Column("vs the run before", tuple(_verdict(point) for point in points), right=False),
    ]
    return [one for one in table if one.header != "commit" or any(point.commit for point in points)]


def _interval(numbers: Summary, scale: Scale) -> str:
    ends = f"[{scale.value(numbers.low)}, {scale.value(numbers.high)}]"
    return "-" if numbers.low is None else ends


def _verdict(point: RunPoint) -> str:
    if point.change is None:
        return "-"
    judgement = point.change.judgement
    loss = judgement.loss
    return judgement.verdict + (f" (loss {scale_of([loss]).value(loss)})" if loss else "")


def _step(one: ScoreStep, points: Sequence[RunPoint], look: Look) -> str:
    step, point = one.step, points[one.step.run]
    scale = scale_of([step.loss, step.low, step.high])
    commit = f" ({point.commit})" if point.commit else ""
    text = f"run {point.name}{commit}, loss {scale.value(step.loss)} "
    text += f"(95% {scale.value(step.low)} to {scale.value(step.high)})"
    return "; ".join([text, *(clean(version, look) for version in one.versions)])


def _losses(one: ScoreStep, look: Look) -> str:
    scale = scale_of([max((loss for _, loss in one.losses), key=abs)])
    return ", ".join(
        " ".join([*show_params(params, look), f"{'+' * (loss > 0)}{scale.value(loss)}"])
        for params, loss in one.losses
    )
