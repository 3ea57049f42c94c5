"""The ``sweeps`` fixture in sessions that do not run the sweep: what the newest run left."""

import pytest


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """What is said beside an outcome is cut at the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "200")


BOTH = """
@pytest.mark.parametrize("data", ["a"])
@pytest.mark.sweep(grid={"x": [2, 1], "f": [abs]}, replicates=2)
def test_f(x, f, data, trial):
    (trial.path / "model").write_text(f"{x} {trial.replicate}")
    return f(x)

def test_best(sweeps):
    best = sweeps.best("test_f")
    assert best.params == {"x": 1, "f": abs}
    assert best.score == 1
    assert (best.path / "model").read_text() == "1 0"
    assert len(sweeps.results("test_f")) == 4
    assert "fail" not in __import__("os").environ
"""
ORIGIN = "test_it.py::test_f*: stored run 0001 of 20??-??-?? ??:??"


@pytest.mark.parametrize(
    "args",
    [
        ["--sweep", "-k", "test_best"],
        ["--sweep-resume", "-k", "test_best"],
        ["--sweep", "-k", "test_best", "-n1"],
    ],
)
def test_a_later_test_alone_gets_what_is_stored_and_its_report_says_so(module, run, args):
    module(BOTH)
    run("--sweep").assert_outcomes(passed=5)
    result = run(*args, "-v", "--junit-xml=junit.xml")
    result.assert_outcomes(passed=1, deselected=0 if "-n1" in args else 4)
    if "-n1" not in args:
        result.stdout.fnmatch_lines([f"test_it.py::test_best PASSED ({ORIGIN}) *"])


def test_options_that_are_objects_need_the_items(module, run):
    module(BOTH)
    run("--sweep").assert_outcomes(passed=5)
    result = run("--sweep", "test_it.py::test_best")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        "*LookupError: sweeps: test_it.py::test_f*: only its items have the objects among its "
        "options; select some of them as well, as by -k"
    )


PLAIN = """
import os

@pytest.mark.sweep(random={"x": uniform(0, 1)}, n_trials=3)
def test_f(x, trial):
    assert trial.number != 1 or "fail" not in os.environ
    return x

def test_best(sweeps):
    assert sweeps.best("test_f").params["x"] == sweeps.best("test_f").score
    assert "fail" not in os.environ
"""


def test_a_failing_gate_is_repeated_alone_on_what_is_stored(module, run, monkeypatch, pytester):
    module(PLAIN)
    monkeypatch.setenv("fail", "1")
    run("--sweep").assert_outcomes(passed=2, failed=2)
    result = run("--sweep", "test_it.py::test_best", "--junit-xml=junit.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- sweeps -*", "test_it.py::test_f: stored run 0001 of *"])
    assert '<property name="hypersearch.origin" value="test_it.py::test_f: stored run 0001' in (
        (pytester.path / "junit.xml").read_text()
    )
    monkeypatch.delenv("fail")
    result = run("--sweep", "--lf", "--deselect=test_it.py::test_f", "-v")
    result.assert_outcomes(passed=1, deselected=1)
    run("--sweep-resume", "--lf").assert_outcomes(passed=1)


def test_an_interrupted_run_is_named_as_a_part(module, run):
    module(
        "import os\n"
        + PLAIN.replace(
            "assert trial", "if x and trial.number == 2: pytest.exit('no')\n    assert trial"
        )
    )
    run("--sweep")
    result = run("--sweep", "-k", "test_best", "-v")
    result.assert_outcomes(passed=1, deselected=3)
    result.stdout.fnmatch_lines(
        "*PASSED (test_it.py::test_f: stored run 0001 of *, 2 of 3 trials)*"
    )


def test_without_anything_stored_the_message_says_what_to_type(module, run):
    module(PLAIN)
    result = run("--sweep", "-k", "test_best")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(
        "*LookupError: sweeps: 'test_f': no such study; no sweep is selected and none is stored; "
        "select its test as well, or run it before: pytest --sweep"
    )


def test_other_names_are_answered_by_those_that_are_selected_and_stored(module, run):
    module("""
        @pytest.mark.sweep(grid={"x": [1]})
        def test_f(x):
            return x

        @pytest.mark.sweep(grid={"x": [1]})
        def test_g(x):
            return x

        def test_lookup(sweeps):
            with pytest.raises(LookupError) as caught:
                sweeps.study("test_x")
            expected = "expected one of test_it.py::test_g, test_it.py::test_f"
            assert str(caught.value) == f"sweeps: 'test_x': no such study; {expected}"
    """)
    run("--sweep")
    run("--sweep", "-k", "test_g or test_lookup").assert_outcomes(passed=2, deselected=1)
