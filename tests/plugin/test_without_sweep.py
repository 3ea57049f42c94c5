"""Without ``--sweep``: one skipped item a sweep, and nothing else; smoke mode: one trial."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys

import pytest

TWO = """
import pytest
from pytest_hypersearch import choice, loguniform, normal, randint, sweep, uniform

@pytest.mark.parametrize("data", ["a", "b"])
@pytest.mark.sweep(grid={"lr": [0.1, 0.2]})
@pytest.mark.sweep(random={"lr": loguniform(0.1, 1)}, n_trials=9, replicates=3)
def test_f(lr, data, trial):
    return lr

@sweep(bayes={"x": normal(0, 1), "n": randint(1, 9)}, n_trials=50, points=[{"x": 0.5, "n": 2}])
def test_g(x, n):
    return x

def test_h(sweeps):
    assert sweeps.best("test_g").params
"""


@pytest.fixture
def two(pytester):
    pytester.makepyfile(test_it=TWO)
    return pytester


@pytest.mark.parametrize("args", [[], ["--sweep=skip"]])
def test_each_sweep_is_one_skipped_item(two, run, args):
    result = run("-v", "-rs", "-W", "error", *args)
    assert result.parseoutcomes() == {"skipped": 6}
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_f?a-sweep-grid? SKIPPED (needs --sweep) *",
            "test_it.py::test_f?a-sweep-random? SKIPPED (needs --sweep) *",
            "test_it.py::test_f?b-sweep-grid? SKIPPED (needs --sweep) *",
            "test_it.py::test_f?b-sweep-random? SKIPPED (needs --sweep) *",
            "test_it.py::test_g?sweep-bayes? SKIPPED (needs --sweep) *",
            "test_it.py::test_h SKIPPED (needs --sweep) *",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*warning*")


@pytest.mark.parametrize("args", [[], ["--sweep=skip"], ["--sweep=smoke"]])
def test_no_file_is_made(two, run, args):
    before = set(two.path.rglob("*"))
    run("-p", "no:cacheprovider", *args)
    made = {path for path in set(two.path.rglob("*")) - before if "__pycache__" not in path.parts}
    assert made == set()
    run(*args)
    assert not (two.path / ".pytest_cache/d").exists()


def test_nothing_heavy_is_imported(two):
    two.makepyfile(
        main="""
        import sys, pytest
        code = pytest.main(["-q", "test_it.py"])
        heavy = {"numpy", "scipy", "pandas", "filelock", "tabulate", "threadpoolctl", "ray"}
        ours = {name for name in sys.modules if name.startswith("pytest_hypersearch.")}
        print("code", int(code), "heavy", sorted(heavy & set(sys.modules)))
        wings = ("search.gp", "store", "engine", "trackers", "results")
        wings = (*wings, "plugin.runner", "plugin.remote")
        print("wings", sorted(ours & {f"pytest_hypersearch.{name}" for name in wings}))
        """
    )
    result = subprocess.run(
        [sys.executable, "main.py"], cwd=two.path, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-2:] == ["code 0 heavy []", "wings []"]


def test_projects_without_sweeps_load_the_hooks_alone(pytester):
    pytester.makepyfile(
        test_it="def test_f(): ...",
        main="""
        import sys, pytest
        pytest.main(["-q", "test_it.py"])
        print(sorted(name for name in sys.modules if name.startswith("pytest_hypersearch.")))
        """,
    )
    result = subprocess.run(
        [sys.executable, "main.py"], cwd=pytester.path, capture_output=True, text=True, check=True
    )
    assert ast.literal_eval(result.stdout.splitlines()[-1]) == [
        "pytest_hypersearch.plugin",
        "pytest_hypersearch.plugin.hooks",
        "pytest_hypersearch.plugin.hookspecs",
        "pytest_hypersearch.plugin.mark",
        "pytest_hypersearch.plugin.mark.typed",
    ]


@pytest.mark.parametrize("by", ["option", "ini"])
def test_smoke_runs_each_test_once_at_the_centre_of_its_first_space(two, run, noted, by):
    two.makepyfile(
        test_it=TWO.replace("return lr", "assert lr == 0.1; return trial.number").replace(
            "return x", "assert (x, n) == (0.0, 5); return x"
        )
        + """
@pytest.mark.sweep(random=[{"k": ["none"]}, {"k": ["l2"], "w": uniform(0, 1)}], n_trials=3)
def test_k(k, w, trial, note):
    note(k, w, dict(trial.params), trial.replicate, trial.seed)
    (trial.path / "file").touch()
    trial.report(1)
    trial.log(a=1)
"""
    )
    if by == "ini":
        two.makeini("[pytest]\nsweep_default = smoke")
    result = run("-v", *(["--sweep=smoke"] if by == "option" else []))
    assert result.parseoutcomes() == {"passed": 4, "skipped": 1}
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_f?a-sweep-smoke? PASSED *",
            "test_it.py::test_f?b-sweep-smoke? PASSED *",
            "test_it.py::test_g?sweep-smoke? PASSED *",
            "test_it.py::test_h SKIPPED (needs --sweep) *",
            "test_it.py::test_k?sweep-smoke? PASSED *",
        ],
        consecutive=True,
    )
    assert noted() == [["none", None, {"k": "none"}, 0, 1735201683]]
    assert not (two.path / ".pytest_cache/d/hypersearch").exists()


def test_smoke_fails_and_prunes_as_the_test_does(module, run):
    module("""
        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_f(lr):
            assert lr == 2

        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_g(lr, trial):
            trial.prune()

        @pytest.mark.sweep(grid={"lr": [1, 2]}, raises=KeyError)
        def test_h(lr):
            raise KeyError(lr)
    """)
    result = run("--sweep=smoke")
    assert result.parseoutcomes() == {"failed": 1, "pruned": 1, "tolerated": 1}


def test_smoke_leaves_nothing_behind(module, run, noted, pytester):
    module("""
        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_f(lr, trial, note):
            (trial.path / "model").touch()
            note(str(trial.path))
            return lr

        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_g(lr, trial, note):
            note(str(trial.path))
            return lr
    """)
    run("--sweep=smoke").assert_outcomes(passed=2)
    (first,), (second,) = noted()
    assert first != second
    assert not (pytester.path / first).exists()
    assert not (pytester.path / second).parent.exists()


def test_smoke_runs_on_workers(two, run):
    result = run("--sweep=smoke", "-n1")
    assert result.parseoutcomes() == {"passed": 3, "skipped": 1}


def test_the_ini_key_makes_sweeps_the_default_and_the_option_overrides_it(two, run):
    two.makeini("[pytest]\nsweep_default = run")
    assert run("--sweep-trials=2", "-k", "test_g").parseoutcomes()["passed"] == 2
    assert run("--sweep=skip").parseoutcomes() == {"skipped": 6}


def test_a_sweep_leaves_the_garbage_collector_as_it_was(pytester, run):
    pytester.makepyfile(
        """
        import gc, pytest

        @pytest.mark.sweep(grid={"x": [1, 2]})
        def test_f(x):
            assert gc.isenabled()
            return gc.get_freeze_count()

        def test_g():
            assert gc.get_freeze_count() == 0
        """
    )
    run("--sweep", "-k", "test_f").assert_outcomes(passed=2, deselected=1)
    run("--sweep", "-k", "test_g").assert_outcomes(passed=1, deselected=2)
    assert gc.get_freeze_count() == 0


def test_what_a_session_leaves_is_finalised_at_exit(everything_installed, project):
    """And our modules do not keep it until the last moment, as those do that pytest loads."""
    (project.path / "conftest.py").write_text("""
class Log:
    def __init__(self):
        self.file = open("log", "w")
        self.me = self

log = Log()
""")
    project.write("""
import sys
from importlib.machinery import SourceFileLoader
from conftest import log

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x):
    log.file.write(f"{x} ")
    assert type(sys.modules["pytest_hypersearch.engine.owner"].__loader__) is SourceFileLoader
    return x
""")
    code, output = project.spawn()
    assert code == 0, output
    assert (project.path / "log").read_text() == "1 2 "
