"""Sweeps of several metrics, and sweeps with constraints, as a user sees them."""

from __future__ import annotations

import json
from itertools import pairwise
from textwrap import dedent

import pytest

from pytest_hypersearch.results.cli import main

TRADEOFF = """
    import json
    @pytest.mark.sweep({strategy}, metric=["val_loss", "latency"], mode=["min", "max"]{more})
    def test_net(width, trial):
        wobble = 0.01 * trial.replicate
        return {{"val_loss": (1 - width) ** 2 + wobble, "latency": -90.0 * width - wobble}}

    def test_after(sweeps):
        view = sweeps.study("test_net")
        front = [(dict(point.params), dict(point.metrics)) for point in view.pareto]
        with open("front.json", "w") as file:
            json.dump([front, view.best.params["width"], view.best.score], file)
"""
BOUND = """
    @pytest.mark.sweep({strategy}, metric="val_loss", constraints={{"latency": "<= {bound}"}})
    def test_net(width):
        return {{"val_loss": 1 - width, "latency": 90.0 * width}}

    def test_after(sweeps):
        print("BEST", dict(sweeps.best("test_net").params), sweeps.best("test_net").score)
"""
BAYES = "bayes={'width': uniform(0, 1)}, n_trials=10, parallel=2"
RANDOM = "random={'width': uniform(0, 1)}, n_trials=10"
GRID = "grid={'width': [0.0, 0.25, 0.5, 0.75, 1.0]}"


@pytest.fixture
def tradeoff(module):
    def write(strategy, more=""):
        module(dedent(TRADEOFF.format(strategy=strategy, more=more)))

    return write


@pytest.fixture
def bound(module):
    def write(strategy=GRID, bound="50"):
        module(dedent(BOUND.format(strategy=strategy, bound=bound)))

    return write


def front_of(pytester):
    return json.loads((pytester.path / "front.json").read_text())


@pytest.mark.parametrize("strategy", [BAYES, RANDOM, GRID])
def test_every_strategy_leads_to_a_front(pytester, run, tradeoff, strategy):
    tradeoff(strategy)
    result = run("--sweep", "-v")
    result.assert_outcomes(passed=6 if strategy == GRID else 11)
    front, width, score = front_of(pytester)
    assert len(front) >= 5
    assert all(
        a["val_loss"] < b["val_loss"] and a["latency"] < b["latency"]
        for (_, a), (_, b) in pairwise(front)
    )
    assert (width, score) == (front[0][0]["width"], front[0][1]["val_loss"])
    result.stdout.fnmatch_lines(
        [
            f"  {len(front)} on the Pareto front (lower val_loss, higher latency)",
            "* #  *val_loss  *latency  *width",
            "  rerun: pytest*",
        ]
    )
    result.stdout.no_fnmatch_line("*best val_loss*")


def test_the_table_shows_the_front_by_the_first_metric(run, tradeoff):
    tradeoff(GRID)
    result = run("--sweep")
    result.stdout.fnmatch_lines(
        [
            "  5 on the Pareto front (lower val_loss, higher latency)",
            "  #  val_loss  latency  width",
            "  -  --------  -------  -----",
            "  4     0.000   -90.00    1.0",
            "  3     0.062   -67.50   0.75",
            "  2     0.250   -45.00    0.5",
            "  1     0.562   -22.50   0.25",
            "  0     1.000     0.00    0.0",
        ],
        consecutive=True,
    )


def test_a_quiet_summary_counts_the_front(run, tradeoff):
    tradeoff(GRID)
    run("--sweep", "-q").stdout.fnmatch_lines(
        ["test_it.py::test_net  grid  5 of 5 complete  *5 on the Pareto front*"]
    )


def test_a_long_front_is_shown_thinned_with_its_ends(run, tradeoff):
    tradeoff("grid={'width': [w / 20 for w in range(21)]}")
    rows = run("--sweep").outlines
    start = rows.index("  21 on the Pareto front (lower val_loss, higher latency)")
    shown = [int(row.split()[0]) for row in rows[start + 3 : start + 13]]
    assert (shown[0], shown[-1], len(set(shown))) == (20, 0, 10)
    assert rows[start + 13] == "  and 11 more with -v"
    assert "  and 11 more with -v" not in run("--sweep", "-v").outlines


def test_the_front_is_of_means_over_replicates(pytester, run, tradeoff):
    tradeoff(GRID, ", replicates=3")
    run("--sweep").assert_outcomes(passed=16)
    front, _, _ = front_of(pytester)
    assert [metrics["val_loss"] for _, metrics in front] == pytest.approx(
        [0.01, 0.0725, 0.26, 0.5725, 1.01]
    )


def test_workers_and_resume_give_the_same_front(pytester, run, tradeoff):
    tradeoff(BAYES)
    run("--sweep", "-k", "000 or 001 or 002 or 003 or 004").assert_outcomes(passed=5, deselected=6)
    result = run("--sweep", "--sweep-resume")
    result.stdout.fnmatch_lines(["*10 of 10 complete (5 from cache)*"])
    resumed = front_of(pytester)
    run("--sweep", "-n2").assert_outcomes(passed=11)
    assert front_of(pytester) == resumed


def test_a_metric_that_is_missing_fails_the_trial(run, module, journals):
    module("""
        @pytest.mark.sweep(grid={"x": [1, 2, 3]}, metric=["a", "b"], constraints={"c": ">= 0"})
        def test_net(x):
            return {"a": x, **({"b": 1} if x > 1 else {}), **({"c": float("nan")} if x > 2 else {})}
    """)
    result = run("--sweep")
    result.stdout.fnmatch_lines(
        [
            "*no score: the test returned a; expected 'b' among them*",
            "*no score: the test returned a, b; expected 'c' among them*",
            "  *, c is nan (1)",
        ]
    )
    assert [record["state"] for record in journals("end")] == ["invalid"] * 3


def test_a_metric_that_was_not_asked_for_yet_runs_the_trial_again(run, module):
    source = """
        @pytest.mark.sweep(grid={{"x": [1, 2]}}, metric={metric})
        def test_net(x):
            return {{"a": x, "b": -x}} if {both} else {{"a": x}}
    """
    module(source.format(metric="'a'", both="x > 1"))
    run("--sweep").assert_outcomes(passed=2)
    module(source.format(metric="['a', 'b']", both="x > 1"))
    result = run("--sweep", "--sweep-resume")
    result.stdout.fnmatch_lines(["*1 of 2 complete, 1 invalid (1 from cache)*"])


def test_journals_of_one_metric_say_nothing_of_several(run, module, journals):
    module("""
        @pytest.mark.sweep(grid={"x": [1]})
        def test_one(x):
            return x
        @pytest.mark.sweep(grid={"x": [1]}, metric=["a", "b"], constraints={"b": ">= 1"})
        def test_two(x):
            return {"a": 2, "b": 3}
    """)
    run("--sweep").assert_outcomes(passed=2)
    runs = sorted(journals("run"), key=lambda record: record["nodeid"])
    one, two = (record["sweeps"][0] for record in runs)
    assert not {"others", "constraints"} & set(one)
    assert (two["others"], two["constraints"]) == ([["b", "min"]], [["b", ">=", 1.0]])
    assert {"a": 2.0, "b": 3.0} in [record["metrics"] for record in journals("end")]


@pytest.mark.parametrize("strategy", [BAYES, RANDOM, GRID])
def test_the_best_keeps_the_constraint(run, bound, strategy):
    bound(strategy)
    result = run("--sweep", "-s")
    text = next(line for line in result.outlines if "BEST" in line).partition("BEST")[2]
    width = float(text.split()[1].rstrip("}"))
    assert 0.3 < width <= 50 / 90
    result.stdout.fnmatch_lines(
        ["  best val_loss 0.*width=0.*", "  infeasible: * of * configurations (latency <= 50)"]
    )


def test_none_is_the_best_where_all_break_the_constraint(run, module, capsys):
    module("""
        @pytest.mark.sweep(strategy="grid", space={"x": (1, 2)}, constraints={"b": ">= 9"})
        def test_f(x):
            return {"score": x, "b": 3}
    """)
    run("--sweep").assert_outcomes(passed=2)
    capsys.readouterr()
    assert main(["best", "test_f"]) == 1
    assert "best: no configuration satisfies the constraints" in capsys.readouterr().err


def test_bayes_searches_where_the_constraint_is_kept(run, bound):
    bound(BAYES)
    result = run("--sweep", "-s")
    text = next(line for line in result.outlines if "BEST" in line)
    assert float(text.split()[-1]) == pytest.approx(1 - 50 / 90, abs=0.01)


def test_the_top_is_feasible(run, bound):
    bound(RANDOM)
    result = run("--sweep", "-v")
    rows = result.outlines
    start = next(n for n, row in enumerate(rows) if row.startswith("  top "))
    count = int(rows[start].split()[1])
    widths = [float(row.split()[-1]) for row in rows[start + 3 : start + 3 + count]]
    assert widths == sorted(widths, reverse=True)
    assert 0 < max(widths) <= 50 / 90
    result.stdout.fnmatch_lines(
        [f"  infeasible: {10 - count} of 10 configurations (latency <= 50)"]
    )


def test_nothing_feasible_is_no_best(run, bound):
    bound(bound="-10")
    result = run("--sweep", "-v")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*LookupError: sweeps: 'test_net': expected a feasible configuration; it has none",
            "  closest to feasible, val_loss 1.000 (#0): width=0.0",
            "  infeasible: 5 of 5 configurations (latency <= -10)",
        ]
    )
    result.stdout.no_fnmatch_line("*PASSED*best*")
    run("--sweep", "-q").stdout.fnmatch_lines(["test_it.py::test_net *none feasible*"])


def test_what_is_kept_is_of_a_feasible_best(pytester, run, module):
    module("""
        @pytest.mark.sweep(grid={"x": [1, 2, 3]}, metric="a", constraints={"b": "<= 2"}, mode="max")
        def test_net(x, trial):
            trial.path.joinpath("out.txt").write_text(str(x))
            return {"a": x, "b": x}
    """)
    run("--sweep")
    (kept,) = pytester.path.rglob("artifacts/*/out.txt")
    (best,) = pytester.path.glob(".pytest_cache/d/hypersearch/*/best/r0/out.txt")
    assert kept.read_text() == best.read_text() == "2"
