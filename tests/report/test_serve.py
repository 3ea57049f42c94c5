"""Who gets an answer from the server of the report, without a browser."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from report_parts import a_study, serving

from pytest_hypersearch.report.serve import server, stamp_of


@pytest.fixture
def url():
    with serving(server(lambda: [a_study(trials=3)], lambda: "unchanged")) as address:
        yield urlsplit(address)


def ask(url, path, **headers):
    connection = HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request(
        "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
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


def test_the_stamp_changes_with_a_journal(tmp_path):
    run = tmp_path / "study" / "0001"
    run.mkdir(parents=True)
    before = stamp_of([tmp_path])
    (run / "journal.jsonl").write_text("{}\n")
    assert stamp_of([tmp_path]) != before
