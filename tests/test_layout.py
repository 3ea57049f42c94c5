"""The architecture: eight wings, imports that go one way, pytest in the last wing alone."""

import ast
from functools import cache
from pathlib import Path

import pytest

import pytest_hypersearch

PACKAGE = Path(pytest_hypersearch.__file__).parent
WINGS = ("core", "search", "stats", "store", "engine", "trackers", "results", "plugin")
BESIDE = {"__init__.py", "__main__.py", "py.typed", "samplers.py"}
PYTESTS = {"_pytest", "execnet", "pytest", "xdist"}


def imports_of(path):
    """Yield the modules that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if exists(inner) else node.module


def exists(module):
    return any(file_of(module))


def file_of(module):
    """Return the file of a module of ours, in a list that is empty for all others."""
    place = PACKAGE.parent.joinpath(*module.split("."))
    found = [place.with_suffix(".py"), place / "__init__.py"]
    return [path for path in found if path.is_file() and path.is_relative_to(PACKAGE)]


FILES = {path.relative_to(PACKAGE): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def arrows():
    """The files that each file imports."""
    return {
        place: sorted({f for module in imports_of(path) for f in file_of(module)} - {path})
        for place, path in FILES.items()
    }


def wing_of(place):
    return place.parts[0] if len(place.parts) > 1 else None


def test_the_package_is_eight_wings():
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert entries == {*WINGS, *BESIDE}


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_only_the_wings_before_it(wing):
    allowed = {*WINGS[: WINGS.index(wing) + 1]}
    wrong = [
        f"{place} imports {target.relative_to(PACKAGE)}"
        for place, targets in arrows().items()
        if wing_of(place) == wing
        for target in targets
        if wing_of(target.relative_to(PACKAGE)) not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("wing", WINGS[:-1])
def test_pytest_is_touched_by_the_last_wing_alone(wing):
    wrong = [
        f"{place} imports {module}"
        for place, path in FILES.items()
        if wing_of(place) == wing
        for module in imports_of(path)
        if module.partition(".")[0] in PYTESTS
    ]
    assert wrong == []


def test_no_files_import_each_other_in_a_circle():
    left = {PACKAGE / place: set(targets) for place, targets in arrows().items()}
    while True:
        imported = set().union(*left.values())
        outside = [path for path in left if not left[path] & left.keys() or path not in imported]
        if not outside:
            break
        for path in outside:
            del left[path]
    circle = {
        str(path.relative_to(PACKAGE)): [str(t.relative_to(PACKAGE)) for t in targets & left.keys()]
        for path, targets in left.items()
    }
    assert circle == {}
