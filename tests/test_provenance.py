import json
import os
import subprocess
import sys
from importlib import metadata

import pytest

from pytest_hypersearch.core.packages import imported_packages
from pytest_hypersearch.store.archive import Observer
from pytest_hypersearch.store.records import Provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)

    def git(*args):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", *identity, *args]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "first")
    return tmp_path, git("rev-parse", "HEAD")


def observed(root, *command, **seeds):
    observer = Observer(root, command)
    observer.start()
    return observer.provenance(seeds)


def test_a_clean_checkout_is_known_by_its_commit(checkout):
    root, commit = checkout
    (root / "untracked").write_text("")
    found = observed(root)
    assert (found.commit, found.dirty) == (commit, False)


def test_changes_of_tracked_files_make_it_dirty(checkout):
    root, commit = checkout
    (root / "file").write_text("2")
    found = observed(root)
    assert (found.commit, found.dirty) == (commit, True)


def test_without_a_checkout_or_without_git_nothing_is_known_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (observed(tmp_path).commit, observed(tmp_path).dirty) == ("", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (observed(tmp_path).commit, observed(tmp_path).dirty) == ("", None)


def test_it_survives_json_and_unknown_fields(tmp_path):
    found = observed(tmp_path, "pytest", "--token=abc", "\udcff", grid=3)
    assert found.command == ("pytest", "--token=***", "\\udcff")
    assert found.seeds == {"grid": 3}
    assert found.python == sys.version.split()[0]
    data = json.loads(json.dumps(found.to_json()))
    assert Provenance.from_json({**data, "later": 1}) == found


def test_long_command_lines_are_cut(tmp_path):
    found = observed(tmp_path, *(["x" * 1000] * 9))
    assert found.command == (*["x" * 1000] * 3, "...")


def test_packages_go_by_the_names_by_which_they_are_imported():
    found = imported_packages()
    assert found["pytest"] == pytest.__version__
    assert "sys" not in found
    assert "test_provenance" not in found
    assert found["pluggy"] == metadata.version("pluggy")
    assert found["execnet"] == metadata.version("execnet")
    assert imported_packages(found) == {}


def test_an_observer_that_nobody_asks_leaves_no_process(tmp_path):
    observer = Observer(tmp_path, [])
    observer.start()
    process = observer._git
    observer.close()
    assert process is None or process.returncode is not None
