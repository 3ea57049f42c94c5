import os
import stat
import subprocess
import sys
import textwrap
import zlib
from itertools import chain, repeat

import pytest

from pytest_hypersearch.core.errors import StoreError
from pytest_hypersearch.store.journal import MAX_LINE, Journal, encode, read

END = {"k": "end", "sweep": "bayes", "number": 3, "state": "complete", "score": 0.1}


def numbered(*numbers):
    return [{"k": "end", "number": number} for number in numbers]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study" / "0001" / "journal.jsonl"


def written(path, *numbers):
    journal = Journal(path)
    journal.append_many(numbered(*numbers))
    journal.close()
    return path.read_bytes()


def test_a_line_is_compact_ascii_json_with_its_checksum_last():
    assert encode({"k": "end", "name": "é", "v": [1, None]}) == (
        b'{"k":"end","name":"\\u00e9","v":[1,null],"c":801014406}\n'
    )


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        2**70,
        0.1,
        1e308,
        5e-324,
        -0.0,
        True,
        None,
        "",
        "é\n\r\0\x1b",
        "\ud800",
        '"c":1}',
        "x" * 9999,
    ],
)
def test_a_value_comes_back_as_it_was(path, value):
    record = {"k": "end", "value": value, "in": {"a": [value]}, "c": "a field of this name too"}
    Journal(path).append(record)
    (found,) = read(path).records
    assert repr(found) == repr(record)


def test_what_no_journal_can_hold_is_refused_and_nothing_written(path):
    journal = Journal(path)
    for value, error in [
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        ({1, 2}, TypeError),
        ("x" * MAX_LINE, ValueError),
    ]:
        with pytest.raises(error):
            journal.append_many([END, {"k": "end", "value": value}])
    assert not path.exists()


def padded(size):
    """A record whose line has this many bytes."""
    records = ({"k": "end", "x": "x" * length} for length in range(size - 40, size))
    return next(record for record in records if len(encode(record)) == size)


def test_the_longest_line_is_read_and_a_longer_one_refused(path):
    Journal(path).append_many([padded(MAX_LINE), END])
    assert path.stat().st_size == MAX_LINE + len(encode(END))
    assert read(path).records == [padded(MAX_LINE), END]
    with pytest.raises(ValueError, match=f"at most {MAX_LINE}"):
        encode({"k": "end", "x": "x" * MAX_LINE})


def test_nothing_is_made_before_the_first_append(path):
    journal = Journal(path)
    journal.close()
    journal.append_many([])
    journal.close()
    assert read(path) == read(path.parent / "other")
    assert not read(path).records
    assert not path.exists()


def test_directories_and_file_are_private(path):
    old = os.umask(0)
    try:
        written(path, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in path.parents[:2]] == [0o700, 0o700]


def test_what_exists_keeps_its_mode(path):
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o755)
    written(path, 1)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_a_closed_journal_opens_again_and_continues(path):
    journal = Journal(path)
    for number in range(3):
        journal.append({"k": "end", "number": number})
        journal.close()
    assert read(path).records == numbered(0, 1, 2)


def test_a_torn_tail_is_sealed_by_the_next_append(path):
    whole = written(path, 1, 2)
    path.write_bytes(whole[:-9])
    Journal(path).append_many(numbered(3))
    contents = read(path)
    assert contents.records == numbered(1, 3)
    assert contents.damaged == 1
    assert path.read_bytes().startswith(whole[:-9] + b"\n")


def test_a_tail_torn_while_the_file_is_open_is_sealed(path):
    journal = Journal(path)
    journal.append_many(numbered(1, 2))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4)
    journal.append_many(numbered(3))
    assert read(path).records == numbered(1, 3)


def test_the_same_file_twice_with_other_line_ends_is_read(path):
    whole = written(path, 1)
    path.write_bytes(whole.replace(b"\n", b"\r\n") + b"\n\r\n" + whole)
    assert read(path).records == numbered(1, 1)
    assert read(path).damaged == 0


@pytest.mark.parametrize("how", ["file", "directory", "replaced", "moved"])
def test_a_lost_file_comes_back_with_all_of_its_records(path, how):
    written(path, 1)
    journal = Journal(path)
    journal.append_many(numbered(2))
    if how == "file":
        path.unlink()
    elif how == "replaced":
        (path.parent / "new").write_bytes(encode({"k": "note"}))
        (path.parent / "new").replace(path)
    else:
        path.parent.rename(path.parents[2] / "elsewhere")
        if how == "directory":
            for file in (path.parents[2] / "elsewhere").iterdir():
                file.unlink()
    journal.append_many(numbered(3))
    journal.append_many(numbered(4))
    found = [record for record in read(path).records if record["k"] != "note"]
    assert found == numbered(1, 2, 3, 4)
    assert read(path).damaged == 0


def test_a_file_deleted_after_the_last_append_comes_back_at_close(path):
    journal = Journal(path)
    journal.append_many(numbered(1, 2))
    path.unlink()
    journal.close()
    assert read(path).records == numbered(1, 2)


def test_a_torn_tail_stays_apart_when_the_file_comes_back(path):
    journal = Journal(path)
    journal.append_many(numbered(1, 2))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4)
    path.unlink()
    journal.append_many(numbered(3))
    assert read(path).records == numbered(1, 3)


def test_a_file_that_cannot_come_back_yet_does_later(path):
    journal = Journal(path)
    journal.append_many(numbered(1))
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("in the way")
    for action in (
        lambda: journal.append_many(numbered(2)),
        lambda: journal.append_many(numbered(2)),
    ):
        with pytest.raises(StoreError, match=r"cannot write .*journal.jsonl"):
            action()
    path.parent.unlink()
    journal.append_many(numbered(3))
    assert read(path).records == numbered(1, 3)


def test_close_says_that_a_lost_file_could_not_be_restored(path):
    journal = Journal(path)
    journal.append_many(numbered(1))
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="cannot restore"):
        journal.close()
    journal.close()


def test_the_place_of_a_lost_file_is_asked_for_anew(tmp_path):
    places = [tmp_path / "a" / "j"]
    journal = Journal(tmp_path / "unused", locate=lambda: places[-1])
    journal.append_many(numbered(1))
    journal.path.unlink()
    places.append(tmp_path / "b" / "j")
    journal.append_many(numbered(2))
    assert journal.path == tmp_path / "b" / "j"
    assert read(journal.path).records == numbered(1, 2)
    assert not (tmp_path / "a" / "j").exists()


@pytest.mark.parametrize("write", [Journal.append_many, Journal.begin])
def test_a_place_that_is_taken_before_the_file_is_open_is_left_to_who_took_it(tmp_path, write):
    taken, own = tmp_path / "a" / "j", tmp_path / "b" / "j"
    Journal(taken).append_many(numbered(7))
    places = chain([taken], repeat(own))
    journal = Journal(tmp_path / "unused", locate=lambda: next(places))
    write(journal, numbered(1))
    assert read(taken).records == numbered(7)
    assert read(own).records == numbered(1)


def link(path):
    (path.parent / "target").touch()
    path.symlink_to("target")


@pytest.mark.parametrize("plant", [link, os.mkfifo, os.mkdir], ids=["link", "fifo", "directory"])
def test_a_link_fifo_or_directory_in_its_place_is_refused(path, plant):
    path.parent.mkdir(parents=True)
    plant(path)
    with pytest.raises(StoreError, match=r"cannot write .*journal.jsonl"):
        Journal(path).append(END)
    with pytest.raises(StoreError, match=r"cannot read .*journal.jsonl"):
        read(path)
    assert path.is_dir() or path.stat().st_size == 0


def test_an_error_is_one_line_with_the_file_and_the_systems_words(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        Journal(tmp_path / "file" / "journal.jsonl").append(END)
    assert str(caught.value) == (f"cannot write {tmp_path}/file/journal.jsonl: Not a directory")


GARBAGE = {
    "text": b"hello",
    "empty object": b"{}",
    "no checksum": b'{"k":"end"}',
    "wrong checksum": b'{"k":"end","c":1}',
    "valid checksum of no JSON": b'{"k":,"c":3523407757}',
    "NULs": b"\0" * 500,
    "bad UTF-8": b'{"k":"\xff\xfe","c":1}',
    "control characters": b"\x1b[31m\x07\x85",
    "long line": b"x" * (MAX_LINE + 5),
    "very long line": b"[" * (4 * MAX_LINE),
    "line that is a record if cut": b"\0" * MAX_LINE + encode(END)[:-1],
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_garbage_is_skipped_and_counted_once(path, garbage, place):
    first, second = written(path, 1, 2).splitlines(keepends=True)
    pieces = [first, second]
    pieces.insert(["start", "middle", "end"].index(place), garbage + b"\n" * (place != "end"))
    path.write_bytes(b"".join(pieces))
    assert (read(path).records, read(path).damaged) == (numbered(1, 2), 1)
    Journal(path).append_many(numbered(3))
    assert (read(path).records, read(path).damaged) == (numbered(1, 2, 3), 1)


def sealed(body):
    """A line with a right checksum around any text."""
    return body[:-1] + b',"c":%d}\n' % zlib.crc32(body)


FORGED = {
    "not JSON": b'{"k":}',
    "no object": b'["k"]}',
    "no kind": b'{"a":1}',
    "nested": b'{"k":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NaN": b'{"k":"end","score":NaN}',
    "5,000 digits": b'{"k":"end","score":' + b"9" * 5000 + b"}",
    "not ASCII": '{"k":"é"}'.encode(),
    "unfinished": b'{"k":"end","a":[1}',
    "two records": b'{"k":"a"},{"k":"b"}',
}


@pytest.mark.parametrize("body", FORGED.values(), ids=FORGED)
def test_a_forged_line_is_skipped_whatever_its_checksum(path, body):
    whole = written(path, 1, 2)
    path.write_bytes(sealed(body) + whole)
    assert (read(path).records, read(path).damaged) == (numbered(1, 2), 1)


def test_many_records_with_damage_among_them_are_all_read(path):
    lines = written(path, *range(10_000)).splitlines(keepends=True)
    lines[5000] = sealed(b'{"k":}')
    lines[7000] = b"\n"
    path.write_bytes(b"".join(lines))
    contents = read(path)
    assert contents.damaged == 1
    assert contents.records == numbered(*(n for n in range(10_000) if n not in {5000, 7000}))


@pytest.mark.parametrize("format_", [2, 10**6, "2.0"])
@pytest.mark.parametrize("position", [0, 2])
def test_a_newer_file_is_reported_and_left_as_it_is(path, format_, position):
    records = numbered(1, 2)
    records.insert(position, {"k": "run", "format": format_, "unheard": [1]})
    before = b"".join(map(encode, records)) + b'{"torn'
    path.parent.mkdir(parents=True)
    path.write_bytes(before)
    assert read(path).newer
    with pytest.raises(StoreError, match=r"journal.jsonl was written by a newer"):
        Journal(path).append(END)
    assert path.read_bytes() == before


def test_unknown_kinds_and_fields_are_kept(path):
    records = [{"k": "run", "format": 1}, {"k": "unheard", "x": {"y": [1]}}, {**END, "new": 1}]
    Journal(path).append_many(records)
    assert read(path).records == records
    assert not read(path).newer


def test_importing_the_journal_loads_nothing_heavy():
    code = """
        import sys, pytest_hypersearch.store.journal
        print({"pytest", "filelock", "numpy", "scipy", "pandas"} & set(sys.modules))
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "set()\n"
