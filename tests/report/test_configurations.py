"""The table of configurations and what the page says of them: as Python ranks and judges them."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect
from report_parts import a_hard_study

from pytest_hypersearch import Results
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.terminal.lines import doubtful
from pytest_hypersearch.stats.ranking import rank_study
from pytest_hypersearch.store.find import Loaded

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def ranked():
    return rank_study(a_hard_study().study)


def test_configurations_are_ranked_and_judged_as_in_python(hard, ranked):
    ranking = ranked.rankings[0]
    ids = [f"{one.sweep.name}-{one.number}" for one in ranking][:10]
    assert [text.strip("▸▾ \n") for text in hard.cells("Configuration")] == ids
    means = [tuple(map(float, text.split(" ± "))) for text in hard.cells("loss")]
    for (mean, std), one in zip(means, ranking, strict=False):
        assert (mean, std) == pytest.approx((one.score, one.std), rel=0.05)
    feasible = ranking.feasible
    alike = doubtful(feasible, ranked.study)
    verdicts = [
        "best",
        *("not significantly worse" if one.number in alike else "worse" for one in feasible[1:]),
    ]
    assert "worse" in verdicts
    assert hard.cells("Against the best")[: len(feasible)] == verdicts[:10]
    assert all("infeasible" in text for text in hard.cells("Trials")[len(feasible) :])
    best = Results([Loaded(ranked.study, ())]).best()[0]
    assert hard.page.inner_text("#summary .figure >> nth=0").startswith(f"{best.score:.5g} ± ")
    hard.painted("history")
    assert f"({ids[0]})" in hard.page.inner_text("#history .caption")


def test_seeds_unfold_and_are_filtered(hard, ranked):
    name = f"{ranked.best.sweep.name}-{ranked.best.number}"
    fold = hard.page.get_by_label(f"Trials of {name}", exact=True)
    fold.focus()
    hard.page.keyboard.press("Enter")
    seeds = hard.page.locator("#trials .seed")
    assert [text.split("\n")[0].strip() for text in seeds.locator("th").all_inner_texts()] == [
        f"{name}-r{replicate}" for replicate in range(3)
    ]
    expect(fold).to_be_focused()
    scores = [trial.score for trial in ranked.best.trials]
    hard.go(f"of.loss={min(scores)}..{min(scores)}")
    assert seeds.count() == 1
    mean = float(hard.cells("loss")[0].split()[0])
    assert mean == pytest.approx(ranked.best.score, rel=1e-3)  # of all its trials
    fold.press("Enter")
    assert seeds.count() == 0


def test_every_way_to_end_has_its_words(hard):
    hard.go("sort=-state")
    name = "random_" + "x" * 40
    texts = {}
    for page in (1, 2):
        hard.go(f"sort=-state&page={page}")
        names = [text.strip("▸▾ \n") for text in hard.cells("Configuration")]
        texts |= dict(zip(names, hard.cells("Trials"), strict=True))
    assert len(texts) == 14
    assert texts[f"{name}-0"] == "3 failed"
    assert re.fullmatch("2 complete, 1 pruned(, infeasible)?", texts[f"{name}-1"])
    assert re.fullmatch("2 complete, 1 failed(, infeasible)?", texts[f"{name}-2"])
    assert re.fullmatch("2 complete, 1 running(, infeasible)?", texts[f"{name}-3"])
    assert "4 failed: OSError: no disk" not in hard.page.inner_text("#notes")
    assert "3 failed: OSError: no disk" in hard.page.inner_text("#notes")
    hard.painted("timeline")
    names = hard.page.evaluate("document.querySelector('#timeline .plot').data.map(t => t.name)")
    assert {"running", "failed", "ended early", "complete", "infeasible"} == set(names)


def test_configurations_are_compared_over_common_seeds(hard, ranked):
    first, second = ranked.rankings[0].feasible[:2]
    names = [f"{one.sweep.name}-{one.number}" for one in (first, second)]
    for name in names:
        box = hard.page.get_by_label(f"Compare {name}", exact=True)
        box.check()
        expect(box).to_be_focused()
    cell = hard.page.inner_text("#comparison tbody tr:nth-child(2) td >> nth=1")
    pairs = zip(second.scores, first.scores, strict=True)
    differences = [one - other for one, other in pairs]
    mean = sum(differences) / 3
    std = (sum((one - mean) ** 2 for one in differences) / 2) ** 0.5
    half = 4.302652729911275 * std / 3**0.5  # Student's t with 2 degrees of freedom
    said = re.search(r"[+\N{MINUS SIGN}](\S+) ± (\S+) (better|worse)", cell)
    assert float(said[1]) == pytest.approx(abs(mean), rel=0.01)
    assert float(said[2]) == pytest.approx(half, rel=0.05)
    rows = hard.page.locator("#comparison tbody tr")
    every = rows.count()
    hard.page.get_by_label("only what differs").check()
    assert rows.count() < every
    texts = [row.split("\t") for row in rows.all_inner_texts()[4:]]
    assert all(one != other for _, one, other in texts)
    hard.page.get_by_role("button", name="Clear", exact=True).click()
    assert hard.page.evaluate("document.activeElement.id") == "trials-title"


def test_strategies_count_all_that_was_spent(hard, ranked):
    hard.painted("strategies")
    lines = "document.querySelector('#strategies .plot').data.map(t => [t.name, t.x.at(-1)])"
    trials = ranked.study.trials
    ended = [one for one in trials if one.state is not State.RUNNING]
    assert hard.page.evaluate(lines)[-1][1] == len(ended) == 41
    hard.page.get_by_label("Spent").select_option("steps")
    hard.painted("strategies")
    assert hard.page.evaluate(lines)[-1][1] == sum(one.steps for one in ended)
    # the band is the spread over replicates
    bounds = hard.page.evaluate(
        "document.querySelector('#strategies .plot').data.slice(0, 3).map(t => t.y.at(-1))"
    )
    best = ranked.best
    assert bounds == pytest.approx([best.score - best.std, best.score + best.std, best.score])


def test_a_sweep_that_only_failed_says_why(opened):
    study = a_hard_study(configurations=1)
    report = opened(study)
    for view in ("history", "strategies", "slices", "parallel", "aggregation"):
        report.painted(view)
        assert "3 of 3 failed, OSError: no disk" in report.page.inner_text(f"#{view} .caption")
    assert report.cells("Trials") == ["3 failed"]
    assert report.wrong == []


def test_what_failing_configurations_have_in_common_is_said(opened):
    study = a_hard_study(configurations=30, replicates=1).study
    ends = {True: {"state": State.FAILED}, False: {"state": State.COMPLETE, "score": 1.0}}
    known = {"metrics": {"loss": 1.0, "memory": 1.0}}
    trials = [replace(one, **ends[one.params["depth"] > 3], **known) for one in study.trials]
    report = opened(a_hard_study()._replace(study=replace(study, trials=tuple(trials))))
    assert "failing configurations have depth>=4" in report.page.inner_text("#notes")


def test_one_configuration_is_drawn(opened):
    hard = a_hard_study(configurations=5).study
    alone = tuple(one for one in hard.trials if one.number == 4)
    sweep = replace(hard.sweeps[0], n_trials=1, planned=3, constraints=())
    report = opened(a_hard_study()._replace(study=replace(hard, sweeps=(sweep,), trials=alone[:1])))
    report.painted("strategies")
    assert report.page.locator("#strategies .points path").count() == 1
    assert report.wrong == []


def test_without_javascript_the_summary_is_text(browser, tmp_path, hard, ranked):
    context = browser.new_context(java_script_enabled=False)
    window = context.new_page()
    window.goto(hard.page.url.partition("#")[0])
    text = window.inner_text("main")
    assert "best loss" in text
    assert f"#{ranked.best.number}" in text
    assert "OSError: no disk" in text
    context.close()
