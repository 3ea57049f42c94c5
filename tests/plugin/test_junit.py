"""JUnit XML: what it tells of trials and sweeps."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from pytest_hypersearch import load_results

PLAIN_AND_WORKERS = pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "workers"])

SWEEP = """
@pytest.mark.sweep(grid={"x": [2, 1, 3]}, metric="loss", raises=ValueError)
def test_f(x, trial):
    if x == 3:
        trial.prune("too far")
    return x / 4

def test_plain(record_property):
    record_property("own", "kept")
"""


def properties(element):
    return {each.get("name"): each.get("value") for each in element.findall("properties/property")}


@PLAIN_AND_WORKERS
def test_cases_and_suite_have_properties(project, workers):
    project.write(SWEEP)
    project.spawn("--junitxml=out.xml", *workers)
    (suite,) = ET.parse(project.path / "out.xml").getroot()  # noqa: S314  our own file
    cases = {case.get("name"): properties(case) for case in suite.findall("testcase")}
    assert cases["test_f[x:1]"] == {
        "hypersearch.state": "complete",
        "hypersearch.score": "0.25",
        "hypersearch.params": '{"x": 1}',
        "hypersearch.replicate": "0",
    }
    assert cases["test_f[x:3]"]["hypersearch.state"] == "pruned"
    assert cases["test_plain"] == {"own": "kept"}
    found = properties(suite)
    head = "hypersearch.test_it.py::test_f.grid.best"
    assert found[f"{head}.loss"] == "0.25"
    assert json.loads(found[f"{head}.params"]) == {"x": 1}
    assert found[f"{head}.trial"] == "test_it.py::test_f[x:1]"


HOSTILE = r"""
NAME = "lo\x08ss\x1b[31m\x00\ufffe"
EVIL = NAME + "\ud800"

@pytest.mark.sweep(grid={"a": [1, 2, 3, 4, 5, EVIL]}, metric=NAME, constraints={NAME + "b": "<= 5"})
def test_f(a, trial):
    trial.log({EVIL: EVIL})
    trial.report({NAME: 1.0})
    print(EVIL)
    if a == 1:
        raise ValueError(EVIL)
    if a == 2:
        trial.prune(EVIL)
    if a == 3:
        pytest.skip(EVIL)
    if a == 4:
        pytest.fail(EVIL, pytrace=False)
    return {NAME: 1.0, NAME + "b": 2.0}

@pytest.mark.sweep(bayes={"b": [EVIL, EVIL + "c"]}, n_trials=2, metric=[NAME, "m"])
def test_g(b):
    return {NAME: 1.0, "m": 2.0}
"""


@PLAIN_AND_WORKERS
def test_no_text_ends_the_session_or_spoils_the_file(project, monkeypatch, workers):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    project.write(HOSTILE)
    code, output = project.spawn("--junitxml=out.xml", "--sweep-report=page.html", "-v", *workers)
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    assert code == 1
    assert "2 failed, 4 passed, 1 skipped, 1 pruned" in output
    (suite,) = ET.parse(project.path / "out.xml").getroot()  # noqa: S314  our own file
    assert len(suite.findall("testcase")) == 8
    (name,) = (name for name in properties(suite) if "grid.best.lo" in name)
    assert name.endswith("grid.best.lo#x08ss#x1B[31m#x00#xFFFE")
    assert "ufffe" in (project.path / "summary.md").read_text(encoding="utf-8")
    assert (project.path / "page.html").stat().st_size > 0
    frame = load_results(project.path).table(as_dataframe=True)
    assert "metrics.lo\x08ss\x1b[31m\x00\ufffe" in frame
    assert len(frame) == 8
