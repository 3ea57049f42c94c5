"""A study is ranked once for all that is shown of it, and in one order wherever it is shown."""

import sys
from dataclasses import replace

import pytest
from example_studies import booth_grid, booth_stacked, cnn_random

from pytest_hypersearch.plugin.ci import job_summary
from pytest_hypersearch.results import results as faces
from pytest_hypersearch.results.cli import main
from pytest_hypersearch.results.report.payload import payload
from pytest_hypersearch.results.results import Results
from pytest_hypersearch.results.study_history import Reported
from pytest_hypersearch.results.terminal.summary import section
from pytest_hypersearch.stats import ranking
from pytest_hypersearch.stats.ranking import rank_study
from pytest_hypersearch.store.find import Loaded

STUDIES = [booth_grid(), booth_stacked(), cnn_random()]


@pytest.fixture
def ranks(monkeypatch):
    """The sweeps of each call of the function that ranks."""
    calls, plain = [], ranking.rank

    def counted(trials, sweeps):
        calls.append([sweep.name for sweep in sweeps])
        return plain(trials, sweeps)

    for module in [*sys.modules.values()]:
        if module.__name__.startswith("pytest_hypersearch") and vars(module).get("rank") is plain:
            monkeypatch.setattr(module, "rank", counted)
    return calls


def several_objectives():
    study = booth_stacked()
    return replace(study, sweeps=(*study.sweeps[:2], replace(study.sweeps[2], mode="max")))


@pytest.mark.parametrize("verbosity", [-1, 0, 2])
@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.nodeid)
def test_a_summary_ranks_a_study_once(ranks, study, verbosity):
    assert section([rank_study(study)], width=120, verbosity=verbosity, ascii_only=False)
    assert ranks == [[sweep.name for sweep in study.sweeps]]


def test_each_objective_is_ranked_once(ranks):
    assert section([rank_study(several_objectives())], width=80, verbosity=1, ascii_only=False)
    assert ranks == [["grid", "random"], ["bayes"]]


def test_a_page_ranks_a_study_once(ranks):
    assert payload([Reported(booth_stacked(), {})], link=str)["studies"]
    # the comparison of strategies ranks each by itself, within a budget
    assert [sweeps for sweeps in ranks if len(sweeps) > 1] == [["grid", "random", "bayes"]]


def test_a_summary_for_github_ranks_each_study_once(ranks):
    assert job_summary([booth_stacked(), cnn_random()])
    assert ranks == [["grid", "random", "bayes"], ["random"]]


@pytest.mark.parametrize("options", [[], ["-v"], ["--format", "json"]])
def test_show_ranks_a_study_at_most_once(ranks, monkeypatch, capsys, options):
    study = booth_stacked()
    loaded = Results([Loaded(study, ())])
    monkeypatch.setattr(faces, "load", lambda *_: (loaded._loaded, []))
    assert main(["show", "test_booth", *options]) == 0
    assert capsys.readouterr().out
    assert ranks == ([] if "json" in options else [["grid", "random", "bayes"]])


def test_results_rank_once_for_all_that_is_asked(ranks):
    results = Results([Loaded(booth_stacked(), ())])
    assert results.best(3)[0] == results.pareto()[0]
    assert repr(results)
    assert len(ranks) == 1
