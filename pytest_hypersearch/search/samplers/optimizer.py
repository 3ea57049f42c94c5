"""Samplers without pytest: ask for parameters, tell their score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, SupportsFloat

from pytest_hypersearch.core.contracts import ONE_METRIC, Observation, Sampler
from pytest_hypersearch.core.goals import Constraint, Goal, Mode, constraint_of
from pytest_hypersearch.core.space import Distribution, Space, as_distribution
from pytest_hypersearch.core.study import Configuration, pareto_front, rank_key
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, State, TrialRecord, number
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
            of them to optimise as many scores, which are told together.
        constraints: Bounds that further metrics must keep, as in the mark: ``{"ms": "<= 50"}``.

    Raises:
        ValueError: An argument is not one of these; the message says what was expected.
    """

    def __init__(
        self,
        space: Mapping[str, object] | Sequence[Mapping[str, object]],
        strategy: str = "bayes",
        seed: int = 0,
        mode: Mode | Sequence[Mode] = "min",
        constraints: Mapping[str, str] | None = None,
    ) -> None:
        self._sampler = _sampler(strategy)
        self._space = _space(space)
        self._seed = _whole("seed", seed)
        self._sweep = _sweep_of(
            strategy, self._space, _modes(mode), _constraints(constraints, strategy)
        )
        if self._sweep.others and strategy in ONE_METRIC:
            raise ValueError(
                f"mode={shown(mode)}: expected one mode with strategy={shown(strategy)}"
            )
        self._params: list[dict[str, Any]] = []
        self._finished: dict[int, Observation] = {}
        self._metrics: dict[int, dict[str, float]] = {}
        self._pending: dict[int, Observation] = {}
        self._unasked: set[str] = set()
        self._drawn = 0

    def ask(self) -> dict[str, Any]:
        """Return the next parameters; several may be asked for before the first is told.

        Raises:
            SpaceExhaustedError: None are left.
            ValueError: The strategy cannot search this space.
        """
        config = self._suggest()
        if config is None:
            raise SpaceExhaustedError(
                f"all {len(self._params)} configurations of the space have been proposed"
            )
        return dict(self._add(config))

    def _suggest(self) -> Config | None:
        """The sampler's next configuration that was not told without being asked for."""
        while True:
            # Those that look at no results count their own proposals alone.
            index = len(self._params) if self._sampler.adaptive else self._drawn
            history = [*self._finished.values(), *self._pending.values()]
            config = self._sampler.suggest(
                self._space, seed=self._seed, index=index, history=history
            )
            self._drawn += 1
            if config is None or self._space.key(config) not in self._unasked:
                return config

    def _add(self, config: Config) -> dict[str, Any]:
        """Takes a configuration that is pending from now on."""
        number = len(self._params)
        self._pending[number] = Observation(number, config, State.RUNNING)
        self._params.append(self._space.decode(config))
        return self._params[number]

    def tell(
        self,
        params: Mapping[str, object] | int,
        score: SupportsFloat | Sequence[SupportsFloat] | None,
        metrics: Mapping[str, SupportsFloat] | None = None,
    ) -> None:
        """Take the score of parameters, asked for or not: results from elsewhere inform as well.

        Args:
            params: The parameters, or their number in the order in which they were asked for or
                told.
            score: A number, or one for each mode; None, NaN or infinity if they failed.
            metrics: The metrics that constraints are on; not needed if the parameters failed.

        Raises:
            ValueError: The parameters are not of the space, their score was told before, it is not
                one number for each mode, or a metric is missing.
        """
        values = self._signed(score)
        measured = self._measured(metrics or {}) if values else {}
        number = self._number(params)
        asked = self._pending.pop(number)
        failed = not values or measured is None
        self._finished[number] = Observation(
            number,
            asked.params,
            State.FAILED if failed else State.COMPLETE,
            () if failed else values[:1],
            () if failed else tuple((each,) for each in values[1:]),
            tuple((c.excess(measured[c.metric]),) for c in self._sweep.constraints)
            if measured
            else (),
        )
        self._metrics[number] = measured or {}

    @property
    def best(self) -> Configuration | None:
        """The best parameters that keep the constraints, the first of several; None without any.

        It has ``params`` as ``ask`` returned them, ``score`` as it was told and, with several
        modes, all scores as ``values``.
        """
        feasible = (one for one in self._told() if not one.excess)
        return min(feasible, key=rank_key, default=None)

    @property
    def pareto(self) -> list[Configuration]:
        """The parameters that no others surpass in all scores, by the first score."""
        return pareto_front(self._told())

    def _told(self) -> list[Configuration]:
        sweep = self._sweep
        return [
            Configuration(
                sweep,
                (_record(sweep, each, self._metrics[each.index]),),
                dict(self._params[each.index]),
            )
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

    def _measured(self, metrics: Mapping[str, object]) -> dict[str, float] | None:
        """Return the metrics that constraints are on, None if one of them is not finite."""
        names = [constraint.metric for constraint in self._sweep.constraints]
        missing = [name for name in names if name not in metrics]
        if missing:
            raise ValueError(f"metrics={shown(metrics)}: expected {', '.join(missing)}")
        try:
            values = {name: number(metrics[name]) for name in names}
        except TypeError as error:
            raise ValueError(f"metrics={shown(metrics)}: {error}") from None
        return values if all(map(isfinite, values.values())) else None

    def _number(self, params: Mapping[str, object] | int) -> int:
        """Return the number of pending parameters; what was not asked for is added to them."""
        if not isinstance(params, Mapping):
            place = _whole("params", params)
            if place not in self._pending:
                raise ValueError(
                    f"{place}: expected the number of parameters that were not told yet"
                )
            return place
        config = self._space.validate_config(params)
        key = self._space.key(config)
        for place, each in self._pending.items():
            if self._space.key(each.params) == key:
                return place
        if any(self._space.key(each.params) == key for each in self._finished.values()):
            raise ValueError(f"{shown(params)}: expected parameters that were not told yet")
        self._unasked.add(key)
        self._add(config)
        return len(self._params) - 1


def _sweep_of(
    strategy: str, space: Space, modes: Sequence[Mode], constraints: tuple[Constraint, ...]
) -> Sweep:
    """Return a sweep over ``score`` or, with several modes, ``score 0``, ``score 1`` and so on."""
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
        constraints=constraints,
    )


def _record(sweep: Sweep, told: Observation, measured: Mapping[str, float]) -> TrialRecord:
    scores = (*told.scores, *(scores[0] for scores in told.others))
    metrics = {**measured} | {
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


def _constraints(given: object, strategy: str) -> tuple[Constraint, ...]:
    if given is None:
        return ()
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ValueError(f"constraints={shown(given)}: expected a dict such as {{'ms': '<= 50'}}")
    if given and strategy.startswith("optuna:"):
        raise ValueError(f"constraints={shown(given)}: Optuna's samplers get no constraints")
    return tuple(constraint_of(*each) for each in given.items())


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
