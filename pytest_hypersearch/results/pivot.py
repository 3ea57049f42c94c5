"""A metric by the values of fields, as papers show it: mean ± std, the best of a column bold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import Mode, implied_mode
from pytest_hypersearch.core.study import Configuration
from pytest_hypersearch.core.trial import Raw
from pytest_hypersearch.core.values import mean
from pytest_hypersearch.results.export import BOLD, shown_cell, tabulated
from pytest_hypersearch.results.query import Field, Key, Row, metric_values, rankings_of
from pytest_hypersearch.results.terminal.format import (
    Column,
    Look,
    better,
    clean,
    look_of,
    render,
    wrap,
)
from pytest_hypersearch.results.terminal.tables import mean_column
from pytest_hypersearch.stats.grouping import Summary, summary
from pytest_hypersearch.stats.ranking import RankedStudy

Part: TypeAlias = "tuple[Key, Sequence[RankedStudy]]"
"""The values that trials share, of rows and then columns, and the trials by study."""

_OVER: Final = {
    "replicate": "replicates of the best configuration",
    "study": "studies, each with its best configuration",
}


@frozen
class PivotColumn:
    """A column of a pivot.

    Attributes:
        key: The values that its trials share.
        metric: What its cells are means of.
        mode: Whether lower or higher is better.
        cells: Statistics for each row.
    """

    key: Key
    metric: str
    mode: Mode
    cells: tuple[Summary, ...]

    def drawn(self, look: Look) -> Column:
        """Return it as a column of texts of a common rounding."""
        return mean_column([(cell.mean, cell.std) for cell in self.cells], look)

    def marked(self, look: Look) -> list[str]:
        """Return its texts for a document, the best ones marked to be bold."""
        cells = (cell.strip().replace("-", "−") for cell in self.drawn(look).cells)  # noqa: RUF001
        return [BOLD.format(cell) if i in self.best else cell for i, cell in enumerate(cells)]

    @property
    def best(self) -> frozenset[int]:
        """The rows with the best mean, as far as its digits that are shown tell."""
        means = {row: cell.mean for row, cell in enumerate(self.cells) if cell.mean is not None}
        if not means:
            return frozenset()
        texts = [cell.split()[0] for cell in self.drawn(Look()).cells]
        first = (min if self.mode == "min" else max)(means, key=means.__getitem__)
        return frozenset(row for row in means if texts[row] == texts[first])


@frozen
class Pivot:
    """A table of means and standard deviations; see `Results.pivot`.

    Attributes:
        rows: Names of the fields whose values are rows.
        keys: The values of each row.
        by: Names of the fields whose values are columns.
        columns: The columns.
        unit: What cells are means over: ``replicate`` or ``study``.
    """

    rows: tuple[str, ...]
    keys: tuple[Key, ...]
    by: tuple[str, ...]
    columns: tuple[PivotColumn, ...]
    unit: str

    def table(self) -> list[Row]:
        """Return a row for each cell that has a value.

        The values of the fields, ``metric``, ``n``, ``mean``, ``std`` (None for one value), and
        ``best``: whether it is the best of its column.
        """
        return [
            dict(zip((*self.rows, *self.by), (*key, *column.key), strict=True))
            | {"metric": column.metric, "n": cell.n, "mean": cell.mean, "std": cell.std}
            | {"best": row in column.best}
            for row, key in enumerate(self.keys)
            for column in self.columns
            if (cell := column.cells[row]).n
        ]

    def to_latex(self) -> str:
        r"""Return a LaTeX tabular; needs ``\usepackage{booktabs}``."""
        return self.markup("latex")

    def to_html(self) -> str:
        """Return an HTML table."""
        return self.markup("html")

    def to_github(self) -> str:
        """Return a table in GitHub's Markdown."""
        return self.markup("github")

    def markup(self, form: str) -> str:
        """Return a table for a document: one of `MARKUP`."""
        look = Look()
        names = [*(clean(name, look) for name in self.rows), *self._headers(look)]
        columns = [column.marked(look) for column in self.columns]
        lines = [
            [*(shown_cell(value, look) for value in key), *(column[row] for column in columns)]
            for row, key in enumerate(self.keys)
        ]
        return tabulated(names, lines, form, range(len(self.rows), len(names)))

    def _headers(self, look: Look) -> list[str]:
        """The headings of the columns: values, metrics, or both."""
        several = len({column.metric for column in self.columns}) > 1
        return [
            " ".join(
                [
                    ", ".join(map(_heading, self.by, column.key, [look] * len(self.by))),
                    clean(column.metric, look) if several or not self.by else "",
                ]
            ).strip()
            for column in self.columns
        ]

    def __str__(self) -> str:
        return self.text(80)

    def text(self, width: int) -> str:
        """Return the table for a terminal of some columns; ``*`` marks the best."""
        look = look_of(width)
        table = [
            Column(
                clean(name, look),
                tuple(shown_cell(key[index], look) for key in self.keys),
                right=False,
            )
            for index, name in enumerate(self.rows)
        ]
        for header, column in zip(self._headers(look), self.columns, strict=True):
            drawn = column.drawn(look)
            cells = ("*" * (row in column.best) + cell for row, cell in enumerate(drawn.cells))
            table.append(replace(drawn, header=header, cells=tuple(cells)))
        modes = {column.metric: column.mode for column in self.columns}
        what = ", ".join(f"{clean(name, look)} ({better(mode)})" for name, mode in modes.items())
        title = f"{what}: mean {look.plus_minus} std over {_OVER[self.unit]}"
        return "\n".join(
            [*wrap(title, look, indent=0), *render(table, look), "* best of its column"]
        )

    def _repr_html_(self) -> str:
        return self.to_html()


def _heading(name: str, value: Raw, look: Look) -> str:
    text = shown_cell(value, look)
    return text if isinstance(value, str) else f"{clean(name, look)}={text}"


def pivot(
    rows: Sequence[Field],
    by: Sequence[Field],
    parts: Iterable[Part],
    metrics: Sequence[str],
) -> Pivot:
    """Return the table of some metrics by the values of fields.

    Args:
        rows: The fields whose values are rows.
        by: Those whose values are columns.
        parts: Trials of one objective by the values of all these.
        metrics: What to show; the score without any.

    Raises:
        ValueError: There is no best configuration.
    """
    cells = {
        (key[: len(rows)], key[len(rows) :]): [
            ranking.best
            for study in studies
            for ranking in rankings_of([study])
            if ranking.best is not None
        ]
        for key, studies in parts
    }
    configurations = [one for bests in cells.values() for one in bests]
    if not configurations:
        raise ValueError("pivot: expected complete trials with these fields, and there are none")
    modes = _modes(configurations, metrics)
    unit = "study" if any(len(bests) > 1 for bests in cells.values()) else "replicate"
    keys = _in_order(row for row, _ in cells)
    columns = tuple(
        PivotColumn(
            column,
            metric,
            mode,
            tuple(summary(_values(cells.get((row, column), ()), metric, unit)) for row in keys),
        )
        for column in _in_order(column for _, column in cells)
        for metric, mode in modes.items()
    )
    names, names_by = (tuple(field.short for field in fields) for fields in (rows, by))
    return Pivot(names, keys, names_by, columns, unit)


def _in_order(keys: Iterable[Key]) -> tuple[Key, ...]:
    """The keys: numbers by size, others as they come."""
    known = tuple(dict.fromkeys(keys))
    numbers = all(isinstance(value, (int, float)) for key in known for value in key)
    return tuple(sorted(known)) if numbers else known


def _modes(bests: Sequence[Configuration], metrics: Sequence[str]) -> Mapping[str, Mode]:
    """The metrics to show, with the better direction of each."""
    goals = {goal.metric: goal.mode for one in bests for goal in one.sweep.goals}
    names = metrics or [bests[0].sweep.metric]
    return {name: goals.get(name, implied_mode(name)) for name in names}


def _values(bests: Iterable[Configuration], metric: str, unit: str) -> list[float]:
    """The observations of a cell: replicates of its only study, or a mean for each study."""
    scores = [metric_values(one.trials, metric) for one in bests]
    if unit == "study":
        return [mean(each) for each in scores if each]
    return [value for each in scores for value in each]
