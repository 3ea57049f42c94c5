"""Which run of a study this session writes to: a new one, or the newest one continued."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_hypersearch.core.clock import wall
from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.store.curves import portions, read_curves, series_json
from pytest_hypersearch.store.find import stored_studies
from pytest_hypersearch.store.fingerprint import Fingerprints
from pytest_hypersearch.store.journal import FORMAT, read
from pytest_hypersearch.store.lines import MAX_LINE, seal, to_json
from pytest_hypersearch.store.runs import ARTIFACTS, Run, Store, digest
from pytest_hypersearch.store.stored import Stored, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_hypersearch.core.study import StudyCode
    from pytest_hypersearch.core.trial import Key
    from pytest_hypersearch.store.curves import Packed, Series
    from pytest_hypersearch.store.journal import JournalContents
    from pytest_hypersearch.store.lines import Record
    from pytest_hypersearch.store.provenance import Observer, Provenance


MOST_OPEN = 50


@dataclass(frozen=True, slots=True)
class Policy:
    """How runs are continued and kept.

    Attributes:
        resume: Whether to continue the newest run of each study.
        replay: Whether finished trials of that run are replayed instead of run again.
        keep_stale: Whether to replay trials that ran other code.
        keep_runs: How many runs of a study are kept.
    """

    resume: bool
    replay: bool
    keep_stale: bool
    keep_runs: int


class Archive:
    """The runs of this session.

    Attributes:
        warn: Takes one line that the user must see.

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

    def open(self, nodeid: str, sweeps: Sequence[dict[str, Any]], code: StudyCode) -> RunLog:
        """The log of a study: what an earlier session left in it, and where this one writes.

        Args:
            nodeid: The study.
            sweeps: Its sweeps, as JSON values.
            code: Where its code is.

        Raises:
            StoreError: The run to continue belongs to a live session, or cannot be read.
        """
        self.observer.start()
        fingerprint = self._fingerprint(code)
        header = {
            "k": "run",
            "format": FORMAT,
            "nodeid": nodeid,
            "created": _now(),
            "sweeps": _fitting(sweeps),
        }
        session = {
            "k": "session",
            "id": self._session,
            "started": _now(),
            "fingerprint": fingerprint,
            "sweeps": header["sweeps"],
        }
        seeds = {sweep["name"]: sweep["seed"] for sweep in sweeps}
        run, contents = self._newest(nodeid)
        head = [session] if run else [header, session]
        make = partial(self._new_run, nodeid)
        log = RunLog(
            make,
            run,
            head,
            self._stored(contents, fingerprint),
            run_id=digest(f"{_first_session(contents) or self._session}\n{nodeid}"),
            use=self._use,
            provenance=partial(self.observer.provenance, seeds),
        )
        log.missing = self._policy.resume and run is None
        if run:
            self._use(log)
        return log

    def studies(self) -> dict[str, list[Run]]:
        """The runs of every study in the store by node id, oldest first."""
        try:
            root = self._store.root if self._store else self._root()
        except OSError:
            return {}
        return stored_studies(root)

    def _stored(self, contents: JournalContents | None, code: Mapping[str, str]) -> Stored:
        if contents is None:
            return Stored()
        stored = gather(
            contents.records,
            code=code,
            keep_stale=self._policy.keep_stale,
            damaged=contents.damaged,
        )
        if not self._policy.replay:
            stored.ends, stored.stale = {}, 0
        return stored

    def _use(self, log: RunLog) -> None:
        """Keep the runs used last open: they come back if deleted. A process has few files."""
        if log is self._latest:
            return
        self._latest = log
        self._open.pop(log, None)
        self._open[log] = None
        if len(self._open) > MOST_OPEN:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.close()

    def _fingerprint(self, code: StudyCode) -> dict[str, str]:
        if self._fingerprints is None:
            self._fingerprints = Fingerprints([Path(root) for root in code.roots])
        return self._fingerprints.of(
            Path(code.file),
            code.function,
            [Path(file) for file in code.fixtures],
            [Path(file) for file in code.depends_on],
        )

    def _newest(self, nodeid: str) -> tuple[Run | None, JournalContents | None]:
        if not self._policy.resume:
            return None, None
        run = self._open_store().newest_run(nodeid)
        if run is None:
            return None, None
        run.acquire()
        try:
            return run, run.read()
        except StoreError:
            run.close()
            raise

    def _new_run(self, nodeid: str) -> Run:
        store = self._open_store()
        try:
            run = store.new_run(nodeid)
        except StoreError as error:
            if self._policy.resume:
                raise
            store = self._fall_back(str(error))
            run = store.new_run(nodeid)
        store.prune(nodeid, self._policy.keep_runs)
        return run

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
        stored: What earlier sessions of the run left.
        missing: Whether a run was to be continued, and there was none.
        continued: Whether the run is one of earlier sessions.

    Args:
        make: Makes a run.
        run: The run to be continued.
        head: Comes before the first record.
        stored: What earlier sessions of the run left.
        run_id: 16 hex digits that no other run has.
        use: Told of each use of the run.
        provenance: Gives what the session is recorded with.
    """

    def __init__(
        self,
        make: Callable[[], Run],
        run: Run | None,
        head: list[Record],
        stored: Stored,
        *,
        run_id: str,
        use: Callable[[RunLog], None],
        provenance: Callable[[], Provenance],
    ) -> None:
        self.run_id = run_id
        self.stored = stored
        self.missing = False
        self.continued = run is not None
        self.provenance = provenance
        self._packages: dict[str, str] = {}
        self._make = make
        self._use = use
        self._run = run
        self._head = head

    @property
    def path(self) -> str:
        """The run's directory, empty if nothing was recorded."""
        return str(self._run.path) if self._run else ""

    @property
    def notes(self) -> list[str]:
        """What a reader must be told of the stored records."""
        notes = []
        if self.missing:
            notes.append("there was no run to continue: a new one was started")
        if self.stored.stale:
            files = ", ".join(self.stored.changed)
            notes.append(f"{_count(self.stored.stale, 'stored trial')} stale: {files} changed")
        if self.stored.damaged:
            notes.append(f"{_count(self.stored.damaged, 'damaged line')} skipped in {self.path}")
        return notes

    def write(self, record: Record) -> None:
        """Append a record to the journal.

        Raises:
            StoreError: It cannot be written.
        """
        run = self._owned()
        if self._head:
            *header, session = self._head
            provenance = self.provenance()
            session = {**session, "provenance": provenance.to_json()}
            run.journal.append_many([*header, session, record])
            self._head, self._packages = [], provenance.packages
        else:
            run.journal.append(record)

    def write_curve(self, head: Record, series: Mapping[str, Packed]) -> None:
        """Append reported values to the file of curves, in as many records as they need.

        Args:
            head: Fields of each record.
            series: The packed series of each metric.

        Raises:
            StoreError: They cannot be written.
        """
        start = to_json(head).removesuffix("}")
        parts = map(series_json, portions(series, MAX_LINE // 2))
        self._owned().curves.append_lines(seal(f'{start},"series":{part}}}') for part in parts)

    def curves(self) -> dict[tuple[Key, int], dict[str, Series]]:
        """The series of each metric that trials reported, by trial and attempt."""
        return read_curves(read(self._run.curves.path).records) if self._run else {}

    def artifacts(self, name: str) -> str:
        """The path of a directory among the run's artifacts, which whoever needs it makes."""
        return f"{self._owned().path}/{ARTIFACTS}/{name}"

    def end(self) -> None:
        """Record what the session's tests imported since the session was recorded.

        Raises:
            StoreError: It cannot be written.
        """
        versions = self.provenance().packages if not self._head else {}
        if new := dict(versions.items() - self._packages.items()):
            self.write({"k": "packages", "versions": dict(sorted(new.items()))})

    def close(self) -> None:
        """Flush, and let go of the run."""
        if self._run is not None:
            self._run.close()

    def _owned(self) -> Run:
        if self._run is None:
            self._run = self._make()
        self._use(self)
        return self._run


def _fitting(sweeps: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The sweeps as the journal keeps them: without spaces too large for a line of it."""
    if len(json.dumps(sweeps)) < MAX_LINE // 2:
        return sweeps
    return [{name: sweep[name] for name in sweep if name != "space"} for sweep in sweeps]


def _first_session(contents: JournalContents | None) -> str:
    """The session that made a run, empty if none is recorded."""
    records = contents.records if contents else []
    return next((str(each.get("id", "")) for each in records if each["k"] == "session"), "")


def _now() -> str:
    return datetime.fromtimestamp(wall(), UTC).isoformat(timespec="seconds")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
