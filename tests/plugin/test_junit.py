"""JUnit XML: what it tells of trials and sweeps."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

PLAIN_AND_WORKERS = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "workers"])

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
