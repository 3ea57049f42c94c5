"""MLflow: a run for each sweep, and below it a run for each trial."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.secrets import masked
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.core.values import encodable, wall
from pytest_hypersearch.engine.study_run import SweepRun
from pytest_hypersearch.stats.ranking import rank_study
from pytest_hypersearch.trackers.base import Point, TrialTracker, facts, trial_key

if TYPE_CHECKING:
    from mlflow import MlflowClient


TAG: Final = "hypersearch."
ENDINGS: Final = {State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.NOT_RUN: "KILLED"}
ENDED: Final = frozenset({*ENDINGS.values(), "FAILED"})

# What MLflow's stores take: https://mlflow.org/docs/latest/ml/tracking
LONGEST_KEY: Final = 250
LONGEST_PARAM: Final = 6000
LONGEST_TAG: Final = 5000
METRICS_AT_ONCE: Final = 1000
PARAMS_AT_ONCE: Final = 100
ANSWER_SECONDS: Final = 20.0


class Handle(NamedTuple):
    """A trial's run that is under way, the trial's key, and when it began."""

    run: str
    key: str
    start: int


@frozen
class Written:
    """A trial's run, and the attempt whose end it tells of; 0 before that."""

    run: str
    attempt: int = 0


class MLflow(TrialTracker[Handle]):
    """Hooks that write to MLflow.

    Runs go to the server or store that MLflow is set up for (``MLFLOW_TRACKING_URI``), else to
    ``mlflow.db`` beside the project's configuration file; to the experiment that
    ``MLFLOW_EXPERIMENT_NAME`` names, else the project's directory. The tag ``hypersearch.key``
    tells runs apart: a resumed sweep goes on in its run, a trial that is there is left alone, and
    one that runs again replaces its run, which MLflow keeps among the deleted ones.

    MLflow counts in whole steps: fractions are rounded.
    """

    modules = ("mlflow.store.tracking.sqlalchemy_store",)
    loggers = ("alembic", "mlflow")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._names = Names()
        self._client: MlflowClient | None = None
        self._silence = ""
        self._experiment = ""
        self._parents: dict[str, str] = {}
        self._written: dict[str, Written] = {}

    def pytest_hypersearch_sweep_started(self, sweep: SweepRun) -> None:
        """Open the sweep's run, or go on in it."""
        client = self._connected()
        runs = self._search(f"{TAG}key", sweep.id)
        if runs:
            parent = runs[0].info.run_id
            client.update_run(parent, status="RUNNING")
            for run in self._search("mlflow.parentRunId", parent):
                tags, ended = run.data.tags, run.info.status in ENDED
                attempt = int(tags.get(f"{TAG}attempt", 0)) if ended else 0
                self._written[tags.get(f"{TAG}key", "")] = Written(run.info.run_id, attempt)
        else:
            short = sweep.nodeid.rpartition("::")[2] or sweep.nodeid
            parent = self._new_run(f"{short} {sweep.info.name}", sweep_tags(sweep))
            self._log_params(parent, sweep_params(sweep))
        self._parents[sweep.id] = parent
        client.log_dict(parent, sweep.provenance.to_json(), "provenance.json")

    def begin(self, sweep: SweepRun, trial: TrialRecord) -> Handle:
        """Open the trial's run; it takes the place of an earlier attempt's."""
        key = trial_key(sweep, trial)
        if key in self._written:
            self._connected().delete_run(self._written.pop(key).run)
        parent = {"mlflow.parentRunId": self._parents[sweep.id], f"{TAG}key": key}
        run = self._new_run(_bracket(trial.nodeid), {**parent, **_tagged(facts(trial))})
        self._written[key] = Written(run)
        self._log_params(run, trial.params)
        return Handle(run, key, _now())

    def write(self, handle: Handle, points: Iterable[Point]) -> None:
        """Log the points."""
        self._log_points(handle.run, points)

    def is_written(self, sweep: SweepRun, trial: TrialRecord) -> bool:
        """Tell whether the trial's run is of this attempt, and has ended."""
        written = self._written.get(trial_key(sweep, trial))
        return written is not None and written.attempt == trial.attempt

    def end(self, trial: TrialRecord, handle: Handle, points: Iterable[Point]) -> None:
        """Log the results, and close the trial's run."""
        client, run = self._connected(), handle.run
        self._log_points(run, points)
        logged = {f"log.{name}": value for name, value in trial.logged.items()}
        client.log_batch(run, tags=self._tags(_tagged(facts(trial) | logged)))
        status = ENDINGS.get(trial.state, "FAILED")
        client.set_terminated(run, status, handle.start + round(1000 * trial.duration))
        self._written[handle.key] = Written(run, trial.attempt)

    def pytest_hypersearch_sweep_finished(self, sweep: SweepRun, results: StudyResults) -> None:
        """Log the best configuration with its artifacts, and close the sweep's run."""
        client, parent = self._connected(), self._parents[sweep.id]
        if best := rank_study(results).best:
            self._log_points(parent, [(sweep.info.metric, 0, best.mean)])
            tags = {"best": _bracket(best.trial.nodeid), "best.params": json.dumps(best.params)}
            client.log_batch(parent, tags=self._tags(_tagged(tags)))
        if results.saved:
            client.log_artifacts(parent, results.saved, "best")
        left = any(trial.state is State.NOT_RUN for trial in results.trials)
        client.set_terminated(parent, "KILLED" if left else "FINISHED")

    def _connected(self) -> MlflowClient:
        if self._client is None:
            import mlflow

            own = not mlflow.is_tracking_uri_set()
            uri = f"sqlite:///{self._root / 'mlflow.db'}" if own else mlflow.get_tracking_uri()
            _check_file(uri)
            self._silence = self._silence or _silence(uri)
            if self._silence:
                raise ConnectionError(self._silence)
            client = mlflow.MlflowClient(tracking_uri=uri)
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self._root.name or "hypersearch"
            location = (self._root / "mlartifacts").as_uri() if own else None
            experiment = client.get_experiment_by_name(name)
            self._experiment = (
                experiment.experiment_id
                if experiment
                else client.create_experiment(name, artifact_location=location)
            )
            self._client = client
        return self._client

    def _search(self, tag: str, value: str) -> list[Any]:
        """The runs with a tag, all pages of them."""
        runs: list[Any] = []
        token = None
        while True:
            page = self._connected().search_runs(
                [self._experiment], f"tags.`{tag}` = '{value}'", page_token=token
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def _new_run(self, name: str, tags: Mapping[str, str]) -> str:
        run = self._connected().create_run(
            self._experiment, start_time=_now(), tags=dict(tags), run_name=name
        )
        identity: str = run.info.run_id
        return identity

    def _log_params(self, run: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        entries = [
            Param(self._names.of(name), encodable(value)[:LONGEST_PARAM])
            for name, value in params.items()
        ]
        for batch in _batches(entries, PARAMS_AT_ONCE):
            self._connected().log_batch(run, params=batch)

    def _log_points(self, run: str, points: Iterable[Point]) -> None:
        from mlflow.entities import Metric

        now = _now()
        entries = [
            Metric(self._names.of(name), float(value), now, round(step))
            for name, step, value in points
        ]
        for batch in _batches(entries, METRICS_AT_ONCE):
            self._connected().log_batch(run, metrics=batch)

    def _tags(self, tags: Mapping[str, str]) -> list[Any]:
        from mlflow.entities import RunTag

        return [RunTag(self._names.of(name), value) for name, value in tags.items()]


def _check_file(uri: str) -> None:
    """Make sure that a store in a file can be written: MLflow would try for minutes."""
    from sqlalchemy.engine import make_url

    file = make_url(uri).database if uri.startswith("sqlite:") else None
    if file and file != ":memory:":
        with Path(file).open("ab"):
            pass


def _silence(uri: str) -> str:
    """Why a server does not answer, empty if it does: MLflow would try for minutes."""
    import requests

    if not uri.startswith(("http:", "https:")):
        return ""
    try:
        requests.head(uri, timeout=ANSWER_SECONDS, allow_redirects=False).close()
    except requests.exceptions.SSLError:
        return ""  # There is one; whether to trust it is said by MLflow's variables.
    except (requests.ConnectionError, requests.Timeout) as error:
        return masked(f"{uri} does not answer: {error}")
    return ""


class Names:
    """Names as MLflow takes them: letters, digits and ``_ - . : /`` and space; no two alike."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        """The name to use, the same one each time."""
        if name not in self._given:
            stem = re.sub(r"[^\w\-.: /]", "_", name)[: LONGEST_KEY - 10] or "_"
            # A path such as "a//b" or "../a" is refused as well.
            stem = "/".join(part for part in stem.split("/") if part.strip(".")) or "_"
            own, count = stem, 1
            while own in self._taken:
                count += 1
                own = f"{stem}_{count}"
            self._taken.add(own)
            self._given[name] = own
        return self._given[name]


def sweep_tags(sweep: SweepRun) -> dict[str, str]:
    """What the sweep's run is found by."""
    provenance = sweep.provenance
    dirty = {} if provenance.dirty is None else {"dirty": provenance.dirty}
    tags = {
        "key": sweep.id,
        "nodeid": sweep.nodeid,
        "command": " ".join(provenance.command),
        "host": provenance.host,
        **dirty,
    }
    return {**_tagged(tags), "mlflow.source.git.commit": provenance.commit}


def sweep_params(sweep: SweepRun) -> dict[str, object]:
    """How the sweep searches, and where."""
    info = sweep.info
    goals = ", ".join(f"{goal.mode} {goal.metric}" for goal in info.goals)
    branches = info.space.branches
    spaces = {
        f"space{'.' + str(number) if len(branches) > 1 else ''}.{name}": entry
        for number, branch in enumerate(branches)
        for name, entry in branch.items()
    }
    plain = {name: getattr(info, name) for name in ("strategy", "seed", "replicates")}
    return {**plain, "goals": goals, **spaces}


def _tagged(values: Mapping[str, object]) -> dict[str, str]:
    return {f"{TAG}{name}": encodable(value)[:LONGEST_TAG] for name, value in values.items()}


def _bracket(nodeid: str) -> str:
    """The trial's part of an item's node id."""
    return nodeid[nodeid.rfind("[") :].strip("[]") if "[" in nodeid else nodeid


def _batches(entries: list[Any], size: int) -> Iterator[list[Any]]:
    return (entries[start : start + size] for start in range(0, len(entries), size))


def _now() -> int:
    """Milliseconds since 1970."""
    return round(1000 * wall())
