"""The report's figures in notebooks, and on whose numbers they stand."""

import math
from itertools import combinations

import pytest
from report_parts import a_study

from pytest_hypersearch.results.report.figures import Plots
from pytest_hypersearch.results.report.page import DARK, DASHES, LIGHT, SYMBOLS
from pytest_hypersearch.stats.ranking import rank_study

SIGHT = {  # Machado, Oliveira & Fernandes (2009), severity 1
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def light_of(colour):
    """Linear light of red, green and blue."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]


def lab_of(colour, sight):
    """A colour as it is seen, in CIE 1976 L*a*b*."""
    light = light_of(colour)
    seen = [min(1, max(0, dot(row, light))) for row in SIGHT[sight]]
    rows = (0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.072175)
    rows += ((0.0193339, 0.119192, 0.9503041),)
    white = (0.95047, 1, 1.08883)
    x, y, z = (dot(row, seen) / one for row, one in zip(rows, white, strict=True))
    f = [t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def contrast(colour, ground):
    """How a text stands out from its background (WCAG 2)."""
    one, other = sorted(dot((0.2126, 0.7152, 0.0722), light_of(each)) for each in (colour, ground))
    return (other + 0.05) / (one + 0.05)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(("colours", "ground"), [(LIGHT, "#ffffff"), (DARK, "#1b1f24")])
def test_strategies_are_told_apart_in_each_kind_of_colour_vision(sight, colours, ground):
    seen = [lab_of(colour, sight) for colour in colours]
    assert min(math.dist(one, other) for one, other in combinations(seen, 2)) >= 18
    assert min(contrast(colour, ground) for colour in colours) >= 4.5
    for marks in (SYMBOLS, DASHES):  # and without any colour
        assert len({*marks}) == len(marks) == len(colours)


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
