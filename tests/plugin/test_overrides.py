"""Parameters replaced from the command line: read, fitted to the space of a mark, and said."""

import shlex

import pytest

from pytest_hypersearch import choice, loguniform, normal, randint, uniform
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.plugin.mark.overrides import Overrides, setting_of
from pytest_hypersearch.results.cli import main


class Sgd: ...


class Adam: ...


SPACE = {
    "lr": loguniform(1e-4, 1e-1),
    "layers": randint(1, 4),
    "opt": {"sgd": Sgd, "adam": Adam},
    "act": ["relu", "tanh"],
    "depth": [None, 5, 10],
    "size": ["16", "32"],
    "net.width": [0.5, 1.0],
    "api_key": ["sk-first", "sk-other"],
}
BRANCHES = [{"kernel": ["rbf", "poly"], "gamma": [0.1, 1.0]}, {"kernel": ["linear"]}]


def replaced(text, space=SPACE):
    given = {"random": space, "n_trials": 4, "metric": "loss"}
    sweep, problem = Overrides(settings=(setting_of(text),)).sweep((), given)
    return sweep, problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr=0.01", choice([0.01])),
        ("lr = 1, 0.1", choice([1.0, 0.1])),
        ("lr=[0.01, 0.1]", choice([0.01, 0.1])),
        ("lr=loguniform(1e-4, 1e-2)", loguniform(1e-4, 1e-2)),
        ("lr=uniform(low=0, high=1, step=0.5)", uniform(0, 1, step=0.5)),
        ("lr=normal(-1, 1)", normal(-1, 1)),
        ("layers=2,8", choice([2, 8])),
        ("layers=randint(2, 16)", randint(2, 16)),
        ("opt=adam", choice({"adam": Adam})),
        ("act=tanh", choice(["tanh"])),
        ("act='gelu', tanh", choice(["gelu", "tanh"])),
        ('act=choice(["tanh"])', choice(["tanh"])),
        ("depth=None,20", choice([None, 20])),
        ("size=32", choice(["32"])),
        ("net.width=1", choice([1.0])),
    ],
)
def test_a_parameter_is_replaced_by_what_the_option_says(text, expected):
    sweep, problem = replaced(text)
    assert not problem
    (branch,) = sweep.space.branches
    entry = branch[text.partition("=")[0].strip()]
    assert entry == expected
    assert getattr(entry, "objects", ()) == getattr(expected, "objects", ())
    assert sweep.options == (f"--sweep-set={text}",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lr", "'lr': expected NAME=VALUES such as lr=0.01,0.1"),
        ("lr=", "'lr=': expected NAME=VALUES such as lr=0.01,0.1"),
        ("1r=2", "'1r=2': expected NAME=VALUES such as lr=0.01,0.1"),
        ("lr=loguniform(1", "expected values such as 0.01,0.1 or a distribution such as uniform(0"),
        ("lr=" + "(" * 9999, "expected values such as 0.01,0.1 or a distribution such as uniform"),
        ("lr=0.1,,1", "expected values such as 0.01,0.1 or a distribution such as uniform(0, 1)"),
        ("lr=logunifrom(1, 2)", "'logunifrom' is no distribution; did you mean loguniform?"),
        ("lr=open('x')", "'open' is no distribution; expected uniform, loguniform, randint, "),
        ("lr=uniform(open('x'), 1)", "expected uniform(low, high, step) with numbers"),
        ("lr=uniform(1, 2, 3, 4)", "expected uniform(low, high, step) with numbers"),
        ("lr=uniform(2, 1)", "uniform(low=2, high=1): expected low <= high"),
    ],
)
def test_a_wrong_option_says_what_is_expected(text, problem):
    with pytest.raises(ValueError, match=r"expected|mean") as caught:
        setting_of(text)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lr=fast", "'fast': expected numbers in place of loguniform(low=0.0001, high=0.1)"),
        ("lr=inf", "'inf': expected numbers in place of loguniform(low=0.0001, high=0.1)"),
        ("lr=0.1,0.1", "expected each value once"),
        ("layers=2.5", "2.5: expected integers in place of randint(low=1, high=4)"),
        ("layers=uniform(1, 2)", "expected integers, as of randint(1, 8), in place of randint(low"),
        ("opt=Adam", "'Adam': did you mean adam?"),
        ("opt='lion'", "'lion': expected options ['sgd', 'adam']"),
        ("opt=uniform(0, 1)", "uniform(low=0, high=1): expected options ['sgd', 'adam']"),
        ("act=gelu", "'gelu': did you mean relu?; a new text needs quotes: 'act=\"gelu\"'"),
        ("act=1", "1: expected options ['relu', 'tanh']"),
        ("api_key='sk-mine'", "--sweep-set api_key=*** ***: expected options ['secret-0', "),
    ],
)
def test_values_that_do_not_suit_the_parameter_are_named(text, problem):
    found = replaced(text)[1]
    assert problem in found
    assert "\n" not in found


def test_values_that_tell_branches_apart_choose_among_them():
    sweep, _ = replaced("kernel=rbf", BRANCHES)
    assert sweep.space.size == 2
    assert sweep.arguments == ("kernel", "gamma")
    sweep, _ = replaced("kernel=linear", BRANCHES)
    assert (sweep.space.names, sweep.absent) == (("kernel",), ("gamma",))
    sweep, _ = replaced("gamma=7", BRANCHES)
    assert [*sweep.space.grid()] == [
        {"kernel": "rbf", "gamma": 7.0},
        {"kernel": "poly", "gamma": 7.0},
        {"kernel": "linear"},
    ]
    assert "'cosine'" in replaced("kernel='cosine'", BRANCHES)[1]


def test_points_that_are_out_of_the_space_are_left_out():
    given = {"random": {"x": uniform(0, 1)}, "n_trials": 3, "points": [{"x": 0.1}, {"x": 0.5}]}
    given |= {"metric": "loss", "race": True, "replicates": 3}
    change = Overrides(replicates=1, settings=(setting_of("x=uniform(0.4, 1)"),))
    sweep, problem = change.sweep((), given)
    assert (problem, sweep.points, sweep.race) == ("", ({"x": 0.5},), False)
    assert sweep.options == ("--sweep-replicates=1", "--sweep-set=x=uniform(0.4, 1)")


PROJECT = """
    @pytest.mark.sweep(grid=[{"kernel": ["rbf", "poly"], "gamma": [0.1, 1.0]},
                             {"kernel": ["linear"]}], metric="loss")
    def test_svm(kernel, gamma, note):
        note(kernel, gamma)
        return len(kernel)

    @pytest.mark.sweep(random={"lr": loguniform(1e-4, 1e-1)}, n_trials=3, metric="loss")
    def test_net(lr, note):
        note(lr)
        return lr
"""
SET = ("--sweep-set", "kernel=linear", "--sweep-set", "lr=0.01, 0.02", "--sweep-replicates=2")


def test_a_run_says_what_was_replaced_and_is_continued_by_the_same_alone(
    module, run, noted, journals, capsys
):
    module(PROJECT)
    result = run("--sweep", *SET)
    result.assert_outcomes(passed=6)
    assert noted() == [["linear", None]] * 2 + [[0.01]] * 2 + [[0.02]] * 2
    text = result.stdout.str()
    assert "\nhypersearch: kernel=linear, lr=0.01, 0.02 by --sweep-set\n" in text
    net = "--sweep-replicates=2 '--sweep-set=lr=0.01, 0.02'"
    svm = "--sweep-replicates=2 --sweep-set=kernel=linear"
    assert f"\nwith {svm} for test_svm\nwith {net} for test_net\n" in text
    assert f"--sweep-rerun {svm}\n" in text

    assert run("--sweep-resume", *SET, "-n1").parseoutcomes() == {"cached": 6}
    assert len(journals("session")) == 2  # no new run
    capsys.readouterr()
    assert main(["show", "test_net"]) == 0
    assert f"\nwith {net}\n" in capsys.readouterr().out
    assert main(["best", "test_net", "--format", "pytest"]) == 0
    command = shlex.split(capsys.readouterr().out)
    assert run(*command[1:]).parseoutcomes() == {"passed": 2}
    # another space is another run, which has nothing of this one
    result = run("--sweep-resume", "-k", "test_net", "--sweep-set", "lr=0.05")
    assert result.parseoutcomes() == {"passed": 1, "deselected": 5}
    assert "4 stored trials are not part of the present plan" in result.stdout.str()
    assert {each["state"] for each in journals("end")} == {State.COMPLETE}


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["plain", "workers"])
def test_what_suits_no_selected_test_ends_the_session(module, run, noted, workers):
    module(PROJECT)
    for args, problem in {
        ("--sweep-set=gama=1",): "--sweep-set gama=1: no selected test has the parameter 'gama'; "
        "did you mean gamma?",
        ("--sweep-set=kernel=linaer", "-k", "test_svm"): "test_it.py::test_svm: --sweep-set "
        "kernel=linaer: 'linaer': did you mean linear?",
    }.items():
        result = run("--sweep", *args, *workers)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert result.errlines.count(f"ERROR: {problem}") == 1
        assert "Traceback" not in str(result.errlines)
    if not workers:
        shard = run("--sweep", "--sweep-shard=2/2", "--sweep-set=gama=1")
        assert shard.ret == pytest.ExitCode.USAGE_ERROR
        # what does not suit a test that is not selected is no error
        result = run("--sweep", "--sweep-set", "lr=uniform(0, 1)", "-k", "test_net")
        assert result.parseoutcomes()["passed"] == 3
