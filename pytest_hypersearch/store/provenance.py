"""Provenance: the code, machine, versions and command that a run's results come from."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_hypersearch.core.secrets import masked_command
from pytest_hypersearch.core.values import encodable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


GIT_SECONDS: Final = 2.0
LONGEST_COMMAND: Final = 4000

# Without locks, background daemons and a look at untracked files: quick, and nothing is changed.
_GIT_STATUS: Final = (
    *("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "status"),
    *("--porcelain=v2", "--branch", "--untracked-files=no"),
)
_COMMIT: Final = re.compile(r"# branch\.oid ([0-9a-f]{40,64})$", re.MULTILINE)
_CHANGE: Final = re.compile(r"^[^#]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a session's results come from, as its runs record it; secrets are masked.

    Attributes:
        commit: The commit that git has checked out, empty if there is none.
        dirty: Whether files that git tracks had changes, None if that is not known.
        python: Python's version.
        platform: Operating system and architecture.
        host: The machine's name.
        command: The command line.
        seeds: The seed of each sweep, by its name.
        packages: Versions of the packages that the tests had imported, by their import names.
    """

    commit: str = ""
    dirty: bool | None = None
    python: str = ""
    platform: str = ""
    host: str = ""
    command: tuple[str, ...] = ()
    seeds: dict[str, int] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        """The inverse of `to_json`; fields that it does not know are left out."""
        known = {name: data[name] for name in cls.__slots__ if name in data}
        return cls(**{**known, "command": tuple(known.get("command", ()))})


class Observer:
    """Finds the provenance of a session's runs.

    Args:
        root: A directory in the project's checkout.
        command: The command line as it was given.

    Attributes:
        packages: Versions of imported packages, as the processes that run tests tell.
    """

    def __init__(self, root: Path, command: Sequence[str]) -> None:
        self.packages: dict[str, str] = {}
        self._root = root
        self._command = command
        self._git: subprocess.Popen[str] | None = None
        self._found: Provenance | None = None

    def start(self) -> None:
        """Ask git in the background; `provenance` waits for its answer."""
        if self._git is None and self._found is None:
            self._git = _ask_git(self._root)

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
        return replace(self._found, seeds=dict(seeds), packages=dict(self.packages))

    def close(self) -> None:
        """Wait for git no longer, if nobody needed its answer."""
        if self._git is not None and self._found is None:
            with self._git as git:
                git.kill()
            self._git = None


def imported_packages() -> dict[str, str]:
    """Versions of the packages that this process has imported, by their import names.

    A package's version is its ``__version__``, else that of the distribution of the same name;
    modules without either, such as the project's own, are left out.
    """
    names = {name for name in sys.modules if "." not in name and not name.startswith("_")}
    found = {name: _version(name) for name in sorted(names - sys.stdlib_module_names)}
    return {name: version for name, version in found.items() if version}


def _version(name: str) -> str:
    from importlib import metadata

    # Not getattr, which may import or warn.
    version = getattr(sys.modules[name], "__dict__", {}).get("__version__")
    if isinstance(version, str):
        return version
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def _ask_git(root: Path) -> subprocess.Popen[str] | None:
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
