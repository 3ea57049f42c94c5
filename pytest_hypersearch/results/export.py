"""Trials as rows: plain dicts, or a typed DataFrame of pandas'.

A column is named as its field: ``score``, ``params.lr``, ``metrics.loss``, so that parameters and
metrics of one name stay apart. What a trial does not have is None.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from math import isfinite
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias

from pytest_hypersearch.core.codec import json_object
from pytest_hypersearch.core.errors import needs
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import Raw
from pytest_hypersearch.core.values import encodable
from pytest_hypersearch.results.query import ABSENT, Entry, Field, Row
from pytest_hypersearch.results.terminal.format import (
    Column,
    Look,
    clean,
    look_of,
    render,
    show_value,
    terminal_width,
)

if TYPE_CHECKING:
    import pandas as pd


Columns: TypeAlias = "dict[str, list[Any]]"

_DTYPES = {
    frozenset({bool}): "boolean",
    frozenset({int}): "Int64",
    frozenset({float}): "float64",
    frozenset({int, float}): "float64",
    frozenset({str}): "string",
}


def columns_of(entries: Iterable[Entry], fields: Sequence[Field]) -> Columns:
    """Return the values of fields, by the fields' names."""
    rows = list(entries)
    return {
        field.name: [None if (value := field.get(each)) is ABSENT else value for each in rows]
        for field in fields
    }


def rows_of(columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Return columns of equal length as one dict a row."""
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def frame_of(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return columns as a DataFrame.

    Whole numbers, booleans and texts get pandas' types that know missing values; ``status`` is
    categorical, ``started`` a time in UTC. A column of mixed types stays one of objects. Lone
    surrogates are escaped: texts are kept by pyarrow, if it is installed, which takes UTF-8 alone.
    """
    import pandas as pd

    frame = pd.DataFrame({encodable(n): _series(values) for n, values in columns.items()})
    if "status" in frame:
        frame["status"] = frame["status"].astype("category")
    if "started" in frame:
        frame["started"] = pd.to_datetime(frame["started"], unit="s", utc=True)
    return frame


def _series(values: Sequence[Any]) -> pd.Series[Any]:
    import pandas as pd

    dtype = _DTYPES.get(frozenset(type(value) for value in values if value is not None), "object")
    if dtype == "string":
        values = [None if value is None else encodable(value) for value in values]
    try:
        return pd.Series(values, dtype=dtype)
    except OverflowError:  # an integer beyond 64 bits
        return pd.Series(values, dtype="object")


_LONG = 16
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_to(file: TextIO, rows: Sequence[Row]) -> None:
    """Write rows as CSV, None as nothing.

    A text that a spreadsheet would take for a formula gets a leading ``'`` (OWASP, CSV injection);
    numbers stay numbers.
    """
    writer = csv.writer(file)
    writer.writerow([_harmless(name) for name in (rows[0] if rows else ())])
    writer.writerows([_harmless(value) for value in row.values()] for row in rows)


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def studies_json(studies: Iterable[StudyResults]) -> str:
    """Return studies, sweeps and trials as JSON in ASCII; see `json_of`."""
    return json_of({"studies": list(studies)})


def json_of(value: object, *, indent: int | None = None) -> str:
    """Return JSON that any reader takes: NaN and infinity as the texts nan, inf and -inf."""
    return json.dumps(_finite(value), allow_nan=False, indent=indent)


def _finite(value: Any) -> Any:  # noqa: ANN401  JSON values
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if is_dataclass(value):
        value = json_object(value)
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value


def write_parquet(columns: Columns, path: str | PathLike[str]) -> None:
    """Write columns as parquet; a column of mixed types becomes one of JSON texts.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """
    with needs("to_parquet", "pyarrow", "parquet"):
        import pyarrow as pa  # noqa: F401  pandas would tell less well what is missing
    frame = frame_of(columns)
    for name in frame.select_dtypes("object"):
        texts = frame[name].map(lambda value: None if value is None else json_of(value))
        frame[name] = texts.astype("string")
    frame.to_parquet(path, engine="pyarrow")


MARKUP: Final[Mapping[str, str]] = {"github": "pipe", "latex": "latex_booktabs", "html": "html"}
"""Tables that documents take, and what tabulate calls them."""

BOLD: Final = "\ue000{}\ue001"
"""Makes a cell bold; texts of users have these signs escaped, as all that is not printable."""

_DRAWN: Final[Mapping[str, dict[str, str]]] = {
    "github": {"\ue000": "**", "\ue001": "**"},
    "latex": {
        "\ue000": r"\textbf{",
        "\ue001": "}",
        "±": r"$\pm$",
        "−": "$-$",  # noqa: RUF001  a minus
        "|": r"\textbar{}",
    },
    "html": {"\ue000": "<strong>", "\ue001": "</strong>"},
}
"""What becomes of signs once tabulate has escaped all else."""


def markup_of(rows: Sequence[Mapping[str, str]], form: str, right: Collection[str] = ()) -> str:
    """Return rows as a table for a document, whose cells may hold anything.

    Args:
        rows: Rows of equal names.
        form: One of `MARKUP`.
        right: Names of columns that are aligned to the right, as numbers are.
    """
    names = list(rows[0]) if rows else []
    lines = [[row[name] for name in names] for row in rows]
    return tabulated(names, lines, form, [names.index(name) for name in right])


def tabulated(
    names: Sequence[str], lines: Sequence[Sequence[str]], form: str, right: Collection[int]
) -> str:
    """Return lines of cells as a table for a document; see `markup_of`."""
    from tabulate import tabulate

    if form == "github":  # others are escaped by tabulate
        names, lines = list(map(_escaped, names)), [list(map(_escaped, line)) for line in lines]
    table = tabulate(
        lines,
        headers=names,
        tablefmt=MARKUP[form],
        disable_numparse=True,
        colalign=["right" if index in right else "left" for index in range(len(names))],
    )
    return table.translate({ord(sign): text for sign, text in _DRAWN[form].items()})


def _escaped(text: str) -> str:
    # The last two are taken for addresses wherever they are.
    return re.sub(r"[\\|`*_<>\[\]&~$]|(?<=:)(?=//)|(?<=www)(?=\.)", r"\\\g<0>", text)


def rows_text(rows: Sequence[Row], form: str, drop: Sequence[str] = ()) -> str:
    """Return rows of equal names as text.

    Args:
        rows: At least one.
        form: ``table``, ``json``, ``csv``, or one of `MARKUP`.
        drop: Names of columns that go, in this order, if a table is wider than the terminal.
    """
    if form == "json":
        return json_of(rows, indent=2)
    if form == "csv":
        file = io.StringIO()
        csv_to(file, rows)
        return file.getvalue().replace("\r\n", "\n").removesuffix("\n")
    look = look_of(terminal_width())
    texts = [{clean(n, look): shown_cell(value, look) for n, value in row.items()} for row in rows]
    numbers = [clean(name, look) for name in rows[0] if _is_numeric(rows, name)]
    return markup_of(texts, form, numbers) if form in MARKUP else _table(rows, texts, drop)


def _is_numeric(rows: Sequence[Row], name: str) -> bool:
    return all(isinstance(row[name], (int, float, type(None))) for row in rows)


def shown_cell(value: Raw, look: Look) -> str:
    """Return a value as the text of a cell, strings as they are."""
    if value is None:
        return "-"
    return clean(value, look) if isinstance(value, str) else show_value(value, look)


def _table(rows: Sequence[Row], texts: Sequence[Mapping[str, str]], drop: Sequence[str]) -> str:
    columns = [
        Column(
            header,
            tuple(text[header] for text in texts),
            right=_is_numeric(rows, name),
            drop=len(drop) - drop.index(name) if name in drop else 0,
            shrinks=any(len(text[header]) > _LONG for text in texts),
            keeps_end=name == "test",
        )
        for name, header in zip(rows[0], texts[0], strict=True)
    ]
    return "\n".join(render(columns, look_of(terminal_width())))
