"""The names that users import: flat, few, and cheap until they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pytest_hypersearch

NAMES = [
    "Results",
    "Sweeps",
    "Trial",
    "choice",
    "load_results",
    "lograndint",
    "loguniform",
    "normal",
    "randint",
    "sweep",
    "uniform",
]


def test_public_names_are_these():
    assert pytest_hypersearch.__all__ == NAMES
    assert set(NAMES) <= set(dir(pytest_hypersearch))


@pytest.mark.parametrize("name", NAMES)
def test_each_name_has_a_home_and_a_docstring(name):
    found = getattr(pytest_hypersearch, name)
    assert found.__name__ == name
    assert found.__module__.startswith("pytest_hypersearch.")
    assert len(found.__doc__) > 20


def test_other_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="'pytest_hypersearch' has no attribute 'gridd'"):
        pytest_hypersearch.gridd  # noqa: B018


def test_the_helper_stays_a_function_when_all_modules_are_imported():
    code = (
        "import pytest_hypersearch.plugin.mark.typed, pytest_hypersearch.plugin.collect\n"
        "import pytest_hypersearch.plugin.runner.runner\n"
        "from pytest_hypersearch import *\n"
        f"assert all(callable(eval(name)) for name in {NAMES!r}), sweep"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_loads_no_module_that_a_sweep_alone_needs():
    code = (
        "import sys, pytest_hypersearch\n"
        "ours = [name for name in sys.modules if name.startswith('pytest_hypersearch.')]\n"
        "names = {name.partition('.')[2] for name in ours}\n"
        "assert names == {'plugin', 'plugin.mark', 'plugin.mark.typed'}, names\n"
        "pytest_hypersearch.uniform\n"
        "assert not {'pytest', 'numpy', 'scipy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_says_that_it_is_typed():
    assert (Path(pytest_hypersearch.__file__).parent / "py.typed").exists()
