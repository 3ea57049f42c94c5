"""Optuna: the bayes sampler in its studies, and its samplers as strategies (in `strategy`).

``optuna.create_study(sampler=HypersearchSampler())`` samples together the parameters that all
complete trials had with the same distribution (the intersection search space); others, whose ranges
change or which only some trials have, are drawn independently at random, as by Optuna's own
samplers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from operator import mul
from random import SystemRandom
from threading import Lock
from typing import Any, Final, TypeAlias

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.samplers._base import _process_constraints_after_trial
from optuna.search_space import intersection_search_space
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pytest_hypersearch.core.contracts import Curve, Observation
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.trial import Config, State
from pytest_hypersearch.search.gp import GP
from pytest_hypersearch.search.optuna.translation import Parameter, from_optuna_state
from pytest_hypersearch.search.samplers.random import draw

Constraints: TypeAlias = Callable[[FrozenTrial], Sequence[float]]

__all__ = ["HypersearchSampler"]

_PROPOSED: Final = "hypersearch:proposed"  # a running trial's parameters before it asks for them
_CONSTRAINTS: Final = "constraints"  # where Optuna keeps what constraints_func returned
_NAMED: Final = "constraints:"  # and, followed by a name, what set_constraint was given
_turn: Final = Lock()  # threads of one study take turns, so that each sees what others were given


class HypersearchSampler(BaseSampler):
    """Samples where a Gaussian process expects the largest improvement.

    In a study of several objectives that is the largest growth of the Pareto front. Failed trials
    are learned as a region to avoid, pruned ones are taken as bad, and running ones as if they
    would score what the model expects of them. Nothing is kept from trial to trial but the seed: a
    sampler that is made anew goes on with a study as the old one would have.

    Constraints, whether they come from ``constraints_func`` or from ``trial.set_constraint`` (of
    Optuna 5), are modelled too: the search keeps to where all of them are expected to be kept. A
    constraint that a trial does not have counts as kept by it.

    Args:
        seed: Decides all samples, with the trials before; drawn at random if not given.
        constraints_func: Returns a number for each constraint from a trial that was completed or
            pruned, zero or less where the constraint is kept, as for Optuna's own samplers.
    """

    def __init__(
        self, *, seed: int | None = None, constraints_func: Constraints | None = None
    ) -> None:
        self._seed = _random_seed() if seed is None else seed
        self._constraints_func = constraints_func
        self._independent = RandomSampler(seed=seed)

    def reseed_rng(self) -> None:
        """Go on with another seed, drawn at random."""
        self._seed = _random_seed()
        self._independent.reseed_rng()

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002  part of the interface
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that all complete trials had, without those of a single value."""
        shared = intersection_search_space(study.get_trials(deepcopy=False))
        return {name: entry for name, entry in shared.items() if not entry.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters of a trial; once all combinations were tried, they take turns."""
        if not search_space:
            return {}
        view = _View.of(search_space)
        with _turn:
            config = self._suggest(study, trial, view)
            # Whoever samples before this trial asks for its values sees them here.
            storage = study._storage  # noqa: SLF001  samplers have no other place for notes
            storage.set_trial_system_attr(trial._trial_id, _PROPOSED, json.dumps(config))  # noqa: SLF001
        return view.params(config)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:  # noqa: ANN401  the interface's type
        """Return a random value of a parameter that is not sampled together with others."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,  # noqa: ARG002  part of the interface
    ) -> None:
        """Store a trial's constraints where Optuna looks for them."""
        if self._constraints_func is not None:
            _process_constraints_after_trial(self._constraints_func, study, trial, state)

    def _suggest(self, study: Study, trial: FrozenTrial, view: _View) -> Config:
        trials = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
        signs = [1.0 if each == StudyDirection.MINIMIZE else -1.0 for each in study.directions]
        config = GP().suggest(
            view.space, seed=self._seed, index=trial.number, history=view.history(trials, signs)
        )
        turn = trial.number % (view.space.size or 1)
        return config or draw(view.space, self._seed, turn) or {}


@frozen
class _View:
    """An Optuna search space as a `Space`, in which options are replaced by their positions."""

    space: Space
    parameters: Mapping[str, Parameter]

    @classmethod
    def of(cls, search_space: Mapping[str, BaseDistribution]) -> _View:
        parameters = {name: Parameter.from_optuna(entry) for name, entry in search_space.items()}
        return cls(Space(({name: each.ours for name, each in parameters.items()},)), parameters)

    def history(self, trials: Iterable[FrozenTrial], signs: Sequence[float]) -> list[Observation]:
        """Return trials as observations: finished ones in the order of their ends, then others."""
        finished = sorted((t for t in trials if t.state.is_finished()), key=_end)
        running = (t for t in trials if t.state == TrialState.RUNNING)
        names = sorted({n for t in finished if t.values is not None for n in _constraints(t)})
        observations = (self._observation(each, signs, names) for each in (*finished, *running))
        return [observation for observation in observations if observation is not None]

    def params(self, config: Config) -> dict[str, Any]:
        """Return a configuration's values as Optuna's user gave them."""
        return {name: each.theirs_of(config[name]) for name, each in self.parameters.items()}

    def _observation(
        self, trial: FrozenTrial, signs: Sequence[float], names: Sequence[str]
    ) -> Observation | None:
        """Return a trial as an observation, None if it has other parameters or values."""
        config, state = self._config(trial), from_optuna_state(trial.state)
        if config is None or state is None:
            return None
        curve = Curve(trial.number, mode="min" if signs[0] > 0 else "max")
        for step, value in trial.intermediate_values.items():
            curve.add(step, value)
        if state is not State.COMPLETE:
            return Observation(trial.number, config, state, reports=curve.reports)
        first, *others = [(each,) for each in map(mul, signs, trial.values)]
        if not all(isfinite(each) for (each,) in (first, *others)):
            return Observation(trial.number, config, State.INVALID)
        constraints = _constraints(trial)
        excess = tuple((constraints[name],) if name in constraints else () for name in names)
        return Observation(trial.number, config, state, first, tuple(others), excess, curve.reports)

    def _config(self, trial: FrozenTrial) -> Config | None:
        try:
            if self.parameters.keys() <= trial.params.keys():
                own = {n: each.ours_of(trial.params[n]) for n, each in self.parameters.items()}
            else:
                own = json.loads(trial.system_attrs.get(_PROPOSED, "{}"))
            return self.space.validate_config(own)
        except ValueError:
            return None


def _end(trial: FrozenTrial) -> tuple[float, int]:
    ended = trial.datetime_complete
    return (ended.timestamp() if ended is not None else 0.0, trial.number)


def _constraints(trial: FrozenTrial) -> dict[str, float]:
    """Return by how much a trial breaks each constraint, zero or less where it is kept."""
    attributes = trial.system_attrs
    listed = enumerate(attributes.get(_CONSTRAINTS) or ())
    named = {n.removeprefix(_NAMED): e for n, e in attributes.items() if n.startswith(_NAMED)}
    return {str(index): each for index, each in listed} | named


def _random_seed() -> int:
    return SystemRandom().randrange(2**31)
