"""What the tests of the plugin share: sweeps that were run, and the records that they left."""

import importlib
import json
import pkgutil
from pathlib import Path

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
def run(pytester):
    """Runs pytest in this process on what the test wrote."""

    def run_pytest(*args):
        return pytester.runpytest("-p", "no:asyncio", *args)

    return run_pytest
