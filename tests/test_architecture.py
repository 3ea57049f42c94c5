"""What docs/explanation/architecture.md says is there."""

import re
from pathlib import Path

import pytest

import pytest_hypersearch
from pytest_hypersearch.engine import messages

PACKAGE = Path(pytest_hypersearch.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "architecture.md"
WINGS = "core|search|stats|store|engine|trackers|results|plugin"
PATHS = sorted(
    set(re.findall(rf"\b(?:{WINGS})/[\w/.]*\w(?:\.py|/)|\b(?:{WINGS})/", PAGE.read_text()))
)


def test_the_page_names_many_paths():
    assert len(PATHS) > 30


@pytest.mark.parametrize("path", PATHS)
def test_each_path_exists(path):
    found = PACKAGE / path
    assert found.is_dir() if path.endswith("/") else found.is_file()


def test_each_message_exists():
    drawn = re.search(r"engine/owner\.py\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    names = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)?\b", drawn))
    assert len(names) > 10
    assert all(hasattr(messages, name) for name in names)
