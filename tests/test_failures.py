"""Where it fails: the rule that tells failing configurations from the others."""

from random import Random

import pytest

from pytest_hypersearch import load_results
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.trial import State, TrialRecord
from pytest_hypersearch.results.terminal.format import Look
from pytest_hypersearch.results.terminal.lines import rule_text
from pytest_hypersearch.stats.failures import failure_rule

FAILING = """
@pytest.mark.sweep(grid={"lr": [0.001, 0.01, 0.1, 1], "opt": ["adam", "sgd", "lion"],
                         "size": [1, 2, 3, 4]}, raises=AssertionError)
def test_f(lr, opt, size):
    assert not (lr >= 0.1 and opt == "sgd"), "diverges"
    return lr

@pytest.mark.parametrize("data", ["x", "y"])
@pytest.mark.sweep(grid={"a": list(range(12))}, raises=AssertionError)
def test_g(a, data):
    assert data == "x" or a < 3
    return a
"""
OPTIONS = ("adam", "sgd", "lion")


def study(configs, fails, *, replicates=1, arguments=None, nodeid="t.py::test"):
    trials = [
        TrialRecord("t", "s", number, replicate, config, state, seed=replicate)
        for number, config in enumerate(configs)
        for state in [State.FAILED if fails(config) else State.COMPLETE]
        for replicate in range(replicates)
    ]
    return StudyResults(nodeid, (), tuple(trials), arguments=arguments or {})


def drawn(count, seed=0):
    rng = Random(seed)
    return [
        {
            "lr": round(10 ** rng.uniform(-4, 0), 5),
            "opt": rng.choice(OPTIONS),
            "size": rng.randint(1, 9),
        }
        for _ in range(count)
    ]


def told(results, *others):
    rule = failure_rule([results, *others])
    return "" if rule is None else rule_text(rule, Look())


def test_the_shortest_rule_that_separates_them_is_found():
    configs = drawn(60)
    assert told(study(configs, lambda c: c["lr"] >= 0.05)).startswith("21 of 21 failing")
    both = told(study(configs, lambda c: c["lr"] >= 0.05 and c["opt"] == "sgd"))
    assert both == "5 of 5 failing configurations have lr>=0.0627 and opt=sgd, 0 of 55 others"
    middle = told(study(configs, lambda c: 4 <= c["size"] <= 6))
    assert "size>=4 and size<=6" in middle or "size<=6 and size>=4" in middle


def test_others_may_fulfil_it_and_some_failures_may_not():
    rng = Random(2)
    rule = failure_rule(
        [
            study(
                drawn(300),
                lambda c: (c["opt"] == "lion" and rng.random() < 0.8) or rng.random() < 0.05,
            )
        ]
    )
    (condition,) = rule.conditions
    assert (condition.name, condition.sign, condition.value) == ("opt", "=", "lion")
    assert rule.wrong > 0
    assert rule.covered < rule.failing
    assert rule.failing + rule.others == 300


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_chance_is_no_reason(rate):
    found = []
    for seed in range(100):
        rng = Random(seed)
        found.append(failure_rule([study(drawn(60, seed), lambda _, r=rng: r.random() < rate)]))
    assert sum(rule is not None for rule in found) <= 5


def test_replicates_count_once():
    configs = drawn(12, 3)
    some = study(configs, lambda c: c is configs[0] or c is configs[1], replicates=20)
    assert failure_rule([some]) is None


def test_nothing_to_tell_apart():
    configs = drawn(20)
    assert failure_rule([study(configs, lambda _: False)]) is None
    assert failure_rule([study(configs, lambda _: True)]) is None
    assert failure_rule([study([{}] * 3, lambda _: True)]) is None
    assert failure_rule([]) is None


def test_parameters_that_only_some_have():
    configs = [
        {"opt": "sgd", "momentum": i / 40} if i % 3 else {"opt": "adam", "lr": i / 40}
        for i in range(40)
    ]
    assert told(study(configs, lambda c: "lr" in c)) in {
        f"14 of 14 failing configurations have {words}, 0 of 26 others"
        for words in ("opt=adam", "lr", "no momentum")
    }
    rule = failure_rule([study(configs, lambda c: c.get("momentum", 0) > 0.4)])
    assert [(each.name, each.sign) for each in rule.conditions] == [("momentum", ">=")]
    flags = [{"i": i, "a": i % 2 == 0, "b": [1, "x", None, 2.5][i % 4]} for i in range(40)]
    assert "a=True" in told(study(flags, lambda c: c["a"]))
    assert "b=None" in told(study(flags, lambda c: c["b"] is None))


def test_arguments_of_the_test_count_too():
    configs = drawn(15)
    both = [
        study(configs, lambda c, d=data: d == "y" and c["lr"] > 0.001, arguments={"data": data})
        for data in ("x", "y")
    ]
    assert "data=y" in told(*both)
    few = [study(configs, lambda c: c is configs[0], arguments={"data": d}) for d in range(10)]
    assert failure_rule(few) is None  # one configuration, ten times


def test_many_configurations_are_counted_in_full():
    rule = failure_rule([study(drawn(4000), lambda c: c["lr"] >= 0.01 and c["opt"] != "adam")])
    assert rule.covered == rule.failing > 1000
    assert rule.wrong == 0
    assert {each.name for each in rule.conditions} == {"lr", "opt"}


def test_the_summaries_say_where_it_fails(project, monkeypatch, tmp_path):
    project.write(FAILING)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    text = " ".join(project.run("--tb=no")[1].split())
    rule = "8 of 8 failing configurations have lr>=0.1 and opt=sgd, 0 of 40 others"
    assert f"where it fails: {rule}" in text
    assert text.count("where it fails:") == 2
    assert "9 of 9 failing configurations have data=y, 3 of 15 others" in text
    assert (tmp_path / "summary.md").read_text().count("failing configurations have lr") == 2
    assert {*load_results(project.path).failure_rules()} == {
        "test_it.py::test_f",
        "test_it.py::test_g",
    }
