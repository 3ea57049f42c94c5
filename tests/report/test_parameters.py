"""Many and conditional parameters, and what is written along axes."""

import re

import pytest
from report_parts import a_hard_study, a_study

from pytest_hypersearch.stats.importance import importance, pools
from pytest_hypersearch.stats.ranking import rank_study

pytestmark = pytest.mark.browser

TITLES = "Object.entries(document.querySelector('#slices .plot').layout)"
TITLES = f"{TITLES}.filter(([key]) => key.startsWith('xaxis')).map(([, one]) => one.title.text)"
NOTES = "document.querySelector('#parallel .plot').layout.annotations"
NOTES = f"{NOTES}.map(one => [one.x, one.y, one.text])"


def annotations(report):
    report.painted("parallel")
    return report.page.evaluate(NOTES)


def test_the_most_important_parameters_come_first(hard_importance):
    report, first = hard_importance
    report.painted("slices")
    titles = report.page.evaluate(TITLES)
    assert len(titles) == 8
    assert titles[: len(first)] == first
    assert "8 most important of 25 parameters" in report.page.inner_text("#slices .caption")
    report.painted("importance")
    labels = report.page.evaluate(
        "document.querySelector('#importance .plot').layout.yaxis.ticktext"
    )
    assert labels[::-1][: len(first)] == first
    assert len(labels) == len(set(labels)) == 12


@pytest.fixture
def hard_importance(hard):
    """The report and the names of the two parameters that matter most."""
    (pool,) = pools(rank_study(a_hard_study().study))
    found = importance(pool.space, pool.configs, pool.scores)
    return hard, [one.parameter for one in found if len(one.parameter) < 28][:1]


def test_parameters_are_chosen(hard):
    hard.painted("slices")
    menu = hard.page.locator("#slices details").first
    menu.locator("summary").click()
    for name in ("width", "hidden", "net"):
        menu.get_by_label(name, exact=True).check()
    hard.page.keyboard.press("Escape")
    assert menu.locator("summary").inner_text() == "Parameters: 3"
    assert hard.page.evaluate("document.activeElement.tagName") == "SUMMARY"
    hard.painted("slices")
    assert set(hard.page.evaluate(TITLES)) == {"width", "hidden", "net"}
    names = [text for _, y, text in annotations(hard) if y == 1 and text.startswith("<b>")]
    assert set(names) == {"<b>width</b>", "<b>hidden</b>", "<b>net</b>", "<b>loss</b>"}
    hard.page.reload()
    hard.page.wait_for_selector("body[data-ready]")
    hard.painted("slices")
    assert set(hard.page.evaluate(TITLES)) == {"width", "hidden", "net"}


def test_every_line_of_parallel_coordinates_reaches_every_axis(hard):
    hard.go("axes=width&axes=hidden&axes=net&axes=depth")
    texts = annotations(hard)
    assert [x for x, y, text in texts if text == "not set"] == [0, 1]
    lines = hard.page.evaluate(
        """document.querySelector('#parallel .plot').data.flatMap(one =>
            Array.from(one.y).filter((y, k) => one.customdata[k] !== null))"""
    )
    assert lines
    assert None not in lines
    assert min(lines) < 0
    # ticks of whole numbers are whole, and shortened names stay apart
    ticks = [text for x, _, text in texts if x in {0, 3} and re.fullmatch(r"[\d.]+", text)]
    assert ticks
    assert all(text.isdigit() for text in ticks)
    labels = [text for x, y, text in texts if x == 2 and y < 1]
    assert len(labels) == len(set(labels)) == 3


def test_a_box_over_the_axis_of_the_score_filters(hard):
    hard.go("axes=width&axes=depth")
    hard.painted("parallel")
    box = hard.page.locator("#parallel .nsewdrag").first.bounding_box()
    x, y, width, height = (box[name] for name in ("x", "y", "width", "height"))
    hard.page.mouse.move(x + width * 0.9, y + height * 0.6)
    hard.page.mouse.down()
    hard.page.mouse.move(x + width * 0.99, y + height * 0.99, steps=5)
    hard.page.mouse.up()
    hard.page.wait_for_url("**of.loss=*")
    assert 0 < int(hard.shown().split()[0]) < 42


def test_first_and_last_titles_are_within_the_figure(hard):
    hard.go("axes=a_rather_long_name_of_a_parameter_3&axes=net")
    hard.painted("parallel")
    outside = hard.page.evaluate(
        """(() => {
            const plot = document.querySelector('#parallel .plot').getBoundingClientRect();
            return [...document.querySelectorAll('#parallel .annotation-text')]
                .map(one => one.getBoundingClientRect())
                .filter(one => one.left < plot.left - 1 || one.right > plot.right + 1).length;
        })()"""
    )
    assert outside == 0


def test_names_that_share_a_beginning_become_different_ticks(hard):
    hard.go("axes=net&by=p.net")
    for view, axis in (("slices", "xaxis"), ("aggregation", "xaxis")):
        hard.painted(view)
        texts = hard.page.evaluate(
            f"document.querySelector('#{view} .plot').layout.{axis}.ticktext"
        )
        assert len(texts) == len(set(texts)) == 3


def test_the_ring_of_the_best_is_seen_on_any_colour(hard):
    hard.go("cx=depth&cy=a_rather_long_name_of_a_parameter_3")
    hard.painted("contour")
    rings = hard.page.evaluate(
        """document.querySelector('#contour .plot').data.slice(-2).map(one =>
            [one.marker.line.color, one.marker.line.width, one.customdata.length])"""
    )
    assert [ring[0] for ring in rings] == ["#1b1f24", "#ffffff"]
    assert rings[0][1] > rings[1][1]
    assert [ring[2] for ring in rings] == [1, 1]


def test_thinned_points_end_in_no_edge(opened):
    """Of 500 points the best 17 are drawn, and the others evenly: no band is denser."""
    study = a_study(trials=500)
    report = opened(study)
    report.painted("history")
    drawn = report.page.evaluate(
        """document.querySelector('#history .plot').data.slice(0, 2)
            .flatMap(one => Array.from(one.customdata))"""
    )
    ranking = rank_study(study.study).rankings[0].ordered
    order = [f"{one.sweep.name}-{one.number}-r{t.replicate}" for one in ranking for t in one.trials]
    seen = set(drawn)
    quarters = [
        len(seen.intersection(order[k * len(order) // 4 : (k + 1) * len(order) // 4]))
        for k in range(4)
    ]
    assert len(seen) == 500
    assert max(quarters) < 1.3 * min(quarters)
    assert seen.issuperset(order[:17])


def test_long_names_fit_narrow_windows(opened):
    address = f"#sel=random_{'x' * 40}-1&show=in.a_rather_long_name_of_a_parameter_3&show=is.net"
    report = opened(a_hard_study(), address=address, viewport={"width": 390, "height": 844})
    for view in report.views():
        report.painted(view)
        assert report.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
    assert report.wrong == []
