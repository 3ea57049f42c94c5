"""The types of the public names, as mypy sees them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_what_users_write_type_checks_and_mistakes_do_not():
    pytest.importorskip("mypy", reason="in the extra lint")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "tests/typed_usage.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr
