"""What trials save on nodes: brought home before their ends are told, and fetched when asked for.

A directory of the run has a counterpart on the worker's node. It travels as an archive, in parts,
each a message that is answered before the next is sent; the run gets it as a whole or not at all.
"""

from __future__ import annotations

import shutil
import tarfile
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha1
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Final, TypeAlias

from pytest_hypersearch.core.sweep import size
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link
from pytest_hypersearch.plugin.remote.project import unpack

SCRATCH: Final = "hypersearch_scratch"
PART: Final = 3 << 20
State: TypeAlias = dict[Path, tuple[int, int, int]]


class NodeFiles:
    """The worker's side.

    Args:
        link: To the controller.
        scratch: A directory on this node that is removed after the worker.
    """

    def __init__(self, link: Link, scratch: str) -> None:
        self._link = link
        self._scratch = Path(scratch)
        self._brought: dict[str, tuple[State, str]] = {}

    def fetched(self, path: str) -> Path:
        """Get a directory of the run as it is now.

        Raises:
            OSError: It cannot be read there, or written here.
        """
        here = self._here(path)
        with TemporaryFile() as archive:
            more = True
            while more:
                reply = self._link.call(messages.Fetch(path, archive.tell()))
                if isinstance(reply, messages.Refused):
                    raise OSError(f"{path} does not come from the controller: {reply.reason}")
                archive.write(b64decode(reply.data))
                more = reply.more
            if archive.tell():
                archive.seek(0)
                unpack(archive, here)
        return here

    def directory(self, path: str) -> Path:
        """Get the counterpart of a trial's directory, with what the trial has saved before."""
        here = self._here(path)
        return here if here.exists() else self.fetched(path)

    def deliver(self, path: str) -> str:
        """Bring a trial's directory home, unless that was tried and it is as it was then.

        Returns:
            Why that failed, empty if it did not.
        """
        here = self._here(path)
        try:
            state = _state(here)
            before, trouble = self._brought.get(path, (None, ""))
            if state != before:
                trouble = self._bring(here, path)
                self._brought[path] = state, trouble
        except OSError as error:
            return str(error)
        return trouble

    def _bring(self, here: Path, path: str) -> str:
        with TemporaryFile() as archive:
            _pack(here, archive)
            for data, more in _parts(archive):
                reply = self._link.call(messages.Deliver(path, data, more))
                if isinstance(reply, messages.Refused):
                    return reply.reason
        return ""

    def remove(self, path: str) -> None:
        """Remove the counterpart of a directory that is home."""
        self._brought.pop(path, None)
        shutil.rmtree(self._here(path), ignore_errors=True)

    def _here(self, path: str) -> Path:
        name = sha1(path.encode(), usedforsecurity=False).hexdigest()[:8]
        return self._scratch / f"{Path(path).name}-{name}"


class FetchedPaths(Mapping[int, Path]):
    """Directories of the run by replicate, which are fetched when they are asked for first."""

    def __init__(self, paths: Mapping[int, Path], files: NodeFiles) -> None:
        self._paths = paths
        self._files = files
        self._fetched: dict[int, Path] = {}

    def __getitem__(self, replicate: int) -> Path:
        """Fetch the directory."""
        if replicate not in self._fetched:
            self._fetched[replicate] = self._files.fetched(str(self._paths[replicate]))
        return self._fetched[replicate]

    def __iter__(self) -> Iterator[int]:
        """Go through the replicates."""
        return iter(self._paths)

    def __len__(self) -> int:
        """Count them."""
        return len(self._paths)


class RunFiles:
    """The controller's side: takes directories and hands them out."""

    def __init__(self) -> None:
        self._archives: dict[tuple[str, str], IO[bytes]] = {}
        self._lock = Lock()
        self._count = self._bytes = 0

    @property
    def note(self) -> str:
        """What has come, empty if nothing has."""
        directories = "1 directory" if self._count == 1 else f"{self._count} directories"
        came = f"files of trials came from workers: {directories}, {size(self._bytes)}"
        return came if self._count else ""

    def answer(
        self, worker: str, message: messages.Deliver | messages.Fetch
    ) -> messages.Done | messages.Part | messages.Refused:
        """Take a part of a directory, or hand one out; workers may do so at the same time."""
        try:
            if isinstance(message, messages.Deliver):
                return self._take(worker, message)
            return self._part(worker, message)
        except (OSError, tarfile.TarError) as error:
            self.forget(worker)
            return messages.Refused(f"{type(error).__name__}: {error}")

    def forget(self, worker: str) -> None:
        """Drop what a worker that is gone has begun."""
        with self._lock:
            keys = [key for key in self._archives if key[0] == worker]
            archives = [self._archives.pop(key) for key in keys]
        for archive in archives:
            archive.close()

    def _take(self, worker: str, message: messages.Deliver) -> messages.Done:
        archive = self._archive(worker, message.path)
        archive.write(b64decode(message.data))
        if not message.more:
            length = archive.tell()
            archive.seek(0)
            unpack(archive, Path(message.path))
            self.forget(worker)
            with self._lock:
                self._count += 1
                self._bytes += length
        return messages.Done()

    def _part(self, worker: str, message: messages.Fetch) -> messages.Part:
        directory = Path(message.path)
        if not directory.is_dir():
            return messages.Part("", more=False)
        archive = self._archive(worker, message.path)
        if not message.start:
            _pack(directory, archive)
        archive.seek(message.start)
        data = archive.read(PART)
        more = bool(archive.read(1))
        if not more:
            self.forget(worker)
        return messages.Part(b64encode(data).decode(), more)

    def _archive(self, worker: str, path: str) -> IO[bytes]:
        with self._lock:
            if (worker, path) not in self._archives:
                self._archives[worker, path] = TemporaryFile()  # noqa: SIM115  closed by `forget`
            return self._archives[worker, path]


def _state(directory: Path) -> State:
    """Tell when each file was changed; of a link, itself."""
    stats = ((path, path.lstat()) for path in directory.rglob("*"))
    return {path: (each.st_ino, each.st_size, each.st_mtime_ns) for path, each in stats}


def _pack(directory: Path, archive: IO[bytes]) -> None:
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(directory.resolve(), ".")


def _parts(archive: IO[bytes]) -> Iterator[tuple[str, bool]]:
    """Read an archive from its start, and tell of each part whether more follow."""
    archive.seek(0)
    data = archive.read(PART)
    while data:
        following = archive.read(PART)
        yield b64encode(data).decode(), bool(following)
        data = following
