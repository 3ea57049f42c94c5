"""The report in a real browser."""

import re
from dataclasses import replace
from math import inf, nan

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from report_parts import HOSTILE, a_hard_study, a_study, serving

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.report.serve import server
from pytest_hypersearch.store.curves import TimedSeries

pytestmark = pytest.mark.browser


def test_every_view_is_painted_without_errors_or_requests(report):
    assert len(report.views()) == 10
    for view in report.views():
        report.painted(view)
        assert report.page.locator(f"#{view} .main-svg").count(), view
    assert report.wrong == []


def test_a_filter_acts_on_all_views_and_on_the_table(report):
    before = {view: report.painted(view) for view in report.views()}
    report.page.get_by_role("checkbox", name="random", exact=True).uncheck()
    assert report.shown() == "40 of 80 trials"
    assert all("bayes" in name for name in report.cells("Configuration"))
    assert all(report.painted(view) > before[view] for view in report.views())
    history = report.page.evaluate("document.querySelector('#history .plot').data.map(t => t.name)")
    assert "random" not in history
    assert "bayes" in history


def test_bounds_of_a_parameter_filter_and_live_in_the_address(report):
    report.page.get_by_label("Filter by").select_option("in.lr")
    report.page.get_by_label("lr, lowest").fill("1e-3")
    report.page.keyboard.press("Tab")
    assert "in.lr=1e-3.." in report.page.url
    assert all(float(value) >= 1e-3 for value in report.cells("lr"))


def test_an_address_restores_what_it_was_taken_from(opened):
    address = "#state=complete&sweep=bayes&is.act=tanh&sort=m.cost&sel=bayes-2-r0&sel=bayes-5"
    report = opened(a_study(hostile="act"), address=address)
    assert set(report.cells("act")) == {"tanh"}
    costs = [float(value.split()[0]) for value in report.cells("cost")]
    assert costs == sorted(costs)
    assert report.page.locator("#comparison thead th").count() == 2
    assert report.page.locator("#comparison .better, #comparison .worse").count() == 2


def test_names_and_values_run_nothing(opened):
    study = a_study(hostile=HOSTILE)
    report = opened(study, address="#trial=random-0-r0&sel=random-0-r0&sel=random-1-r0")
    for view in report.views():
        report.painted(view)
    assert report.page.evaluate("window.ran") is None
    assert report.page.locator("img").count() == 0
    assert HOSTILE in report.page.inner_text("#comparison")
    assert HOSTILE in report.page.inner_text("#detail")
    assert report.wrong == []


def test_the_keyboard_sorts_and_opens_a_trial(report):
    head = report.page.locator("#trials th", has_text="cost")
    head.get_by_role("button").focus()
    report.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    report.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    costs = [float(value.split()[0]) for value in report.cells("cost")]
    assert costs == sorted(costs, reverse=True)
    report.page.locator("#trials tbody button:not(.fold)").first.focus()
    report.page.keyboard.press("Enter")
    assert report.page.locator("#detail").is_visible()
    report.page.keyboard.press("Escape")
    expect(report.page).not_to_have_url(re.compile("trial="))
    assert not report.page.locator("#detail").is_visible()


@pytest.mark.parametrize(
    ("view", "last"),
    [
        ("history", "bayes-19-r1"),
        ("slices", "bayes-18-r1"),  # the last complete one
        ("parallel", "bayes-18-r1"),
        ("curves", "bayes-19-r1"),
        ("timeline", "bayes-19-r1"),
    ],
)
def test_keys_step_through_the_trials_of_a_figure(report, view, last):
    report.painted(view)
    said = report.page.locator(f"#{view} [role=status]")
    report.page.locator(f"#{view} .plot").focus()
    for key, name in [
        ("ArrowRight", "random-0-r0"),
        ("End", last),
        ("Home", "random-0-r0"),
    ]:
        report.page.keyboard.press(key)
        assert said.inner_text().startswith(f"{name}, ")
    report.page.wait_for_selector(f"#{view} .hoverlayer .hovertext")
    report.page.keyboard.press("Enter")
    assert report.page.inner_text("#detail-title") == "random-0-r0"
    report.page.keyboard.press("Escape")
    expect(report.page).not_to_have_url(re.compile("trial="))
    report.page.keyboard.press("ArrowRight")
    assert said.inner_text().startswith("random-0-r1, ")
    assert "sel=" not in report.page.url
    assert report.wrong == []


@pytest.mark.parametrize(
    ("view", "words"),
    [("aggregation", "random: mean 0.7"), ("strategies", "random, 0."), ("importance", "lr: ")],
)
def test_keys_step_through_what_is_no_trial(report, view, words):
    report.painted(view)
    report.page.locator(f"#{view} .plot").focus()
    report.page.keyboard.press("ArrowDown")
    assert report.page.inner_text(f"#{view} [role=status]").startswith(words)
    report.page.keyboard.press("Enter")
    assert not report.page.locator("#detail").is_visible()


def test_artifacts_are_links_from_wherever_the_page_is(opened, tmp_path):
    saved = tmp_path / "a b" / "artifacts" / "random-0-r0"
    for name in ("model.txt", "sub/100% #1?.txt", HOSTILE.replace("/", "")):
        (saved / name).parent.mkdir(parents=True, exist_ok=True)
        (saved / name).write_text(f"this is {name}")
    (tmp_path / "secret.txt").write_text("of somebody else")
    (saved / "link.txt").symlink_to(tmp_path / "secret.txt")
    report = opened(
        a_study(trials=3)._replace(runs=[tmp_path / "a b"]), address="#trial=random-0-r0"
    )
    links = report.page.locator("#detail .artifacts a")
    names = [HOSTILE.replace("/", ""), "model.txt", "sub/100% #1?.txt"]
    assert sorted(links.all_inner_texts()) == names
    for name in names[1:]:
        with report.page.expect_popup() as popup:
            links.get_by_text(name, exact=True).click()
        assert popup.value.inner_text("body") == f"this is {name}"
        popup.value.close()
    report.go("trial=random-1-r0")
    assert report.page.locator("#detail .artifacts").count() == 0


def test_what_is_no_number_is_sorted_behind_the_numbers(opened):
    study = a_study(trials=6)
    known = [
        replace(one, metrics={**one.metrics, "cost": [nan, 3.0, inf, 1.0, 2.0][place % 5]})
        for place, one in enumerate(study.study.trials)
    ]
    study = study._replace(study=replace(study.study, trials=tuple(known)))
    report = opened(study, address="#sort=m.cost")
    costs = report.cells("cost")
    assert costs == sorted(costs, key=lambda text: (not text[0].isdigit(), text))


def test_equal_configurations_are_all_on_the_front(opened):
    study = a_study(trials=4)
    alike = tuple(
        replace(one, metrics={"acc": 0.5, "cost": 2.0}, state=State.COMPLETE, score=0.5)
        for one in study.study.trials
    )
    report = opened(study._replace(study=replace(study.study, trials=alike)))
    report.painted("pareto")
    text = "8 configurations of 8 on the front, means over replicates"
    assert report.page.inner_text("#pareto .caption") == text


def test_a_curve_of_one_value_is_seen(opened):
    study = a_study(trials=2)
    curves = {key: {"acc": TimedSeries([0], [0.5], [1.0])} for key in study.curves}
    report = opened(study._replace(curves=curves))
    report.painted("curves")
    dots = (
        "[...document.querySelectorAll('#curves .points path')].filter(one => one.getBBox().width)"
    )
    assert report.page.evaluate(f"{dots}.length") == len(curves)


def test_details_tell_the_error_and_no_secret(report):
    report.go("trial=bayes-3-r1")
    text = report.page.inner_text("#detail")
    assert "Traceback ...\nValueError: nan" in text
    assert "very secret" not in report.page.content() + text


@pytest.mark.parametrize(
    "options",
    [{}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}],
    ids=["wide-light", "narrow-dark"],
)
def test_everyone_can_use_it(opened, options):
    one, other = a_study(), a_study(nodeid="test_it.py::test_other")
    far = replace(one.study, run=f"/home/{'x' * 80}/0001")
    report = opened(one._replace(study=far), other, address="#sel=bayes-2-r0", **options)
    report.painted("history")
    assert Axe().run(report.page).response["violations"] == []
    assert report.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_figures_fit_their_cards_when_neighbours_go(report):
    report.painted("importance")
    report.page.evaluate("document.getElementById('strategies').hidden = true")
    # a promise, as what polls in the page is refused by its content security policy
    fit = """async () => {
        const all = () => [...document.querySelectorAll('#views .view:not([hidden]) .main-svg')];
        const fits = one => Math.abs(one.clientWidth - one.closest('.plot').clientWidth) <= 1;
        for (let frame = 0; frame < 600 && !all().every(fits); frame++)
            await new Promise(requestAnimationFrame);
        return all().every(fits);
    }"""
    assert report.page.evaluate(fit)
    report.page.evaluate("document.getElementById('strategies').hidden = false")
    assert report.page.evaluate(fit)
    report.page.set_viewport_size({"width": 700, "height": 900})
    assert report.page.evaluate(fit)
    report.page.set_viewport_size({"width": 1280, "height": 720})


def test_many_trials_are_thinned_out_and_the_page_says_so(opened):
    report = opened(a_study(trials=500))
    report.painted("history")
    assert "points of 1,596 drawn" in report.page.inner_text("#history .caption")
    assert report.page.locator("#trials tbody tr").count() == 10


def test_a_served_report_follows_whatever_has_the_focus(browser):
    """A sweep grows, of which the page was written before the first trial."""
    ends = a_hard_study().study

    def grown(count):
        known = replace(ends, trials=ends.trials[:count])
        return [a_hard_study()._replace(study=known)] if count else []

    count = [0]
    with serving(server(lambda: grown(count[0]), lambda: str(count[0]))) as url:
        window = browser.new_page()
        window.goto(url)
        window.wait_for_selector("body[data-ready]")
        expect(window.locator("#subtitle")).to_have_text("No sweep has run yet")
        for count[0], place in [
            (9, "#filters select"),
            (12, "#trials input"),
            (18, "#trials button.fold"),
        ]:
            expect(window.locator(".count-shown")).to_have_text(f"{count[0]} trials")
            window.locator(place).first.focus()
        window.get_by_label("Filter by").select_option("in.depth")
        field = window.get_by_label("depth, lowest")
        field.fill("1")
        for count[0] in (24, 42):  # also as names and options come that were not there
            expect(window.locator(".count-shown")).to_have_text(f"{count[0]} trials")
            expect(field).to_be_focused()
            expect(field).to_have_value("1")
        window.close()


def test_a_page_whose_first_data_is_old_catches_up(browser):
    """The sweep ends after the page was written and before it first asks."""
    stored = [a_study(trials=5), a_study(trials=6)]
    with serving(
        server(lambda: [stored.pop(0) if stored[1:] else stored[0]], lambda: "end")
    ) as url:
        window = browser.new_page()
        window.goto(url)
        expect(window.locator(".count-shown")).to_have_text("24 trials")
        window.close()


def focus_of(report):
    return report.page.evaluate("document.activeElement.dataset.key ?? document.activeElement.id")


def test_the_focus_stays_where_it_was(report):
    name = report.cells("Configuration")[0].strip("▸ \n")
    report.page.get_by_label(f"Compare {name}", exact=True).press("Space")
    assert focus_of(report) == f"tick {name}"
    report.page.locator("#trials").get_by_role("button", name=name, exact=True).press("Enter")
    report.page.get_by_role("button", name="Remove from comparison").press("Enter")
    assert focus_of(report) == "compare"
    report.page.keyboard.press("Escape")
    expect(report.page).not_to_have_url(re.compile("trial="))
    assert focus_of(report) == f"open {name}"
    head = report.page.locator("#trials th button", has_text="cost")
    head.press("Enter")
    assert focus_of(report) == "sort m.cost"
    report.go("in.lr=1e-3..")
    report.page.get_by_label("Remove the filter on lr").press("Enter")
    expect(report.page.get_by_label("Filter by")).to_be_focused()


def test_back_takes_the_last_change_back(report):
    report.page.get_by_role("checkbox", name="random", exact=True).uncheck()
    report.page.locator("#trials tbody button:not(.fold)").first.click()
    assert report.page.locator("#detail").is_visible()
    report.page.go_back()
    expect(report.page.locator("#detail")).not_to_be_visible()
    assert report.shown() == "40 of 80 trials"
    report.page.go_back()
    expect(report.page.locator(".count-shown")).to_have_text("80 trials")
    report.page.go_forward()
    expect(report.page.locator(".count-shown")).to_have_text("40 of 80 trials")


@pytest.mark.parametrize(
    ("low", "high", "says"), [("a lot", "", "a lot: expected a number"), ("2", "1", "2 is above 1")]
)
def test_bounds_that_make_no_sense_are_told(report, low, high, says):
    report.go("show=in.lr")
    for name, text in [("highest", high), ("lowest", low)]:
        report.page.get_by_label(f"lr, {name}").fill(text)
        report.page.keyboard.press("Tab")
    assert report.page.inner_text("#filters [role=alert]") == says
    assert report.page.get_by_label("lr, lowest").input_value() == low
    report.page.get_by_label("lr, lowest").fill("0.001")
    report.page.get_by_label("lr, highest").fill("")
    report.page.keyboard.press("Tab")
    assert report.page.inner_text("#filters [role=alert]") == ""
    assert "in.lr=0.001.." in report.page.url
