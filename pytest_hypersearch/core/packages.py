"""Versions of installed packages, by their import names."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path


def imported_packages() -> dict[str, str]:
    """Versions of the packages that this process has imported, by their import names.

    A package's version is its ``__version__``, else that of the distribution of the same name;
    modules without either, such as the project's own, are left out.
    """
    names = {name for name in sys.modules if "." not in name and not name.startswith("_")}
    found = {name: _version(name) for name in sorted(names - sys.stdlib_module_names)}
    return {name: version for name, version in found.items() if version}


def _version(name: str) -> str:
    # Not getattr, which may import or warn.
    version = getattr(sys.modules[name], "__dict__", {}).get("__version__")
    if isinstance(version, str):
        return version
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def version_of(package: str) -> str:
    """Return the version of an installed package by its import name, empty if it has none."""
    with suppress(metadata.PackageNotFoundError, ValueError):
        return metadata.version(package)
    with suppress(ImportError, ValueError):
        spec = find_spec(package)
        if spec and spec.origin and Path(spec.origin).is_absolute():
            return _version_of_file(Path(spec.origin))
    return ""


def _version_of_file(module: Path) -> str:
    """Return the version of the distribution that a top-level module belongs to."""
    name = f"{module.parent.name}/{module.name}" if module.stem == "__init__" else module.name
    for distribution in metadata.distributions():
        # Much faster than metadata.packages_distributions(), which parses all of these files.
        if f"\n{name}," in f"\n{distribution.read_text('RECORD')}":
            return distribution.version
    return ""
