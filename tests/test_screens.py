"""Golden files of what the commands, `-v` and GitHub's job summary show.

`pytest --snapshot-update tests/test_screens.py` writes them anew. The summary's own are beside
test_summary.py.
"""

import re

import pytest
from example_studies import booth_stacked, cnn_random

from pytest_hypersearch.plugin.ci import job_summary
from pytest_hypersearch.results.cli import main

DURATION = re.compile(r"\b(\d\.\d\d|\d\d\.\d)s")
START = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")

COMMANDS = {
    "list": "list",
    "show": "show test_net",
    "group-by": "show test_net --group-by strategy,opt",
    "compare": "compare test_net@1 test_net",
}

TRIALS = """
@pytest.mark.sweep(grid={"learning_rate": [0.1, 0.01, 0.001]}, replicates=2, metric="loss",
                   raises=FloatingPointError)
def test_net(learning_rate, trial):
    if learning_rate == 0.1:
        raise FloatingPointError("diverged")
    if trial.replicate and learning_rate == 0.001:
        trial.prune("diverges")
    return learning_rate + trial.replicate

@pytest.mark.sweep(grid={"x": [1, 2, 3]}, metric="loss")
def test_other(x):
    assert x > 1
    return float("nan") if x == 2 else x
"""


def timeless(text):
    """A text whose times, which all take equal columns, are always the same."""
    return START.sub("2026-01-01 00:00", DURATION.sub("0.00s", text))


@pytest.fixture
def printed(swept, monkeypatch, capsys):
    """What a command prints on a terminal of some columns."""
    monkeypatch.chdir(swept)

    def printed(command, width=80):
        monkeypatch.setenv("COLUMNS", str(width))
        main(command.split())
        return timeless(capsys.readouterr().out.rstrip("\n"))

    return printed


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name, width, printed, snapshot):
    assert printed(COMMANDS[name], width) == snapshot


def test_chosen_columns(printed, snapshot):
    columns = "--columns number,params.lr,opt,score --sort score"
    assert printed(f"show test_net --filter score<0.53 {columns}") == snapshot


def test_strategies_compared(printed, snapshot):
    assert printed("compare test_net --by strategy") == snapshot
    filters = "--filters strategy=random strategy=grid"
    assert "use --by strategy" in " ".join(printed(f"compare test_net test_net {filters}").split())


@pytest.mark.parametrize("form", ["json", "pytest"])
def test_best(form, printed, snapshot):
    assert printed(f"best test_net --format {form}") == snapshot


@pytest.mark.parametrize("width", [60, 80, 120])
def test_verbose_lines(width, project, monkeypatch, snapshot):
    monkeypatch.setenv("COLUMNS", str(width))
    project.write(TRIALS)
    lines = project.run("-v", "--tb=no")[1].splitlines()
    assert "\n".join(line for line in lines if "%]" in line) == snapshot


def test_job_summary(snapshot):
    assert job_summary([booth_stacked(), cnn_random()]) == snapshot
