"""Trials as rows: plain dicts, or a typed DataFrame of pandas'.

A column is named as its field: ``score``, ``params.lr``, ``metrics.loss``, so that parameters and
metrics of one name stay apart. What a trial does not have is None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_hypersearch.analysis.fields import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from pytest_hypersearch.analysis.fields import Entry, Field

Columns: TypeAlias = "dict[str, list[Any]]"
Row: TypeAlias = "dict[str, Any]"

_DTYPES = {
    frozenset({bool}): "boolean",
    frozenset({int}): "Int64",
    frozenset({float}): "float64",
    frozenset({int, float}): "float64",
    frozenset({str}): "string",
}


def columns_of(entries: Iterable[Entry], fields: Sequence[Field]) -> Columns:
    """Return the values of fields, by the fields' names."""
    known = list(entries)
    return {field.name: [_none_if_absent(field.get(one)) for one in known] for field in fields}


def rows_of(columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Return columns of equal length as one dict a row."""
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def frame_of(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return columns as a DataFrame.

    Whole numbers, booleans and texts get pandas' types that know missing values; ``status`` is
    categorical, ``started`` a time in UTC. A column of mixed types stays one of objects.
    """
    import pandas as pd

    frame = pd.DataFrame({name: _series(values) for name, values in columns.items()})
    if "status" in frame:
        frame["status"] = frame["status"].astype("category")
    if "started" in frame:
        frame["started"] = pd.to_datetime(frame["started"], unit="s", utc=True)
    return frame


def _series(values: Sequence[Any]) -> pd.Series[Any]:
    import pandas as pd

    dtype = _DTYPES.get(frozenset(type(value) for value in values if value is not None), "object")
    try:
        return pd.Series(values, dtype=dtype)
    except OverflowError:  # an integer beyond 64 bits
        return pd.Series(values, dtype="object")


def _none_if_absent(value: object) -> object:
    return None if value is ABSENT else value
