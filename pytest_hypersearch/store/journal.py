"""The journal: an append-only file of JSON lines, one checksum a line, one writing process.

A line is the compact ASCII JSON of a record, whose last key ``c`` is the CRC-32 of the line without
that key. Lines are never rewritten: a reader skips the damaged ones, and the records of a kind that
it does not know (see `pytest_hypersearch.store.records`).

A ``run`` record with a ``format`` above :data:`FORMAT` was written by a newer version: such a file
is reported as ``newer`` by :func:`read` and never appended to.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeAlias, TypeVar

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.core.frozen import frozen

FORMAT = 1
MAX_LINE = 256 * 1024

_BATCH = 256  # what is read of so many lines stays in the cache of a processor
_COPY_BYTES = 1 << 20
_TRIES = 100
# Windows has the last one alone.
_SAFE = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))

Json: TypeAlias = "dict[str, Any]"
_T = TypeVar("_T")


def _refuse_constant(text: str) -> NoReturn:
    msg = f"{text} is not a number"
    raise ValueError(msg)


json_text = json.JSONEncoder(allow_nan=False, separators=(",", ":"), check_circular=False).encode
_from_json = json.JSONDecoder(parse_constant=_refuse_constant).decode


def encode(record: Json) -> bytes:
    """Return a record as a line of the journal.

    Args:
        record: JSON-able values; its kind under ``k``.

    Raises:
        ValueError: A number is not finite, or the line exceeds :data:`MAX_LINE` bytes.
        TypeError: A value is not JSON-able.
    """
    return seal(json_text(record))


def seal(text: str) -> bytes:
    """Return the compact ASCII JSON of a record as a line of the journal.

    Raises:
        ValueError: The line exceeds :data:`MAX_LINE` bytes.
    """
    body = text.encode("ascii")
    line = b'%b,"c":%d}\n' % (body[:-1], zlib.crc32(body))
    if len(line) > MAX_LINE:
        raise ValueError(f"a record of {len(line)} bytes: at most {MAX_LINE} fit in the journal")
    return line


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is too long only a beginning that cannot be valid."""
    starts = True
    for piece in iter(partial(file.readline, MAX_LINE + 1), b""):
        if starts:
            yield piece
        starts = piece.endswith(b"\n")


def batches(file: BinaryIO) -> Iterator[tuple[list[bytes], int]]:
    """Yield lists of undamaged JSON texts, each with the number of damaged lines among them."""
    bodies: list[bytes] = []
    damaged = 0
    for line in lines_of(file):
        if (body := body_of(line)) is not None:
            bodies.append(body)
        elif not line.isspace():
            damaged += 1
        if len(bodies) == _BATCH:
            yield bodies, damaged
            bodies, damaged = [], 0
    yield bodies, damaged


def body_of(line: bytes) -> bytes | None:
    """Return the JSON text of a line without its checksum, None if they do not agree."""
    start, _, checksum = line.rpartition(b',"c":')
    body = start + b"}"
    return body if checksum.rstrip(b"\r\n") == b"%d}" % zlib.crc32(body) else None


def decode(bodies: list[bytes]) -> list[Json]:
    """Return the records of JSON texts, without those that are none."""
    try:
        values = _from_json((b"[%b]" % b",".join(bodies)).decode("ascii"))
    except (ValueError, RecursionError):
        values = []
    if len(values) != len(bodies):
        return [record for body in bodies for record in decode([body])] if bodies[1:] else []
    return [value for value in values if isinstance(value, dict) and "k" in value]


@frozen
class JournalContents:
    """What could be read of a journal.

    Attributes:
        records: The undamaged records in the order of the file, without their checksums.
        damaged: Number of lines that were skipped; a torn last line counts as one.
        newer: Whether a newer version of this package wrote to the file.
    """

    records: list[Json]
    damaged: int
    newer: bool


def read(path: Path) -> JournalContents:
    """Read what is undamaged in a journal, which may be in use; a missing file is empty.

    Raises:
        StoreError: The file cannot be opened, or is a link or no regular file.
    """
    records: list[Json] = []
    damaged = 0
    for batch, bad in read_batches(path):
        records += batch
        damaged += bad
    return JournalContents(records, damaged, any(map(is_newer, records)))


def read_batches(
    path: Path, containing: tuple[bytes, ...] = ()
) -> Iterator[tuple[list[Json], int]]:
    """Yield the undamaged records in portions, each with the number of damaged lines among them.

    Args:
        path: The file.
        containing: Texts of which a record must have one, else it is passed over, which is quick.

    Raises:
        StoreError: As in `read`.
    """
    try:
        with os.fdopen(open_regular(str(path), os.O_RDONLY), "rb", _COPY_BYTES) as file:
            for found, bad in batches(file):
                bodies = [one for one in found if _has(one, containing)] if containing else found
                records = decode(bodies)
                yield records, bad + len(bodies) - len(records)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _store_error("read", path, error) from error


def _has(body: bytes, texts: tuple[bytes, ...]) -> bool:
    return any(text in body for text in texts)


def read_first(path: Path) -> Json | None:
    """Return the first record of a journal, None if its line is damaged or missing.

    Raises:
        StoreError: The file cannot be opened, or is a link or no regular file.
    """
    try:
        with os.fdopen(open_regular(str(path), os.O_RDONLY), "rb") as file:
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

    def begin(self, records: Iterable[Json]) -> None:
        """Write the first records: all of them, or there is no file; errors as in `append`."""
        lines = b"".join(map(encode, records))
        try:
            _persist(partial(self._begin, lines))
        except OSError as error:
            raise _store_error("write", self.path, error) from error

    def append(self, record: Json) -> None:
        """Write one record.

        Raises:
            StoreError: It could not be written; the file is as before.
            ValueError, TypeError: See `encode`.
        """
        self.append_lines([encode(record)])

    def append_many(self, records: Iterable[Json]) -> None:
        """Write records together, at the cost of about one; errors as in `append`."""
        self.append_lines(map(encode, records))

    def append_lines(self, lines: Iterable[bytes]) -> None:
        """Write what `encode` or `seal` returned; errors as in `append`."""
        together = b"".join(lines)
        try:
            if together:
                self._write((self._ready() + together,))
        except OSError as error:
            raise _store_error("write", self.path, error) from error

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

    def _begin(self, lines: bytes) -> None:
        draft, fd = self._create(".new")
        with os.fdopen(fd, "wb") as file:
            file.truncate(0)
            file.write(lines)
        draft.replace(self.path)
        self._open()
        self._size = os.fstat(self._fd).st_size
        if self._size < len(lines):  # it was lost with its directory, and is another one
            os.close(self._fd)
            self._fd = -1
            raise _missing(self.path)

    def _ready(self) -> bytes:
        """Make sure of the file, and return what has to come before the next record."""
        if self._fd < 0:
            self._open()
            return self._seal()
        try:
            status = os.stat(self._name)  # noqa: PTH116  # a third of Path.stat's time
        except (FileNotFoundError, NotADirectoryError):
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._inode:
            self._restore()
        elif status.st_size == self._size:
            return b""
        return self._seal()

    def _seal(self) -> bytes:
        """Return a newline if the file ends in a torn line."""
        self._size = os.fstat(self._fd).st_size
        torn = self._size and _read_at(self._fd, 1, self._size - 1) != b"\n"
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
        _, fd = _persist(self._create)
        try:
            self._refuse_newer(fd)
        except BaseException:
            os.close(fd)
            raise
        status = os.fstat(fd)
        self._fd, self._name = fd, str(self.path)
        self._inode = (status.st_dev, status.st_ino)

    def _create(self, suffix: str = "") -> tuple[Path, int]:
        """Open or create the file, or one beside it.

        Raises:
            FileNotFoundError: It is not, or no longer, where the journal belongs.
            OSError: As in `open_regular`.
        """
        located = self._located()
        path = located.with_name(located.name + suffix)
        make_dirs(path.parent)
        fd = open_regular(str(path), os.O_RDWR | os.O_APPEND | os.O_CREAT)
        # Before it was opened, another session may have taken the place of a deleted directory.
        if self._located() != located or not _is_at(path, fd):
            with contextlib.suppress(OSError):
                if suffix and _is_at(path, fd):
                    path.unlink()  # should it be the other session's too, that makes another
            os.close(fd)
            raise _missing(path)
        return path, fd

    def _located(self) -> Path:
        if self._locate is not None:
            self.path = self._locate()
        return self.path

    def _refuse_newer(self, fd: int) -> None:
        with os.fdopen(fd, "rb", _COPY_BYTES, closefd=False) as file:
            for line in lines_of(file):
                if b'"format":' not in line or (body := body_of(line)) is None:
                    continue
                if any(map(is_newer, decode([body]))):
                    raise newer_error(self.path)

    def _copied(self, lost: int) -> int:
        """Return how many bytes of the lost file are there, as its directory was copied."""
        self._size = os.fstat(self._fd).st_size
        same = _read_at(self._fd, self._size, 0) == _read_at(lost, self._size, 0)
        return self._size if same else 0

    def _restore(self) -> None:
        """Write the lost file anew from the inode that is still open."""
        lost = self._fd
        self._fd = -1
        try:
            self._open()
            done = self._copied(lost)
            self._write(chain(() if done else (self._seal(),), _chunks(lost, done)))
        except BaseException:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd, self._inode = lost, (0, 0)
            raise
        os.close(lost)


def _persist(action: Callable[[], _T]) -> _T:
    """Do something to a file, however often its directory is deleted or taken just then."""
    tries = _TRIES
    while True:
        try:
            return action()
        except (FileNotFoundError, FileExistsError, NotADirectoryError):
            tries -= 1
            if not tries:
                raise


def _missing(path: Path) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


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


def open_regular(name: str, flags: int) -> int:
    """Open a file and return its descriptor, without waiting for the other end of a pipe.

    Raises:
        OSError: It cannot be opened, or is a link or no regular file.
    """
    fd = os.open(name, flags | _SAFE, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{name} is not a regular file")
    return fd


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _read_at(fd: int, size: int, offset: int) -> bytes:
    """Read as os.pread, which Windows has not; appending goes to the end all the same."""
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, size)


def _chunks(fd: int, offset: int) -> Iterator[bytes]:
    while chunk := _read_at(fd, _COPY_BYTES, offset):
        yield chunk
        offset += len(chunk)


def is_newer(record: Json) -> bool:
    """Tell whether a record says that a newer version of this package wrote its file."""
    if record["k"] != "run":
        return False
    format_ = record.get("format")
    return isinstance(format_, str) or (type(format_) is int and format_ > FORMAT)
