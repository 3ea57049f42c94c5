"""The best so far, feasibility and the front: the same numbers wherever they are shown."""

import random
from dataclasses import replace

import pytest
from example_studies import record, sweep_of

from pytest_hypersearch import Results, uniform
from pytest_hypersearch.core.goals import Constraint, Goal
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.results.report.figures import Plots
from pytest_hypersearch.results.study_history import Reported
from pytest_hypersearch.results.terminal.format import plain
from pytest_hypersearch.results.terminal.summary import section
from pytest_hypersearch.stats.ranking import rank_study
from pytest_hypersearch.store.find import Loaded

SPACE = Space(({"x": uniform(0, 10), "y": uniform(0, 10)},))


def constrained():
    """Scores 9, 8, 7, 6, of which the last two need too much memory."""
    sweep = sweep_of(
        "random", 4, space=SPACE, metric="loss", constraints=(Constraint("mem", "<=", 10.0),)
    )
    trials = [
        record(
            number,
            score,
            sweep="random",
            params={"x": float(number), "y": 5.0 - number},
            metrics={"loss": score, "mem": mem},
            started=1_700_000_000.0 + number,
        )
        for number, (score, mem) in enumerate([(9.0, 1.0), (8.0, 10.0), (7.0, 11.0), (6.0, 12.0)])
    ]
    return StudyResults("test_it.py::test_net", (sweep,), tuple(trials))


def traded(seed=0, goals=2):
    """Two sweeps with replicates, some of which miss, several metrics and a constraint."""
    rng = random.Random(seed)
    others = (Goal("cost", "min"), Goal("size", "max"))[: goals - 1]
    sweeps = tuple(
        sweep_of(
            name,
            36,
            space=SPACE,
            metric="acc",
            mode="max",
            replicates=3,
            others=others,
            constraints=(Constraint("mem", "<=", 12.0),),
        )
        for name in ("random", "bayes")
    )
    trials = [
        record(
            number,
            (score := rng.randint(0, 9) / 10),
            sweep=sweep.name,
            replicate=replicate,
            params={"x": 10 * rng.random(), "y": float(number)},
            metrics={
                "acc": score,
                "cost": float(rng.randint(0, 5)),
                "size": float(rng.randint(0, 5)),
                "mem": float(rng.randint(5, 16)),
            },
            started=1_700_000_000.0 + 10 * number + replicate,
        )
        for sweep in sweeps
        for number in range(12)
        for replicate in range(3 - (number == 7))
    ]
    return StudyResults("test_it.py::test_net", sweeps, tuple(trials))


def results_of(study):
    return Results([Loaded(study, ())])


def plots_of(study):
    return Plots(Reported(study, {}), rank_study(study))


def test_the_best_so_far_ends_at_the_best_feasible_score_in_python():
    study = constrained()
    assert [row["best"] for row in results_of(study).history()] == [9, 8, 8, 8]
    plots = plots_of(study)
    assert list(plots.history().data[-1].y) == [9, 8, 8, 8]
    (line,) = plots.strategies().data
    assert list(line.y) == [9, 8, 8, 8]
    text = "\n".join(
        map(plain, section([rank_study(study)], width=80, verbosity=0, ascii_only=False))
    )
    assert "best loss 8.000 (#1): x=1.0 y=4.0" in text
    assert "infeasible: 2 of 4 configurations (mem <= 10)" in text
    hollow = [symbol.endswith("-open") for symbol in plots.history().data[0].marker.symbol]
    assert hollow == [False, False, True, True]


def line_of(report, view, name):
    return report.page.evaluate(
        """([view, name]) => {
            const one = document.querySelector(`#${view} .plot`).data.find(t => t.name === name);
            return one && [Array.from(one.x), Array.from(one.y)];
        }""",
        [view, name],
    )


@pytest.mark.browser
def test_the_page_shows_no_infeasible_trial_as_the_best(opened):
    report = opened(Reported(constrained(), {}))
    report.painted("history")
    assert line_of(report, "history", "best so far")[1][-1] == 8
    assert line_of(report, "history", "infeasible") == [[3, 4], [7, 6]]
    assert "best configuration so far: 8 (random-1)" in report.page.inner_text("#history .caption")
    report.painted("strategies")
    assert line_of(report, "strategies", "random")[1][-1] == 8
    assert report.page.inner_text("#summary .figure >> nth=0") == "8"
    assert "2 infeasible" in report.page.inner_text("#summary")
    assert report.cells("Trials") == [*["complete"] * 2, *["complete, infeasible"] * 2]
    assert report.cells("loss")[:2] == ["8", "9"]
    report.painted("contour")
    ring = report.page.evaluate(
        "[...document.querySelector('#contour .plot').data.at(-1).customdata]"
    )
    assert ring == ["random-1-r0"]
    report.painted("parallel")
    orange = report.page.evaluate(
        "[...new Set(document.querySelector('#parallel .plot').data[6].customdata)]"
    )
    assert set(orange) == {"random-1-r0", None}
    report.go("trial=random-3-r0")
    assert "complete, infeasible" in report.page.inner_text("#detail")
    assert report.wrong == []


@pytest.mark.browser
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("goals", [2, 3])
def test_the_front_of_the_page_is_that_of_python(opened, seed, goals):
    study = traded(seed, goals)
    front = results_of(study).pareto()
    report = opened(Reported(study, {}))
    report.painted("pareto")
    x, y = line_of(report, "pareto", "Pareto front")
    assert sorted(zip(x, y, strict=True)) == sorted(one.values[:2] for one in front)
    drawn = plots_of(study).pareto().data[1]
    assert sorted(zip(drawn.x, drawn.y, strict=True)) == sorted(zip(x, y, strict=True))


@pytest.mark.browser
def test_the_lines_of_the_page_are_those_of_python(opened):
    study = traded()
    report = opened(Reported(study, {}))
    report.painted("strategies")
    report.painted("history")
    rows = results_of(study).history()
    for sweep in study.sweeps:
        steps = {row["n"]: row["best"] for row in rows if row["sweep"] == sweep.name}
        x, y = line_of(report, "strategies", sweep.name)
        assert {n: steps[n] for n in x} == dict(zip(x, y, strict=True))
        assert y[-1] == rank_study(study).of(sweep).best.score
    assert line_of(report, "history", "best so far")[1][-1] == rank_study(study).best.score
    report.page.get_by_role("checkbox", name="random", exact=True).uncheck()
    report.painted("history")
    alone = rank_study(study).of(study.sweeps[1]).best.score
    assert line_of(report, "history", "best so far")[1][-1] == alone
    assert line_of(report, "history", "random") is None


def points_of(traces):
    return sorted(
        pair for mode, *xy in traces if mode == "markers" for pair in zip(*xy, strict=True)
    )


@pytest.mark.browser
def test_notebooks_and_the_page_draw_the_same_points(opened):
    study = traded()
    report, plots = opened(Reported(study, {})), plots_of(study)
    for view, figure in [("history", plots.history()), ("slices", plots.slices())]:
        report.painted(view)
        traces = report.page.evaluate(
            """id => document.querySelector(`#${id} .plot`).data
                .map(one => [one.mode, Array.from(one.x), Array.from(one.y)])""",
            view,
        )
        drawn = [
            pair for mode, *xy in traces if mode == "markers" for pair in zip(*xy, strict=True)
        ]
        known = [one for one in figure.data if one.mode == "markers"]
        assert sorted(map(tuple, drawn)) == sorted(
            pair for one in known for pair in zip(one.x, one.y, strict=True)
        )
    report.painted("importance")
    bars = report.page.evaluate(
        "document.querySelector('#importance .plot').data.map(one => Array.from(one.x))"
    )
    assert [one[::-1] for one in bars] == [list(bar.x) for bar in plots.importance().data]


def test_trials_without_a_start_keep_their_order():
    study = constrained()
    trials = tuple(replace(trial, started=None) for trial in study.trials)
    rows = results_of(replace(study, trials=trials)).history()
    assert [row["score"] for row in rows] == [9, 8, 7, 6]
