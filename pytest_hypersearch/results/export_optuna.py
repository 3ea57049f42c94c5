"""Results as a file of Optuna's JournalStorage, for optuna-dashboard and Optuna's own plots.

Each sweep becomes a study, so that strategies can be compared there. A trial becomes a trial with
its values, curve, times, how far it is from keeping each constraint and, as user attributes, what
else is known of it. A parameter that is a choice or whose branches disagree is categorical, others
have the range of their distribution.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, Final, TextIO

from optuna.distributions import BaseDistribution

from pytest_hypersearch.core.errors import needs
from pytest_hypersearch.core.space import Distribution
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Raw, State, TrialRecord, storable
from pytest_hypersearch.results.study_history import Curve

with needs("to_optuna", "optuna", "optuna"):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import BaseJournalBackend
    from optuna.trial import FrozenTrial, TrialState, create_trial

    from pytest_hypersearch.search.optuna.translation import quietly, readable, to_optuna_state

_NEVER_RAN: Final = {State.NOT_RUN, State.RACED_OUT}


def write_optuna(
    studies: Sequence[StudyResults], curves: Iterable[Curve], path: str | PathLike[str]
) -> None:
    """Write studies in place of the file, if there is one, once all is written.

    Args:
        studies: What to write; trials that never ran are left out.
        curves: What the trials reported.
        path: The file.

    Raises:
        OSError: It cannot be written.
    """
    with quietly():
        _write(studies, curves, Path(path))


def _write(studies: Sequence[StudyResults], curves: Iterable[Curve], target: Path) -> None:
    scores = {sweep.metric for study in studies for sweep in study.sweeps}
    known = {id(curve.trial): curve for curve in curves if curve.metric in scores}
    draft = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        with draft.open("w", encoding="ascii") as file:
            storage = JournalStorage(_Lines(file))
            for study in studies:
                for sweep in study.sweeps:
                    _write_sweep(storage, study, sweep, known)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


class _Lines(BaseJournalBackend):
    """A journal that one process writes from beginning to end: without locks and flushes."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self._logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        for log in logs:
            text = json.dumps(log, separators=(",", ":"))
            self._file.write(f"{text}\n")
            self._logs.append(json.loads(text))


def _write_sweep(
    storage: JournalStorage, results: StudyResults, sweep: Sweep, curves: Mapping[int, Curve]
) -> None:
    trials = [
        trial
        for trial in results.trials
        if trial.sweep == sweep.name and trial.state not in _NEVER_RAN
    ]
    study = optuna.create_study(
        storage=storage,
        study_name=f"{results.nodeid} [{sweep.name}]",
        directions=["minimize" if goal.mode == "min" else "maximize" for goal in sweep.goals],
    )
    study.set_metric_names([goal.metric for goal in sweep.goals])
    study.set_user_attr("strategy", sweep.strategy)
    study.set_user_attr("seed", sweep.seed)
    study.set_user_attr("replicates", sweep.replicates)
    for name, value in _annotations(results).items():
        study.set_user_attr(name, value)
    entries = _distributions(sweep, trials)
    study.add_trials([_trial(trial, sweep, entries, curves.get(id(trial))) for trial in trials])


def _trial(
    trial: TrialRecord, sweep: Sweep, entries: Mapping[str, BaseDistribution], curve: Curve | None
) -> FrozenTrial:
    state = to_optuna_state(trial.state)
    frozen = create_trial(
        state=state,
        values=_values(trial, sweep, state),
        params=dict(trial.params),
        distributions={name: entries[name] for name in trial.params},
        user_attrs=_attributes(trial),
        system_attrs=_constraints(trial, sweep),
        intermediate_values=_steps(curve) if curve and not sweep.others else {},
    )
    if trial.started is not None:
        frozen.datetime_start = datetime.fromtimestamp(trial.started)  # noqa: DTZ006  as Optuna's
        if state.is_finished():
            end = trial.started + trial.duration
            frozen.datetime_complete = datetime.fromtimestamp(end)  # noqa: DTZ006  likewise
    return frozen


def _values(trial: TrialRecord, sweep: Sweep, state: TrialState) -> list[float] | None:
    if state == TrialState.COMPLETE:
        return [trial.metrics[goal.metric] for goal in sweep.goals]
    known = state == TrialState.PRUNED and not sweep.others and trial.score is not None
    return [trial.score] if known and isfinite(trial.score) else None  # type: ignore[list-item, arg-type]


def _constraints(trial: TrialRecord, sweep: Sweep) -> dict[str, Any]:
    """Optuna takes a trial for feasible if none of these is above 0."""
    judged = [each for each in sweep.constraints if each.metric in trial.metrics]
    return (
        {"constraints": [each.excess(trial.metrics[each.metric]) for each in judged]}
        if judged
        else {}
    )


def _attributes(trial: TrialRecord) -> dict[str, Any]:
    """What Optuna has no place for; ``metrics.`` and ``logged.`` keep names apart.

    The dashboard shows the first few without scrolling: those that tell most come first.
    """
    own: dict[str, Any] = {"reason": trial.reason} if trial.reason else {}
    own |= _annotations(trial)
    own["status"] = str(trial.state)
    for kind in ("metrics", "logged"):
        values: Mapping[str, Raw] = getattr(trial, kind)
        own |= {f"{kind}.{name}": storable(value) for name, value in values.items()}
    names = ("number", "replicate", "seed", "worker", "duration", "nodeid")
    titles = {"number": "configuration", "nodeid": "item"}
    return own | {titles.get(name, name): getattr(trial, name) for name in names}


def _annotations(annotated: TrialRecord | StudyResults) -> dict[str, Any]:
    """What people say of a trial or a run."""
    tags = {"tags": list(annotated.tags)} if annotated.tags else {}
    return tags | ({"note": annotated.note} if annotated.note else {})


def _steps(curve: Curve) -> dict[int, float]:
    """Optuna's steps are whole numbers; others are counted."""
    whole = all(step >= 0 and float(step).is_integer() for step in curve.steps)
    steps = [int(step) for step in curve.steps] if whole else range(len(curve.steps))
    return dict(zip(steps, curve.values, strict=True))


def _distributions(sweep: Sweep, trials: Iterable[TrialRecord]) -> dict[str, BaseDistribution]:
    declared: dict[str, list[Distribution]] = {}
    for branch in sweep.space.branches:
        for name, entry in branch.items():
            declared.setdefault(name, []).append(entry)
    seen: dict[str, list[Raw]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            seen.setdefault(name, []).append(value)
    return {name: readable(declared.get(name, []), values) for name, values in seen.items()}
