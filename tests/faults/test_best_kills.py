"""Real processes killed while they save and publish the best."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

PUBLISHER = Path(__file__).with_name("best_publisher.py")


def whole(best):
    """The number of an edition, all of whose files agree."""
    number = json.loads((best / "params.json").read_text())["number"]
    files = [path for path in best.rglob("*") if path.is_file() and path.name != "params.json"]
    assert len(files) == 16
    assert {path.read_text() for path in files} == {str(number)}
    return number


def test_a_kill_at_any_moment_leaves_one_whole_edition(tmp_path):
    luck = random.Random(0)
    for _ in range(8):
        command = [sys.executable, PUBLISHER, tmp_path, "0.01"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            time.sleep(luck.random() * 0.03)
            process.kill()
            told = [int(line) for line in process.stdout.read().splitlines()]
        found = whole((tmp_path / "best").resolve())
        assert found in {told[-1], told[-1] + 1} if told else found in {0, 1}
    leftover = [path for path in (tmp_path / ".best").iterdir() if path.is_dir()]
    assert len(leftover) <= 3


def test_readers_find_whole_editions_while_others_take_their_place(tmp_path):
    command = [sys.executable, PUBLISHER, tmp_path, "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        seen = set()
        while len(seen) < 10:
            seen.add(int((tmp_path / "best/params.json").read_text().split(":")[1].strip(" }\n")))
            assert (tmp_path / "best/r1/part2/5").read_text().isdecimal()
        process.kill()


PUBLISHED = ".pytest_cache/d/hypersearch/*/best"
MODELS = """
def save(path, x):
    for part in "abcd":
        (path / part).write_text(str(x) * 1000)

@pytest.fixture
def model(trial):
    yield
    save(trial.path, trial.params["x"])
    if trial.params["x"] in SLOW and not os.path.exists("go"):
        (trial.path / "a").write_text("half")
        ran("stuck")
        stay()
        save(trial.path, trial.params["x"])

@pytest.mark.sweep(grid={"x": [3, 2, 1, 4]})
def test_f(x, model):
    ran(x)
    return x
"""


def best_of(project):
    """What the published best is, all of whose files must agree."""
    (link,) = project.path.glob(PUBLISHED)
    best = link.resolve()  # the link may be moved while we read
    x = json.loads((best / "params.json").read_text())["params"]["x"]
    files = [path.read_text() for path in best.glob("r0/*")]
    assert files == [str(x) * 1000] * 4
    return x


def published_by(project):
    """What the published best is while others may be published, none before the first."""
    with suppress(FileNotFoundError, StopIteration):
        best = next(project.path.glob(PUBLISHED))
        return json.loads((best / "params.json").read_text())["params"]["x"]
    return None


def kept_of(project):
    paths = project.path.glob(".pytest_cache/d/hypersearch/*/*/artifacts/*/a")
    return sorted(path.read_text()[0] for path in paths)


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "n2"])
def test_a_session_killed_while_a_better_model_is_saved_keeps_the_one_before(project, workers):
    project.write("SLOW = {1}\n" + MODELS)
    with project.started(*workers) as process:
        project.wait(lambda: project.ran["stuck"])
        project.wait(lambda: published_by(project) == 2 and 2 in project.ended)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert best_of(project) == 2
    (project.path / "go").touch()
    project.run("--sweep-resume")
    assert project.scores["x:1"] == 1
    assert best_of(project) == 2  # that x:1 is complete is recorded, but not that its files are
    project.run("--sweep-rerun")
    assert best_of(project) == 1
    assert "1" in kept_of(project)


def test_a_worker_that_dies_in_teardown_leaves_no_half_model_as_best(project):
    project.write(MODELS.replace('ran("stuck")', "os._exit(1)").replace("SLOW", "{1}"))
    project.run("-n2")
    assert best_of(project) == 2
    assert project.scores["x:1"] == 1


def test_a_trial_goes_on_from_what_its_dead_process_saved(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x, trial):
    checkpoint = trial.path / "epoch"
    epoch = int(checkpoint.read_text()) if checkpoint.exists() else 0
    ran(x, epoch)
    checkpoint.write_text(str(epoch + 1))
    if epoch < 2:
        os._exit(1)
    return x
""")
    project.spawn()
    project.run("--sweep-resume", "-n1")
    project.run("--sweep-resume", "-n1")
    assert project.ran == {f"{x} {epoch}": 1 for x in (1, 2) for epoch in (0, 1, 2)}


def test_files_that_cannot_be_published_are_one_warning_and_no_failure(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [3, 2, 1]})
def test_f(x, trial):
    study = trial.path.parent.parent.parent
    (trial.path / "model").write_text(str(x))
    if not (study / ".best").exists():
        (study / ".best").write_text("in the way")
    return x
""")
    code, output = project.run()
    assert code == 0
    assert project.scores == {"x:3": 3, "x:2": 2, "x:1": 1}
    assert output.count("the best trials' files are not up to date: ") == 1
    assert "Traceback" not in output


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "n2"])
def test_an_interrupted_session_has_published_its_best(project, workers):
    project.write("""
@pytest.mark.sweep(grid={"x": [3, 2, 1]}, replicates=2)
def test_f(x, trial):
    for part in "abcd":
        (trial.path / part).write_text(str(x) * 1000)
    if (x, trial.replicate) == (1, 1):
        ran("stuck")
        stay()
    ran("saved")
    return x
""")
    with project.started(*workers) as process:
        project.wait(lambda: project.ran["stuck"] and len(project.ended) == 5)
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=60)[0]
    assert best_of(project) == 2
    assert kept_of(project) == ["1", "1", "2", "2"]  # the replicate that misses is still due
    assert "  saved: " in output
