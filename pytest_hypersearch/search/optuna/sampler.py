"""The bayes sampler for studies of Optuna's: ``optuna.create_study(sampler=HypersearchSampler())``.

It samples together the parameters that all complete trials had with the same distribution (the
intersection search space); others, whose ranges change or which only some trials have, are drawn
independently at random, as by Optuna's own samplers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from operator import mul
from random import SystemRandom
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.samplers._base import _process_constraints_after_trial
from optuna.search_space import intersection_search_space
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pytest_hypersearch.core.contracts import Observation
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.space.choices import choice
from pytest_hypersearch.core.space.numeric import Integer, Real
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.search.gp import GP
from pytest_hypersearch.search.samplers.random import draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    from pytest_hypersearch.core.space import Distribution
    from pytest_hypersearch.core.trial import Config

    Constraints: TypeAlias = Callable[[FrozenTrial], Sequence[float]]

__all__ = ["HypersearchSampler"]

_PROPOSED: Final = "hypersearch:proposed"  # a running trial's parameters before it asks for them
_CONSTRAINTS: Final = "constraints"  # where Optuna keeps what constraints_func returned
_NAMED: Final = "constraints:"  # and, followed by a name, what set_constraint was given
_turn: Final = Lock()  # threads of one study take turns, so that each sees what others were given
_STATES: Final = {
    TrialState.COMPLETE: State.COMPLETE,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
    TrialState.RUNNING: State.RUNNING,
}


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
        """Return the parameters of a trial; once all combinations were tried, they take turns.

        Args:
            study: With the trials so far.
            trial: For which parameters are wanted.
            search_space: Which parameters.
        """
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
        """Store a trial's constraints where Optuna looks for them.

        Args:
            study: With the trial.
            trial: Which has just ended.
            state: How it ended.
            values: Its objectives.
        """
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


@dataclass(frozen=True, slots=True)
class _View:
    """Parameters of Optuna's as a space of ours, in which options go by their positions."""

    space: Space
    known: Mapping[str, BaseDistribution]

    @classmethod
    def of(cls, known: Mapping[str, BaseDistribution]) -> _View:
        return cls(Space(({name: _distribution(entry) for name, entry in known.items()},)), known)

    def history(self, trials: Iterable[FrozenTrial], signs: Sequence[float]) -> list[Observation]:
        """Return trials as observations: finished ones by the time they ended, then running ones.

        Args:
            trials: All but the one that is sampled for.
            signs: For each objective 1 to minimise, -1 to maximise.
        """
        finished = sorted((t for t in trials if t.state.is_finished()), key=_end)
        running = (t for t in trials if t.state == TrialState.RUNNING)
        names = sorted({n for t in finished if t.values is not None for n in _constraints(t)})
        found = (self._observation(trial, signs, names) for trial in (*finished, *running))
        return [observation for observation in found if observation is not None]

    def params(self, config: Config) -> dict[str, Any]:
        """Return a configuration's values as Optuna's user gave them."""
        return {
            name: entry.choices[cast("int", config[name])]
            if isinstance(entry, CategoricalDistribution)
            else config[name]
            for name, entry in self.known.items()
        }

    def _observation(
        self, trial: FrozenTrial, signs: Sequence[float], names: Sequence[str]
    ) -> Observation | None:
        """Return a trial as an observation, None if it has other parameters or values."""
        config = self._config(trial)
        if config is None:
            return None
        state = _STATES[trial.state]
        if state is not State.COMPLETE:
            return Observation(trial.number, config, state)
        first, *others = [(each,) for each in map(mul, signs, trial.values)]
        if not all(isfinite(each) for (each,) in (first, *others)):
            return Observation(trial.number, config, State.INVALID)
        known = _constraints(trial)
        excess = tuple((known[name],) if name in known else () for name in names)
        return Observation(trial.number, config, state, first, tuple(others), excess)

    def _config(self, trial: FrozenTrial) -> Config | None:
        try:
            if self.known.keys() <= trial.params.keys():
                given = {n: _position_or_value(e, trial.params[n]) for n, e in self.known.items()}
            else:
                given = json.loads(trial.system_attrs.get(_PROPOSED, "{}"))
            return self.space.validate_config(given)
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
    return {str(place): each for place, each in listed} | named


def _position_or_value(entry: BaseDistribution, value: object) -> object:
    if isinstance(entry, CategoricalDistribution):
        return int(entry.to_internal_repr(value))  # type: ignore[arg-type]
    return value


def _random_seed() -> int:
    return SystemRandom().randrange(2**31)


def _distribution(entry: BaseDistribution) -> Distribution:
    if isinstance(entry, CategoricalDistribution):
        return choice(range(len(entry.choices)))
    if isinstance(entry, IntDistribution):
        return Integer(entry.low, entry.high, entry.step, entry.log)
    if isinstance(entry, FloatDistribution):
        return Real(entry.low, entry.high, entry.step, entry.log)
    raise TypeError(f"{entry}: expected a float, int or categorical distribution")
