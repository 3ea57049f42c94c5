"""Where stored runs are found: pytest's cache of a project, or a directory that the user names."""

from __future__ import annotations

import tomllib
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_hypersearch.store.runs import Run, is_run, runs_of, study_dirs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STORE: Final = Path("d", "hypersearch")
_DEFAULT: Final = ".pytest_cache"


def project_studies(start: Path) -> list[list[Run]]:
    """Find the nearest project, from a directory upwards, whose cache has runs.

    Args:
        start: The directory to begin with.

    Returns:
        The runs of each study, oldest first; nothing if there is none.
    """
    for folder in (start, *start.parents):
        if studies := _in_cache(folder / _cache_dir(folder)):
            return studies
    return []


def studies_at(path: Path) -> list[list[Run]]:
    """Find the runs below a directory, by study.

    Args:
        path: A run, a study, a store, a cache of pytest's, or the directory of a project.

    Returns:
        The runs of each study, oldest first; nothing if the path is none of these.
    """
    if is_run(path):
        return [[Run(path)]]
    if runs := runs_of(path):
        return [runs]
    inside = _in_cache(path) or _in_cache(path / _cache_dir(path))
    return inside or _by_study(path)


def _in_cache(cache: Path) -> list[list[Run]]:
    return _by_study(cache / STORE)


def _by_study(store: Path) -> list[list[Run]]:
    return [runs for study in study_dirs(store) if (runs := runs_of(study))]


def _cache_dir(folder: Path) -> str:
    """Return pytest's ``cache_dir`` as far as the project's files tell."""
    for settings in _settings(folder):
        if isinstance(found := settings.get("cache_dir"), str):
            return found
    return _DEFAULT


def _settings(folder: Path) -> Iterator[Mapping[str, object]]:
    """Yield pytest's settings in a directory, in the order in which pytest looks for them."""
    for name in ("pytest.toml", ".pytest.toml"):
        yield _toml(folder / name, "pytest")
    for name in ("pytest.ini", ".pytest.ini"):
        yield _ini(folder / name, "pytest")
    yield _toml(folder / "pyproject.toml", "tool", "pytest")
    yield _toml(folder / "pyproject.toml", "tool", "pytest", "ini_options")
    yield _ini(folder / "tox.ini", "pytest")
    yield _ini(folder / "setup.cfg", "tool:pytest")


def _toml(file: Path, *keys: str) -> Mapping[str, object]:
    try:
        table: object = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def _ini(file: Path, section: str) -> Mapping[str, object]:
    parser = ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
    except (ConfigParserError, ValueError):
        return {}
    return dict(parser[section]) if section in parser else {}
