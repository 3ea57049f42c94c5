"""What the tests of the plugin share: sweeps that were run, and the records that they left."""

import importlib
import json
import pkgutil
from pathlib import Path
from textwrap import dedent

import pytest
import scipy.stats  # noqa: F401

import pytest_hypersearch

# A nested run forgets what it imports; what is there before it stays.
for module in pkgutil.walk_packages(pytest_hypersearch.__path__, "pytest_hypersearch."):
    importlib.import_module(module.name)


@pytest.fixture
def journals(pytester):
    """Reads the records of all runs in the cache, the newest run of each study last."""

    def read(kind=None):
        files = sorted(Path(pytester.path).glob(".pytest_cache/d/hypersearch/*/*/journal.jsonl"))
        records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [record for record in records if kind in {None, record["k"]}]

    return read


@pytest.fixture
def module(pytester):
    """Writes the module test_it.py, with pytest and our public names imported."""

    def write(source):
        imports = "import pytest\nfrom pytest_hypersearch import *\n"
        pytester.makepyfile(test_it=imports + dedent(source))

    return write


@pytest.fixture
def run(pytester):
    """Runs pytest in this process on what the test wrote."""

    return pytester.runpytest


@pytest.fixture
def collected(run):
    """Collects what the test wrote: the ids of the items, without the file."""

    def collect(*args):
        result = run("--collect-only", "-q", "--sweep", *args)
        assert result.ret == 0
        return [line.partition("::")[2] for line in result.outlines if "::" in line]

    return collect


@pytest.fixture
def noted(pytester):
    """Gives the inner tests a fixture ``note(*values)`` and reads what they noted."""
    pytester.makeconftest(
        """
        import json, pytest

        @pytest.fixture(scope="session")
        def note():
            def write(*values):
                with open("noted.jsonl", "a") as file:
                    file.write(json.dumps(values, default=repr) + "\\n")
            return write
        """
    )

    def read():
        file = pytester.path / "noted.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    return read
