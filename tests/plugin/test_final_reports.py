"""A trial's state follows the final reports of its item, whoever has the last word on them."""

from collections import Counter
from xml.etree import ElementTree as ET

import pytest

ALL_WAYS = {
    "plain": (False, ()),
    "n1": (False, ("-n1",)),
    "isolated": (True, ()),
    "n1-isolated": (True, ("-n1",)),
}

SWEEP = """
@pytest.fixture
def environment(x):
    yield
    ran("torn down", x)

@pytest.mark.sweep(grid={{"x": [1, 2]}}, isolate={isolate})
def test_f(x, trial, environment):
    ran(x)
    trial.report(x)
    {body}
"""

RED = """
    if call.when == "{phase}" and "x:1" in item.nodeid:
        report.outcome, report.longrepr = "failed", "softly: 1 is not 2\\nand more"
"""
MAKEREPORT = """
@pytest.hookimpl(wrapper=True{order})
def pytest_runtest_makereport(item, call):
    report = yield
    {then}
    return report
"""
SKIPPING = """
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item):
    yield
    if "x:1" in item.nodeid:
        {raises}
"""
BEFORE = """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    if "x:1" in item.nodeid:
        {raises}
"""
LOGREPORT = """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    if report.when == "call" and "x:1" in report.nodeid:
        report.outcome, report.longrepr = "failed", "softly: 1 is not 2"
"""


def red(phase="call", order=""):
    return MAKEREPORT.format(order=order, then=RED.format(phase=phase).strip("\n").lstrip())


#            conftest, count, state of the first trial, its score, its reason
CHANGES = {
    "soft check": (red(), "failed", "failed", None, "softly: 1 is not 2"),
    "last of all": (red(order=", tryfirst=True"), "failed", "failed", None, "softly: 1 is not 2"),
    "when it is logged": (LOGREPORT, "failed", "failed", None, "softly: 1 is not 2"),
    "red setup": (red("setup"), "errors", "failed", None, "in setup: softly: 1 is not 2"),
    "red teardown": (red("teardown"), "errors", "complete", 1, "in teardown: softly: 1 is not 2"),
    "skipped after": (
        SKIPPING.format(raises="pytest.skip('baseline generated')"),
        "skipped",
        "not run",
        None,
        "skipped: baseline generated",
    ),
    "failed after": (
        SKIPPING.format(raises="pytest.fail('too slow')"),
        "failed",
        "failed",
        None,
        "too slow",
    ),
    "expected to fail": (
        SKIPPING.format(raises="pytest.xfail('a bug')"),
        "xfailed",
        "failed",
        None,
        "xfailed: ",
    ),
    "skipped before": (
        BEFORE.format(raises="pytest.skip('not here')"),
        "skipped",
        "not run",
        None,
        "skipped: not here",
    ),
    "failed before": (
        BEFORE.format(raises="raise OSError('no disk')"),
        "failed",
        "failed",
        None,
        "OSError: no disk",
    ),
}


def write(project, conftest, isolate, body="return x"):
    (project.path / "conftest.py").write_text(f"import pytest\n{conftest}")
    project.write(SWEEP.format(isolate=isolate, body=body))


# How reports travel differs by phase and outcome alone: one of each goes through workers, and to
# processes of trials with what acts there before or after a report is made.
TRAVELS = ("soft check", "red setup", "red teardown", "skipped after")
ISOLATED = (*TRAVELS, "when it is logged", "skipped before", "expected to fail")


@pytest.mark.parametrize("way", ALL_WAYS)
def test_what_another_plugin_makes_of_the_item_is_the_trials_state_until_it_runs_again(
    project, way
):
    isolate, workers = ALL_WAYS[way]
    names = TRAVELS if workers else ISOLATED if isolate else tuple(CHANGES)
    for place, name in enumerate(names):
        folder = project.path / f"d{place}"
        folder.mkdir()
        (folder / "conftest.py").write_text(f"import pytest\n{CHANGES[name][0]}")
        source = SWEEP.format(isolate=isolate, body="return x")
        project.write(source.replace("ran(x)", "ran(__name__, x)"), f"d{place}/test_{place}.py")
    result = project.here("-v", "--junit-xml=junit.xml", *workers)
    assert "INTERNALERROR" not in result.stdout.str()
    for name, study in zip(names, project.studies, strict=True):
        _, _, state, score, reason = CHANGES[name]
        first, second = study["trials"]
        assert (name, first["state"], first["score"]) == (name, state, score)
        assert first["reason"].startswith(reason), name
        assert second["state"] == "complete", name
    counts = Counter(CHANGES[name][1] for name in names)
    outcomes = result.parseoutcomes()
    assert {count: outcomes.get(count, 0) for count in counts} == counts
    assert result.ret == 1
    first_run = project.ran
    # a red item is never green after a resume that ran nothing
    assert project.run("--sweep-resume", *workers)[0] == 1
    for place, (name, study) in enumerate(zip(names, project.studies, strict=True)):
        once = first_run[f"test_{place} 1"]
        assert once == ("before" not in name and name != "red setup"), name
        assert project.ran[f"test_{place} 1"] == 2 * once, name
        assert project.ran[f"test_{place} 2"] == 1, name
        assert [trial["cached"] for trial in study["trials"]] == [False, True], name


@pytest.mark.parametrize(
    ("change", "code"),
    [("skipped after", 0), ("expected to fail", 0), ("soft check", 1), ("red teardown", 1)],
)
def test_the_exit_code_of_a_resume_is_that_of_the_session_before(project, change, code):
    write(project, CHANGES[change][0], isolate=False)
    assert project.run()[0] == code
    assert project.run("--sweep-resume")[0] == code


def test_a_trial_that_failed_softly_is_not_the_best(project):
    write(project, red(), isolate=False)
    project.write(
        SWEEP.format(isolate=False, body="return x")
        + """
def test_best(sweeps):
    assert sweeps.best("test_f").params == {"x": 2}
    assert [trial.attempt for trial in sweeps.study("test_f").trials] == [1, 1]
"""
    )
    _, output = project.run()
    assert "1 failed, 2 passed" in output, output
    assert "1 of 2 complete, 1 failed" in output


def test_a_trial_that_was_complete_and_fails_when_repeated_is_not_the_best(project):
    write(project, "", isolate=False)
    project.write("""
@pytest.fixture
def environment(x):
    yield
    assert x == 2 or ran(f"torn down {x}")

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x, environment):
    ran(x)
    with open("ran") as file:
        assert x == 2 or file.read().count("1") < 3
    return x

def test_best(sweeps):
    assert sweeps.best("test_f").params == {"x": 2}
""")
    _, output = project.run("--reruns=1")
    assert project.states == {"complete": 1, "failed": 1}, output
    assert "test_best" not in output


def test_no_combination_of_state_and_outcome_ends_the_session(project):
    states = ("complete", "pruned", "invalid", "tolerated", "failed")
    outcomes = ("passed", "failed", "skipped", "odd")
    for outcome in outcomes:
        longrepr = {"failed": "'no'", "skipped": "('it.py', 1, 'Skipped: no')"}.get(outcome)
        then = f'if call.when == "call": report.outcome, report.longrepr = "{outcome}", {longrepr}'
        folder = project.path / outcome
        folder.mkdir()
        conftest = MAKEREPORT.format(order=", tryfirst=True", then=then)
        (folder / "conftest.py").write_text(f"import pytest\n{conftest}")
        for state in states:
            project.write(
                f"""
@pytest.mark.sweep(grid={{"x": [1, 2]}}, raises=KeyError)
def test_f(x, trial):
    if "{state}" == "pruned":
        trial.prune()
    if "{state}" == "tolerated":
        raise KeyError(x)
    assert "{state}" != "failed"
    return float("nan") if "{state}" == "invalid" else x
""",
                f"{outcome}/test_{outcome}_{state}.py",
            )
    for option in ("--sweep", "--sweep-resume"):
        result = project.here("-v", "--junit-xml=junit.xml", option)
        assert "INTERNALERROR" not in result.stdout.str()
        assert "Traceback" not in result.stderr.str()
        assert result.ret == 1
        assert len(project.studies) == len(states) * len(outcomes)
        for study in project.studies:
            assert len(study["trials"]) == 2
            if study["nodeid"].startswith("failed/"):
                assert {trial["state"] for trial in study["trials"]} <= {"failed", "invalid"}


LOST = {
    "before the report": """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    if report.when == "call" and "x:1" in report.nodeid and {where}:
        os._exit(1)
""",
    "after all reports": """
def pytest_runtest_logfinish(nodeid):
    if "x:1" in nodeid and {where}:
        os._exit(1)
""",
}
OWN = """
import os
from pytest_hypersearch.plugin.isolation import ISOLATED

def pytest_configure(config):
    global GIVEN
    GIVEN = getattr(config, "workerinput", {})
"""


@pytest.mark.parametrize(
    ("dist", "moment"),
    [(dist, "before the report") for dist in ("load", "worksteal", "loadscope")]
    + [("load", "after all reports")],
)
def test_a_worker_that_is_lost_after_its_trial_has_passed_costs_nothing(project, dist, moment):
    write(project, OWN + LOST[moment].format(where="GIVEN"), isolate=False)
    project.write(SWEEP.format(isolate=False, body="return x") + "\ndef test_plain(): pass\n")
    code, output = project.run("-n2", "--dist", dist, "-v", "--junit-xml=junit.xml")
    assert code == 0, output
    assert "3 passed" in output
    assert "failed" not in output
    assert project.states == {"complete": 2}
    assert (project.ran["1"], project.ran["2"]) == (1, 1)
    (note,) = project.notes
    assert note.startswith("test_f: x:1 had ended when gw")
    cases = list(ET.parse(project.path / "junit.xml").iter("testcase"))  # noqa: S314  our own
    assert sorted(case.get("name") for case in cases) == [
        "test_f[x:1]",
        "test_f[x:2]",
        "test_plain",
    ]
    assert not [child.tag for case in cases for child in case if child.tag != "properties"]
    assert project.run("--sweep-resume")[0] == 0
    assert project.cached == {"x:1", "x:2"}


@pytest.mark.parametrize(
    ("body", "count", "state"),
    [("trial.prune()", "pruned", "pruned"), ("assert x == 2; return x", "failed", "failed")],
)
def test_a_report_that_is_lost_with_its_worker_is_made_up_from_what_was_told(
    project, body, count, state
):
    write(project, OWN + LOST["before the report"].format(where="GIVEN"), False, body)
    result = project.here("-n1")
    assert result.parseoutcomes()[count] >= 1
    assert project.trials["x:1"]["state"] == state
    assert project.ran["1"] == 1


@pytest.mark.parametrize("dist", ["load", "loadscope"])
def test_a_worker_that_dies_in_the_teardown_is_an_error_once(project, dist):
    write(project, "", isolate=False)
    project.write("""
@pytest.fixture
def deadly(x):
    yield
    if x == 1 and not os.path.exists("once"):
        os.mkdir("once")
        os._exit(1)

@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x, deadly):
    ran(x)
    return x
""")
    code, output = project.run("-n2", "--dist", dist)
    assert code == 1
    assert project.states == {"complete": 2}
    assert project.ran == {"1": 1, "2": 1}
    assert project.trials["x:1"]["reason"].startswith("in teardown: gw")
    assert project.run("--sweep-resume")[0] == 0
    assert project.cached == {"x:2"}, output


def test_a_worker_that_dies_after_the_teardown_has_passed_its_trial(project):
    write(project, "", isolate=False)
    project.write("""
@pytest.mark.sweep(grid={"x": [1, 2]})
def test_f(x, trial):
    ran(x)
    (trial.path / "model").write_text(str(x))
    return x
""")
    project.path.joinpath("conftest.py").write_text("""
import os, pytest

class Deadly:
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report):
        if report.when == "teardown" and report.nodeid.endswith("[x:1]"):
            os._exit(1)

def pytest_configure(config):
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Deadly())
""")
    code, output = project.run("-n2")
    assert code == 0, output
    assert project.states == {"complete": 2}
    assert project.ran == {"1": 1, "2": 1}
    assert "2 passed" in output
    assert "x:1 had ended when gw" in output


@pytest.mark.parametrize("moment", LOST)
@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "n1"])
def test_an_isolated_trial_that_has_passed_when_its_process_dies_has_passed(
    project, moment, workers
):
    conftest = OWN + LOST[moment].format(where="ISOLATED in GIVEN")
    write(project, conftest, isolate=True)
    code, output = project.run("-v", *workers)
    assert code == 0, output
    assert "2 passed" in output
    assert project.states == {"complete": 2}
    assert (project.ran["1"], project.ran["2"]) == (1, 1)
    (note,) = project.notes
    assert note == "test_f: x:1 had ended when its process died: exit code 1"
