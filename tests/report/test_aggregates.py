"""The page sums up in JavaScript what passes its filters: as Python does, to the last digits."""

from dataclasses import replace
from math import inf, isclose, nan
from random import Random

import pytest
from report_parts import Opened, a_study, a_trial

from pytest_hypersearch import Results, choice, uniform
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.report.figures import Plots
from pytest_hypersearch.results.report.page import page
from pytest_hypersearch.results.report.payload import beside
from pytest_hypersearch.results.study_history import Reported
from pytest_hypersearch.stats.ranking import rank_study
from pytest_hypersearch.store.find import Loaded

pytestmark = pytest.mark.browser

HARD = {
    "one": [0.1],
    "two": [0.1, -0.3],
    "equal": [0.1, 0.1, 0.1],
    "close": [1e8 + 0.1, 1e8 + 0.2, 1e8 + 0.4],
    "huge": [1e200, 3e200, -1e200, 2e200],
    "gaps": [nan, 1.0, inf, 2.0, -inf, None, 4.0, 8.0, 16.0],
    "none": [nan],
    "many": [k * 0.7 % 1 for k in range(60)],
}


@pytest.fixture(scope="module")
def study():
    """Groups whose sums are hard, beside trials that do not count."""
    sweep = a_study(trials=1).study.sweeps[0]
    space = Space(({"act": choice(list(HARD)), "x": uniform(0, 1)},))
    values = [(name, value) for name, all_of in HARD.items() for value in all_of]
    trials = []
    for number, (name, value) in enumerate(values):
        known = {"acc": 1.0} if value is None else {"acc": 1.0, "cost": value}
        trial = replace(_trial(number, name), metrics=known, score=1.0, state=State.COMPLETE)
        trials += [trial, replace(trial, replicate=1, state=State.PRUNED)]
    known = replace(sweep, others=(), space=space)
    return replace(a_study(trials=1).study, sweeps=(known,), trials=tuple(trials))


def _trial(number, name):
    params = {"lr": 0.1, "dropout": 0.1}
    trial = a_trial("random", number, 0, params, Random(number))
    return replace(trial, params={"act": name, "x": number / 100})


@pytest.fixture(scope="module")
def opened_page(browser, study, tmp_path_factory):
    file = tmp_path_factory.mktemp("hard") / "report.html"
    file.write_text(page([Reported(study, {})], beside(file)), encoding="utf-8")
    window = browser.new_page()
    yield Opened(window, file.as_uri())
    window.close()


def drawn(report):
    """What the page draws of each group: its mean, its bar, its statistic."""
    report.painted("aggregation")
    traces, names = report.page.evaluate(
        """(plot => [
            plot.data.map(one => [Array.from(one.y), one.error_y && Array.from(one.error_y.array)]),
            plot.layout.xaxis.ticktext.map(text => text.split("<br>")[0]),
        ])(document.querySelector("#aggregation .plot"))"""
    )
    means, bars = traces[0]
    return {name: (means[k], bars[k], traces[-1][0][k]) for k, name in enumerate(names)}


@pytest.mark.parametrize(
    ("statistic", "bars"), [("mean", "ci"), ("median", "sem"), ("min", "std"), ("max", "none")]
)
@pytest.mark.parametrize("low", [0.0, 0.12])
def test_the_page_and_python_agree(opened_page, study, statistic, bars, low):
    opened_page.go(f"metric=cost&by=p.act&stat={statistic}&bars={bars}&in.x={low}..")
    found = drawn(opened_page)
    results = Results([Loaded(study, ())]).filter(x__ge=low)
    rows = {row["params.act"]: row for row in results.group_by("act").agg("cost") if row["n"]}
    assert found.keys() == rows.keys()
    for name, (mean, bar, value) in found.items():
        row = rows[name]
        half = {"ci": row["high"] and row["high"] - row["mean"], "none": None}.get(
            bars, row.get(bars)
        )
        assert mean == pytest.approx(row["mean"], rel=1e-12)
        assert value == pytest.approx(row[statistic], rel=1e-12)
        assert isclose(bar, half or 0, rel_tol=1e-6, abs_tol=1e-16), (name, bar, half)


@pytest.mark.parametrize("bars", ["ci", "sem", "std"])
def test_the_figure_for_notebooks_agrees_with_the_table(study, bars):
    plots = Plots(Reported(study, {}), rank_study(study))
    figure = plots.aggregation("act", metric="cost", statistic="median", bars=bars)
    means, medians = figure.data
    rows = {r["params.act"]: r for r in Results([Loaded(study, ())]).group_by("act").agg("cost")}
    for name, mean, bar, middle in zip(
        means.x, means.y, means.error_y.array, medians.y, strict=True
    ):
        row = rows[name.split()[0]]
        assert (mean, middle) == (row["mean"], row["median"])
        half = row["high"] and row["high"] - row["mean"] if bars == "ci" else row[bars]
        assert bar == pytest.approx(half, rel=1e-6) if half else not bar
