"""Commands by which people tag trials and runs, and write notes on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.core.study import some
from pytest_hypersearch.core.values import plural
from pytest_hypersearch.results.cli.output import FOUND, print_text
from pytest_hypersearch.results.cli.selection import results_of
from pytest_hypersearch.store.annotations import annotate, targets_called
from pytest_hypersearch.store.runs import Run

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence


def tag(given: Namespace) -> int:
    """Tag trials or a run, or take tags away."""
    add, remove = ([], given.tags) if given.remove else (given.tags, [])
    return _annotate(given, add, remove, None)


def note(given: Namespace) -> int:
    """Write a note on trials or a run; an empty one takes it away."""
    return _annotate(given, [], [], " ".join(given.text))


def _annotate(given: Namespace, add: Sequence[str], remove: Sequence[str], text: str | None) -> int:
    studies = results_of([given.test], []).studies
    if len(studies) != 1:
        names = some(study.nodeid for study in studies)
        raise ValueError(f"{given.test}: expected one test, not {names}")
    (study,) = studies
    targets = targets_called(study, given.trial)
    annotate(Run(Path(study.run)), targets, add=add, remove=remove, note=text)
    what = "the run" if targets == [None] else plural(len(targets), "trial")
    print_text(f"{what} of {study.nodeid}, run {Path(study.run).name}")
    return FOUND
