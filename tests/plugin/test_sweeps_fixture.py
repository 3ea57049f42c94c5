"""The ``sweeps`` fixture: what later tests learn of the session's studies."""

from __future__ import annotations

import pytest

from pytest_hypersearch import load_results

A, B, G = "test_it.py::test_f[a]", "test_it.py::test_f[b]", "test_it.py::test_g"
BOOTH = """
@pytest.mark.sweep({}={{"x": uniform(-10, 10), "f": [abs]}}, n_trials=6, replicates=2)
def test_f(x, f, trial):
    trial.report(50, step=0)
    return f(x) + trial.replicate
"""


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_a_later_test_takes_the_best_of_an_earlier_one(module, run, workers):
    module(
        BOOTH.format("random")
        + """
def test_best(sweeps):
    best = sweeps.best("test_f")
    params, score = best.params, best.score
    assert params["f"] is abs
    assert score == pytest.approx(abs(params["x"]) + 0.5)
    study = sweeps.study("test_f")
    assert len(study.trials) == 12
    assert all(trial.state == "complete" for trial in study.trials)
    means = {trial.number: abs(trial.params["x"]) + 0.5 for trial in study.trials}
    assert score == pytest.approx(min(means.values()))
    assert study.best.number == min(means, key=means.get)
    assert study.best == best
    assert study.pareto == (best,)
    assert best.metrics == {"score": score}
    assert (best.path, best.paths) == (None, {})
    params["x"] = 0
    assert sweeps.best("test_f").params["x"] != 0
"""
    )
    run("--sweep", *workers).assert_outcomes(passed=13)


def test_a_failed_gate_prints_the_best_on_one_line(module, run):
    names = ", ".join(f"'parameter_{k}': ['{'x' * 20}']" for k in range(9))
    module(f"""
        @pytest.mark.sweep(grid={{"lr": [0.5, 1.5], {names}}}, replicates=2)
        def test_f(trial):
            return trial.params["lr"] + trial.replicate

        def test_gate(sweeps):
            assert sweeps.best("test_f").score < 0.1

        def test_front(sweeps):
            assert sweeps.study("test_f").pareto[0].score < 0.1
    """)
    lines = run("--sweep").outlines
    gate, front = (line for line in lines if "+  where 1.0" in line)
    for line in (gate, front):
        assert "+  where 1.0 = <grid #0: score 1 ± 0.71 of 2: lr=0.5, parameter_0='xxx" in line
        assert len(line) < 120


def test_parameters_are_plain_dicts(module, run):
    module("""
        import json

        @pytest.mark.sweep(grid={"lr": [0.5, 1.5]})
        def test_f(lr, trial):
            assert json.loads(json.dumps(trial.params)) == {"lr": lr}
            trial.params["lr"] = 7
            assert trial.params["lr"] == lr
            return lr

        def test_best(sweeps):
            best = sweeps.best("test_f")
            assert json.dumps([best.params, best.metrics]) == '[{"lr": 0.5}, {"score": 0.5}]'
    """)
    run("--sweep").assert_outcomes(passed=3)


def test_the_paths_of_all_replicates_are_told(module, run, pytester):
    module("""
        @pytest.mark.sweep(grid={"x": [1, 2]}, replicates=3)
        def test_f(x, trial):
            if trial.replicate != 1:
                (trial.path / "fold").write_text(str(trial.replicate))
            return x + [0.5, 0.7, 0.1][trial.replicate]

        def test_best(sweeps):
            best = sweeps.best("test_f")
            read = {fold: (path / "fold").read_text() for fold, path in best.paths.items()}
            assert read == {0: "0", 2: "2"}
            assert best.trial.replicate == 2
            assert best.path == best.paths[2]
    """)
    run("--sweep").assert_outcomes(passed=7)
    (best,) = load_results(pytester.path).best()
    read = {fold: (path / "fold").read_text() for fold, path in best.paths.items()}
    assert read == {0: "0", 2: "2"}
    assert best.path == best.paths[2]


def test_mode_max_is_respected(module, run):
    module("""
        @pytest.mark.sweep(grid={"x": [1, 3, 2]}, mode="max")
        def test_f(x):
            return x

        def test_best(sweeps):
            assert sweeps.best("test_f").params == {"x": 3}
            assert sweeps.best("test_f").score == 3
    """)
    run("--sweep").assert_outcomes(passed=4)


def test_suggestions_tell_what_was_proposed_from_how_many_results(module, run):
    module(
        BOOTH.format("bayes")
        + """
def test_suggestions(sweeps):
    suggestions = sweeps.study("test_f").suggestions
    assert [each.number for each in suggestions] == list(range(6))
    assert [each.seen for each in suggestions] == list(range(6))
    assert not any(each.pending for each in suggestions)
    assert all(set(each.params) == {"x", "f"} for each in suggestions)

@pytest.mark.sweep(grid={"x": [1]})
def test_g(x):
    return x

def test_no_suggestions(sweeps):
    assert sweeps.study("test_g").suggestions == ()
"""
    )
    run("--sweep").assert_outcomes(passed=15)


def test_a_test_that_gets_the_fixture_late_keeps_its_place_and_sees_what_is_pending(module, run):
    module("""
        def test_early(request):
            sweeps = request.getfixturevalue("sweeps")
            study = sweeps.study("test_f", wait=False)
            assert study.best is None
            assert study.pareto == ()
            assert [trial.state for trial in study.trials] == ["not run"] * 2

        @pytest.mark.sweep(grid={"x": [1, 2]})
        def test_f(x):
            return x
    """)
    run("--sweep").assert_outcomes(passed=3)


@pytest.mark.parametrize("args", [[], ["-n1"]])
def test_the_best_of_a_half_run_sweep_is_given_only_to_those_who_do_not_wait(module, run, args):
    module("""
        @pytest.mark.sweep(grid={"x": [3, 2, 1]})
        def test_f(x, request):
            sweeps = request.getfixturevalue("sweeps")
            if x == 2:
                with pytest.raises(LookupError, match="'test_f': 1 trial comes later in this"):
                    sweeps.best("test_f")
                assert sweeps.best("test_f", wait=False).params == {"x": 3}
            if x == 1:
                assert sweeps.best("test_f").params == {"x": 2}
            return x

        def test_early(request):
            request.getfixturevalue("sweeps").best("test_g")

        @pytest.mark.sweep(grid={"x": [1, 2]})
        def test_g(x):
            return x
    """)
    result = run("--sweep", "-p", "no:randomly", *args)
    result.assert_outcomes(failed=1, passed=5)
    result.stdout.fnmatch_lines(
        "*LookupError: sweeps: 'test_g': 2 trials come later in this session; expected this test "
        "after those of test_it.py::test_g, or wait=False for the results so far"
    )


READERS = """
NAME = "test_g"

@pytest.fixture
def best(sweeps):
    return sweeps.best("test_f")

@pytest.mark.parametrize("name", ["test_f", "test_g"])
def test_by_parameter(sweeps, name):
    assert sweeps.best(name).params == {"x": 1}

def test_by_fixture(best):
    assert best.params == {"x": 1}

def test_by_constant(sweeps):
    assert [sweeps.best(name).params for name in ("test_f",)] == [{"x": 1}]

def test_by_nobody_knows_what(sweeps):
    assert sweeps.best(NAME).params == {"x": 1}

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x):
    return x

@pytest.mark.sweep(random={"y": [3]}, n_trials=1)
def test_second_stage(y, sweeps):
    return y + sweeps.best("test_g").score

def test_plain():
    pass

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_g(x):
    return x

def test_of_the_second_stage(sweeps):
    assert sweeps.best("test_second_stage").score == 4
"""
ORDER = [
    *("test_f[x:1]", "test_f[x:2]"),
    *("test_by_parameter[test_f]", "test_by_fixture", "test_by_constant"),
    *("test_plain", "test_g[x:1]", "test_g[x:2]"),
    *("test_by_parameter[test_g]", "test_second_stage[random-000]"),
    *("test_by_nobody_knows_what", "test_of_the_second_stage"),
]
REORDERING = """
import pytest

@pytest.hookimpl({})
def pytest_collection_modifyitems(items):
    {}
    items.sort(key=lambda item: item.name)
"""


def test_tests_run_after_the_sweeps_that_they_ask_for(module, collected, run):
    module(READERS)
    assert collected() == ORDER
    run("--sweep").assert_outcomes(passed=12)
    run("--sweep", "-n2").assert_outcomes(passed=12)


@pytest.mark.parametrize(
    "how", [("trylast=True", ""), ("wrapper=True, tryfirst=True", "yield")], ids=["last", "around"]
)
def test_whatever_reorders_a_session_asking_comes_after_the_sweep(
    module, pytester, collected, run, how
):
    """As pytest-randomly and pytest-random-order, and as ``--ff``, which wraps all others."""
    module(READERS)
    pytester.makeconftest(REORDERING.format(*how))
    order = collected()
    assert sorted(order) == sorted(ORDER)
    assert order[0] == "test_f[x:1]"
    run("--sweep").assert_outcomes(passed=12)


def test_failed_first_is_after_the_sweep_and_keeps_dependent_trials_in_order(module, run, noted):
    module("""
        import os

        def test_gate(sweeps, note):
            note("gate")
            assert sweeps.best("test_f").score < 0

        @pytest.mark.sweep(bayes={"x": uniform(-1, 1)}, n_trials=4, parallel=1)
        def test_f(x, trial, note):
            note(trial.number)
            assert trial.number != 2 or "again" in os.environ
            return x - 1
    """)
    run("--sweep").assert_outcomes(failed=1, passed=4)
    run("--sweep", "--ff").assert_outcomes(failed=1, passed=4)
    assert noted() == [[0], [1], [2], [3], ["gate"]] * 2


@pytest.mark.parametrize(
    "name", ["test_f[a]", "TestIt::test_f[a]", "test_it.py::TestIt::test_f[a]"]
)
def test_studies_go_by_any_end_of_their_node_id(module, run, name):
    module(f"""
        class TestIt:
            @pytest.mark.parametrize("data", ["a", "b"])
            @pytest.mark.sweep(grid={{"x": [1, 2]}})
            def test_f(self, x, data):
                return x if data == "a" else -x

        def test_best(sweeps):
            assert sweeps.best({name!r}).params == {{"x": 1}}
    """)
    run("--sweep").assert_outcomes(passed=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("study('test_x')", f"sweeps: 'test_x': no such study; expected one of {A}, {B}, {G}"),
        ("best('test_f')", f"sweeps: 'test_f': 2 studies; expected one of {A}, {B}"),
        ("best('test_g')", "sweeps: 'test_g': expected a complete trial; it has none"),
    ],
)
def test_what_is_not_there_is_a_lookup_error(module, run, call, message):
    module(f"""
        @pytest.mark.parametrize("data", ["a", "b"])
        @pytest.mark.sweep(grid={{"x": [1]}})
        def test_f(x, data):
            return x

        @pytest.mark.sweep(grid={{"x": [1]}})
        def test_g(x, trial):
            trial.prune()

        def test_lookup(sweeps):
            with pytest.raises(LookupError) as caught:
                sweeps.{call}
            assert str(caught.value) == {message!r}
    """)
    assert run("--sweep").parseoutcomes() == {"passed": 3, "pruned": 1}


def test_a_session_without_studies_says_so(module, run):
    module("""
        def test_lookup(sweeps):
            with pytest.raises(LookupError, match="no such study; no sweep is selected and none"):
                sweeps.study("test_f")
    """)
    run("--sweep").assert_outcomes(passed=1)


@pytest.mark.parametrize("args", [[], ["--sweep=smoke"], ["--sweep=skip"]])
def test_without_a_sweep_those_who_want_its_results_are_skipped(module, run, args):
    module("""
        def test_best(sweeps):
            assert sweeps.best("test_f").params
    """)
    result = run("-rs", *args)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*needs --sweep"])
