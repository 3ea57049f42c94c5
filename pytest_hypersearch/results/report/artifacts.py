"""The files that trials saved: which of them the page lists, and where a link finds them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, unquote_to_bytes

from pytest_hypersearch.store.reader import stored_key
from pytest_hypersearch.store.runs import ARTIFACTS, artifact_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pytest_hypersearch.core.trial import TrialRecord

    Link: TypeAlias = Callable[[Path], str]

MOST_FILES = 50


def beside(page: Path) -> Link:
    """Return what tells the address of a directory, relative to a page that is a file.

    Args:
        page: Path of the page.
    """
    folder = page.resolve().parent
    return lambda directory: quote(os.fsencode(os.path.relpath(directory.resolve(), folder)))


def listed(
    runs: Iterable[Path], trials: Iterable[TrialRecord], link: Link
) -> list[dict[str, Any] | None]:
    """List what each trial saved.

    Args:
        runs: Directories of runs.
        trials: Trials of these runs.
        link: Tells the address of a run's artifacts.

    Returns:
        For each trial None, or its directory's address as ``at``, the first `MOST_FILES` paths
        below it as ``files``, encoded for addresses, and how many ``more`` there are.
    """
    roots = [run / ARTIFACTS for run in runs]
    found = {path.name: (path, link(root)) for root in roots for path in _directories(root)}
    names = (artifact_name(*stored_key(trial), trial.attempt) for trial in trials)
    return [_directory(*found[name]) if name in found else None for name in names]


def file_below(root: Path, address: str) -> Path | None:
    """Return the file of an encoded path, None if there is none or it is not below the root."""
    try:
        file = (root / os.fsdecode(unquote_to_bytes(address))).resolve()
        return file if file.is_relative_to(root.resolve()) and file.is_file() else None
    except (OSError, ValueError):  # too long a name, or a null byte in it
        return None


def _directories(root: Path) -> Sequence[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []


def _directory(directory: Path, address: str) -> dict[str, Any] | None:
    paths = (quote(os.fsencode(path.relative_to(directory))) for path in directory.rglob("*"))
    files = sorted(path for path in paths if file_below(directory, path))
    more = max(0, len(files) - MOST_FILES)
    at = f"{address}/{quote(directory.name)}"
    return {"at": at, "files": files[:MOST_FILES], "more": more} if files else None
