"""Tags and notes: what people say of trials and runs, in the file ``notes.jsonl`` of a run.

A run never changes, so they are kept apart from its journal, in lines of the same kind. A record
has all that is said of one trial, or of the run: the last undamaged one counts, and a damaged line
costs itself alone. Secrets are masked before they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.secrets import Secrets
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import Key
from pytest_hypersearch.core.values import encodable, shown, wall
from pytest_hypersearch.store.journal import Journal, read
from pytest_hypersearch.store.reader import stored_key
from pytest_hypersearch.store.records import NoteRecord, from_json, to_json
from pytest_hypersearch.store.runs import Run, file_lock, is_run

LONGEST_TAG: Final = 60
LONGEST_NOTE: Final = 10_000
MOST_TAGS: Final = 50
_FILE = "notes.jsonl"
_LOCK = "notes.lock"


class Annotation(NamedTuple):
    """What people say of a trial or a run.

    Attributes:
        tags: Tags, in the order in which they were given.
        note: A text, empty if there is none.
    """

    tags: tuple[str, ...] = ()
    note: str = ""


Target: TypeAlias = Key | None
"""A trial as its run knows it; None for the run."""


def annotations_of(run: Run) -> dict[Target, Annotation]:
    """Read what people say of a run and its trials; damaged lines are skipped.

    Raises:
        StoreError: The file cannot be read.
    """
    found: dict[Target, Annotation] = {}
    for record in from_json(read(run.path / _FILE).records)[0]:
        if isinstance(record, NoteRecord):
            found[record.target] = Annotation(record.tags, record.note)
    return {target: each for target, each in found.items() if any(each)}


def annotate(
    run: Run,
    targets: Iterable[Target],
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    note: str | None = None,
) -> None:
    """Change what is said of trials or of a run.

    Args:
        run: The run; a session may work on it.
        targets: The trials, None for the run.
        add: Tags.
        remove: Tags that it may have.
        note: The note, which takes the place of an earlier one; None to leave that.

    Raises:
        ValueError: A tag or note is too long, or no tag at all.
        StoreError: The run is gone, or the file cannot be written.
    """
    secrets = Secrets()
    new = [secrets.masked(_tag(tag)) for tag in add]
    gone = {_tag(tag) for tag in remove}
    text = None if note is None else secrets.masked(_note(note))

    def changed(known: Annotation) -> Annotation:
        tags = tuple(tag for tag in dict.fromkeys([*known.tags, *new]) if tag not in gone)
        if len(tags) > MOST_TAGS:
            raise ValueError(f"{len(tags)} tags: expected at most {MOST_TAGS}")
        return Annotation(tags, known.note if text is None else text)

    if not is_run(run.path):
        raise StoreError(f"{run.path}: there is no such run")
    try:
        with file_lock(run.path / _LOCK):
            known = annotations_of(run)
            wanted = {each: changed(known.get(each, Annotation())) for each in targets}
            write_annotations(run, wanted)
    except OSError as error:
        raise StoreError(f"cannot write {run.path}: {error.strerror or error}") from error


def write_annotations(run: Run, annotations: Mapping[Target, Annotation]) -> None:
    """Append what is said now of trials or of the run, all of it together.

    Raises:
        StoreError: It cannot be written.
    """
    if not annotations:
        return
    written = round(wall(), 3)
    journal = Journal(run.path / _FILE)
    try:
        journal.append_many(
            to_json(NoteRecord(each.tags, each.note, written, *(target or ())))
            for target, each in annotations.items()
        )
    finally:
        journal.close()


def carry_annotations(run: Run, sources: Mapping[Key, tuple[str, Key]]) -> None:
    """Write into a run what is said of the trials that it has from other runs of its study.

    Args:
        run: The run.
        sources: The name of the run that each trial is from, and its key there.

    Raises:
        StoreError: It cannot be written.
    """
    names = {name for name, _ in sources.values()}
    known = {name: readable_annotations(Run(run.path.parent / name)) for name in names}
    found = {key: known[name].get(own) for key, (name, own) in sources.items()}
    write_annotations(run, {key: each for key, each in found.items() if each})


def readable_annotations(run: Run) -> Mapping[Target, Annotation]:
    """What people say of a run; nothing if the file cannot be read."""
    try:
        return annotations_of(run)
    except StoreError:
        return {}


def joined(annotations: Iterable[Annotation]) -> Annotation:
    """Return what all of several annotations say."""
    parts = [*annotations]
    tags = dict.fromkeys(tag for part in parts for tag in part.tags)
    return Annotation(tuple(tags), "\n".join(dict.fromkeys(p.note for p in parts if p.note)))


def annotated(study: StudyResults, run: Run) -> StudyResults:
    """Return the results of a run with its tags and notes; a damaged file has none."""
    known = readable_annotations(run)
    if not known:
        return study
    trials = tuple(
        replace(trial, tags=known[trial.key].tags, note=known[trial.key].note)
        if trial.key in known
        else trial
        for trial in study.trials
    )
    own = known.get(None, Annotation())
    return replace(study, trials=trials, tags=own.tags, note=own.note)


def targets_called(study: StudyResults, name: str) -> list[Target]:
    """Return what a user calls by name: ``run``, a trial, or all trials of a configuration.

    Args:
        study: The results of a run.
        name: ``random-7-r0``, ``random-7``, the item's id, or if there is one sweep the number.

    Raises:
        ValueError: There is no such trial.
    """
    if name == "run":
        return [None]
    found: list[Target] = [
        stored_key(trial)
        for trial in study.trials
        if name in _names(study, trial.key, trial.nodeid)
    ]
    if not found:
        example = next((f"{t.sweep}-{t.number}-r{t.replicate}" for t in study.trials), "run")
        raise ValueError(f"{shown(name)}: expected a trial such as {example}, or run")
    return found


def _names(study: StudyResults, key: Key, nodeid: str) -> Iterator[str]:
    yield f"{key.sweep}-{key.number}-r{key.replicate}"
    yield f"{key.sweep}-{key.number}"
    yield nodeid
    yield nodeid.rpartition("[")[2].removesuffix("]")
    if len(study.sweeps) == 1:
        yield str(key.number)
        yield f"{key.number}-r{key.replicate}"


def _tag(text: str) -> str:
    tag = text.strip()
    if not tag or len(tag) > LONGEST_TAG or "," in tag or not tag.isprintable():
        raise ValueError(
            f"tag {shown(text)}: expected 1 to {LONGEST_TAG} characters without a comma"
        )
    return tag


def _note(text: str) -> str:
    note = encodable(text.strip())
    if len(note) > LONGEST_NOTE:
        raise ValueError(f"a note of {len(note)} characters: expected at most {LONGEST_NOTE}")
    return note
