"""The files of a project and of its trials on nodes.

Nodes that have no copy of the project's files get them. What trials save is brought home before
their ends are told, and fetched when it is asked for. A directory of the run has a counterpart on
the worker's node. It travels as an archive, in parts, each a message that is answered before the
next is sent; the run gets it as a whole or not at all.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from hashlib import file_digest, sha1
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Final, TypeAlias

from pytest_hypersearch.core.sweep import size
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link

LARGEST: Final = 512 << 20
MOST_FILES: Final = 20_000
_CODE: Final = (".py", ".toml", ".ini", ".cfg")
_LEFT_OUT: Final = {"__pycache__", "node_modules"}


class Project:
    """The files below a directory that git does not ignore; without git, those not hidden."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _sizes(self) -> dict[str, int]:
        paths = {name: self.root / name for name in _listed(self.root)}
        # What is deleted may still be there for git.
        return {name: path.stat().st_size for name, path in paths.items() if path.is_file()}

    @cached_property
    def is_large(self) -> bool:
        """Whether the files are too many or too large to be sent."""
        return sum(self._sizes.values()) > LARGEST or len(self._sizes) > MOST_FILES

    @cached_property
    def files(self) -> dict[str, str]:
        """The files with their digests; of a large project, its code alone."""
        names = [name for name in self._sizes if not self.is_large or name.endswith(_CODE)]
        return {name: _digest(self.root / name) for name in names}

    @cached_property
    def archive(self) -> bytes:
        """The files as a compressed archive."""
        with io.BytesIO() as whole:
            with tarfile.open(fileobj=whole, mode="w:gz", compresslevel=1) as tar:
                for name in self.files:
                    tar.add(self.root / name, name, recursive=False)
            return whole.getvalue()

    def is_at(self, root: Path) -> bool:
        """Whether a directory has the same files, and maybe others."""
        try:
            return all(_digest(root / name) == known for name, known in self.files.items())
        except OSError:
            return False


def has_files(root: str, files: dict[str, str]) -> bool:
    """Whether a directory of this node has a project's files, and maybe others."""
    project = Project(Path(root))
    project.files = files
    return project.root.is_dir() and project.is_at(project.root)


def _listed(root: Path) -> Iterable[str]:
    git = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(git, capture_output=True, check=True).stdout  # noqa: S603  our own command
    except (OSError, subprocess.CalledProcessError):
        return _walked(root)
    return sorted({os.fsdecode(name) for name in listed.split(b"\0") if name})


def _walked(root: Path) -> Iterator[str]:
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not _is_left_out(name))
        for name in sorted(names):
            if not _is_left_out(name):
                yield os.path.relpath(Path(folder, name), root)


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name in _LEFT_OUT or name.endswith(".pyc")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha1").hexdigest()


def unpack(file: IO[bytes], directory: Path) -> None:
    """Unpack an archive as a new directory, which is there as a whole or not at all.

    Raises:
        OSError: It cannot be written.
        tarfile.TarError: It is no archive, or has links or paths that lead out of it.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        with tarfile.open(fileobj=file, mode="r|*") as tar:
            tar.extractall(new, filter="data")
        if directory.exists():
            shutil.rmtree(directory)
        new.rename(directory)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


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

    def fetched_late(self, paths: Mapping[int, Path]) -> Mapping[int, Path]:
        """Get directories of the run, by replicate, when they are asked for."""
        return FetchedPaths(paths, self)

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
