"""What can be taken from the page: figures, tables, texts to copy, paper, and another look."""

import csv
import json

import pytest
from playwright.sync_api import expect
from report_parts import a_hard_study, taken

from pytest_hypersearch.core.study import scores_of

pytestmark = pytest.mark.browser


def test_figures_are_taken(hard):
    hard.painted("history")
    name, content = taken(hard, "#history", "PNG")
    assert (name, content[:4]) == ("history.png", b"\x89PNG")
    name, content = taken(hard, "#history", "SVG")
    assert (name, content[:4]) == ("history.svg", b"<svg")
    assert hard.wrong == []


def test_the_filtered_table_is_taken(hard):
    hard.go("state=complete")
    complete = scores_of(a_hard_study().study.trials)
    name, content = taken(hard, "#trials", "CSV")
    rows = list(csv.DictReader(content.decode().splitlines()))
    assert name == "trials.csv"
    assert sorted(float(row["metrics.loss"]) for row in rows) == pytest.approx(sorted(complete))
    name, content = taken(hard, "#trials", "JSON")
    assert [row["number"] for row in json.loads(content)] == [int(row["number"]) for row in rows]
    assert {row["params.net"] for row in json.loads(content)} <= {
        f"resnet_on_cifar_{letter}" for letter in "abc"
    }


def test_texts_are_copied(hard):
    hard.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    hard.page.locator("#trials tbody button:not(.fold)").first.click()
    copied = {}
    for label in ("Copy parameters", "Copy command", "Copy link"):
        hard.page.get_by_role("button", name=label).click()
        expect(hard.page.get_by_role("button", name="Copied")).to_be_visible()
        copied[label] = hard.page.evaluate("navigator.clipboard.readText()")
        expect(hard.page.get_by_role("button", name="Copied")).to_have_count(0)
    assert len(json.loads(copied["Copy parameters"])) == 24
    assert copied["Copy command"].endswith(" --sweep-rerun")
    assert copied["Copy command"].count("test_hard[") == 3
    assert copied["Copy link"] == hard.page.url


def test_columns_are_chosen(hard):
    menu = hard.page.locator("#trials details").first
    menu.locator("summary").click()
    for name in ("loss", "net"):
        menu.get_by_label(name, exact=True).check()
    heads = hard.page.locator("#trials thead th").all_inner_texts()
    assert heads == ["Configuration", "loss", "net"]


def colour(report):
    return report.page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_light_or_dark_is_a_choice(hard):
    light = colour(hard)
    hard.painted("history")
    ink = "document.querySelector('#history .plot').layout.font.color"
    before = hard.page.evaluate(ink)
    hard.page.get_by_label("Colours").select_option("dark")
    assert colour(hard) != light
    hard.painted("history")
    assert hard.page.evaluate(ink) != before
    hard.page.get_by_label("Colours").select_option("light")
    assert colour(hard) == light
    # what is no choice of colours leaves the style sheets alone, or every element is styled anew
    hard.page.evaluate(
        """() => {
            const kept = Object.getOwnPropertyDescriptor(MediaList.prototype, "mediaText");
            const set = () => { throw new Error("styles are told anew"); };
            Object.defineProperty(MediaList.prototype, "mediaText", { ...kept, set });
        }"""
    )
    hard.go("theme=light&sort=duration")
    hard.page.reload()
    hard.page.wait_for_selector("body[data-ready]")
    assert not hard.wrong


def test_paper_is_light_and_has_all_figures(hard):
    hard.go("theme=dark")
    hard.page.evaluate(
        """window.print = () => {
            window.printed = [
                getComputedStyle(document.body).backgroundColor,
                document.querySelectorAll("#views > [data-drawn]").length,
            ];
        }"""
    )
    hard.page.get_by_role("button", name="Print").click()
    hard.page.wait_for_selector("body:not([data-printing])")
    hard.page.evaluate(
        "new Promise(done => { if (window.printed) done(); setTimeout(done, 3000) })"
    )
    background, drawn = hard.page.evaluate("window.printed")
    assert drawn == len(hard.views())
    assert background == "rgb(251, 251, 250)"


def test_curves_are_smoothed_and_are_in_the_details(report):
    report.go("trial=random-0-r0")
    report.page.wait_for_selector("#detail .main-svg")
    curve = "Array.from(document.querySelector('#detail .plot').data[0].y).slice(0, 3)"
    raw = report.page.evaluate(curve)
    assert raw[:2] == [0.1, 0.4]
    report.leave_detail()
    report.go("smooth=0.6&trial=random-0-r0")
    report.page.wait_for_selector("#detail .main-svg")
    smooth = report.page.evaluate(curve)
    assert smooth[1] == pytest.approx((0.6 * 0.4 * 0.1 + 0.4 * 0.4) / (0.6 * 0.4 + 0.4))
    report.leave_detail()
    report.go("sel=random-0-r0")
    report.painted("curves")
    report.page.locator("#curves").get_by_label("Across").select_option("wall time")
    report.painted("curves")
    figure = "document.querySelector('#curves .plot')"
    times = f"Array.from({figure}.data.at(-1).x).slice(0, 3)"
    assert report.page.evaluate(times) == [0.5, 1.0, 2.0]
    title = f"{figure}.layout.xaxis.title.text"
    assert report.page.evaluate(title) == "seconds since the trial started"
    assert report.wrong == []
