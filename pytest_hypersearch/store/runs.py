"""Where runs are kept: ``<root>/<study>/<run>/``, each run owned by one session at a time.

A study's directory is named by a hash and a readable part of its node id, a run's by its number
within the study. A run holds ``journal.jsonl``, ``curves.jsonl``, ``artifacts/`` and ``run.lock``.
Beside the runs, ``best`` leads to what the best configuration saved.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.store.journal import Journal, make_dirs, open_regular, read_first

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from filelock import BaseFileLock


ARTIFACTS = "artifacts"

_JOURNAL = "journal.jsonl"
_CURVES = "curves.jsonl"
_LOCK = "run.lock"
_RUN_NAME = re.compile(r"\d{4,9}")


class RunInUse(StoreError):  # noqa: N818  # names what is the case, as FileExistsError's kin do
    """Another live session owns the run."""


class Store:
    """The runs of all studies below one directory.

    Args:
        root: The directory; it need not exist, and is not touched before a run is made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def study_dir(self, nodeid: str) -> Path:
        """Return where the runs of a study are, whatever characters its node id has."""
        name = nodeid.partition("::")[2] or nodeid
        return self.root / f"{digest(nodeid)}-{_slug(name)}"

    def new_run(self, nodeid: str) -> Run:
        """Make and own the next run of a study; two sessions at once get two runs.

        Raises:
            StoreError: The directory cannot be written, or does not support locks.
        """
        study = self.study_dir(nodeid)
        try:
            return Run(*_claim(study))
        except OSError as error:
            raise StoreError(f"cannot make a run in {study}: {error.strerror or error}") from error

    def runs(self, nodeid: str) -> list[Run]:
        """Return the runs of a study that have a journal, oldest first, not yet owned."""
        return runs_of(self.study_dir(nodeid))

    def prune(self, nodeid: str, keep: int, spare: Collection[Path] = ()) -> None:
        """Remove old runs of a study, as far as that is possible.

        Runs that a live session owns stay; what cannot be removed stays without an error.

        Args:
            nodeid: The study.
            keep: How many of the newest runs stay; at least one does.
            spare: Runs that stay in any case.
        """
        for path in outdated(_runs(self.study_dir(nodeid)), keep):
            if path not in spare:
                with contextlib.suppress(StoreError, OSError):
                    discard(path)


class Run:
    """One session's work on a study, or its continuation.

    Whoever writes to it owns it, from :meth:`acquire` or the first append until :meth:`close`. If
    its directory is deleted meanwhile, the journals come back in it, or in a new run's directory
    if another session took its place.

    Attributes:
        path: The run's directory.
        journal: What is needed to resume.
        curves: Values that trials reported on their way.

    Args:
        path: The run's directory.
        lease: The proof of ownership, if it is owned already.
    """

    def __init__(self, path: Path, lease: _Lease | None = None) -> None:
        self.path = path
        self._lease = lease
        self.journal = Journal(path / _JOURNAL, lambda: self._owned() / _JOURNAL)
        self.curves = Journal(path / _CURVES, lambda: self._owned() / _CURVES)

    def acquire(self) -> None:
        """Own the run; without effect if it is owned already.

        Raises:
            RunInUse: Another live session owns it.
            StoreError: The directory cannot be locked.
        """
        try:
            self._lease = self._lease or _lock(self.path)
        except OSError as error:
            raise StoreError(f"cannot lock {self.path}: {error.strerror or error}") from error

    @property
    def nodeid(self) -> str:
        """The study, by the name of its directory if the journal's first line is damaged."""
        return _nodeid(self.path) or self.path.parent.name

    def in_use(self) -> bool:
        """Tell whether a live session, this one included, owns the run."""
        try:
            with os.fdopen(open_regular(str(self.path / _LOCK), os.O_RDONLY), "rb") as file:
                if fcntl is not None:  # a shared lock disturbs no session that starts just now
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return False
            _lock(self.path).lock.release()
        except (BlockingIOError, RunInUse):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Flush, and let go of the run.

        Raises:
            StoreError: A journal was deleted since its last append and could not be restored.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._release)
            stack.callback(self.curves.close)
            stack.callback(self.journal.close)

    def _owned(self) -> Path:
        """Return the run's directory, which is made and locked anew if it is gone."""
        if self._lease is None:
            self.acquire()
        elif not self._lease.holds(self.path):
            lost = self._lease
            self.path, self._lease = _reclaim(self.path)
            lost.lock.release()
        return self.path

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.lock.release()
            self._lease = None


def artifact_name(sweep: str, number: int, replicate: int, attempt: int) -> str:
    """Return the name of an attempt's directory among the artifacts of its run."""
    again = f"-a{attempt}" if attempt > 1 else ""
    return f"{_file_name(sweep)}-{number}-r{replicate}{again}"


def saved_at(run: Path, name: str) -> str:
    """Return the path of the directory of what a trial saved.

    Args:
        run: The run.
        name: Of the directory among the run's artifacts; of a trial that was carried over from
            another run, the path of its directory from that of the study.
    """
    # Every trial asks, and pathlib takes several times as long.
    folder = run.parent if "/" in name else f"{run}{os.sep}{ARTIFACTS}"
    return f"{folder}{os.sep}{name}"


@frozen
class _Lease:
    """A held lock and the device and inode of its file."""

    lock: BaseFileLock
    inode: tuple[int, int]

    def holds(self, run: Path) -> bool:
        try:
            status = (run / _LOCK).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (status.st_dev, status.st_ino) == self.inode


def refuse_link(path: Path) -> None:
    """Make sure that a directory of the store is no link to elsewhere.

    Raises:
        StoreError: It is one.
    """
    if path.is_symlink():
        raise StoreError(f"{path} is a symbolic link: the store does not follow it")


def file_lock(path: Path, *, blocking: bool = True) -> BaseFileLock:
    """Return a lock on a file, which is not held yet."""
    if "filelock" not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of locks without fcntl, which do
            import filelock  # noqa: F401
    from filelock import FileLock

    return FileLock(path, mode=0o600, thread_local=False, blocking=blocking, fallback_to_soft=False)


def _lock(run: Path) -> _Lease:
    refuse_link(run.parent)
    if not _leads_home(run):
        refuse_link(run)
    path = run / _LOCK
    lock = file_lock(path, blocking=False)
    from filelock import Timeout

    with _kept(path) as before:
        try:
            lock.acquire()
            status = path.lstat()
            if before and not os.path.samestat(before, status):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        except Timeout:
            raise RunInUse(f"{run} is in use by another pytest session") from None
        except OSError:
            lock.release()
            raise
    return _Lease(lock, (status.st_dev, status.st_ino))


@contextlib.contextmanager
def _kept(path: Path) -> Iterator[os.stat_result | None]:
    """Keep a lock's file open, so that no other one gets its inode: what it is, to compare with.

    The directory may be deleted just now, and made anew by another session. What is at the path
    before and after the lock was taken has been there meanwhile. Without ``fcntl``, it is the file
    itself that locks.
    """
    if fcntl is None:
        yield None
        return
    with os.fdopen(open_regular(str(path), os.O_RDONLY | os.O_CREAT), "rb") as file:
        yield os.fstat(file.fileno())


def _claim(study: Path) -> tuple[Path, _Lease]:
    """Make and lock the study's next run."""
    refuse_link(study)
    runs = _runs(study)
    number = int(runs[-1].name) + 1 if runs else 1
    while True:
        path = study / f"{number:04d}"
        with contextlib.suppress(FileExistsError, RunInUse):
            make_dirs(study)
            path.mkdir(mode=0o700)
            return path, _lock(path)
        number += 1


def _reclaim(run: Path) -> tuple[Path, _Lease]:
    """Make and lock a deleted run anew, under another number if its place is taken.

    A run that was copied elsewhere and linked goes on there.
    """
    if _leads_home(run) or not (run / _LOCK).exists():
        with contextlib.suppress(RunInUse):
            make_dirs(run)
            return run, _lock(run)
    return _claim(run.parent)


def study_dirs(root: Path) -> list[Path]:
    """Return the directories of all studies in a store, in the order of their names."""
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and _runs(path))
    except OSError:
        return []


def is_run(path: Path) -> bool:
    """Tell whether a directory is that of a run with a journal."""
    return (path / _JOURNAL).is_file()


def runs_of(study: Path) -> list[Run]:
    """Return the runs in a study's directory that have a journal, oldest first, not yet owned."""
    return [Run(path) for path in _runs(study) if is_run(path)]


def outdated(runs: Iterable[Path], keep: int) -> list[Path]:
    """Return the runs of a study but for the newest ``keep``, of which at least one stays.

    Directories whose journal does not begin as a run's does are none of ours; a live session may
    not have begun its own.
    """
    ours = [run for run in sorted(runs, key=age) if _nodeid(run) or Run(run).in_use()]
    return list(filter(_nodeid, ours[: -max(keep, 1)]))


def _runs(study: Path) -> list[Path]:
    """Return the run directories of a study, oldest first."""
    try:
        with os.scandir(study) as entries:
            paths = [
                study / entry.name
                for entry in entries
                if _RUN_NAME.fullmatch(entry.name)
                and (entry.is_dir(follow_symlinks=False) or _leads_home(study / entry.name))
            ]
    except OSError:
        return []
    return sorted(paths, key=age)


def age(run: Path) -> tuple[int, str]:
    """Sort runs by their numbers, the oldest first."""
    return len(run.name), run.name


def _leads_home(run: Path) -> bool:
    """Tell whether a link in a run's place leads to a run of the study, which has been moved."""
    nodeid = _nodeid(run) if run.is_symlink() else None
    return nodeid is not None and run.parent.name.partition("-")[0] == digest(nodeid)


def _nodeid(run: Path) -> str | None:
    """Return the study that a run's journal names at its beginning, None if it does not."""
    try:
        head = read_first(run / _JOURNAL)
    except StoreError:
        return None
    nodeid = head.get("nodeid") if head and head["k"] == "run" else None
    return nodeid if isinstance(nodeid, str) else None


def discard(run: Path) -> None:
    """Remove a run's directory; of one that was moved and linked, the link.

    Raises:
        RunInUse: A live session owns it.
        StoreError, OSError: It cannot be removed.
    """
    lease = _lock(run)
    try:
        if run.is_symlink():
            run.unlink()
        else:
            remove_tree(run)
    finally:
        lease.lock.release()


def remove_tree(directory: Path) -> None:
    """Remove a directory, with what a test has made read-only in it.

    Raises:
        OSError: Something in it could not be removed.
    """
    try:
        shutil.rmtree(directory)
    except PermissionError:
        _make_writable(directory)
        shutil.rmtree(directory)


def _make_writable(directory: Path) -> None:
    directory.chmod(0o700)
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _make_writable(Path(entry.path))


def digest(text: str) -> str:
    """Return 16 hex digits."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@lru_cache
def _file_name(sweep: str) -> str:
    name = _slug(sweep)
    return name if name == sweep else f"{name}-{digest(sweep)}"


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)[:40].strip("-")
