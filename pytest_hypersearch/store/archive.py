"""Which run of a study this session writes to: the newest one continued, or a new one."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.secrets import masked_command
from pytest_hypersearch.core.study import StudyCode
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, Key
from pytest_hypersearch.core.values import encodable, wall
from pytest_hypersearch.search.samplers import Table
from pytest_hypersearch.store.annotations import carry_annotations
from pytest_hypersearch.store.carry import CarriedOver, carry_over, continues, plan_of
from pytest_hypersearch.store.curves import Packed, TimedSeries, portions, series_json
from pytest_hypersearch.store.find import newest, spared, stored_studies
from pytest_hypersearch.store.fingerprint import Fingerprints
from pytest_hypersearch.store.journal import FORMAT, MAX_LINE, Json, json_text, seal
from pytest_hypersearch.store.reader import (
    Attempted,
    Present,
    Stored,
    StoredRun,
    curves_of,
    damage,
    is_whole,
    outline_of,
    read_stored,
)
from pytest_hypersearch.store.records import (
    CurveRecord,
    PackagesRecord,
    Provenance,
    Record,
    RunRecord,
    SessionRecord,
    to_json,
)
from pytest_hypersearch.store.runs import Run, RunInUse, Store, digest, saved_at

MOST_OPEN: Final = 50
GIT_SECONDS: Final = 2.0
LONGEST_COMMAND: Final = 4000

# Without locks, background daemons and a look at untracked files: quick, and nothing is changed.
_GIT_STATUS: Final = (
    *("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "status"),
    *("--porcelain=v2", "--branch", "--untracked-files=no"),
)
_COMMIT: Final = re.compile(r"# branch\.oid ([0-9a-f]{40,64})$", re.MULTILINE)
_CHANGE: Final = re.compile(r"^[^#]", re.MULTILINE)


@frozen
class Policy:
    """How runs are continued and kept.

    Attributes:
        resume: Whether to take up earlier runs.
        replay: Whether their finished trials are replayed instead of run again.
        keep_stale: Whether to replay trials that ran other code.
        keep_runs: How many runs of a study are kept.
        name: What the session's runs are called, empty for no name.
        shard: Which of how many shards the session is, such as ``2/4``; empty if it is none.
    """

    resume: bool
    replay: bool
    keep_stale: bool
    keep_runs: int
    name: str = ""
    shard: str = ""


class Archive:
    """The runs of this session.

    Args:
        root: Gives the directory of the store, or raises OSError if there can be none.
        policy: How runs are continued and kept.
        warn: Takes one line that the user must see.
        observer: Finds what the session is recorded with.
    """

    def __init__(
        self,
        root: Callable[[], Path],
        policy: Policy,
        warn: Callable[[str], None],
        observer: Observer,
    ) -> None:
        self.observer = observer
        self._root = root
        self._policy = policy
        self.warn = warn
        self._store: Store | None = None
        self._session = uuid4().hex[:16]
        self._fingerprints: Fingerprints | None = None
        self._open: dict[RunLog, None] = {}
        self._latest: RunLog | None = None

    def open(
        self,
        nodeid: str,
        sweeps: tuple[Sweep, ...],
        code: StudyCode,
        *,
        arguments: Config,
        selected: Collection[Key],
        tables: Mapping[str, Table],
    ) -> RunLog:
        """Return the log of a study: what earlier sessions left, and where this one writes.

        Args:
            nodeid: The study.
            sweeps: The sweeps of the test.
            code: Where its code is.
            arguments: The test's other parameters.
            selected: The trials of the session.
            tables: The configurations of all sweeps whose samplers look at no results.

        Raises:
            StoreError: The run to continue belongs to a live session, or cannot be read.
        """
        self.observer.start()
        planned = sum(sweep.n_trials * sweep.replicates for sweep in sweeps)
        session = SessionRecord(
            sweeps=sweeps,
            id=self._session,
            started=datetime.fromtimestamp(wall(), UTC).isoformat(timespec="seconds"),
            plan=plan_of(sweeps),
            fingerprint=self._fingerprint(code),
            arguments=arguments,
            selected=len(selected) if len(selected) < planned else None,
            name=self._policy.name,
            shard=self._policy.shard,
        )
        earlier = self._open_store().runs(nodeid) if self._policy.resume else []
        found = self._continued(earlier, session, selected)
        run, stored = found or (None, StoredRun())
        first = next((each.id for each in stored.sessions if each.id), self._session)
        log = RunLog(
            nodeid,
            partial(self._new_run, nodeid),
            run,
            Stored(stored, session, self._policy.replay),
            run_id=digest(f"{first}\n{nodeid}"),
            use=self._use,
            provenance=partial(self.observer.provenance, {each.name: each.seed for each in sweeps}),
            made=partial(self._prune, nodeid),
        )
        log.missing = self._policy.resume and not earlier
        if run:
            self._use(log)
            log.tell_changes()
        elif earlier:
            log.carry(self._carried(earlier, session, selected, tables))
        if len({*selected, *(trial.key for trial in log.stored.run.trials)}) < planned:
            log.whole = self._whole_run(nodeid, run)
        return log

    def studies(self) -> dict[str, list[Run]]:
        """The runs of every study in the store by node id, oldest first."""
        try:
            root = self._store.root if self._store else self._root()
        except OSError:
            return {}
        return stored_studies(root)

    def _use(self, log: RunLog) -> None:
        """Keep the runs used last open: they come back if deleted. A process has few files."""
        if log is self._latest:
            return
        self._latest = log
        self._open.pop(log, None)
        self._open[log] = None
        if len(self._open) > most_open():
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.close()

    def _fingerprint(self, code: StudyCode) -> dict[str, str]:
        root = self.observer.root
        if self._fingerprints is None:
            self._fingerprints = Fingerprints([root / name for name in code.roots])
        return self._fingerprints.of(
            root / code.file,
            code.function,
            [root / file for file in code.fixtures],
            [root / file for file in code.depends_on],
        )

    def _continued(
        self, runs: Sequence[Run], session: SessionRecord, selected: Collection[Key]
    ) -> tuple[Run, StoredRun] | None:
        """The run that the session continues, and what is in it."""
        if not runs:
            return None
        reference = _reference(runs, session, selected)
        if found := self._same(reference, session, selected):
            return found
        with contextlib.suppress(RunInUse):  # the newest run of a part of the trials
            return self._same(runs[-1], session, selected) if reference != runs[-1] else None
        return None

    def _same(
        self, run: Run, session: SessionRecord, selected: Collection[Key]
    ) -> tuple[Run, StoredRun] | None:
        """Own a run and read it, if the session continues it rather than begin a new one."""
        run.acquire()
        try:
            stored = read_stored(run)
            ended = {} if self._policy.replay else Present(stored, session).trials
            again = any(key in ended and ended[key].is_finished for key in selected)
            if continues(session, stored) and not again:
                return run, stored
        except StoreError:
            run.close()
            raise
        run.close()
        return None

    def _carried(
        self,
        runs: Sequence[Run],
        session: SessionRecord,
        selected: Collection[Key],
        tables: Mapping[str, Table],
    ) -> CarriedOver:
        reference = _reference(runs, session, selected)
        others = [run for run in reversed(runs) if run != reference]
        keep_stale = self._policy.keep_stale
        return carry_over(
            _sources([reference, *others], None if keep_stale else session.fingerprint),
            session,
            tables,
            keep_stale=keep_stale,
            again=None if self._policy.replay else selected,
        )

    def _whole_run(self, nodeid: str, run: Run | None) -> str:
        """The name of the run that readers prefer to one of a part, empty if there is none."""
        runs = self.studies().get(nodeid)
        preferred = newest(runs) if runs else run
        if preferred is None or (run and preferred.path == run.path):
            return ""
        return preferred.path.name if is_whole(preferred) else ""

    def _new_run(self, nodeid: str) -> Run:
        try:
            return self._open_store().new_run(nodeid)
        except StoreError as error:
            if self._policy.resume:
                raise
            return self._fall_back(str(error)).new_run(nodeid)

    def _prune(self, nodeid: str) -> None:
        """Remove old runs, now that the new one tells which of them it refers to."""
        store, keep = self._open_store(), self._policy.keep_runs
        runs = store.runs(nodeid)
        if len(runs) > keep:
            store.prune(nodeid, keep, spared(runs, keep))

    def _open_store(self) -> Store:
        if self._store is None:
            try:
                self._store = Store(self._root())
            except OSError as error:
                if self._policy.resume:
                    raise StoreError(f"there are no runs to continue: {error}") from None
                self._store = self._fall_back(str(error))
        return self._store

    def _fall_back(self, reason: str) -> Store:
        """Keep at least this session's results: in a temporary directory."""
        path = Path(tempfile.mkdtemp(prefix="pytest-hypersearch-"))
        self.warn(f"sweeps are stored in {path} and cannot be resumed: {reason}")
        self._store = Store(path)
        return self._store


class RunLog:
    """Where a study's records go; the run is made with the first of them.

    Attributes:
        run_id: 16 hex digits that no other run has.
        stored: What earlier sessions left, as this one sees it.
        missing: Whether a run was to be continued, and there was none.
        continued: Whether the run has trials of earlier sessions.
        whole: The run that readers prefer, as this one has only a part of the plan; else empty.

    Args:
        nodeid: The study.
        make: Makes a run.
        run: The run to be continued.
        use: Told of each use of the run.
        provenance: Gives what the session is recorded with.
        made: Called when a new run has been made and has its first records.
    """

    def __init__(
        self,
        nodeid: str,
        make: Callable[[], Run],
        run: Run | None,
        stored: Stored,
        *,
        run_id: str,
        use: Callable[[RunLog], None],
        provenance: Callable[[], Provenance],
        made: Callable[[], None],
    ) -> None:
        self.run_id = run_id
        self.stored = stored
        self.missing = False
        self.continued = run is not None
        self.whole = ""
        self.provenance = provenance
        self._packages: Mapping[str, str] | None = None
        self._nodeid = nodeid
        self._make = make
        self._use = use
        self._made = made
        self._run = run

    @property
    def path(self) -> str:
        """The run's directory, empty if nothing was recorded."""
        return str(self._run.path) if self._run else ""

    @property
    def notes(self) -> list[str]:
        """What a reader must be told of the run."""
        notes = ["there was no run to continue: a new one was started"] if self.missing else []
        if self.whole:
            run = int(self.whole)
            notes.append(f"show, best and load_results keep to run {run}, which has all trials")
        return notes + damage(self.stored.run, self.path)

    def carry(self, earlier: CarriedOver) -> None:
        """Begin a new run with what it has of earlier ones; without any it is made when needed.

        Raises:
            StoreError: It cannot be written; there is no new run then.
        """
        self.stored = replace(self.stored, durations=earlier.durations, notes=earlier.notes)
        if earlier.records:
            carry_annotations(self._owned(), earlier.sources)
            self.write(*earlier.records)
            self.continued = True
            self.stored = replace(self.stored, run=read_stored(self._owned()))

    def tell_changes(self) -> None:
        """Record the session of a run if it has more trials than the one before, or names it.

        Raises:
            StoreError: It cannot be written.
        """
        session, run = self.stored.session, self.stored.run
        named = session.name and session.name not in run.names
        if named or _shown(session) != _shown(run.sessions[-1]):
            self.write()

    def write(self, *records: Record) -> None:
        """Append records to the journal, the first ones after the record of the session.

        Raises:
            StoreError: They cannot be written.
            ValueError: One is too long for a line of the journal.
        """
        run = self._owned()
        if self._packages is not None:
            run.journal.append_many(map(to_json, records))
            return
        provenance = self.provenance()
        session = replace(self.stored.session, provenance=provenance)
        if self.continued:
            run.journal.append_many(map(to_json, [session, *records]))
        else:
            head = RunRecord(FORMAT, self._nodeid, session.sweeps, session.started)
            run.journal.begin(map(to_json, [head, session, *records]))
            self._made()
        self._packages = provenance.packages

    def write_curve(
        self, key: Key, attempt: int, series: Mapping[str, Packed], elapsed: float
    ) -> None:
        """Append reported values to the file of curves, in as many records as they need.

        Args:
            key: The trial.
            attempt: Which execution of it.
            series: The values.
            elapsed: Seconds from its start to the last of them.

        Raises:
            StoreError: They cannot be written.
        """
        self._owned().curves.append_lines(curve_lines(key, attempt, series, elapsed))

    def curves(self) -> dict[Attempted, dict[str, TimedSeries]]:
        """Return the series of each metric that trials reported, by trial and attempt."""
        return curves_of(self._run, self.stored.run) if self._run else {}

    def artifacts(self, name: str) -> str:
        """The path of the directory of what a trial saved, see `saved_at`."""
        return saved_at(self._owned().path, name)

    def end(self) -> None:
        """Record what the session's tests imported since the session was recorded.

        A session that had nothing to run is recorded if it is the first one of its commit.

        Raises:
            StoreError: It cannot be written.
        """
        if self._packages is None:
            if self._run and self.provenance().commit not in ("", *self.stored.run.commits):
                self.write()
            return
        provenance = self.provenance()
        if new := dict(provenance.packages.items() - self._packages.items()):
            self.write(PackagesRecord(dict(sorted(new.items()))))
        for node, versions in sorted(provenance.nodes.items()):
            self.write(PackagesRecord(dict(sorted(versions.items())), node))

    def close(self) -> None:
        """Flush, and let go of the run."""
        if self._run is not None:
            self._run.close()

    def _owned(self) -> Run:
        if self._run is None:
            self._run = self._make()
        self._use(self)
        return self._run


def _shown(session: SessionRecord) -> Json:
    """Return what later sessions of a run may change of its plan."""
    sweeps = tuple(replace(sweep, prune=None) for sweep in session.sweeps)
    return to_json(SessionRecord(sweeps))


def _reference(runs: Sequence[Run], session: SessionRecord, selected: Collection[Key]) -> Run:
    """Return the run of a study that a session would continue."""
    return newest(runs, () if session.selected is None else selected)


def _sources(
    runs: Sequence[Run], code: Mapping[str, str] | None
) -> Iterator[tuple[str, StoredRun]]:
    """Yield names and contents of runs: of the first one, and of others that ran the code, if any.

    Raises:
        StoreError: The first one cannot be read.
    """
    yield runs[0].path.name, read_stored(runs[0])
    for run in runs[1:]:
        with contextlib.suppress(StoreError):
            if code is None or outline_of(run).sessions[-1].fingerprint == code:
                yield run.path.name, read_stored(run)


def curve_lines(
    key: Key, attempt: int, series: Mapping[str, Packed], elapsed: float
) -> Iterator[bytes]:
    """Yield the lines of reported values for the file of curves, as many as they need."""
    head = json_text(to_json(CurveRecord(*key, attempt, elapsed=elapsed))).removesuffix("}")
    for part in map(series_json, portions(series, MAX_LINE // 2)):
        yield seal(f'{head},"series":{part}}}')


def most_open() -> int:
    """Return how many runs are kept open: each takes three of the files that a process may have."""
    try:
        import resource
    except ImportError:
        return MOST_OPEN
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST_OPEN, max(most // 8, 1)) if most != resource.RLIM_INFINITY else MOST_OPEN


class Observer:
    """Finds the provenance of a session's runs.

    Args:
        command: The command line as it was given.

    Attributes:
        root: The project's root directory.
        packages: Versions of imported packages, as the processes that run tests tell.
        nodes: Other versions than these, by the nodes that have them.
    """

    def __init__(self, root: Path, command: Sequence[str]) -> None:
        self.packages: dict[str, str] = {}
        self.nodes: dict[str, dict[str, str]] = {}
        self.root = root
        self._command = command
        self._git: subprocess.Popen[str] | None = None
        self._found: Provenance | None = None

    def start(self) -> None:
        """Ask git in the background; `provenance` waits for its answer."""
        if self._git is None and self._found is None:
            self._git = _ask_git(self.root)

    def take_packages(self, versions: Mapping[str, str], node: str) -> None:
        """Take note of what a process on a node has imported."""
        for name, version in versions.items():
            if self.packages.setdefault(name, version) != version:
                self.nodes.setdefault(node, {})[name] = version

    def provenance(self, seeds: Mapping[str, int]) -> Provenance:
        """What is known of the session so far, with the seeds of a study's sweeps."""
        if self._found is None:
            self.start()
            commit, dirty = _answer(self._git)
            self._found = Provenance(
                commit=commit,
                dirty=dirty,
                python=platform.python_version(),
                platform=platform.platform(),
                host=platform.node(),
                command=_shortened(masked_command(self._command)),
            )
        return replace(
            self._found, seeds=dict(seeds), packages=dict(self.packages), nodes=dict(self.nodes)
        )

    def close(self) -> None:
        """Wait for git no longer, if nobody needed its answer."""
        if self._git is not None and self._found is None:
            with self._git as git:
                git.kill()
            self._git = None


def _ask_git(root: Path) -> subprocess.Popen[str] | None:
    place = root.resolve()
    if "GIT_DIR" not in os.environ and not any(
        (each / ".git").exists() for each in (place, *place.parents)
    ):
        return None
    try:
        return subprocess.Popen(  # noqa: S603  the command is ours
            _GIT_STATUS,
            cwd=root,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
    except OSError:
        return None


def _answer(git: subprocess.Popen[str] | None) -> tuple[str, bool | None]:
    """The commit, and whether tracked files had changes."""
    if git is None:
        return "", None
    with git:
        try:
            text = git.communicate(timeout=GIT_SECONDS)[0]
        except subprocess.TimeoutExpired:
            git.kill()
            return "", None
    commit = _COMMIT.search(text)
    return (commit[1] if commit else ""), (bool(_CHANGE.search(text)) if commit else None)


def _shortened(command: Sequence[str]) -> tuple[str, ...]:
    """The arguments that fit, as text that any reader can encode."""
    shown: list[str] = []
    left = LONGEST_COMMAND
    for argument in command:
        text = encodable(argument)
        left -= len(text) + 1
        if left < 0:
            return (*shown, "...")
        shown.append(text)
    return tuple(shown)
