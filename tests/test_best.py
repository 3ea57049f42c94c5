"""The edition under ``best``: built aside, put in place at once, never half."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.store.best import Edition, publish, remove, tidy


@pytest.fixture
def saved(tmp_path):
    """Makes a trial's directory with two files, one of them further down."""

    def make(text, run="0001"):
        path = tmp_path / run / "artifacts" / f"grid-{text}"
        (path / "deep").mkdir(parents=True)
        (path / "model").write_text(text)
        (path / "deep" / "er").write_text(text)
        return path

    return make


def edition(*directories, **facts):
    return Edition(directories[0].parent.parent, facts, tuple(enumerate(directories)))


def published(study):
    best = study / "best"
    return sorted(str(path.relative_to(best)) for path in best.rglob("*") if path.is_file())


def test_replicates_have_directories_and_the_facts_are_beside_them(tmp_path, saved):
    assert publish(edition(saved("a"), saved("b"), params={"lr": 1}))
    files = ["params.json", *(f"{r}/{file}" for r in ("r0", "r1") for file in ("deep/er", "model"))]
    assert published(tmp_path) == files
    assert (tmp_path / "best/r1/model").read_text() == "b"
    assert json.loads((tmp_path / "best/params.json").read_text()) == {"params": {"lr": 1}}


def test_it_takes_no_space_beside_the_trials_and_survives_them(tmp_path, saved):
    trial = saved("a")
    publish(edition(trial))
    assert (trial / "model").samefile(tmp_path / "best/r0/model")
    shutil.rmtree(tmp_path / "0001")
    assert (tmp_path / "best/r0/deep/er").read_text() == "a"


def test_it_can_be_moved_with_its_study(tmp_path, saved):
    publish(edition(saved("a")))
    shutil.copytree(tmp_path, tmp_path.parent / "moved", symlinks=True)
    shutil.rmtree(tmp_path)
    assert (tmp_path.parent / "moved/best/r0/model").read_text() == "a"


def test_the_edition_before_stays_for_its_readers_until_the_next_or_the_end(tmp_path, saved):
    opened = []
    for text in "abc":
        publish(edition(saved(text)))
        opened.append((tmp_path / "best").resolve())
    assert [path.is_dir() for path in opened] == [False, True, True]
    assert (opened[1] / "r0/model").read_text() == "b"
    tidy(tmp_path)
    assert [path.is_dir() for path in opened] == [False, False, True]
    assert (tmp_path / "best/r0/model").read_text() == "c"


def test_the_best_of_a_newer_run_is_not_replaced(tmp_path, saved):
    publish(edition(saved("new", "0010")))
    assert not publish(edition(saved("old", "0009")))
    assert (tmp_path / "best/r0/model").read_text() == "new"
    shutil.rmtree(tmp_path / "0010")
    assert publish(edition(saved("older", "0008")))
    assert (tmp_path / "best/r0/model").read_text() == "older"


def test_links_are_kept_as_links(tmp_path, saved):
    trial = saved("a")
    (trial / "latest").symlink_to("model")
    (trial / "away").symlink_to("/nowhere")
    publish(edition(trial))
    assert (tmp_path / "best/r0/latest").read_text() == "a"
    assert (tmp_path / "best/r0/away").readlink() == Path("/nowhere")


def test_links_into_the_trial_by_absolute_paths_lead_into_the_edition(tmp_path, saved):
    trial = saved("a")
    other = tmp_path / "alias"
    other.symlink_to(trial)
    (trial / "deep" / "model").symlink_to(trial / "model")
    (trial / "deeper").symlink_to(other.resolve() / "deep")
    (trial / "neighbour").symlink_to(trial / ".." / "grid-b")
    publish(edition(trial))
    shutil.rmtree(tmp_path / "0001")
    best = tmp_path / "best/r0"
    assert (best / "deep/model").read_text() == "a"
    assert (best / "deeper/er").read_text() == "a"
    assert (best / "neighbour").readlink() == trial / ".." / "grid-b"


PUBLISHES = """
import sys
from pathlib import Path
from pytest_hypersearch.store.best import Edition, publish, remove
study = Path(sys.argv[1])
for text in "abcd":
    path = study / "0001" / "artifacts" / text
    (path / "shut").mkdir(parents=True)
    (path / "shut" / "model").write_text(text)
    (path / "shut").chmod(0o555)
    publish(Edition(study / "0001", {}, ((0, path),)))
    remove(path)
"""


def test_directories_that_are_read_only_keep_nothing_from_being_replaced(tmp_path):
    powers = "-dac_override,-dac_read_search"
    mortal = ("setpriv", f"--bounding-set={powers}") if os.getuid() == 0 else ()
    if mortal and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and without setpriv it stays root")
    subprocess.run([*mortal, sys.executable, "-c", PUBLISHES, tmp_path], check=True)
    assert (tmp_path / "best/r0/shut/model").read_text() == "d"
    assert not list((tmp_path / "0001/artifacts").iterdir())
    assert len([path for path in (tmp_path / ".best").iterdir() if path.is_dir()]) == 2


def test_removing_what_is_gone_is_no_error(saved):
    kept, gone = saved("a"), saved("b")
    remove(gone)
    remove(gone)
    assert [path.name for path in kept.parent.iterdir()] == ["grid-a"]


def test_of_a_directory_that_was_replaced_by_a_link_only_the_link_is_removed(tmp_path, saved):
    elsewhere, trials = saved("a"), [saved("b"), saved("c")]
    for trial in trials:
        shutil.rmtree(trial)
        trial.symlink_to(elsewhere)
        remove(trial)
    assert (elsewhere / "model").read_text() == "a"
    assert [path.name for path in elsewhere.parent.iterdir()] == ["grid-a"]


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError])
def test_what_cannot_be_built_leaves_what_is_there(tmp_path, saved, error):
    publish(edition(saved("a")))
    bad = edition(saved("b"), score=float("nan"))
    if error is FileNotFoundError:
        remove(bad.directories[0][1])
    with pytest.raises(error):
        publish(bad)
    assert (tmp_path / "best/r0/model").read_text() == "a"
    tidy(tmp_path)
    assert len([path for path in (tmp_path / ".best").iterdir() if path.is_dir()]) == 1


@pytest.mark.skipif(shutil.which("mount") is None, reason="needs mount")
def test_files_of_another_file_system_are_copied(tmp_path, saved):
    trial = saved("a")
    disk = trial / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=False).returncode:
        pytest.skip("may not mount here")
    try:
        (disk / "weights").write_text("w")
        publish(edition(trial))
    finally:
        subprocess.run(["umount", disk], check=True)
    assert (tmp_path / "best/r0/disk/weights").read_text() == "w"


def test_links_in_the_place_of_our_directories_are_refused(tmp_path, saved):
    trial = saved("a")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "precious").mkdir(parents=True)
    (tmp_path / ".best").symlink_to(elsewhere)
    for act in (lambda: publish(edition(trial)), lambda: tidy(tmp_path)):
        with pytest.raises(StoreError, match="is a symbolic link"):
            act()
    trial.parent.replace(tmp_path / "away")
    trial.parent.symlink_to(tmp_path / "away")
    with pytest.raises(StoreError, match="is a symbolic link"):
        remove(trial)
    assert (elsewhere / "precious").is_dir()
    assert (tmp_path / "away" / "grid-a" / "model").exists()
