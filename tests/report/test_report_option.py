"""``--sweep-report``, and the same page from what is stored."""

import gzip
import json
import re
import signal
import subprocess
import sys
from base64 import b64decode
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import main

SWEEP = """
    import pytest

    @pytest.mark.sweep(grid={"x": [1, 2, 3]}, metric="loss", mode="min")
    def test_it(x, trial):
        trial.report(9.0 * x, step=0)
        (trial.path / "model.txt").write_text("weights")
        assert x < 3
        return x / 2
"""


def data_in(file):
    """What a page shows."""
    packed = re.search(r'id="data">([^<]*)<', file.read_text(encoding="utf-8"))[1]
    return json.loads(gzip.decompress(b64decode(packed)))


@pytest.fixture
def run(pytester):
    pytester.makepyfile(test_it=SWEEP)
    return pytester.runpytest_inprocess


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["plain", "xdist"])
def test_the_page_is_written_at_the_end_and_linked(pytester, run, workers):
    result = run("--sweep", "--sweep-report=out/report.html", *workers)
    result.assert_outcomes(passed=2, failed=1)
    file = pytester.path / "out" / "report.html"
    result.stdout.fnmatch_lines([f"report: {file.as_uri()}"])
    (study,) = data_in(file)["studies"]
    assert sorted(study["trials"]["state"]) == ["complete", "complete", "failed"]
    assert sorted(study["metrics"][0]["values"]) == [0.5, 1.0, 27.0]
    curves = sorted(curve["series"]["loss"][:2] for curve in study["curves"])
    assert curves == [[[0], [9.0]], [[0], [18.0]], [[0], [27.0]]]
    kept = next(filter(None, study["trials"]["artifacts"]))
    assert (file.parent / kept["at"] / kept["files"][0]).read_text() == "weights"
    assert "assert 3 < 3" in max(study["trials"]["error"])
    assert str(pytester.path) not in json.dumps(study["run"])


def test_stored_results_become_the_same_page(pytester, run):
    run("--sweep", "--sweep-report=session.html")
    load_results(pytester.path).to_html(pytester.path / "stored.html")
    (session,), (stored,) = (
        data_in(pytester.path / name)["studies"] for name in ("session.html", "stored.html")
    )
    assert stored["metrics"] == session["metrics"]
    assert stored["curves"] == session["curves"]
    assert len(load_results(pytester.path).plot.history().data) == 2


def test_the_command_writes_the_page(pytester, run, capsys):
    run("--sweep")
    assert main(["report", str(pytester.path), "--file", "page.html", "--filter", "x<3"]) == 0
    assert (pytester.path / "page.html").as_uri() in capsys.readouterr().out
    assert data_in(pytester.path / "page.html")["studies"][0]["trials"]["number"] == [0, 1]


@contextmanager
def served(folder):
    """The address of the report that the command serves."""
    command = [sys.executable, "-m", "pytest_hypersearch", "report", "--serve"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().split()[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def read(address):
    with urlopen(address, timeout=60) as answer:  # noqa: S310  an address of ours
        return answer.read()


def test_the_command_serves_the_page_before_and_after_the_first_trial(pytester, run):
    with served(pytester.path) as address:
        assert 'data-live="data.json"' in read(address).decode()
        assert json.loads(gzip.decompress(read(f"{address}data.json")))["studies"] == []
        run("--sweep")
        (study,) = json.loads(gzip.decompress(read(f"{address}data.json")))["studies"]
        assert len(study["trials"]["state"]) == 3


def test_nothing_is_written_without_sweeps(pytester, run):
    run("--sweep-report=report.html")
    assert not (pytester.path / "report.html").exists()


def test_a_path_that_is_no_file_is_refused(pytester, run):
    pytester.mkdir("out")
    result = run("--sweep", "--sweep-report=out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--sweep-report=out: expected the path of a file*"])


def test_a_missing_plotly_is_named_with_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    result = run("--sweep", "--sweep-report=report.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pip install 'pytest-hypersearch?report?'*"])


def test_a_path_that_cannot_be_written_costs_the_page_only(pytester, run):
    pytester.makefile("", taken="a file")
    result = run("--sweep", "--sweep-report=taken/report.html")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["report not written: *"])
