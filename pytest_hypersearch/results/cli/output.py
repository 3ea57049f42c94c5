"""What commands print, and their exit codes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_hypersearch.core.values import printable

if TYPE_CHECKING:
    from pytest_hypersearch.results.results import Results

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


def nothing() -> int:
    """Tell that no trial is selected; return the exit code."""
    warn("no trials match")
    return NOTHING
