"""Rows and parameters as text: tables, Markdown, JSON, CSV, YAML, TOML."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
from typing import TYPE_CHECKING

from pytest_hypersearch.analysis.exports import csv_to, json_of, markdown_of
from pytest_hypersearch.analysis.texts import look_of
from pytest_hypersearch.terminal.display import clean, show_value
from pytest_hypersearch.terminal.layout import Column, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_hypersearch.analysis.tables import Row
    from pytest_hypersearch.statistics.ranking import Ranked
    from pytest_hypersearch.trial import Config, Raw

_LONG = 16
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_TYPED = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)
_UNPRINTED = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def width() -> int:
    """Return the columns of the terminal, 80 without one."""
    return shutil.get_terminal_size().columns


def rows_text(rows: Sequence[Row], form: str, drop: Sequence[str] = ()) -> str:
    """Return rows of equal names as text.

    Args:
        rows: At least one.
        form: ``table``, ``markdown``, ``json`` or ``csv``.
        drop: Names of columns that go, in this order, if a table is wider than the terminal.
    """
    if form == "json":
        return json_of(rows, indent=2)
    if form == "csv":
        file = io.StringIO()
        csv_to(file, rows)
        return file.getvalue().rstrip("\n").replace("\r\n", "\n")
    look = look_of(width())
    texts = [{clean(n, look): _shown(value) for n, value in row.items()} for row in rows]
    return markdown_of(texts) if form == "markdown" else _table(rows, texts, drop)


def _shown(value: Raw) -> str:
    look = look_of(width())
    if value is None:
        return "-"
    return clean(value, look) if isinstance(value, str) else show_value(value, look)


def _table(rows: Sequence[Row], texts: Sequence[Mapping[str, str]], drop: Sequence[str]) -> str:
    columns = [
        Column(
            header,
            tuple(text[header] for text in texts),
            right=all(isinstance(row[name], (int, float, type(None))) for row in rows),
            drop=len(drop) - drop.index(name) if name in drop else 0,
            shrinks=any(len(text[header]) > _LONG for text in texts),
        )
        for name, header in zip(rows[0], texts[0], strict=True)
    ]
    return "\n".join(render(columns, look_of(width())))


def params_text(best: Ranked, form: str) -> str:
    """Return a configuration as ``json``, ``yaml`` or ``toml``, or as a ``pytest`` command."""
    match form:
        case "yaml":
            return "\n".join(f"{_key(n)}: {_scalar(v)}" for n, v in best.params.items()) or "{}"
        case "toml":
            return "\n".join(_toml(best.params))
        case "pytest":
            items = (shlex.quote(trial.nodeid) for trial in best.trials)
            return f"pytest {' '.join(items)} --sweep-rerun"
    return json.dumps(best.params, indent=2)


def _toml(params: Config) -> list[str]:
    """TOML has no null: such a parameter becomes a comment."""
    return [
        f"# {_key(name)} = null" if value is None else f"{_key(name)} = {_scalar(value)}"
        for name, value in params.items()
    ]


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) and not _TYPED.fullmatch(name) else _quoted(name)


def _scalar(value: Raw) -> str:
    """Write a scalar as both YAML and TOML read it."""
    if isinstance(value, str):
        return _quoted(value)
    text = json.dumps(value)
    if isinstance(value, float) and "." not in text:
        return text.replace("e", ".0e")  # YAML 1.1 takes 1e-05 for a text
    return text


def _quoted(text: str) -> str:
    escaped = json.dumps(text, ensure_ascii=False)
    return _UNPRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)
