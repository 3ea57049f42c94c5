"""Which runs and trials a command line selects, and what all commands print."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import Any

from pytest_hypersearch.core.values import printable
from pytest_hypersearch.results.results import Results, load_results
from pytest_hypersearch.store.find import NothingStoredError, split_run

_SIGNS = {"<=": "le", ">=": "ge", "!=": "ne", "=": "eq", "<": "lt", ">": "gt", "~": "contains"}
_CONDITION = re.compile(r"([^<>=!~]+)(<=|>=|!=|=|<|>|~)(.*)", re.DOTALL)


def results_of(what: Sequence[str], filters: Iterable[str], *, run: str | None = None) -> Results:
    """Load what is meant by ``WHAT`` or ``WHAT@RUN``, and filter it.

    Args:
        what: Tests or paths.
        filters: Conditions.
        run: The run if no other one is asked for.

    Raises:
        NothingStoredError, StoreError, ValueError: As `load_results` and `Results.filter`.
    """
    split = [split_run(one) for one in what]
    runs = list(dict.fromkeys(asked for _, asked in split))
    if len(runs) > 1:
        raise ValueError(f"{' '.join(what)}: expected the same @RUN for all")
    chosen = (runs[0] if runs else None) or run
    results = load_results(*(name for name, _ in split if name), run=chosen)
    for text in filters:
        results = results.filter(**condition(text))
    return results


def condition(text: str) -> dict[str, Any]:
    """Return the argument of `Results.filter` that a condition such as ``lr<0.1`` stands for.

    A value is read as JSON if it is some, otherwise as text.

    Raises:
        ValueError: It is no condition.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}: expected a condition such as status=success or lr<0.1")
    name, sign, value = match[1].strip(), match[2], match[3].strip()
    return {name if sign == "=" else f"{name}__{_SIGNS[sign]}": json_or_text(value)}


def json_or_text(text: str) -> Any:  # noqa: ANN401  any JSON value
    """Return the JSON value of a text, the text itself if it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


NO_MATCH = "no trials match"
FOUND, NOTHING, WORSE, MISUSED, INCOMPARABLE = 0, 1, 1, 2, 3


def print_text(text: str) -> None:
    """Print what a command has to tell."""
    sys.stdout.write(f"{printable(text)}\n")


def warn(text: str) -> None:
    """Tell something that is no result, on standard error."""
    sys.stderr.write(f"pytest-hypersearch: {printable(text)}\n")


def tell_notes(results: Results) -> None:
    """Tell what a reader of results must know."""
    for note in results.notes:
        warn(f"note: {note}")


def selected(given: Namespace, *, run: str | None = None) -> Results:
    """Load the trials that a command is to show, and tell its user the notes on them.

    Raises:
        NothingStoredError, StoreError, ValueError: No trial is selected, or as `results_of`.
    """
    results = results_of(given.what, given.filter, run=run)
    tell_notes(results)
    if not results:
        raise NothingStoredError(NO_MATCH)
    return results
