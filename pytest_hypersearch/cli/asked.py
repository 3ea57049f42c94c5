"""From texts of the command line to what they ask for: which runs, which trials."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.analysis import Results, load_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RUN = re.compile(r"@(all|-?\d{1,9}|[0-9a-f]{4,40})$")
_SIGNS = {"<=": "le", ">=": "ge", "!=": "ne", "=": "eq", "<": "lt", ">": "gt", "~": "contains"}
_CONDITION = re.compile(r"([^<>=!~]+)(<=|>=|!=|=|<|>|~)(.*)", re.DOTALL)


def results_of(what: Sequence[str], filters: Iterable[str]) -> Results:
    """Load what is meant by ``WHAT`` or ``WHAT@RUN``, and filter it.

    Raises:
        NothingStoredError, StoreError, ValueError: As `load_results` and `Results.filter`.
    """
    split = [_split(one) for one in what]
    runs = list(dict.fromkeys(run for _, run in split))
    if len(runs) > 1:
        raise ValueError(f"{' '.join(what)}: expected the same @RUN for all")
    results = load_results(*(name for name, _ in split if name), run=runs[0] if runs else None)
    for text in filters:
        results = results.filter(**condition(text))
    return results


def _split(what: str) -> tuple[str, str | None]:
    match = _RUN.search(what)
    return (what[: match.start()], match[1]) if match else (what, None)


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
    return {name if sign == "=" else f"{name}__{_SIGNS[sign]}": _value(value)}


def _value(text: str) -> Any:  # noqa: ANN401  any JSON value
    try:
        return json.loads(text)
    except ValueError:
        return text
