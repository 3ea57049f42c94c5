"""What runs record of the session that made them, and what they keep to themselves."""

from __future__ import annotations

import pytest

SECRET = "sk-7f3a"  # noqa: S105  ours to find


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_a_session_records_command_seeds_and_packages(pytester, module, run, journals, workers):
    pytester.makepyfile(helper="__version__ = '7.5'\n", late="__version__ = '8.5'\n")
    pytester.makeconftest("""
        def pytest_addoption(parser):
            parser.addoption("--hub-token")
    """)
    pytester.syspathinsert()
    module("""
        import helper
        @pytest.mark.sweep(grid={"x": [1, 2]}, seed=7)
        def test_f(x):
            import late
            return x
    """)
    run("--sweep", "--hub-token", SECRET, *workers).assert_outcomes(passed=2)
    (session,) = journals("session")
    provenance = session["provenance"]
    option = provenance["command"].index("--hub-token")
    assert provenance["command"][option + 1] == "***"
    assert provenance["seeds"] == {"grid": 7}
    assert provenance["packages"]["helper"] == "7.5"
    assert provenance["packages"]["pytest"] == pytest.__version__
    assert "late" not in provenance["packages"]
    (more,) = journals("packages")
    assert more["versions"]["late"] == "8.5"
    assert "helper" not in more["versions"]


def test_texts_of_parameters_that_are_named_like_secrets_stay_in_the_test(
    pytester, module, run, journals
):
    module(f"""
        @pytest.mark.sweep(random={{"api_key": ["{SECRET}", "{SECRET}-b"], "max_tokens": [10, 20]}},
                           n_trials=3, points=[{{"api_key": "{SECRET}-b", "max_tokens": 10}}])
        def test_f(api_key, max_tokens, trial):
            assert api_key.startswith("{SECRET}")
            assert trial.params["api_key"] == api_key
            trial.log(api_key=api_key, key=3)
            return len(api_key) + max_tokens

        def test_best(sweeps):
            assert sweeps.best("test_f").params == {{"api_key": "{SECRET}", "max_tokens": 10}}
    """)
    run("--sweep", "--sweep-trials=4").assert_outcomes(passed=5)
    params = [start["params"] for start in journals("start")]
    assert params[0] == {"api_key": "secret-1", "max_tokens": 10}
    assert {each["api_key"] for each in params} == {"secret-0", "secret-1"}
    assert journals("end")[0]["logged"] == {"api_key": "***", "key": 3}
    result = run("--sweep-resume", "--sweep-trials=4")
    assert result.parseoutcomes() == {"cached": 4, "passed": 1}
    assert SECRET not in result.stdout.str()
    kept = [file for file in (pytester.path / ".pytest_cache").rglob("*") if file.is_file()]
    assert not [file for file in kept if SECRET in file.read_text()]


def test_recorded_errors_keep_no_secrets(module, run, journals):
    module(f"""
        @pytest.mark.sweep(grid={{"lr": [1]}})
        def test_f(lr):
            settings = {{}}
            try:
                settings["lr"]
            except KeyError:
                raise ValueError("no login with api_key={SECRET}")
    """)
    run("--sweep").assert_outcomes(failed=1)
    (end,) = journals("end")
    assert end["reason"] == "ValueError: no login with api_key=***"
    assert "KeyError: 'lr'" in end["error"]
    assert SECRET not in str(end)


def test_recorded_errors_keep_no_secrets_of_other_trials(module, run, journals):
    module(f"""
        @pytest.mark.sweep(grid={{"api_key": ["my-other-secret", "{SECRET}"]}})
        def test_f(api_key):
            assert not api_key
    """)
    run("--sweep").assert_outcomes(failed=2)
    for end in journals("end"):
        assert "@pytest.mark.sweep" in end["error"]
        assert SECRET not in str(end)


def test_options_with_labels_of_their_own_keep_them(module, run, journals):
    module("""
        @pytest.mark.sweep(grid={"key": choice({"short": "a", "long": "aaaa"})})
        def test_f(key):
            return len(key)
    """)
    run("--sweep").assert_outcomes(passed=2)
    assert [start["params"]["key"] for start in journals("start")] == ["short", "long"]
