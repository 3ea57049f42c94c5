"""Fits and models of a history, kept between suggestions to save time.

The cache never changes what is suggested. Hyperparameters are fitted to the first so many results,
at fixed numbers of results, and training points are appended to the model one by one in between: a
process that begins with a long history computes the very same numbers.

Notation, besides that of `regression` and `fit`:

    N        results of the history, of which n are training points of the model
    y        their scores (N,), NaN without one
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_hypersearch.core.contracts import Observation
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.search.gp.encode import Array, Encoding, encoding_of
from pytest_hypersearch.search.gp.fit import (
    CEILING,
    Data,
    Scale,
    fit,
    scale_of,
    standardised,
    standardised_as,
)
from pytest_hypersearch.search.gp.outliers import are_outliers, robust_fit
from pytest_hypersearch.search.gp.regression import (
    Factor,
    Hyperparameters,
    Kernel,
    Posterior,
    factor_of,
    posterior_of,
)

HUGE: Final = 1e150  # squares of larger scores would overflow
LARGEST_MODEL: Final = 300  # training points of a model
_LARGEST_FIT: Final = 150  # training points of a fit of hyperparameters
_LATEST: Final = 50
_PRUNED_QUANTILE: Final = 0.75
_LEAST_GAP: Final = 1e-3  # of a pruned trial, which is no full one
_NONE: Final = np.zeros(0, dtype=np.intp)
_HISTORIES: Final = 16  # studies of one space that run side by side, times their metrics


@frozen
class Result:
    """A finished configuration of the present space.

    Attributes:
        observation: The observation of it.
        key: The configuration's key.
        branch: Index of the branch that it belongs to.
        x: Its row (D,).
        score: Mean of its scores, NaN without one.
        count: How many scores there are, 1 without one.
        failed: Whether it ended without a score; a pruned one did not fail.
        value: What it reported last if it was pruned, NaN otherwise.
        step: Where it reported that.
    """

    observation: Observation
    key: str
    branch: int
    x: Array
    score: float
    count: float
    failed: bool
    value: float
    step: float


class Table(NamedTuple):
    """Results in columns.

    Attributes:
        X: The configurations (N, D).
        y: Means of their scores (N,), NaN without one.
        counts: How many scores there are (N,), 1 without one.
        failed: Which ended without a score (N,).
        values: What pruned ones reported last (N,), NaN for all others.
        steps: Where they reported that (N,).
    """

    X: Array
    y: Array
    counts: Array
    failed: NDArray[np.bool_]
    values: Array
    steps: Array

    @classmethod
    def of(cls, results: Sequence[Result], D: int) -> Table:
        """Return the table of results with so many features."""
        return cls(
            np.array([result.x for result in results]).reshape(len(results), D),
            np.array([result.score for result in results]),
            np.array([result.count for result in results]),
            np.array([result.failed for result in results], dtype=bool),
            np.array([result.value for result in results]),
            np.array([result.step for result in results]),
        )

    def followed_by(self, other: Table) -> Table:
        """Return this table and then another."""
        return Table(*(np.concatenate(columns) for columns in zip(self, other, strict=True)))


@dataclass(slots=True)
class History:
    """Results and fits of one history.

    Attributes:
        space: The space.
        encoding: Its encoding.
        ceiling: What bad scores are cut to, in spreads from the centre.
        robust: Whether outliers among the scores count as failures.
        observations: All finished ones so far.
        results: Those of the present space.
        table: The same in columns.
        keys: Keys of the results.
        hypers: Hyperparameters by the number of results that they were fitted to.
        outliers: Which results are outliers, by the same.
        active: Which results the training points are (n,).
        factor: The model's factor.
        fitted: The number of results that its hyperparameters were fitted to.
    """

    space: Space
    encoding: Encoding
    ceiling: float = CEILING
    robust: bool = True
    observations: list[Observation] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    table: Table = field(init=False)
    keys: set[str] = field(default_factory=set)
    hypers: dict[int, Hyperparameters] = field(default_factory=dict)
    outliers: dict[int, NDArray[np.intp]] = field(default_factory=dict)
    active: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    factor: Factor | None = None
    fitted: int = 0

    def __post_init__(self) -> None:
        """Begin without results."""
        self.table = Table.of([], self.encoding.features)

    def is_start_of(self, finished: Sequence[Observation]) -> bool:
        """Tell whether finished observations begin with those of this history."""
        return len(finished) >= len(self.observations) and all(
            old is new or old == new for old, new in zip(self.observations, finished, strict=False)
        )

    def extend(self, finished: Sequence[Observation]) -> None:
        """Add those of the finished observations that this history does not have yet."""
        new = finished[len(self.observations) :]
        results = [result for result in map(self.result, new) if result is not None]
        self.observations.extend(new)
        if results:
            self.results.extend(results)
            self.keys.update(result.key for result in results)
            self.table = self.table.followed_by(Table.of(results, self.encoding.features))

    def result(self, observation: Observation) -> Result | None:
        """Return an observation as a result, None if it is not of this space."""
        branch = self.space.branch_of(observation.params)
        if branch is None:
            return None
        scores = np.clip(observation.scores, -HUGE, HUGE)
        pruned = observation.state is State.PRUNED and not len(scores)
        reported = pruned and observation.reports and np.isfinite(observation.reports[-1][1])
        step, value = observation.reports[-1] if reported else (np.nan, np.nan)
        return Result(
            observation,
            self.space.key(observation.params),
            branch,
            self.encoding.row(branch, observation.params),
            float(scores.mean()) if len(scores) else np.nan,
            float(max(len(scores), 1)),
            not len(scores) and not pruned,
            float(np.clip(value, -HUGE, HUGE)),
            step,
        )

    def model(self) -> tuple[Factor, Data, NDArray[np.bool_]] | None:
        """Return the model's factor, the scores of its points, and which of them (n,) failed.

        Outliers failed, too. There is none while all scores are equal.
        """
        count = len(self.results)
        start = refit_point(count)
        hyper = self.hypers.get(start) or self._fit(start)
        if hyper is None:
            return None
        if self.factor is None or self.fitted != start:
            kernel = Kernel(hyper, self.encoding.categorical)
            self.active = training_subset(self.table.y[:start], LARGEST_MODEL)
            X, counts = self.table.X[self.active], self.table.counts[self.active]
            gaps = self._gaps(start, self.active)
            self.factor, self.fitted = factor_of(kernel, X, counts, gaps), start
        if self.factor is not None:
            new = np.arange(self.active[-1] + 1, count)
            for i, gap in zip(new, self._gaps(start, new).tolist(), strict=True):
                self.factor = self.factor.appended(self.table.X[i], self.table.counts[i], gap)
            self.active = np.append(self.active, new)
        if self.factor is None:
            return None
        outliers = self._outliers(start, self.factor.kernel)
        data = self._data(count, self.active, outliers)
        failed = self.table.failed[self.active] | np.isin(self.active, outliers)
        return None if data is None else (self.factor, data, failed)

    def standardised_levels(self, scores: Array, data: Data) -> Array:
        """Return scores (m,) on the scale of z of the model, whose training data these are."""
        scale = self._scale(len(self.results))
        if scale is None or self.factor is None:
            return np.zeros(len(scores))
        exponent = self.factor.kernel.hyper.warp_exponent
        return standardised_as(data.t, scale.apply(scores), exponent)

    def _fit(self, count: int) -> Hyperparameters | None:
        active = training_subset(self.table.y[:count], _LARGEST_FIT)
        data = self._data(count, active)
        if data is None:
            return None
        if self.robust:
            self.hypers[count], outlying = robust_fit(data, self.encoding.categorical)
            self.outliers[count] = active[~self.table.failed[active]][outlying]
        else:
            self.hypers[count], _ = fit(data, self.encoding.categorical)
        return self.hypers[count]

    def _outliers(self, start: int, kernel: Kernel) -> NDArray[np.intp]:
        """Return which results are outliers: of those of the fit, and of all others by it."""
        outliers = self.outliers.get(start, _NONE)
        if not len(outliers):
            return outliers
        fitted = training_subset(self.table.y[:start], _LARGEST_FIT)
        others = np.setdiff1d(self.active, fitted)
        others = others[~self.table.failed[others]]
        count = len(self.results)
        data, rest = self._data(count, fitted, outliers), self._data(count, others)
        if data is None or rest is None:
            return outliers
        return np.append(outliers, others[are_outliers(data, rest, kernel)])

    def _gaps(self, count: int, which: NDArray[np.intp]) -> Array:
        """Return which shares of a full trial some results did not run, 0 unless they were pruned.

        From the first to the last step that the complete ones of the first so many results
        reported, a trial is full; all of it is missing while there is none.
        """
        steps = self.table.steps[which]
        if np.isnan(steps).all():
            return np.zeros(len(which))
        ends = [
            step
            for each in self.results[:count]
            if each.observation.scores
            for step, _ in (*each.observation.reports[:1], *each.observation.reports[-1:])
        ]
        first, last = min(ends, default=0.0), max(ends, default=0.0)
        left = (last - steps) / (last - first) if last > first else np.ones(len(steps))
        return np.where(np.isnan(steps), 0.0, np.clip(left, _LEAST_GAP, 1.0))

    def _values(self, count: int) -> Array:
        """Return the first so many scores, with the last values of pruned ones in their place."""
        values = self.table.values[:count]
        return np.where(np.isnan(values), self.table.y[:count], values)

    def _scale(self, count: int) -> Scale | None:
        """Return the scale of the first so many values, None if all are equal or none a score."""
        if np.isnan(self.table.y[:count]).all():
            return None
        y = self._values(count)
        return scale_of(y[~np.isnan(y)], self.ceiling)

    def _data(
        self, count: int, active: NDArray[np.intp], outliers: NDArray[np.intp] = _NONE
    ) -> Data | None:
        """Return the training data without failures and outliers, None if all scores are equal.

        Pruned configurations that did not report count as bad as the upper quartile.
        """
        y = self._values(count)
        measured = ~np.isnan(y)
        scale = self._scale(count)
        if scale is None:
            return None
        t = scale.apply(y)
        if not measured.all():
            t = np.where(measured, t, np.quantile(t[measured], _PRUNED_QUANTILE))
        active = active[~self.table.failed[active] & ~np.isin(active, outliers)]
        counts = self.table.counts[active]
        gaps = self._gaps(count, active)
        repeated = (self.results[i].observation.scores for i in active[counts > 1])
        groups = [scale.apply(np.array(scores)) for scores in repeated]
        return Data(
            X=self.table.X[active],
            t=t[active],
            counts=counts,
            measured=measured[active],
            gaps=gaps if gaps.any() else None,
            within=float(sum(((group - group.mean()) ** 2).sum() for group in groups)),
            freedom=sum(len(group) - 1 for group in groups),
        )


@lru_cache(maxsize=16)
def histories_of(space: Space) -> list[History]:  # noqa: ARG001 - the cache's key
    """Return the cached histories of a space, the latest used first."""
    return []


def history_of(
    space: Space,
    finished: Sequence[Observation],
    ceiling: float = CEILING,
    *,
    robust: bool = True,
) -> History:
    """Return the history of finished observations, whose bad scores are cut at a ceiling.

    Args:
        space: The space.
        finished: The observations.
        ceiling: Where bad scores are cut, in spreads from the centre.
        robust: Whether outliers count as failures.
    """
    kept = histories_of(space)
    alike = (h for h in kept if (h.ceiling, h.robust) == (ceiling, robust))
    fitting = [h for h in alike if h.is_start_of(finished)]
    if fitting:
        history = max(fitting, key=lambda history: len(history.observations))
    else:
        history = History(space, encoding_of(space), ceiling, robust)
    kept[:] = [history, *(h for h in kept if h is not history)][:_HISTORIES]
    history.extend(finished)
    return history


def refit_point(count: int) -> int:
    """Return how many of so many results the hyperparameters are fitted to.

    All up to 15, then the multiples of 2, 4, 8, ..., each from 8 times itself on.
    """
    stride = 1 << max(0, count.bit_length() - 4)
    return count - count % stride


def training_subset(y: Array, size: int) -> NDArray[np.intp]:
    """Return which results are training points, in ascending order, the last one among them.

    Where there are more than ``size``, these are the best third, the latest, and for the rest
    results spread evenly over the history.
    """
    count = len(y)
    if count <= size:
        return np.arange(count)
    best = np.argsort(np.where(np.isnan(y), np.inf, y), kind="stable")[: size // 3]
    kept = {*best.tolist(), *range(count - _LATEST, count)}
    rest = [i for i in range(count) if i not in kept]
    spread = np.linspace(0, len(rest) - 1, size - len(kept)).astype(int)
    return np.array(sorted({*kept, *(rest[i] for i in spread)}))


@frozen
class Surrogate:
    """A model of one metric.

    Attributes:
        finished: The posterior given the finished configurations; a second target, if there were
            failures whose probability is wanted, is 1 where there is a score and -1 where there is
            none.
        believed: The same, as if pending configurations had scored what is expected of them.
        expected: Posterior mean (n,) at the training points, infinite where they have no score;
            the score itself of outliers.
        data: The training data.
    """

    finished: Posterior
    believed: Posterior
    expected: Array
    data: Data


def surrogate_of(
    history: History, pending: Sequence[Result], *, failures: bool = True
) -> Surrogate | None:
    """Return the model of a history's results, None if these are too few or all equal.

    A pending configuration is believed to score the posterior mean (the "kriging believer" of
    Ginsbourger, Le Riche & Carraro, 2010), but no better than the best expected score: the search
    would crowd around a success that is only hoped for.

    Args:
        history: The results.
        pending: Pending configurations.
        failures: Whether the probability that there is a score is modelled too.
    """
    model = history.model() if len(history.results) > 1 else None
    if model is None:
        return None
    factor, data, failed = model
    Z = _targets(factor, data, failed)[:, : 2 if failures else 1]
    finished = posterior_of(factor, Z)
    expected = finished.smoothed(Z)[:, 0]
    outlying = failed & ~history.table.failed[history.active]
    scores = history.table.y[history.active[outlying]]
    expected[failed | (factor.gaps > 0)] = np.inf
    expected[outlying] = history.standardised_levels(scores, data)
    for result in pending:
        z = finished.mean(result.x[None, :])
        z[0, 0] = max(z[0, 0], expected.min())
        factor, Z = factor.appended(result.x, 1.0), np.vstack([Z, z])
    return Surrogate(finished, posterior_of(factor, Z), expected, data)


def _targets(factor: Factor, data: Data, failed: NDArray[np.bool_]) -> Array:
    """Return the standardised scores and, if something failed, whether there is one (n, 1 or 2).

    The score of a failure is imputed by the posterior mean given the others.
    """
    z: Array = standardised(data.t, np.array([factor.kernel.hyper.warp_exponent]))[0][0]
    if not failed.any():
        return z[:, None]
    scores = np.full(len(failed), z.max())
    scores[~failed] = z
    others = factor_of(factor.kernel, factor.X[~failed], data.counts, factor.gaps[~failed])
    if others is not None:
        scores[failed] = posterior_of(others, z[:, None]).mean(factor.X[failed])[:, 0]
    return np.column_stack([scores, np.where(failed, -1.0, 1.0)])
