"""The examples and the README, run as their readers would run them."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from docs_parts import PAGES, blocks_of, dialog_of

ROOT = Path(__file__).parents[1]


def shape_of(lines):
    """The sweeps' section without its numbers: a model's differ from machine to machine."""
    start = next(place for place, line in enumerate(lines) if "= hypersearch =" in line)
    words = " ".join(line for line in lines[start:] if not line.startswith("====")).split()
    return [re.sub(r"\d[\d.e+-]*", "0", word) for word in words]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


GALLERY = [page for name, page in PAGES.items() if name.startswith("gallery/")]


def test_examples_find_good_configurations(pytester, monkeypatch, reader, everything_installed):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    boosting = find_spec("xgboost") is not None
    shutil.copytree(ROOT / "examples", pytester.path / "examples")
    result = pytester.runpytest_subprocess("--sweep", "examples")
    counts = result.parseoutcomes()
    passed = counts["passed"] + counts["pruned"] + counts["tolerated"] + counts["raced"]
    gallery = 60 + 1 + 20 * boosting + 8 * 3 * 15 + 30 + 1
    assert passed == 27 + 81 + 81 + 1 + 20 + 20 + 1 + 3 * 48 + 24 + 1 + 48 + gallery
    assert counts["no"] == 2  # no baseline
    assert counts.get("skipped", 0) == (not boosting)
    result.stdout.re_match_lines(
        [
            r".*test_booth +grid +27 of 27.* min .*",
            r".*test_booth +random +81 of 81.*",
            r".*test_booth +bayes +81 of 81.*",
            r".*test_digits +random +20 of 20.* max .*0\.9\d+",
            r".*test_digits +bayes +20 of 20.* max .*0\.9\d+",
            r".*test_nearest_neighbours +grid +24 of 24.* max .*0\.9\d+",
            r".*test_network +grid +\d+ of 48.* min .*0\.2\d+",
            r".*test_prompts +grid +48 of 48.* max .*0\.[89]\d+",
            r"examples/test_knn\.py::test_nearest_neighbours \[gate accuracy >= 0\.9\]  met .*",
        ]
    )
    shown = [block for page in GALLERY for block in blocks_of(page.read_text())]
    dialogs = [dialog for block in shown for dialog in dialog_of(block.text)]
    assert len(dialogs) == 6 + 7
    for command, lines in dialogs:
        if command.startswith("pytest --sweep"):  # it ran above
            assert (ROOT / command.split()[-1]).exists()
        elif boosting or "test_boosting" not in command:
            reader.check(command, lines)


def test_examples_are_skipped_without_the_option(pytester):
    shutil.copytree(ROOT / "examples", pytester.path / "examples")
    result = pytester.runpytest("examples")
    result.assert_outcomes(skipped=3 + 1 + 2 + 1 + 3 + 1 + 1 + 2 + 1 + 24 + 2)


def test_readme_shows_what_its_first_test_prints(pytester):
    pytester.makepyfile(test_booth=blocks("python")[0])
    result = pytester.runpytest("--sweep", "-n4")
    result.assert_outcomes(passed=75)
    shown = shape_of(blocks("console")[0].splitlines())
    assert shape_of(result.outlines) == shown


def test_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= 1200
    links = re.findall(r"\]\(([^)#]+)|(?:src|srcset)=\"([^\"]+)\"", text)
    paths = [one or other for one, other in links]
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
