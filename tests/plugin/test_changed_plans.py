"""A sweep that changes between sessions: a new run has what is valid, the old one stays as it was.

The session and everything that reads its run afterwards must agree on the trials, their number, the
best of them and the items to run again.
"""

import json
import re
import shutil
from collections import Counter

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.core.codec import read_fields
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.results.cli import main
from pytest_hypersearch.results.report.payload import payload
from pytest_hypersearch.stats.ranking import objectives, rank

TEST = """
import zlib
import pytest
from pytest_hypersearch import choice, normal, randint, uniform

{marks}
def test_net({arguments}, trial):
    ran(trial.number, trial.replicate)
    trial.report(1.0)
    (trial.path / "params").write_text(repr(trial.params))
    text = repr(sorted(trial.params.items())).replace("tanh", "a")
    score = zlib.crc32(text.encode()) % 1000 / 100 - 20 * ("tanh" in trial.params.values())
    return {{"score": score + trial.replicate, "loss": -score}}
"""
GRID = 'grid={"act": ["relu", "tanh", "gelu"], "layers": [1, 2, 3]}'
RANDOM = 'random={"act": ["relu", "tanh", "gelu"], "layers": randint(1, 9)}, n_trials=12'
BAYES = 'bayes={"x": uniform(0, 1), "act": ["relu", "tanh"]}, n_trials=6'
BOTH = "grid={'x': [1, 2]}", "random={'x': [1, 2, 3]}, n_trials=3"


def module(*marks, arguments="act, layers"):
    lines = "\n".join(f"@pytest.mark.sweep({mark}, keep='all')" for mark in marks)
    return TEST.format(marks=lines, arguments=arguments)


CHANGES = {
    "nothing": (GRID, GRID),
    "option removed": (GRID, GRID.replace('"tanh", ', "")),
    "option added": (GRID, GRID.replace('"tanh"', '"elu", "tanh"')),
    "option replaced": (GRID, GRID.replace('"tanh"', '"elu"')),
    "options in another order": (GRID, GRID.replace("[1, 2, 3]", "[3, 1, 2]")),
    "parameter removed": (GRID, 'grid={"act": ["relu", "tanh"], "layers": [1]}'),
    "type changed": (GRID, GRID.replace("[1, 2, 3]", "[1.0, 2, True]")),
    "replicates added": (GRID, f"{GRID}, replicates=2"),
    "replicates removed": (f"{GRID}, replicates=3", f"{GRID}, replicates=1"),
    "seed changed": (GRID, f"{GRID}, seed=3"),
    "metric changed": (GRID, f'{GRID}, metric="loss"'),
    "direction changed": (GRID, f'{GRID}, mode="max"'),
    "random option removed": (RANDOM, RANDOM.replace('"tanh", ', "")),
    "random option added": (RANDOM, RANDOM.replace('"tanh"', '"elu", "tanh"')),
    "random range narrowed": (RANDOM, RANDOM.replace("(1, 9)", "(3, 6)")),
    "random range widened": (RANDOM, RANDOM.replace("(1, 9)", "(1, 12)")),
    "random type changed": (RANDOM, RANDOM.replace("randint(1, 9)", "uniform(1, 9)")),
    "fewer trials": (RANDOM, RANDOM.replace("12", "5")),
    "more trials": (RANDOM, RANDOM.replace("12", "20")),
    "another strategy": (RANDOM, RANDOM.replace("random", "name='random', seed=2, bayes")),
    "points added": (RANDOM, f'{RANDOM}, points=[{{"act": "gelu", "layers": 4}}]'),
    "drawn twice": (
        'random={"act": ["relu"], "layers": normal(5, 1, step=1)}, n_trials=15',
        'random={"act": ["relu"], "layers": normal(5, 1, step=1)}, n_trials=20',
    ),
    "branch added": (
        'random=[{"act": ["relu", "tanh"], "layers": [1, 2, 3]}], n_trials=6',
        'random=[{"act": ["gelu"], "layers": [5]}, {"act": ["relu"], "layers": [1]}], n_trials=2',
    ),
}
ARGUMENTS = {
    "parameter renamed": (GRID, GRID.replace("layers", "depth"), "act, depth"),
    "parameter added": (GRID, GRID.replace("}", ', "lr": [0.1, 0.2]}'), "act, layers, lr"),
    "bayes range narrowed": (BAYES, BAYES.replace("(0, 1)", "(0.0, 0.6)"), "act, x"),
    "bayes option removed": (BAYES, BAYES.replace(', "tanh"', ""), "act, x"),
    "bayes seed changed": (BAYES, f"{BAYES}, seed=4", "act, x"),
    "bayes point added": (BAYES, f'{BAYES}, points=[{{"x": 0.5, "act": "relu"}}]', "act, x"),
}


class Reader:
    """What the commands print."""

    def __init__(self, capsys):
        self.capsys = capsys

    def __call__(self, *args):
        self.capsys.readouterr()
        code = main(args)
        printed = self.capsys.readouterr()
        self.notes = printed.err.splitlines()
        assert code == 0, printed.err
        return printed.out

    def json(self, *args):
        return json.loads(self(*args, "--format", "json"))


@pytest.fixture
def reader(capsys):
    return Reader(capsys)


def known(trial):
    """What readers must agree on of a trial."""
    return (
        *(trial.nodeid, trial.sweep, trial.number, trial.replicate, trial.seed),
        *(json.dumps(trial.params, sort_keys=True), str(trial.state), trial.score),
    )


def agree(project, reader):
    """Check that the last session and all readers say the same; return what was stored."""
    (said,) = (read_fields(StudyResults, each) for each in project.studies)
    at = str(project.path)
    (study,) = load_results(at).studies
    session = {known(trial) for trial in said.trials if trial.state != "not run"}
    assert {known(trial) for trial in study.trials} == session
    assert set(study.notes) <= set(said.notes)
    assert sum(sweep.planned for sweep in study.sweeps) == len(said.trials)

    complete = [trial for trial in said.trials if trial.state == "complete"]
    best = rank(said.trials, objectives(said.sweeps)[0])[0]
    assert reader.json("best", at) == best.params
    assert [f"pytest-hypersearch: note: {note}" for note in study.notes] == reader.notes
    listed = reader.json("list", at)[-1]
    assert (listed["complete"], listed["best"]) == (len(complete), best.score)
    rows = reader.json("show", at, "--columns", "item,score")
    assert Counter((row["item"], row["score"]) for row in rows) == Counter(
        (trial.nodeid, trial.score) for trial in said.trials if trial.state != "not run"
    )
    shown = re.findall(r"(\d+) of (\d+) complete", reader("show", at))
    assert sum(int(count) for count, _ in shown) == len(complete)
    assert sum(int(planned) for _, planned in shown) == len(said.trials)
    (page,) = payload(load_results(at).reported(), str)["studies"]
    assert page["best"]["score"] == best.score
    assert len(page["best"]["trials"]) == len(best.trials)
    if len({trial.number for trial in complete}) > 9 and len(said.sweeps) == 1:
        load_results(at).importance()
    published = json.loads(next(project.path.glob("**/best/params.json")).read_text())
    assert (published["params"], published["score"]) == (best.params, best.score)
    curves = load_results(at).curves()
    assert Counter(known(curve.trial) for curve in curves) == Counter(map(known, study.trials))
    return study


def collected(result):
    return {call.item.nodeid for call in result.reprec.getcalls("pytest_itemcollected")}


def contents(run):
    """All files of a run."""
    return {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}


def bracket(trial):
    return trial.nodeid.partition("[")[2].rstrip("]")


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Runs what a project has, once for all tests that begin with the same; returns its study."""
    stored = {}

    def begin(project, reader):
        source = (project.path / "test_it.py").read_text()
        if source in stored:
            shutil.copytree(stored[source], project.path, symlinks=True, dirs_exist_ok=True)
            return load_results(str(project.path)).studies[0]
        assert project.here().ret == 0
        study = agree(project, reader)
        stored[source] = tmp_path_factory.mktemp("begun") / "project"
        shutil.copytree(project.path, stored[source], symlinks=True)
        return study

    return begin


@pytest.fixture
def change(project, reader, begun):
    """Runs a project, changes its sweeps, and checks what becomes of the run."""

    def change(before, after, arguments=("act, layers", "act, layers"), *, continues=False):
        project.write(module(*before, arguments=arguments[0]))
        old = begun(project, reader)
        files = contents(project.journals[0].parent)
        project.write(module(*after, arguments=arguments[1]))
        result = project.here("--sweep-resume")
        assert result.ret == 0
        study, cached = agree(project, reader), project.cached
        assert {trial.nodeid for trial in study.trials} == collected(result)
        carried = {bracket(trial) for trial in study.trials if trial.directory}
        if continues:
            assert study.run == old.run
            assert carried == set()
        else:
            assert contents(project.journals[0].parent) == files
            assert load_results(project.path, run=1).studies == (old,)
            assert carried == cached
        project.forget()
        assert project.here("--sweep-resume").ret == 0
        assert not project.ran
        assert {*map(known, agree(project, reader).trials)} == {*map(known, study.trials)}

    return change


@pytest.mark.parametrize("name", CHANGES)
def test_session_and_readers_agree_when_a_sweep_changes(change, name):
    before, after = CHANGES[name]
    more = {"nothing", "replicates added", "more trials", "drawn twice"}
    change([before], [after], continues=name in more)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_session_and_readers_agree_when_parameters_change(change, name):
    before, after, arguments = ARGUMENTS[name]
    first = "act, x" if before is BAYES else "act, layers"
    change([before], [after], (first, arguments))


@pytest.mark.parametrize(("before", "after"), [(BOTH, BOTH[:1]), (BOTH[1:], BOTH)])
def test_session_and_readers_agree_when_a_mark_comes_or_goes(change, before, after):
    change(before, after, ("x", "x"))


def test_a_selection_of_the_trials_leaves_the_plan_as_it_is(project, reader):
    project.write(module(*BOTH, arguments="x"))
    project.here()
    before = load_results(str(project.path)).studies[0]
    project.here("--sweep-resume", "-k", "grid")
    (after,) = load_results(str(project.path)).studies
    assert after == before
    assert len(after.trials) == 5


def test_the_best_files_stay_those_of_the_newest_run_that_saved_some(project):
    project.write(module(GRID).replace(", keep='all'", ""))
    project.here()
    (best,) = project.path.glob("**/best")
    assert json.loads((best / "params.json").read_text())["params"]["act"] == "tanh"
    (files,) = project.path.glob("**/0001/artifacts/*")
    project.write(module(GRID.replace('"tanh", ', "")).replace(", keep='all'", ""))
    result = project.here("--sweep-resume")
    facts = json.loads((best / "params.json").read_text())
    assert (facts["run"], facts["params"]["act"]) == ("0001", "tanh")
    assert files.is_dir()
    result.stdout.no_fnmatch_line("*saved:*")
    assert load_results(project.path).best()[0].paths == {}


def test_what_left_the_plan_is_told_and_comes_back_with_it(project, reader):
    project.write(module(GRID))
    project.here()
    project.forget()
    project.write(module(GRID.replace('"tanh", ', "")))
    result = project.here("--sweep-resume")
    note = "3 stored trials are not part of the present plan"
    result.stdout.fnmatch_lines([f"*{note}"])
    assert load_results(str(project.path)).notes == ()
    project.write(module(GRID))
    project.here("--sweep-resume")
    assert not project.ran
    assert project.notes == []
    assert agree(project, reader).notes == ()
    assert len(project.cached) == 9
    directories = {trial.params["act"]: trial.directory for trial in load_results(project.path)}
    assert all(each.startswith("0001/artifacts/") for each in directories.values())
