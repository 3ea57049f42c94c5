"""Verdicts of gates as a session gave them, in the file ``gates.jsonl`` of a run.

They depend on a baseline that may change later, so the run keeps what was said when it was judged.
Of each gate the last undamaged line counts; a gate that the test has no more has one without a
verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.study import GateVerdict, StudyResults
from pytest_hypersearch.core.values import wall
from pytest_hypersearch.store.journal import Journal, read
from pytest_hypersearch.store.records import VerdictRecord, from_json, to_json
from pytest_hypersearch.store.runs import Run

_FILE: Final = "gates.jsonl"


def write_verdicts(run: Run, verdicts: Iterable[GateVerdict]) -> None:
    """Append what a session says of the gates of a run, all of it together.

    Raises:
        StoreError: It cannot be written.
    """
    judged = round(wall(), 3)
    journal = Journal(run.path / _FILE)
    try:
        journal.append_many(
            to_json(VerdictRecord(each.gate, each.verdict, each.text, each.against, judged))
            for each in verdicts
        )
    finally:
        journal.close()


def read_verdicts(run: Run) -> dict[str, GateVerdict]:
    """Return the verdicts of a run by their gates; a damaged file has none."""
    verdicts: dict[str, GateVerdict] = {}
    with suppress(StoreError):
        for record in from_json(read(run.path / _FILE).records)[0]:
            if isinstance(record, VerdictRecord) and not record.verdict:
                verdicts.pop(record.gate, None)
            elif isinstance(record, VerdictRecord):
                verdicts[record.gate] = GateVerdict(
                    record.gate, record.verdict, record.text, record.against
                )
    return verdicts


def with_verdicts(study: StudyResults, run: Run) -> StudyResults:
    """Return the results of a run with the verdicts of its gates."""
    verdicts = read_verdicts(run)
    return replace(study, gates=tuple(verdicts.values())) if verdicts else study
