"""Stored results as the report shows them: in a file, or from a server that follows them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.analysis.courses import curves
from pytest_hypersearch.analysis.loading import load
from pytest_hypersearch.report import Reported, page
from pytest_hypersearch.trial import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike

    from pytest_hypersearch.analysis.loading import Loaded, Source
    from pytest_hypersearch.curves import Series


def reported(loaded: Loaded) -> Reported:
    """Return a study with its curves, as the report takes them."""
    found: dict[Key, dict[str, Series]] = {}
    for curve in curves(loaded):
        key = Key(curve.trial.sweep, curve.trial.number, curve.trial.replicate)
        found.setdefault(key, {})[curve.metric] = list(curve.steps), list(curve.values)
    return Reported(loaded.results, found)


def write_html(loaded: Iterable[Loaded], path: str | PathLike[str]) -> None:
    """Write the report; see `Results.to_html`."""
    Path(path).write_text(page(map(reported, loaded)), encoding="utf-8")


def serve_stored(
    sources: Sequence[Source], run: int | str | None, announce: Callable[[str], None]
) -> None:
    """Serve the report on stored runs until interrupted; it follows those that still go on.

    Args:
        sources: As `load_results` takes them.
        run: Which run of each study, as `load_results` takes it.
        announce: Told the address once the server listens.

    Raises:
        LookupError: There are no such runs.
        ModuleNotFoundError: plotly is not installed.
        StoreError: None of the runs can be read.
    """
    from pytest_hypersearch.report.serve import serve, stamp_of

    known, _ = load(sources, run)
    stores = {path.parent.parent for one in known for path in one.runs}
    serve(
        lambda: [reported(one) for one in load(sources, run)[0]],
        lambda: stamp_of(stores),
        announce,
    )
