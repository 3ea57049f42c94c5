"""Versions of installed packages, by their import names."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_VERSION: Final = re.compile(r"^Version: *(.+?) *$", re.MULTILINE)


def imported_packages(but: Collection[str] = ()) -> dict[str, str]:
    """Versions of the packages that this process has imported, by their import names.

    A package's version is its ``__version__``, else that of the distribution of the same name;
    modules without either, such as the project's own, are left out.

    Args:
        but: Names that are left out, too.
    """
    names = {name for name in list(sys.modules) if "." not in name and not name.startswith("_")}
    found = {name: _version(name) for name in sorted(names - sys.stdlib_module_names - {*but})}
    return {name: version for name, version in found.items() if version}


def _version(name: str) -> str:
    # Not getattr, which may import or warn.
    version = getattr(sys.modules[name], "__dict__", {}).get("__version__")
    return version if isinstance(version, str) else distribution_version(name)


def distribution_version(name: str) -> str:
    """Return the version of the distribution of this name, empty if there is none."""
    # Not metadata.version, which parses all of a file that holds a readme, too.
    with suppress(metadata.PackageNotFoundError, ValueError):
        distribution = metadata.distribution(name)
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        if found := _VERSION.search(text):
            return found[1]
    return ""


def version_of(package: str) -> str:
    """Return the version of an installed package by its import name, empty if it has none."""
    if version := distribution_version(package):
        return version
    with suppress(ImportError, ValueError):
        spec = find_spec(package)
        if spec and spec.origin and Path(spec.origin).is_absolute():
            return _version_of_file(Path(spec.origin))
    return ""


def _version_of_file(module: Path) -> str:
    """Return the version of the distribution that a top-level module belongs to."""
    top = module.parent if module.stem == "__init__" else module
    name = module.relative_to(top.parent).as_posix()
    # Only those that are installed in the same directory: a project's own has none, as a rule.
    for distribution in metadata.distributions(path=[str(top.parent)]):
        # Much faster than metadata.packages_distributions(), which parses all of these files.
        if f"\n{name}," in f"\n{distribution.read_text('RECORD')}":
            return distribution.version
    return ""
