"""What runs record of the session that made them, and what they keep to themselves."""

from __future__ import annotations

import base64
import gzip
import re

import pytest

from pytest_hypersearch import load_results

SECRET = "sk-7f3a"  # noqa: S105  ours to find


@pytest.mark.parametrize("workers", [[], ["-n1"]])
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


LEAKS = """
    from elsewhere import OTHER, PASSWORD, URL
    @pytest.mark.sweep(
        grid={
            "api_key": ["s3cr3t-A"],
            "cfg": [{"user": "u", "passwords": [each]} for each in ("s3cr3t-B", "s3cr3t-C")],
            "db": ["postgres://u:s3cr3t/D@h/db"],
            "end": ["complete", "fail", "prune", "tolerate", "return", "skip"],
        },
        base={"hf_token": "s3cr3t-E"}, metric="loss", raises=KeyError,
    )
    def test_leak(api_key, cfg, db, end, trial):
        password = cfg["passwords"][0]
        told = f"{api_key} {password} {db} {db[13:21]} {trial.config['hf_token']} {OTHER}"
        trial.log(token=OTHER, note=told, url=URL, config=str(cfg))
        trial.log(said=PASSWORD, repr=repr(trial), max_tokens=5, text="max_tokens=5")
        print(told)
        if end == "fail":
            raise ValueError(f"{told} {URL} {PASSWORD}")
        if end == "tolerate":
            raise KeyError(f"{told} {URL} {PASSWORD}")
        if end == "prune":
            trial.prune(f"{told} {URL} {PASSWORD}")
        if end == "skip":
            pytest.skip(told)
        return told if end == "return" else 1.0

    def test_best(sweeps):
        best = sweeps.best("test_leak")
        assert best.params["cfg"]["passwords"] == ["s3cr3t-B"]
        assert best.params["db"] == "postgres://u:s3cr3t/D@h/db"
        print(best)
"""


ELSEWHERE = """
    URL = "https://u:s3cr3t-G@host"
    PASSWORD = "password=s3cr3t-H"
    OTHER = "s3cr3t-F"
"""


@pytest.mark.usefixtures("github")
@pytest.mark.parametrize("workers", [[], ["-n1"], ["isolate"]], ids=["plain", "workers", "isolate"])
def test_secrets_are_neither_stored_nor_shown_whatever_they_are_called(
    pytester, module, run, journals, workers
):
    isolate = workers == ["isolate"]
    module(LEAKS.replace("raises=KeyError", f"raises=KeyError, isolate={isolate}"))
    pytester.makepyfile(elsewhere=ELSEWHERE)
    pytester.syspathinsert()
    options = ["--junit-xml=junit.xml", "-o", "junit_logging=all", "--sweep-report=page.html"]
    result = run("--sweep", "-v", "-rA", *options, *([] if isolate else workers))
    result.assert_outcomes(passed=3, failed=4, skipped=2)
    ends = journals("end")
    assert len(ends) == 12
    assert all(end["logged"]["max_tokens"] == 5 for end in ends)
    assert all(end["logged"]["text"] == "max_tokens=5" for end in ends)
    assert all("***" in end["logged"]["note"] for end in ends)
    results = load_results(pytester.path)
    results.to_csv(pytester.path / "table.csv")
    results.to_json(pytester.path / "all.json")
    results.to_optuna(pytester.path / "optuna.log")
    texts = {"terminal": result.stdout.str()}
    for file in pytester.path.rglob("*"):
        if file.is_file() and file.suffix != ".py":
            texts[file.name] = file.read_bytes().decode(errors="replace")
    packed = re.findall(r"[A-Za-z0-9+/=]{1000,}", texts["page.html"])
    texts["page"] = "".join(gzip.decompress(base64.b64decode(each)).decode() for each in packed)
    assert "secret-1" in texts["page"]
    assert {"journal.jsonl", "junit.xml", "summary.md", "nodeids"} < texts.keys()
    assert {name: _around(text) for name, text in texts.items() if "s3cr3t" in text} == {}


@pytest.fixture
def github(pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))


def _around(text):
    return [
        text[max(0, found.start() - 60) : found.end() + 20] for found in re.finditer("s3cr3t", text)
    ]


def test_options_with_labels_of_their_own_keep_them(module, run, journals):
    module("""
        @pytest.mark.sweep(grid={"key": choice({"short": "a", "long": "aaaa"})})
        def test_f(key):
            return len(key)
    """)
    run("--sweep").assert_outcomes(passed=2)
    assert [start["params"]["key"] for start in journals("start")] == ["short", "long"]
