"""The configurations of a sweep whose sampler looks at no results: known before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_hypersearch.samplers.proposal import propose

if TYPE_CHECKING:
    from pytest_hypersearch.marks import Sweep
    from pytest_hypersearch.samplers import Sampler
    from pytest_hypersearch.trial import Config


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
