"""What is kept between suggestions to save time; it never changes what is suggested.

Hyperparameters are fitted to the first so many results, at fixed numbers of results, and rows are
added to the model one by one in between: a process that begins with a long history computes the
very same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_hypersearch.core.trial import State
from pytest_hypersearch.search.gp.encode import Array, Encoding, encoding_of
from pytest_hypersearch.search.gp.fit import CUT, Data, Scale, fit, scale_of, standardised, warp
from pytest_hypersearch.search.gp.kernel import Hyper, Kernel
from pytest_hypersearch.search.gp.posterior import Factor, factor_of, posterior_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_hypersearch.core.contracts import Observation
    from pytest_hypersearch.core.space import Space
    from pytest_hypersearch.search.gp.posterior import Posterior


HUGE: Final = 1e150  # squares of worse scores would overflow
MODELLED: Final = 300  # results in a model
_FITTED: Final = 150  # results in a fit of hyperparameters
_LATEST: Final = 50
_HISTORIES: Final = 16  # studies of one space that run side by side, times their metrics


@dataclass(frozen=True, slots=True)
class Result:
    """A finished configuration of the present space.

    Attributes:
        observation: What was told.
        key: The configuration's key.
        branch: The space's branch that it belongs to.
        row: Its row (D,).
        score: Mean of its scores, NaN without one.
        count: How many scores there are, 1 without one.
        failed: Whether it ended without a score; what was pruned did not fail.
    """

    observation: Observation
    key: str
    branch: int
    row: Array
    score: float
    count: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Results in columns.

    Attributes:
        rows: The configurations (n, D).
        scores: Means of their scores (n,), NaN without one.
        counts: How many scores there are (n,), 1 without one.
        failed: Which ended without a score (n,).
    """

    rows: Array
    scores: Array
    counts: Array
    failed: NDArray[np.bool_]

    @classmethod
    def of(cls, results: Sequence[Result], features: int) -> Table:
        """Return the table of results."""
        return cls(
            np.array([result.row for result in results]).reshape(len(results), features),
            np.array([result.score for result in results]),
            np.array([result.count for result in results]),
            np.array([result.failed for result in results], dtype=bool),
        )

    def followed_by(self, other: Table) -> Table:
        """Return this table and then another."""
        return Table(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.failed, other.failed]),
        )


@dataclass(slots=True)
class Memory:
    """Results and fits of one history.

    Attributes:
        space: The space.
        encoding: Its encoding.
        ceiling: What bad scores are cut to, in spreads from the centre.
        heard: All observations that the results are made of.
        results: Those of the present space.
        table: What the model sees of them.
        seen: Keys of the results.
        hypers: Hyperparameters by the number of results that they were fitted to.
        active: Which results the factor's rows are.
        factor: The model's factor.
        fitted: The number of results that its hyperparameters were fitted to.
    """

    space: Space
    encoding: Encoding
    ceiling: float = CUT
    heard: list[Observation] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    table: Table = field(init=False)
    seen: set[str] = field(default_factory=set)
    hypers: dict[int, Hyper] = field(default_factory=dict)
    active: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    factor: Factor | None = None
    fitted: int = 0

    def __post_init__(self) -> None:
        """Begin without results."""
        self.table = Table.of([], self.encoding.features)

    def continues(self, finished: Sequence[Observation]) -> bool:
        """Tell whether a history begins with all that was heard."""
        return len(finished) >= len(self.heard) and all(
            old is new or old == new for old, new in zip(self.heard, finished, strict=False)
        )

    def hear(self, finished: Sequence[Observation]) -> None:
        """Take the rest of a history that continues what was heard."""
        news = finished[len(self.heard) :]
        results = [result for result in map(self.result, news) if result is not None]
        self.heard.extend(news)
        if results:
            self.results.extend(results)
            self.seen.update(result.key for result in results)
            self.table = self.table.followed_by(Table.of(results, self.encoding.features))

    def result(self, observation: Observation) -> Result | None:
        """Return an observation as a result, None if it is not of this space."""
        branch = self.space.branch_of(observation.params)
        if branch is None:
            return None
        scores = np.clip(observation.scores, -HUGE, HUGE)
        return Result(
            observation,
            self.space.key(observation.params),
            branch,
            self.encoding.row(branch, observation.params),
            float(scores.mean()) if len(scores) else np.nan,
            float(max(len(scores), 1)),
            not len(scores) and observation.state is not State.PRUNED,
        )

    def model(self) -> tuple[Factor, Data, NDArray[np.bool_]] | None:
        """Return the model's factor, the scores of its rows, and which rows (n,) failed.

        There is none while all scores are alike.
        """
        count = len(self.results)
        start = refit_point(count)
        hyper = self.hypers.get(start) or self._fit(start)
        if hyper is None:
            return None
        if self.factor is None or self.fitted != start:
            kernel = Kernel(hyper, self.encoding.categorical)
            self.active = chosen(self.table.scores[:start], MODELLED)
            rows, counts = self.table.rows[self.active], self.table.counts[self.active]
            self.factor, self.fitted = factor_of(kernel, rows, counts), start
        if self.factor is not None:
            for result in self.results[self.active[-1] + 1 :]:
                self.factor = self.factor.appended(result.row, result.count)
            self.active = np.append(self.active, np.arange(self.active[-1] + 1, count))
        data = self._data(count, self.active)
        failed = self.table.failed[self.active]
        return None if self.factor is None or data is None else (self.factor, data, failed)

    def level(self, score: float, data: Data) -> float:
        """Return a score as the present model sees it, which was made of data."""
        scale = self._scale(len(self.results))
        if scale is None or self.factor is None:
            return 0.0
        exponents = np.array([self.factor.kernel.hyper.exponent])
        _, (deviation,) = standardised(data.scores, exponents)
        (warped,) = warp(np.append(data.scores, scale.apply(np.array(score))), exponents)
        return float((warped[-1] - warped[:-1].mean()) / deviation)

    def _fit(self, count: int) -> Hyper | None:
        data = self._data(count, chosen(self.table.scores[:count], _FITTED))
        if data is None:
            return None
        self.hypers[count] = fit(data, self.encoding.categorical)
        return self.hypers[count]

    def _scale(self, count: int) -> Scale | None:
        """Return the scale of so many results' scores, None if they are all alike."""
        scores = self.table.scores[:count]
        judged = ~np.isnan(scores)
        return scale_of(scores[judged], self.ceiling) if judged.any() else None

    def _data(self, count: int, active: NDArray[np.intp]) -> Data | None:
        """Return what did not fail as the model sees it, None if all scores are alike.

        Pruned configurations count as bad as the upper quartile of scores.
        """
        scores = self.table.scores[:count]
        judged = ~np.isnan(scores)
        scale = self._scale(count)
        if scale is None:
            return None
        t = scale.apply(scores)
        if not judged.all():
            t = np.where(judged, t, np.quantile(t[judged], 0.75))
        active = active[~self.table.failed[active]]
        counts = self.table.counts[active]
        repeated = (self.results[i].observation.scores for i in active[counts > 1])
        groups = [scale.apply(np.array(scores)) for scores in repeated]
        return Data(
            rows=self.table.rows[active],
            scores=t[active],
            counts=counts,
            judged=judged[active],
            within=float(sum(((group - group.mean()) ** 2).sum() for group in groups)),
            freedom=sum(len(group) - 1 for group in groups),
        )


@lru_cache(maxsize=16)
def memories_of(space: Space) -> list[Memory]:  # noqa: ARG001 - the cache's key
    """Return the memories of a space, one for each history that was met, the latest first."""
    return []


def recalled(space: Space, finished: Sequence[Observation], ceiling: float = CUT) -> Memory:
    """Return the memory of a history, whose bad scores are cut at a ceiling."""
    memories = memories_of(space)
    fitting = [m for m in memories if m.ceiling == ceiling and m.continues(finished)]
    if fitting:
        memory = max(fitting, key=lambda memory: len(memory.heard))
    else:
        memory = Memory(space, encoding_of(space), ceiling)
    memories[:] = [memory, *(m for m in memories if m is not memory)][:_HISTORIES]
    memory.hear(finished)
    return memory


def refit_point(count: int) -> int:
    """Return how many of so many results the hyperparameters are fitted to."""
    stride = 1 << max(0, count.bit_length() - 4)
    return count - count % stride


def chosen(scores: Array, most: int) -> NDArray[np.intp]:
    """Return which results make the model, in ascending order, the last one among them.

    Beyond the most that a model takes these are the best third, the last ones, and for the rest
    results spread evenly over the history.
    """
    count = len(scores)
    if count <= most:
        return np.arange(count)
    best = np.argsort(np.where(np.isnan(scores), np.inf, scores), kind="stable")[: most // 3]
    kept = {*best.tolist(), *range(count - _LATEST, count)}
    rest = [i for i in range(count) if i not in kept]
    spread = np.linspace(0, len(rest) - 1, most - len(kept)).astype(int)
    return np.array(sorted({*kept, *(rest[i] for i in spread)}))


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A model of one metric.

    Attributes:
        settled: What the finished configurations let expect; a second target, if there were
            failures whose chance is wanted, is 1 where there is a score and -1 where there is none.
        posterior: The same, as if pending configurations had scored what is expected of them.
        expected: Expected scores (n,) of the model's results, infinite where they failed.
        data: What it was made of.
    """

    settled: Posterior
    posterior: Posterior
    expected: Array
    data: Data


def surrogate_of(
    memory: Memory, pending: Sequence[Result], *, chance: bool = True
) -> Surrogate | None:
    """Return the model of a memory's results, None if these are too few or all alike.

    Args:
        memory: The results.
        pending: Configurations under way.
        chance: Whether the chance that there is a score is modelled too.
    """
    model = memory.model() if len(memory.results) > 1 else None
    if model is None:
        return None
    factor, data, failed = model
    targets = _targets(factor, data, failed)[:, : 2 if chance else 1]
    settled = posterior_of(factor, targets)
    expected = settled.smoothed(targets)[:, 0]
    expected[failed] = np.inf
    for result in pending:
        believed = settled.mean(result.row[None, :])
        believed[0, 0] = max(believed[0, 0], expected.min())  # what runs is no reason to crowd
        factor, targets = factor.appended(result.row, 1.0), np.vstack([targets, believed])
    return Surrogate(settled, posterior_of(factor, targets), expected, data)


def _targets(factor: Factor, data: Data, failed: NDArray[np.bool_]) -> Array:
    """Return the standardised scores and, if something failed, whether there is one (n, 1 or 2).

    A failure is believed to have had the score that the others let expect.
    """
    z: Array = standardised(data.scores, np.array([factor.kernel.hyper.exponent]))[0][0]
    if not failed.any():
        return z[:, None]
    scores = np.full(len(failed), z.max())
    scores[~failed] = z
    others = factor_of(factor.kernel, factor.rows[~failed], data.counts)
    if others is not None:
        scores[failed] = posterior_of(others, z[:, None]).mean(factor.rows[failed])[:, 0]
    return np.column_stack([scores, np.where(failed, -1.0, 1.0)])
