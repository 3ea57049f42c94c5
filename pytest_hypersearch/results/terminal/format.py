"""How names, values and numbers look in a terminal: harmless, rounded alike, cut to a width."""

from __future__ import annotations

import math
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import Mode
from pytest_hypersearch.core.trial import Config, Raw

_CI_COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#\w*\[)")
_PLAIN_STRING = re.compile(r"[^\s=,'\"]+")
_LOOKS_TYPED = re.compile(r"[-+.]?\d.*|[-+]?(inf|nan)|True|False|None", re.IGNORECASE)
_FLOAT_COLUMNS = 7
_FIXED_DIGITS = 9
_MOST_DECIMALS = 7
_NOISE = 1e-9


@frozen
class Look:
    """What the terminal and the user ask of the text.

    Attributes:
        width: Columns of the terminal.
        verbosity: pytest's: -1 is ``-q``, 1 is ``-v``.
        ascii_only: Whether the terminal cannot encode anything beyond ASCII.
    """

    width: int = 80
    verbosity: int = 0
    ascii_only: bool = False

    @property
    def plus_minus(self) -> str:
        """The sign between a mean and its standard deviation."""
        return "+/-" if self.ascii_only else "±"

    @property
    def ellipsis(self) -> str:
        """The sign for text that was cut off."""
        return "..." if self.ascii_only else "…"


def look_of(width: int) -> Look:
    """Return what standard output can show, at a width."""
    return Look(width, ascii_only=not encodes_signs(sys.stdout))


def encodes_signs(file: object) -> bool:
    """Tell whether a file can be written the signs beyond ASCII that tables have."""
    try:
        "±…".encode(getattr(file, "encoding", None) or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def terminal_width() -> int:
    """Return the columns of the terminal, 80 without one."""
    return shutil.get_terminal_size().columns


def clean(text: str, look: Look) -> str:
    """Makes text from users harmless to print.

    Control characters, line breaks, ANSI escapes and invisible characters are shown escaped, as is
    what a CI service would take for a command (``::error``, ``##[group]``, ``##vso[task]``).
    """
    if not text.isprintable() or (look.ascii_only and not text.isascii()):
        text = "".join(_escape(character, look) for character in text)
    return _CI_COMMAND.sub(
        lambda match: f"{match[1]}\\x3a" if match[1] is not None else r"\x23", text
    )


def _escape(character: str, look: Look) -> str:
    if character.isprintable() and (character.isascii() or not look.ascii_only):
        return character
    return character.encode("unicode_escape").decode("ascii")


def columns(text: str) -> int:
    """Counts the terminal columns that a line of text takes."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    return max(wcswidth(text), 0)


def cut(text: str, width: int, look: Look, *, left: bool = False) -> str:
    """Shortens a line to a number of columns, with an ellipsis where something is missing."""
    if columns(text) <= width:
        return text
    room = width - len(look.ellipsis)
    if room <= 0:
        return look.ellipsis[: max(width, 0)]
    if left:
        return look.ellipsis + _prefix(text[::-1], room)[::-1]
    return _prefix(text, room).rstrip() + look.ellipsis


def _prefix(text: str, room: int) -> str:
    from wcwidth import wcwidth

    for index, character in enumerate(text):
        room -= max(wcwidth(character), 0)
        if room < 0:
            return text[:index]
    return text


def pad(text: str, width: int) -> str:
    """Fills text with spaces up to a number of columns."""
    return text + " " * (width - columns(text))


def show_value(value: Raw, look: Look) -> str:
    """Writes a parameter's value: floats to 4 digits, strings quoted if they could be misread."""
    if isinstance(value, float):
        exact = repr(value)
        return exact if len(exact) <= _FLOAT_COLUMNS else f"{value:.4g}"
    if isinstance(value, str) and (
        not _PLAIN_STRING.fullmatch(value) or _LOOKS_TYPED.fullmatch(value)
    ):
        return clean(repr(value), look)
    return clean(str(value), look)


def better(mode: Mode) -> str:
    """Says which direction is better."""
    return f"{'lower' if mode == 'min' else 'higher'} is better"


def show_params(params: Config, look: Look, *, without: Iterable[str] = ()) -> list[str]:
    """Writes a configuration as ``name=value`` words, leaving out the names in ``without``."""
    hidden = set(without)
    return [
        f"{clean(name, look)}={show_value(value, look)}"
        for name, value in params.items()
        if name not in hidden
    ]


def show_duration(seconds: float) -> str:
    """Writes a time span in at most six columns: ``0.42s``, ``12.4s``, ``2m10s``, ``1h02m``."""
    if seconds < 9.995:  # noqa: PLR2004 - rounds to three digits
        return f"{seconds:.2f}s"
    if seconds < 59.95:  # noqa: PLR2004 - rounds to less than a minute
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - minutes
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


@frozen
class Scale:
    """How the numbers of one column are rounded, all alike.

    Attributes:
        decimals: Digits behind the point, or None for scientific notation.
    """

    decimals: int | None

    def value(self, number: float | None) -> str:
        """Writes a score or mean; ``-`` if there is none."""
        return self._text(number, 3)

    def spread(self, number: float | None) -> str:
        """Writes a standard deviation; ``-`` if there is none."""
        return self._text(number, 1)

    def _text(self, number: float | None, scientific: int) -> str:
        if number is None:
            return "-"
        if self.decimals is None:
            return f"{number:.{scientific}e}" if number else "0"
        return f"{number:z.{self.decimals}f}"


def scale_of(values: Sequence[float], spreads: Sequence[float | None] = ()) -> Scale:
    """Chooses the digits of a column of scores.

    With standard deviations the smallest of them shows two digits. Without, the largest value
    shows four digits, or more where values lie close together or the smallest would not be seen.
    Numbers too large, too small or too far apart for that are written in scientific notation.
    """
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return Scale(0 if not any(spreads) else _decimals(max(filter(None, spreads)), 2))
    high, low = max(sizes), min(sizes)
    # replicates that agree up to rounding errors have no spread worth showing
    seen = [s for v, s in zip(values, spreads, strict=False) if s and s > _NOISE * abs(v)]
    room = _FIXED_DIGITS - max(1, math.floor(math.log10(high)) + 1)
    needed = _decimals(min(seen) if seen else low, 2)
    readable = 1e-3 <= max(high, *seen, 0) < 1e6  # noqa: PLR2004 - in fixed notation
    if not readable or needed > min(room, _MOST_DECIMALS):
        return Scale(None)
    if seen:
        return Scale(needed)
    apart = max(values) - min(values)
    between = _decimals(apart, 2) if apart > _NOISE * high else 0
    return Scale(min(room, max(needed, _decimals(high, 4), between)))


def _decimals(number: float, digits: int) -> int:
    """Returns the decimals that show a number's first significant digits."""
    if not number or not math.isfinite(number):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(number))))


def show_mean(mean: float, std: float | None, look: Look) -> str:
    """Writes one mean with its standard deviation: ``0.9433 ± 0.0012``."""
    scale = scale_of([mean], [std])
    if std is None:
        return scale.value(mean)
    return f"{scale.value(mean)} {look.plus_minus} {scale.spread(std)}"


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
    return [tuple(each) for each in lines]


def wrap(text: str, look: Look, *, indent: int = 2) -> list[str]:
    """Sets the words of a text as `flow` does, as plain lines."""
    words: list[Segment] = [(word, {}) for word in text.split()]
    return [plain(each) for each in flow(words, look, indent=indent)]


@frozen
class Column:
    """One column of a table.

    Attributes:
        header: Its heading.
        cells: Its texts, harmless to print, one a row.
        right: Whether it is aligned to the right, as numbers are.
        drop: When it goes if the table is too wide: the highest first, 0 never.
        shrinks: Whether its texts may be cut.
        keeps_end: Whether they are cut at the beginning, as names of tests are.
    """

    header: str
    cells: tuple[str, ...]
    right: bool = True
    drop: int = 0
    shrinks: bool = False
    keeps_end: bool = False

    @property
    def width(self) -> int:
        """Terminal columns that it takes uncut."""
        return max(columns(text) for text in (self.header, *self.cells))


def render(table: Sequence[Column], look: Look, *, indent: int = 0) -> list[str]:
    """Draws a table without a frame: heading, rule and rows, without spaces at the end."""
    from tabulate import tabulate

    shown = _fit(list(table), replace(look, width=look.width - indent))
    # The heading goes in as rows: as a heading, tabulate would widen its columns.
    texts = [(column.header, "-" * column.width, *column.cells) for column in shown]
    drawn = tabulate(
        zip(*texts, strict=True),
        tablefmt="plain",
        disable_numparse=True,
        preserve_whitespace=True,
        colalign=["right" if column.right else "left" for column in shown],
    )
    return [(" " * indent + row).rstrip() for row in drawn.split("\n")]


def fits(table: Sequence[Column], look: Look, *, indent: int = 0) -> bool:
    """Tells whether a table fits uncut."""
    return _excess([column.width for column in table], look) + indent <= 0


def _fit(table: list[Column], look: Look) -> list[Column]:
    widths = [column.width for column in table]
    while _excess([*map(_least, table, widths)], look) > 0:
        last = max(range(len(table)), key=lambda index: table[index].drop)
        if not table[last].drop:
            break
        del table[last], widths[last]
    for index, column in reversed(list(enumerate(table))):
        excess = _excess(widths, look)
        if column.shrinks and excess > 0:
            table[index] = _shrink(column, max(widths[index] - excess, _NARROWEST), look)
            widths[index] = table[index].width
    return table


def _excess(widths: Sequence[int], look: Look) -> int:
    return sum(widths) + _GAP * (len(widths) - 1) - look.width


def _least(column: Column, width: int) -> int:
    return min(width, _NARROW) if column.shrinks else width


def _shrink(column: Column, width: int, look: Look) -> Column:
    return replace(
        column,
        header=cut(column.header, width, look),
        cells=tuple(cut(cell, width, look, left=column.keeps_end) for cell in column.cells),
    )
