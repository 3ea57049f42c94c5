"""Fingerprints of code: digests of the project's files that a test runs, and versions of packages.

Which files and packages an import statement loads is found without importing anything.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.packages import version_of
from pytest_hypersearch.core.values import encodable
from pytest_hypersearch.store.fingerprint import source
from pytest_hypersearch.store.fingerprint.source import Import, Piece, Source


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
        self._roots = [str(folder) for folder in places if self.holds(folder)]
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
            if files := list(self._below(start, parts, name)):
                yield from files
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

    def _holds(self, path: Path) -> bool:
        """Tell whether a place has the project's modules, not those of an environment within it."""
        if not {"site-packages", "dist-packages"}.isdisjoint(path.parts):
            return False
        inner = [folder for folder in (path, *path.parents) if self._project in folder.parents]
        return not any(
            folder in self._environments or (folder / "pyvenv.cfg").exists() for folder in inner
        )


_MOST_ENTRIES = 1000
_VERSION: Final = "=="
_UNCOUNTED: Final = sys.stdlib_module_names | {"pytest", "_pytest", "pytest_hypersearch"}


class Fingerprints:
    """Computes fingerprints; every file is read once.

    Args:
        roots: Directories from which the project's modules are imported; the first is the one
            that paths are shown relative to.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = [_absolute(root) for root in roots]
        self._finder = Finder(self._roots)
        self._module = cache(_Module)
        self._content = cache(lambda path: _digest(_read(path)))
        self._edges: dict[Path, frozenset[Path]] = {}
        self._version = cache(version_of)
        self._loaded: dict[frozenset[Path], tuple[dict[str, str], frozenset[str]]] = {}

    def of(
        self,
        test_file: Path,
        function: str,
        others: Sequence[Path] = (),
        depends_on: Sequence[Path] = (),
    ) -> dict[str, str]:
        """Return the digests of what a test runs.

        Args:
            test_file: The test's module.
            function: The test's qualified name in it: ``test_f`` or ``TestA.test_f``, where
                ``TestA`` is the class that runs it rather than one that it inherits it from.
            others: Modules that define its fixtures, and conftests; those of environments within
                the project are passed over.
            depends_on: Files that it reads, whatever they hold.

        Returns:
            A digest by path, relative to the first root that holds the file, with slashes; ``==``
            and the version of each package that these files import, by its import name, and of
            Python under ``python``. pytest's version does not count, nor this package's. Of more
            than 1,000 files, directories are told together.
        """
        path = _absolute(test_file)
        module = self._module(path)
        digest, imports, named = module.of(function)
        start = {file for file in map(_absolute, others) if self._finder.holds(file.parent)}
        start |= {*self._finder.packages(path), *self._behind(path, named)}
        start |= {file for statement in imports for file in self._finder.files(path, statement)}
        loaded, packages = self._all_loaded(frozenset(start))
        entries = {self._name(path): digest, **loaded}
        for file in map(_absolute, depends_on):
            entries[self._name(file)] = self._content(file)
        python = f"{_VERSION}{sys.version_info.major}.{sys.version_info.minor}"
        used = sorted(packages | self._packages(path, imports))
        versions = {name: f"{_VERSION}{found}" for name in used if (found := self._version(name))}
        return {**_folded(entries), **versions, "python": python}

    def _all_loaded(self, start: frozenset[Path]) -> tuple[dict[str, str], frozenset[str]]:
        """Return the digests of modules and of all that they import, and the packages among it."""
        if start not in self._loaded:
            seen = set(start)
            todo = list(start)
            while todo:
                new = self._direct(todo.pop()) - seen
                seen |= new
                todo += new
            entries = {self._name(file): self._module(file).digest for file in seen}
            packages = (self._packages(file, self._module(file).imports) for file in seen)
            self._loaded[start] = dict(sorted(entries.items())), frozenset().union(*packages)
        return self._loaded[start]

    def _packages(self, importer: Path, imports: Iterable[Import]) -> frozenset[str]:
        """Return the import names of what a file imports that is no file of the project's."""
        return frozenset(
            name
            for one in imports
            if not one[0] and (name := one[1].partition(".")[0]) not in _UNCOUNTED
            if not any(self._finder.files(importer, one))
        )

    def _behind(self, importer: Path, named: Iterable[Import]) -> set[Path]:
        """Return the modules behind what sweep marks name, but for those with constants alone."""
        files: set[Path] = set()
        seen: set[tuple[Path, Import]] = set()
        todo = [(importer, statement) for statement in named]
        while todo:
            importer, statement = todo.pop()
            imported = list(self._finder.files(importer, statement))
            behind = self._module(imported[-1]).constant(statement[2]) if imported else None
            if behind is None:
                files.update(imported)
            else:
                new = {(imported[-1], other) for other in behind} - seen
                seen |= new
                todo += new
        return files

    def _direct(self, file: Path) -> frozenset[Path]:
        """Return what a module loads itself: its packages and its imports."""
        if file not in self._edges:
            self._edges[file] = frozenset(self._finder.packages(file)) | {
                target
                for statement in self._module(file).imports
                for target in self._finder.files(file, statement)
            }
        return self._edges[file]

    def _name(self, path: Path) -> str:
        root = next((root for root in self._roots if path.is_relative_to(root)), None)
        return encodable((path.relative_to(root) if root else path).as_posix())


class _Module:
    """A file's digests; one that is no valid Python counts byte by byte and imports nothing."""

    def __init__(self, path: Path) -> None:
        content = _read(path)
        self._source = source.parse(content)
        whole = source.whole(self._source) if self._source else None
        self.digest = _digest(whole.digest if whole else content)
        self.imports = whole.imports if whole else frozenset()
        self._frames: dict[tuple[str, ...], Piece | None] = {}

    def of(self, function: str) -> tuple[str, frozenset[Import], frozenset[Import]]:
        """Return what counts for a test, which is everything if it is not found.

        Returns:
            A digest, what is imported, and what is imported if sweep marks name no constants.
        """
        own = self._test(tuple(function.split(".")))
        if not own:
            return self.digest, self.imports, frozenset()
        reached = self._reached(own, self._always)
        counted = [self._pieces[index] for index in sorted(reached.counted)]
        digest = _digest(b"".join(piece.digest for piece in (*counted, *own)))
        return digest, _imports(*counted, *own), self._named_imports(reached)

    def constant(self, name: str) -> frozenset[Import] | None:
        """Return what a constant is made of elsewhere, None if it is none or made of code here."""
        start = [self._pieces[index] for index in self._binding.get(name, ())]
        if not start or any(piece.kind not in {"assignment", "import"} for piece in start):
            return None
        reached = self._reached(start, _Reached(set(), set(self._binding[name])), counts=False)
        return None if reached.counted else self._named_imports(reached)

    def _named_imports(self, reached: _Reached) -> frozenset[Import]:
        return _imports(*(self._pieces[index] for index in reached.named))

    def _test(self, qualname: tuple[str, ...]) -> list[Piece]:
        if self._source is None:
            return []
        *classes, _ = qualname
        if classes and (frame := self._frame(self._source, tuple(classes))):
            return [frame, source.method(self._source, qualname)]
        return [self._pieces[index] for index in self._binding.get(qualname[0], ())]

    def _frame(self, parsed: Source, classes: tuple[str, ...]) -> Piece | None:
        if classes not in self._frames:
            self._frames[classes] = source.frame(parsed, classes)
        return self._frames[classes]

    @cached_property
    def _pieces(self) -> list[Piece]:
        return source.pieces(self._source) if self._source else []

    @cached_property
    def _binding(self) -> Mapping[str, list[int]]:
        """Positions of the pieces that bind a name."""
        binding: dict[str, list[int]] = defaultdict(list)
        for index, piece in enumerate(self._pieces):
            for name in piece.binds:
                binding[name].append(index)
        return dict(binding)

    @cached_property
    def _always(self) -> _Reached:
        """What counts for every test."""
        always = {index for index, piece in enumerate(self._pieces) if piece.always}
        return self._reached([self._pieces[index] for index in always], _Reached(always, set()))

    def _reached(
        self, start: Iterable[Piece], already: _Reached, *, counts: bool = True
    ) -> _Reached:
        """Add to what was reached already what pieces refer to, and what that refers to."""
        reached = _Reached(set(already.counted), set(already.named))
        todo = [(piece, counts) for piece in start]
        while todo:
            piece, as_code = todo.pop()
            for names, counted in ((piece.uses, as_code), (piece.swept, False)):
                for index in (index for name in names for index in self._binding.get(name, ())):
                    other = self._pieces[index]
                    is_code = counted or other.kind == "definition"
                    if reached.add(index, counted=is_code):
                        todo.append((other, is_code))
        return reached


@frozen
class _Reached:
    """Positions of a module's pieces.

    Attributes:
        counted: Those that are code which a test may run.
        named: Those that only stand behind names in its sweep marks: constants don't count,
            imported modules do.
    """

    counted: set[int]
    named: set[int]

    def add(self, index: int, *, counted: bool) -> bool:
        """Add a piece, and return whether it was unknown as such."""
        if index in self.counted or (index in self.named and not counted):
            return False
        (self.counted if counted else self.named).add(index)
        return True


def _imports(*pieces: Piece) -> frozenset[Import]:
    return frozenset().union(*(piece.imports for piece in pieces))


def versions_in(fingerprint: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of packages in a fingerprint, by their import names."""
    versions = {k: v for k, v in fingerprint.items() if v.startswith(_VERSION) and k != "python"}
    return {name: version.removeprefix(_VERSION) for name, version in versions.items()}


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return the names that two fingerprints have not in common or not alike, sorted."""
    return [name for name in sorted({**old, **new}) if old.get(name) != new.get(name)]


def changes_text(pairs: Iterable[tuple[Mapping[str, str], Mapping[str, str]]]) -> str:
    """Say what differs between fingerprints: ``model.py changed, numpy 2.3 -> 2.4``.

    Args:
        pairs: Earlier fingerprints, each with a later one.
    """
    files: dict[str, None] = {}
    versions: dict[str, None] = {}
    for old, new in pairs:
        for name in changed(old, new):
            before, now = old.get(name, ""), new.get(name, "")
            if (before or now).startswith(_VERSION):
                numbers = (each.removeprefix(_VERSION) or "none" for each in (before, now))
                versions[f"{name} {' -> '.join(numbers)}"] = None
            else:
                files[name] = None
    parts = [f"{', '.join(files)} changed"] if files else []
    return ", ".join([*parts, *versions])


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  resolving links would rename files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def _folded(entries: Mapping[str, str]) -> Mapping[str, str]:
    """Return at most so many entries that they fit in a record, deep directories told together."""
    depth = max(name.count("/") for name in entries)
    while len(entries) > _MOST_ENTRIES and depth:
        groups: dict[str, list[str]] = defaultdict(list)
        for name, digest in sorted(entries.items()):
            head = name.split("/")[:depth]
            groups["/".join(head)].append(digest)
        entries = {
            name: digests[0] if len(digests) == 1 else _digest("".join(digests).encode())
            for name, digests in groups.items()
        }
        depth -= 1
    return entries
