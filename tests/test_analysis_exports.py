"""Files for other programs: what they read is what was recorded, and harmless."""

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from math import inf, isnan, nan

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from pytest_hypersearch import Results, randint, uniform
from pytest_hypersearch.core.codec import read_fields
from pytest_hypersearch.core.goals import Constraint
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.store.find import Loaded

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def changed(results, *changes):
    """The first trials of a test, with other values."""
    (study,) = results.studies
    trials = tuple(
        replace(trial, **given) for trial, given in zip(study.trials, changes, strict=False)
    )
    return Results([Loaded(replace(study, trials=trials), ())])


def optuna_study(path, name):
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))


def test_rows_keep_parameters_and_metrics_apart(net):
    row = net.successful.table()[0]
    assert row["metrics.lr"] == 2 * row["params.lr"]
    assert row["score"] == row["metrics.loss"]
    assert row["logged.note"] == "kept"
    assert (row["test"], row["strategy"], row["status"]) == (
        "test_it.py::test_net",
        "grid",
        "complete",
    )


def test_a_data_frame_has_types(results):
    frame = results.table(as_dataframe=True)
    assert len(frame) == len(results)
    kinds = {name: str(frame[name].dtype) for name in frame}
    assert kinds["params.lr"] == kinds["score"] == "float64"
    assert kinds["params.size"] == kinds["number"] == "Int64"
    assert kinds["params.opt"] == "string"
    assert kinds["cached"] == "boolean"
    assert kinds["status"] == "category"
    assert kinds["started"].startswith("datetime64[")
    assert kinds["started"].endswith("UTC]")
    assert frame["params.opt"].isna().sum() == len(results) - 48


def test_a_column_of_mixed_or_huge_values_keeps_them(net, tmp_path):
    found = changed(net, {"params": {"x": 1}}, {"params": {"x": "1"}}, {"params": {"y": 2**70}})
    frame = found.table(as_dataframe=True)
    assert frame["params.x"].tolist()[:2] == [1, "1"]
    assert frame["params.y"].tolist()[2] == 2**70
    found.to_parquet(tmp_path / "out.parquet")
    assert pd.read_parquet(tmp_path / "out.parquet")["params.x"].tolist()[:2] == ["1", '"1"']


def test_an_empty_table_is_one(net):
    assert net[:0].table() == []
    assert len(net[:0].table(as_dataframe=True)) == 0


LATEX = r"a_b & 100% #1 $x$ ~^ {\input|y}"
PAGE = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
%s
\end{document}
"""


def test_tables_for_documents_hold_anything(net, tmp_path):
    row = {"params": {"name": LATEX}, "metrics": {"loss": -0.25}}
    other = {"params": {"name": "<b>5</b> ± 1"}, "metrics": {"loss": 2.0}}
    table = changed(net.filter(strategy="random"), row, row, row, other).pivot("params__name")  # noqa: PD010
    assert "<td>a_b &amp; 100% #1 $x$ ~^ {\\input|y}" in table.to_html()
    assert "&lt;b&gt;5&lt;/b&gt; ± 1" in table._repr_html_()
    assert "<strong>−0.25" in table.to_html()  # noqa: RUF001  a minus
    assert r"| a\_b \& 100% #1 \$x\$ \~^ {\\input\|y} |" in table.to_github()
    latex = table.to_latex()
    lines = latex.splitlines()
    assert lines[0] == r"\begin{tabular}{lr}"
    assert all(len(re.findall(r"(?<!\\)&", line)) == 1 for line in (lines[2], *lines[4:6]))
    commands = {"ensuremath", "pm", "textbackslash", "textbar", "textbf", "textasciitilde"}
    assert set(re.findall(r"\\([a-z]+)", "".join(lines[4:6]))) == commands
    assert r"\textbf{$-$0.250 $\pm$ 0.000}" in latex
    assert re.sub(r"\\[{}]", "", latex).count("{") == re.sub(r"\\[{}]", "", latex).count("}")
    if shutil.which("pdflatex"):
        (tmp_path / "table.tex").write_text(PAGE % latex)
        command = ["pdflatex", "-halt-on-error", "-interaction=batchmode", "table.tex"]
        subprocess.run(command, cwd=tmp_path, check=True)


def test_csv_has_no_formulas(results, tmp_path):
    hostile = results.filter(test="test_hostile")
    hostile.to_csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert rows[0]["params.name"] == "'=cmd|' /C calc'!A0"
    assert rows[4]["params.name"] == "a|b\n::error::x"
    assert rows[0]["logged.@log"] == "-1"
    for cell in (cell for row in rows for cell in (*row, *row.values())):
        assert not cell.startswith(FORMULA) or float(cell) == -1


@pytest.mark.parametrize("start", FORMULA)
def test_each_start_of_a_formula_is_disarmed(net, tmp_path, start):
    found = changed(net, {"reason": f"{start}1+1", "params": {"x": -1.5}})
    found.to_csv(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["reason"] == f"'{start}1+1"
    assert row["params.x"] == "-1.5"


def test_json_is_all_that_was_recorded(results, tmp_path):
    results.to_json(tmp_path / "out.json")
    data = json.loads((tmp_path / "out.json").read_text())
    assert [read_fields(StudyResults, one) for one in data["studies"]] == list(results.studies)


def test_json_has_words_for_what_is_no_number(net, tmp_path):
    metrics = {"metrics": {"a": nan, "b": inf, "c": -inf}}
    changed(net, metrics).to_json(tmp_path / "out.json")
    text = (tmp_path / "out.json").read_text()
    (trial,) = json.loads(text, parse_constant=pytest.fail)["studies"][0]["trials"]
    assert trial["metrics"] == {"a": "nan", "b": "inf", "c": "-inf"}


def test_surrogates_do_not_stop_an_export(net, tmp_path):
    found = changed(net, {"reason": "\ud800"})
    found.to_csv(tmp_path / "out.csv")
    found.to_json(tmp_path / "out.json")
    assert "\\ud800" in (tmp_path / "out.csv").read_text()


def test_parquet_comes_back_as_the_data_frame(net, tmp_path):
    net.to_parquet(tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    frame = net.table(as_dataframe=True)
    assert list(found.columns) == list(frame.columns)
    assert found["params.lr"].tolist() == frame["params.lr"].tolist()


def test_optuna_reads_each_sweep_as_a_study(net, tmp_path):
    net.to_optuna(tmp_path / "sweep.log")
    study = optuna_study(tmp_path / "sweep.log", "test_it.py::test_net [random]")
    trials = list(net.filter(strategy="random"))
    assert len(study.trials) == 36
    for found, trial in zip(study.trials, trials, strict=True):
        assert found.params == trial.params
        assert found.value == trial.score
        assert found.intermediate_values == {0: 1.0, 1: 0.5, 2: pytest.approx(1 / 3)}
        assert found.datetime_start.timestamp() == pytest.approx(trial.started, abs=1e-3)
        assert found.duration.total_seconds() == pytest.approx(trial.duration, abs=1e-3)
        assert found.user_attrs["replicate"] == trial.replicate
        assert found.user_attrs["metrics.lr"] == trial.metrics["lr"]
    lr = study.trials[0].distributions["lr"]
    assert (lr.low, lr.high, lr.log) == (0.001, 0.1, True)
    assert study.trials[0].distributions["opt"].choices == ("adam", "sgd")
    assert study.metric_names == ["loss"]
    assert study.best_value == min(trial.score for trial in trials)


def test_optuna_gets_states_and_directions(results, net, tmp_path):
    found = changed(
        net.filter(strategy="grid"),
        {"state": State.PRUNED, "score": 0.5, "tags": ("odd",), "note": "diverges"},
        {"state": State.PRUNED, "score": nan},
        {"state": State.CRASHED, "score": None},
        {"state": State.RACED_OUT, "score": None},
        {"state": State.RUNNING, "score": None},
    )
    found.to_optuna(tmp_path / "sweep.log")
    trials = optuna_study(tmp_path / "sweep.log", "test_it.py::test_net [grid]").trials
    assert [(trial.state, trial.value) for trial in trials] == [
        (TrialState.PRUNED, 0.5),
        (TrialState.PRUNED, None),
        (TrialState.FAIL, None),
        (TrialState.RUNNING, None),
    ]
    said = [{k: trial.user_attrs.get(k) for k in ("tags", "note")} for trial in trials[:2]]
    assert said == [{"tags": ["odd"], "note": "diverges"}, {"tags": None, "note": None}]
    results.filter(test="test_other[x]").to_optuna(tmp_path / "other.log")
    other = optuna_study(tmp_path / "other.log", "test_it.py::test_other[x] [bayes]")
    assert other.direction.name == "MAXIMIZE"


def test_optuna_leaves_out_what_breaks_a_constraint(net, tmp_path):
    study = net.filter(strategy="grid", params__lr=0.01).studies[0]
    bound = sorted(trial.score for trial in study.trials)[1]
    sweeps = [replace(one, constraints=(Constraint("loss", ">=", bound),)) for one in study.sweeps]
    Results([Loaded(replace(study, sweeps=tuple(sweeps)), ())]).to_optuna(tmp_path / "sweep.log")
    found = optuna_study(tmp_path / "sweep.log", "test_it.py::test_net [grid]")
    assert found.best_value == bound
    assert min(trial.value for trial in found.trials) < bound


def test_optuna_knows_steps(net, tmp_path):
    space = {"lr": uniform(0, 1, step=0.25), "size": randint(2, 8, step=3)}
    study = net.filter(strategy="grid").studies[0]
    sweeps = [replace(one, space=Space((space,))) for one in study.sweeps]
    trials = [replace(one, params={"lr": 0.75, "size": 5}) for one in study.trials]
    trials[0] = replace(trials[0], params={"lr": 0.75, "size": 6})
    known = replace(study, sweeps=tuple(sweeps), trials=tuple(trials))
    Results([Loaded(known, ())]).to_optuna(tmp_path / "sweep.log")
    (trial, *_) = optuna_study(tmp_path / "sweep.log", "test_it.py::test_net [grid]").trials
    assert (trial.distributions["lr"].high, trial.distributions["lr"].step) == (1, 0.25)
    assert (trial.distributions["size"].high, trial.distributions["size"].step) == (8, 1)


def test_an_export_that_fails_leaves_the_file_before(net, tmp_path):
    target = tmp_path / "sweep.log"
    target.write_text("before")
    broken = changed(net, {"metrics": {}})
    broken = changed(broken, {"state": State.COMPLETE, "score": 1.0})
    with pytest.raises(KeyError):
        broken.to_optuna(target)
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.log"]


def test_what_is_missing_for_an_export_is_named(net, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"to_parquet needs pyarrow: pip install 'pyt"):
        net.to_parquet(tmp_path / "out.parquet")


def test_nan_survives_reading(net):
    assert isnan(changed(net, {"score": nan}).table()[0]["score"])
