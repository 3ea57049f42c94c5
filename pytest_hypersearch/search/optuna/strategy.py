"""Optuna's samplers as strategies of a sweep: ``strategy="optuna:TPESampler"``.

Each proposal is made in a study in memory that is built from the history, so that nothing but the
history decides it. Samplers that keep notes in the trials that they proposed, such as the state of
an evolution strategy, are asked anew for each trial of the history, whose own parameters then take
the place of the answer.

Of a conditional space the number of the branch is one more choice to Optuna. How many metrics there
are shows in the first configuration with scores; until then it makes no difference.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any, ClassVar, Final

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from pytest_hypersearch.core.contracts import Observation
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Space, choice
from pytest_hypersearch.core.trial import Config, State
from pytest_hypersearch.core.values import mean
from pytest_hypersearch.search.optuna.translation import Parameter, quietly, to_optuna_state
from pytest_hypersearch.search.samplers.random import unseen

_BRANCH: Final = "branch of the space"  # no identifier, hence no parameter's name
_REDRAWS: Final = 10
_FEWER: Final = {"GPSampler": 1}  # models all again, slowly, and finds the same optimum
_REPLAYED: Final = {"CmaEsSampler", "NSGAIISampler", "NSGAIIISampler", "QMCSampler"}  # take notes
_COMPANIONS: Final = {"CmaEsSampler": "cmaes", "GPSampler": "torch"}


def sampler_called(name: str) -> OptunaSampler:
    """Return the sampler with a name of ``optuna.samplers``.

    Raises:
        ValueError: There is none, it needs more than a seed, or a package that is not installed.
    """
    names = [each for each in optuna.samplers.__all__ if _takes_a_seed_only(each)]
    if name not in names:
        raise ValueError(f"expected optuna: and one of {', '.join(sorted(names))}")
    companion = _COMPANIONS.get(name)
    if companion is not None and find_spec(companion) is None:
        raise ValueError(f"Optuna's {name} needs {companion}; run pip install {companion}")
    return OptunaSampler(name)


def _takes_a_seed_only(name: str) -> bool:
    kind = getattr(optuna.samplers, name)
    if not isinstance(kind, type) or inspect.isabstract(kind):
        return False
    parameters = inspect.signature(kind).parameters
    needed = {n for n, each in parameters.items() if each.default is each.empty}
    return "seed" in parameters and needed <= {"seed"}


@frozen
class OptunaSampler:
    """Asks an Optuna sampler with its default settings.

    Attributes:
        name: Its name in ``optuna.samplers``.
    """

    name: str
    adaptive: ClassVar[bool] = True

    def suggest(
        self, space: Space, *, seed: int, index: int, history: Sequence[Observation]
    ) -> Config | None:
        """Return a configuration, None if all of a finite space is finished or pending.

        What Optuna proposes although it was seen is asked for again, a few times if that costs
        little; after that, a finite space gives one of its unseen configurations at random.
        """
        ran = [o for o in history if o.state is not State.NOT_RUN and space.contains(o.params)]
        seen = {space.key(o.params) for o in ran}
        if space.size is not None and len(seen) >= space.size:
            return None
        pending = [o for o in ran if _is_pending(o)]
        with quietly():
            past = _past(self.name, space, seed)
            past.recall([o for o in ran if not _is_pending(o)])
            study = past.with_pending(pending)
            study.reseed(index)
            config = study.ask()
            for _ in range(_FEWER.get(self.name, _REDRAWS)):
                if space.key(config) not in seen:
                    return config
                config = study.ask()
        return config if space.size is None else unseen(space, seed + index, seen)


def _is_pending(observation: Observation) -> bool:
    return observation.state is State.RUNNING and not observation.scores


class _View:
    """A space as Optuna sees it.

    Attributes:
        space: The space.
        keys: For each branch, the names of its parameters in Optuna; those with a single value do
            not exist there.
        parameters: The parameters by these names, with the branch's number if there are several.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.keys: list[dict[str, str]] = []
        self.parameters: dict[str, Parameter] = {}
        if len(space.branches) > 1:
            self.parameters[_BRANCH] = Parameter.to_optuna(choice(range(len(space.branches))))
        for number, branch in enumerate(space.branches):
            self.keys.append(
                {name: self._key(name, number) for name, e in branch.items() if e.size != 1}
            )
            for name, key in self.keys[-1].items():
                self.parameters[key] = Parameter.to_optuna(branch[name])

    def params(self, config: Config) -> dict[str, Any]:
        """Return a configuration in Optuna's terms."""
        number = self.space.branch_of(config) or 0
        own = {key: config[name] for name, key in self.keys[number].items()}
        if _BRANCH in self.parameters:
            own = {_BRANCH: number, **own}
        return {key: self.parameters[key].theirs_of(raw) for key, raw in own.items()}

    def ask(self, trial: optuna.Trial) -> Config:
        """Return the configuration that a trial is given."""
        number = self._suggest(trial, _BRANCH) if _BRANCH in self.parameters else 0
        keys = self.keys[number]
        return {
            name: self._suggest(trial, keys[name]) if name in keys else entry.centre()
            for name, entry in self.space.branches[number].items()
        }

    def touch(self, trial: optuna.Trial) -> None:
        """Make the sampler think of a trial."""
        for key in [*self.parameters][:1]:
            self._suggest(trial, key)

    def _key(self, name: str, number: int) -> str:
        """Return a parameter's own name if all branches that have it agree on its values."""
        branches = self.space.branches
        same = all(b[name] == branches[number][name] for b in branches if name in b)
        return name if same else f"{name} of branch {number}"

    def _suggest(self, trial: optuna.Trial, key: str) -> Any:  # noqa: ANN401  one of our types
        parameter = self.parameters[key]
        entry = parameter.theirs
        if isinstance(entry, CategoricalDistribution):
            return parameter.ours_of(trial.suggest_categorical(key, entry.choices))
        if isinstance(entry, IntDistribution):
            return parameter.ours_of(trial.suggest_int(key, entry.low, entry.high, log=entry.log))
        return parameter.ours_of(trial.suggest_float(key, 0.0, 1.0))


@dataclass(slots=True)
class _Study:
    """A study in memory with the trials of a history.

    Attributes:
        name: The sampler's name in ``optuna.samplers``.
        seed: The sweep's seed.
        view: The space.
        finished: The finished configurations that are in the study.
        storage: The study's storage.
        study: The study, which minimises.
    """

    name: str
    seed: int
    view: _View
    finished: list[Observation]
    storage: InMemoryStorage
    study: optuna.Study

    @classmethod
    def of(cls, name: str, space: Space, seed: int) -> _Study:
        """Return a study without trials."""
        storage = InMemoryStorage()
        return cls(name, seed, _View(space), [], storage, optuna.create_study(storage=storage))

    def recall(self, finished: Sequence[Observation]) -> None:
        """Bring the trials in line with a history; begin anew if its past has changed."""
        goals = next((1 + len(o.others) for o in finished if o.scores), 1)
        if self.finished != finished[: len(self.finished)] or goals != len(self.study.directions):
            self.finished = []
            self.storage = InMemoryStorage()
            self.study = optuna.create_study(
                storage=self.storage, directions=[StudyDirection.MINIMIZE] * goals
            )
        for observation in finished[len(self.finished) :]:
            self.add(observation)
            self.finished.append(observation)

    def with_pending(self, pending: Sequence[Observation]) -> _Study:
        """Return a copy with pending trials added, for one suggestion."""
        shared = {id(trial): trial for trial in self.study.get_trials(deepcopy=False)}
        # Finished trials never change again; copying them would take most of the time.
        study, storage = deepcopy((self.study, self.storage), shared)
        copy = replace(self, study=study, storage=storage, finished=[])
        for observation in pending:
            copy.add(observation)
        return copy

    def reseed(self, index: int) -> None:
        """Begin with a sampler whose randomness depends on a configuration's index alone."""
        digest = blake2b(f"{self.seed}/{index}".encode(), digest_size=4).digest()
        kind: type[BaseSampler] = getattr(optuna.samplers, self.name)
        self.study.sampler = kind(seed=int.from_bytes(digest))  # type: ignore[call-arg]

    def ask(self) -> Config:
        """Return what the sampler proposes next."""
        return self.view.ask(self.study.ask())

    def add(self, observation: Observation) -> None:
        """Add a trial as the history has it."""
        state, values = _ending(observation)
        params = self.view.params(observation.params)
        distributions = {key: self.view.parameters[key].theirs for key in params}
        if self.name not in _REPLAYED:
            trial = create_trial(
                state=state, values=values, params=params, distributions=distributions
            )
            self.study.add_trial(trial)
            return
        self.reseed(observation.index)
        asked = self.study.ask()
        self.view.touch(asked)
        study_id = self.storage.get_study_id_from_name(self.study.study_name)
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, asked.number)
        for key, entry in distributions.items():
            internal = entry.to_internal_repr(params[key])
            self.storage.set_trial_param(trial_id, key, internal, entry)
        if state is not TrialState.RUNNING:
            self.study.tell(asked, values, state=state)


@lru_cache(maxsize=16)
def _past(name: str, space: Space, seed: int) -> _Study:
    return _Study.of(name, space, seed)


def _ending(observation: Observation) -> tuple[TrialState, list[float] | None]:
    """Return how Optuna would say that a configuration ended, with the mean of each metric."""
    if observation.scores:
        return TrialState.COMPLETE, [*map(mean, (observation.scores, *observation.others))]
    state = to_optuna_state(observation.state)
    return (TrialState.FAIL if state is TrialState.COMPLETE else state), None
