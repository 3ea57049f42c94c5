"""The best configuration's artifacts under one stable path, whole at every moment.

``<study>/best`` is a symbolic link to an edition: a directory below ``<study>/.best`` that is built
aside, never changed, and put in the place of the one before by renaming the link. It holds
``params.json`` and, as ``r0``, ``r1`` and so on, what each replicate saved, as hard links where the
file system has them and copies elsewhere. So it survives its run, and takes no space beside it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.study import Configuration
from pytest_hypersearch.core.trial import Key, State, TrialRecord
from pytest_hypersearch.store.journal import make_dirs
from pytest_hypersearch.store.reader import directory_of
from pytest_hypersearch.store.runs import file_lock, refuse_link, remove_tree

if TYPE_CHECKING:
    from filelock import BaseFileLock


BEST = "best"
PARAMS = "params.json"

_EDITIONS = ".best"
_LOCK = "lock"
_LINK = "link"
_REMOVED = ".removed"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@frozen
class Edition:
    """What is to be found under ``best``.

    Attributes:
        run: The directory of the run that it comes from.
        facts: What ``params.json`` says, as JSON values.
        directories: What each replicate saved, in the order of replicate.
    """

    run: Path
    facts: Mapping[str, Any]
    directories: tuple[tuple[int, Path], ...]

    @classmethod
    def of(
        cls, run: Path, study: str, best: Configuration, directories: Mapping[int, Path]
    ) -> Edition:
        """Return the edition of a study's best configuration in a run."""
        facts = {
            "params": best.params,
            "score": best.score,
            "metric": best.sweep.metric,
            "mode": best.sweep.mode,
            "metrics": best.metrics,
            "sweep": best.sweep.name,
            "number": best.number,
            "replicates": len(best.trials),
            "study": study,
            "run": run.name,
        }
        return cls(run, facts, tuple(sorted(directories.items())))


def publish(edition: Edition) -> bool:
    """Put an edition in the place of the one before; a death on the way leaves that one.

    The one before stays until the next call, for those who read it just now.

    Returns:
        Whether it is there: not if the best of a newer run is.

    Raises:
        OSError: A file could not be written; ``best`` is as before.
    """
    study = edition.run.parent
    with _locked(study):
        run = _present(study).partition("-")[0]
        if run.isdecimal() and int(run) > int(edition.run.name) and (study / run).is_dir():
            return False
        with suppress(OSError):  # `tidy` tells of what cannot be removed
            _tidy(study)
        _swap(study, _build(edition))
    return True


def tidy(study: Path) -> None:
    """Remove the edition before the present one and what was left of sessions that died.

    Raises:
        OSError: Something could not be removed.
    """
    if (study / _EDITIONS).is_dir():
        with _locked(study):
            _tidy(study)


def remove(directory: Path) -> None:
    """Remove a trial's directory: at once for those who look for it, then its files.

    Of one that the test has replaced by a link, the link.

    Raises:
        OSError: Something in it could not be removed.
    """
    refuse_link(directory.parent)
    if directory.is_symlink():
        directory.unlink()
        return
    aside = directory.parent / _REMOVED
    with suppress(FileNotFoundError):
        remove_tree(aside)
    with suppress(FileNotFoundError):
        directory.rename(aside)
        remove_tree(aside)


def kept(run: Path, trials: Iterable[TrialRecord]) -> dict[Key, str]:
    """Find what trials of a stored run saved, if it is still there.

    Args:
        run: The run's directory.
        trials: Its trials.

    Returns:
        The directory of each complete trial that has one, below ``best`` if it is published.
    """
    best = published(run)
    paths = {}
    for trial in trials:
        own = directory_of(run, trial)
        public = run.parent / BEST / replicate_name(trial.replicate)
        directory = public if trial.key[:2] == best and public.is_dir() else own
        if trial.state is State.COMPLETE and directory.is_dir():
            paths[trial.key] = str(directory)
    return paths


def published(run: Path) -> tuple[str, int] | None:
    """Return the sweep and number of the published configuration, None if it is not of the run."""
    try:
        facts = json.loads((run.parent / BEST / PARAMS).read_text(encoding="utf-8"))
        return (facts["sweep"], facts["number"]) if facts["run"] == run.name else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def replicate_name(replicate: int) -> str:
    """The name of a replicate's directory in an edition."""
    return f"r{replicate}"


def _locked(study: Path) -> BaseFileLock:
    """Keep other sessions of the study out; the lock of a process that died is free."""
    refuse_link(study / _EDITIONS)
    make_dirs(study / _EDITIONS)
    return file_lock(study / _EDITIONS / _LOCK)


def _present(study: Path) -> str:
    """The name of the present edition, which begins with that of its run; empty without one."""
    try:
        return (study / BEST).readlink().name
    except OSError:
        return ""


def _tidy(study: Path) -> None:
    present = _present(study)
    for path in (study / _EDITIONS).iterdir():
        if path.is_dir() and not path.is_symlink() and path.name != present:
            remove_tree(path)


def _build(edition: Edition) -> Path:
    editions = edition.run.parent / _EDITIONS
    target = Path(tempfile.mkdtemp(prefix=f"{edition.run.name}-", dir=editions))
    for replicate, directory in edition.directories:
        link_tree(directory, target / replicate_name(replicate))
    text = json.dumps(edition.facts, indent=2, allow_nan=False)
    (target / PARAMS).write_text(text + "\n")
    return target


def _swap(study: Path, built: Path) -> None:
    link = study / _EDITIONS / _LINK
    link.unlink(missing_ok=True)
    link.symlink_to(built.relative_to(study))
    link.replace(study / BEST)


def link_tree(source: Path, target: Path) -> None:
    """Copy a directory, with hard links where the file system has them.

    Raises:
        OSError: A file could not be written.
    """
    try:
        shutil.copytree(source, target, symlinks=True, copy_function=_link)
    except shutil.Error as error:
        file, _, reason = error.args[0][0]
        raise OSError(f"{file}: {reason}") from error
    _keep_within(target, (source, source.resolve()))


def _keep_within(target: Path, sources: Iterable[Path]) -> None:
    """Let links that lead into the source by absolute paths lead into the target instead."""
    for folder, directories, files in os.walk(target):
        for path in (os.path.join(folder, name) for name in directories + files):  # noqa: PTH118  much faster
            if os.path.islink(path):  # noqa: PTH114  much faster
                _redirect(Path(path), target, sources)


def _redirect(link: Path, target: Path, sources: Iterable[Path]) -> None:
    led = link.readlink()
    inside = next(
        (led.relative_to(source) for source in sources if led.is_relative_to(source)), None
    )
    if inside is not None and ".." not in inside.parts:
        link.unlink()
        link.symlink_to(os.path.relpath(target / inside, link.parent))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _FULL:
            raise
        shutil.copy2(source, target, follow_symlinks=False)
