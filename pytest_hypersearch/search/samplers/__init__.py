"""Samplers: which configuration to try next. Importing this package imports no numpy."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final

from pytest_hypersearch.core.contracts import Observation, Sampler
from pytest_hypersearch.core.errors import SamplerError
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config
from pytest_hypersearch.core.values import shown
from pytest_hypersearch.search.samplers.random import Random

_AHEAD: Final = 63


def builtin(strategy: str) -> Sampler | None:
    """Return the sampler of a strategy that comes with this package, None for other names.

    Args:
        strategy: ``grid``, ``random``, ``bayes``, or ``optuna:`` and the name of Optuna's sampler.

    Raises:
        ValueError: Optuna is not installed or has no such sampler.
    """
    match strategy:
        case "grid":
            return Grid()
        case "random":
            return Random()
        case "bayes":
            from pytest_hypersearch.search.gp import GP

            return GP()
    if not strategy.startswith("optuna:"):
        return None
    try:
        from pytest_hypersearch.search.optuna.strategy import sampler_called
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; run pip install 'pytest-hypersearch[optuna]'") from None
    return sampler_called(strategy.removeprefix("optuna:"))


@frozen
class Grid:
    """Walks through the grid of a finite space, the rightmost parameter changing fastest."""

    adaptive: ClassVar[bool] = False

    def suggest(self, space: Space, *, index: int, **_: object) -> Config | None:
        """Return the grid's configuration at the index, None beyond its end.

        Raises:
            ValueError: A parameter of the space is continuous.
        """
        if space.size is not None and index >= space.size:
            return None
        return space.grid_config(index)


def propose(
    sampler: Sampler, sweep: Sweep, *, index: int, history: Sequence[Observation] = ()
) -> Config | None:
    """Return the sampler's configuration with this index, None if the space is used up.

    Raises:
        SamplerError: There is none to return.
    """
    who = f"the sampler of strategy {sweep.strategy!r}"
    try:
        config = sampler.suggest(sweep.space, seed=sweep.seed, index=index, history=history)
        fits = config is None or sweep.space.contains(config)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}:{frame.lineno}"
        raise SamplerError(f"{who} raised {type(error).__name__}: {error} ({where})") from error
    if not fits:
        raise SamplerError(
            f"{who} proposed {shown(config)}; expected a configuration of the search space"
        )
    return config


class Table:
    """Configurations by number: the sweep's points, then the sampler's without the points."""

    def __init__(self, sampler: Sampler, sweep: Sweep) -> None:
        self._sampler = sampler
        self._sweep = sweep
        self._rows: list[Config | None] = [dict(point) for point in sweep.points]
        self._points = {sweep.space.key(point) for point in sweep.points}
        self._asked = 0
        self._grid = sweep.space.grid() if isinstance(sampler, Grid) else None
        self._ahead = _AHEAD if isinstance(sampler, (Grid, Random)) else 0

    def __getitem__(self, number: int) -> Config | None:
        """The configuration of this number; None once the space is exhausted."""
        while len(self._rows) <= number:
            self._rows.append(self._draw())
            self._draw_ahead()
        return self._rows[number]

    def upto(self, count: int) -> list[Config]:
        """The first ``count`` configurations, fewer if the space is exhausted before."""
        return [config for number in range(count) if (config := self[number]) is not None]

    def _draw_ahead(self) -> None:
        """Draw the next ones: many together take half of the time, if nobody else is asked."""
        with suppress(SamplerError):  # it is raised again when the number is asked for
            for _ in range(min(self._ahead, self._sweep.n_trials - len(self._rows))):
                self._rows.append(self._draw())

    def _draw(self) -> Config | None:
        space = self._sweep.space
        while True:
            if self._grid is not None:
                config = next(self._grid, None)
            else:
                config = propose(self._sampler, self._sweep, index=self._asked)
            self._asked += 1
            if config is None or not self._points or space.key(config) not in self._points:
                return config
