"""Samplers without pytest: ask for parameters, tell their score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, SupportsFloat

from pytest_hypersearch.core.contracts import ONE_METRIC, Observation, Sampler
from pytest_hypersearch.core.goals import Goal, Mode
from pytest_hypersearch.core.space import Distribution, Space, as_distribution
from pytest_hypersearch.core.study import Configuration, pareto_front, rank_key
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State, TrialRecord, number
from pytest_hypersearch.core.values import number_of, shown
from pytest_hypersearch.search.samplers import builtin


class SpaceExhaustedError(Exception):
    """Every configuration of the space was asked for."""


class Optimizer:
    """Proposes parameters from the scores of those before, like a sweep but without trials.

    Example:
        Eight proposals for a function of one parameter::

            optimizer = Optimizer({"x": uniform(-1, 1)})
            for _ in range(8):
                params = optimizer.ask()
                optimizer.tell(params, params["x"] ** 2)
            print(optimizer.best)

    Args:
        space: As in the mark: a dict of parameter name to values or distribution, or a list of
            such dicts for a conditional space.
        strategy: ``bayes``, ``random``, ``grid`` or ``optuna:`` and the name of Optuna's sampler.
        seed: Decides all proposals, with the scores.
        mode: ``min`` if lower scores are better, ``max`` if higher ones are; a list of two or more
            of them if as many scores are told together, none of which is to decide alone.

    Raises:
        ValueError: An argument is not one of these; the message says what was expected.
    """

    def __init__(
        self,
        space: Mapping[str, object] | Sequence[Mapping[str, object]],
        strategy: str = "bayes",
        seed: int = 0,
        mode: Mode | Sequence[Mode] = "min",
    ) -> None:
        self._sampler = _sampler(strategy)
        self._space = _space(space)
        self._seed = _whole("seed", seed)
        self._sweep = _sweep_of(strategy, self._space, _modes(mode))
        if self._sweep.others and strategy in ONE_METRIC:
            raise ValueError(
                f"mode={shown(mode)}: expected one mode with strategy={shown(strategy)}"
            )
        self._asked: list[dict[str, Any]] = []
        self._finished: dict[int, Observation] = {}
        self._pending: dict[int, Observation] = {}

    def ask(self) -> dict[str, Any]:
        """Return the next parameters; several may be asked for before the first is told.

        Raises:
            SpaceExhaustedError: None are left.
            ValueError: The strategy cannot search this space.
        """
        number = len(self._asked)
        history = [*self._finished.values(), *self._pending.values()]
        config = self._sampler.suggest(self._space, seed=self._seed, index=number, history=history)
        if config is None:
            raise SpaceExhaustedError(
                f"all {number} configurations of the space have been proposed"
            )
        self._pending[number] = Observation(number, config, State.RUNNING)
        params = self._space.decode(config)
        self._asked.append(params)
        return dict(params)

    def tell(
        self,
        params: Mapping[str, object] | int,
        score: SupportsFloat | Sequence[SupportsFloat] | None,
    ) -> None:
        """Take the score of parameters that were asked for.

        Args:
            params: The parameters, or their number in the order in which they were asked for.
            score: A number, or one for each mode; None, NaN or infinity if they failed.

        Raises:
            ValueError: They were not asked for, their score was told before, or it is not one
                number for each mode.
        """
        values = self._signed(score)
        number = self._number(params)
        asked = self._pending.pop(number, None)
        if asked is None:
            raise ValueError(
                f"{shown(params)}: expected parameters returned by ask() and not yet told"
            )
        state = State.COMPLETE if values else State.FAILED
        self._finished[number] = Observation(
            number, asked.params, state, values[:1], tuple((each,) for each in values[1:])
        )

    @property
    def best(self) -> Configuration | None:
        """The parameters with the best score, the first of several; None before the first score.

        It has ``params`` as ``ask`` returned them, ``score`` as it was told and, with several
        modes, all scores as ``values``.
        """
        return min(self._told(), key=rank_key, default=None)

    @property
    def pareto(self) -> list[Configuration]:
        """The parameters that no others surpass in all scores, by the first score."""
        return pareto_front(self._told())

    def _told(self) -> list[Configuration]:
        sweep = self._sweep
        return [
            Configuration(sweep, (_record(sweep, each),), dict(self._asked[each.index]))
            for each in self._finished.values()
            if each.scores
        ]

    def _signed(self, score: object) -> tuple[float, ...]:
        """Return scores of which lower ones are better, none if one of them is not finite."""
        if score is None:
            return ()
        given = score if isinstance(score, (list, tuple)) else [score]
        goals = self._sweep.goals
        if len(given) != len(goals):
            raise ValueError(f"{shown(score)}: expected {len(goals)} scores, one per mode")
        try:
            values = tuple(
                goal.signed(number(each)) for goal, each in zip(goals, given, strict=True)
            )
        except TypeError as error:
            raise ValueError(f"the score is {error}") from None
        return values if all(map(isfinite, values)) else ()

    def _number(self, params: Mapping[str, object] | int) -> int:
        """Return the number of pending parameters, -1 if there are none like these."""
        if not isinstance(params, Mapping):
            return _whole("params", params)
        key = self._space.key(self._space.validate_config(params))
        same = (n for n, each in self._pending.items() if self._space.key(each.params) == key)
        return next(same, -1)


def _sweep_of(strategy: str, space: Space, modes: Sequence[Mode]) -> Sweep:
    """A sweep of what is told: ``score`` or, with several modes, ``score 0``, ``score 1`` ..."""
    names = [f"score {number}" for number in range(len(modes))] if len(modes) > 1 else ["score"]
    goal, *others = map(Goal, names, modes)
    return Sweep(
        name=strategy,
        strategy=strategy,
        space=space,
        n_trials=0,
        metric=goal.metric,
        mode=goal.mode,
        others=tuple(others),
    )


def _record(sweep: Sweep, told: Observation) -> TrialRecord:
    scores = (*told.scores, *(scores[0] for scores in told.others))
    metrics = {
        goal.metric: goal.signed(score) for goal, score in zip(sweep.goals, scores, strict=True)
    }
    score = metrics[sweep.metric]
    return TrialRecord("", sweep.name, told.index, 0, told.params, told.state, score, metrics)


def _modes(mode: Mode | Sequence[Mode]) -> Sequence[Mode]:
    modes = [mode] if isinstance(mode, str) else mode
    options = ["min", "max"]
    if not isinstance(modes, (list, tuple)) or not modes or any(m not in options for m in modes):
        raise ValueError(f"mode={shown(mode)}: expected 'min' or 'max', or a list of them")
    return modes


def _sampler(strategy: object) -> Sampler:
    problem = "expected grid, random, bayes, optuna:..."
    try:
        sampler = builtin(strategy) if isinstance(strategy, str) else None
    except ValueError as error:
        sampler, problem = None, str(error)
    if sampler is None:
        raise ValueError(f"strategy={shown(strategy)}: {problem}")
    return sampler


def _whole(name: str, value: object) -> int:
    whole = number_of(value)
    if not isinstance(whole, int):
        raise ValueError(f"{name}={shown(value)}: expected a whole number")  # noqa: TRY004  the value is wrong
    return whole


def _space(given: object) -> Space:
    branches = given if isinstance(given, (list, tuple)) else [given]
    return Space(tuple(_branch(branch) for branch in branches))


def _branch(given: object) -> dict[str, Distribution]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ValueError(f"space={shown(given)}: expected a dict of names to values, or a list")
    branch = {}
    for name, values in given.items():
        try:
            branch[name] = as_distribution(values)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return branch
