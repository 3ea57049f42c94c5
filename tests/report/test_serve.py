"""Who gets an answer from the server of the report, without a browser."""

import gzip
import json
import shutil
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from report_parts import a_study, serving

from pytest_hypersearch import load_results
from pytest_hypersearch.results.report import serve
from pytest_hypersearch.results.report.serve import server, stamp_of


@pytest.fixture
def url():
    with serving(server(lambda: [a_study(trials=3)], lambda: "unchanged")) as address:
        yield urlsplit(address)


def ask(url, path, *, method="GET", body=None, **headers):
    connection = HTTPConnection(url.hostname, url.port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, headers=named)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_only_those_who_know_the_address_get_an_answer(url):
    assert url.hostname == "127.0.0.1"
    assert ask(url, url.path).status == 200
    assert ask(url, "/").status == 404
    assert ask(url, "/guess/data.json").status == 404
    assert ask(url, url.path, Host="elsewhere.example").status == 404


def test_data_that_has_not_changed_is_not_sent_again(url):
    first = ask(url, f"{url.path}data.json")
    assert (first.status, first.headers["Content-Encoding"]) == (200, "gzip")
    assert ask(url, f"{url.path}data.json", If_None_Match=first.headers["ETag"]).status == 304


def strangers(url, count):
    return [socket.create_connection((url.hostname, url.port), timeout=60) for _ in range(count)]


def test_connections_that_say_nothing_are_bounded_and_the_newest_stay(url):
    before = threading.active_count()
    idle = strangers(url, 200)
    try:
        assert ask(url, url.path).status == 200
        oldest = idle[: -serve.MOST_STRANGERS]
        assert all(one.recv(1) == b"" for one in oldest)
        wait(lambda: threading.active_count() <= before + serve.MOST_STRANGERS)
    finally:
        for one in idle:
            one.close()
    assert ask(url, url.path).status == 200


def is_dropped(connection):
    with suppress(ConnectionResetError):  # what it sent was not read
        return connection.recv(1) == b""
    return True


def drip(connection):
    """Say a bit again and again, but never ask."""
    while connection.send(b"G"):
        time.sleep(0.01)


def test_connections_that_do_not_ask_in_time_are_dropped(url, monkeypatch):
    monkeypatch.setattr(serve, "SECONDS_TO_ASK", 0.1)
    silent, slow, patient = strangers(url, 3)
    with silent, slow, patient:
        patient.sendall(f"GET {url.path}data.json HTTP/1.0\r\n".encode())
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            drip(slow)
        assert is_dropped(silent)
        assert is_dropped(patient)


def test_a_slow_answer_to_who_knows_the_address_is_not_cut_off(monkeypatch):
    asked, dropped = threading.Event(), threading.Event()

    def load():
        asked.set()
        assert dropped.wait(60)
        return [a_study(trials=3)]

    listening = serve.server(load, lambda: "unchanged")
    with serving(listening) as address:
        url = urlsplit(address)
        (known,) = strangers(url, 1)
        with known:
            known.sendall(
                f"GET {url.path}data.json HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n".encode()
            )
            assert asked.wait(60)
            monkeypatch.setattr(serve, "SECONDS_TO_ASK", 0)
            listening._strangers.update(dict.fromkeys(listening._strangers, 0))
            for stranger in strangers(url, 2):
                with stranger:
                    assert stranger.recv(1) == b""
            dropped.set()
            assert known.recv(12) == b"HTTP/1.0 200"


def wait(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_only_the_page_itself_writes_tags_and_notes(swept, tmp_path):
    shutil.copytree(swept, tmp_path / "project")

    def load():
        return load_results(tmp_path / "project").filter(test="test_net").reported()

    with serving(server(load, lambda: "")) as address:
        url, (shown,) = urlsplit(address), load()
        one = shown.study.trials[0]
        name = f"{one.sweep}-{one.number}-r{one.replicate}"
        given = {"nodeid": shown.study.nodeid, "run": shown.study.run, "trials": [name]}
        given |= {"add": ["good"], "remove": [], "note": "token=abcdef"}

        def post(path=f"{url.path}annotations", *, origin=f"http://{url.netloc}", **changes):
            body = json.dumps(given | changes)
            return ask(url, path, method="POST", body=body, Origin=origin).status

        assert post("/guess/annotations") == 404
        assert post(origin="http://elsewhere.example") == 404
        assert post(f"{url.path}data.json") == 404
        assert not list(tmp_path.rglob("notes.*"))
        assert post(note="x" * 300_000) == 413
        assert post(trials=["nope-0"]) == post(add="good") == post(run="other") == 400
        assert post(add=["a,b"]) == 400
        assert post() == 204
        (tagged,) = (one for one in load()[0].study.trials if one.tags)
        assert (tagged.key, tagged.tags, tagged.note) == (one.key, ("good",), "token=***")
        assert post(trials=["run"], note=None) == 204
        assert (load()[0].study.tags, load()[0].study.note) == (("good",), "")


@pytest.fixture
def saved(tmp_path):
    """A served report whose first trial saved files."""
    folder = tmp_path / "artifacts" / "random-0-r0"
    folder.mkdir(parents=True)
    (tmp_path / "journal.jsonl").write_text("not for readers")
    (folder / "model 1.bin").write_bytes(b"\0" * 99)
    (folder / "page.html").write_text("<script>ran = 1</script>")
    (folder / "link.txt").symlink_to(tmp_path / "journal.jsonl")
    study = a_study(trials=3)._replace(runs=[tmp_path])
    with serving(server(lambda: [study], lambda: "unchanged")) as address:
        url = urlsplit(address)
        connection = HTTPConnection(url.hostname, url.port, timeout=20)
        connection.request("GET", f"{url.path}data.json")
        data = json.loads(gzip.decompress(connection.getresponse().read()))
        connection.close()
        found = data["studies"][0]["trials"]
        yield url, found["artifacts"][found["nodeid"].index("test_it.py::test_net[random-000-r0]")]


def test_artifacts_are_sent_but_not_run(saved):
    url, artifacts = saved
    assert artifacts["files"] == ["model%201.bin", "page.html"]
    model = ask(url, f"{url.path}{artifacts['at']}/model%201.bin")
    assert (model.status, model.headers["Content-Length"]) == (200, "99")
    assert model.headers["Content-Disposition"] == "attachment"
    page = ask(url, f"{url.path}{artifacts['at']}/page.html")
    assert page.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert page.headers["Content-Security-Policy"] == "sandbox"


@pytest.mark.parametrize(
    "path",
    [
        "../../journal.jsonl",
        "%2e%2e/%2e%2e/journal.jsonl",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "link.txt",
        "%00",
        "x" * 5000,
        "",
    ],
)
def test_no_other_file_is_sent(saved, path):
    url, artifacts = saved
    assert ask(url, f"{url.path}{artifacts['at']}/{path}").status == 404
    assert ask(url, f"{url.path}files/{path}").status == 404
    assert ask(url, f"/guess/{artifacts['at']}/page.html").status == 404


def test_the_stamp_changes_with_a_journal(tmp_path):
    run = tmp_path / "study" / "0001"
    run.mkdir(parents=True)
    before = stamp_of([tmp_path])
    (run / "journal.jsonl").write_text("{}\n")
    assert stamp_of([tmp_path]) != before
