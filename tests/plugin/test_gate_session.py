"""Gates: verdicts of a session's sweeps against a baseline or a threshold."""

from __future__ import annotations

import json
import re
import shlex
import signal
from xml.etree import ElementTree as ET

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import main

FILE = "sweeps.baseline.json"
BASELINE = f"--sweep-baseline={FILE}"
PLAIN_AND_WORKERS = pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "workers"])

TWO = """
@pytest.mark.sweep(grid={{"x": [1, 2, 3, 4]}}, replicates=4, metric="loss", gate={{"loss": "1%"}})
def test_f(x, trial):
    return x + trial.rng.normal(0, 0.1) + {worse}

@pytest.mark.sweep(
    grid={{"x": [1, 2]}}, replicates=3, metric="f1",
    gate={{"loss": {{"mode": "min", "tolerance": 0.1}}, "f1": ">= 0.5"}},
)
def test_g(x, trial):
    return {{"f1": 0.7 + x / 10 + trial.rng.normal(0, 0.01), "loss": float(x)}}
"""


def written(project, body, *args):
    """Write a test and its baseline."""
    project.write(body)
    code, output = project.run(BASELINE, "--sweep-update-baseline", *args)
    assert code == 0, output
    return (project.path / FILE).read_text()


def stored_verdicts(project, capsys, test="test_f"):
    """The verdicts of a test's runs, listed without the baseline."""
    capsys.readouterr()
    assert main(["list", str(project.path), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    return [row["gate"] for row in rows if row["test"].endswith(test)]


def last_line(output):
    return next(line for line in reversed(output.splitlines()) if " in " in line)


def test_an_unchanged_test_is_the_same_and_leaves_its_baseline_as_it_is(project):
    project.write(TWO.format(worse=0))
    code, output = project.run(BASELINE)
    assert (code, "23 passed, 2 no baseline" in last_line(output)) == (0, True)
    assert "add: pytest --sweep-resume --sweep-update-baseline=new" in output
    assert f"no baseline ({FILE}: no such file)" in output
    output = project.run("-v")[1]
    assert "no baseline (none is named by --sweep-baseline=PATH)" in output
    assert re.search(r"\[gate \w+\] NO BASELINE \(none is", output)
    shown = shlex.split(re.search(r"add: pytest (.*)", output)[1])
    assert project.run(*shown)[0] == 0  # as it is shown
    (project.path / "sweeps.baseline.json").unlink()
    text = written(project, TWO.format(worse=0))
    assert [*json.loads(text)["tests"]] == ["test_it.py::test_f", "test_it.py::test_g"]
    (project.path / "linked").write_text(f"\ufeff{text}", encoding="utf-8", newline="\r\n")
    (project.path / FILE).unlink()
    (project.path / FILE).symlink_to("linked")
    code, output = project.run(BASELINE, "--sweep-update-baseline=all", "-v", "-n2")
    assert (code, "25 passed" in last_line(output)) == (0, True)
    assert f"baseline written: {FILE}" in output
    assert re.search(r"test_f \[gate loss\] SAME 2", output)
    assert "same numbers" in output
    assert (project.path / "linked").read_text() == text


@PLAIN_AND_WORKERS
def test_a_regression_is_a_failed_item_until_it_is_accepted(project, monkeypatch, capsys, workers):
    written(project, TWO.format(worse=0))
    project.write(TWO.format(worse="trial.rng.normal(1, 0.1)"))
    summary = project.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path.parent))
    code, output = project.run(BASELINE, "-v", "--junitxml=out.xml", *workers)
    assert code == 1
    assert re.search(r"24 passed, 1 regressed", last_line(output))
    assert re.search(r"test_f \[gate loss\] REGRESSED 2\.\d+ -> 3\.\d+", output)
    assert re.search(r"worst: x=\d \+(1|0\.9)", output)
    command = f'pytest --sweep-resume --sweep-update-baseline=all {BASELINE} "test_it.py::test_f"'
    assert f"accept: {command}" in output
    capsys.readouterr()
    assert main(["list", str(project.path), "--baseline", str(project.path / FILE)]) == 0
    listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    verdicts = [(*words[:2], words[-1]) for words in listed[2:]]
    assert verdicts[:2] == [("test_f", "0001", "same"), ("test_f", "0002", "REGRESSED")]
    assert stored_verdicts(project, capsys) == ["accepted", "REGRESSED"]
    place = f"{project.path.name}/test_it.py,line=5"
    assert f"::error file={place},title=test_f [gate loss]::REGRESSED" in output
    assert output.count("::error") == 1
    text = summary.read_text()
    assert text.startswith("<!-- pytest-hypersearch -->\n### Hyperparameter sweeps\n\n| verdict")
    assert text.index("REGRESSED") < text.index("| trials") < text.index(f"accept: {command}")
    (suite,) = ET.parse(project.path / "out.xml").getroot()  # noqa: S314  our own file
    assert (suite.get("tests"), suite.get("failures")) == ("25", "1")
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    found = {
        each.get("name"): each.get("value")
        for each in cases["test_f [gate loss]"].findall("properties/property")
    }
    assert found["hypersearch.verdict"] == "REGRESSED"
    assert float(found["hypersearch.loss"]) == pytest.approx(1, abs=0.2)
    assert {"before", "now", "low", "high", "tolerance", "seeds", "configurations", "baseline"} <= {
        name.removeprefix("hypersearch.") for name in found
    }
    assert cases["test_f [gate loss]"].find("failure") is not None
    monkeypatch.delenv("GITHUB_ACTIONS")
    code, output = project.run(*command.split()[1:4], "test_it.py::test_f")
    assert code == 0
    assert f"baseline written: {FILE}" in output
    assert stored_verdicts(project, capsys) == ["accepted", "accepted"]
    assert project.run(BASELINE)[0] == 0


def test_stored_verdicts_are_those_of_the_last_session_and_accepted_ones_are_written(
    project, capsys
):
    written(project, TWO.format(worse=0), "-k", "test_f")
    project.write(TWO.format(worse=1))
    code, output = project.run(BASELINE, "--sweep-update-baseline", "-x")
    assert (code, "1 regressed" in output) == (1, True)
    assert [*json.loads((project.path / FILE).read_text())["tests"]] == ["test_it.py::test_f"]
    assert stored_verdicts(project, capsys) == ["accepted", "REGRESSED"]
    assert "accepted" not in str(stored_verdicts(project, capsys, "test_g"))
    (project.path / FILE).unlink()
    assert project.run(BASELINE, "--sweep-resume")[0] == 0
    assert stored_verdicts(project, capsys) == ["accepted", "no baseline"]
    for gate, expected in (
        ("", []),
        (', gate={"loss": "<= 9"}', ["met"]),
    ):  # removed, then another one
        project.write(TWO.format(worse=1).replace(', gate={"loss": "1%"}', gate))
        assert project.run(BASELINE, "--sweep-resume", "-k", "test_f")[0] == 0
        studies = load_results(project.path, run=2).studies
        gates = {study.nodeid: [each.verdict for each in study.gates] for study in studies}
        assert gates["test_it.py::test_f"] == expected


def test_x_q_and_two_gates_of_which_one_regressed(project):
    written(project, TWO.format(worse=0))
    project.write(TWO.format(worse=1))
    code, output = project.run(BASELINE, "-q")
    assert code == 1
    assert last_line(output).startswith("24 passed, 1 regressed")
    assert output.count("test_it.py::test_f [gate loss]  REGRESSED") == 1
    assert "2 gates passed" in output
    code, output = project.run(BASELINE, "-x")
    assert code == 1
    assert "stopping after 1 failures" in output
    assert "[gate" not in output.partition("hypersearch ==")[0]
    assert "22 passed, 1 regressed" in last_line(output)


def test_what_fails_now_is_broken_if_it_is_among_the_best(project, monkeypatch):
    source = """
@pytest.mark.sweep(
    grid={{"x": [1, 2, 3, 4]}}, replicates=3, gate={{"score": {{"tolerance": 0.5, "top": 2}}}}
)
def test_f(x, trial):
    assert x != {failing}, "does not converge"
    return x + trial.rng.normal(0, 0.1)
"""
    written(project, source.format(failing=0))
    project.write(source.format(failing=1))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    code, output = project.run(BASELINE, "--junitxml=out.xml")
    assert code == 1
    assert "3 failed, 9 passed, 1 broken" in last_line(output)
    failing = "fails now: x=1 (AssertionError: does not converge"
    assert output.count(failing) == 2
    assert re.search(f"::error .*::broken {re.escape(failing)}", output)
    cases = {case.get("name"): case for case in ET.parse(project.path / "out.xml").iter("testcase")}  # noqa: S314
    failure = cases["test_f [gate score]"].find("failure")
    assert failure is not None
    assert failing in (failure.get("message") or "")
    project.write(source.format(failing=4))
    _, output = project.run(BASELINE)
    assert "3 failed, 10 passed" in last_line(output)
    (project.path / FILE).unlink()
    project.write(source.format(failing="x"))
    project.run(BASELINE, "--sweep-update-baseline")
    assert json.loads((project.path / FILE).read_text())["tests"] == {}


def test_a_threshold_needs_no_baseline(project):
    source = """
@pytest.mark.sweep(grid={{"x": [1, 2]}}, replicates=4, metric="f1", gate={{"f1": ">= {bound}"}})
def test_f(x, trial):
    return x / 4 + trial.rng.normal(0, 0.01)
"""
    for bound, code, words in ((0.4, 0, "9 passed"), (0.6, 1, "8 passed, 1 missed")):
        project.write(source.format(bound=bound))
        found, output = project.run()
        assert (found, words in last_line(output)) == (code, True), output
    project.write(source.format(bound=0.513))
    code, output = project.run()
    assert (code, "8 passed, 1 undecided" in last_line(output)) == (0, True)
    assert re.search(r"with this margin, \d+ replicates decide", output)
    assert project.run("--sweep-undecided=fail")[0] == 1
    assert "1 undecided" in last_line(project.run("--sweep-undecided=fail")[1])


def test_a_changed_grid_is_named_and_a_renamed_parameter_cannot_be_compared(project, monkeypatch):
    source = """
@pytest.mark.sweep(grid={{"{name}": {values}}}, replicates=3, gate=True)
def test_f({name}, trial):
    return float({name})
"""
    written(project, source.format(name="x", values=[1, 2, 3]))
    project.write(source.format(name="x", values=[2, 3, 4]))
    code, output = project.run(BASELINE, "-v")
    assert code == 0
    assert "configurations: 1 only before, 1 only now" in output
    project.write(source.format(name="y", values=[1, 2, 3]))
    code, output = project.run(BASELINE)
    assert (code, "9 passed, 1 not comparable" in last_line(output)) == (0, True)
    monkeypatch.setenv("CI", "1")
    assert project.run(BASELINE)[0] == 1
    assert project.run("--sweep-baseline=none.json")[0] == 1


def test_more_trials_are_new_and_a_percentage_of_zero_is_refused(project):
    source = """
from pytest_hypersearch import uniform
@pytest.mark.sweep(random={{"x": uniform(0, 1)}}, n_trials={n}, replicates=3, gate=True)
def test_f(x, trial):
    return {score} + trial.rng.normal(0, 0.1)
"""
    written(project, source.format(n=4, score="x"))
    (project.path / "conftest.py").write_text("""
def pytest_hypersearch_gate(sweep, verdict):
    with open("hook", "a") as file:
        print(sweep.nodeid, verdict.verdict, verdict.shared, file=file)
""")
    project.write(source.format(n=6, score="x"))
    code, output = project.run(BASELINE, "-v")
    assert (code, "configurations: 0 only before, 2 only now" in output) == (0, True)
    assert "best 3 of 4, 3 seeds" in output
    assert (project.path / "hook").read_text() == "test_it.py::test_f same 4\n"
    project.write(source.format(n=4, score="0 * x").replace("normal(0, 0.1)", "normal(0, 0)"))
    project.run(BASELINE, "--sweep-update-baseline=all")
    project.write(source.format(n=4, score="1"))
    _, output = project.run(BASELINE)
    assert "1 not comparable" in last_line(output)
    assert "'1%' of a mean score of 0; give an absolute number" in " ".join(output.split())


def test_a_part_of_the_trials_updates_a_part_of_the_baseline(project):
    source = """
WORSE = {worse}
@pytest.mark.sweep(grid={{"x": [1, 2, 3, 4]}}, replicates=3, gate=True)
def test_f(x, trial):
    if {wait} and x == 4:
        ran("waits")
        stay()
    return x + WORSE

@pytest.mark.sweep(grid={{"x": [1]}}, replicates=3, gate=True)
def test_{name}(x):
    return float(x)
"""
    before = written(project, source.format(worse=0, wait=False, name="g")).splitlines()
    project.write(source.format(worse=1, wait=False, name="g"))
    code, _ = project.run(BASELINE, "--sweep-update-baseline=all", "-k", "test_f and (x:1 or x:2)")
    assert code == 0
    after = (project.path / FILE).read_text().splitlines()
    changed = [place for place, line in enumerate(after) if line != before[place]]
    assert [json.loads(after[place].strip(" ,"))["params"] for place in changed] == [
        {"x": 1},
        {"x": 2},
    ]
    project.write(source.format(worse=2, wait=True, name="g"))
    with project.started(BASELINE, "--sweep-update-baseline=all") as process:
        project.await_lines(1)
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert (project.path / FILE).read_text().splitlines() == after
    project.write(source.format(worse=2, wait=False, name="h"))
    project.run(BASELINE, "--sweep-update-baseline=all", "-k", "test_f")
    assert "test_it.py::test_g" in (project.path / FILE).read_text()
    project.run(BASELINE, "--sweep-update-baseline=all")
    assert "test_it.py::test_g" not in (project.path / FILE).read_text()


GOOD = '{"format": 1, "tests": {"t": {"commit": "", "sweeps": {"grid": %s}}}}'
ENTRY = '{"seed": 0, "metrics": {"m": "min"}, "trials": [{"params": {}, "scores": {"m": [%s]}}]}'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty; remove it, then use --sweep-update-baseline"),
        ("{", "Expecting property name"),
        ("[]", "format []; this version reads format 1"),
        ('{"format": 2}', "format 2; this version reads format 1"),
        ('{"format": 1}', "no 'tests'"),
        ("<<<<<<< a\n{}\n=======\n", "merge conflict in line 1: take either side"),
        (GOOD % (ENTRY % "NaN"), "NaN: expected finite numbers and null"),
        (GOOD % (ENTRY % "1e999"), "score inf: expected finite numbers and null"),
        (GOOD % (ENTRY % '"a"'), "score 'a': expected a number or null"),
        (GOOD % "{}", "no 'seed'"),
        ('{"format": 1, "format": 1}', "'format' is there 2 times"),
        ("[" * 100_000, "nested too deeply"),
        (None, "expected a baseline of at most 64 MiB"),
    ],
)
def test_a_file_that_is_no_baseline_is_named_before_anything_runs(project, text, problem):
    project.write("def test_f():\n    ran('f')\n")
    with (project.path / FILE).open("w") as file:
        if text is None:
            file.truncate(300_000_000)
        else:
            file.write(text)
    code, output = project.run(BASELINE)
    assert code == 4
    (line,) = [line for line in output.splitlines() if line.startswith("ERROR")]
    assert FILE in line
    assert problem in line
    assert not project.ran


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("--sweep-update-baseline",), "requires --sweep-baseline=PATH or sweep_baseline"),
        ((BASELINE, "--sweep-update-baseline=every"), "=every: expected new or all; use"),
        (("--sweep-baseline=",), "--sweep-baseline=: expected the path of a file"),
        (("--sweep-baseline=/dev/zero",), "expected a baseline of at most 64 MiB"),
        (("--sweep-baseline=.",), "the baseline cannot be read: Is a directory"),
        (("--sweep=skip", BASELINE, "--sweep-update-baseline"), "requires --sweep"),
    ],
)
def test_options_that_make_no_sense_are_refused(project, args, problem):
    project.write("def test_f():\n    ran('f')\n")
    code, output = project.run(*args)
    assert code == 4
    (line,) = [line for line in output.splitlines() if line.startswith("ERROR")]
    assert problem in line
    assert not project.ran


def test_ci_updates_a_baseline_only_on_purpose(project, monkeypatch):
    monkeypatch.setenv("CI", "1")
    project.write(TWO.format(worse=0))
    (project.path / "pytest.ini").write_text(f"[pytest]\nsweep_baseline = {FILE}\n")
    code, output = project.run("--sweep-update-baseline")
    assert code == 4
    assert "expected --sweep-update-baseline=new or --sweep-update-baseline=all in CI" in output
    assert project.run("--sweep-update-baseline=new")[0] == 0
    assert project.run()[0] == 0


BAYES = """
from pytest_hypersearch import uniform
WORSE = {worse}
@pytest.mark.sweep(
    bayes={{"x": uniform(-1, 1)}}, n_trials=10, replicates=3, metric="loss", gate=True, seed={seed}
)
def test_f(x, trial):
    return (x - 0.3 + WORSE) ** 2 + trial.rng.normal(0, 0.001) + WORSE
"""


def test_bayes_tries_the_best_of_the_baseline_so_that_there_are_pairs(project):
    text = written(project, BAYES.format(worse=0, seed=0))
    (entry,) = json.loads(text)["tests"]["test_it.py::test_f"]["sweeps"].values()
    rows = [(sum(row["scores"]["loss"]), row["params"]) for row in entry["trials"]]
    best = [params for _, params in sorted(rows, key=lambda row: row[0])][:5]
    code, output = project.run(BASELINE, "-v")
    assert (code, "same numbers" in " ".join(output.split())) == (0, True)
    tried = [project.trials[f"bayes-{n:03d}-r0"]["params"] for n in range(5)]
    assert tried == best
    table = project.scores
    project.write(BAYES.format(worse=0.2, seed=0))
    code, output = project.run(BASELINE, "-n2")
    assert (code, "1 regressed" in last_line(output)) == (1, True)
    project.write(BAYES.format(worse=0, seed=0))
    project.run("--sweep-resume", "--sweep-stale=keep")
    assert len(project.cached) == 30
    project.run(BASELINE)
    assert project.scores == table


def test_stored_runs_of_shards_are_judged_as_the_whole(project, monkeypatch, capsys):
    written(project, TWO.format(worse=0))
    project.write(TWO.format(worse=1))
    for shard, selected in enumerate(("x:1 or x:2", "x:3 or x:4")):
        project.run("-k", selected, "-o", f"cache_dir=shard-{shard}")
    capsys.readouterr()
    monkeypatch.chdir(project.path)
    shards = ("shard-0", "shard-1")
    assert main(["baseline", "check", FILE, *shards]) == 1
    output = capsys.readouterr().out
    assert "REGRESSED 2.129 -> 3.129" in output
    assert "best 3 of 4, 4 seeds" in output
    assert main(["baseline", "update", "new.json", "--all", *shards]) == 0
    assert main(["baseline", "check", "new.json", *shards]) == 0
    written(project, TWO.format(worse=1), "--sweep-update-baseline=all")
    assert (project.path / FILE).read_text() == (project.path / "new.json").read_text()
    capsys.readouterr()
    assert main(["baseline", "show", FILE]) == 0
    assert "loss (min)" in capsys.readouterr().out
    assert main(["baseline", "check", "none.json"]) == 2
    (project.path / "empty.json").write_text('{"format": 1, "tests": {}}')
    assert main(["baseline", "check", "empty.json", "test_f"]) == 3
    assert "no baseline" in capsys.readouterr().out
    assert main(["baseline", "check", FILE, "test_none"]) == 3
    assert "test_none: no such path or test" in capsys.readouterr().err
