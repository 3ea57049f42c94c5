"""A run never changes what it says: sessions with another plan or other code begin new ones."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import main

WORKERS = pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "n1"])
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b")

SWEEP = """
from model import loss

@pytest.mark.sweep(grid={"x": [1, 2, 3, 4]}, replicates=3, metric="loss")
def test_m(x, trial):
    ran(x)
    trial.report(x)
    (trial.path / "model").write_text(f"{x} {trial.replicate}")
    return loss(x) + trial.replicate / 100
"""


@pytest.fixture
def repository(project, monkeypatch):
    """A project in git, with the working directory in it."""
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("COLUMNS", "120")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    subprocess.run([*GIT, "init", "-q"], check=True)
    (project.path / "model.py").write_text("def loss(x):\n    return x\n")
    project.write(SWEEP)
    return project


def commit():
    subprocess.run([*GIT, "add", "*.py"], check=True)
    subprocess.run([*GIT, "commit", "-qm", "now", "--allow-empty"], check=True)
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout[:8]


def contents(run):
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def runs(project):
    return [path.parent for path in project.journals]


@WORKERS
def test_a_run_at_another_commit_leaves_the_earlier_one_as_it_was(repository, capsys, workers):
    a = commit()
    assert repository.spawn(*workers)[0] == 0
    before = contents(runs(repository)[0])
    (repository.path / "model.py").write_text("def loss(x):\n    return x + 1\n")
    b = commit()
    code, output = repository.spawn("--sweep-resume", *workers)
    assert (code, "12 stored trials stale: model.py changed" in output) == (0, True)
    assert contents(runs(repository)[0]) == before
    assert load_results(run=a).best()[0].score == 1.01
    assert load_results(run=b).best()[0].score == 2.01
    assert [study.commit[:8] for study in load_results(run="all").studies] == [a, b]
    for sides in ((f"test_m@{a}", f"test_m@{b}"), ("test_m@-2", "test_m")):
        assert main(["compare", *sides]) == 1
        assert "REGRESSED" in capsys.readouterr().out


def test_a_commit_with_the_same_code_is_a_session_of_the_same_run(repository, capsys):
    a = commit()
    assert repository.here().ret == 0
    (repository.path / "notes.py").write_text("")
    b = commit()
    repository.forget()
    assert repository.here("--sweep-resume").ret == 0
    assert not repository.ran
    assert len(runs(repository)) == 1
    for name in (a, b):
        assert [Path(study.run).name for study in load_results(run=name).studies] == ["0001"]
    assert load_results().studies[0].commit[:8] == a
    assert main(["compare", f"test_m@{a}", f"test_m@{b}"]) == 0
    assert "(same numbers)" in capsys.readouterr().out
    sessions = (repository.path / ".pytest_cache").rglob("journal.jsonl")
    text = next(sessions).read_text()
    assert repository.here("--sweep-resume").ret == 0
    assert repository.journals[0].read_text() == text


def test_nights_with_a_restored_cache_are_told_apart(repository):
    """The cache goes from job to job; the third night is worse."""
    commit()
    for night in (1, 2, 3):
        if night == 3:
            (repository.path / "model.py").write_text("def loss(x):\n    return x + 5\n")
        assert repository.here("--sweep-resume").ret == 0
        assert len(runs(repository)) == (2 if night == 3 else 1)
        shutil.move(repository.path / ".pytest_cache/d/hypersearch", "cache")
        shutil.rmtree(repository.path / ".pytest_cache")
        shutil.copytree("cache", repository.path / ".pytest_cache/d/hypersearch", symlinks=True)
        shutil.rmtree("cache")
    assert main(["compare", "test_m@-2", "test_m"]) == 1
    assert load_results(run=1).best()[0].score == 1.01


CHANGED = SWEEP.replace("[1, 2, 3, 4]", "[0, 2, 3]").replace('"loss")', '"loss", keep="all")')


@WORKERS
def test_files_and_curves_of_trials_that_were_carried_over_are_found(repository, workers):
    repository.write(SWEEP.replace('"loss")', '"loss", keep="all")'))
    assert repository.run(*workers)[0] == 0
    assert main(["tag", "test_m", "grid-1-r0", "good"]) == 0  # x = 2, which gets another number
    before = contents(runs(repository)[0])
    repository.forget()
    repository.write(CHANGED)
    code, output = repository.run("--sweep-resume", *workers)
    assert (code, repository.ran) == (0, {"0": 3})
    assert "6 stored trials are not part of the present plan" in output
    assert contents(runs(repository)[0]) == before
    results = load_results()
    assert {curve.trial.params["x"] for curve in results.curves()} == {0, 2, 3}
    assert [t.params["x"] for t in results if t.tags == ("good",)] == [2]
    for trial in results:
        run = runs(repository)[1 if trial.params["x"] == 0 else 0]
        assert trial.directory.startswith("0001/artifacts/" if trial.params["x"] else "")
    (best,) = repository.path.glob(".pytest_cache/d/hypersearch/*/best")
    assert (best / "r2/model").read_text() == "0 2"
    paths = results.filter(x__gt=0).best()[0].paths
    assert {replicate: (path / "model").read_text() for replicate, path in paths.items()} == {
        0: "2 0",
        1: "2 1",
        2: "2 2",
    }
    assert all(path.is_relative_to(run.parent / "0001") for path in paths.values())
    pytest.importorskip("plotly")
    results.to_html("page.html")


def test_only_runs_are_removed_that_no_kept_run_refers_to(repository):
    repository.pytester.makeini("[pytest]\nsweep_keep_runs = 1\n")
    repository.write(SWEEP.replace('"loss")', '"loss", keep="all")'))
    repository.here()
    repository.write(CHANGED)
    repository.here("--sweep-resume")
    assert [run.name for run in runs(repository)] == ["0001", "0002"]
    repository.write(CHANGED.replace("[0, 2, 3]", "[0, 3]"))
    repository.here("--sweep-resume")
    assert [run.name for run in runs(repository)] == ["0001", "0002", "0003"]
    repository.write(CHANGED.replace("[0, 2, 3]", "[0]"))
    repository.here("--sweep-resume")
    assert [run.name for run in runs(repository)] == ["0001", "0002", "0004"]
    main(["clean", "--keep", "1"])
    assert [run.name for run in runs(repository)] == ["0001", "0002", "0004"]
    assert len(load_results().curves()) == 3
    repository.here()
    assert [run.name for run in runs(repository)] == ["0005"]


def test_a_named_run_is_found_by_its_name_and_kept(repository, capsys):
    repository.pytester.makeini("[pytest]\nsweep_keep_runs = 1\n")
    assert repository.here("--sweep-name=v1.0-rc_2").ret == 0
    (repository.path / "model.py").write_text("def loss(x):\n    return x + 1\n")
    for _ in range(2):
        assert repository.here().ret == 0
    assert [run.name for run in runs(repository)] == ["0001", "0003"]
    assert load_results("test_m", run="v1.0-rc_2").best()[0].score == 1.01
    assert load_results(run="v1.0-rc_2").studies[0].name == "v1.0-rc_2"
    for args, code in (
        (("compare", "test_m@v1.0-rc_2", "test_m"), 1),
        (("show", "test_m@v1.0-rc_2"), 0),
        (("best", "test_m@v1.0-rc_2"), 0),
        (("best", "test_m@v2"), 1),
        (("best", "test_m@v 2"), 1),
    ):
        assert main(args) == code
    assert "there is no run v2 of test_it.py::test_m" in capsys.readouterr().err
    main(["list"])
    assert "v1.0-rc_2" in capsys.readouterr().out
    repository.here("--sweep-resume", "--sweep-name=feed")
    assert load_results(run="feed").studies[0].run.endswith("0003")
    repository.here("--sweep-name=v1.0-rc_2")
    assert [run.name for run in runs(repository)] == ["0003", "0004"]


@pytest.mark.parametrize("name", ["12", "-a", "@a", "a b", "", "all", "a/b", "\u00e9"])
def test_a_bad_name_is_refused_in_one_line(repository, name):
    result = repository.here(f"--sweep-name={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--sweep-name: {name!r}: expected letters, digits*"])


def install(folder, version, package="fakelib", distribution="Fake-Lib"):
    """Install a distribution whose name is not that of its package."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text("")
    about = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    (about / "RECORD").write_text(f"{package}/__init__.py,,\n")


def test_a_package_of_another_version_makes_trials_stale(project, tmp_path_factory, monkeypatch):
    site, other = tmp_path_factory.mktemp("site-packages"), tmp_path_factory.mktemp("other")
    for folder in (site, other):
        monkeypatch.syspath_prepend(folder)
    install(site, "1.0")
    install(other, "1.0", "unused", "unused")
    (project.path / "helper.py").write_text("import fakelib\n")
    (project.path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef data():\n    import fakelib\n    return 0\n"
    )
    project.write("""
import helper, fakelib

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_direct(x):
    ran("direct", x)
    return x if fakelib else 0

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_helper(x):
    ran("helper", x)
    return x if helper else 0

def test_other():
    import unused
""")
    project.write(
        """
@pytest.mark.sweep(grid={"x": [1, 2]})
def test_fixture(x, data):
    ran("fixture", x)
    return x + data
""",
        "test_fixture.py",
    )
    assert project.here().ret == 0
    assert project.ran.total() == 6
    install(other, "2.0", "unused", "unused")
    assert project.here("--sweep-resume").ret == 0
    install(site, "2.0")
    assert project.here("--sweep-resume", "--sweep-stale=keep").ret == 0
    assert project.ran.total() == 6
    assert project.notes == ["2 trials ran other code: --sweep-stale=keep"] * 3
    install(site, "2.1")
    result = project.here("--sweep-resume")
    assert result.ret == 0
    assert project.notes == ["2 stored trials stale: fakelib 2.0 -> 2.1"] * 3
    assert project.ran.total() == 12
    assert load_results(project.path, run=1).studies[0].trials[0].score == 1
