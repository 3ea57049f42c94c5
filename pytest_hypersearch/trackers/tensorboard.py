"""TensorBoard: event files for each trial, with its parameters for the HParams view."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.core.values import encodable, wall
from pytest_hypersearch.engine.study_run import SweepRun
from pytest_hypersearch.store.runs import digest
from pytest_hypersearch.trackers.base import Point, TrialTracker, ended_in, trial_key

DIRECTORY: Final = "runs"
FINISHED: Final = "finished"
STATUSES: Final = {State.COMPLETE: "STATUS_SUCCESS", State.PRUNED: "STATUS_UNKNOWN"}


class TensorBoard(TrialTracker[Path]):
    """Hooks that write event files: ``tensorboard --logdir runs`` shows them.

    They are in ``runs`` beside the project's configuration file, in a directory for each sweep of a
    run and in that for each trial; replicates of a configuration are one session group. The
    file ``finished`` tells which attempt of a trial is written: a resumed sweep leaves it alone,
    and a trial that runs again replaces its files.

    TensorBoard counts in whole steps, to which fractions are rounded, and keeps single precision.
    The handle of a trial is its event file.
    """

    modules = ("tensorboard.plugins.hparams.metadata", "tensorboard.summary.writer.record_writer")

    def pytest_hypersearch_sweep_started(self, sweep: SweepRun) -> None:
        """Describe the parameters and metrics to the HParams view."""
        directory = self._sweep_directory(sweep)
        if not directory.exists():
            _begin(directory, _hparams("EXPERIMENT_TAG", experiment=_experiment(sweep)))

    def begin(self, sweep: SweepRun, trial: TrialRecord) -> Path:
        """Begin the trial's files; those of an earlier attempt are removed."""
        directory = self._trial_directory(sweep, trial)
        shutil.rmtree(directory, ignore_errors=True)
        start = _hparams("SESSION_START_INFO_TAG", session_start_info=_start(trial))
        return _begin(directory, start)

    def write(self, handle: Path, points: Iterable[Point]) -> None:
        """Write the points."""
        _append(handle, (_point(*point) for point in points))

    def is_written(self, sweep: SweepRun, trial: TrialRecord) -> bool:
        """Tell whether the trial's directory says so."""
        return ended_in(self._trial_directory(sweep, trial) / FINISHED, trial)

    def end(self, trial: TrialRecord, handle: Path, points: Iterable[Point]) -> None:
        """Write the results, and that they are complete."""
        end = _event(_hparams("SESSION_END_INFO_TAG", session_end_info=_end(trial)))
        _append(handle, [*(_point(*point) for point in points), end])
        (handle.parent / FINISHED).write_text(str(trial.attempt))

    def _sweep_directory(self, sweep: SweepRun) -> Path:
        name = re.sub(r"[^\w.-]+", "-", sweep.nodeid.rpartition("::")[2], flags=re.ASCII)
        return self._root / DIRECTORY / f"{name[:60].strip('-')}-{sweep.info.name[:20]}-{sweep.id}"

    def _trial_directory(self, sweep: SweepRun, trial: TrialRecord) -> Path:
        """The trial's directory, also if it had another number before the run was resumed."""
        key = trial_key(sweep, trial)
        parent = self._sweep_directory(sweep)
        known = next(parent.glob(f"*-{key}"), None)
        return known or parent / f"{trial.number:03d}-r{trial.replicate}-{key}"


def _begin(directory: Path, about: Any) -> Path:  # noqa: ANN401  TensorBoard is imported later
    """Begin a directory's event file with what it is about."""
    from tensorboard.compat.proto.event_pb2 import Event

    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"events.out.tfevents.{round(1e9 * wall())}.{platform.node()}"
    _append(file, [Event(wall_time=wall(), file_version="brain.Event:2"), _event(about)])
    return file


def _append(file: Path, events: Iterable[Any]) -> None:
    """Write events; TensorBoard's own writer has a thread, in which errors would be lost on us."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    with file.open("ab") as opened:
        writer = RecordWriter(opened)
        for event in events:
            writer.write(event.SerializeToString())


def _event(value: Any, step: int = 0) -> Any:  # noqa: ANN401  as above
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Event(wall_time=wall(), step=step, summary=Summary(value=[value]))


def _point(name: str, step: float, value: float) -> Any:  # noqa: ANN401  as above
    from tensorboard.compat.proto.summary_pb2 import Summary

    return _event(Summary.Value(tag=name, simple_value=value), round(step))


def _hparams(tag: str, **content: Any) -> Any:  # noqa: ANN401  messages of TensorBoard's
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    data = metadata.create_summary_metadata(HParamsPluginData(**content))
    return Summary.Value(tag=getattr(metadata, tag), metadata=data)


def _experiment(sweep: SweepRun) -> Any:  # noqa: ANN401  a message of TensorBoard's
    from tensorboard.plugins.hparams import api_pb2

    metrics = dict.fromkeys(
        [
            *(goal.metric for goal in sweep.info.goals),
            *(each.metric for each in sweep.info.constraints),
        ]
    )
    branches = sweep.info.space.branches
    distributions = {
        name: [str(branch[name]) for branch in branches if name in branch]
        for name in sweep.info.space.names
    }
    return api_pb2.Experiment(
        name=sweep.nodeid,
        description=", ".join(f"{goal.mode} {goal.metric}" for goal in sweep.info.goals),
        time_created_secs=wall(),
        hparam_infos=[
            api_pb2.HParamInfo(name=name, description=" or ".join(entries))
            for name, entries in distributions.items()
        ],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=metric)) for metric in metrics
        ],
    )


def _start(trial: TrialRecord) -> Any:  # noqa: ANN401  a message of TensorBoard's
    from tensorboard.plugins.hparams.plugin_data_pb2 import SessionStartInfo

    group = digest(f"{trial.sweep}\n{config_key(trial.params)}")
    start = SessionStartInfo(group_name=group, start_time_secs=wall())
    for name, value in trial.params.items():
        entry = start.hparams[name]
        if isinstance(value, bool):
            entry.bool_value = value
        elif isinstance(value, int | float):
            entry.number_value = value
        else:
            entry.string_value = encodable(value)
    return start


def _end(trial: TrialRecord) -> Any:  # noqa: ANN401  a message of TensorBoard's
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.plugin_data_pb2 import SessionEndInfo

    status = getattr(api_pb2, STATUSES.get(trial.state, "STATUS_FAILURE"))
    return SessionEndInfo(status=status, end_time_secs=wall())
