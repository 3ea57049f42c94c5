"""GitHub's job summary."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

PLAIN_AND_WORKERS = pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "workers"])

MARKER = "<!-- pytest-hypersearch -->"

SWEEP = """
@pytest.mark.sweep(grid={"x": [2, 1], "name": ["a|b<i>", "c`d"]}, metric="loss")
def test_f(x, name):
    return x / 4
"""


@PLAIN_AND_WORKERS
def test_what_was_found_is_appended_to_the_job_s_summary(project, monkeypatch, workers):
    file = project.path / "summary.md"
    file.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    project.write(SWEEP)
    project.run(*workers)
    text = file.read_text()
    assert text.startswith(f"before\n{MARKER}\n### Hyperparameter sweeps\n")
    (row,) = [line for line in text.splitlines() if line.startswith(r"| test\_it.py")]
    cells = [cell.strip() for cell in row.removeprefix("| ").split(" | ")]
    assert cells[:4] == [r"test\_it.py::test\_f", "grid", "4 of 4 complete", "min loss 0.2500"]
    assert cells[4] == r"x=1 name=a\|b\<i\>"
    assert "<details>" in text
    assert "loss by x (lower is better)" in text


HOSTILE = [
    "expected `x` > 0 <details><summary>hi</summary>",
    "``` </details> <script>alert(1)</script> [a](https://evil)",
    "````text ![b](c) www.evil.org | **bold** ~~struck~~ &lt; $x$",
]


@pytest.mark.parametrize("word", HOSTILE)
def test_nothing_that_a_test_says_is_live_markdown_or_html(project, monkeypatch, word):
    file = project.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    project.write(f"""
@pytest.mark.sweep(grid={{"word": [{word!r}, "fails"]}}, metric={word!r})
def test_f(word):
    if word == "fails":
        raise ValueError({word!r})
    return len(word)
""")
    project.run()
    text = file.read_text()
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = markdown.parse(text)
    (fence,) = (token for token in tokens if token.type == "fence")
    assert len(fence.markup) >= 3
    assert len(fence.markup) > max(map(len, re.findall("`+", fence.content)), default=0)
    assert fence.content.count(word) >= 2
    html = [token.content.strip() for token in tokens if token.type == "html_block"]
    assert html == [MARKER, "<details><summary>Details</summary>", "</details>"]
    inline = {part.type for token in tokens for part in token.children or ()}
    assert inline <= {"text", "text_special", "softbreak"}
    cells = text.partition("<details>")[0]
    assert not re.search(r"://|www\.", cells)


def test_there_is_none_without_sweeps(project, monkeypatch):
    file = project.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    project.write("def test_plain(): ...\n")
    assert project.run()[0] == 0
    assert not file.exists()


def test_a_summary_that_cannot_be_written_is_a_warning(project, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "no" / "summary.md"))
    project.write(SWEEP)
    code, output = project.run()
    assert code == 0
    assert "GitHub job summary not written" in output
