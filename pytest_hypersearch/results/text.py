"""Results as text of one screen, by the same tables as the summary in the terminal."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_hypersearch.results.export import csv_to, json_of, markdown_of
from pytest_hypersearch.results.groups import rankings_of
from pytest_hypersearch.results.terminal.counts import headlines
from pytest_hypersearch.results.terminal.format import (
    Column,
    Look,
    clean,
    plain,
    render,
    show_value,
)
from pytest_hypersearch.results.terminal.tables import group_table
from pytest_hypersearch.stats.grouping import count, group_of
from pytest_hypersearch.stats.ranking import objective_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_hypersearch.core.study import Configuration
    from pytest_hypersearch.core.trial import Config, Raw
    from pytest_hypersearch.results.export import Row
    from pytest_hypersearch.results.groups import Key
    from pytest_hypersearch.results.query import Field
    from pytest_hypersearch.stats.ranking import RankedStudy


_SWEEPS = 15


def look_of(width: int) -> Look:
    """Return what standard output can show, at a width."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        "±…".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return Look(width, 0, ascii_only=True)
    return Look(width)


def sweep_text(results: Sequence[RankedStudy], notes: Iterable[str], width: int) -> str:
    """Count the trials and show a line for each sweep, as far as they fit on a screen."""
    look = look_of(width)
    studies = [_tried(one) for one in results if one.study.trials]
    lines = [_counts(results), *map(plain, headlines(studies[:_SWEEPS], look))]
    if studies[_SWEEPS:]:
        lines.append(f"and {len(studies) - _SWEEPS} more tests")
    return "\n".join([*lines, *(clean(f"note: {note}", look) for note in notes)])


def _tried(ranked: RankedStudy) -> RankedStudy:
    """A study without the sweeps of which filters left nothing."""
    study = ranked.study
    names = {trial.sweep for trial in study.trials}
    sweeps = tuple(sweep for sweep in study.sweeps if sweep.planned or sweep.name in names)
    return replace(ranked, study=replace(study, sweeps=sweeps))


def sweep_html(results: Sequence[RankedStudy], notes: Iterable[str]) -> str:
    """Return the same for a notebook; texts of users' are escaped."""
    from html import escape

    return f"<pre>{escape(sweep_text(results, notes, 100))}</pre>"


def _counts(results: Iterable[RankedStudy]) -> str:
    trials = [trial for one in results for trial in one.study.trials]
    found = count(trials, 0)
    states = ", ".join(f"{number} {state}" for state, number in found.items())
    return f"Results: {len(trials)} trials" + (f": {states}" if found else "")


def group_text(
    fields: Sequence[Field], groups: Sequence[tuple[Key, Sequence[RankedStudy]]], width: int
) -> str:
    """Show a table of groups for each score, the group with the best first."""
    look = look_of(width)
    blocks = []
    ranked = [
        (key, ranking, objective_of(ranking.sweeps[0]))
        for key, part in groups
        for ranking in rankings_of(part)
    ]
    for objective, sweep in {goal: ranking.sweeps[0] for _, ranking, goal in ranked}.items():
        rows = [(key, group_of(key, ranking)) for key, ranking, one in ranked if one == objective]
        keys = [
            (short_name(field), [show_value(key[place], look) for key, _ in rows])
            for place, field in enumerate(fields)
        ]
        by = ", ".join(short_name(field) for field in fields)
        better = "lower" if sweep.mode == "min" else "higher"
        title = clean(f"{sweep.metric} by {by} ({better} is better)", look)
        without = [short_name(f) for f in fields if f.name.startswith("params.")]
        table = group_table(keys, [group for _, group in rows], look, without=without)
        blocks.append("\n".join([title, *map(plain, table)]))
    return "\n\n".join(blocks) or "no trials"


def short_name(field: Field) -> str:
    """Return a field's name without what it belongs to."""
    return field.name.partition(".")[2] or field.name


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


def params_text(best: Configuration, form: str) -> str:
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
