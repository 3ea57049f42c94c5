"""How a parameter's values are laid out on an axis: numbers, logarithms or categories."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pytest_hypersearch.core.secrets import is_secret
from pytest_hypersearch.core.space.numeric import Integer, Real
from pytest_hypersearch.core.trial import Key, State, storable
from pytest_hypersearch.core.values import number_of
from pytest_hypersearch.results.report.artifacts import listed
from pytest_hypersearch.results.terminal.format import Look, show_value
from pytest_hypersearch.stats.importance import importance, pools
from pytest_hypersearch.stats.ranking import rank_study

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import Config, Raw, TrialRecord
    from pytest_hypersearch.results.report.artifacts import Link
    from pytest_hypersearch.stats.importance import Pool
    from pytest_hypersearch.stats.ranking import RankedStudy
    from pytest_hypersearch.store.curves import Series


_DECADES = 100  # options this far apart were meant as magnitudes


@dataclass(frozen=True, slots=True)
class Scale:
    """The axis of a parameter.

    Attributes:
        parameter: Its name.
        log: Whether equal ratios are drawn at equal distances.
        labels: Its categories in the order of the axis; None for numbers.
    """

    parameter: str
    log: bool = False
    labels: tuple[str, ...] | None = None

    def place(self, value: Raw) -> float | int:
        """Return where a value is: the number itself, or the index of its category."""
        if self.labels is None:
            return float(value)  # type: ignore[arg-type]  # a scale without labels has numbers only
        return self.labels.index(label(value))


def label(value: Raw) -> str:
    """Return a value as it is written on an axis."""
    return show_value(value, Look())


def scales(study: StudyResults) -> list[Scale]:
    """Return the scale of each parameter, in the order in which the trials first name them."""
    names = dict.fromkeys(name for trial in study.trials for name in trial.params)
    return [_scale(name, study) for name in names]


def _scale(name: str, study: StudyResults) -> Scale:
    values = [trial.params[name] for trial in study.trials if name in trial.params]
    if any(number_of(value) is None for value in values):
        return Scale(name, labels=tuple(dict.fromkeys(map(label, _declared(name, study, values)))))
    drawn = [
        branch[name] for sweep in study.sweeps for branch in sweep.space.branches if name in branch
    ]
    ranges = [one for one in drawn if isinstance(one, (Real, Integer))]
    if ranges:
        return Scale(name, log=any(one.log for one in ranges))
    numbers = [float(value) for value in values]  # type: ignore[arg-type]  # all are numbers
    return Scale(name, log=min(numbers) > 0 and max(numbers) >= _DECADES * min(numbers))


def _declared(name: str, study: StudyResults, values: Iterable[Raw]) -> Iterable[Raw]:
    """The options as the spaces list them, then whatever else occurred."""
    for sweep in study.sweeps:
        for branch in sweep.space.branches:
            yield from getattr(branch.get(name), "labels", ())
    yield from values


def in_order(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return trials in the order of their starts; as given where these are not all known."""
    known = list(trials)
    if all(trial.started is not None for trial in known):
        return sorted(known, key=lambda trial: trial.started or 0.0)
    return known


if TYPE_CHECKING:
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


def payload(studies: Iterable[Reported], link: Link) -> Json:
    """Return what the page shows, as JSON values.

    Texts under names of secrets are left out: reports travel.

    Args:
        studies: What to show.
        link: Tells the address of a directory.
    """
    return {"studies": [_study(one, link) for one in studies]}


def _study(reported: Reported, link: Link) -> Json:
    study = reported.study
    ranked = rank_study(study)
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
        "best": _best(ranked, trials),
        "importance": list(_importances(ranked)),
        **shown,
    }


def _sweep(sweep: Sweep) -> Json:
    kept = ("name", "strategy", "planned", "replicates", "seed", "elapsed", "pick")
    goals = [goal._asdict() for goal in sweep.goals]
    return {
        **{name: getattr(sweep, name) for name in kept},
        "goals": goals,
        "constraints": [constraint._asdict() for constraint in sweep.constraints],
    }


def _parameter(scale: Scale, trials: Iterable[TrialRecord]) -> Json:
    name, secret = scale.parameter, is_secret(scale.parameter)
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


def _best(ranked: RankedStudy, trials: Sequence[TrialRecord]) -> Json | None:
    """The best configuration by the study's own rule."""
    found = ranked.best
    if found is None:
        return None
    places = [place for place, trial in enumerate(trials) if trial in found.trials]
    return {"value": found.score, "std": found.std, "pick": found.sweep.pick, "trials": places}


def _open(logged: Config) -> Config:
    """Logged values without secrets."""
    return {
        name: "hidden" if isinstance(value, str) and is_secret(name) else storable(value)
        for name, value in logged.items()
    }


def _importances(ranked: RankedStudy) -> Iterator[Json]:
    for pool in pools(ranked):
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
