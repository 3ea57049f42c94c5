"""The report's figures in notebooks, and on whose numbers they stand."""

import math

import pytest
from report_parts import a_study

from pytest_hypersearch.results.report import figures


@pytest.fixture
def study():
    return a_study().study


@pytest.mark.parametrize(
    "draw",
    [
        figures.history,
        figures.strategies,
        figures.slices,
        figures.parallel,
        figures.importance,
        lambda study: figures.contour(study, "lr", "dropout"),
        lambda study: figures.contour(study, "act", "lr"),
        lambda study: figures.aggregation(study, "act", statistic="median", bars="std"),
        lambda study: figures.curves(study, a_study().curves),
        figures.timeline,
        figures.pareto,
    ],
)
def test_each_figure_is_one_that_plotly_takes(study, draw):
    drawn = draw(study)
    assert drawn.data
    assert drawn.to_json(validate=True)


def test_the_best_so_far_never_falls_where_higher_is_better(study):
    best = figures.history(study).data[-1]
    assert list(best.y) == sorted(best.y)
    assert best.y[-1] == max(trial.score for trial in study.trials if trial.state == "complete")


def test_bars_are_the_confidence_of_the_mean(study):
    drawn = figures.aggregation(study, "strategy").data[0]
    scores = [t.score for t in study.trials if t.sweep == "random" and t.state == "complete"]
    n, mean = len(scores), sum(scores) / len(scores)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / (n - 1))
    assert drawn.x[0] == f"random ({n})"
    assert drawn.y[0] == pytest.approx(mean)
    # the 97.5% quantile of Student's t with 29 to 31 degrees of freedom
    assert drawn.error_y.array[0] * math.sqrt(n) / deviation == pytest.approx(2.04, abs=0.01)


def test_an_unknown_parameter_is_named_with_those_that_there_are(study):
    with pytest.raises(ValueError, match="'width': expected a parameter: lr, dropout, act"):
        figures.contour(study, "width", "lr")
