"""How sweeps, parameters and trials look in plotly figures."""

from __future__ import annotations

from itertools import accumulate
from math import isfinite, log10, nan
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pytest_hypersearch.core.trial import Key, State
from pytest_hypersearch.core.values import mean
from pytest_hypersearch.results.report.page import DASHES, LIGHT, SCORES, SYMBOLS
from pytest_hypersearch.results.report.payload import Scale, in_order, label, scales
from pytest_hypersearch.stats.importance import importance as importance_of
from pytest_hypersearch.stats.importance import pools
from pytest_hypersearch.stats.moments import summary, t_quantile
from pytest_hypersearch.stats.ranking import rank_study

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_hypersearch.core.goals import Goal
    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import TrialRecord
    from pytest_hypersearch.stats.importance import Method
    from pytest_hypersearch.store.curves import Series


def figure(**layout: Any) -> go.Figure:  # noqa: ANN401  plotly's own arguments
    """Return an empty figure in our colours."""
    return go.Figure(layout={"template": "plotly_white", "colorway": list(LIGHT), **layout})


def styled(study: StudyResults) -> Iterator[tuple[Sweep, dict[str, Any]]]:
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


Statistic: TypeAlias = Literal["mean", "median", "min", "max"]
Bars: TypeAlias = Literal["ci", "sem", "std", "none"]

_BEST = {"min": min, "max": max}
_COLOURS = {State.COMPLETE: LIGHT[0], State.PRUNED: LIGHT[5]}


def history(study: StudyResults) -> go.Figure:
    """Draw the score of each trial and the best so far."""
    trials, goal = in_order(study.trials), study.sweeps[0].goals[0]
    drawn = figure(xaxis_title="trial", yaxis_title=goal.metric)
    for sweep, style in styled(study):
        own = [(n, t) for n, t in enumerate(trials, 1) if t.sweep == sweep.name and _scored(t)]
        drawn.add_scatter(
            x=[n for n, _ in own],
            y=[trial.score for _, trial in own],
            name=sweep.name,
            mode="markers",
            marker=style["marker"],
            text=[hover(trial) for _, trial in own],
        )
    known = [(n, t.score) for n, t in enumerate(trials, 1) if _scored(t) and _has(study, t, goal)]
    drawn.add_scatter(
        x=[n for n, _ in known],
        y=list(accumulate((score or 0.0 for _, score in known), _BEST[goal.mode])),
        name="best so far",
        mode="lines",
        line={"shape": "hv", "color": "black"},
    )
    return drawn


def strategies(study: StudyResults) -> go.Figure:
    """Draw the best score so far of each sweep: the mean over its replicates, and their range."""
    drawn = figure(xaxis_title="configurations tried", yaxis_title=study.sweeps[0].goals[0].metric)
    for sweep, style in styled(study):
        lines = list(zip(*_bests(study, sweep), strict=True))
        x = list(range(1, len(lines) + 1))
        edge = {"line": {"width": 0, "shape": "hv"}, "showlegend": False, "hoverinfo": "skip"}
        band = {"fill": "tonexty", "fillcolor": style["band"]}
        drawn.add_scatter(x=x, y=list(map(max, lines)), mode="lines", **edge)
        drawn.add_scatter(x=x, y=list(map(min, lines)), mode="lines", **edge, **band)
        line = {**style["line"], "shape": "hv"}
        drawn.add_scatter(x=x, y=list(map(mean, lines)), name=sweep.name, mode="lines", line=line)
    drawn.update_layout(legend_traceorder="normal")
    return drawn


def slices(study: StudyResults) -> go.Figure:
    """Draw the score over each parameter."""
    known = scales(study)
    drawn = make_subplots(cols=len(known), shared_yaxes=True, horizontal_spacing=0.02)
    drawn.update_layout(figure().layout)
    for column, scale in enumerate(known, 1):
        for sweep, style in styled(study):
            own = [t for t in _of(study, sweep) if _scored(t) and scale.parameter in t.params]
            drawn.add_scatter(
                x=[scale.place(trial.params[scale.parameter]) for trial in own],
                y=[trial.score for trial in own],
                name=sweep.name,
                legendgroup=sweep.name,
                showlegend=column == 1,
                mode="markers",
                marker=style["marker"],
                text=[hover(trial) for trial in own],
                row=1,
                col=column,
            )
        drawn.update_xaxes(axis(scale), row=1, col=column)
    drawn.update_yaxes(title=study.sweeps[0].metric, row=1, col=1)
    return drawn


def parallel(study: StudyResults) -> go.Figure:
    """Draw each complete trial as a line through its parameters and its score.

    Trials without one of the parameters, which conditional spaces have, are left out.
    """
    known, goal = scales(study), study.sweeps[0].goals[0]
    own = [t for t in study.trials if _scored(t) and all(s.parameter in t.params for s in known)]
    dimensions = []
    for scale in known:
        values: list[float] = [scale.place(trial.params[scale.parameter]) for trial in own]
        if scale.log:
            values = [log10(value) for value in values]
        dimension = {"label": f"log10 {scale.parameter}" if scale.log else scale.parameter}
        dimensions.append({**dimension, "values": values, **ticks(scale)})
    scores = [trial.score for trial in own]
    dimensions.append({"label": goal.metric, "values": scores})
    line = {
        "color": scores,
        "colorscale": SCORES,
        "reversescale": goal.mode == "min",
        "showscale": True,
    }
    return go.Figure(go.Parcoords(dimensions=dimensions, line=line))


def importance(study: StudyResults, method: Method = "total") -> go.Figure:
    """Draw how much each parameter matters.

    Raises:
        ValueError: There are fewer than 10 complete configurations, or their scores are all alike.
    """
    drawn = figure(xaxis_title="share", xaxis_tickformat=".0%")
    for pool in pools(rank_study(study)):
        found = importance_of(pool.space, pool.configs, pool.scores, method=method)[::-1]
        drawn.add_bar(
            y=[one.parameter for one in found],
            x=[one.share for one in found],
            error_x={"array": [one.spread for one in found]},
            orientation="h",
            name=", ".join(sweep.name for sweep in pool.sweeps),
        )
    return drawn


def contour(study: StudyResults, x: str, y: str) -> go.Figure:
    """Draw the mean score over two parameters.

    Raises:
        ValueError: There is no such parameter.
    """
    across, up = _scale(study, x), _scale(study, y)
    goal = study.sweeps[0].goals[0]
    own = [t for t in study.trials if _scored(t) and x in t.params and y in t.params]
    places = [(across.place(t.params[x]), up.place(t.params[y])) for t in own]
    drawn = figure(xaxis=axis(across), yaxis=axis(up))
    drawn.add_contour(
        x=[place[0] for place in places],
        y=[place[1] for place in places],
        z=[trial.score for trial in own],
        colorscale=SCORES,
        reversescale=goal.mode == "min",
        connectgaps=True,
        line={"width": 0},
        colorbar={"title": goal.metric},
    )
    drawn.add_scatter(
        x=[place[0] for place in places],
        y=[place[1] for place in places],
        mode="markers",
        marker={"color": "white", "size": 5, "line": {"width": 1, "color": "black"}},
        text=[hover(trial) for trial in own],
        showlegend=False,
    )
    return drawn


def aggregation(
    study: StudyResults,
    by: str = "strategy",
    *,
    metric: str | None = None,
    statistic: Statistic = "mean",
    bars: Bars = "ci",
) -> go.Figure:
    """Draw a statistic of a metric for each group of complete trials.

    Args:
        study: The study.
        by: ``strategy``, ``replicate`` or a parameter.
        metric: The metric; the score by default.
        statistic: What is drawn of each group.
        bars: What the error bars show around the mean: its 95% confidence interval (Student's t),
            its standard error, or the standard deviation.
    """
    metric = metric or study.sweeps[0].metric
    groups: dict[str, list[float]] = {}
    for trial in study.trials:
        value = trial.metrics.get(metric, nan) if trial.state is State.COMPLETE else nan
        if isfinite(value) and _group(trial, by):
            groups.setdefault(_group(trial, by), []).append(value)
    found = [summary(values) for values in groups.values()]
    drawn = figure(xaxis_title=by, yaxis_title=metric, xaxis_type="category")
    names = [f"{name} ({one['n']})" for name, one in zip(groups, found, strict=True)]
    drawn.add_scatter(
        x=names,
        y=[one["mean"] for one in found],
        error_y={"array": [_error(one, bars) for one in found]},
        mode="markers",
        name="mean",
    )
    if statistic != "mean":
        y = [one[statistic] for one in found]
        drawn.add_scatter(x=names, y=y, mode="markers", name=statistic, marker_symbol="diamond")
    return drawn


def curves(study: StudyResults, reported: Mapping[Key, Mapping[str, Series]]) -> go.Figure:
    """Draw what the trials reported of their score; pruned ones are dotted."""
    places = {sweep.name: place for place, sweep in enumerate(study.sweeps)}
    metrics = {sweep.name: sweep.metric for sweep in study.sweeps}
    drawn = figure(xaxis_title="step", yaxis_title=study.sweeps[0].metric, showlegend=False)
    for trial in study.trials:
        series = reported.get(Key(trial.sweep, trial.number, trial.replicate), {})
        if metrics[trial.sweep] in series:
            steps, values = series[metrics[trial.sweep]]
            dash = "dot" if trial.state is State.PRUNED else "solid"
            colour = LIGHT[places[trial.sweep] % len(LIGHT)]
            drawn.add_scatter(
                x=steps,
                y=values,
                mode="lines",
                line={"color": colour, "dash": dash, "width": 1},
                name=hover(trial),
            )
    return drawn


def timeline(study: StudyResults) -> go.Figure:
    """Draw when each worker ran which trial."""
    own = [trial for trial in study.trials if trial.started is not None]
    begin = min((trial.started or 0.0 for trial in own), default=0.0)
    drawn = figure(xaxis_title="seconds since the start", showlegend=False)
    drawn.add_bar(
        y=[trial.worker or "pytest" for trial in own],
        base=[(trial.started or 0.0) - begin for trial in own],
        x=[trial.duration for trial in own],
        orientation="h",
        marker_color=[_COLOURS.get(trial.state, LIGHT[1]) for trial in own],
        text=[hover(trial) for trial in own],
        textposition="none",
    )
    return drawn


def pareto(study: StudyResults) -> go.Figure:
    """Draw the first two metrics that are optimised, and the Pareto front.

    Raises:
        ValueError: Only one metric is optimised.
    """
    ranking = rank_study(study).rankings[0]
    goals = ranking.sweeps[0].goals
    if len(goals) < 2:  # noqa: PLR2004 - a trade-off is between two
        raise ValueError("pareto: expected sweeps that optimise two metrics or more")
    x, y = goals[:2]
    drawn = figure(xaxis_title=x.metric, yaxis_title=y.metric)
    for name, own in (("configurations", ranking), ("Pareto front", ranking.front)):
        drawn.add_scatter(
            x=[one.values[0] for one in own],
            y=[one.values[1] for one in own],
            text=[hover(one.trial) for one in own],
            mode="markers",
            name=name,
        )
    return drawn


def _scored(trial: TrialRecord) -> bool:
    return trial.state is State.COMPLETE and trial.score is not None


def _has(study: StudyResults, trial: TrialRecord, goal: Goal) -> bool:
    return any(sweep.name == trial.sweep and sweep.goals[0] == goal for sweep in study.sweeps)


def _of(study: StudyResults, sweep: Sweep) -> list[TrialRecord]:
    return [trial for trial in study.trials if trial.sweep == sweep.name]


def _bests(study: StudyResults, sweep: Sweep) -> list[list[float]]:
    """Best so far of each replicate, over the configurations that all replicates completed."""
    found: dict[int, dict[int, float]] = {}
    for trial in _of(study, sweep):
        if _scored(trial):
            found.setdefault(trial.replicate, {})[trial.number] = trial.score or 0.0
    shared = sorted(set.intersection(*map(set, found.values()))) if found else []
    pick = _BEST[sweep.mode]
    return [list(accumulate((scores[n] for n in shared), pick)) for scores in found.values()]


def _scale(study: StudyResults, parameter: str) -> Scale:
    for scale in scales(study):
        if scale.parameter == parameter:
            return scale
    known = ", ".join(scale.parameter for scale in scales(study))
    raise ValueError(f"{parameter!r}: expected a parameter: {known}")


def _group(trial: TrialRecord, by: str) -> str:
    """The group of a trial; empty if it has none."""
    if by in trial.params:
        return label(trial.params[by])
    return {"strategy": trial.sweep, "replicate": str(trial.replicate)}.get(by, "")


def _error(one: Mapping[str, float | None], bars: Bars) -> float | None:
    """Half the length of an error bar, None where it cannot be told."""
    if bars == "none" or one["sem"] is None:
        return None
    return t_quantile(int(one["n"] or 0) - 1) * one["sem"] if bars == "ci" else one[bars]
