"""Optuna's samplers as strategies of sweeps."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import cmaes  # noqa: F401  kept from here on: nested runs forget what they import
import optuna
import pytest

from pytest_hypersearch import choice, lograndint, loguniform, randint, uniform
from pytest_hypersearch.core.contracts import ONE_METRIC
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.samplers import Observation
from pytest_hypersearch.search.optuna import strategy as bridge
from pytest_hypersearch.search.samplers import builtin

SAMPLERS = ["CmaEsSampler", "NSGAIISampler", "QMCSampler", "RandomSampler", "TPESampler"]
if find_spec("torch") is not None:
    import torch  # noqa: F401  as above

    SAMPLERS.append("GPSampler")
CONDITIONAL = Space(
    (
        {"kind": choice(["svm"]), "C": loguniform(1e-3, 1e3), "k": lograndint(1, 64)},
        {
            "kind": choice({"tree": object(), "forest": object()}),
            "k": lograndint(1, 8),
            "depth": randint(2, 20, step=3),
            "q": uniform(0, 1, step=0.1),
            "s": loguniform(1, 100, step=3),
            "huge": randint(0, 10**18),
        },
    )
)
SWEPT = """
@pytest.mark.sweep(strategy="optuna:{name}", n_trials=14, seed=3, metric="cost", replicates=2,
                   parallel=2, raises=ValueError,
                   space={{"x": uniform(-1, 1), "n": lograndint(1, 9), "f": choice([max, min]),
                           "b": [1, 1.0, True]}})
def test_f(x, n, f, b):
    if n == 9:
        raise ValueError
    return {{"cost": f(x, 0.1) + n + (b is True)}}
"""


def history_of(sampler, space, count, *, lag=1, states=()):
    """Finished and pending observations of a run in which so many are pending at a time."""
    finished, pending = [], []
    for index in range(count):
        config = sampler.suggest(space, seed=7, index=index, history=[*finished, *pending])
        assert space.contains(config)
        pending.append(Observation(index, config, State.RUNNING))
        if len(pending) >= lag:
            done = pending.pop(0)
            state = states[done.index % len(states)] if states else State.COMPLETE
            scores = (float(done.params["k"]), 2.0) if state is State.COMPLETE else ()
            finished.append(Observation(done.index, done.params, state, scores))
    return finished, pending


@pytest.mark.parametrize(
    ("name", "workers"), [*((name, []) for name in SAMPLERS), ("CmaEsSampler", ["-n2"])]
)
def test_any_sampler_of_optuna_is_a_strategy(name, workers, module, run, journals):
    module(SWEPT.format(name=name))
    result = run("--sweep", "-v", *workers)
    assert result.ret == 0
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] + outcomes.get("tolerated", 0) == 28
    result.stdout.fnmatch_lines([f"*test_f?optuna-{name}-013-r1?*"])
    proposed = [record["params"] for record in journals("suggest")]
    assert len({repr(params) for params in proposed}) == 14
    assert {type(params["b"]) for params in proposed} == {int, float, bool}


@pytest.mark.parametrize(("name", "workers"), [("NSGAIISampler", ["-n2"]), ("TPESampler", [])])
def test_several_metrics_lead_to_a_front(name, workers, module, run, journals):
    module(f"""
        import json
        @pytest.mark.sweep(strategy="optuna:{name}", space={{"x": uniform(0, 1)}}, n_trials=14,
                           metric=["loss", "speed"], mode=["min", "max"], parallel=2, replicates=2,
                           raises=ValueError)
        def test_f(x):
            if x > 0.9:
                raise ValueError
            return {{"loss": (1 - x) ** 2, "speed": -90.0 * x}}

        def test_after(sweeps):
            front = sweeps.study("test_f").pareto
            assert len(front) > 5
            assert [point.params["x"] for point in front] == sorted(
                (point.params["x"] for point in front), reverse=True)
    """)
    assert run("--sweep", *workers).ret == 0
    proposed = [record["params"] for record in journals("suggest")]
    assert len({repr(params) for params in proposed}) == 14


@pytest.mark.parametrize("name", ["NSGAIISampler", "TPESampler"])
def test_further_metrics_decide_what_is_proposed(name):
    space = Space(({"x": uniform(0, 1), "y": uniform(0, 1)},))
    sampler = builtin(f"optuna:{name}")

    def late(signs):
        history = []
        for index in range(150):
            params = sampler.suggest(space, seed=1, index=index, history=history)
            loss, *others = (sign * params["x"] for sign in signs)
            history.append(
                Observation(
                    index, params, State.COMPLETE, (loss,), tuple((each,) for each in others)
                )
            )
        return sum(each.params["x"] for each in history[100:]) / 50

    assert late([1.0]) < 0.45
    assert late([0.0, -1.0]) > 0.55


def test_only_samplers_that_refuse_several_metrics_are_refused():
    def refuses(name):
        kind = getattr(optuna.samplers, name)
        study = optuna.create_study(directions=["minimize"] * 2, sampler=kind(seed=0))
        try:
            study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        except ValueError:
            return True
        return False

    with bridge.quietly():
        assert {f"optuna:{name}" for name in SAMPLERS if refuses(name)} == ONE_METRIC


def test_a_resumed_sweep_goes_on_as_if_it_had_not_stopped(module, run, journals):
    module(SWEPT.format(name="CmaEsSampler"))
    run("--sweep")
    whole = [record["params"] for record in journals("suggest")]
    module(SWEPT.format(name="CmaEsSampler").replace("seed=3", "seed=3, name='cut'"))
    run("--sweep", "--sweep-trials=6")
    bridge._past.cache_clear()
    run("--sweep-resume")
    cut = {r["number"]: r["params"] for r in journals("suggest") if r["sweep"] == "cut"}
    assert list(cut.values()) == whole


def test_results_decide_what_is_proposed(module, run, journals):
    module("""
        @pytest.mark.sweep(strategy="optuna:TPESampler", space={"x": uniform(-1, 1)}, n_trials=40,
                           mode="max")
        def test_f(x):
            return -abs(x - 0.5)

        def test_best(sweeps):
            assert abs(sweeps.best("test_f").params["x"] - 0.5) < 0.05
    """)
    assert run("--sweep").parseoutcomes() == {"passed": 41}
    late = [record["params"]["x"] for record in journals("suggest")][-15:]
    assert sum(abs(x - 0.5) < 0.25 for x in late) >= 7  # 4 are expected of chance


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("lag", [1, 3])
def test_history_alone_decides(name, lag):
    sampler = builtin(f"optuna:{name}")
    states = [State.COMPLETE] * 5 + [State.FAILED, State.PRUNED, State.INVALID]
    finished, pending = history_of(sampler, CONDITIONAL, 24, lag=lag, states=states)
    history = [*finished, *pending]
    warm = sampler.suggest(CONDITIONAL, seed=7, index=24, history=history)
    bridge._past.cache_clear()
    assert sampler.suggest(CONDITIONAL, seed=7, index=24, history=history) == warm
    if name != "QMCSampler":  # its sequence is the same for all seeds
        assert sampler.suggest(CONDITIONAL, seed=8, index=24, history=history) != warm


def test_scores_whose_sum_is_beyond_all_floats_have_a_mean():
    space = Space(({"x": uniform(0, 1)},))
    history = [Observation(0, {"x": 0.5}, State.COMPLETE, (1.7e308, 1.7e308))]
    config = builtin("optuna:TPESampler").suggest(space, seed=0, index=1, history=history)
    assert space.contains(config)


@pytest.mark.parametrize("name", ["CmaEsSampler", "NSGAIISampler", "TPESampler"])
def test_proposals_are_as_good_as_in_a_study_of_optuna(name):
    space = Space(({"x": uniform(-1, 1), "y": uniform(-1, 1)},))

    def cost(params):
        return (params["x"] - 0.3) ** 2 + 2 * (params["y"] + 0.4) ** 2

    def ours(seed):
        history = []
        for index in range(60):
            params = builtin(f"optuna:{name}").suggest(
                space, seed=seed, index=index, history=history
            )
            history.append(Observation(index, params, State.COMPLETE, (cost(params),)))
        return min(each.scores[0] for each in history)

    def theirs(seed):
        study = optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=seed))
        study.optimize(
            lambda trial: cost({n: trial.suggest_float(n, -1, 1) for n in "xy"}), n_trials=60
        )
        return study.best_value

    with bridge.quietly():
        bests = [(ours(seed), theirs(seed)) for seed in range(3)]
    assert sum(our for our, _ in bests) < 3 * sum(their for _, their in bests)


@pytest.mark.parametrize("name", [*SAMPLERS, "BruteForceSampler"])
def test_a_finite_space_is_used_up_without_duplicates(name):
    space = Space(({"k": randint(1, 4), "c": choice(["a", "b"])}, {"k": choice([9, 10])}))
    sampler = builtin(f"optuna:{name}")
    finished, pending = history_of(sampler, space, space.size, lag=3)
    history = [*finished, *pending]
    assert len({space.key(each.params) for each in history}) == 10
    assert sampler.suggest(space, seed=7, index=10, history=history) is None


def test_a_space_of_one_configuration_is_proposed_once():
    space = Space(({"k": choice([1])},))
    finished, _ = history_of(builtin("optuna:CmaEsSampler"), space, 1)
    assert [each.params for each in finished] == [{"k": 1}]


def test_logging_and_warnings_of_the_user_stay_as_they_are(recwarn, caplog, capsys):
    before = optuna.logging.get_verbosity()
    history_of(builtin("optuna:QMCSampler"), CONDITIONAL, 5)
    assert optuna.logging.get_verbosity() == before
    assert not recwarn.list
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("strategy", ["TPE", "GridSampler", "BaseSampler", "nsgaii", ""])
def test_a_sampler_that_optuna_does_not_have_is_one_clear_line(module, run, strategy):
    module(f"""
        @pytest.mark.sweep(strategy="optuna:{strategy}", space={{"x": uniform(0, 1)}}, n_trials=2)
        def test_f(x):
            return x
    """)
    result = run("--sweep")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    expected = (
        f"test_it.py::test_f: sweep(strategy='optuna:{strategy}'): expected optuna: and one of "
        "BruteForceSampler, CmaEsSampler, "
    )
    assert len([each for each in result.outlines if each.startswith(expected)]) == 1
    assert not [each for each in result.outlines if "collect.py" in each or "INTERNAL" in each]


def refusal(run):
    result = run("--sweep")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    return [line for line in result.outlines if line.startswith("test_it.py::")]


def test_without_optuna_there_is_one_clear_line(module, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "pytest_hypersearch.search.optuna.strategy")
    module(SWEPT.format(name="TPESampler"))
    (line,) = refusal(run)
    assert line.startswith("test_it.py::test_f: sweep(strategy='optuna:TPESampler'): import of opt")
    assert line.endswith("; run pip install 'pytest-hypersearch[optuna]'")


def test_without_what_a_sampler_needs_there_is_one_clear_line(module, run, monkeypatch):
    monkeypatch.setattr(bridge, "find_spec", {"torch": True}.get)
    module(SWEPT.format(name="CmaEsSampler"))
    (line,) = refusal(run)
    assert line.startswith("test_it.py::test_f: sweep(strategy='optuna:CmaEsSampler'): ")
    assert line.endswith("Optuna's CmaEsSampler needs cmaes; run pip install cmaes")


@pytest.mark.parametrize("entry", ["normal(0, 1)", "scipy.stats.expon()"])
def test_distributions_that_optuna_does_not_have_are_refused(module, run, entry):
    module(f"""
        import scipy.stats

        @pytest.mark.sweep(strategy="optuna:TPESampler", space={{"x": {entry}}}, n_trials=2)
        def test_f(x):
            return x
    """)
    result = run("--sweep")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["test_it.py::test_f: sweep(space=...): x: *: Optuna has no such distribution; use *"]
    )


def test_nothing_of_optuna_is_imported_without_such_a_sweep(module, run, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "optuna"]:
        monkeypatch.delitem(sys.modules, name)
    module("""
        import sys

        @pytest.mark.sweep(bayes={"x": uniform(0, 1)}, n_trials=2)
        def test_f(x):
            assert "optuna" not in sys.modules
            return x
    """)
    run("--sweep").assert_outcomes(passed=2)


@pytest.mark.skipif("GPSampler" not in SAMPLERS, reason="needs torch")
def test_costly_proposals_are_asked_for_again_once(monkeypatch):
    asked = []
    relative = optuna.samplers.GPSampler.sample_relative

    def counted(self, *args):
        asked.append(args)
        return relative(self, *args)

    monkeypatch.setattr(optuna.samplers.GPSampler, "sample_relative", counted)
    space = Space(({"k": randint(1, 16)},))
    finished, _ = history_of(builtin("optuna:GPSampler"), space, 16)
    assert len({o.params["k"] for o in finished}) == 16
    assert 16 < len(asked) <= 32
