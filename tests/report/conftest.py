"""A real browser, and reports made of studies that are written down here."""

import math
import os
import random
import shutil
from contextlib import contextmanager

import pytest

from pytest_hypersearch import choice, loguniform, uniform
from pytest_hypersearch.goals import Goal
from pytest_hypersearch.report import Reported, page
from pytest_hypersearch.results import StudyResults, SweepInfo
from pytest_hypersearch.space import Space
from pytest_hypersearch.trial import Key, State, TrialRecord

HOSTILE = "</script><img src=x onerror='window.ran=1'>"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def a_trial(sweep, number, replicate, params, rng):
    score = 1 - 0.1 * (math.log10(params["lr"]) + 3) ** 2 - params["dropout"] / 5 + rng.gauss(0, 0.01)
    failed, pruned = number == 3, number % 5 == 4
    state = State.FAILED if failed else State.PRUNED if pruned else State.COMPLETE
    return TrialRecord(
        f"test_it.py::test_net[{sweep}-{number:03d}-r{replicate}]",
        sweep,
        number,
        replicate,
        params,
        state,
        None if failed else score,
        {} if failed else {"acc": score, "cost": 1 + 5 * params["dropout"] + rng.random()},
        duration=1.0 + rng.random(),
        worker=f"gw{number % 2}",
        started=1_700_000_000.0 + number * 2,
        reason="ValueError: nan" if failed else "",
        error="Traceback ...\nValueError: nan" if failed else "",
        logged={"commit": "abc", "api_key": "very secret"},
    )


def a_study(trials=20, nodeid="test_it.py::test_net", hostile="act"):
    """Two strategies, two replicates: complete, pruned and failed trials, and their curves."""
    rng = random.Random(5)
    space = Space(
        (
            {
                "lr": loguniform(1e-5, 1e-1),
                "dropout": uniform(0, 1),
                hostile: choice(["relu", "tanh", hostile]),
            },
        )
    )
    sweeps = tuple(
        SweepInfo(
            name, name, "acc", "max", 0, 2, 2 * trials, (), space.varied, (), 9.0, (Goal("cost", "min"),), space=space
        )
        for name in ("random", "bayes")
    )
    records = []
    for sweep in sweeps:
        for number in range(trials):
            params = {name: one.from_unit(rng.random()) for name, one in space.branches[0].items()}
            records += [a_trial(sweep.name, number, replicate, params, rng) for replicate in (0, 1)]
    curves = {
        Key(one.sweep, one.number, one.replicate): {"acc": ([0, 1, 2], [0.1, 0.4, one.score])}
        for one in records
        if one.score is not None
    }
    return Reported(StudyResults(nodeid, sweeps, tuple(records)), curves)


@pytest.fixture(scope="session")
def browser():
    """Chromium, the same for all tests."""
    if not CHROMIUM:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


class Opened:
    """A report in the browser, and all that went wrong in it."""

    def __init__(self, page, url):
        self.page = page
        self.wrong = []
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda said: said.type == "error" and self.wrong.append(said.text))
        page.on("request", lambda request: self._requested(request.url, url))
        page.goto(url)
        page.wait_for_selector("body[data-ready]")

    def _requested(self, url, own):
        if not url.startswith((own.partition("#")[0], "data:", "blob:")):
            self.wrong.append(url)

    def painted(self, view):
        """How often a view was drawn, after it came into sight and is up to date."""
        self.page.evaluate("id => document.getElementById(id).scrollIntoView()", view)
        self.page.wait_for_selector(f"#{view}[data-drawn]")
        return int(self.page.get_attribute(f"#{view}", "data-drawings"))

    def views(self):
        return self.page.eval_on_selector_all("#views > section", "all => all.map(one => one.id)")

    def shown(self):
        return self.page.inner_text(".count-shown")

    def cells(self, column):
        heads = [text.strip() for text in self.page.locator("#trials thead th").all_inner_texts()]
        place = heads.index(column) + 2
        return self.page.locator(f"#trials tbody tr > :nth-child({place})").all_inner_texts()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a report on studies in a window of its own, with no way to any network."""
    contexts = []

    def show(*studies, address="", **options):
        file = tmp_path / "report.html"
        file.write_text(page(studies), encoding="utf-8")
        contexts.append(browser.new_context(offline=True, **options))
        return Opened(contexts[-1].new_page(), f"{file.as_uri()}{address}")

    yield show
    for context in contexts:
        context.close()


@contextmanager
def serving(server):
    """Lets a server answer in a thread."""
    from threading import Thread

    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()
