"""The pages of the documentation, read as stories: what they show is written, run and compared.

Every page has a directory of its own. Blocks with a caption are files; of console blocks, each
command is run, and every line that is shown must come in the output, in this order. Numbers count
as equal: times and the last digits differ from machine to machine. ``/project`` is the directory.
"""

import ast
import re

import pytest
from docs_parts import PAGES, ROOT, blocks_of, missing_in

TEXTS = {"python", "toml", "yaml", "text"}


def shows_code(page):
    return "```console" in page.read_text()


@pytest.mark.parametrize("name", sorted(name for name in PAGES if shows_code(PAGES[name])))
def test_page_does_what_it_shows(name, reader):
    for block in blocks_of(PAGES[name].read_text()):
        assert block.language in TEXTS | {"console"}, block.language
        assert block.language != "python" or block.file, "python without a caption is not run"
        reader.follow(block)
    assert not reader.unused, "the page shows files that no command after them uses"


def test_every_block_of_code_is_seen():
    for page in PAGES.values():
        text = page.read_text()
        shown = len(re.findall(r"^```(?:\{code-block\}|\w)", text, re.MULTILINE))
        assert len(list(blocks_of(text))) == shown, page
        assert shows_code(page) or "```console" not in text, page


def test_examples_on_pages_are_those_of_the_repository():
    blocks = [block for page in PAGES.values() for block in blocks_of(page.read_text())]
    shown = {block.file: block.text for block in blocks if block.file.startswith("examples/")}
    assert shown
    assert shown == {file: (ROOT / file).read_text() for file in shown}


def test_a_line_that_does_not_come_is_found():
    assert missing_in("a 1\nb 2.5e-3\n== c ==", ["a 7", "b 2", "==== c ="]) is None
    assert missing_in("a 1\nb 2", ["b 2", "a 1"]) == "a 1"


def test_reference_takes_nothing_in_docstrings_for_a_type():
    """In a property's first line and after ``Returns:``, what is before a colon is a type."""
    text = "".join(page.read_text() for page in PAGES.values())
    names = re.findall(r"(?:autoclass|automodule):: (pytest_hypersearch[\w.]+)", text)
    paths = [
        ROOT / f"{each.replace('.', '/')}.py"
        for name in names
        for each in [name, name.rpartition(".")[0]]
    ]
    files = {path for path in paths if path.exists()}
    functions = [
        node
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    assert len(functions) > 100
    for function in functions:
        text = ast.get_docstring(function) or ""
        kinds = [ast.unparse(decorator) for decorator in function.decorator_list]
        lines = [text.split("\n")[0]] * any(kind.endswith("property") for kind in kinds)
        lines += re.findall(r"Returns:\n +(.*)", text)
        assert not [line for line in lines if ": " in line], function.name
