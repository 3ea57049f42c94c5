"""Values of parameters and strategies compared: by what, and how sure."""

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, ttest_rel, wilcoxon

from pytest_hypersearch import load_results
from pytest_hypersearch.results.cli import main
from pytest_hypersearch.stats.blocks import friedman, pairwise, ranks_of
from pytest_hypersearch.stats.gate import adjusted

SWEEPS = """
import pytest
from pytest_hypersearch import randint, uniform

SPACE = {"a": randint(1, 12), "b": randint(1, 12)}

@pytest.mark.sweep(random=SPACE, n_trials=8, replicates=3, metric="loss")
@pytest.mark.sweep(grid={"a": [7, 8], "b": [3, 4, 5]}, replicates=3, metric="loss")
def test_search(a, b, trial):
    return (a - 7) ** 2 + (b - 3) ** 2 + trial.rng.normal(0, 0.1)

@pytest.mark.parametrize("data", range(7))
@pytest.mark.sweep(grid={"opt": ["adam", "sgd", "lion"], "lr": [1, 2]}, replicates=3,
                   metric="accuracy", mode="max")
def test_nets(opt, lr, data, trial):
    assert not (data == 0 and opt == "lion" and lr == 2)
    good = {"adam": 2, "sgd": 1, "lion": 1 + data % 2 / 50}[opt]
    return 10 ** data * (good + lr / 10 + trial.rng.normal(0, 0.1))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    from stored_project import run_sweeps

    folder = tmp_path_factory.mktemp("contrasts")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(SWEEPS)
    for seed in "123":
        run_sweeps(folder, "--sweep-seed", seed)
    return folder


def scores(u, b, k, effect=0.0):
    drawn = np.random.default_rng(4).normal(size=(u, b, k))
    drawn[:, :, 0] += effect
    return list(drawn)


def test_ranks_are_means_over_blocks_and_ties_share_them():
    units = [np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 9.0]]), np.array([[5.0, 5.0, 5.0]])]
    assert ranks_of(units).tolist() == [[1.25, 1.75, 3.0], [2.0, 2.0, 2.0]]


def test_friedmans_test_is_the_textbooks_where_there_are_many_units():
    units = scores(40, 1, 3, 0.4)
    expected = friedmanchisquare(*np.concatenate(units).T).pvalue
    assert friedman(ranks_of(units)) == pytest.approx(expected, rel=0.2)
    assert friedman(ranks_of(scores(3, 1, 3, 9.0))) > 0.05  # 36 ways in which one may be last
    assert friedman(np.full((4, 3), 2.0)) == 1.0


def test_pairs_are_tested_with_one_observation_of_each_unit():
    units = scores(7, 5, 3, 1.0)
    medians = [np.median(Y[:, 0] - Y[:, 1]) for Y in units]
    for unit, test in (("seed", ttest_rel), ("problem", lambda d, _: wilcoxon(d))):
        first = pairwise(units, unit)[0]
        assert first.p == pytest.approx(test(medians, np.zeros(7)).pvalue)
    assert pairwise([np.ones((1, 2))] * 4, "seed")[0].p == 1.0
    seeds = pairwise(units, "seed")
    assert [(pair.first, pair.second) for pair in seeds] == [(0, 1), (0, 2), (1, 2)]
    assert [pair.adjusted for pair in seeds] == adjusted([pair.p for pair in seeds])
    assert seeds[0].low < seeds[0].loss < seeds[0].high
    assert pairwise(units[:2], "seed")[0].p is None


def test_p_values_are_adjusted_by_holms_procedure():
    assert adjusted([0.02, 0.01, 0.9, 0.04]) == pytest.approx([0.06, 0.04, 0.9, 0.08])
    assert adjusted([]) == []


def test_equal_differences_of_rounded_scores_may_be_chance():
    luck = np.array([0.123, 0.4567, 0.891])

    def p(luck):
        return pairwise([np.array([[x, x + 0.25]]) for x in luck], "seed")[0].p

    assert p(luck) == 0.0
    assert p(np.array([0.5, 0.5, 0.5])) == 0.0
    assert p(np.array([0.25, 0.5, 0.25])) == 0.25
    assert p(np.array([0.1, 0.725, 0.1])) == 0.25  # gaps of two and three steps


def test_values_of_a_parameter_are_compared_over_all_else(results):
    nets = load_results(results).filter(test="test_nets")
    found = nets.compare_by("opt")
    assert (found.unit, found.units, found.standings[0].value) == ("problem", 7, "adam")
    assert found.standings[0].rank == 1.0
    assert [one.verdict for one in found.standings] == ["best", "worse", "worse"]
    assert {one.value: one.failed for one in found.standings} == {"adam": 0, "sgd": 0, "lion": 3}
    assert found.friedman < 0.01
    assert len(found.table()[0]) == 1 + 1 + 7 + 6
    one = nets.filter(data=1).compare_by("opt", "lion", "adam")
    assert (one.unit, one.units, one.friedman, one.values) == ("seed", 3, None, ("lion", "adam"))
    assert one.standings[1].pair.loss == pytest.approx(9.8)
    assert one.table()[1]["mean"] < one.table()[0]["mean"]
    assert "2 configurations of the other parameters" in str(one)


def test_strategies_are_compared_by_their_best_at_an_equal_budget(results):
    found = load_results(results, run=1).filter(test="test_search").compare_by("strategy")
    assert (found.unit, found.units) == ("seed", 3)
    assert found.standings[0].value == "grid"
    assert "the best of 18 trials each" in str(found)
    assert "one search each" in str(found)
    searches = load_results(results, run="all").filter(test="test_search").compare_by("strategy")
    assert (searches.unit, searches.units) == ("search", 3)
    assert "one search each" not in str(searches)
    nets = load_results(results).filter(test="test_nets").compare_by("data", 0, 1)
    assert [one.value for one in nets.standings] == [1, 0]
    assert nets.standings[1].verdict == "worse"


def test_what_cannot_be_compared_says_what_to_type(results):
    search = load_results(results).filter(test="test_search")
    found = search.filter(strategy="random").compare_by("a")
    assert found.blind
    assert "parametrize the test by a" in found.reason
    for name, values, problem in (
        ("a", (7, 99), "a=99: expected some of"),
        ("a", (7,), "expected two values or more, not 7"),
        ("seed", (), "expected a parameter, another parameter of the test"),
        ("nothing", (), "no such name"),
    ):
        with pytest.raises(ValueError, match=problem):
            search.compare_by(name, *values)
    with pytest.raises(ValueError, match="expected trials of one metric"):
        load_results(results).compare_by("strategy")


def test_the_command_prints_the_table(results, monkeypatch, capsys):
    monkeypatch.chdir(results)
    for command, code, text in (
        ("test_nets --by opt=adam,sgd", 0, "Wilcoxon's signed-rank test"),
        ("test_nets --by opt --format json", 0, '"verdict": "worse"'),
        ("test_search --by strategy", 0, "best of 18 trials"),
        ("test_search@all --by strategy", 0, "3 searches"),
        ("test_search --by a --filter strategy=random", 3, "not comparable"),
        ("test_search --by a --filter strategy=random --format csv", 3, "not comparable"),
        ("test_search@-9 --by a", 3, "no run"),
        ("test_search", 2, "expected B, the new results, or --by"),
        ("test_search test_search --by a", 2, "expected no B"),
        ("test_search --by a --tolerance 1", 2, "expected no --tolerance"),
    ):
        assert main(["compare", *command.split()]) == code
        printed = "".join(capsys.readouterr())
        assert text in " ".join(printed.split())
