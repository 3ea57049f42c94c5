"""The files of a project, for nodes that have no copy of them, and archives of directories."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from typing import IO, Final

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
