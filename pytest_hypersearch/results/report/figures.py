"""The figures of the report for notebooks, drawn from the numbers that the page draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log10
from typing import Any, Literal, TypeAlias

from pytest_hypersearch.core.errors import needs
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.results.report.page import DASHES, LIGHT, SCORES, SYMBOLS
from pytest_hypersearch.results.report.payload import Json, label, numbers
from pytest_hypersearch.results.study_history import Reported
from pytest_hypersearch.stats.grouping import summary, t_quantile
from pytest_hypersearch.stats.importance import Method, importance, pools
from pytest_hypersearch.stats.ranking import RankedStudy

with needs("plot", "plotly", "report"):
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots


Statistic: TypeAlias = Literal["mean", "median", "min", "max"]
Bars: TypeAlias = Literal["ci", "sem", "std", "none"]

_COLOURS = {State.COMPLETE: LIGHT[0], State.PRUNED: LIGHT[5]}


class Plots:
    """Figures of the trials of one test, which notebooks show."""

    def __init__(self, reported: Reported, ranked: RankedStudy) -> None:
        self._ranked = ranked
        self._data = numbers(reported, ranked)
        self._trials: Mapping[str, Sequence[Any]] = self._data["trials"]
        self._metric: Json = self._data["metrics"][0]
        self._parameters: dict[str, Json] = {
            each["name"]: each for each in self._data["parameters"]
        }
        self._reverse = self._metric["mode"] == "min"

    def history(self) -> go.Figure:
        """Draw the score of each trial and the best so far; infeasible trials are hollow."""
        drawn = _figure(xaxis_title="trial", yaxis_title=self._metric["name"])
        for sweep, place in self._sweeps():
            own = self._scored(place)
            feasible = [self._trials["feasible"][i] for i in own]
            points = self._points(own, [i + 1 for i in own], place, name=sweep)
            symbol = points["marker"]["symbol"]
            points["marker"]["symbol"] = [symbol if fine else f"{symbol}-open" for fine in feasible]
            drawn.add_scatter(**points)
        best = self._metric["best"]
        known = [i for i, value in enumerate(best) if value is not None]
        drawn.add_scatter(
            x=[i + 1 for i in known],
            y=[best[i] for i in known],
            name="best so far",
            mode="lines",
            line={"shape": "hv", "color": "black"},
        )
        return drawn

    def strategies(self) -> go.Figure:
        """Draw the best score so far of each sweep."""
        drawn = _figure(xaxis_title="trials of the sweep", yaxis_title=self._metric["name"])
        own = self._metric["own"]
        for sweep, place in self._sweeps():
            sweeps = self._trials["sweep"]
            known = [i for i, each in enumerate(sweeps) if each == place and own[i] is not None]
            dash = DASHES[place % len(DASHES)]
            drawn.add_scatter(
                x=[self._data["spent"]["trials"][i] for i in known],
                y=[own[i] for i in known],
                name=sweep,
                mode="lines",
                line={"shape": "hv", "color": _colour(place), "dash": dash},
            )
        return drawn

    def slices(self) -> go.Figure:
        """Draw the score over each parameter."""
        parameters = self._data["parameters"]
        drawn = make_subplots(cols=len(parameters), shared_yaxes=True, horizontal_spacing=0.02)
        drawn.update_layout(_figure().layout)
        for column, parameter in enumerate(parameters, 1):
            for sweep, place in self._sweeps():
                own = self._scored(place, parameter)
                points = self._points(own, [parameter["values"][i] for i in own], place)
                legend = {"name": sweep, "legendgroup": sweep, "showlegend": column == 1}
                drawn.add_scatter(**points, **legend, row=1, col=column)
            drawn.update_xaxes(_axis(parameter), row=1, col=column)
        drawn.update_yaxes(title=self._metric["name"], row=1, col=1)
        return drawn

    def parallel(self) -> go.Figure:
        """Draw each complete trial as a line through its parameters and its score.

        Trials without one of the parameters, which conditional spaces have, are left out.
        """
        parameters = self._data["parameters"]
        own = self._scored(None, *parameters)
        dimensions = []
        for parameter in parameters:
            name, values = parameter["name"], [parameter["values"][i] for i in own]
            if parameter["log"]:
                name, values = f"log10 {name}", [log10(value) for value in values]
            dimensions.append({"label": name, "values": values, **_ticks(parameter)})
        scores = self._scores(own)
        dimensions.append({"label": self._metric["name"], "values": scores})
        line = {
            "color": scores,
            "colorscale": SCORES,
            "reversescale": self._reverse,
            "showscale": True,
        }
        return go.Figure(go.Parcoords(dimensions=dimensions, line=line))

    def importance(self, method: Method = "total") -> go.Figure:
        """Draw how much each parameter matters.

        Raises:
            ValueError: There are fewer than 10 complete configurations, or their scores are all
                alike.
        """
        drawn = _figure(xaxis_title="share", xaxis_tickformat=".0%")
        for pool in pools(self._ranked):
            found = importance(pool.space, pool.configs, pool.scores, method=method)[::-1]
            drawn.add_bar(
                y=[one.parameter for one in found],
                x=[one.share for one in found],
                error_x={"array": [one.spread for one in found]},
                orientation="h",
                name=", ".join(sweep.name for sweep in pool.sweeps),
            )
        return drawn

    def contour(self, x: str, y: str) -> go.Figure:
        """Draw the mean score over two parameters.

        Raises:
            ValueError: There is no such parameter.
        """
        across, up = self._parameter(x), self._parameter(y)
        own = self._scored(None, across, up)
        places = {
            "x": [across["values"][i] for i in own],
            "y": [up["values"][i] for i in own],
        }
        drawn = _figure(xaxis=_axis(across), yaxis=_axis(up))
        drawn.add_contour(
            **places,
            z=self._scores(own),
            colorscale=SCORES,
            reversescale=self._reverse,
            connectgaps=True,
            line={"width": 0},
            colorbar={"title": self._metric["name"]},
        )
        marker = {"color": "white", "size": 5, "line": {"width": 1, "color": "black"}}
        text = [self._hover(i) for i in own]
        drawn.add_scatter(**places, mode="markers", marker=marker, text=text, showlegend=False)
        return drawn

    def aggregation(
        self,
        by: str = "strategy",
        *,
        metric: str | None = None,
        statistic: Statistic = "mean",
        bars: Bars = "ci",
    ) -> go.Figure:
        """Draw a statistic of a metric for each group of complete trials.

        Args:
            by: ``strategy``, ``replicate`` or a parameter.
            metric: The metric; the score by default.
            statistic: What is drawn of each group.
            bars: What the error bars show around the mean: its 95% confidence interval (Student's
                t), its standard error, or the standard deviation.
        """
        name = metric or self._metric["name"]
        values = next(
            (each["values"] for each in self._data["metrics"] if each["name"] == name), ()
        )
        groups: dict[str, list[float]] = {}
        for i, value in enumerate(values):
            group = self._group(i, by)
            if self._is_complete(i) and isinstance(value, (int, float)) and group:
                groups.setdefault(group, []).append(value)
        found = [summary(each)._asdict() for each in groups.values()]
        drawn = _figure(xaxis_title=by, yaxis_title=name, xaxis_type="category")
        names = [f"{group} ({one['n']})" for group, one in zip(groups, found, strict=True)]
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

    def curves(self) -> go.Figure:
        """Draw what the trials reported of their score; pruned ones are dotted."""
        drawn = _figure(xaxis_title="step", yaxis_title=self._metric["name"], showlegend=False)
        for curve in self._data["curves"]:
            i = curve["trial"]
            place = self._trials["sweep"][i]
            series = curve["series"].get(self._data["sweeps"][place]["goals"][0]["metric"])
            if series:
                dash = "dot" if self._trials["state"][i] == State.PRUNED else "solid"
                line = {"color": _colour(place), "dash": dash, "width": 1}
                x, y, _ = series
                drawn.add_scatter(x=x, y=y, mode="lines", line=line, name=self._hover(i))
        return drawn

    def timeline(self) -> go.Figure:
        """Draw when each worker ran which trial; the workers of one node stand together."""
        started = self._trials["started"]
        own = [i for i, at in enumerate(started) if at is not None]
        begin = min((started[i] for i in own), default=0.0)
        workers = [self._trials["worker"][i] or "pytest" for i in own]
        drawn = _figure(xaxis_title="seconds since the start", showlegend=False)
        downwards = sorted(set(workers), key=lambda name: (name.split("@")[1:], len(name), name))
        drawn.update_yaxes(categoryorder="array", categoryarray=downwards[::-1])
        drawn.add_bar(
            y=workers,
            base=[started[i] - begin for i in own],
            x=[self._trials["duration"][i] for i in own],
            orientation="h",
            marker_color=[_COLOURS.get(self._trials["state"][i], LIGHT[1]) for i in own],
            text=[self._hover(i) for i in own],
            textposition="none",
        )
        return drawn

    def pareto(self) -> go.Figure:
        """Draw the first two metrics that are optimised, and the Pareto front.

        Raises:
            ValueError: Only one metric is optimised.
        """
        ranking = self._ranked.rankings[0]
        goals = ranking.sweeps[0].goals
        if len(goals) < 2:  # noqa: PLR2004 - a trade-off is between two
            raise ValueError("pareto: expected sweeps that optimise two metrics or more")
        drawn = _figure(xaxis_title=goals[0].metric, yaxis_title=goals[1].metric)
        for name, own in (("configurations", ranking), ("Pareto front", ranking.front)):
            drawn.add_scatter(
                x=[one.values[0] for one in own],
                y=[one.values[1] for one in own],
                text=[_escaped(repr(one)) for one in own],
                mode="markers",
                name=name,
            )
        return drawn

    def _sweeps(self) -> Iterator[tuple[str, int]]:
        for place, sweep in enumerate(self._data["sweeps"]):
            yield sweep["name"], place

    def _is_complete(self, i: int) -> bool:
        return bool(self._trials["state"][i] == State.COMPLETE)

    def _scored(self, place: int | None = None, *parameters: Json) -> list[int]:
        """The complete trials, of one sweep or of all, that have parameters."""
        return [
            i
            for i, value in enumerate(self._metric["values"])
            if self._is_complete(i)
            and isinstance(value, (int, float))
            and place in {None, self._trials["sweep"][i]}
            and all(parameter["values"][i] is not None for parameter in parameters)
        ]

    def _scores(self, own: Sequence[int]) -> list[float]:
        return [self._metric["values"][i] for i in own]

    def _points(
        self, own: Sequence[int], x: Sequence[float], place: int, **more: object
    ) -> dict[str, Any]:
        marker = {"color": _colour(place), "symbol": SYMBOLS[place % len(SYMBOLS)]}
        text = [self._hover(i) for i in own]
        points = {"x": x, "y": self._scores(own), "mode": "markers", "marker": marker, "text": text}
        return points | more

    def _hover(self, i: int) -> str:
        """What identifies a trial."""
        pairs = [
            f"{name}={_shown(parameter, i)}"
            for name, parameter in self._parameters.items()
            if parameter["values"][i] is not None
        ]
        sweep = self._data["sweeps"][self._trials["sweep"][i]]["name"]
        trial = f"{sweep}-{self._trials['number'][i]}-r{self._trials['replicate'][i]}"
        return "<br>".join(map(_escaped, [trial, *pairs]))

    def _parameter(self, name: str) -> Json:
        if name not in self._parameters:
            raise ValueError(f"{name!r}: expected a parameter: {', '.join(self._parameters)}")
        return self._parameters[name]

    def _group(self, i: int, by: str) -> str:
        """The group of a trial; empty if it has none."""
        if parameter := self._parameters.get(by):
            return "" if parameter["values"][i] is None else _shown(parameter, i)
        if by == "strategy":
            return str(self._data["sweeps"][self._trials["sweep"][i]]["name"])
        return str(self._trials["replicate"][i]) if by == "replicate" else ""


def _figure(**layout: Any) -> go.Figure:  # noqa: ANN401  plotly's own arguments
    return go.Figure(layout={"template": "plotly_white", "colorway": list(LIGHT), **layout})


def _colour(place: int) -> str:
    return LIGHT[place % len(LIGHT)]


def _axis(parameter: Json) -> dict[str, Any]:
    kind = "log" if parameter["log"] else "linear"
    return {"title": {"text": parameter["name"]}, "type": kind, **_ticks(parameter)}


def _ticks(parameter: Json) -> dict[str, Any]:
    """Where the categories of an axis are, nothing for numbers."""
    labels = parameter["labels"]
    return {"tickvals": list(range(len(labels))), "ticktext": labels} if labels else {}


def _shown(parameter: Json, i: int) -> str:
    value = parameter["values"][i]
    return str(parameter["labels"][value]) if parameter["labels"] else label(value)


def _escaped(text: str) -> str:
    """Plotly takes some HTML, which users' strings are not to be."""
    return text.replace("<", "&lt;")


def _error(one: Mapping[str, float | None], bars: Bars) -> float | None:
    """Half the length of an error bar, None where it cannot be told."""
    if bars == "none" or one["sem"] is None:
        return None
    return t_quantile(int(one["n"] or 0) - 1) * one["sem"] if bars == "ci" else one[bars]
