"""Take sweep marks out of a module's syntax tree: a larger budget or space is no other code.

What a mark's ``base`` is computed from stays, since every trial gets it; of the rest only the names
are noted, since choices can be among functions and classes.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Literal, TypeAlias

from pytest_hypersearch.core.frozen import frozen

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
    node: ast.stmt, values: list[ast.expr], names: set[str], marks: dict[ast.stmt, frozenset[str]]
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


_IGNORED = frozenset({"ctx", "kind", "type_comment"})
_IMPLICIT = ("pytest_", "setup_", "teardown_", "setUp", "tearDown")
_ALWAYS = frozenset({"_", "pytestmark", "pytest_plugins"})

Import: TypeAlias = "tuple[int, str, str]"
"""Level of a relative import, module, and the name taken from it (empty for the module itself)."""


@frozen
class Source:
    """A module's syntax tree without sweep marks.

    Attributes:
        tree: The tree.
        marks: By statement that had sweep marks, the names in them.
    """

    tree: ast.Module
    marks: Mapping[ast.stmt, frozenset[str]]


@frozen
class Piece:
    """One top-level statement, or a part of one.

    Attributes:
        kind: What kind of statement.
        binds: The names that it defines in its module.
        always: Whether it counts whoever refers to it: it has side effects, or pytest calls it.
        uses: The names that it may refer to, by name, argument or string.
        swept: The names in its sweep marks.
        imports: What it imports, in functions too.
        digest: Of its syntax; empty if that was just sweep marks.
    """

    kind: Literal["definition", "import", "assignment", "other"]
    binds: frozenset[str]
    always: bool
    uses: frozenset[str]
    swept: frozenset[str]
    imports: frozenset[Import]
    digest: bytes


def parse(content: bytes) -> Source | None:
    """Return a module's source as a tree, None if it has errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    return Source(tree, drop_sweeps(tree))


def whole(source: Source) -> Piece:
    """Return a module as one piece."""
    return _piece(source, "other", [source.tree])


def pieces(source: Source) -> list[Piece]:
    """Return a module's top-level statements; imports are one piece for each name."""
    own = {name for statement in source.tree.body for name in assigned(statement)}
    return [
        piece
        for statement in source.tree.body
        if not _is_docstring(statement)
        for piece in _statement_pieces(source, statement, own)
    ]


def frame(source: Source, classes: Sequence[str]) -> Piece | None:
    """Return what nested classes give to any of their tests: all but the tests.

    Returns:
        The piece, or None if the module does not define the classes.
    """
    parts: list[ast.AST] = []
    swept: set[str] = set()
    definitions: list[Definition] = []
    for depth in range(1, len(classes) + 1):
        definitions = _find(source, classes[:depth])
        for node in definitions:
            swept |= source.marks.get(node, frozenset())
            parts += (*getattr(node, "bases", ()), *getattr(node, "keywords", ()))
            parts += node.decorator_list
            parts += (child for child in node.body if not _is_apart(child, classes[depth:]))
    return _piece(source, "definition", parts, swept=swept) if definitions else None


def method(source: Source, qualname: Sequence[str]) -> Piece:
    """Return what a class defines under a name, which may be nothing."""
    return _piece(source, "definition", _find(source, qualname))


def _find(source: Source, qualname: Sequence[str]) -> list[Definition]:
    definitions: list[Definition] = []
    body = source.tree.body
    for name in qualname:
        inside = list(statements(body))
        definitions = [
            node for node in inside if isinstance(node, DEFINITIONS) and node.name == name
        ]
        body = [child for node in definitions for child in node.body]
    return definitions


def _is_apart(child: ast.stmt, classes: Sequence[str]) -> bool:
    """Tell whether a part of a class is a test, or the next class on the way to one."""
    if isinstance(child, ast.ClassDef):
        return child.name in classes[:1]
    return isinstance(child, DEFINITIONS) and child.name.startswith("test")


def _statement_pieces(source: Source, statement: ast.stmt, own: set[str]) -> Iterator[Piece]:
    match statement:
        case ast.Import(names=names):
            for alias in names:
                name = alias.asname or alias.name.partition(".")[0]
                yield _piece(source, "import", [ast.Import([alias])], {name})
        case ast.ImportFrom(module=module, names=names, level=level):
            for alias in names:
                part = ast.ImportFrom(module, [alias], level)
                always = alias.name == "*" or module == "__future__"
                yield _piece(source, "import", [part], {alias.asname or alias.name}, always=always)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            always = statement.name.startswith(_IMPLICIT) or _is_fixture(*statement.decorator_list)
            yield _piece(source, "definition", [statement], {statement.name}, always=always)
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            bound = set(map(_changed, targets(statement)))
            always = bool(bound - own or bound & _ALWAYS) or _is_fixture(
                getattr(statement, "value", None)
            )
            yield _piece(source, "assignment", [statement], bound, always=always)
        case _:
            yield _piece(source, "other", [statement], _bound_within(statement), always=True)


def _bound_within(statement: ast.stmt) -> set[str]:
    nodes = list(ast.walk(statement))
    names = {node.name for node in nodes if isinstance(node, DEFINITIONS)}
    return names | {node.id for node in nodes if isinstance(node, ast.Name)}


def _changed(target: ast.expr) -> str:
    """Return the name whose object an assignment changes: ``a`` for ``a``, ``a[0]`` and ``a.b``."""
    while isinstance(target, ast.Attribute | ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def _is_fixture(*values: ast.expr | None) -> bool:
    return any(dotted(value).endswith("fixture") for value in values)


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@frozen
class _Field:
    """The name of a node's field, or the end of a node or list."""

    name: str


_END = _Field(")")


@cache
def _fields(names: tuple[str, ...]) -> list[_Field]:
    return [_Field(name) for name in reversed(names) if name not in _IGNORED]


@dataclass(slots=True)
class _Notes:
    """What is met on the way through the syntax."""

    marks: Mapping[ast.stmt, frozenset[str]]
    uses: set[str] = field(default_factory=set)
    swept: set[str] = field(default_factory=set)
    imports: set[Import] = field(default_factory=set)

    def is_empty(self, node: ast.AST) -> bool:
        """Tell whether a statement assigned nothing but sweep marks."""
        return (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and node in self.marks
            and getattr(node, "value", None) is None
        )

    def take(self, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name) | ast.arg(arg=name):
                self.uses.add(name)
            case ast.Constant(value=str(text)) if text.isidentifier():
                self.uses.add(text)
            case ast.Import(names=names):
                self.imports.update((0, alias.name, "") for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                self.imports.update((level, module or "", alias.name) for alias in names)
            case ast.stmt() if node in self.marks:
                self.swept |= self.marks[node]


def _piece(
    source: Source,
    kind: Literal["definition", "import", "assignment", "other"],
    nodes: Sequence[ast.AST],
    binds: Iterable[str] = (),
    *,
    always: bool = False,
    swept: Iterable[str] = (),
) -> Piece:
    notes = _Notes(source.marks)
    notes.swept.update(swept)
    text = "\0".join(_tokens(nodes, notes))
    digest = (
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() if text else b""
    )
    return Piece(
        kind,
        frozenset(binds),
        always,
        frozenset(notes.uses),
        frozenset(notes.swept),
        frozenset(notes.imports),
        digest,
    )


def _tokens(nodes: Sequence[ast.AST], notes: _Notes) -> Iterator[str]:
    """Yield the syntax as text, without recursion: generated expressions can be nested deeply."""
    stack: list[object] = list(reversed(nodes))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.AST):
            notes.take(node)
            if _is_docstring(node) or notes.is_empty(node):
                continue
            yield type(node).__name__
            stack.append(_END)
            for part in _fields(node._fields):
                value = getattr(node, part.name, None)
                if value is not None and value != []:
                    stack += (value, part)
        elif isinstance(node, _Field):
            yield node.name
        elif isinstance(node, list):
            stack.append(_END)
            stack += reversed(node)
        else:
            yield hex(node) if type(node) is int else repr(node)
