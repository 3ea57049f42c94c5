"""The report's figures in notebooks, and on whose numbers they stand."""

import math

import pytest
from report_parts import a_study

from pytest_hypersearch.results.report.figures import Plots
from pytest_hypersearch.stats.ranking import rank_study


@pytest.fixture
def study():
    return a_study().study


@pytest.fixture
def plots():
    return plots_of(a_study())


def plots_of(reported):
    return Plots(reported, rank_study(reported.study))


@pytest.mark.parametrize(
    "draw",
    [
        Plots.history,
        Plots.strategies,
        Plots.slices,
        Plots.parallel,
        Plots.importance,
        lambda plots: plots.contour("lr", "dropout"),
        lambda plots: plots.contour("act", "lr"),
        lambda plots: plots.aggregation("act", statistic="median", bars="std"),
        Plots.curves,
        Plots.timeline,
        Plots.pareto,
    ],
)
def test_each_figure_is_one_that_plotly_takes(plots, draw):
    drawn = draw(plots)
    assert drawn.data
    assert drawn.to_json(validate=True)


def test_the_best_so_far_ends_at_the_best_configuration(study, plots):
    ranked = rank_study(study)
    assert plots.history().data[-1].y[-1] == ranked.best.score
    ends = {line.name: line.y[-1] for line in plots.strategies().data}
    assert ends == {sweep.name: ranked.of(sweep).best.score for sweep in study.sweeps}


def test_bars_are_the_confidence_of_the_mean(study, plots):
    drawn = plots.aggregation("strategy").data[0]
    scores = [t.score for t in study.trials if t.sweep == "random" and t.state == "complete"]
    n, mean = len(scores), sum(scores) / len(scores)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / (n - 1))
    assert drawn.x[0] == f"random ({n})"
    assert drawn.y[0] == pytest.approx(mean)
    # the 97.5% quantile of Student's t with 29 to 31 degrees of freedom
    assert drawn.error_y.array[0] * math.sqrt(n) / deviation == pytest.approx(2.04, abs=0.01)


def test_an_unknown_parameter_is_named_with_those_that_there_are(plots):
    with pytest.raises(ValueError, match="'width': expected a parameter: lr, dropout, act"):
        plots.contour("width", "lr")
