"""What the page knows of the studies: columns of JSON values, all of a trial at the same index."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pytest_hypersearch.importance import importance
from pytest_hypersearch.importance.pools import pools
from pytest_hypersearch.owner.outcome import storable
from pytest_hypersearch.report.artifacts import listed
from pytest_hypersearch.report.scales import in_order, scales
from pytest_hypersearch.statistics.ranking import best
from pytest_hypersearch.trial import Key, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_hypersearch.curves import Series
    from pytest_hypersearch.importance.pools import Pool
    from pytest_hypersearch.report.artifacts import Link
    from pytest_hypersearch.report.scales import Scale
    from pytest_hypersearch.results import StudyResults, SweepInfo
    from pytest_hypersearch.trial import Config, Raw, TrialRecord

    Json: TypeAlias = dict[str, Any]


class Reported(NamedTuple):
    """A study and what its trials reported.

    Attributes:
        study: The study, of one run.
        curves: The series of each metric by trial.
        runs: Directories of the runs that the trials are from.
    """

    study: StudyResults
    curves: Mapping[Key, Mapping[str, Series]]
    runs: Sequence[Path] = ()


MOST_CURVES = 500
MOST_POINTS = 200
_FIELDS = ("number", "replicate", "duration", "started", "worker", "attempt", "seed", "steps")
_TEXTS = ("nodeid", "state", "reason", "error", "cached")
_SECRET = re.compile(
    r"(?:^|[\W_])(?:password|passwd|secret|token|api_?key|credentials?)(?:$|[\W_])", re.IGNORECASE
)


def payload(studies: Iterable[Reported], link: Link) -> Json:
    """Return what the page shows, as JSON values.

    Text under names like ``password`` or ``api_key`` is left out: reports travel.

    Args:
        studies: What to show.
        link: Tells the address of a directory.
    """
    return {"studies": [_study(one, link) for one in studies]}


def _study(reported: Reported, link: Link) -> Json:
    study = reported.study
    trials = in_order(study.trials)
    shown = _curves(study, trials, reported.curves)
    return {
        "nodeid": study.nodeid,
        "run": study.run,
        "saved": study.saved,
        "notes": study.notes,
        "sweeps": [_sweep(sweep) for sweep in study.sweeps],
        "parameters": [_parameter(scale, trials) for scale in scales(study)],
        "metrics": _metrics(study, trials),
        "trials": {**_columns(study, trials), "artifacts": listed(reported.runs, trials, link)},
        "best": _best(study, trials),
        "importance": list(_importances(study)),
        **shown,
    }


def _sweep(sweep: SweepInfo) -> Json:
    kept = ("name", "strategy", "planned", "replicates", "seed", "elapsed", "pick")
    goals = [goal._asdict() for goal in sweep.goals]
    return {
        **{name: getattr(sweep, name) for name in kept},
        "goals": goals,
        "constraints": [constraint._asdict() for constraint in sweep.constraints],
    }


def _parameter(scale: Scale, trials: Iterable[TrialRecord]) -> Json:
    name, secret = scale.parameter, bool(_SECRET.search(scale.parameter))
    labels = scale.labels
    if secret and labels is not None:
        labels = tuple(f"hidden {index + 1}" for index, _ in enumerate(labels))
    values = [scale.place(t.params[name]) if name in t.params else None for t in trials]
    return {"name": name, "log": scale.log, "labels": labels, "values": values}


def _metrics(study: StudyResults, trials: Sequence[TrialRecord]) -> list[Json]:
    modes = {goal.metric: goal.mode for sweep in study.sweeps for goal in sweep.goals}
    names = dict.fromkeys([*modes, *(name for trial in trials for name in trial.metrics)])
    return [
        {"name": name, "mode": modes.get(name), "values": [_value(t, name, study) for t in trials]}
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


def _best(study: StudyResults, trials: Sequence[TrialRecord]) -> Json | None:
    """The best configuration by the study's own rule."""
    found = best(study)
    if found is None:
        return None
    places = [place for place, trial in enumerate(trials) if trial in found.trials]
    return {"value": found.value, "std": found.std, "pick": found.sweep.pick, "trials": places}


def _open(logged: Config) -> Config:
    """Logged values without secrets."""
    return {
        name: "hidden" if isinstance(value, str) and _SECRET.search(name) else storable(value)
        for name, value in logged.items()
    }


def _importances(study: StudyResults) -> Iterator[Json]:
    for pool in pools(study):
        try:
            yield _importance(pool)
        except ValueError:
            continue


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
    curves: Mapping[Key, Mapping[str, Series]],
) -> Json:
    known = [
        (index, series)
        for index, t in enumerate(trials)
        if (series := curves.get(Key(t.sweep, t.number, t.replicate)))
    ]
    shown = _chosen(known, trials, study)
    return {
        "curves": [
            {"trial": index, "series": {name: _thinned(*one) for name, one in series.items()}}
            for index, series in shown
        ],
        "curvesKnown": len(known),
    }


def _chosen(
    known: list[tuple[int, Mapping[str, Series]]],
    trials: Sequence[TrialRecord],
    study: StudyResults,
) -> list[tuple[int, Mapping[str, Series]]]:
    """At most `MOST_CURVES`: half of them the best, the others evenly from the rest."""
    if len(known) <= MOST_CURVES:
        return known
    signs = {sweep.name: 1 if sweep.mode == "min" else -1 for sweep in study.sweeps}

    def standing(item: tuple[int, object]) -> tuple[bool, float]:
        trial = trials[item[0]]
        return trial.state is not State.COMPLETE, signs[trial.sweep] * (trial.score or 0.0)

    ranked = sorted(known, key=standing)
    half = MOST_CURVES // 2
    rest = ranked[half:]
    even = [rest[place * len(rest) // half] for place in range(half)]
    return sorted([*ranked[:half], *even], key=lambda item: item[0])


def _thinned(steps: Sequence[float], values: Sequence[float]) -> list[list[float | None]]:
    """A series of at most `MOST_POINTS` and its last; gaps where a value is not finite."""
    stride = -(-len(steps) // MOST_POINTS)
    at = sorted({*range(0, len(steps), stride), len(steps) - 1})
    return [
        [steps[place] for place in at],
        [values[place] if isfinite(values[place]) else None for place in at],
    ]
