"""Results as files that other programs read: CSV, JSON, parquet."""

from __future__ import annotations

import csv
import json
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pytest_hypersearch.analysis.extras import needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from pytest_hypersearch.analysis.results import Results
    from pytest_hypersearch.analysis.tables import Row

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(results: Results, path: str | PathLike[str]) -> None:
    """Write the table as CSV in UTF-8; see `csv_to`."""
    with Path(path).open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        csv_to(file, results.table())


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


def write_json(results: Results, path: str | PathLike[str]) -> None:
    """Write studies, sweeps and trials as JSON in ASCII; see `json_of`."""
    Path(path).write_text(json_of({"studies": [s.to_json() for s in results.studies]}) + "\n")


def json_of(value: object, *, indent: int | None = None) -> str:
    """Return JSON that any reader takes: NaN and infinity as the texts nan, inf and -inf."""
    return json.dumps(_finite(value), allow_nan=False, indent=indent)


def _finite(value: Any) -> Any:  # noqa: ANN401  JSON values
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value


def write_parquet(results: Results, path: str | PathLike[str]) -> None:
    """Write the DataFrame as parquet; a column of mixed types becomes one of JSON texts.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """
    with needs("to_parquet", "pyarrow", "parquet"):
        import pyarrow as pa  # noqa: F401  pandas would tell less well what is missing
    frame = results.table(as_dataframe=True)
    for name in frame.select_dtypes("object"):
        frame[name] = frame[name].map(_json_or_none).astype("string")
    frame.to_parquet(path, engine="pyarrow")


def _json_or_none(value: object) -> str | None:
    return None if value is None else json_of(value)


def markdown_of(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows as a table of Markdown (GitHub's), whose cells may hold anything."""
    names = list(rows[0]) if rows else []
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    for sign in "\\|`*_<>[]":
        text = text.replace(sign, f"\\{sign}")
    return text
