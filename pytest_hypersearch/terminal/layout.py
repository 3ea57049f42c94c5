"""Lines of text that fit the terminal: words that flow, tables whose columns shrink or go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from pytest_hypersearch.terminal.display import columns, cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_hypersearch.terminal.display import Look

Segment: TypeAlias = "tuple[str, dict[str, bool]]"
"""Text and how to mark it up: ``terminalreporter.write(text, **markup)``."""

Line: TypeAlias = "tuple[Segment, ...]"
"""One line of the terminal, without its end; empty for a blank line."""

BLANK: Line = ()
_GAP = 2
_NARROW = 16
_NARROWEST = 6


def line(text: str, **markup: bool) -> Line:
    """Makes a line of one segment."""
    return ((text, markup),)


def plain(one: Line) -> str:
    """Returns the text of a line."""
    return "".join(text for text, _ in one)


def flow(words: Iterable[Segment], look: Look, *, indent: int = 2) -> list[Line]:
    """Sets words one after another, on as many lines as the width asks for.

    Args:
        words: Texts that are not broken; one that starts with a space stands further apart.
        look: Decides the width.
        indent: Spaces before the first line; lines that follow have two more.
    """
    lines: list[list[Segment]] = []
    used = 0
    for text, markup in words:
        if lines and used + 1 + columns(text) <= look.width:
            lines[-1].append((" ", {}))
        else:
            used = indent + 2 * bool(lines)
            text = cut(text.lstrip(" "), look.width - used, look)  # noqa: PLW2901
            lines.append([(" " * used, {})] if used else [])
            used -= 1
        lines[-1].append((text, markup))
        used += 1 + columns(text)
    return [tuple(one) for one in lines]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        header: Its heading.
        cells: Its texts, harmless to print, one a row.
        right: Whether it is aligned to the right, as numbers are.
        drop: When it goes if the table is too wide: the highest first, 0 never.
        shrinks: Whether its texts may be cut.
    """

    header: str
    cells: tuple[str, ...]
    right: bool = True
    drop: int = 0
    shrinks: bool = False

    @property
    def width(self) -> int:
        """Terminal columns that it takes uncut."""
        return max(columns(text) for text in (self.header, *self.cells))


def render(table: Sequence[Column], look: Look, *, indent: int = 0) -> list[str]:
    """Draws a table without a frame.

    Args:
        table: The columns from left to right, all of one length.
        look: Decides the width and the ellipsis.
        indent: Spaces before each line.

    Returns:
        Heading, rule and rows, without spaces at the end.
    """
    from tabulate import tabulate

    shown = _fit(list(table), replace(look, width=look.width - indent))
    # The heading goes in as rows: as a heading, tabulate would widen its columns.
    texts = [(one.header, "-" * one.width, *one.cells) for one in shown]
    drawn = tabulate(
        zip(*texts, strict=True),
        tablefmt="plain",
        disable_numparse=True,
        preserve_whitespace=True,
        colalign=["right" if one.right else "left" for one in shown],
    )
    return [(" " * indent + row).rstrip() for row in drawn.split("\n")]


def fits(table: Sequence[Column], look: Look, *, indent: int = 0) -> bool:
    """Tells whether a table fits uncut."""
    return _excess([column.width for column in table], look) + indent <= 0


def _fit(table: list[Column], look: Look) -> list[Column]:
    while _excess([_least(column) for column in table], look) > 0:
        last = max(table, key=lambda column: column.drop)
        if not last.drop:
            break
        table.remove(last)
    for index, column in reversed(list(enumerate(table))):
        excess = _excess([other.width for other in table], look)
        if column.shrinks and excess > 0:
            table[index] = _shrink(column, max(column.width - excess, _NARROWEST), look)
    return table


def _excess(widths: Sequence[int], look: Look) -> int:
    return sum(widths) + _GAP * (len(widths) - 1) - look.width


def _least(column: Column) -> int:
    return min(column.width, _NARROW) if column.shrinks else column.width


def _shrink(column: Column, width: int, look: Look) -> Column:
    return replace(
        column,
        header=cut(column.header, width, look),
        cells=tuple(cut(cell, width, look) for cell in column.cells),
    )
