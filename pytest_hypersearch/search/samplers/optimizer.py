"""Samplers without pytest: ask for parameters, tell their score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, SupportsFloat

from pytest_hypersearch.core.contracts import ONE_METRIC, Curve, Observation, Recommends, Sampler
from pytest_hypersearch.core.goals import Constraint, Goal, Mode, constraint_of
from pytest_hypersearch.core.space import Distribution, Space, as_distribution
from pytest_hypersearch.core.study import Configuration, observation_of, pareto_front, rank_key
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config, State, TrialRecord, number
from pytest_hypersearch.core.values import number_of, shown
from pytest_hypersearch.search.samplers import builtin


class SpaceExhaustedError(Exception):
    """Every configuration of the space was asked for."""


class Optimizer:
    """Ask-and-tell search: proposes parameters and is told what they came to.

    A loop that runs elsewhere asks, runs a trial as it likes, and tells. What it tells need not
    have been asked for: results of an earlier search are a warm start. Parameters that are told
    more than once are replicates, whose scores are averaged and show how large the noise is.

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
        seed: Decides all proposals, with what was told.
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
        self._space = _space(space, is_grid=strategy == "grid")
        self._seed = _whole("seed", seed)
        self._sweep = _sweep_of(
            strategy, self._space, _modes(mode), _constraints(constraints, strategy)
        )
        if self._sweep.others and strategy in ONE_METRIC:
            raise ValueError(
                f"mode={shown(mode)}: expected one mode with strategy={shown(strategy)}"
            )
        self._params: list[dict[str, Any]] = []
        self._configs: list[Config] = []
        self._numbers: dict[str, int] = {}
        self._trials: dict[int, list[TrialRecord]] = {}
        self._finished: dict[int, Observation] = {}
        self._curves: dict[int, Curve] = {}
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
            history = [*self._finished.values(), *self._pending()]
            config = self._sampler.suggest(
                self._space, seed=self._seed, index=index, history=history
            )
            self._drawn += 1
            if config is None or self._space.key(config) not in self._unasked:
                return config

    def _pending(self) -> list[Observation]:
        return [
            Observation(number, config, State.RUNNING)
            for number, config in enumerate(self._configs)
            if number not in self._finished
        ]

    def _add(self, config: Config) -> dict[str, Any]:
        """Take a configuration that is pending from now on."""
        number = len(self._params)
        self._numbers[self._space.key(config)] = number
        self._configs.append(config)
        self._params.append(self._space.decode(config))
        return self._params[number]

    def report(self, params: Mapping[str, object] | int, value: SupportsFloat, step: float) -> None:
        """Take a value that parameters have reached on their way, before they are told.

        Optional; those of a pruned trial tell how good it was when it was stopped.

        Args:
            params: The parameters, or their number, as for `tell`.
            value: The value of the score at this step; NaN and infinity too.
            step: How far the trial is: an epoch, a number of trees, a share of the data. Of a step
                that comes twice, the last value counts.

        Raises:
            ValueError: The parameters are not of the space, the value is no number, the step is
                not finite, or there are several modes.
        """
        self._check_one_mode("a value at a step")
        reached, reported = _finite("step", step), _number_in("the value", value)
        self._curve(self._number(params)).add(reached, reported)

    def tell(
        self,
        params: Mapping[str, object] | int,
        score: SupportsFloat | Sequence[SupportsFloat] | None,
        metrics: Mapping[str, SupportsFloat] | None = None,
        *,
        step: float | None = None,
        pruned: bool = False,
    ) -> None:
        """Take the result of a trial; of the same parameters again, that of a replicate.

        Args:
            params: The parameters, asked for or not, or their number in the order in which they
                were asked for or told.
            score: A number, or one for each mode; None, NaN or infinity if the trial failed.
            metrics: The metrics that constraints are on; not needed if the trial failed or was
                pruned.
            step: At which step the trial had this score, in the unit of `report`.
            pruned: Whether the trial was stopped before its end. Its score is then the value at
                ``step``, or None if its values were reported. It is never the best.

        Raises:
            ValueError: The parameters are not of the space, the score is not one number for each
                mode, a metric is missing, the step is not finite, ``pruned`` is no bool, a pruned
                trial has a score without a step, or one of several modes was pruned.
        """
        values, pruned = self._values(score), _flag("pruned", pruned)
        if metrics is not None and not isinstance(metrics, Mapping):
            raise ValueError(f"metrics={shown(metrics)}: expected a dict")
        measured = self._measured(metrics or {}) if values and not pruned else {}
        if pruned or step is not None:
            self._check_one_mode("a value at a step")
        reached = None if step is None else _finite("step", step)
        if pruned and values and reached is None:
            raise ValueError("step=None: expected the step at which a pruned trial had its score")
        number = self._number(params)
        if values and reached is not None:
            self._curve(number).add(reached, values[0])
        ended = State.COMPLETE if values and measured is not None else State.FAILED
        self._record(number, State.PRUNED if pruned else ended, values, measured or {})

    def _record(
        self, number: int, state: State, values: Sequence[float], measured: Mapping[str, float]
    ) -> None:
        """Add a trial to those of its configuration."""
        sweep, config = self._sweep, self._configs[number]
        trials = self._trials.setdefault(number, [])
        names = [goal.metric for goal in sweep.goals]
        score = values[0] if state is State.COMPLETE else None
        metrics = {**measured, **dict(zip(names, values, strict=False))}
        trials.append(
            TrialRecord("", sweep.name, number, len(trials), config, state, score, metrics)
        )
        reports, earlier = self._curve(number).reports, self._finished.get(number)
        del self._curves[number]
        if earlier is not None and earlier.scores:
            reports = earlier.reports
        self._finished[number] = observation_of(sweep, number, config, trials, reports)

    def _curve(self, number: int) -> Curve:
        """Return the curve of a configuration's present trial."""
        return self._curves.setdefault(number, Curve(number, mode=self._sweep.mode))

    def _check_one_mode(self, what: str) -> None:
        if self._sweep.others:
            raise ValueError(f"{what}: expected one mode, not {len(self._sweep.goals)}")

    @property
    def best(self) -> Configuration | None:
        """The best parameters that keep the constraints, the first of several; None without any.

        It has ``params`` as ``ask`` returned them, ``score`` as it was told and, with several
        modes, all scores as ``values``.
        """
        feasible = (one for one in self._told() if not one.excess)
        return min(feasible, key=rank_key, default=None)

    def recommend(self) -> Configuration | None:
        """Return the parameters whose score is expected to be best; None before the first score.

        Where scores are noisy, `best` is partly luck: ``bayes`` recommends by the mean of its
        model, which sees the scores of similar parameters, too. Other strategies have no model,
        nor is there one mean of several scores: then it is `best`.
        """
        number = None
        if isinstance(self._sampler, Recommends):
            number = self._sampler.recommend(self._space, list(self._finished.values()))
        told = (one for one in self._told() if one.number == number)
        return next(told, self.best)

    @property
    def pareto(self) -> list[Configuration]:
        """The parameters that no others surpass in all scores, by the first score."""
        return pareto_front(self._told())

    def _told(self) -> list[Configuration]:
        """Return the configurations with a complete trial, in the order of their first results."""
        complete = {
            number: tuple(each for each in trials if each.state is State.COMPLETE)
            for number, trials in self._trials.items()
        }
        return [
            Configuration(self._sweep, trials, dict(self._params[number]))
            for number, trials in complete.items()
            if trials
        ]

    def _values(self, score: object) -> tuple[float, ...]:
        """Return the scores as numbers, none if one of them is not finite."""
        if score is None:
            return ()
        if self._sweep.others and hasattr(score, "tolist"):
            score = score.tolist()  # an array of numpy, a tensor
        given = score if isinstance(score, (list, tuple)) else [score]
        if len(given) != len(self._sweep.goals):
            wanted = len(self._sweep.goals)
            raise ValueError(f"{shown(score)}: expected {wanted} scores, one per mode")
        values = tuple(_number_in("the score", each) for each in given)
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
        """Return the number of parameters; what was not asked for is added to them."""
        if not isinstance(params, Mapping):
            number = _whole("params", params)
            if not 0 <= number < len(self._configs):
                raise ValueError(f"{number}: expected the number of parameters, asked for or told")
            return number
        config = self._space.validate_config(params)
        key = self._space.key(config)
        if key not in self._numbers:
            self._unasked.add(key)
            self._add(config)
        return self._numbers[key]


def _sweep_of(
    strategy: str, space: Space, modes: Sequence[Mode], constraints: tuple[Constraint, ...]
) -> Sweep:
    """Return a sweep over ``score`` or, with several modes, ``score 0``, ``score 1`` and so on."""
    names = [f"score {number}" for number in range(len(modes))] if len(modes) > 1 else ["score"]
    if own := [each.metric for each in constraints if each.metric in names]:
        raise ValueError(f"constraints: expected another name than {own[0]}, which is the score's")
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


def _number_in(what: str, value: object) -> float:
    try:
        return number(value)
    except TypeError as error:
        raise ValueError(f"{what} is {error}") from None


def _finite(name: str, value: object) -> float:
    finite = number_of(value)
    if finite is None:
        raise ValueError(f"{name}={shown(value)}: expected a finite number")
    return float(finite)


def _flag(name: str, value: object) -> bool:
    if type(value).__name__ not in {"bool", "bool_"}:  # numpy's is a bool too, by either name
        raise ValueError(f"{name}={shown(value)}: expected True or False")
    return bool(value)


def _whole(name: str, value: object) -> int:
    whole = number_of(value)
    if not isinstance(whole, int):
        raise ValueError(f"{name}={shown(value)}: expected a whole number")  # noqa: TRY004  the value is wrong
    return whole


def _space(given: object, *, is_grid: bool) -> Space:
    branches = given if isinstance(given, (list, tuple)) else [given]
    return Space(tuple(_branch(branch, is_grid=is_grid) for branch in branches))


def _branch(given: object, *, is_grid: bool) -> dict[str, Distribution]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ValueError(f"space={shown(given)}: expected a dict of names to values, or a list")
    branch = {}
    for name, values in given.items():
        try:
            branch[name] = as_distribution(values, is_grid=is_grid)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return branch
