"""How trials end: what is stored, what is shown, and what it means for pytest's own verdict."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

NO_SCORE = "no score: the test {}; expected 'score' among them"
NO_NUMBER = "the test returned {}, which is not a number; expected a number or a dict of them"
NO_NAMES = (
    "the test returned {}, with names that are not strings; expected a number or a dict of them"
)

ENDS = {
    "complete": "return 1.5",
    "failed": "assert lr == 3",
    "wordless": "raise type('Wordless', (Exception,), {'__str__': lambda self: 1 / 0})",
    "tolerated": "raise FloatingPointError('overflow in step 3')",
    "pruned": "trial.prune('no good')",
    "nan": "return float('nan')",
    "infinite": "return float('-inf')",
    "missing": "return None",
    "text": "return 'good'",
    "skipped": "pytest.skip('no data')",
    "setup": "setup",
    "teardown": "teardown",
}

#          state stored, pytest's count, letter, word with -v, exit code, reason stored
EXPECTED = {
    "complete": ("complete", "passed", ".", "PASSED 1.5 best (lr=1)", 0, None),
    "failed": ("failed", "failed", "F", "FAILED", 1, "AssertionError: assert 1 == 3"),
    "wordless": ("failed", "failed", "F", "FAILED", 1, "Wordless"),
    "tolerated": (
        "failed",
        "tolerated",
        "t",
        "TOLERATED (lr=1) (FloatingPointError: overf...)",
        0,
        "FloatingPointError: overflow in step 3",
    ),
    "pruned": ("pruned", "pruned", "p", "PRUNED (lr=1) (no good)", 0, "no good"),
    "nan": ("invalid", "invalid", "i", "INVALID (lr=1) (score is nan)", 0, "score is nan"),
    "infinite": ("invalid", "invalid", "i", "INVALID (lr=1) (score is -inf)", 0, "score is -inf"),
    "missing": (
        "invalid",
        "failed",
        "F",
        "FAILED",
        1,
        (
            "no score: the test returned None and reported nothing; expected a number, or a dict "
            "with 'score'"
        ),
    ),
    "text": (
        "invalid",
        "failed",
        "F",
        "FAILED",
        1,
        NO_NUMBER.format("'good' (str)"),
    ),
    "skipped": ("not run", "skipped", "s", "SKIPPED (no data)", 0, "skipped: no data"),
    "setup": ("failed", "errors", "E", "ERROR", 1, "in setup: OSError: no disk"),
    "teardown": ("complete", "errors", ".E", "PASSED 1 best (lr=1)", 1, None),
}


#        element of the JUnit XML, its message
JUNIT = {
    "failed": ("failure", "assert 1 == 3"),
    "wordless": ("failure", "test_it.Wordless: <exception str() failed>"),
    "tolerated": ("skipped", "FloatingPointError: overflow in step 3"),
    "pruned": ("skipped", "no good"),
    "nan": ("skipped", "score is nan"),
    "infinite": ("skipped", "score is -inf"),
    "missing": ("failure", f"Failed: {EXPECTED['missing'][5]}"),
    "text": ("failure", f"Failed: {EXPECTED['text'][5]}"),
    "skipped": ("skipped", "no data"),
    "setup": ("error", 'failed on setup with "OSError: no disk"'),
    "teardown": ("error", 'failed on teardown with "OSError: no disk"'),
}


@pytest.fixture
def ending(module):
    """Writes a test with one trial that ends in the given way."""

    def write(end):
        body = ENDS.get(end, end)
        module(f"""
            @pytest.fixture(autouse=True)
            def environment():
                if {body == "setup"}:
                    raise OSError("no disk")
                yield
                if {body == "teardown"}:
                    raise OSError("no disk")

            @pytest.mark.sweep(grid={{"lr": [1]}}, raises=(FloatingPointError,))
            def test_f(lr, trial):
                {"return lr" if body in {"setup", "teardown"} else body}
        """)

    return write


@pytest.mark.parametrize("end", EXPECTED)
def test_each_end_has_its_state_count_exit_code_and_junit(ending, run, journals, pytester, end):
    state, count, letter, _, code, reason = EXPECTED[end]
    ending(end)
    result = run("--sweep", "--junit-xml=out.xml")
    assert result.ret == code
    assert result.parseoutcomes()[count] == 1
    result.stdout.re_match_lines([rf"test_it.py {letter} +\[100%\]"])
    (record,) = journals("end")
    assert (record["state"], record.get("reason")) == (state, reason)
    (case,) = ET.parse(pytester.path / "out.xml").iter("testcase")  # noqa: S314  our own
    others = [child for child in case if child.tag != "properties"]
    told = [(child.tag, child.get("message", "")) for child in others]
    assert told == ([JUNIT[end]] if end in JUNIT else [])


@pytest.mark.parametrize("end", EXPECTED)
def test_each_end_has_its_word(ending, run, end):
    ending(end)
    result = run("--sweep", "-v")
    line, *_ = [line for line in result.outlines if line.endswith("[100%]")]
    assert line.removesuffix("[100%]").rstrip() == f"test_it.py::test_f[lr:1] {EXPECTED[end][3]}"


def test_skips_are_located_in_the_test(ending, run, pytester):
    for end in ("tolerated", "pruned", "nan"):
        ending(end)
        for args in (["--sweep"], ["--sweep-resume"]):
            run(*args, "--junit-xml=out.xml")
            text = (pytester.path / "out.xml").read_text()
            assert "test_it.py:" in text
            assert "pytest_hypersearch" not in text


SCORES = [
    ("return 2.5", (2.5, {"score": 2.5})),
    ("return 2", (2.0, {"score": 2.0})),
    ("return np.float32(0.5)", (0.5, {"score": 0.5})),
    ("return np.int64(3)", (3.0, {"score": 3.0})),
    ("return np.array(1.5)", (1.5, {"score": 1.5})),
    ("return np.array([1.5])", (1.5, {"score": 1.5})),
    ("return Fraction(1, 2)", (0.5, {"score": 0.5})),
    ("return Decimal('0.25')", (0.25, {"score": 0.25})),
    ("return {'score': 1, 'time': np.float64(2)}", (1.0, {"score": 1.0, "time": 2.0})),
    ("return {'score': 1, 'bad': float('nan')}", (1.0, {"score": 1.0, "bad": "nan"})),
    ("return {'score': 1, 'huge': 10**400}", (1.0, {"score": 1.0, "huge": "inf"})),
    ("trial.report(3); trial.report(2)", (2.0, {"score": 2.0})),
    ("return Odd()", (1.0, {"score": 1.0})),
    ("trial.report({'score': 3, 'a': 1}); return 2", (2.0, {"score": 2.0, "a": 1.0})),
    ("trial.report({'score': 3}); return {'a': 1}", (3.0, {"score": 3.0, "a": 1.0})),
]
NO_SCORES = [
    ("return True", NO_NUMBER.format("True (bool)")),
    ("return np.bool_(True)", NO_NUMBER.format("np.True_ (bool)")),
    ("return '0.5'", NO_NUMBER.format("'0.5' (str)")),
    ("return [0.5]", NO_NUMBER.format("[0.5] (list)")),
    ("return 1j", NO_NUMBER.format("1j (complex)")),
    ("return np.zeros(2)", NO_NUMBER.format("array([0., 0.]) (ndarray)")),
    ("return {'score': {'a': 1}}", NO_NUMBER.format("'score': {'a': 1} (dict)")),
    ("return Broken()", NO_NUMBER.format("<Broken> (Broken)")),
    ("return {'score': None}", NO_NUMBER.format("'score': None (NoneType)")),
    (
        "return {1: 2}",
        NO_NAMES.format("{1: 2}"),
    ),
    ("return {'loss': 1, 'acc': 2}", NO_SCORE.format("returned loss, acc")),
    ("return {}", NO_SCORE.format("returned no metrics")),
    ("trial.report({'loss': 1})", NO_SCORE.format("reported loss")),
]
GIVEN = """
    from decimal import Decimal
    from fractions import Fraction
    import numpy as np

    class Odd:
        def __float__(self):
            return 1.0

    class Broken:
        def __float__(self):
            raise RuntimeError("no")

        __repr__ = __float__
"""


def each_given(cases):
    """A module with a test for each of what tests may return or report."""
    return GIVEN + "".join(
        f"""
    @pytest.mark.sweep(grid={{"lr": [1]}})
    def test_{place}(lr, trial):
        {given}
"""
        for place, (given, _) in enumerate(cases)
    )


def test_scores_are_taken_from_what_a_test_returns_or_reports(module, run, journals):
    scores = {f"test_{place}": score for place, (_, (score, _)) in enumerate(SCORES)}
    module(
        each_given(SCORES)
        + f"""
    @pytest.mark.parametrize(("test", "score"), {[*scores.items()]})
    def test_best(sweeps, test, score):
        assert sweeps.best(test).score == score
"""
    )
    run("--sweep").assert_outcomes(passed=2 * len(SCORES))
    ended = journals("end")
    assert [record["state"] for record in ended] == ["complete"] * len(SCORES)
    metrics = [str(metrics) for _, (_, metrics) in SCORES]
    assert sorted(str(record["metrics"]) for record in ended) == sorted(metrics)


def test_what_is_no_score_fails_the_test_and_says_why(module, run, journals):
    module(each_given(NO_SCORES))
    result = run("--sweep")
    result.assert_outcomes(failed=len(NO_SCORES))
    result.stdout.no_fnmatch_line("*runner.py*")
    reasons = [reason for _, reason in NO_SCORES]
    assert [line for line in result.outlines if line in reasons] == reasons
    ended = [(record["state"], record["reason"]) for record in journals("end")]
    assert sorted(ended) == sorted(("invalid", reason) for reason in reasons)


def test_the_metric_names_the_score(module, run, journals):
    module("""
        @pytest.mark.sweep(grid={"lr": [1, 2]}, metric="accuracy", mode="max")
        def test_f(lr):
            return {"accuracy": lr, "loss": -lr}

        def test_best(sweeps):
            assert sweeps.best("test_f").params == {"lr": 2}
    """)
    run("--sweep").assert_outcomes(passed=3)


def test_tolerated_exceptions_are_those_named(module, run, journals):
    module("""
        @pytest.mark.sweep(grid={"kind": [FloatingPointError, ZeroDivisionError, ValueError]},
                           raises=ArithmeticError)
        def test_f(kind):
            raise kind("bad luck")
    """)
    result = run("--sweep")
    assert result.ret == 1
    assert result.parseoutcomes() == {"tolerated": 2, "failed": 1}
    assert [end["state"] for end in journals("end")] == ["failed"] * 3


def test_a_trial_that_fails_shows_its_parameters(module, run):
    module("""
        @pytest.mark.sweep(random={"lr": [1]}, n_trials=1, seed=7)
        def test_f(lr):
            assert lr == 2
    """)
    run("--sweep").stdout.re_match_lines(
        ["-+ trial -+", "lr=1", r"replicate 0, seed \d+"], consecutive=True
    )


def test_exitfirst_stops_at_failures_only(module, run, journals):
    module("""
        @pytest.mark.sweep(grid={"end": ["prune", "nan", "tolerate", "fail", "never"]},
                           raises=KeyError)
        def test_f(end, trial):
            if end == "prune":
                trial.prune()
            if end == "tolerate":
                raise KeyError(end)
            assert end == "nan"
            return float(end)
    """)
    result = run("--sweep", "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(journals("start")) == 4


def test_last_failed_selects_failures_only(module, run):
    module("""
        @pytest.mark.sweep(grid={"end": ["prune", "nan", "tolerate", "fail", "good"]},
                           raises=KeyError)
        def test_f(end, trial):
            if end == "prune":
                trial.prune()
            if end == "tolerate":
                raise KeyError(end)
            assert end != "fail"
            return float("nan") if end == "nan" else 1
    """)
    assert run("--sweep").parseoutcomes() == {
        "pruned": 1,
        "invalid": 1,
        "tolerated": 1,
        "failed": 1,
        "passed": 1,
    }
    result = run("--sweep", "--lf", "-v")
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines(["*test_f?end:fail? FAILED*"])


def test_replayed_trials_are_counted_apart_and_failures_run_again(module, run, journals):
    module("""
        @pytest.mark.sweep(grid={"end": ["prune", "nan", "tolerate", "fail", "good"]},
                           raises=KeyError)
        def test_f(end, trial):
            if end == "prune":
                trial.prune()
            if end == "tolerate":
                raise KeyError(end)
            assert end != "fail"
            return float("nan") if end == "nan" else 1
    """)
    run("--sweep")
    result = run("--sweep-resume", "-v")
    assert result.ret == 1
    assert result.parseoutcomes() == {
        "pruned": 1,
        "invalid": 1,
        "tolerated": 1,
        "failed": 1,
        "cached": 1,
    }
    result.stdout.fnmatch_lines(["*end:good? CACHED 1 *"])
    assert len(journals("start")) == 7


def test_a_failed_subtest_fails_the_trial(module, run, journals):
    module("""
        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_f(lr, subtests):
            for n in range(3):
                with subtests.test(n=n):
                    assert (lr, n) != (2, 1)
            return lr
    """)
    result = run("--sweep")
    assert result.ret == 1
    ends = [(end["state"], end.get("reason")) for end in journals("end")]
    assert ends == [("complete", None), ("failed", "a subtest failed")]


def test_a_timeout_is_a_state_of_its_own(module, run, journals):
    module("""
        import time

        @pytest.mark.timeout(2, method="signal")
        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_f(lr):
            if lr == 1:
                time.sleep(60)
            return lr
    """)
    result = run("--sweep")
    result.assert_outcomes(failed=1, passed=1)
    assert [end["state"] for end in journals("end")] == ["timed out", "complete"]
    result.stdout.re_match_lines([r".*1 of 2 complete, 1 timed out.*"])


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "workers"])
def test_reasons_that_cannot_be_encoded_end_their_trials_alone(module, run, journals, workers):
    module("""
        import os

        @pytest.mark.sweep(grid={"lr": [1, 2, 3]}, raises=(KeyError,))
        def test_f(lr, trial):
            name = os.fsdecode(b"\\xff")
            if lr == 1:
                trial.prune(name)
            if lr == 2:
                raise KeyError(name)
            return lr
    """)
    result = run("--sweep", *workers)
    assert result.ret == 0
    assert result.parseoutcomes() == {"pruned": 1, "tolerated": 1, "passed": 1}
    reasons = [end.get("reason") for end in journals("end")]
    assert reasons == [r"\udcff", r"KeyError: '\udcff'", None]


def test_reruns_of_another_plugin_end_with_one_final_record(module, run, journals):
    module("""
        from pathlib import Path

        @pytest.mark.sweep(random={"lr": [1, 2]}, n_trials=2)
        def test_f(lr, trial):
            marker = Path(f"tried-{lr}")
            tried = marker.exists()
            marker.touch()
            trial.report(lr, step=0)
            assert tried
            return lr

        def test_trials(sweeps):
            trials = sweeps.study("test_f").trials
            assert [trial.attempt for trial in trials] == [2, 2]
            assert [trial.state for trial in trials] == ["complete"] * 2
    """)
    result = run("--sweep", "--reruns=1")
    assert result.parseoutcomes() == {"passed": 3, "rerun": 2}
    ends = [(end["number"], end["attempt"], end["state"]) for end in journals("end")]
    assert sorted(ends) == [
        (0, 1, "failed"),
        (0, 2, "complete"),
        (1, 1, "failed"),
        (1, 2, "complete"),
    ]
    assert run("--sweep-resume", "--reruns=1", "-k", "test_f").parseoutcomes()["cached"] == 2


def test_reruns_that_go_on_failing_fail(module, run, journals):
    module("""
        @pytest.mark.sweep(random={"lr": [1]}, n_trials=1)
        def test_f(lr):
            assert lr == 2
    """)
    result = run("--sweep", "--reruns=2")
    assert result.parseoutcomes() == {"failed": 1, "rerun": 2}
    assert [end["attempt"] for end in journals("end")] == [1, 2, 3]
    result.stdout.re_match_lines([r".* 0 of 1 complete, 1 failed.*"])


def test_states_are_the_same_on_workers(module, run, journals):
    module("""
        @pytest.mark.sweep(grid={"end": ["prune", "nan", "tolerate", "fail", "skip", "good"]},
                           raises=KeyError)
        def test_f(end, trial):
            if end == "prune":
                trial.prune()
            if end == "skip":
                pytest.skip("no data")
            if end == "tolerate":
                raise KeyError(end)
            assert end != "fail"
            return float("nan") if end == "nan" else 1
    """)
    result = run("--sweep", "-n2")
    assert result.ret == 1
    assert result.parseoutcomes() == {
        "pruned": 1,
        "invalid": 1,
        "tolerated": 1,
        "failed": 1,
        "passed": 1,
        "skipped": 1,
    }
    assert sorted(end["state"] for end in journals("end")) == [
        "complete",
        "failed",
        "failed",
        "invalid",
        "not run",
        "pruned",
    ]
