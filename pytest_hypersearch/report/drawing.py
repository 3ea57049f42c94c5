"""How sweeps, parameters and trials look in plotly figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from pytest_hypersearch.report.palette import DASHES, LIGHT, SYMBOLS
from pytest_hypersearch.report.scales import label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_hypersearch.report.scales import Scale
    from pytest_hypersearch.results import StudyResults, SweepInfo
    from pytest_hypersearch.trial import TrialRecord


def figure(**layout: Any) -> go.Figure:  # noqa: ANN401  plotly's own arguments
    """Return an empty figure in our colours."""
    return go.Figure(layout={"template": "plotly_white", "colorway": list(LIGHT), **layout})


def styled(study: StudyResults) -> Iterator[tuple[SweepInfo, dict[str, Any]]]:
    """Yield the sweeps with how their points, lines and bands are drawn."""
    for place, sweep in enumerate(study.sweeps):
        colour = LIGHT[place % len(LIGHT)]
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        yield (
            sweep,
            {
                "marker": {"color": colour, "symbol": SYMBOLS[place % len(SYMBOLS)]},
                "line": {"color": colour, "dash": DASHES[place % len(DASHES)]},
                "band": f"rgba({red}, {green}, {blue}, 0.15)",
            },
        )


def axis(scale: Scale) -> dict[str, Any]:
    """Return the layout of a parameter's axis."""
    kind = "log" if scale.log else "linear"
    return {"title": {"text": scale.parameter}, "type": kind, **ticks(scale)}


def ticks(scale: Scale) -> dict[str, Any]:
    """Return where the categories of an axis are, nothing for numbers."""
    if scale.labels is None:
        return {}
    return {"tickvals": list(range(len(scale.labels))), "ticktext": list(scale.labels)}


def hover(trial: TrialRecord) -> str:
    """Return what tells a trial; plotly takes some HTML, which users' strings are not to be."""
    pairs = [f"{name}={label(value)}" for name, value in trial.params.items()]
    name = f"{trial.sweep}-{trial.number}-r{trial.replicate}"
    return "<br>".join(text.replace("<", "&lt;") for text in [name, *pairs])
