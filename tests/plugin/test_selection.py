"""Sessions that run a part of a sweep: the run stays whole, and no part takes its place."""

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import main


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """What is said beside an outcome is cut at the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "200")


GRID = """
@pytest.mark.sweep(grid={"x": [3, 1, 2, 4]})
def test_f(x, trial):
    ran(x)
    (trial.path / "x").write_text(str(x))
    return x

def test_best(sweeps):
    assert sweeps.best("test_f").params == {"x": 1}
    assert sweeps.best("test_f").path.joinpath("x").read_text() == "1"
"""
WHOLE = "grid of 4: 4 of 4 complete"


@pytest.fixture
def whole(project, monkeypatch):
    """A project whose sweep of four trials was run."""
    project.write(GRID)
    assert project.run()[0] == 0
    project.forget()
    monkeypatch.chdir(project.path)
    return project


@pytest.mark.parametrize(
    "args",
    [
        ("--sweep-resume", "-k", "x:2 or test_best"),
        ("--sweep-resume", "-k", "x:2 or test_best", "-n1"),
        ("--sweep-rerun", "test_it.py::test_f[x:2]", "test_it.py::test_best"),
    ],
)
def test_the_summary_speaks_of_the_whole_run_and_tells_which_part_ran(whole, args):
    code, output = whole.run("-v", *args)
    assert code == 0
    cached = 3 if "--sweep-rerun" in args else 4
    assert f"{WHOLE} ({cached} from cache)" in output
    assert "best score 1.000 (#1): x=1" in output
    assert "/best" in output.partition("saved: ")[2].partition("\n")[0]
    assert "note: 1 of 4 trials selected, 3 others as stored" in output
    assert whole.ran == ({"2": 1} if "--sweep-rerun" in args else {})
    assert len(whole.trials) == 4
    if "-n1" not in args:
        note = "test_it.py::test_f: 1 of 4 trials selected, 3 others as stored"
        assert f"test_best PASSED ({note})" in output
    assert "2 best" not in output


def test_last_failed_is_a_part(project, monkeypatch):
    project.write(GRID.replace("ran(x)", "ran(x)\n    assert x != 4 or 'ok' in os.environ"))
    assert project.run()[0] == 1
    project.forget()
    monkeypatch.setenv("ok", "1")
    code, output = project.run("--sweep-resume", "--lf")
    assert code == 0
    assert f"{WHOLE} (3 from cache)" in output
    assert "note: 1 of 4 trials selected, 3 others as stored" in output
    assert project.ran == {"4": 1}
    assert len(load_results(project.path).filter(status="complete")) == 4


def test_a_new_run_of_a_part_does_not_take_the_place_of_the_whole_one(whole, capsys):
    code, output = whole.run("-k", "x:2")
    assert code == 0
    assert "1 of 4 complete, 3 not run" in output
    assert "note: 1 of 4 trials selected\n" in output
    assert "note: show, best and load_results keep to run 1, which has all trials" in output
    results = load_results(whole.path)
    assert len(results) == 4
    note = "run 2 is newer, but only some of its trials were selected: see @2"
    assert results.notes == (note,)
    for run in (2, -1):
        part = load_results(whole.path, run=run)
        assert [trial.params for trial in part] == [{"x": 2}]
        assert part.notes == ("only some trials of the plan were selected",)
    assert main(["best", "test_f"]) == 0
    out, err = capsys.readouterr()
    assert '"x": 1' in out
    assert note in err
    assert main(["best", "test_f@2"]) == 0
    assert '"x": 2' in capsys.readouterr().out
    assert (whole.path / "x").exists() is False
    (published,) = whole.path.glob(".pytest_cache/d/hypersearch/*/best/params.json")
    assert '"x": 1' in published.read_text()


def test_a_session_continues_the_newest_run_that_has_what_it_selects(whole):
    whole.run("-k", "x:2 or x:3")
    whole.forget()
    code, output = whole.run("--sweep-resume")
    assert code == 0
    assert f"{WHOLE} (4 from cache)" in output
    code, output = whole.run("--sweep-rerun", "-k", "x:2")
    assert code == 0
    assert f"{WHOLE} (3 from cache)" in output
    code, output = whole.run("--sweep-rerun", "-k", "x:4")
    assert f"{WHOLE} (3 from cache)" in output
    assert whole.ran == {"2": 1, "4": 1}


def test_parts_make_a_whole(project):
    project.write(GRID)
    project.run("-k", "x:1 or x:2")
    assert load_results(project.path).notes == ("only some trials of the plan were selected",)
    project.run("--sweep-resume", "-k", "x:3 or x:4")
    assert load_results(project.path).notes == ()
    project.run("-k", "x:4")
    assert len(load_results(project.path)) == 4


def test_one_of_two_strategies_is_a_part(project):
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2]})
@pytest.mark.sweep(random={"x": [3, 4, 5]}, n_trials=2, seed=1)
def test_f(x):
    return x
""")
    project.run()
    _, output = project.run("-k", "random")
    assert "note: 2 of 4 trials selected\n" in output
    assert len(load_results(project.path)) == 4
    _, output = project.run("--sweep-resume", "-k", "random")
    assert "note: 2 of 4 trials selected\n" in output
    _, output = project.run("--sweep-resume", "-k", "x:")
    assert "note: 2 of 4 trials selected, 2 others as stored" in output
    assert "best score 1.000 (grid #0)" in output


def test_no_number_of_parts_removes_the_whole_run(whole):
    whole.pytester.makeini("[pytest]\nsweep_keep_runs = 1\n")
    for _ in range(3):
        whole.run("-k", "x:2")
    assert [path.parent.name for path in whole.journals] == ["0001", "0004"]
    main(["clean", "--keep", "1"])
    assert [path.parent.name for path in whole.journals] == ["0001", "0004"]
    whole.run()
    assert [path.parent.name for path in whole.journals] == ["0005"]
