"""Several runs of a test on one page."""

import re
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from report_parts import a_study

from pytest_hypersearch import load_results
from pytest_hypersearch.core.goals import Gate
from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.study import GateVerdict
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.contrasts import contrast_words

pytestmark = pytest.mark.browser


def gated(reported):
    """The study with two gates, one of which it misses, and what its session said of a third."""
    gates = tuple(Gate(metric="loss", mode="min", bound=bound) for bound in (0.1, 9.0))
    first, *others = reported.study.sweeps
    sweeps = replace(first, gates=gates), *others
    said = (GateVerdict("f1", "REGRESSED", "REGRESSED 0.9 -> 0.4", "sweeps.baseline.json"),)
    return reported._replace(study=replace(reported.study, sweeps=sweeps, gates=said))


def test_runs_are_chosen_followed_and_compared(opened, swept):
    results = load_results(swept, run="all").filter(test="test_net")
    history = results.over_runs()
    report = opened(*map(gated, results.reported()), address="#theme=light")
    page = report.page
    assert page.inner_text("#subtitle").endswith("0002")
    verdicts = page.locator("#gates li").all_inner_texts()
    assert verdicts[0].endswith("REGRESSED f1: 0.9 -> 0.4, against sweeps.baseline.json")
    assert [text.split()[0] for text in verdicts[1:]] == ["missed", "met"]

    report.painted("runs")
    figure = page.evaluate(
        """() => {
            const { data: [one], layout } = document.querySelector("#runs .plot");
            const { array, arrayminus } = one.error_y;
            return [one.x, one.y, array, arrayminus].map(each => Array.from(each)).concat(
                [layout.annotations.map(each => each.text), layout.xaxis.ticktext]);
        }"""
    )
    rows = history.table()
    x, y, above, below, words, ticks = figure
    assert (x, y) == ([0, 1], [row["best"] for row in rows])
    assert above == pytest.approx([row["high"] - row["best"] for row in rows])
    assert below == pytest.approx([row["best"] - row["low"] for row in rows])
    assert words == ["first worse"]
    assert ticks == ["0001", "0002"]
    assert "First worse: run 0002" in page.inner_text("#runs .caption")

    (change,) = (
        load_results(swept, run=2)
        .filter(test="test_net")
        .compare(load_results(swept, run=1).filter(test="test_net"))
        .changes
    )
    known = {f"{row['sweep']}-{row['number']}": row for row in change.configurations()}
    assert change.judgement.verdict == "REGRESSED"
    assert "REGRESSED" in page.inner_text("#pair .caption")
    cells = page.locator("#pair tbody tr").evaluate_all(
        "all => all.map(row => [...row.children].map(cell => cell.innerText))"
    )
    assert len(cells) == 10
    assert [row[-1] for row in cells[:4]] == ["yes", "yes", "yes", ""]
    for name, *_, before, now, loss, seeds, _ in cells:
        row = known[name]
        assert float(before) == pytest.approx(row["before"], abs=1e-4)
        assert float(now) == pytest.approx(row["now"], abs=1e-4)
        assert loss.startswith("+0.5")
        assert loss.endswith("worse")
        assert int(seeds) == row["n"]
    page.get_by_role("button", name=f"Show all {len(known)}").click()
    expect(page.locator("#pair tbody tr")).to_have_count(len(known))
    assert Axe().run(page).response["violations"] == []

    report.go("by=p.opt")
    report.painted("aggregation")
    contrast = contrast_words(load_results(swept).filter(test="test_net").compare_by("opt"))
    assert f"In pairs: {contrast}." in page.inner_text("#aggregation .caption")
    report.go("")

    page.locator("#runs .plot").focus()
    page.keyboard.press("Home")
    assert page.inner_text("#runs [role=status]").startswith("run 0001, loss 0.0")
    page.keyboard.press("Enter")
    expect(page.locator("#subtitle")).to_contain_text("0001")
    assert page.locator("#gates").is_hidden()
    page.get_by_label("Study").select_option(label="0002")
    expect(page.locator("#subtitle")).to_contain_text("0002")
    page.locator("#pair").get_by_label("Before").select_option(label="0002")
    expect(page.locator("#pair .caption")).to_contain_text("These two are not compared")

    assert report.wrong == []


def test_where_it_fails_is_drawn_and_shown(opened):
    study = a_study(hostile="act")
    broken = {"state": State.FAILED, "score": None, "metrics": {}}
    trials = tuple(
        replace(one, **broken) if one.params["act"] == "tanh" else one for one in study.study.trials
    )
    report = opened(study._replace(study=replace(study.study, trials=trials)))
    rule = report.page.locator("#notes li", has_text="Where it fails")
    assert "act=tanh" in rule.inner_text()
    _, covered, failing = re.search(r"(failing)\s+(\d+) of (\d+)", rule.inner_text()).groups()
    rule.get_by_role("button", name="Show these").click()
    expect(report.page.locator(".count-shown")).to_have_text(f"{2 * int(covered)} of 80 trials")
    assert set(report.cells("act")) == {"tanh"}
    assert int(covered) <= int(failing)


def test_configurations_are_compared_by_common_seeds(swept):
    now, before = (load_results(swept, run=run).filter(test="test_net") for run in (2, 1))
    (change,) = now.compare(before).changes
    rows = change.configurations()
    assert {config_key(row["params"]) for row in rows} <= {config_key(t.params) for t in now}
    assert {row["n"] for row in rows} == {3}
    assert {round(row["loss"], 9) for row in rows} == {0.5}
    assert sum(row["judged"] for row in rows) == 3
