"""What is kept between suggestions to save time; it never changes what is suggested.

A fit is a function of the first so many results only, and is repeated at fixed numbers of results,
so that a process which begins with a long history computes the very same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_hypersearch.samplers.gp.encode import Array, Encoding, encoding_of
from pytest_hypersearch.samplers.gp.fit import Data, fit
from pytest_hypersearch.samplers.gp.kernel import Hyper, Kernel
from pytest_hypersearch.samplers.gp.posterior import Factor, factor_of
from pytest_hypersearch.samplers.gp.transform import scale_of
from pytest_hypersearch.trial import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.samplers import Observation
    from pytest_hypersearch.space import Space


_HUGE: Final = 1e150  # squares of worse scores would overflow


@dataclass(frozen=True, slots=True)
class Result:
    """A finished configuration of the present space.

    Attributes:
        observation: What was told.
        branch: The space's branch that it belongs to.
        row: Its row (D,).
    """

    observation: Observation
    branch: int
    row: Array


@dataclass(slots=True)
class Memory:
    """Results and fits of one space."""

    space: Space
    encoding: Encoding
    results: list[Result] = field(default_factory=list)
    hypers: dict[int, Hyper] = field(default_factory=dict)
    factor: Factor | None = None
    fitted: int = 0

    def recall(self, finished: Sequence[Observation]) -> None:
        """Bring the results in line with a history, keeping what a common beginning allows."""
        kept = 0
        for result, observation in zip(self.results, finished, strict=False):
            if result.observation is not observation and result.observation != observation:
                break
            kept += 1
        if kept < len(self.results):
            self.results = self.results[:kept]
            self.hypers = {n: hyper for n, hyper in self.hypers.items() if n <= kept}
            self.factor = None
        for observation in finished[kept:]:
            branch = self.space.branch_of(observation.params)
            if branch is not None:
                row = self.encoding.row(branch, observation.params)
                self.results.append(Result(observation, branch, row))

    def data(self, count: int) -> Data | None:
        """Return the first so many results as the model sees them, None if they are all alike."""
        return _data(self.results[:count])

    def model(self) -> tuple[Factor, Hyper] | None:
        """Return the factor over all results and its hyperparameters."""
        count = len(self.results)
        start = refit_point(count)
        hyper = self.hypers.get(start)
        if hyper is None:
            data = self.data(start)
            if data is None:
                return None
            hyper = self.hypers[start] = fit(data, self.encoding.categorical)
        if self.factor is None or self.fitted != start:
            rows = np.array([result.row for result in self.results[:start]])
            counts = np.array([score_count(result) for result in self.results[:start]])
            kernel = Kernel(hyper, self.encoding.categorical)
            self.factor, self.fitted = factor_of(kernel, rows, counts), start
        while self.factor is not None and len(self.factor.rows) < count:
            result = self.results[len(self.factor.rows)]
            self.factor = self.factor.appended(result.row, score_count(result))
        return None if self.factor is None else (self.factor, hyper)


@lru_cache(maxsize=16)
def memory_of(space: Space) -> Memory:
    """Return the memory of a space."""
    return Memory(space, encoding_of(space))


def refit_point(count: int) -> int:
    """Return how many of so many results the hyperparameters are fitted to."""
    stride = 1 << max(0, count.bit_length() - 4)
    return count - count % stride


def score_count(result: Result) -> float:
    """Return how many scores stand behind a result, 1 if it has none."""
    return float(max(len(result.observation.scores), 1))


def _data(results: Sequence[Result]) -> Data | None:
    """Return results as the model sees them.

    Failures count as bad as the worst score; pruned configurations as bad as the upper quartile.
    """
    told = [r.observation.scores for r in results if r.observation.scores]
    if not told:
        return None
    scored = [np.clip(scores, -_HUGE, _HUGE) for scores in told]
    means = np.array([scores.mean() for scores in scored])
    scale = scale_of(means)
    if scale is None:
        return None
    t = scale.apply(means)
    worst, quartile = float(t.max()), float(np.quantile(t, 0.75))
    values = iter(t.tolist())
    filled = [
        next(values)
        if r.observation.scores
        else (quartile if r.observation.state == State.PRUNED else worst)
        for r in results
    ]
    groups = [scale.apply(scores) for scores in scored if len(scores) > 1]
    return Data(
        rows=np.array([r.row for r in results]),
        scores=np.array(filled),
        counts=np.array([score_count(r) for r in results]),
        judged=np.array([bool(r.observation.scores) for r in results]),
        within=float(sum(((group - group.mean()) ** 2).sum() for group in groups)),
        freedom=sum(len(group) - 1 for group in groups),
    )
