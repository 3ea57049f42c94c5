"""Asking a sampler, which may be a plugin's: a configuration of the space, or one clear error."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from pytest_hypersearch.core.errors import SamplerError
from pytest_hypersearch.core.values import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.core.contracts import Observation, Sampler
    from pytest_hypersearch.core.sweep import Sweep
    from pytest_hypersearch.core.trial import Config


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

    def __getitem__(self, number: int) -> Config | None:
        """The configuration of this number; None once the space is exhausted."""
        while len(self._rows) <= number:
            self._rows.append(self._draw())
        return self._rows[number]

    def upto(self, count: int) -> list[Config]:
        """The first ``count`` configurations, fewer if the space is exhausted before."""
        return [config for number in range(count) if (config := self[number]) is not None]

    def _draw(self) -> Config | None:
        space = self._sweep.space
        while True:
            config = propose(self._sampler, self._sweep, index=self._asked)
            self._asked += 1
            if config is None or not self._points or space.key(config) not in self._points:
                return config
