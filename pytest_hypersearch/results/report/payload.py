"""The numbers that the page and the figures for notebooks draw."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, unquote_to_bytes

from pytest_hypersearch.core.goals import Goal
from pytest_hypersearch.core.secrets import is_secret
from pytest_hypersearch.core.space.numeric import Integer, Real
from pytest_hypersearch.core.study import Configuration, StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, Key, Raw, State, TrialRecord, storable
from pytest_hypersearch.core.values import number_of, std
from pytest_hypersearch.results.contrasts import contrast, contrast_words
from pytest_hypersearch.results.query import ABSENT, Fields, entries
from pytest_hypersearch.results.report.runs import Judge, judge_by, tests_of, verdict_values
from pytest_hypersearch.results.study_history import Reported, Step, by_end, steps
from pytest_hypersearch.results.terminal.format import Look, show_value
from pytest_hypersearch.results.terminal.lines import comparable, doubtful, raced_out, rule_text
from pytest_hypersearch.stats.failures import FailureRule, failure_rule
from pytest_hypersearch.stats.grouping import failures
from pytest_hypersearch.stats.importance import Pool, importance, pools
from pytest_hypersearch.stats.ranking import RankedStudy, Ranking, by_mean, rank_study
from pytest_hypersearch.store.curves import TimedSeries
from pytest_hypersearch.store.reader import directory_of

Json: TypeAlias = dict[str, Any]
Link: TypeAlias = Callable[[Path], str]

MOST_FILES = 50
MOST_CONTRASTED = 8


def beside(page: Path) -> Link:
    """Return what tells the address of a directory, relative to a page that is a file."""
    folder = page.resolve().parent
    return lambda directory: quote(os.fsencode(os.path.relpath(directory.resolve(), folder)))


def listed(
    runs: Sequence[Path], trials: Iterable[TrialRecord], link: Link
) -> list[dict[str, Any] | None]:
    """List what each trial saved.

    Args:
        runs: Directories of runs.
        trials: Trials of these runs.
        link: Tells the address of a run's artifacts.

    Returns:
        For each trial None, or its directory's address as ``at``, the first `MOST_FILES` paths
        below it as ``files``, encoded for addresses, and how many ``more`` there are.
    """
    roots: dict[Path, str] = {}
    found = []
    for trial in trials:
        places = (directory_of(run, trial) for run in runs)
        directory = next((place for place in places if place.is_dir()), None)
        if directory and directory.parent not in roots:
            roots[directory.parent] = link(directory.parent)
        found.append(_directory(directory, roots[directory.parent]) if directory else None)
    return found


def file_below(root: Path, address: str) -> Path | None:
    """Return the file of an encoded path, None if there is none or it is not below the root."""
    try:
        file = (root / os.fsdecode(unquote_to_bytes(address))).resolve()
        return file if file.is_relative_to(root.resolve()) and file.is_file() else None
    except (OSError, ValueError):  # too long a name, or a null byte in it
        return None


def _directory(directory: Path, address: str) -> dict[str, Any] | None:
    paths = (quote(os.fsencode(path.relative_to(directory))) for path in directory.rglob("*"))
    files = sorted(path for path in paths if file_below(directory, path))
    more = max(0, len(files) - MOST_FILES)
    at = f"{address}/{quote(directory.name)}"
    return {"at": at, "files": files[:MOST_FILES], "more": more} if files else None


_DECADES = 100  # options this far apart were meant as magnitudes
MOST_CURVES = 500
MOST_POINTS = 200
_FIELDS = ("number", "replicate", "duration", "started", "worker", "attempt", "seed", "steps")
_TEXTS = ("nodeid", "state", "reason", "error", "cached", "tags", "note")


def payload(
    studies: Iterable[Reported],
    link: Link,
    ranked: Iterable[RankedStudy] | None = None,
    judge: Judge | None = None,
) -> Json:
    """Return what the page shows, as JSON values.

    Texts under names of secrets are left out: reports travel.

    Args:
        studies: What to show.
        link: Tells the address of a directory.
        ranked: The same studies ranked, if they are already.
        judge: Judges the gates of the newest runs; by default their thresholds.
    """
    known = list(studies)
    rankings = ranked or [rank_study(each.study) for each in known]
    pairs = zip(known, rankings, strict=True)
    found = [_study(each, ranking, link) for each, ranking in pairs]
    verdicts = (judge or judge_by(None))([each.study for each in known])
    for study in {study["nodeid"]: study for study in found}.values():  # the newest of each
        study["gates"] = verdict_values(verdicts[study["nodeid"]])
    return {"studies": found, "tests": tests_of(known)}


def _study(reported: Reported, ranked: RankedStudy, link: Link) -> Json:
    study, data = reported.study, numbers(reported, ranked)
    data["trials"]["artifacts"] = listed(reported.runs, by_end(study.trials), link)
    return data | {
        "run": study.run,
        "saved": study.saved,
        "notes": study.notes,
        "tags": study.tags,
        "note": study.note,
        "commit": study.commit,
        "name": study.name,
        "best": None if ranked.best is None else data["configurations"][0],
        "failures": list(map(asdict, failures(study.trials))),
        "rule": _rule(failure_rule([study])),
        "gates": [],
        "contrasts": dict(_contrasts(study)),
        "importance": list(_importances(ranked)),
    }


def _contrasts(study: StudyResults) -> Iterator[tuple[str, str]]:
    """How strategies, and the values of each parameter that has few, compare in pairs."""
    fields, known = Fields.of([study]), list(entries([study]))
    goals = {sweep.goals[0] for sweep in study.sweeps}
    names = ["strategy", *(f"params.{name}" for name in fields.params if not is_secret(name))]
    for field in map(fields.find, names):
        values = {field.get(each) for each in known} - {ABSENT}
        if len(goals) == 1 and 1 < len(values) <= MOST_CONTRASTED:
            with suppress(ValueError):
                found = contrast(known, field, (), *next(iter(goals)))
                if not found.reason:
                    yield field.name.replace("params.", "p.", 1), contrast_words(found)


def _rule(rule: FailureRule | None) -> Json | None:
    """What failing configurations have in common, with its conditions and counts."""
    if rule is None:
        return None
    conditions = [
        {
            "name": one.name,
            "sign": one.sign,  # of a category, its label is compared
            "value": one.value if one.sign in {"<=", ">="} else label(one.value),
        }
        for one in rule.conditions
    ]
    counts = {name: getattr(rule, name) for name in ("covered", "failing", "wrong", "others")}
    return counts | {"text": rule_text(rule, Look()), "conditions": conditions}


def numbers(reported: Reported, ranked: RankedStudy) -> Json:
    """Return the numbers that figures draw, on the page as well as in notebooks, as JSON values.

    Trials are columns in the order in which they ended; ``spent`` is the number of trials, steps
    and seconds that the sweep of each had spent by then. A metric with a direction also has the
    best value so far after each of them, of all sweeps (``best``) and of the trial's own (``own``,
    with its ``spread`` over replicates). ``configurations`` has each one with its means: first
    those that are ranked, the best first, then the others.
    """
    study = reported.study
    trials = by_end(study.trials)
    courses = {goal: steps(study, goal) for sweep in study.sweeps for goal in sweep.goals}
    configurations = _configurations(ranked, trials)
    feasible = {at: one["feasible"] for one in configurations for at in one["trials"]}
    names = dict.fromkeys(name for trial in study.trials for name in trial.params)
    return {
        "nodeid": study.nodeid,
        "sweeps": [_sweep(sweep) for sweep in study.sweeps],
        "parameters": [_parameter(name, study, trials) for name in names],
        "metrics": _metrics(study, trials, courses),
        "trials": {
            **_columns(study, trials),
            "feasible": [feasible.get(at) for at in range(len(trials))],
        },
        "spent": _spent(trials, next(iter(courses.values()), ())),
        "configurations": configurations,
        **_curves(study, trials, reported.curves),
    }


def _spent(trials: Sequence[TrialRecord], course: Sequence[Step]) -> Json:
    """What each trial's sweep had spent when it ended."""
    totals = {name: defaultdict[str, float](float) for name in ("steps", "seconds")}
    found: dict[str, list[float]] = {"trials": [step.n for step in course]}
    for trial in trials:
        spent = {"steps": trial.steps, "seconds": trial.duration}
        for name, total in totals.items():
            total[trial.sweep] += spent[name]
            found.setdefault(name, []).append(total[trial.sweep])
    return found


def _configurations(ranked: RankedStudy, trials: Sequence[TrialRecord]) -> list[Json]:
    """Every configuration, the ranked ones first; trials are told by their places."""
    places: dict[tuple[str, int], list[int]] = {}
    for place, trial in enumerate(trials):
        places.setdefault((trial.sweep, trial.number), []).append(place)
    sweeps = {sweep.name: place for place, sweep in enumerate(ranked.study.sweeps)}
    found: list[Json] = []
    for objective, ranking in enumerate(ranked.rankings):
        front, verdicts = set(map(id, ranking.front)), _verdicts(ranking, ranked.study)
        for one in ranking:
            key = one.sweep.name, one.number
            found.append(
                _ranked(one, places.pop(key), trials)
                | {"objective": objective, "front": id(one) in front, "verdict": verdicts.get(key)}
            )
    found += [{"trials": [], "others": own} for own in places.values()]
    for each in found:
        first = trials[[*each["trials"], *each["others"]][0]]
        each |= {"sweep": sweeps[first.sweep], "number": first.number}
    return found


def _ranked(one: Configuration, own: Sequence[int], trials: Sequence[TrialRecord]) -> Json:
    counted = set(map(id, one.trials))
    complete = [place for place in own if id(trials[place]) in counted]
    means = one.metrics
    scores = {name: [trial.metrics[name] for trial in one.trials] for name in means}
    score, averaged = one.sweep.metric, by_mean(one.sweep.pick)
    return {
        "trials": complete,
        "others": [place for place in own if place not in complete],
        "feasible": not one.excess,
        "full": one.full,
        "score": one.score,
        "std": one.std if averaged else None,
        "means": {**means, score: one.score},
        "stds": {name: std(values) for name, values in scores.items()}
        | {score: one.std if averaged else None},
    }


def _verdicts(ranking: Ranking, study: StudyResults) -> dict[tuple[str, int], str]:
    """How each configuration compares with the best of its sweep, as the summary judges it."""
    found: dict[tuple[str, int], str] = {}
    for sweep in ranking.sweeps:
        own = ranking.of(sweep).feasible
        if comparable(own) and own[0].std is not None:
            alike, dropped = doubtful(own, study), raced_out(own, study)
            for one in own[1:]:
                raced = "raced out" if one.number in dropped else "worse"
                verdict = "not significantly worse" if one.number in alike else raced
                found[sweep.name, one.number] = verdict
            first = "best of its sweep" if len(study.sweeps) > 1 else "best"
            found[sweep.name, own[0].number] = first
    return found


def _sweep(sweep: Sweep) -> Json:
    kept = ("name", "strategy", "planned", "replicates", "seed", "elapsed", "pick", "options")
    goals = [goal._asdict() for goal in sweep.goals]
    return {
        **{name: getattr(sweep, name) for name in kept},
        "goals": goals,
        "constraints": [constraint._asdict() for constraint in sweep.constraints],
    }


def _parameter(name: str, study: StudyResults, trials: Sequence[TrialRecord]) -> Json:
    """A parameter's values as an axis shows them: numbers, or indices of categories."""
    values = [trial.params.get(name) for trial in trials]
    given = [trial.params[name] for trial in trials if name in trial.params]
    if all(number_of(value) is not None for value in given):
        whole = all(isinstance(value, int) for value in given)
        kind = {"log": _is_log(name, study, given), "integer": whole}
        return {"name": name, **kind, "labels": None, "values": values}
    labels = [*dict.fromkeys(map(label, [*_declared(name, study), *given]))]
    places = {text: place for place, text in enumerate(labels)}
    values = [places[label(t.params[name])] if name in t.params else None for t in trials]
    if is_secret(name):
        labels = [f"hidden {place}" for place, _ in enumerate(labels, start=1)]
    kind = {"log": False, "integer": False}
    return {"name": name, **kind, "labels": labels, "values": values}


def label(value: Raw) -> str:
    """Return a value as it is written on an axis."""
    return show_value(value, Look())


def _is_log(name: str, study: StudyResults, values: Sequence[Any]) -> bool:
    """Whether equal ratios are to be drawn at equal distances."""
    entries = [
        branch[name] for sweep in study.sweeps for branch in sweep.space.branches if name in branch
    ]
    ranges = [entry for entry in entries if isinstance(entry, (Real, Integer))]
    if ranges:
        return any(entry.log for entry in ranges)
    return bool(min(values) > 0 and max(values) >= _DECADES * min(values))


def _declared(name: str, study: StudyResults) -> Iterator[Raw]:
    """The options as the spaces list them."""
    for sweep in study.sweeps:
        for branch in sweep.space.branches:
            yield from getattr(branch.get(name), "labels", ())


def _metrics(
    study: StudyResults, trials: Sequence[TrialRecord], courses: Mapping[Goal, Sequence[Step]]
) -> list[Json]:
    metrics: dict[str, Json] = {
        goal.metric: {
            "mode": goal.mode,
            "best": [step.overall for step in course],
            "own": [step.best for step in course],
            "spread": [step.spread for step in course],
        }
        for goal, course in courses.items()
    }
    names = dict.fromkeys([*metrics, *(name for trial in trials for name in trial.metrics)])
    return [
        {"mode": None}
        | metrics.get(name, {})
        | {"name": name, "values": [_value(trial, name, study) for trial in trials]}
        for name in names
    ]


def _value(trial: TrialRecord, metric: str, study: StudyResults) -> Raw:
    """A trial's metric; of its own sweep's metric the score, which pruned trials have too."""
    value = trial.metrics.get(metric)
    if value is None and any(
        sweep.name == trial.sweep and sweep.metric == metric for sweep in study.sweeps
    ):
        value = trial.score
    return storable(value)


def _columns(study: StudyResults, trials: Sequence[TrialRecord]) -> Json:
    places = {sweep.name: place for place, sweep in enumerate(study.sweeps)}
    return {
        **{name: [getattr(trial, name) for trial in trials] for name in (*_FIELDS, *_TEXTS)},
        "sweep": [places[trial.sweep] for trial in trials],
        "logged": [_open(trial.logged) for trial in trials],
    }


def _open(logged: Config) -> Config:
    """Logged values without secrets."""
    return {
        name: "hidden" if isinstance(value, str) and is_secret(name) else storable(value)
        for name, value in logged.items()
    }


def _importances(ranked: RankedStudy) -> Iterator[Json]:
    for pool in pools(ranked):
        with suppress(ValueError):
            yield _importance(pool)


def _importance(pool: Pool) -> Json:
    found = {
        method: [
            {"parameter": one.parameter, "share": one.share, "spread": one.spread}
            for one in importance(pool.space, pool.configs, pool.scores, method=method)
        ]
        for method in ("total", "ped-anova")
    }
    return {
        "sweeps": [sweep.name for sweep in pool.sweeps],
        "metric": pool.sweeps[0].metric,
        "configurations": len(pool.configs),
        "methods": found,
    }


def _curves(
    study: StudyResults,
    trials: Sequence[TrialRecord],
    curves: Mapping[Key, Mapping[str, TimedSeries]],
) -> Json:
    known = [(index, series) for index, t in enumerate(trials) if (series := curves.get(t.key))]
    shown = _chosen(known, trials, study)
    return {
        "curves": [
            {"trial": index, "series": {name: _thinned(one) for name, one in series.items()}}
            for index, series in shown
        ],
        "curvesKnown": len(known),
    }


def _chosen(
    known: list[tuple[int, Mapping[str, TimedSeries]]],
    trials: Sequence[TrialRecord],
    study: StudyResults,
) -> list[tuple[int, Mapping[str, TimedSeries]]]:
    """At most `MOST_CURVES`: a tenth of them the best, the others evenly from the rest."""
    if len(known) <= MOST_CURVES:
        return known
    signs = {sweep.name: 1 if sweep.mode == "min" else -1 for sweep in study.sweeps}

    def standing(item: tuple[int, object]) -> tuple[bool, float]:
        trial = trials[item[0]]
        return trial.state is not State.COMPLETE, signs[trial.sweep] * (trial.score or 0.0)

    ranked = sorted(known, key=standing)
    first = MOST_CURVES // 10
    rest, others = ranked[first:], MOST_CURVES - first
    even = [rest[place * len(rest) // others] for place in range(others)]
    return sorted([*ranked[:first], *even], key=lambda item: item[0])


def _thinned(series: TimedSeries) -> list[list[float | None]]:
    """A series of at most `MOST_POINTS` and its last; gaps where a value is not finite."""
    steps, values, times = series
    stride = -(-len(steps) // MOST_POINTS)
    at = sorted({*range(0, len(steps), stride), len(steps) - 1})
    return [
        [steps[place] for place in at],
        [values[place] if isfinite(values[place]) else None for place in at],
        [times[place] for place in at],
    ]
