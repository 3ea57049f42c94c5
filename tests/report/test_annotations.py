"""Tags and notes on the page."""

import json
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from report_parts import Opened, serving, taken

from pytest_hypersearch import load_results
from pytest_hypersearch.results.report.serve import server, stamp_of
from pytest_hypersearch.store.find import STORE

pytestmark = pytest.mark.browser


def test_trials_and_runs_are_tagged_in_the_live_page(browser, swept, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(swept, project)
    store = project / ".pytest_cache" / STORE

    def load():
        return load_results(project).filter(test="test_net").reported()

    context = browser.new_context()
    with serving(server(load, lambda: stamp_of([store]))) as url:
        report = Opened(context.new_page(), url)
        page, dialog = report.page, report.page.locator("#detail")
        name = report.cells("Configuration")[0].strip("▸ \n")
        page.locator("#trials").get_by_role("button", name=name, exact=True).click()
        note = dialog.get_by_label("Note")
        dialog.get_by_label("Tags").fill("good, to check")
        note.fill("overfits <b>late</b>")
        (study,) = load_results(project).filter(test="test_net").studies
        other = store / study.run.rpartition("hypersearch/")[2]
        with page.expect_response(lambda answer: answer.status == 200):
            other.joinpath("notes.jsonl").touch()  # newer data comes while somebody writes
        expect(note).to_have_value("overfits <b>late</b>")
        expect(note).to_be_focused()
        assert Axe().run(page).response["violations"] == []
        note.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#trials tbody .tag").first).to_have_text("good")
        page.keyboard.press("Escape")
        assert report.cells("Tags")[0].split("\n") == ["good", "to check", "✎"]
        page.get_by_role("button", name="This run").click()
        dialog.get_by_label("Tags").fill("x" * 61)
        dialog.get_by_role("button", name="Save").click()
        expect(dialog.get_by_role("alert")).to_contain_text("expected 1 to 60 characters")
        dialog.get_by_label("Tags").fill("candidate")
        dialog.get_by_role("button", name="Save").click()
        expect(page.locator("#subtitle .tag")).to_have_text("candidate")
        page.keyboard.press("Escape")
        menu = page.locator("#filters details", has_text="Tags")
        menu.locator("summary").click()
        menu.get_by_label("to check").check()
        page.keyboard.press("Escape")
        expect(page.locator("#trials tbody tr")).to_have_count(1)
        rows = json.loads(taken(report, "#trials", "JSON")[1])
        assert {(row["tags"], row["note"]) for row in rows} == {
            ("good, to check", "overfits <b>late</b>")
        }
        assert [text for text in report.wrong if "400 (Bad Request)" not in text] == []
    context.close()
    (study,) = load_results(project).filter(test="test_net").studies
    assert study.tags == ("candidate",)
    assert {trial.tags for trial in study.trials} == {(), ("good", "to check")}
