"""Tables of the command line options and configuration keys, as the plugin registers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

from pytest_hypersearch.plugin import hooks as plugin

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx


class Recorder:
    """Stands for pytest's parser and keeps what it is told.

    Attributes:
        options: Rows of the table of options: as typed, and meaning.
        keys: Rows of the table of keys: name, default, and meaning.
    """

    def __init__(self) -> None:
        self.options: list[tuple[str, ...]] = []
        self.keys: list[tuple[str, ...]] = []

    def getgroup(self, *_: str) -> Recorder:
        """There is one group."""
        return self

    def addoption(self, name: str, **given: Any) -> None:  # noqa: ANN401  as argparse takes them
        """Keep an option."""
        self.options.append((f"`{name}{_value(given)}`", given["help"]))

    def addini(self, name: str, meaning: str, *, default: object = None, **_: object) -> None:
        """Keep a key."""
        shown = f"`{default}`" if default or default == 0 else "none"
        self.keys.append((f"`{name}`", shown, meaning))


def _value(given: dict[str, Any]) -> str:
    if given.get("action") == "store_true":
        return ""
    value = given.get("metavar") or "|".join(given["choices"])
    return f"[={value}]" if given.get("nargs") == "?" else f"={value}"


def recorded() -> Recorder:
    """What the plugin registers."""
    recorder = Recorder()
    plugin.pytest_addoption(recorder)  # type: ignore[arg-type]  it has what is used of a parser
    return recorder


class _Table(SphinxDirective):
    """A table of what was recorded."""

    head: tuple[str, ...]

    def rows(self) -> list[tuple[str, ...]]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        rule = ("---",) * len(self.head)
        lines = [self.head, rule, *self.rows()]
        text = "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)
        return self.parse_text_to_nodes(text)


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|")


class Options(_Table):
    """``sweep-options``: the command line."""

    head = ("option", "meaning")

    def rows(self) -> list[tuple[str, ...]]:
        """One for each option."""
        return recorded().options


class Keys(_Table):
    """``sweep-keys``: the configuration file."""

    head = ("key", "default", "meaning")

    def rows(self) -> list[tuple[str, ...]]:
        """One for each key."""
        return recorded().keys


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("sweep-options", Options)
    app.add_directive("sweep-keys", Keys)
    return {"parallel_read_safe": True}
