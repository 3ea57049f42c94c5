"""The journal: an append-only file of JSON lines, one checksum a line, one writing process.

Lines, which `pytest_hypersearch.store.lines` makes, are never rewritten: a reader skips what is
damaged, keeps kinds and fields that it does not know, and of records that say the same thing twice
believes the first. ``k`` names the kind of a record:

=========  =========================================================================================
kind       fields, and when it is written
=========  =========================================================================================
run        ``format`` (int), ``nodeid``, ``sweeps`` (list: name, strategy, space, metric, mode,
           seed, ...), ``created`` (ISO time, for people): once, as the first record
session    ``id``, ``started`` (ISO time), ``fingerprint`` (path -> digest), ``provenance`` (see
           `pytest_hypersearch.store.provenance`): at the start of a run and at each resume; what
           follows belongs to this session
packages   ``versions`` (import name -> version): what a session's tests imported beyond what its
           ``session`` says; at its end
suggest    ``sweep``, ``seed``, ``number``, ``params``, ``seen`` (finished configurations that the
           sampler knew): a sampler proposed a configuration
start      ``sweep``, ``number``, ``replicate``, ``attempt`` (from 1), ``seed``, ``params``,
           ``worker``, ``started`` (seconds since the epoch), ``item`` (its node id): a trial was
           handed to a runner
end        ``sweep``, ``number``, ``replicate``, ``attempt``, ``state``, ``score`` (if it has one),
           ``metrics``, ``duration`` (seconds), ``steps`` (values reported, if any), ``reason`` (if
           not complete), ``error`` (traceback of a failure), ``peak_memory`` (bytes) and
           ``cpu_time`` (seconds), if they are known: a trial ended
crash      ``sweep``, ``number``, ``replicate``, ``attempt``, ``worker``, ``reason``: the process
           that ran a trial is gone; a ``start`` with the next attempt may follow
saved      ``sweep``, ``number``, ``replicate``, ``attempt``, ``directory`` (its name): what a trial
           saved is whole
skip       ``sweep``, ``number``, ``replicate``, ``state``, ``reason``: a trial was left out
curve      ``sweep``, ``number``, ``replicate``, ``attempt``, ``series`` (metric -> packed series,
           see `pytest_hypersearch.store.curves`): values reported within a trial; these go to
           the file of curves
=========  =========================================================================================

A run's record with a ``format`` above :data:`FORMAT` was written by a newer version: such a file is
reported as ``newer`` by :func:`read` and never appended to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.store.lines import batches, body_of, decode, encode, lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pytest_hypersearch.store.lines import Record


FORMAT = 1

_COPY_BYTES = 1 << 20
_TRIES = 100
_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class JournalContents:
    """What could be read of a journal.

    Attributes:
        records: The undamaged records in the order of the file, without their checksums.
        damaged: Number of lines that were skipped; a torn last line counts as one.
        newer: Whether a newer version of this package wrote to the file.
    """

    records: list[Record]
    damaged: int
    newer: bool


def read(path: Path) -> JournalContents:
    """Read what is undamaged in a journal, which may be in use; a missing file is empty.

    Raises:
        StoreError: The file cannot be opened, or is a link or no regular file.
    """
    records: list[Record] = []
    damaged = 0
    try:
        with os.fdopen(_open_regular(str(path), os.O_RDONLY), "rb", _COPY_BYTES) as file:
            for bodies, bad in batches(file):
                decoded = decode(bodies)
                records += decoded
                damaged += bad + len(bodies) - len(decoded)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _store_error("read", path, error) from error
    return JournalContents(records, damaged, any(map(_is_newer, records)))


def read_first(path: Path) -> Record | None:
    """Return the first record of a journal, None if its line is damaged or missing.

    Raises:
        StoreError: The file cannot be opened, or is a link or no regular file.
    """
    try:
        with os.fdopen(_open_regular(str(path), os.O_RDONLY), "rb") as file:
            body = next(map(body_of, lines_of(file)), None)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _store_error("read", path, error) from error
    return next(iter(decode([body])), None) if body is not None else None


class Journal:
    """The writing end of a journal; one thread at a time.

    The file is opened by the first append, with its directories (0700; the file 0600). It comes
    back with all that was written to it, by earlier sessions too, if it is deleted or replaced
    while it is open. What ``append`` returned from survives the death of the process.

    Args:
        path: The file.
        locate: Gives the path whenever the file has to be opened, for the first time or anew; by
            default always ``path``.
    """

    def __init__(self, path: Path, locate: Callable[[], Path] | None = None) -> None:
        self.path = path
        self._locate = locate
        self._name = str(path)
        self._fd = -1
        self._inode = (0, 0)
        self._size = 0

    def append(self, record: Record) -> None:
        """Write one record.

        Raises:
            StoreError: It could not be written; the file is as before.
            ValueError, TypeError: See `encode`.
        """
        self._append(encode(record))

    def append_many(self, records: Iterable[Record]) -> None:
        """Write records together, at the cost of about one; errors as in `append`."""
        self.append_lines(map(encode, records))

    def append_lines(self, lines: Iterable[bytes]) -> None:
        """Write what `encode` or `seal` returned; errors as in `append`."""
        if together := b"".join(lines):
            self._append(together)

    def close(self) -> None:
        """Flush the file to the disk and close it; an append opens it again.

        Raises:
            StoreError: The file was deleted since the last append and could not be restored.
        """
        if self._fd < 0:
            return
        try:
            self._ready()
            with contextlib.suppress(OSError):
                os.fsync(self._fd)
        except OSError as error:
            raise _store_error("restore", self.path, error) from error
        finally:
            os.close(self._fd)
            self._fd = -1

    def _append(self, lines: bytes) -> None:
        try:
            self._write((self._ready() + lines,))
        except OSError as error:
            raise _store_error("write", self.path, error) from error

    def _ready(self) -> bytes:
        """Make sure of the file, and return what has to come before the next record."""
        if self._fd < 0:
            self._open()
            return self._seal()
        try:
            found = os.stat(self._name)  # noqa: PTH116  # a third of Path.stat's time
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._inode:
            self._restore()
        elif found.st_size == self._size:
            return b""
        return self._seal()

    def _seal(self) -> bytes:
        """Return a newline if the file ends in a torn line."""
        self._size = os.fstat(self._fd).st_size
        torn = self._size and os.pread(self._fd, 1, self._size - 1) != b"\n"
        return b"\n" if torn else b""

    def _write(self, chunks: Iterable[bytes]) -> None:
        """Write all at the end of the file, or leave it as it was."""
        size = self._size
        try:
            for chunk in chunks:
                rest = chunk
                while rest:
                    written = os.write(self._fd, rest)
                    size += written
                    rest = rest[written:]
        except OSError:
            with contextlib.suppress(OSError):
                if os.fstat(self._fd).st_size == size:
                    os.ftruncate(self._fd, self._size)
            raise
        self._size = size

    def _open(self) -> None:
        fd = self._make()
        try:
            self._refuse_newer(fd)
        except BaseException:
            os.close(fd)
            raise
        found = os.fstat(fd)
        self._fd, self._name = fd, str(self.path)
        self._inode = (found.st_dev, found.st_ino)

    def _make(self) -> int:
        """Open or create the file, however often its directory is deleted just then."""
        tries = _TRIES
        while True:
            try:
                if self._locate is not None:
                    self.path = self._locate()
                make_dirs(self.path.parent)
                return _open_regular(str(self.path), os.O_RDWR | os.O_APPEND | os.O_CREAT)
            except (FileNotFoundError, FileExistsError, NotADirectoryError):
                tries -= 1
                if not tries:
                    raise

    def _refuse_newer(self, fd: int) -> None:
        with os.fdopen(fd, "rb", _COPY_BYTES, closefd=False) as file:
            for line in lines_of(file):
                if b'"format":' not in line or (body := body_of(line)) is None:
                    continue
                if any(map(_is_newer, decode([body]))):
                    raise newer_error(self.path)

    def _restore(self) -> None:
        """Write the lost file anew from the inode that is still open."""
        lost = self._fd
        self._fd = -1
        try:
            self._open()
            self._write(chain((self._seal(),), _chunks(lost)))
        except BaseException:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd, self._inode = lost, (0, 0)
            raise
        os.close(lost)


def make_dirs(path: Path) -> None:
    """Make a directory and its parents, each with mode 0700; what exists keeps its mode."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        make_dirs(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error


def newer_error(path: Path) -> StoreError:
    """Return the error that refuses a file of a newer version."""
    return StoreError(
        f"{path} was written by a newer pytest-hypersearch: upgrade, or start a new run"
    )


def _store_error(verb: str, path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot {verb} {path}: {error.strerror or error}")


def _open_regular(name: str, flags: int) -> int:
    fd = os.open(name, flags | _SAFE, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{name} is not a regular file")
    return fd


def _chunks(fd: int) -> Iterator[bytes]:
    offset = 0
    while chunk := os.pread(fd, _COPY_BYTES, offset):
        yield chunk
        offset += len(chunk)


def _is_newer(record: Record) -> bool:
    format_ = record.get("format", FORMAT)
    return not isinstance(format_, int) or format_ > FORMAT
