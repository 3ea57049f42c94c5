import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.store import journal
from pytest_hypersearch.store.journal import encode, read
from pytest_hypersearch.store.reader import read_stored
from pytest_hypersearch.store.runs import RunInUse, Store, artifact_name

NODEID = "tests/test_mlp.py::test_mlp[cifar]"


def numbered(*numbers):
    return [{"k": "end", "number": number} for number in numbers]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "hypersearch")


@pytest.fixture
def run(store):
    run = store.new_run(NODEID)
    yield run
    run.close()


HEAD = {"k": "run", "format": 1, "nodeid": NODEID}


def finished(store, *numbers, head=()):
    run = store.new_run(NODEID)
    run.journal.append_many([*head, *numbered(*numbers)])
    run.close()
    return run


def names(path):
    return sorted(child.name for child in path.iterdir())


def runs(store):
    return names(store.study_dir(NODEID))


def test_a_studys_directory_has_a_hash_and_a_readable_part(store):
    assert store.study_dir(NODEID) == store.root / "ca1d45cf2a990523-test_mlp-cifar"


@pytest.mark.parametrize(
    "nodeid",
    [
        "../../etc",
        "a\0b",
        "CON",
        "aux.txt",
        "x" * 300,
        "\ud800",
        "é" * 99,
        "a/b::../..[/]",
        "::",
        "",
    ],
)
def test_no_node_id_leaves_the_root(store, nodeid):
    path = store.study_dir(nodeid)
    assert path.parent == store.root
    assert path.name.isascii()
    assert len(path.name) <= 57
    run = store.new_run(nodeid)
    run.close()
    assert run.path == path / "0001"


def test_twins_in_letter_case_get_two_directories(store):
    names = {store.study_dir(nodeid).name.lower() for nodeid in ("t.py::a", "t.py::A", "T.py::a")}
    assert len(names) == 3


def test_runs_are_numbered_from_one_and_private(store, run):
    assert run.path.name == "0001"
    assert finished(store).path.name == "0002"
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((run.path / "run.lock").stat().st_mode) == 0o600


def test_a_number_is_never_given_twice(store):
    (store.study_dir(NODEID) / "9999").mkdir(parents=True)
    (store.study_dir(NODEID) / "notes").mkdir()
    assert finished(store).path.name == "10000"
    assert finished(store).path.name == "10001"


def test_nothing_is_made_by_looking(store):
    assert not store.runs(NODEID)
    store.prune(NODEID, 1)
    assert not store.root.exists()


def test_the_newest_run_is_the_last_with_a_journal(store):
    finished(store, 1)
    finished(store, 2)
    finished(store)
    run = store.runs(NODEID)[-1]
    assert run.path.name == "0002"
    assert read(run.journal.path).records == numbered(2)


def test_a_run_is_continued_where_it_ended(store):
    finished(store, 1)
    run = store.runs(NODEID)[-1]
    run.acquire()
    run.journal.append_many(numbered(2))
    run.close()
    assert read(store.runs(NODEID)[-1].journal.path).records == numbered(1, 2)


def test_curves_are_made_when_they_are_needed(run):
    run.journal.append_many(numbered(1))
    assert names(run.path) == ["journal.jsonl", "run.lock"]
    run.curves.append({"k": "step", "step": 0})
    assert read(run.path / "curves.jsonl").records == [{"k": "step", "step": 0}]


def test_each_attempt_has_a_directory_of_its_own_name():
    assert artifact_name("bayes", 17, 2, 1) == "bayes-17-r2"
    assert artifact_name("bayes", 17, 2, 3) == "bayes-17-r2-a3"


@pytest.mark.parametrize("sweep", ["../../x", "", "a/b", "a b", "x" * 300, "é", "\ud800"])
def test_no_sweeps_name_leaves_the_artifacts(tmp_path, sweep):
    name = artifact_name(sweep, 0, 0, 1)
    assert (tmp_path / name).parent == tmp_path
    assert name != artifact_name(sweep.replace("/", "-"), 0, 0, 1) or "/" not in sweep
    (tmp_path / name).mkdir()


def test_a_live_run_is_refused_by_name(store, run):
    run.journal.append_many(numbered(1))
    other = store.runs(NODEID)[-1]
    with pytest.raises(RunInUse, match=f"^{run.path} is in use by another pytest session$"):
        other.acquire()
    with pytest.raises(RunInUse):
        other.journal.append_many(numbered(2))
    assert read(other.journal.path).records == numbered(1)
    run.close()
    other.acquire()
    other.close()


def test_a_closed_run_owns_nothing_and_can_go_on(run):
    run.journal.append_many(numbered(1))
    run.close()
    run.close()
    run.journal.append_many(numbered(2))
    assert read(run.journal.path).records == numbered(1, 2)


def test_a_newer_run_is_refused(store):
    run = store.new_run(NODEID)
    (run.path / "journal.jsonl").write_bytes(encode({"k": "run", "format": 2}))
    run.close()
    with pytest.raises(StoreError, match=r"journal\.jsonl was written by a newer"):
        read_stored(store.runs(NODEID)[-1])


@pytest.mark.parametrize("what", ["run", "study", "root"])
def test_a_deleted_directory_comes_back_with_its_records_and_lock(store, run, what):
    run.journal.append_many(numbered(1))
    run.curves.append_many(numbered(10))
    shutil.rmtree({"run": run.path, "study": run.path.parent, "root": store.root}[what])
    run.curves.append_many(numbered(11))
    run.journal.append_many(numbered(2))
    assert run.path.name == "0001"
    assert read(run.journal.path).records == numbered(1, 2)
    assert read(run.path / "curves.jsonl").records == numbered(10, 11)
    with pytest.raises(RunInUse):
        store.runs(NODEID)[-1].acquire()


def test_a_journal_deleted_alone_comes_back_in_its_run(store, run):
    run.journal.append_many(numbered(1))
    (run.path / "journal.jsonl").unlink()
    run.journal.append_many(numbered(2))
    assert runs(store) == ["0001"]
    assert read(run.journal.path).records == numbered(1, 2)


def test_a_deleted_run_gives_way_to_another_session_in_its_place(store, run):
    run.journal.append_many(numbered(1))
    run.curves.append_many(numbered(10))
    shutil.rmtree(store.root)
    other = store.new_run(NODEID)
    other.journal.append_many(numbered(100))
    run.curves.append_many(numbered(11))
    run.journal.append_many(numbered(2))
    other.close()
    run.close()
    assert (other.path.name, run.path.name) == ("0001", "0002")
    assert read(other.journal.path).records == numbered(100)
    assert read(run.journal.path).records == numbered(1, 2)
    assert read(run.path / "curves.jsonl").records == numbered(10, 11)


def test_a_deleted_run_keeps_off_a_finished_run_in_its_place(store, run):
    run.journal.append_many(numbered(1))
    shutil.rmtree(store.root)
    other = finished(store, 100)
    run.journal.append_many(numbered(2))
    assert read(other.journal.path).records == numbered(100)
    assert read(store.study_dir(NODEID) / "0002" / "journal.jsonl").records == numbered(1, 2)


def test_a_run_deleted_after_its_last_record_comes_back_at_the_end(store, run):
    run.journal.append_many(numbered(1))
    shutil.rmtree(store.root)
    run.close()
    assert read(store.runs(NODEID)[-1].journal.path).records == numbered(1)


def test_pruning_keeps_the_newest_runs(store):
    for number in range(5):
        finished(store, number, head=[HEAD])
    store.prune(NODEID, 2)
    assert runs(store) == ["0004", "0005"]
    store.prune(NODEID, 0)
    assert runs(store) == ["0005"]
    assert finished(store, head=[HEAD]).path.name == "0006"


def test_pruning_spares_a_live_run(store, run):
    run.journal.append(HEAD)
    for number in range(3):
        finished(store, number, head=[HEAD])
    store.prune(NODEID, 1)
    assert runs(store) == ["0001", "0004"]
    run.close()
    store.prune(NODEID, 1)
    assert runs(store) == ["0004"]


def test_pruning_removes_only_what_begins_as_a_run_does(store):
    for head in ([HEAD], [], [{"k": "end"}], [HEAD | {"nodeid": 3}], [HEAD], [HEAD]):
        finished(store, 1, head=head)
    (store.study_dir(NODEID) / "2023").mkdir()
    (store.study_dir(NODEID) / "2023" / "thesis.txt").touch()
    store.prune(NODEID, 1)
    assert runs(store) == ["0002", "0003", "0004", "0006", "2023"]


def test_links_are_removed_and_never_followed(store, tmp_path):
    precious = tmp_path / "precious"
    (precious / "artifacts").mkdir(parents=True)
    (precious / "artifacts" / "file").touch()
    old = finished(store, 1, head=[HEAD])
    (old.path / "link").symlink_to(precious)
    (old.path / "artifacts").symlink_to(precious / "artifacts")
    (store.study_dir(NODEID) / "0002").symlink_to(precious)
    finished(store, 3, head=[HEAD])
    finished(store, 4, head=[HEAD])
    store.prune(NODEID, 1)
    assert (precious / "artifacts" / "file").exists()
    assert runs(store) == ["0002", "0004"]


def test_a_run_that_was_moved_and_linked_is_still_a_run(store, tmp_path):
    run = store.new_run(NODEID)
    run.journal.append_many([HEAD, *numbered(1)])
    moved = run.path.rename(tmp_path / "large-disk")
    run.path.symlink_to(moved)
    run.journal.append_many(numbered(2))
    run.close()
    again = store.runs(NODEID)[-1]
    again.acquire()
    again.journal.append_many(numbered(3))
    again.close()
    assert read(moved / "journal.jsonl").records == [HEAD, *numbered(1, 2, 3)]
    finished(store, 4, head=[HEAD])
    store.prune(NODEID, 1)
    assert runs(store) == ["0002"]
    assert names(moved) == ["journal.jsonl", "run.lock"]


def test_a_link_to_a_run_of_another_study_is_none(store, tmp_path):
    other = Store(tmp_path / "elsewhere").new_run("t.py::other")
    other.journal.append(HEAD | {"nodeid": "t.py::other"})
    other.close()
    store.study_dir(NODEID).mkdir(parents=True)
    (store.study_dir(NODEID) / "0001").symlink_to(other.path)
    assert not store.runs(NODEID)


def test_a_run_whose_place_is_taken_while_it_is_locked_goes_elsewhere(store, monkeypatch):
    run = store.new_run(NODEID)
    run.journal.append(HEAD)
    shutil.rmtree(run.path)
    acquire, strangers = FileLock.acquire, []

    def acquire_what_is_taken(lock, *arguments, **options):
        held = acquire(lock, *arguments, **options)
        monkeypatch.undo()
        shutil.rmtree(run.path)
        strangers.append(store.new_run(NODEID))
        strangers[0].journal.append({"k": "note"})
        return held

    monkeypatch.setattr(FileLock, "acquire", acquire_what_is_taken)
    run.journal.append({"k": "end"})
    assert read(strangers[0].journal.path).records == [{"k": "note"}]
    assert read(run.journal.path).records == [HEAD, {"k": "end"}]
    assert run.path != strangers[0].path


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_run_whose_place_is_taken_while_it_begins_goes_elsewhere(store, monkeypatch, late):
    run, replace, strangers = store.new_run(NODEID), Path.replace, []

    def replace_what_is_taken(draft, path):
        monkeypatch.undo()
        if late:
            replace(draft, path)
        shutil.rmtree(run.path)
        strangers.append(store.new_run(NODEID))
        strangers[0].journal.begin([{"k": "note"}])
        return path if late else replace(draft, path)

    monkeypatch.setattr(Path, "replace", replace_what_is_taken)
    run.journal.begin([HEAD, {"k": "session"}])
    run.journal.append({"k": "end"})
    assert read(strangers[0].journal.path).records == [{"k": "note"}]
    assert read(run.journal.path).records == [HEAD, {"k": "session"}, {"k": "end"}]
    assert run.path != strangers[0].path


def test_a_draft_in_a_run_that_another_session_took_is_removed(store, monkeypatch):
    run, make_dirs, strangers = store.new_run(NODEID), journal.make_dirs, []

    def make_what_is_taken(path):
        monkeypatch.undo()
        shutil.rmtree(run.path)
        strangers.append(store.new_run(NODEID))
        make_dirs(path)

    monkeypatch.setattr(journal, "make_dirs", make_what_is_taken)
    run.journal.begin([HEAD])
    assert read(run.journal.path).records == [HEAD]
    assert run.path != strangers[0].path
    assert not [*strangers[0].path.glob("*.new")]


@pytest.mark.parametrize("name", ["run.lock", "journal.jsonl"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(store, name):
    run = finished(store, 1, head=[HEAD])
    (run.path / name).unlink()
    os.mkfifo(run.path / name)
    assert not run.in_use()
    if name == "run.lock":
        with pytest.raises(StoreError, match=r"cannot lock .*run\.lock is not a regular file"):
            run.acquire()
    else:
        assert not store.runs(NODEID)


def test_a_link_in_the_place_of_a_run_or_study_is_refused(store, tmp_path):
    elsewhere = finished(Store(tmp_path / "elsewhere"), 1).path
    store.root.mkdir()
    store.study_dir(NODEID).symlink_to(elsewhere.parent)
    with pytest.raises(StoreError, match="is a symbolic link"):
        store.new_run(NODEID)
    with pytest.raises(StoreError, match="is a symbolic link"):
        store.runs(NODEID)[-1].acquire()
    store.prune(NODEID, 1)
    assert names(elsewhere.parent) == ["0001"]

    store.study_dir(NODEID).unlink()
    run = finished(store, 1)
    resumed = store.runs(NODEID)[-1]
    shutil.rmtree(run.path)
    run.path.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is a symbolic link"):
        resumed.acquire()


def test_a_link_in_the_place_of_the_lock_is_refused(store, tmp_path):
    (tmp_path / "target").write_text("precious")
    run = finished(store, 1)
    (run.path / "run.lock").unlink()
    (run.path / "run.lock").symlink_to(tmp_path / "target")
    with pytest.raises(StoreError, match="cannot lock"):
        run.acquire()
    assert (tmp_path / "target").read_text() == "precious"


def test_a_root_that_cannot_be_made_is_reported_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"^cannot make a run in .*: Not a directory$"):
        Store(tmp_path / "file" / "hypersearch").new_run(NODEID)


UNWRITABLE = """
import os, sys
import filelock
from pathlib import Path
from pytest_hypersearch.store.journal import StoreError, read
from pytest_hypersearch.store.runs import Store
if os.getuid() == 0:
    os.setuid(65534)
store = Store(Path(sys.argv[1]))
for action in (lambda: store.new_run("t.py::new"), lambda: store.runs("t.py::old")[-1].acquire()):
    try:
        action()
    except StoreError as error:
        print(error)
store.prune("t.py::old", 1)
print(len(read(store.runs("t.py::old")[-1].journal.path).records))
"""


@pytest.fixture
def read_only():
    """A store with two runs that nobody but root may write."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store = Store(Path(folder) / "hypersearch")
        paths = [finished(store, number).path for number in range(2)]
        tree = [store.root, *store.root.rglob("*")]
        for path in tree:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield store, paths[-1]
        for path in tree:
            path.chmod(0o755)


def test_an_unwritable_root_is_reported_at_once_and_can_be_read(read_only):
    store, newest = read_only
    code = UNWRITABLE.replace("t.py::old", NODEID)
    answer = subprocess.run(
        [sys.executable, "-c", code, store.root], capture_output=True, text=True, check=True
    )
    new, old, records = answer.stdout.splitlines()
    assert new == f"cannot make a run in {store.study_dir('t.py::new')}: Permission denied"
    assert old == f"cannot lock {newest}: Permission denied"
    assert records == "1"
    assert runs(store) == ["0001", "0002"]


def test_importing_the_store_loads_nothing_heavy():
    code = (
        "import sys, pytest_hypersearch.store.runs; "
        "print({'pytest', 'filelock'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "set()\n"
