"""Results: what the stored runs of real sessions tell."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from stored_project import run_sweeps

from pytest_hypersearch import Results, load_results
from pytest_hypersearch.core.codec import json_object
from pytest_hypersearch.store.find import Loaded


def with_trials(results, trials):
    """Results of one study, with other trials."""
    (study,) = results.studies
    return Results([Loaded(replace(study, trials=tuple(trials)), ())])


def test_the_newest_run_of_every_test_is_loaded(results):
    tests = ["test_hostile", "test_net", "test_other[x]", "test_other[y]"]
    assert [study.nodeid for study in results.studies] == [f"test_it.py::{name}" for name in tests]
    assert {row["run"] for row in results.table()} == {"0002"}
    assert len(results) == 6 + 12 + 36 + 4 + 4
    assert results.notes == ()


def test_what_is_loaded_is_what_the_session_knew(tmp_path, swept):
    shutil.copy(swept / "test_it.py", tmp_path)
    (tmp_path / "conftest.py").write_text(
        "def pytest_unconfigure(config):\n"
        "    import json\n"
        "    from pytest_hypersearch.core.codec import json_object\n"
        "    owner = config.pluginmanager.getplugin('hypersearch_controller').owner\n"
        "    studies = json.dumps(owner.results(), default=json_object)\n"
        "    open('known.json', 'w').write(studies)\n"
    )
    run_sweeps(tmp_path)
    known = {study["nodeid"]: study for study in json.loads((tmp_path / "known.json").read_text())}
    for study in load_results(tmp_path).studies:
        found, wanted = json.loads(json.dumps(study, default=json_object)), known[study.nodeid]
        for trials in (found["trials"], wanted["trials"]):
            for trial in trials:
                trial["duration"] = round(trial["duration"], 6)
        assert found["trials"] == wanted["trials"]
        for sweep in (*found["sweeps"], *wanted["sweeps"]):
            assert sweep.pop("elapsed") > 0
        assert sorted(found["sweeps"], key=str) == sorted(wanted["sweeps"], key=str)


def test_failures_keep_their_traceback_and_every_trial_its_start(net):
    assert len(net.failed) == 3
    for trial in net.failed:
        assert 'assert lr < 0.1 or opt == "sgd", "too high"' in trial.error
        assert "AssertionError: too high" in trial.error
        assert len(trial.error) <= 4000
    assert not any(trial.error for trial in net.successful)
    starts = [trial.started for trial in net]
    assert all(start > 1_700_000_000 for start in starts)


@pytest.mark.parametrize(
    ("what", "count"),
    [
        ("test_net", 48),
        ("test_it.py::test_net", 48),
        ("test_other", 8),
        ("test_other[y]", 4),
        ("test_it.py", 62),
    ],
)
def test_a_test_is_called_by_its_end(swept, monkeypatch, what, count):
    (swept / "below").mkdir(exist_ok=True)
    monkeypatch.chdir(swept / "below")
    assert len(load_results(what)) == count


def test_project_cache_store_study_and_run_are_paths_to_load(swept):
    cache = swept / ".pytest_cache"
    store = cache / "d" / "hypersearch"
    for path in (swept, cache, store):
        assert len(load_results(path)) == 62
    (study,) = store.glob("*-test_net")
    assert len(load_results(study)) == 48
    assert load_results(study / "0001").table()[0]["run"] == "0001"
    assert len(load_results(study / "0001" / "journal.jsonl")) == 48


def test_every_run_can_be_chosen(swept):
    def runs(run):
        return {row["run"] for row in load_results(swept, run=run).table()}

    assert runs("all") == {"0001", "0002"}
    assert runs(1) == runs("0001") == runs(-2) == {"0001"}
    assert runs(None) == runs(2) == runs(-1) == {"0002"}
    with pytest.raises(LookupError, match=r"no run 7 of test_it.py::test_"):
        runs(7)
    with pytest.raises(LookupError, match=r"no run newest of test_it.py::test_"):
        runs("newest")
    with pytest.raises(ValueError, match="run 'the newest': expected all, a number, a name, or"):
        runs("the newest")


def test_a_run_is_chosen_by_its_commit(swept, tmp_path):
    from pytest_hypersearch.store.journal import Journal

    project = shutil.copytree(swept, tmp_path / "project")
    (journal,) = project.glob("**/*-test_net/0001/journal.jsonl")
    record = {"k": "session", "sweeps": [], "provenance": {"commit": "abcdef0123"}}
    Journal(journal).append(record)
    found = load_results(project, run="abcdef0")
    assert {row["run"] for row in found.table()} == {"0001"}
    assert len(found.studies) == 1


def test_where_nothing_is_stored_that_is_said(tmp_path, monkeypatch, swept):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        LookupError, match=r"no stored runs in .* or above; run pytest --sweep first"
    ):
        load_results()
    with pytest.raises(LookupError, match="there are no stored runs in it"):
        load_results(tmp_path)
    monkeypatch.chdir(swept)
    with pytest.raises(LookupError, match="test_nett: no such path or test; there are runs of"):
        load_results("test_nett")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\ncache_dir = elsewhere\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\ncache_dir = "elsewhere"\n'),
        ("setup.cfg", "[tool:pytest]\ncache_dir = elsewhere\n"),
    ],
)
def test_a_cache_elsewhere_is_found_by_the_projects_settings(swept, tmp_path, file, text):
    (tmp_path / file).write_text(text)
    shutil.copytree(swept / ".pytest_cache", tmp_path / "elsewhere")
    assert len(load_results(tmp_path)) == 62


def test_filters_look_at_parameters_metrics_and_what_every_trial_has(net):
    assert len(net.filter(status="success")) == len(net.successful) == 45
    assert len(net.filter(status="completed", strategy="grid")) == 9
    assert {trial.params["opt"] for trial in net.filter(opt="adam")} == {"adam"}
    assert all(t.params["lr"] < 0.05 for t in net.filter(params__lr__lt=0.05))
    assert all(t.metrics["lr"] >= 0.05 for t in net.filter(metrics__lr__ge=0.05))
    assert len(net.filter(opt__in=["adam", "nadam"], replicate=0, sweep="grid")) == 2
    assert len(net.filter(opt__ne="adam")) + len(net.filter(opt="adam")) == len(net)
    assert len(net.filter(reason__contains="too high")) == 3
    assert len(net.filter(logged__note="kept")) == len(net)
    assert {t.number for t in net.filter(where=lambda trial: trial.number == 3)} == {3}
    assert len(net.filter(loss__le=0.6).filter(number__gt=1)) < len(net.filter(loss__le=0.6))


def test_what_a_trial_lacks_fulfils_no_condition(results):
    assert {trial.sweep for trial in results.filter(opt__ne="adam")} == {"grid", "random"}
    assert not results.filter(test="test_hostile").filter(accuracy__ge=0)


def test_true_is_not_one(net):
    trials = [
        replace(t, params={"flag": flag}) for t, flag in zip(net[:3], (1, True, 1.0), strict=True)
    ]
    found = with_trials(net, trials)
    assert [trial.params["flag"] for trial in found.filter(flag=True)] == [True]
    assert len(found.filter(flag=1)) == 2
    assert len(found.group_by("flag")) == 3


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"lrr": 1}, r"lrr: no such name; expected one of test, .* a parameter \(.*lr, opt"),
        ({"lr": 1}, "lr is a parameter and a metric: write params__lr or metrics__lr"),
        ({"opt__lt": 3}, "opt__lt=3: expected a value that can be compared with '"),
        ({"opt__in": "adam"}, "opt__in='adam': expected a list of values"),
        ({"status": "good"}, "status='good': expected one of running, complete, "),
        ({"test": "test_nett"}, "test='test_nett': no such test; expected test_it.py::test_h"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(results, given, problem):
    with pytest.raises(ValueError, match=problem):
        results.filter(**given)


def test_results_are_a_sequence_that_never_changes(net):
    before = len(net)
    assert isinstance(net[:5], Results)
    assert len(net[:5]) == 5
    assert net[0] == next(iter(net))
    assert net[-1] in net
    assert len(net[::2]) == 24
    net.filter(opt="adam")
    assert len(net) == before
    assert not net[:0]


def test_texts_are_of_one_screen(net):
    (best,) = net.best()
    assert len(repr(best)) < 120
    assert repr(best).startswith(f"<{best.sweep.name} #{best.number}: loss {best.score:.4g} ± ")
    assert "random" not in repr(net.filter(strategy="grid"))
    assert repr(net.studies[0]) == f"<study test_it.py::test_net: {len(net)} trials>"
    assert all(len(repr(each)) < 150 for each in (*net.curves(), *net.reported()))
    assert len(repr(net.compare(net))) < 1000


def test_groups_have_moments_and_the_best_in_the_direction_of_the_metric(results, net):
    rows = net.group_by("strategy").agg()
    grid = next(row for row in rows if row["strategy"] == "grid")
    scores = [trial.score for trial in net.filter(strategy="grid").successful]
    assert (grid["metric"], grid["n"]) == ("loss", len(scores))
    assert grid["mean"] == pytest.approx(sum(scores) / len(scores))
    assert (grid["min"], grid["max"]) == (min(scores), max(scores))
    assert grid["low"] < grid["mean"] < grid["high"]
    assert grid["best"] == net.filter(strategy="grid").best()[0].mean
    assert [row["best"] for row in rows] == sorted(row["best"] for row in rows)
    accuracy = results.filter(test="test_other").group_by("test").agg()
    assert all(row["best"] == row["max"] for row in accuracy)
    assert [row["best"] for row in accuracy] == sorted((r["best"] for r in accuracy), reverse=True)


def test_any_metric_is_aggregated_by_any_name(net):
    rows = net.group_by("opt", "replicate").agg("lr")
    assert len(rows) == 6
    assert {row["metric"] for row in rows} == {"lr"}
    assert all(row["best"] is None for row in rows)
    frame = net.group_by("params.lr").agg(as_dataframe=True)
    assert list(frame.columns[:3]) == ["params.lr", "metric", "n"]


def test_the_best_are_those_of_the_summary(results, net):
    ranked = net.best(3)
    means = [one.mean for one in ranked]
    assert means == sorted(means)
    assert len(ranked[0].trials) == 3
    (top,) = results.filter(test="test_other[y]").best()
    assert top.score == max(t.score for t in results.filter(test="test_other[y]"))
    with pytest.raises(
        ValueError, match=r"best: expected trials of one metric, not .*loss \(min\)"
    ):
        results.best()
    assert net[:0].best() == []


def test_importance_and_front_are_of_one_test(results, net):
    found = net.filter(strategy="random").importance()
    assert {one.parameter for one in found} == {"lr", "opt"}
    assert sum(one.share for one in found) == pytest.approx(1)
    assert net.pareto() == net.best()
    with pytest.raises(ValueError, match="importance: expected trials of one test, not test_it"):
        results.importance()


def test_history_is_the_best_so_far_in_the_order_of_ends(net):
    rows = [row for row in net.history() if row["strategy"] == "random"]
    assert [row["n"] for row in rows] == list(range(1, 37))
    starts = [row["started"] for row in rows]
    assert starts == sorted(starts)
    assert rows[-1]["best"] == net.filter(strategy="random").best()[0].mean


def test_curves_come_with_their_trials(net):
    chosen = net.filter(strategy="grid", replicate=1)
    curves = chosen.curves()
    assert [curve.trial for curve in curves] == list(chosen)
    assert all(curve.values == (1.0, 0.5, 1 / 3) and curve.steps == (0, 1, 2) for curve in curves)
    assert net.curves("accuracy") == []


def test_two_runs_are_compared_in_pairs(swept):
    before, now = (load_results(swept / ".pytest_cache", run=run) for run in (1, 2))
    found = now.filter(test="test_net").compare(before.filter(test="test_net"))
    (change,) = found.changes
    assert (found.verdict, change.judgement.loss) == ("REGRESSED", pytest.approx(0.5))
    assert len(change.judgement.losses) == 3
    assert len(found.table()) == 45
    assert found.table()[0].keys() >= {"test", "replicate", "params.lr", "before", "now", "loss"}
    assert sum(row["judged"] for row in found.table()) == 9
    back = before.filter(test="test_net").compare(now.filter(test="test_net"))
    assert back.verdict == "better"
    assert "REGRESSED" in str(found)
    assert max(map(len, str(found).splitlines())) <= 80


def test_a_higher_accuracy_is_a_negative_loss(swept):
    before, now = (load_results(swept, run=run).filter(test="test_other[y]") for run in (1, 2))
    rows = now.compare(before).table()
    assert rows
    assert all(row["loss"] == pytest.approx(-0.5) for row in rows)
    assert all(row["now"] > row["before"] for row in rows)


def test_tests_of_several_scores_are_judged_one_by_one(swept):
    before, now = (load_results(swept, run=run) for run in (1, 2))
    found = now.compare(before)
    verdicts = {change.nodeid: change.judgement.verdict for change in found.changes}
    assert verdicts == {
        "test_it.py::test_net": "REGRESSED",
        "test_it.py::test_other[x]": "same",
        "test_it.py::test_other[y]": "undecided",
        "test_it.py::test_hostile": "same",
    }
    assert found.verdict == "REGRESSED"
    assert found.blind


def test_strategies_are_not_paired_by_chance(net):
    found = net.filter(strategy="grid").compare(net.filter(strategy="random"))
    assert found.verdict == "not comparable"
    assert "other sweeps (random and grid)" in str(found)


def test_one_screen_tells_what_there_is(results, capsys):
    text = repr(results)
    assert text.startswith("Results: 62 trials: 59 complete, 3 failed\n")
    assert "test_it.py::test_net" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "&lt;" not in text
    results.display(group_by=["strategy"])
    shown = capsys.readouterr().out
    assert "accuracy by strategy (higher is better)" in shown
    assert "loss by strategy (lower is better)" in shown
    assert "mean ± std" in shown


def test_what_users_wrote_is_harmless_in_text_and_html(results, capsys):
    hostile = results.filter(test="test_hostile")
    hostile.display(group_by="name")
    shown = capsys.readouterr().out
    assert "\n::error" not in shown
    study = replace(hostile.studies[0], nodeid="<script>alert(1)</script>")
    html = Results([Loaded(study, ())])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_notebooks_show_a_table_with_the_best_and_its_history(results):
    part = results.filter(test="test_net")
    (ranked,) = part.ranked
    rows = part._repr_html_().split("<tr>")[2:]
    assert len(rows) == len(ranked.study.sweeps)
    for row, sweep in zip(rows, ranked.study.sweeps, strict=True):
        best = ranked.of(sweep).best
        assert f"(#{best.number})</td>" in row
        assert all(f"{name}=" in row for name in best.params)
        last = f"to {best.score:.4g}"
        assert re.search(rf'<svg [^>]*aria-label="from [-\d.e]+ {last}"><polyline points="0,', row)
