"""Parameters of ``parametrize`` beside the mark: columns, and names to filter and group by."""

import json

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import main

PROBLEMS = """
    import pytest

    class Net:
        pass

    @pytest.fixture(params=[0.5, 1.5])
    def noise(request):
        return request.param

    @pytest.mark.parametrize("problem", ["easy", "hard"])
    @pytest.mark.parametrize("net", [Net(), Net()], ids=["small", "large"])
    @pytest.mark.parametrize("api_key", ["sk-123"])
    @pytest.mark.sweep(random={"x": [1, 2, 3]}, n_trials=3, metric="loss")
    def test_f(x, problem, net, noise, api_key):
        return x * noise + 10 * (problem == "hard")
"""


@pytest.fixture(params=[(), ("-n1",)], ids=["plain", "workers"])
def stored(request, module, run):
    """A project with studies over two problems, two nets and two levels of noise."""
    module(PROBLEMS)
    result = run("--sweep", *request.param)
    result.assert_outcomes(passed=24)
    return result


def test_other_parameters_are_columns_to_filter_and_group_by(stored, pytester):
    results = load_results(pytester.path)
    row = results.table()[0]
    assert {name: row[f"arguments.{name}"] for name in ("problem", "net", "noise", "api_key")} == {
        "problem": "easy",
        "net": "large",
        "noise": 0.5,
        "api_key": "***",
    }
    assert len(results.filter(problem="easy", noise__lt=1)) == 6
    groups = results.group_by("problem", "net").agg()
    assert [(one["arguments.problem"], one["arguments.net"], one["n"]) for one in groups] == [
        ("easy", "large", 6),
        ("easy", "small", 6),
        ("hard", "large", 6),
        ("hard", "small", 6),
    ]
    assert results.studies[0].arguments["problem"] == "easy"


def test_the_summary_compares_studies_by_what_differs(stored):
    text = stored.stdout.str()
    assert "loss by noise, net, problem (lower is better)" in text
    (head,) = [line.split() for line in stored.outlines if line.split()[:2] == ["noise", "net"]]
    assert head[:4] == ["noise", "net", "problem", "n"]


def test_the_command_groups_by_them(stored, pytester, capsys):
    assert main(["show", str(pytester.path), "--group-by", "problem"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("loss by problem (lower is better)\n")
    assert "easy" in out
    assert main(["show", str(pytester.path), "--columns", "problem,score", "--format=json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["arguments.problem"] for row in rows} == {"easy", "hard"}


def test_a_test_sees_them_as_well(module, run):
    module("""
        import pytest

        @pytest.mark.parametrize("data", ["a", "b"])
        @pytest.mark.sweep(grid={"x": [1, 2]})
        def test_f(x, data):
            return x

        def test_best(sweeps):
            groups = sweeps.results("test_f[a]").group_by("data").agg()
            assert [(one["arguments.data"], one["n"]) for one in groups] == [("a", 2)]
    """)
    run("--sweep").assert_outcomes(passed=5)
