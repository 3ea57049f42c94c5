"""Trackers, each with its own library and its own local files."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import sys

import pytest

from pytest_hypersearch.trackers import OFFERS, Offer
from pytest_hypersearch.trackers.base import quiet_import

SWEPT = """
@pytest.mark.sweep(grid={"x": [1, 2, 3], "api_key": ["sk-123"]}, metric="loss", replicates=1)
def test_f(x, api_key, trial):
    assert api_key == "sk-123"
    trial.report(0.5, step=0)
    trial.report({"loss": 0.25, "the share %": 1}, step=10)
    trial.log(note="slow")
    (trial.path / "model").write_text(str(x))
    if x == 2:
        trial.prune("no use")
    assert x != 3, "too large"
    return {"loss": x / 8, "accuracy": float("nan")}
"""
STATES = {1: "complete", 2: "pruned", 3: "failed"}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)


# Before pytester, whose runs forget what they import.
@pytest.fixture(scope="module")
def mlflow():
    with quiet_import("mlflow"):
        library = pytest.importorskip("mlflow")
        pytest.importorskip("mlflow.store.tracking.sqlalchemy_store")
    return library


@pytest.fixture(scope="module")
def empty_store(mlflow, tmp_path_factory):
    """A database of MLflow's without runs, which takes seconds to make."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def _made_before(empty_store, pytester):
    shutil.copy(empty_store, pytester.path)


@pytest.fixture(scope="module")
def wandb():
    with quiet_import("wandb"):
        return pytest.importorskip("wandb")


@pytest.fixture(scope="module")
def tensorboard():
    with quiet_import("tensorboard"):
        library = pytest.importorskip("tensorboard")
        pytest.importorskip("tensorboard.summary.writer.event_file_writer")
        pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        pytest.importorskip("tensorboard.plugins.hparams.metadata")
    return library


def secret_free(path):
    return not any(b"sk-123" in file.read_bytes() for file in path.rglob("*") if file.is_file())


HOSTILE = """
@pytest.mark.sweep(grid={"x": [1, 2], "file": ["caf\\udce9"]}, metric="loss")
def test_f(x, file, trial):
    trial.log(file=file)
    trial.report(0.5)
    assert x == 1, file
    return {"loss": 1}
"""


def test_mlflow(mlflow, pytester, module, run):
    module(SWEPT)
    result = run("--sweep", "--sweep-track=mlflow", "-W", "error")
    assert result.parseoutcomes() == {"passed": 1, "pruned": 1, "failed": 1}
    client = mlflow.MlflowClient(f"sqlite:///{pytester.path}/mlflow.db")
    experiment = client.get_experiment_by_name(pytester.path.name).experiment_id

    def runs():
        found = client.search_runs([experiment])
        parents = [each for each in found if "mlflow.parentRunId" not in each.data.tags]
        children = [each for each in found if each not in parents]
        by_x = {int(each.data.params["x"]): each for each in children}
        assert len(by_x) == len(children)
        return parents, by_x

    (parent,), first = runs()
    assert parent.info.run_name == "test_f grid"
    assert parent.data.params["space.x"] == "choice([1, 2, 3])"
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["loss"] == 0.125
    statuses = {x: each.info.status for x, each in first.items()}
    assert statuses == {1: "FINISHED", 2: "KILLED", 3: "FAILED"}
    for x, each in first.items():
        assert each.data.params == {"x": str(x), "api_key": "secret-0"}
        assert each.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert each.data.tags["hypersearch.state"] == STATES[x]
        assert each.data.tags["hypersearch.log.note"] == "slow"
        assert each.data.metrics["the share _"] == 1
    assert first[3].data.tags["hypersearch.reason"] == "AssertionError: too large"
    history = [(p.step, p.value) for p in client.get_metric_history(first[1].info.run_id, "loss")]
    assert history == [(0, 0.5), (10, 0.25), (10, 0.125)]
    assert str(first[1].data.metrics["accuracy"]) == "nan"
    files = [file.path for file in client.list_artifacts(parent.info.run_id, "best")]
    assert files == ["best/params.json", "best/r0"]

    result = run("--sweep-resume", "--sweep-track=mlflow")
    assert result.parseoutcomes() == {"cached": 1, "pruned": 1, "failed": 1}
    result.stdout.no_fnmatch_line("*Warning*")
    (again,), second = runs()
    assert again.info.run_id == parent.info.run_id
    assert {x: each.info.status for x, each in second.items()} == statuses
    same = [x for x in STATES if first[x].info.run_id == second[x].info.run_id]
    assert same == [1, 2]
    assert second[3].data.tags["hypersearch.attempt"] == "2"
    assert secret_free(pytester.path / ".pytest_cache/d/hypersearch")


@pytest.mark.usefixtures("_made_before")
def test_mlflow_takes_over_what_was_run_without_it(mlflow, pytester, module, run, monkeypatch):
    (pytester.path / "mlflow.db").rename(pytester.path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{pytester.path}/other.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    module(SWEPT)
    run("--sweep", "-n2")
    run("--sweep-resume", "--sweep-track=mlflow", "-k", "x:1")
    client = mlflow.MlflowClient()
    found = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    (child,) = [each for each in found if "mlflow.parentRunId" in each.data.tags]
    assert (child.info.status, child.data.params["x"]) == ("FINISHED", "1")
    history = [(p.step, p.value) for p in client.get_metric_history(child.info.run_id, "loss")]
    assert history == [(0, 0.5), (10, 0.25), (10, 0.125)]
    assert not (pytester.path / "mlflow.db").exists()


@pytest.mark.usefixtures("_made_before")
def test_mlflow_takes_text_that_cannot_be_encoded(mlflow, pytester, module, run):
    module(HOSTILE)
    result = run("--sweep", "--sweep-track=mlflow")
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    client = mlflow.MlflowClient(f"sqlite:///{pytester.path}/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name(pytester.path.name).experiment_id])
    (child,) = [each for each in found if each.info.status == "FAILED"]
    assert child.data.params == {"x": "2", "file": r"caf\udce9"}
    assert child.data.tags["hypersearch.reason"] == r"AssertionError: caf\udce9"


def test_a_file_that_mlflow_cannot_write_is_one_quick_warning(mlflow, pytester, module, run):
    (pytester.path / "mlflow.db").mkdir()
    module(SWEPT)
    result = run("--sweep", "--sweep-track=mlflow", "-k", "x:1")
    assert result.parseoutcomes() == {"passed": 1, "deselected": 2, "warnings": 1}
    result.stdout.fnmatch_lines(["*mlflow failed in *_sweep_started: IsADirectoryError: *"])


def test_a_server_of_mlflows_that_does_not_answer_is_one_quick_warning(
    mlflow, module, run, monkeypatch
):
    monkeypatch.setattr("pytest_hypersearch.trackers.mlflow.ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        uri = f"127.0.0.1:{mute.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:hunter2@{uri}")
        module(SWEPT)
        result = run("--sweep", "--sweep-track=mlflow", "-k", "x:1")
    assert result.parseoutcomes() == {"passed": 1, "deselected": 2, "warnings": 1}
    failed = "*mlflow failed in *_sweep_started: ConnectionError: "
    result.stdout.fnmatch_lines([f"{failed}http://[*][*][*]@{uri} does not answer: *timed out*"])
    result.stdout.no_fnmatch_line("*hunter2*")


def wandb_records(file):
    """The records of a .wandb file: LevelDB's log format around W&B's own messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, body = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        body += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            record, body = Record.FromString(body), b""
            yield record


def wandb_run(directory):
    """What W&B's file of a run says: config, rows, summary, the run itself, and its exit code."""
    (file,) = directory.glob("*.wandb")
    rows, summary, found, code = [], {}, None, None
    for record in wandb_records(file):
        match record.WhichOneof("record_type"):
            case "run":
                found = record.run
            case "history":
                items = record.history.item
                row = {(i.key or i.nested_key[0]): json.loads(i.value_json) for i in items}
                rows.append({name: row[name] for name in row if not name.startswith("_")})
            case "summary":
                for item in record.summary.update:
                    key = item.key or item.nested_key[0]
                    summary[key] = json.loads(item.value_json)
            case "exit":
                code = record.exit.exit_code
    config = {item.key: json.loads(item.value_json) for item in found.config.update}
    return {"run": found, "config": config, "rows": rows, "summary": summary, "exit": code}


def test_wandb(wandb, pytester, module, run, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    module(SWEPT)
    result = run("--sweep", "--sweep-track=wandb", "-W", "error")
    assert result.parseoutcomes() == {"passed": 1, "pruned": 1, "failed": 1}
    directories = sorted((pytester.path / "wandb").glob("offline-run-*"))
    runs = [wandb_run(directory) for directory in directories]
    by_x = {each["config"]["x"]: each for each in runs}
    assert {x: each["summary"]["state"] for x, each in by_x.items()} == STATES
    assert {x: each["exit"] for x, each in by_x.items()} == {1: 0, 2: 0, 3: 1}
    assert by_x[1]["config"]["api_key"] == "secret-0"
    assert by_x[1]["rows"] == [
        {"step": 0, "loss": 0.5},
        {"step": 10, "loss": 0.25, "the share %": 1},
    ]
    assert by_x[1]["summary"]["loss"] == 0.125
    assert by_x[3]["summary"]["reason"] == "AssertionError: too large"
    assert len({each["run"].run_group for each in runs}) == 1
    assert by_x[1]["config"]["trial"]["provenance"]["python"] == sys.version.split()[0]

    result = run("--sweep-resume", "--sweep-track=wandb")
    assert result.parseoutcomes() == {"cached": 1, "pruned": 1, "failed": 1}
    new = set((pytester.path / "wandb").glob("offline-run-*")) - set(directories)
    (again,) = map(wandb_run, new)
    assert again["run"].run_id == by_x[3]["run"].run_id
    assert again["config"]["trial"]["attempt"] == 2
    assert secret_free(pytester.path / "wandb")


def test_tensorboard(tensorboard, pytester, module, run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import api_pb2, metadata

    module(SWEPT)
    pytester.makeini("[pytest]\nsweep_track = tensorboard")
    run("--sweep", "--sweep-track=", "-n2")
    assert not (pytester.path / "runs").exists()
    result = run("--sweep-resume", "-W", "error")
    assert result.parseoutcomes() == {"cached": 1, "pruned": 1, "failed": 1}

    def read():
        found = {}
        for path in sorted((pytester.path / "runs").glob("*/*-r0-*")):
            events = EventAccumulator(str(path)).Reload()
            (file,) = path.glob("events*")
            data = {tag: each.plugin_data.content for tag, each in events.summary_metadata.items()}
            start = metadata.parse_session_start_info_plugin_data(
                data[metadata.SESSION_START_INFO_TAG]
            )
            end = metadata.parse_session_end_info_plugin_data(data[metadata.SESSION_END_INFO_TAG])
            found[int(start.hparams["x"].number_value)] = file, start, end, events
        return found

    found = read()
    assert {x: end.status for x, (_, _, end, _) in found.items()} == {
        1: api_pb2.STATUS_SUCCESS,
        2: api_pb2.STATUS_UNKNOWN,
        3: api_pb2.STATUS_FAILURE,
    }
    _, start, _, events = found[1]
    assert start.hparams["api_key"].string_value == "secret-0"
    points = [(point.step, point.value) for point in events.Scalars("loss")]
    assert points == [(0, 0.5), (10, 0.25), (10, 0.125)]
    (sweep,) = (pytester.path / "runs").iterdir()
    described = EventAccumulator(str(sweep)).Reload().summary_metadata[metadata.EXPERIMENT_TAG]
    experiment = metadata.parse_experiment_plugin_data(described.plugin_data.content)
    assert [each.name for each in experiment.hparam_infos] == ["x", "api_key"]
    assert [each.name.tag for each in experiment.metric_infos] == ["loss"]

    run("--sweep-resume")
    again = read()
    assert [x for x in STATES if found[x][0] == again[x][0]] == [1, 2]
    assert again.keys() == found.keys()


@pytest.mark.usefixtures("wandb", "tensorboard", "_made_before")
def test_what_became_of_a_trial_in_an_untracked_session_is_caught_up_with(
    mlflow, pytester, module, run, monkeypatch
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    pytester.makeini("[pytest]\nsweep_track = mlflow, wandb, tensorboard")
    module("""
        from pathlib import Path

        @pytest.mark.sweep(grid={"x": [1]})
        def test_f(x):
            assert Path("mended").exists()
            return x
    """)
    assert run("--sweep").parseoutcomes() == {"failed": 1}
    (pytester.path / "mended").touch()
    assert run("--sweep-resume", "--sweep-track=").parseoutcomes() == {"passed": 1}
    for _ in range(2):
        assert run("--sweep-resume").parseoutcomes() == {"cached": 1}
        client = mlflow.MlflowClient(f"sqlite:///{pytester.path}/mlflow.db")
        experiment = client.get_experiment_by_name(pytester.path.name).experiment_id
        found = client.search_runs([experiment], "tags.hypersearch.number = '0'")
        assert [each.info.status for each in found] == ["FINISHED"]
        (mark,) = (pytester.path / "runs").glob("*/*/finished")
        assert mark.read_text() == "2"
        runs = map(wandb_run, (pytester.path / "wandb").glob("offline-run-*"))
        assert sorted(each["summary"]["state"] for each in runs) == ["complete", "failed"]


def test_a_full_disk_below_tensorboard_fails_no_test(tensorboard, pytester, module, run):
    pytester.makeconftest("""
        import pytest
        from pathlib import Path

        @pytest.hookimpl(trylast=True)
        def pytest_hypersearch_trial_started():
            for file in Path("runs").glob("*/*/events*"):
                file.unlink()
                file.symlink_to("/dev/full")

        @pytest.hookimpl(trylast=True)
        def pytest_hypersearch_trial_reported():
            Path("reported").touch()
    """)
    module("""
        import os, time
        @pytest.mark.sweep(grid={"x": [1, 2, 3]})
        def test_f(x, trial):
            for step in range(3000):
                trial.report(x, step=step)
                if os.path.exists("reported"):
                    return x
                time.sleep(0.01)
    """)
    result = run("--sweep", "--sweep-track=tensorboard", "-W", "error")
    assert result.parseoutcomes() == {"passed": 3, "warnings": 1}
    result.stdout.fnmatch_lines(["*tensorboard failed in *_trial_reported: OSError: *space left*"])


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("mlfow", "ERROR: --sweep-track=mlfow: expected one of mlflow, tensorboard, wandb"),
        ("wandb", 'ERROR: *wandb: wandb not installed; *install "pytest-hypersearch?wandb?"'),
    ],
)
def test_a_tracker_that_is_not_there_is_one_clear_line(module, run, monkeypatch, name, line):
    monkeypatch.setattr("pytest_hypersearch.plugin.tracking.find_spec", lambda _library: None)
    module(SWEPT)
    result = run("--sweep", f"--sweep-track={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])


def test_a_tracker_that_cannot_be_imported_is_one_clear_line(pytester, module, run, monkeypatch):
    pytester.makepyfile(wandb="raise TypeError('wrong protobuf')")
    pytester.syspathinsert()
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    module(SWEPT)
    result = run("--sweep", "--sweep-track=wandb")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: wandb cannot be imported: TypeError: wrong protobuf"])


def test_a_directory_of_a_librarys_name_is_not_the_library(pytester, module, run, monkeypatch):
    monkeypatch.setitem(OFFERS, "wandb", Offer("WeightsAndBiases", ("not_wandb",)))
    pytester.mkdir("not_wandb")
    pytester.syspathinsert()
    module(SWEPT)
    result = run("--sweep", "--sweep-track=wandb")
    result.stderr.fnmatch_lines(["ERROR: *wandb: not_wandb not installed; *"])
