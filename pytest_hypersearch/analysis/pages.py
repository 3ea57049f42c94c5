"""Stored results as the report takes them, and from a server that follows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.analysis.courses import curves
from pytest_hypersearch.report import Reported
from pytest_hypersearch.trial import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_hypersearch.analysis.loading import Loaded
    from pytest_hypersearch.analysis.results import Results
    from pytest_hypersearch.curves import Series


def reported(loaded: Loaded) -> Reported:
    """Return a study with its curves, as the report takes them."""
    found: dict[Key, dict[str, Series]] = {}
    for curve in curves(loaded):
        key = Key(curve.trial.sweep, curve.trial.number, curve.trial.replicate)
        found.setdefault(key, {})[curve.metric] = list(curve.steps), list(curve.values)
    study = loaded.results
    return Reported(replace(study, run=_from_here(study.run)), found, loaded.runs)


def _from_here(path: str) -> str:
    """A path as whoever works in this directory would write it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def serve_stored(results: Callable[[], Results], announce: Callable[[str], None]) -> None:
    """Serve the report on stored runs until interrupted; it follows those that still go on.

    Args:
        results: Reads what is to be shown.
        announce: Told the address once the server listens.

    Raises:
        ModuleNotFoundError: plotly is not installed.
    """
    from pytest_hypersearch.report.serve import serve, stamp_of

    stores = {Path(study.run).parent.parent for study in results().studies}
    serve(lambda: results().reported(), lambda: stamp_of(stores), announce)
