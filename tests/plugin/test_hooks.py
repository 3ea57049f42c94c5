"""Strategies that other plugins and conftest files bring along."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

MINE = """
class Mine:
    adaptive = False

    def suggest(self, space, *, seed, index, history):
        assert not history
        return {"lr": float(seed + index)} if index < 3 else None

def pytest_hypersearch_sampler(strategy):
    if strategy == "mine:fast":
        return Mine()
"""
SWEPT = """
@pytest.mark.sweep(strategy="mine:fast", space={"lr": uniform(0, 9)}, n_trials=3, seed=5)
def test_f(lr):
    return lr
"""


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_a_conftest_brings_a_strategy(pytester, module, run, journals, workers):
    pytester.makeconftest(MINE)
    module(SWEPT)
    result = run("--sweep", "-v", *workers)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*test_f?mine-fast-000?*"])
    starts = [(start["sweep"], start["params"]) for start in journals("start")]
    assert starts == [("mine-fast", {"lr": 5.0 + number}) for number in range(3)]


def test_trials_beyond_an_exhausted_space_are_not_run(pytester, module, run):
    pytester.makeconftest(MINE)
    module(SWEPT.replace("n_trials=3", "n_trials=5"))
    result = run("--sweep", "-v")
    assert result.ret == 0
    assert [line for line in result.outlines if "search space exhausted" in line]
    assert result.parseoutcomes()["passed"] == 3
    result.stdout.fnmatch_lines(["*=* 3 passed, 2 not run in *"])


def test_an_adaptive_strategy_sees_results_of_which_lower_is_better(pytester, module, run):
    pytester.makeconftest("""
        class Climb:
            adaptive = True

            def suggest(self, space, *, seed, index, history):
                assert [each.index for each in history] == list(range(index))
                for each in history:
                    n = each.params["n"]
                    assert each.scores == (() if n == 2 else (-float(n), -float(n)))
                    assert each.state == ("failed" if n == 2 else "complete")
                return {"n": index}

        def pytest_hypersearch_sampler(strategy):
            return Climb() if strategy == "climb" else None
    """)
    module("""
        @pytest.mark.sweep(strategy="climb", space={"n": randint(0, 9)}, n_trials=5, mode="max",
                           replicates=2, raises=ValueError)
        def test_f(n):
            if n == 2:
                raise ValueError
            return n

        def test_suggestions(sweeps):
            assert [each.seen for each in sweeps.study("test_f").suggestions] == [0, 1, 2, 3, 4]
            assert sweeps.best("test_f").params == {"n": 4}
    """)
    assert run("--sweep").parseoutcomes() == {"passed": 9, "tolerated": 2}


def test_a_builtin_name_can_be_taken_over(pytester, module, run, journals):
    pytester.makeconftest(MINE.replace('"mine:fast"', '"random"'))
    module("""
        @pytest.mark.sweep(random={"lr": uniform(0, 9)}, n_trials=2)
        def test_f(lr):
            return lr
    """)
    run("--sweep").assert_outcomes(passed=2)
    assert [start["params"]["lr"] for start in journals("start")] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("hook", "line"),
    [
        (
            "return None",
            "expected grid, random, bayes, optuna:... or a strategy of a plugin",
        ),
        (
            "raise ValueError('fast is not installed; expected mine:slow')",
            "fast is not installed; expected mine:slow",
        ),
    ],
)
def test_a_strategy_that_nobody_serves_is_one_clear_line(pytester, module, run, hook, line):
    pytester.makeconftest(f"def pytest_hypersearch_sampler(strategy):\n    {hook}")
    module(SWEPT)
    result = run("--sweep")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    expected = f"test_it.py::test_f: sweep(strategy='mine:fast'): {line}"
    assert [each for each in result.outlines if expected in each] == [expected]
    assert not [each for each in result.outlines if "collect.py" in each or "INTERNAL" in each]


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            "return {'depth': 1}",
            "proposed {'depth': 1}; expected a configuration of the search space",
        ),
        ("return [1]", "proposed ?1?; expected a configuration of the search space"),
        ("return {'lr': 1}", "proposed {'lr': 1}; expected a configuration of the search space"),
        ("raise KeyError('no model')", "raised KeyError: 'no model' (*conftest.py:4)"),
    ],
)
def test_a_broken_sampler_is_an_error_of_its_trials(pytester, module, adaptive, body, problem):
    pytester.makeconftest(f"""
        class Broken:
            adaptive = {adaptive}
            def suggest(self, space, *, seed, index, history):
                {body}

        def pytest_hypersearch_sampler(strategy):
            return Broken() if strategy == "mine:fast" else None
    """)
    module(SWEPT)
    result = pytester.runpytest("--sweep")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=3)
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    lines = [line for line in result.outlines if line.startswith("the sampler of strategy")]
    assert len(lines) == 3
    assert fnmatchcase(lines[0], f"the sampler of strategy 'mine:fast' {problem}")
