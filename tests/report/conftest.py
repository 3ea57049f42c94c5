"""A real browser, and reports opened in it."""

import os
import shutil

import pytest
from report_parts import Opened, a_hard_study, a_study

from pytest_hypersearch.results.report.page import page
from pytest_hypersearch.results.report.payload import beside

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
IN_CI = os.environ.get("CI") == "true"
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser():
    """Chromium, the same for all tests."""
    if not CHROMIUM:
        (pytest.fail if IN_CI else pytest.skip)("needs Chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


def a_context(browser, **options):
    """A window with no way to any network, and with patience."""
    context = browser.new_context(offline=True, **options)
    context.set_default_timeout(120_000)
    return context


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a report on studies in a window of its own, with no way to any network."""
    contexts = []

    def show(*studies, address="", **options):
        file = tmp_path / "report.html"
        file.write_text(page(studies, beside(file)), encoding="utf-8")
        contexts.append(a_context(browser, **options))
        return Opened(contexts[-1].new_page(), f"{file.as_uri()}{address}")

    yield show
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def hard_window(browser, tmp_path_factory):
    """A report on a study with everything that is hard to show."""
    file = tmp_path_factory.mktemp("hard") / "report.html"
    file.write_text(page([a_hard_study()], beside(file)), encoding="utf-8")
    context = a_context(browser)
    yield Opened(context.new_page(), file.as_uri())
    context.close()


@pytest.fixture
def hard(hard_window):
    """That report, as it is at first."""
    hard_window.page.keyboard.press("Escape")
    hard_window.go("")
    return hard_window


@pytest.fixture(scope="session")
def window(browser, tmp_path_factory):
    """A report that tests share which do not care how it was opened."""
    file = tmp_path_factory.mktemp("shared") / "report.html"
    file.write_text(page([a_study()], beside(file)), encoding="utf-8")
    context = a_context(browser)
    yield Opened(context.new_page(), file.as_uri())
    context.close()


@pytest.fixture
def report(window):
    """The shared report, as it is at first."""
    window.page.keyboard.press("Escape")
    window.go("")
    return window
