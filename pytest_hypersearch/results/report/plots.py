"""The figures of the report as methods of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_hypersearch.core.errors import needs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plotly.graph_objects import Figure

    from pytest_hypersearch.core.study import StudyResults
    from pytest_hypersearch.core.trial import Key
    from pytest_hypersearch.results.report.figures import Bars, Statistic
    from pytest_hypersearch.stats.importance import Method
    from pytest_hypersearch.store.curves import Series


with needs("plot", "plotly", "report"):
    from pytest_hypersearch.results.report import figures


class Plots:
    """Figures of the trials of one test, which notebooks show; see `report.figures`."""

    def __init__(self, study: StudyResults, reported: Mapping[Key, Mapping[str, Series]]) -> None:
        self._study = study
        self._reported = reported

    def history(self) -> Figure:
        """Draw the score of each trial and the best so far."""
        return figures.history(self._study)

    def strategies(self) -> Figure:
        """Draw the best score so far of each sweep."""
        return figures.strategies(self._study)

    def slices(self) -> Figure:
        """Draw the score over each parameter."""
        return figures.slices(self._study)

    def parallel(self) -> Figure:
        """Draw each complete trial as a line through its parameters and its score."""
        return figures.parallel(self._study)

    def importance(self, method: Method = "total") -> Figure:
        """Draw how much each parameter matters."""
        return figures.importance(self._study, method)

    def contour(self, x: str, y: str) -> Figure:
        """Draw the mean score over two parameters."""
        return figures.contour(self._study, x, y)

    def aggregation(
        self,
        by: str = "strategy",
        *,
        metric: str | None = None,
        statistic: Statistic = "mean",
        bars: Bars = "ci",
    ) -> Figure:
        """Draw a statistic of a metric for each group of complete trials."""
        return figures.aggregation(self._study, by, metric=metric, statistic=statistic, bars=bars)

    def curves(self) -> Figure:
        """Draw what the trials reported of their score."""
        return figures.curves(self._study, self._reported)

    def timeline(self) -> Figure:
        """Draw when each worker ran which trial."""
        return figures.timeline(self._study)

    def pareto(self) -> Figure:
        """Draw the first two metrics that are optimised, and the Pareto front."""
        return figures.pareto(self._study)
