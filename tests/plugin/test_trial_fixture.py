"""The ``trial`` fixture: what a test learns of its trial and tells about it."""

from __future__ import annotations

import pytest

from pytest_hypersearch.store.journal import read
from pytest_hypersearch.store.reader import read_curves


def test_params_are_a_copy(module, run):
    module("""
        @pytest.mark.sweep(random={"lr": [1], "f": [len]}, n_trials=1)
        def test_f(trial, lr):
            assert trial.params == {"lr": 1, "f": len}
            trial.params["lr"] = 2
            assert trial.params["lr"] == 1
            return 0.0
    """)
    run("--sweep").assert_outcomes(passed=1)


def test_number_and_replicate_are_those_of_the_id(module, run, noted):
    module("""
        @pytest.mark.sweep(random={"lr": [1, 2]}, n_trials=2, replicates=2)
        def test_f(trial, lr, request, note):
            note(request.node.callspec.id, trial.number, trial.replicate)
            return 0
    """)
    run("--sweep").assert_outcomes(passed=4)
    assert noted() == [[f"random-00{n}-r{r}", n, r] for n in (0, 1) for r in (0, 1)]


def test_luck_is_equal_over_configurations_and_differs_over_replicates(module, run, noted):
    module("""
        @pytest.mark.sweep(grid={"lr": [1, 2]}, replicates=3)
        @pytest.mark.sweep(random={"lr": [1, 2]}, n_trials=2, replicates=3)
        def test_f(trial, lr, note):
            note(trial.replicate, trial.seed, trial.rng.random())
            assert trial.rng is trial.rng
            assert 0 <= trial.seed < 2**32
            return 0
    """)
    run("--sweep").assert_outcomes(passed=12)
    luck = {tuple(values) for values in noted()}
    assert len(luck) == 3
    assert len({seed for _, seed, _ in luck}) == len({draw for *_, draw in luck}) == 3
    run("--sweep", "--sweep-seed=1")
    assert len({tuple(values) for values in noted()}) == 6


def test_each_trial_has_a_directory_of_its_own(module, run, noted, pytester):
    module("""
        @pytest.mark.sweep(grid={"lr": [1, 2]}, replicates=2, keep="all")
        def test_f(trial, lr, note):
            note(str(trial.path))
            (trial.path / "model.txt").write_text(f"{lr} {trial.replicate}")
            return lr

        @pytest.mark.sweep(grid={"lr": [1]})
        def test_g(trial, lr):
            return lr
    """)
    run("--sweep").assert_outcomes(passed=5)
    paths = [pytester.path / path for (path,) in noted()]
    assert [(path / "model.txt").read_text() for path in paths] == ["1 0", "1 1", "2 0", "2 1"]
    cache = pytester.path / ".pytest_cache/d/hypersearch"
    assert all(path.is_relative_to(cache) for path in paths)
    assert len([run for run in cache.glob("*/*/artifacts") if run.is_dir()]) == 1


def test_curves_are_stored(module, run, pytester, journals):
    module("""
        @pytest.mark.sweep(grid={"lr": [1]}, metric="loss")
        def test_f(trial, lr):
            assert trial.score is None
            trial.report(3)
            trial.report({"loss": 2, "acc": 0.5})
            trial.report(1, step=10)
            trial.report(float("nan"))
            trial.report(0.5, step=2.5)
            assert trial.score == 0.5
    """)
    run("--sweep").assert_outcomes(passed=1)
    (file,) = pytester.path.glob(".pytest_cache/d/hypersearch/*/*/curves.jsonl")
    ((_, series),) = read_curves(read(file).records).items()
    steps, values, times = series["loss"]
    assert times == sorted(times)
    assert steps == [0, 1, 10, 11, 2.5]
    assert [str(value) for value in values] == ["3.0", "2.0", "1.0", "nan", "0.5"]
    assert series["acc"][:2] == ([1], [0.5])
    (end,) = journals("end")
    assert end["metrics"] == {"loss": 0.5, "acc": 0.5}
    assert end["steps"] == 5


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_more_reports_than_a_line_of_the_file_holds_are_stored(module, run, pytester, workers):
    module("""
        @pytest.mark.sweep(grid={"lr": [1]}, metric="m0")
        def test_f(trial, lr):
            for step in range(6000):
                trial.report({f"m{place}": step + place for place in range(6)}, step=step / 2)
    """)
    run("--sweep", *workers).assert_outcomes(passed=1)
    (file,) = pytester.path.glob(".pytest_cache/d/hypersearch/*/*/curves.jsonl")
    ((_, series),) = read_curves(read(file).records).items()
    assert series["m5"][:2] == (
        [step / 2 for step in range(6000)],
        [step + 5 for step in range(6000)],
    )


def test_reports_of_a_long_trial_are_stored_while_it_runs(module, run):
    module("""
        import time
        from pathlib import Path
        from pytest_hypersearch.store.reader import read_curves
        from pytest_hypersearch.store.journal import read

        @pytest.mark.sweep(grid={"lr": [1]})
        def test_f(trial, lr):
            trial.report(3)
            time.sleep(0.25)
            trial.report(2)
            (file,) = Path(".pytest_cache/d/hypersearch").glob("*/*/curves.jsonl")
            (series,) = read_curves(read(file).records).values()
            steps, values, times = series["score"]
            assert (steps, values) == ([0, 1], [3.0, 2.0])
            assert 0 <= times[0] < times[1] < 60
            assert times[1] >= 0.25
    """)
    run("--sweep").assert_outcomes(passed=1)


def test_logged_values_are_kept_with_the_trial(module, run, journals):
    module("""
        import numpy as np

        @pytest.mark.sweep(grid={"lr": [1]})
        def test_f(trial, lr):
            trial.log({"note": "warm start"}, epochs=3, rate=np.float32(0.5), ok=np.bool_(True))
            trial.log(epochs=4, nothing=None, ratio=float("nan"))
            return lr

        def test_later(sweeps):
            (trial,) = sweeps.study("test_f").trials
            assert trial.logged["note"] == "warm start"
    """)
    run("--sweep").assert_outcomes(passed=2)
    (end,) = journals("end")
    assert end["logged"] == {
        "note": "warm start",
        "epochs": 4,
        "rate": 0.5,
        "ok": True,
        "nothing": None,
        "ratio": "nan",
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("report('x')", "trial.report: given 'x' (str), which is not a number"),
        ("report({'a': [1]})", "trial.report: given 'a': [1] (list), which is not a number"),
        ("report({1: 2})", "trial.report: given {1: 2}, with names that are not strings"),
        ("report(1, step='x')", "trial.report(step='x'): expected a finite number"),
        ("report(1, step=float('nan'))", "trial.report(step=nan): expected a finite number"),
        ("log(a=[1])", "trial.log(a=[1]): expected a number, a text, a bool or None"),
        ("log({1: 2})", "trial.log(1=2): expected a number, a text, a bool or None"),
    ],
)
def test_wrong_values_fail_the_test_where_they_are_given(module, run, journals, call, message):
    module(f"""
        @pytest.mark.sweep(grid={{"lr": [1]}})
        def test_f(trial, lr):
            trial.{call}
    """)
    result = run("--sweep")
    result.assert_outcomes(failed=1)
    assert f"E       TypeError: {message}" in result.outlines
    result.stdout.no_fnmatch_line("*fixtures.py*")
    (end,) = journals("end")
    assert (end["state"], end["reason"]) == ("failed", f"TypeError: {message}")


def test_pruning_keeps_the_last_score_and_is_no_failure(module, run, journals):
    module("""
        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_f(trial, lr):
            trial.report(lr * 10)
            if lr == 2:
                trial.prune("diverges")
            trial.prune()
    """)
    result = run("--sweep")
    assert result.ret == 0
    assert result.parseoutcomes() == {"pruned": 2}
    ends = [(end["state"], end["metrics"], end["reason"]) for end in journals("end")]
    assert ends == [
        ("pruned", {"score": 10.0}, "pruned by the test"),
        ("pruned", {"score": 20.0}, "diverges"),
    ]


def test_fixtures_may_report_but_not_when_the_trial_has_ended(module, run, journals):
    module("""
        @pytest.fixture
        def warm(trial):
            trial.report(9)
            yield
            with pytest.raises(RuntimeError, match="trial.report: the trial has ended"):
                trial.report(1)
            with pytest.raises(RuntimeError, match="trial.log: the trial has ended"):
                trial.log(a=1)
            with pytest.raises(RuntimeError, match="trial.prune: the trial has ended"):
                trial.prune()

        @pytest.mark.sweep(grid={"lr": [1]})
        def test_f(warm, lr): ...
    """)
    run("--sweep").assert_outcomes(passed=1)
    (end,) = journals("end")
    assert end["metrics"] == {"score": 9.0}


@pytest.mark.parametrize("args", [[], ["--sweep"], ["--sweep=smoke"]])
def test_without_a_mark_the_fixture_says_what_it_needs(module, run, args):
    module("""
        @pytest.mark.sweep(grid={"lr": [1]})
        def test_f(trial, lr):
            return lr

        def test_g(trial): ...
    """)
    result = run(*args)
    result.assert_outcomes(errors=1, **({"passed": 1} if args else {"skipped": 1}))
    assert "the trial fixture needs a test with a sweep mark" in result.outlines


def test_plain_values_need_no_fixture_and_objects_go_through_theirs(module, run, pytester):
    """Plugins, such as lazy fixtures, replace objects where fixtures are set up."""
    pytester.makeconftest("""
        made = set()

        def pytest_fixture_setup(fixturedef):
            made.add(fixturedef.argname)

        def pytest_terminal_summary(terminalreporter):
            terminalreporter.write_line(f"made: {', '.join(sorted(made))}")
    """)
    module("""
        @pytest.fixture
        def model(lr):
            return 2 * lr

        @pytest.mark.sweep(grid={"lr": [0.1, 0.2], "depth": [1], "act": ["relu"], "f": [len]})
        def test_f(lr, depth, act, f, model, request):
            given = request.getfixturevalue("depth"), request.node.callspec.params["lr"]
            assert (model, given, act, f) == (2 * lr, (depth, lr), "relu", len)
            return lr
    """)
    run("--sweep").stdout.fnmatch_lines(["made: depth, f, lr, model", "*2 passed*"])
    shown = run("--sweep", "--setup-show")
    shown.stdout.fnmatch_lines(["*SETUP    F act*", "*2 passed*"])
