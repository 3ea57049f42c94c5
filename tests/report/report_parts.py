"""Studies that are written down here, the report on them in a browser, and its server."""

import math
import random
from contextlib import contextmanager
from dataclasses import replace

from pytest_hypersearch import choice, loguniform, randint, uniform
from pytest_hypersearch.core.goals import Constraint, Goal
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Key, State, TrialRecord
from pytest_hypersearch.results.study_history import Reported
from pytest_hypersearch.store.curves import TimedSeries

HOSTILE = "</script><img src=x onerror='window.ran=1'>"


def a_trial(sweep, number, replicate, params, rng):
    score = (
        1 - 0.1 * (math.log10(params["lr"]) + 3) ** 2 - params["dropout"] / 5 + rng.gauss(0, 0.01)
    )
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
        duration=1.0 + 0.2 * replicate + 0.5 * (sweep == "bayes"),
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
        Sweep(
            name=name,
            strategy=name,
            space=space,
            n_trials=trials,
            metric="acc",
            mode="max",
            others=(Goal("cost", "min"),),
            replicates=2,
            planned=2 * trials,
            elapsed=9.0,
        )
        for name in ("random", "bayes")
    )
    records = []
    for sweep in sweeps:
        for number in range(trials):
            params = {name: one.from_unit(rng.random()) for name, one in space.branches[0].items()}
            records += [a_trial(sweep.name, number, replicate, params, rng) for replicate in (0, 1)]
    curves = {
        Key(one.sweep, one.number, one.replicate): {
            "acc": TimedSeries([0, 1, 2], [0.1, 0.4, one.score], [0.5, 1.0, 2.0])
        }
        for one in records
        if one.score is not None
    }
    return Reported(StudyResults(nodeid, sweeps, tuple(records)), curves)


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

    def go(self, address):
        """Ask for another state of the page, as a link to it does."""
        self.page.evaluate(
            """address => new Promise(done => {
                if (location.hash.slice(1) === address) done();
                addEventListener("hashchange", () => setTimeout(done), { once: true });
                location.hash = address;
            })""",
            address,
        )

    def leave_detail(self):
        """Close the trial that is shown; the address says so a moment later."""
        self.page.keyboard.press("Escape")
        self.page.wait_for_url(lambda url: "trial=" not in url)

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


def taken(report, place, text):
    """The file that an entry of a menu saves."""
    menu = report.page.locator(f"{place} details", has_text="Save").last
    menu.locator("summary").click()
    with report.page.expect_download() as download:
        menu.get_by_role("button", name=text, exact=True).click()
    report.page.keyboard.press("Escape")
    return download.value.suggested_filename, download.value.path().read_bytes()


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


def a_hard_study(configurations=14, replicates=3):
    """A conditional space of 25 parameters, a constraint, and trials that ended in every way."""
    rng = random.Random(2)
    shared = {f"a_rather_long_name_of_a_parameter_{k}": uniform(0, 1) for k in range(21)}
    shared |= {"depth": randint(1, 5), "net": choice([f"resnet_on_cifar_{k}" for k in "abc"])}
    space = Space((shared | {"width": randint(1, 8)}, shared | {"hidden": loguniform(1, 100)}))
    sweep = Sweep(
        name=f"random_{'x' * 40}",
        strategy="random",
        space=space,
        n_trials=configurations,
        metric="loss",
        constraints=(Constraint("memory", "<=", 4.5),),
        replicates=replicates,
        planned=replicates * configurations,
    )
    records = []
    for number in range(configurations):
        branch = space.branches[number % 2]
        params = {name: one.from_unit(rng.random()) for name, one in branch.items()}
        for replicate in range(replicates):
            loss = params["depth"] // 2 + 0.1 * replicate + 0.01 * rng.random()
            records.append(
                TrialRecord(
                    f"test_it.py::test_hard[{sweep.name}-{number:03d}-r{replicate}]",
                    sweep.name,
                    number,
                    replicate,
                    params,
                    _HARD_STATES.get((number, replicate), State.COMPLETE),
                    loss,
                    {"loss": loss, "memory": params["depth"] + 0.0},
                    steps=5 if number == 1 else 10,
                    duration=1.0,
                    started=1_700_000_000.0 + 3 * number + replicate,
                    reason="OSError: no disk" if number == 0 else "",
                )
            )
    records = [one if one.state is State.COMPLETE else _unfinished(one) for one in records]
    return Reported(StudyResults(f"test_it.py::test_hard_{'y' * 60}", (sweep,), tuple(records)), {})


_HARD_STATES = {
    (0, 0): State.FAILED,
    (0, 1): State.FAILED,
    (0, 2): State.FAILED,
    (1, 0): State.PRUNED,
    (2, 2): State.FAILED,
    (3, 1): State.RUNNING,
}


def _unfinished(one):
    score = one.score if one.state is State.PRUNED else None
    ended = {"duration": 0.0} if one.state is State.RUNNING else {}
    return replace(one, score=score, metrics={}, **ended)
