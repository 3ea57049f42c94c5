"""Which of a project's files an import statement loads, found without importing anything."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_hypersearch.fingerprint.source import Import


class Finder:
    """Finds modules below a project's import roots, but not what is installed there.

    Args:
        roots: Directories from which the project's modules are imported, the project's own first.

    Attributes:
        holds: Tells whether a directory has the project's modules, not an environment's.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._project = roots[0]
        self._environments = {Path(sys.prefix), Path(sys.base_prefix)}
        self.holds = cache(self._holds)
        places = dict.fromkeys([*roots, *(root / "src" for root in roots[:1])])
        self._roots = [str(place) for place in places if self.holds(place)]
        self._is_file = cache(os.path.isfile)

    def files(self, importer: Path, statement: Import) -> Iterator[Path]:
        """Yield the files that an import of the importer loads, without their packages'."""
        level, module, name = statement
        if level:
            starts = [str(importer.parents[min(level, len(importer.parents)) - 1])]
        else:
            starts = self._roots
        parts = module.split(".") if module else []
        for start in starts:
            if found := list(self._below(start, parts, name)):
                yield from found
                return

    def packages(self, file: Path) -> Iterator[Path]:
        """Yield the ``__init__.py`` of the packages that a file is in."""
        for folder in file.parents:
            init = f"{folder}{os.sep}__init__.py"
            if not self._is_file(init):
                return
            yield Path(init)

    def _below(self, start: str, parts: Sequence[str], name: str) -> Iterator[Path]:
        path = start
        for part in parts:
            path = f"{path}{os.sep}{part}"
            yield from self._module(path)
        if name and name != "*":
            yield from self._module(f"{path}{os.sep}{name}")
        if not parts:
            yield from self._module(path)

    def _module(self, path: str) -> Iterator[Path]:
        for file in (f"{path}{os.sep}__init__.py", f"{path}.py"):
            if self._is_file(file):
                yield Path(file)
                return

    def _holds(self, place: Path) -> bool:
        """Tell whether a place has the project's modules, not those of an environment within it."""
        if not {"site-packages", "dist-packages"}.isdisjoint(place.parts):
            return False
        inner = [folder for folder in (place, *place.parents) if self._project in folder.parents]
        return not any(
            folder in self._environments or (folder / "pyvenv.cfg").exists() for folder in inner
        )
