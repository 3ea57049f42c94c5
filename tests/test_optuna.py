"""Our sampler in Optuna's studies: Optuna's own test suite for samplers, and what it leaves out."""

from __future__ import annotations

import pickle

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.testing import pytest_samplers as suite
from optuna.trial import TrialState, create_trial

from pytest_hypersearch import choice, lograndint, loguniform, normal, randint, uniform
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.samplers import Observation
from pytest_hypersearch.search.gp import GP
from pytest_hypersearch.search.optuna import HypersearchSampler
from pytest_hypersearch.search.optuna.translation import (
    Parameter,
    from_optuna_state,
    quietly,
    readable,
    to_optuna_state,
)

KNOWN = {"c": CategoricalDistribution(["a", None, 2.5]), "x": FloatDistribution(-1, 1)}


class TestSuiteOfOptuna(
    suite.BasicSamplerTestCase, suite.RelativeSamplerTestCase, suite.MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self):
        return HypersearchSampler


@pytest.fixture(autouse=True, scope="module")
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    n = trial.suggest_int("n", 1, 100, log=True)
    q = trial.suggest_float("q", 0, 1, step=0.1)
    return (x - 0.3) ** 2 + abs(n - 7) / 10 + q + (trial.suggest_categorical("c", "ab") == "a")


def study_of(states=(), direction="minimize", seed=0):
    """A study of two parameters with one trial for each state, complete ones scoring x."""
    study = optuna.create_study(sampler=HypersearchSampler(seed=seed), direction=direction)
    for number, state in enumerate(states):
        x = number / len(states)
        value = x if state == TrialState.COMPLETE else None
        params = {"x": x, "c": ["a", None, 2.5][number % 3]}
        reports = {4: 1.5, 2: 3.0} if state == TrialState.PRUNED else {}
        study.add_trial(
            create_trial(
                state=state,
                value=value,
                params=params,
                distributions=KNOWN,
                intermediate_values=reports,
            )
        )
    return study


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_the_optimum_is_found_in_either_direction(direction, sign):
    study = optuna.create_study(sampler=HypersearchSampler(seed=1), direction=direction)
    study.optimize(lambda trial: sign * objective(trial), n_trials=40)
    assert sign * study.best_value < 0.15
    assert study.best_params["c"] == "b"


def test_samples_depend_on_the_seed_and_the_study_alone():
    def params(seed, *, restarts):
        study = optuna.create_study(sampler=HypersearchSampler(seed=seed))
        study.optimize(objective, n_trials=1)
        for number in range(12):
            if restarts:
                study.sampler = pickle.loads(pickle.dumps(HypersearchSampler(seed=seed)))  # noqa: S301
            study.optimize(objective, n_trials=1)
            assert study.trials[-1].number == number + 1
        return [trial.params for trial in study.trials]

    assert params(1, restarts=False) == params(1, restarts=True)
    assert params(1, restarts=False) != params(2, restarts=False)


def test_reseeding_changes_what_is_sampled():
    study = study_of([TrialState.COMPLETE])
    study.ask()
    trial = study.trials[-1]
    first = study.sampler.sample_relative(study, trial, KNOWN)
    assert study.sampler.sample_relative(study, trial, KNOWN) == first
    study.sampler.reseed_rng()
    assert study.sampler.sample_relative(study, trial, KNOWN) != first


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_trials_of_all_states_reach_the_sampler_as_what_they_are(direction, monkeypatch):
    histories = []

    def suggest(self, space, *, seed, index, history):
        histories.append(history)
        assert space == Space(({"c": choice(range(3)), "x": uniform(-1, 1)},))
        assert (seed, index) == (9, 5)
        return {"x": 0.5, "c": 1}

    monkeypatch.setattr(GP, "suggest", suggest)
    endings = (TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING, TrialState.PRUNED)
    study = study_of([*endings, TrialState.COMPLETE], direction, seed=9)
    trial = study.ask()
    assert trial.suggest_categorical("c", ["a", None, 2.5]) is None
    assert trial.suggest_float("x", -1, 1) == 0.5
    sign = 1 if direction == "minimize" else -1
    assert histories == [
        [
            Observation(0, {"x": 0.0, "c": 0}, State.COMPLETE, (0.0,)),
            Observation(1, {"x": 0.2, "c": 1}, State.FAILED),
            Observation(
                3, {"x": 0.6, "c": 0}, State.PRUNED, reports=((2, sign * 3.0), (4, sign * 1.5))
            ),
            Observation(4, {"x": 0.8, "c": 1}, State.COMPLETE, (sign * 0.8,)),
            Observation(2, {"x": 0.4, "c": 2}, State.RUNNING),
        ]
    ]


def test_trials_that_have_not_asked_for_their_values_count_as_pending():
    study = study_of([TrialState.COMPLETE] * 8)
    asked = [study.ask() for _ in range(4)]
    values = [trial.relative_params["x"] for trial in asked]
    gaps = [abs(a - b) for place, a in enumerate(values) for b in values[:place]]
    assert min(gaps) > 1e-3


def test_infinite_values_and_foreign_parameters_do_no_harm():
    study = study_of([TrialState.COMPLETE] * 6)
    far, other = FloatDistribution(0, 9), IntDistribution(0, 5)
    for value, params, known in (
        (float("inf"), {"x": 0.1, "c": "a"}, KNOWN),
        (1.0, {"x": 5.0, "c": 4}, {"x": far, "c": other}),
        (1.0, {"other": 5.0}, {"other": far}),
    ):
        study.add_trial(create_trial(value=value, params=params, distributions=known))
    study.ask()
    trial = study.trials[-1]
    params = study.sampler.sample_relative(study, trial, KNOWN)
    assert all(KNOWN[name]._contains(KNOWN[name].to_internal_repr(params[name])) for name in KNOWN)


def test_a_finite_space_is_tried_completely_and_then_again():
    study = optuna.create_study(sampler=HypersearchSampler(seed=0))
    known = {"a": IntDistribution(1, 3), "b": CategoricalDistribution([True, False])}
    for _ in range(12):
        study.tell(study.ask(known), 1.0)
    seen = [tuple(trial.params.values()) for trial in study.trials]
    assert len(set(seen[:6])) == 6
    assert set(seen) == set(seen[:6])


def test_choices_equal_in_value_stay_apart():
    study = optuna.create_study(sampler=HypersearchSampler(seed=0))
    for _ in range(8):
        trial = study.ask()
        option = trial.suggest_categorical("c", ["1", 1.5, None, 2])
        study.tell(trial, {"1": 3.0, None: 1.0}.get(option, 2.0))
    assert {repr(trial.params["c"]) for trial in study.trials} == {"'1'", "1.5", "None", "2"}


def test_several_objectives_reach_the_sampler_each_in_its_direction(monkeypatch):
    histories = []

    def suggest(self, space, *, seed, index, history):
        histories.append(history)
        return {"x": 0.5, "c": 1}

    monkeypatch.setattr(GP, "suggest", suggest)
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=HypersearchSampler(seed=9)
    )
    for number, values in enumerate([[1.0, 2.0], None, [1.0, float("inf")]]):
        study.add_trial(
            create_trial(
                state=TrialState.FAIL if values is None else TrialState.COMPLETE,
                values=values,
                params={"x": number / 4, "c": "a"},
                distributions=KNOWN,
            )
        )
    assert study.ask(KNOWN).params == {"x": 0.5, "c": None}
    assert histories == [
        [
            Observation(0, {"x": 0.0, "c": 0}, State.COMPLETE, (1.0,), ((-2.0,),)),
            Observation(1, {"x": 0.25, "c": 0}, State.FAILED),
            Observation(2, {"x": 0.5, "c": 0}, State.INVALID),
        ]
    ]


def constrained(directions, measure, *, named=False):
    """Trials of a study of which few keep its constraint, of a large scale, if blind to it."""

    def breaks(params):
        return 1e5 * (params["b"] - 0.3)

    sampler = HypersearchSampler(
        seed=0, constraints_func=None if named else lambda trial: [breaks(trial.params)]
    )
    study = optuna.create_study(directions=directions, sampler=sampler)

    def objective(trial):
        params = {name: trial.suggest_float(name, 0, 1) for name in "ab"}
        if named:
            trial.set_constraint("b", breaks(params))
        return measure(params["a"], params["b"])

    study.optimize(objective, n_trials=20)
    assert sum(trial.params["b"] <= 0.3 for trial in study.trials) > 11
    return study


def test_constraints_keep_a_study_to_where_they_are_kept():
    study = constrained(["maximize"], lambda a, b: b - (a - 0.3) ** 2)
    assert study.best_value == pytest.approx(0.3, abs=2e-3)
    assert list(study.best_trial.system_attrs["constraints"]) == [
        1e5 * (study.best_params["b"] - 0.3)
    ]


def test_a_front_keeps_a_studys_constraints():
    study = constrained(["minimize", "minimize"], lambda a, b: (a, 1 - a - b))
    assert len(study.best_trials) > 11
    assert min(sum(trial.values) for trial in study.best_trials) == pytest.approx(0.7, abs=5e-3)


@pytest.mark.skipif(not hasattr(optuna.Trial, "set_constraint"), reason="came with Optuna 5")
def test_constraints_by_name_count_as_those_of_a_function():
    def measure(a, b):
        return b - (a - 0.3) ** 2

    given, named = (constrained(["maximize"], measure, named=each) for each in (False, True))
    assert [trial.params for trial in given.trials] == [trial.params for trial in named.trials]


def test_constraints_reach_the_sampler_of_all_trials_with_values(monkeypatch):
    histories = []

    def suggest(self, space, *, seed, index, history):
        histories.append(history)
        return {"x": 0.5, "c": 1}

    monkeypatch.setattr(GP, "suggest", suggest)
    study = study_of()
    for attributes in ({"constraints": (2.0, -1.0)}, {}, {"constraints:y": 3.0}):
        params = {"x": 0.5, "c": "a"}
        study.add_trial(
            create_trial(value=1.0, params=params, distributions=KNOWN, system_attrs=attributes)
        )
    study.ask(KNOWN)
    assert [o.excess for o in histories[0]] == [
        ((2.0,), (-1.0,), ()),
        ((), (), ()),
        ((), (), (3.0,)),
    ]


def test_the_front_of_several_objectives_is_found():
    def area(sampler):
        study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
        known = {name: FloatDistribution(0, 1) for name in "xyz"}
        for _ in range(30):
            trial = study.ask(known)
            x, *rest = trial.params.values()
            away = sum((each - 0.7) ** 2 for each in rest)
            study.tell(trial, [x + away, -((1 - x) ** 2) - away])
        front = sorted((trial.values[0], -trial.values[1]) for trial in study.best_trials)
        ends = [*(x for x, _ in front[1:]), 2.0]
        return sum((end - x) * (2.0 - y) for (x, y), end in zip(front, ends, strict=True) if x < 2)

    assert area(HypersearchSampler(seed=0)) > area(optuna.samplers.RandomSampler(seed=0)) + 0.1


ENTRIES = [
    uniform(-1, 1),
    uniform(1 / 3, 2, step=1 / 3),
    loguniform(1e-5, 1),
    loguniform(1, 100, step=3),
    randint(-5, 10**18, step=5),
    lograndint(1, 1000),
    choice([1, 1.0, True, "1", None, "a"]),
    choice(["a", "b"], weights=[1, 9]),
    normal(0, 1, step=0.5),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_values_survive_the_way_to_an_optuna_sampler_and_back(entry):
    parameter = Parameter.to_optuna(entry)
    for u in (0.0, 0.1, 0.37, 0.5, 0.9, 1.0):
        raw = entry.from_unit(u)
        theirs = parameter.theirs_of(raw)
        internal = parameter.theirs.to_internal_repr(theirs)
        again = parameter.ours_of(parameter.theirs.to_external_repr(internal))
        assert type(again) is type(raw)
        assert again == pytest.approx(raw) if entry.size is None else again == raw


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        (IntDistribution(1, 9, step=2), [1, 5, 9]),
        (IntDistribution(1, 9, log=True), [1, 9]),
        (FloatDistribution(0.5, 2), [0.5, 1.7, 2.0]),
        (FloatDistribution(0, 1, step=0.1), [0.0, 0.3, 1.0]),
        (CategoricalDistribution(["a", None, 2.5, True]), ["a", None, 2.5, True]),
    ],
    ids=str,
)
def test_values_of_optuna_survive_the_way_to_our_sampler_and_back(entry, values):
    parameter = Parameter.from_optuna(entry)
    assert all(parameter.ours.contains(parameter.ours_of(value)) for value in values)
    assert [parameter.theirs_of(parameter.ours_of(value)) for value in values] == values


@pytest.mark.parametrize(
    ("declared", "seen"),
    [
        ([uniform(1 / 3, 2, step=1 / 3)], [1 / 3, 2.0]),
        ([uniform(0, 1, step=0.1)], [0.3, 1.0]),
        ([uniform(0, 1), randint(2, 4)], [0.5, 3]),
        ([randint(0, 10, step=5)], [0, 10]),
        ([choice(["a", 1])], ["a", 1]),
        ([], [1, "x", None]),
        ([uniform(0, 1)], [5.0]),
    ],
)
def test_people_see_ranges_that_hold_all_values(declared, seen):
    with quietly():  # Optuna warns that it lowers a bound
        entry = readable(declared, seen)
    create_trial(value=0.0, params={"x": seen[0]}, distributions={"x": entry})
    assert [entry.to_external_repr(entry.to_internal_repr(value)) for value in seen] == seen
    if not isinstance(entry, CategoricalDistribution):
        assert entry.low <= min(seen) <= max(seen) <= entry.high


def test_states_are_translated_by_one_rule():
    for theirs in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL):
        assert to_optuna_state(from_optuna_state(theirs)) == theirs
    assert from_optuna_state(TrialState.WAITING) is None
    assert to_optuna_state(State.CRASHED) == to_optuna_state(State.INVALID) == TrialState.FAIL
