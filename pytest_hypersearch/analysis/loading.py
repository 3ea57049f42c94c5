"""Which stored runs are meant, and what they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_hypersearch.analysis.caches import project_studies, studies_at
from pytest_hypersearch.analysis.merging import merge, mergeable
from pytest_hypersearch.analysis.reading import read_run
from pytest_hypersearch.naming import called, some
from pytest_hypersearch.store.journal import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike

    from pytest_hypersearch.results import StudyResults
    from pytest_hypersearch.store.runs import Run

Source: TypeAlias = "str | PathLike[str]"
_NUMBER = re.compile(r"-?\d{1,9}")
_COMMIT = re.compile(r"[0-9a-f]{4,40}")


class NothingStoredError(LookupError):
    """There is no stored run of the kind that is asked for."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Results of a study and the directories of the runs that they come from."""

    results: StudyResults
    runs: tuple[Path, ...]


def load(sources: Sequence[Source], run: int | str | None) -> tuple[list[Loaded], list[str]]:
    """Read stored runs.

    Args:
        sources: Paths or tests; the project around the working directory if there is none.
        run: Which run of each study; see `pytest_hypersearch.load_results`.

    Returns:
        The studies by node id, and a line on each run that could not be read.

    Raises:
        NothingStoredError: There are no such runs.
        StoreError: There are, but none of them can be read.
        ValueError: ``run`` makes no sense.
    """
    places = _places(sources)
    found, problems = [], []
    for chosen in (one for studies in places for runs in studies for one in choose(runs, run)):
        try:
            found.append(Loaded(read_run(chosen), (chosen.path,)))
        except (StoreError, ValueError) as error:
            problems.append(str(error))
    if problems and not found:
        raise StoreError(problems[0])
    if not found:
        raise NothingStoredError(f"there is no run {run} of {_names(places)}")
    if len(places) > 1 and run != "all":
        found = _merged(found)
    return sorted(found, key=lambda one: (one.results.nodeid, one.runs)), problems


def studies_of(sources: Sequence[Source]) -> list[list[Run]]:
    """Find the runs of each study that paths or tests stand for, oldest first.

    Raises:
        NothingStoredError: There are none.
    """
    return [runs for studies in _places(sources) for runs in studies]


def _places(sources: Sequence[Source]) -> list[list[list[Run]]]:
    return [_studies(source) for source in sources] or [_project()]


def choose(runs: Sequence[Run], run: int | str | None) -> Sequence[Run]:
    """Return those runs of a study that are asked for.

    Args:
        runs: All of them, oldest first; at least one.
        run: None for the newest, ``"all"``, a run's number, -1 for the newest, -2 for the one
            before and so on, or the beginning of the commit that it ran.

    Raises:
        ValueError: It is none of these.
    """
    text = "-1" if run is None else str(run)
    if text == "all":
        return runs
    if _NUMBER.fullmatch(text):
        number = int(text)
        if number < 0:
            return runs[number : number + 1 or None] if -number <= len(runs) else []
        found = [one for one in runs if int(one.path.name) == number]
        if found or not _COMMIT.fullmatch(text):
            return found
    if not _COMMIT.fullmatch(text):
        raise ValueError(f"run {text!r}: expected all, a number, or the beginning of a commit")
    return [one for one in runs if any(each.startswith(text) for each in _commits(one))][-1:]


def _commits(run: Run) -> Iterable[str]:
    for record in run.read().records:
        provenance: Any = record.get("provenance")
        if record["k"] == "session" and isinstance(provenance, dict):
            yield str(provenance.get("commit", ""))


def _studies(source: Source) -> list[list[Run]]:
    """The runs of each study that a path or test stands for."""
    path = Path(source)
    if path.is_dir() or path.name == "journal.jsonl":
        folder = path if path.is_dir() else path.parent
        if studies := studies_at(folder):
            return studies
        raise NothingStoredError(
            f"{path}: there are no stored runs in it; pytest --sweep makes some"
        )
    studies = _project()
    nodeids = {runs[-1].nodeid: runs for runs in studies}
    if found := called(nodeids, str(source)):
        return [nodeids[nodeid] for nodeid in found]
    raise NothingStoredError(f"{source}: no such path or test; there are runs of {some(nodeids)}")


def _project() -> list[list[Run]]:
    here = Path.cwd()
    studies = project_studies(here)
    if not studies:
        raise NothingStoredError(
            f"there are no stored runs in {here} or above; pytest --sweep makes some"
        )
    return studies


def _names(places: Iterable[Iterable[Sequence[Run]]]) -> str:
    return some(runs[-1].nodeid for studies in places for runs in studies)


def _merged(found: Sequence[Loaded]) -> list[Loaded]:
    paths = {id(one.results): one.runs for one in found}
    return [
        Loaded(merge(parts), tuple(path for part in parts for path in paths[id(part)]))
        for parts in mergeable(one.results for one in found)
    ]
