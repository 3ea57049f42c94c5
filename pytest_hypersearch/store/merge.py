"""One run made of the runs of several jobs that divided a sweep: with their records and files.

The runs must have the same plan and code. The new run is not there before it is whole: its files
come first, and its journal is put in its place at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import config_key
from pytest_hypersearch.core.trial import Key, State
from pytest_hypersearch.stats.ranking import rank_study
from pytest_hypersearch.store.annotations import (
    Annotation,
    Target,
    annotations_of,
    joined,
    write_annotations,
)
from pytest_hypersearch.store.archive import curve_lines
from pytest_hypersearch.store.best import Edition, kept, link_tree, publish
from pytest_hypersearch.store.curves import pack
from pytest_hypersearch.store.find import STORE, newest, studies_at
from pytest_hypersearch.store.fingerprint import changes_text
from pytest_hypersearch.store.journal import FORMAT
from pytest_hypersearch.store.reader import (
    StoredRun,
    StoredTrial,
    curve_records,
    outline_of,
    read_planned,
    read_run,
)
from pytest_hypersearch.store.records import (
    EndRecord,
    Record,
    RunRecord,
    SavedRecord,
    SessionRecord,
    to_json,
)
from pytest_hypersearch.store.runs import (
    ARTIFACTS,
    Run,
    Store,
    artifact_name,
    digest,
    remove_tree,
    saved_at,
)


@frozen
class Part:
    """A run that is part of a merged one."""

    run: Run
    stored: StoredRun

    @property
    def session(self) -> SessionRecord:
        """The newest session, which tells the plan."""
        return self.stored.sessions[-1]


@frozen
class Merged:
    """A run that was made of others.

    Attributes:
        run: The run.
        parts: How many runs it was made of.
        trials: How many trials it has.
        planned: How many trials the plan has.
        missing: The shards of which there was no run, if trials are missing.
    """

    run: Run
    parts: int
    trials: int
    planned: int
    missing: Sequence[str]


def merge_runs(sources: Sequence[Path], into: Path) -> list[Merged]:
    """Make one run of each study whose runs several directories have.

    Args:
        sources: Projects, caches, stores or runs. Of each study the newest run counts, of a shard's
            if there are some. A trial that several have is taken from where it got furthest: a
            complete one before others, of equal ones the latest.
        into: A cache directory of pytest's, which need not exist; its other runs stay. It gets no
            run where it has that of the same parts, or all are copies of one that it has.

    Raises:
        StoreError: There are no runs, their plans or code differ, or something cannot be read or
            written; no run is made of that study then.
    """
    studies: dict[str, list[Part]] = {}
    for source in sources:
        if not source.is_dir():
            raise StoreError(f"{source}: there is no such directory")
        for runs in studies_at(source):
            part = _part(runs)
            studies.setdefault(part.stored.nodeid, []).append(part)
    if not studies:
        raise StoreError(f"{', '.join(map(str, sources))}: there are no stored runs")
    for nodeid, parts in studies.items():
        # A cache from before may have runs of studies of which other shards have the new ones.
        studies[nodeid] = [part for part in parts if part.session.shard] or parts
        _refuse_others(studies[nodeid])
    everywhere = [part for parts in studies.values() for part in parts]
    missing = _missing({part.session.shard for part in everywhere})
    chosen = {nodeid: _chosen(parts) for nodeid, parts in studies.items()}
    store = Store(into / STORE)
    return [_made(store, nodeid, studies[nodeid], chosen[nodeid], missing) for nodeid in studies]


def _part(runs: Sequence[Run]) -> Part:
    parts = [Part(run, read_planned(run)) for run in runs]
    shards = [part for part in parts if part.session.shard]
    whole = newest(runs)
    return shards[-1] if shards else next(part for part in parts if part.run is whole)


def _refuse_others(parts: Sequence[Part]) -> None:
    """Make sure that runs have the same plan and code.

    Raises:
        StoreError: They have not.
    """
    first = parts[0]
    for part in parts[1:]:
        where = f"{first.stored.nodeid}: {first.run.path} and {part.run.path}"
        old, new = first.session, part.session
        if old.fingerprint != new.fingerprint:
            changes = changes_text([(old.fingerprint, new.fingerprint)])
            raise StoreError(f"{where} did not run the same code: {changes}")
        if names := [name for name, plan in _plans(old).items() if _plans(new).get(name) != plan]:
            raise StoreError(f"{where} have different sweeps: {', '.join(names)}")
        of = {each.session.shard.partition("/")[2] for each in (first, part)} - {""}
        if len(of) > 1:
            raise StoreError(f"{where} are shards of {' and of '.join(sorted(of))}")


def _plans(session: SessionRecord) -> dict[str, tuple[object, ...]]:
    sizes = {each.name: (each.n_trials, each.replicates) for each in session.sweeps}
    return {name: (plan, sizes.get(name)) for name, plan in session.plan.items()}


def _missing(shards: Iterable[str]) -> list[str]:
    """Return the shards of which there is none."""
    known = {shard for shard in shards if shard}
    of = max((int(shard.partition("/")[2]) for shard in known), default=0)
    return [name for one in range(1, of + 1) if (name := f"{one}/{of}") not in known]


def _chosen(parts: Sequence[Part]) -> dict[Key, tuple[Part, StoredTrial]]:
    """Return each trial with the part that it is taken from.

    Raises:
        StoreError: Two parts have different configurations under the same number.
    """
    found: dict[Key, tuple[Part, StoredTrial]] = {}
    for part in parts:
        for trial in part.stored.trials:
            if trial.outcome is None:
                continue
            other, known = found.get(trial.key, (part, trial))
            if config_key(known.params) != config_key(trial.params):
                raise StoreError(
                    f"{part.stored.nodeid}: {other.run.path} and {part.run.path} have different "
                    f"parameters as {trial.key.sweep} #{trial.key.number}"
                )
            if _standing(trial) >= _standing(known):
                found[trial.key] = part, trial
    return found


def _standing(trial: StoredTrial) -> tuple[int, float]:
    end = trial.outcome if isinstance(trial.outcome, EndRecord) else None
    rank = 0 if end is None else 2 if end.state is State.COMPLETE and not end.failed else 1
    return rank, (trial.last and trial.last.start.started) or 0.0


def _made(
    store: Store,
    nodeid: str,
    parts: Sequence[Part],
    chosen: Mapping[Key, tuple[Part, StoredTrial]],
    missing: Sequence[str],
) -> Merged:
    planned = sum(each.n_trials * each.replicates for each in parts[0].session.sweeps)
    left = missing if len(chosen) < planned else ()
    every = all(part.session.shard or part.session.selected is None for part in parts)
    whole = len(chosen) == planned or (every and not missing)
    known = _known(store.runs(nodeid), parts)
    run = known or _written(store.new_run(nodeid), parts, chosen, whole=whole)
    _publish(run)
    return Merged(run, len(parts), len(chosen), planned, left)


def _written(
    run: Run,
    parts: Sequence[Part],
    chosen: Mapping[Key, tuple[Part, StoredTrial]],
    *,
    whole: bool,
) -> Run:
    """Write a new run, or remove it if that fails."""
    try:
        for part in parts:
            mine = [trial for owner, trial in chosen.values() if owner is part]
            _copy(part, mine, run)
        write_annotations(run, _annotations(parts, chosen))
        head = _session(parts, selected=None if whole else len(chosen))
        begin = RunRecord(FORMAT, parts[0].stored.nodeid, head.sweeps, head.started)
        run.journal.begin(map(to_json, [begin, head, *_records(parts, chosen)]))
    except (OSError, StoreError) as error:
        with suppress(OSError):
            remove_tree(run.path)
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"cannot write {run.path}: {error.strerror or error}") from error
    finally:
        run.close()
    return run


def _known(runs: Iterable[Run], parts: Sequence[Part]) -> Run | None:
    """Return the run that was made of these parts, or of which all are copies."""
    ids = {tuple(session.id for session in part.stored.sessions) for part in parts}
    for run in runs:
        stored = outline_of(run)
        copied = ids == {tuple(session.id for session in stored.sessions)}
        if copied or stored.first.id == _id(parts):
            return run
    return None


def _id(parts: Iterable[Part]) -> str:
    """Return the id of the session that stands for those of all parts."""
    return digest("\n".join(sorted(one.id for part in parts for one in part.stored.sessions)))


def _session(parts: Sequence[Part], *, selected: int | None) -> SessionRecord:
    """Return the session that stands for those of all parts."""
    sessions = [part.stored.first for part in parts]
    first = min(sessions, key=lambda session: session.started)
    packages = {n: v for session in sessions for n, v in session.provenance.packages.items()}
    return replace(
        parts[0].session,
        id=_id(parts),
        started=first.started,
        selected=selected,
        name=next((name for part in parts for name in part.stored.names), ""),
        shard="",
        provenance=replace(first.provenance, packages=dict(sorted(packages.items()))),
    )


def _records(
    parts: Iterable[Part], chosen: Mapping[Key, tuple[Part, StoredTrial]]
) -> Iterator[Record]:
    for part in parts:
        yield from part.stored.suggestions.values()
    for key in sorted(chosen):
        part, trial = chosen[key]
        attempt, outcome = trial.last, trial.outcome
        if attempt is not None:
            item = part.stored.items.get(key) or attempt.start.item
            yield replace(attempt.start, item=item, origin="", recorded=None, refers=False)
        if outcome is not None:
            yield outcome
        if attempt is not None and trial.saved:
            yield SavedRecord(*key, attempt.start.attempt, _directory(trial))


def _directory(trial: StoredTrial) -> str:
    """The name of a trial's directory among the artifacts of the merged run."""
    return artifact_name(*trial.key, trial.last.start.attempt if trial.last else 1)


def _copy(part: Part, trials: Iterable[StoredTrial], run: Run) -> None:
    """Copy the curves and files of a part's trials into a run.

    Raises:
        OSError, StoreError: They cannot be written.
    """
    mine = [*trials]
    attempts = {(trial.key, trial.last.start.attempt) for trial in mine if trial.last}
    for record in curve_records(part.run, part.stored):
        if (record.key, record.attempt) in attempts:
            series = {name: pack(*each) for name, each in record.series.items()}
            run.curves.append_lines(curve_lines(record.key, record.attempt, series, record.elapsed))
    for trial in mine:
        source = Path(saved_at(part.run.path, trial.saved or _directory(trial)))
        if source.is_dir():
            target = run.path / ARTIFACTS / _directory(trial)
            target.parent.mkdir(mode=0o700, exist_ok=True)
            link_tree(source, target)


def _annotations(
    parts: Iterable[Part], chosen: Mapping[Key, tuple[Part, StoredTrial]]
) -> dict[Target, Annotation]:
    """Return what is said of the parts, and of each trial in the part that it is taken from."""
    known = {part.run.path: annotations_of(part.run) for part in parts}
    found: dict[Target, Annotation] = {
        key: known[part.run.path][key]
        for key, (part, _) in chosen.items()
        if key in known[part.run.path]
    }
    own = joined(each[None] for each in known.values() if None in each)
    return found | ({None: own} if any(own) else {})


def _publish(run: Run) -> None:
    """Put what the best of a run saved under ``best``; a merge that died may not have done so.

    Raises:
        StoreError: It cannot be written.
    """
    study = read_run(run)
    best = rank_study(study).best
    paths = kept(run.path, study.trials)
    own = {t.replicate: Path(paths[t.key]) for t in best.trials if t.key in paths} if best else {}
    try:
        if best is not None and own:
            publish(Edition.of(run.path, study.nodeid, best, own))
    except OSError as error:
        raise StoreError(f"cannot write {run.path.parent}: {error.strerror or error}") from error
