"""Take sweep marks out of a module's syntax tree: a larger budget or space is no other code.

What a mark's ``base`` is computed from stays, since every trial gets it; of the rest only the names
are noted, since choices can be among functions and classes.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_OURS = "pytest_hypersearch"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)


def drop_sweeps(tree: ast.Module) -> Mapping[ast.stmt, frozenset[str]]:
    """Change a tree in place: no decorators, no assigned values and no elements that are sweeps.

    An assignment whose whole value was a sweep, or several, is left without a value.

    Returns:
        By statement that had sweeps, the names in them.
    """
    marks: dict[ast.stmt, frozenset[str]] = {}
    names = _typed_helper(tree)
    for node in statements(tree.body, within=(ast.ClassDef,)):
        if isinstance(node, DEFINITIONS):
            node.decorator_list = _unswept(node, node.decorator_list, names, marks)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            _drop_value(node, names, marks)
    return marks


def statements(body: Iterable[ast.stmt], *, within: tuple[type, ...] = ()) -> Iterator[ast.stmt]:
    """Yield statements and those in their blocks, of definitions only in those of some types."""
    todo = [*body][::-1]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, DEFINITIONS) or isinstance(node, within):
            todo += [child for block in _blocks(node) for child in block][::-1]


def dotted(node: ast.expr | None) -> str:
    """Return the dotted name of what is called or referred to, empty if it has none."""
    names: list[str] = []
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Call):
            node = node.func
        else:
            names.append(node.attr)
            node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""


def targets(statement: ast.stmt) -> list[ast.expr]:
    """Return what an assignment assigns to, tuples taken apart; nothing for other statements."""
    match statement:
        case ast.Assign(targets=found):
            todo = list(found)
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            todo = [target]
        case _:
            return []
    flat = []
    while todo:
        match todo.pop():
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                todo += elements
            case ast.Starred(value=value):
                todo.append(value)
            case other:
                flat.append(other)
    return flat


def assigned(statement: ast.stmt) -> list[str]:
    """Return the names that an assignment binds."""
    return [target.id for target in targets(statement) if isinstance(target, ast.Name)]


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(node, name, [])
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield part.body


def _typed_helper(tree: ast.Module) -> set[str]:
    """Return the dotted names by which a module knows our function ``sweep``."""
    names = set()
    for node in statements(tree.body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == _OURS:
                    names.add(f"{alias.asname or _OURS}.sweep")
        elif isinstance(node, ast.ImportFrom) and node.module == _OURS:
            names |= {
                alias.asname or "sweep" for alias in node.names if alias.name in {"sweep", "*"}
            }
    return names


def _drop_value(
    node: ast.Assign | ast.AnnAssign, names: set[str], marks: dict[ast.stmt, frozenset[str]]
) -> None:
    if isinstance(node.value, ast.List | ast.Tuple):
        left = node.value.elts = _unswept(node, node.value.elts, names, marks)
    elif isinstance(node.value, ast.expr):
        left = _unswept(node, [node.value], names, marks)
        if left and node in marks:
            node.value = ast.Tuple(left, ast.Load())
        elif node in marks:
            names.update(assigned(node))
    if node in marks and not left:
        del node.value


def _unswept(
    node: ast.stmt,
    values: list[ast.expr],
    names: set[str],
    marks: dict[ast.stmt, frozenset[str]],
) -> list[ast.expr]:
    """Return a statement's values with sweeps replaced by their bases, and note their names."""
    sweeps = [value for value in values if _is_sweep(dotted(value), names)]
    if not sweeps:
        return values
    inside = (part for sweep in sweeps for part in ast.walk(sweep))
    marks[node] = frozenset(part.id for part in inside if isinstance(part, ast.Name))
    calls = [sweep for sweep in sweeps if isinstance(sweep, ast.Call)]
    bases = [item.value for call in calls for item in call.keywords if item.arg == "base"]
    return [value for value in values if value not in sweeps] + bases


def _is_sweep(name: str, names: set[str]) -> bool:
    return name in names or name == "mark.sweep" or name.endswith(".mark.sweep")
