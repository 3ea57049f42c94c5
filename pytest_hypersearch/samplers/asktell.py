"""Samplers without pytest: ask for parameters, tell their score."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, SupportsFloat

from pytest_hypersearch.given import shown
from pytest_hypersearch.samplers import Observation, builtin
from pytest_hypersearch.space import Space, as_distribution
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SpaceExhaustedError(Exception):
    """Every configuration of the space was asked for."""


class Best(NamedTuple):
    """The best parameters told so far.

    Attributes:
        params: As ``ask`` returned them.
        score: As it was told.
    """

    params: dict[str, Any]
    score: float


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
        mode: ``min`` if lower scores are better, ``max`` if higher ones are.

    Raises:
        ValueError: An argument is not one of these; the message says what was expected.
    """

    def __init__(
        self,
        space: Mapping[str, object] | Sequence[Mapping[str, object]],
        strategy: str = "bayes",
        seed: int = 0,
        mode: Literal["min", "max"] = "min",
    ) -> None:
        sampler = builtin(strategy)
        if sampler is None:
            raise ValueError(
                f"strategy={shown(strategy)}: expected grid, random, bayes, optuna:..."
            )
        if mode not in {"min", "max"}:
            raise ValueError(f"mode={shown(mode)}: expected 'min' or 'max'")
        self._sampler = sampler
        self._space = _space(space)
        self._seed = seed
        self._sign = 1.0 if mode == "min" else -1.0
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
            raise SpaceExhaustedError(f"all {number} configurations of the space were asked for")
        self._pending[number] = Observation(number, config, State.RUNNING)
        params = self._space.decode(config)
        self._asked.append(params)
        return dict(params)

    def tell(self, params: Mapping[str, object] | int, score: SupportsFloat | None) -> None:
        """Take the score of parameters that were asked for.

        Args:
            params: The parameters, or their number in the order in which they were asked for.
            score: A number; None, NaN or infinity if they failed.

        Raises:
            ValueError: They were not asked for, or their score was told before.
        """
        value = float("nan") if score is None else float(score)
        number = params if isinstance(params, int) else self._number(params)
        asked = self._pending.pop(number, None)
        if asked is None:
            raise ValueError(f"{shown(params)}: expected parameters asked for and not yet told")
        good = isfinite(value)
        state = State.COMPLETE if good else State.FAILED
        scores = (self._sign * value,) if good else ()
        self._finished[number] = Observation(number, asked.params, state, scores)

    @property
    def best(self) -> Best | None:
        """The parameters with the best score, None before the first score."""
        complete = [each for each in self._finished.values() if each.scores]
        if not complete:
            return None
        leader = min(complete, key=lambda each: each.scores)
        return Best(dict(self._asked[leader.index]), self._sign * leader.scores[0])

    def _number(self, params: Mapping[str, object]) -> int:
        """Return the number of pending parameters, -1 if there are none like these."""
        key = self._space.key(self._space.validate_config(params))
        same = (n for n, each in self._pending.items() if self._space.key(each.params) == key)
        return next(same, -1)


def _space(given: Mapping[str, object] | Sequence[Mapping[str, object]]) -> Space:
    branches = given if isinstance(given, (list, tuple)) else [given]
    return Space(tuple(_branch(branch) for branch in branches))


def _branch(given: Any) -> dict[str, Any]:  # noqa: ANN401  whatever a user gave
    try:
        return {name: as_distribution(values) for name, values in given.items()}
    except (AttributeError, ValueError) as error:
        raise ValueError(f"space={shown(given)}: {error}") from None
