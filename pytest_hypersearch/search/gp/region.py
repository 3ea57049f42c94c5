"""A second model, of the results around the best one, and proposals among them.

Where the search has closed in on a minimum, most results differ from the best one by far more than
what is still to be gained, and a model of all of them cannot tell the best ones apart: length
scales and the scale of scores are those of the whole space. A model of the nearest results alone,
in coordinates of a box around them, starts anew at their scale, again and again: a trust region
(after Eriksson et al., Scalable global optimization via local Bayesian optimization, NeurIPS 2019)
whose size follows from the results that it is made of.

This is for the digits of continuous parameters. Values on a lattice have none, and a box of a few
steps soon holds nothing that has not been tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.search.gp.acquisition import LogEI
from pytest_hypersearch.search.gp.cache import History, Result, Table, surrogate_of
from pytest_hypersearch.search.gp.encode import Array, Branch, Domain
from pytest_hypersearch.search.gp.optimise import INCUMBENTS, search

_FEW: Final = 8  # continuous parameters, which a model of all results does not need help with
_NOISY: Final = 1e-3  # variance
_NEAREST: Final = 3  # results of the model for each parameter and one more
_FARTHER: Final = 2  # as many results as these, at least
_REACH: Final = 0.5  # half of the box, in distances of the farthest of them from the best one
_NARROWEST: Final = 1e-9


@frozen
class Box:
    """A part of a branch, in whose coordinates ordered features are from 0 to 1; options are held.

    Attributes:
        best: The row (D,) that it is around.
        low: Its lower ends (D,).
        width: Its extents (D,); 1 where nothing varies.
    """

    best: Array
    low: Array
    width: Array

    @classmethod
    def around(cls, best: Array, X: Array, branch: Branch) -> Box:
        """Return the box around the best row (D,) of rows (n, D), within the branch's ranges."""
        low, width = np.zeros(len(best)), np.ones(len(best))
        for domain in _ordered(branch):
            i = domain.feature
            half = max(_REACH * float(np.abs(X[:, i] - best[i]).max()), _NARROWEST)
            low[i] = max(best[i] - half, domain.low)
            width[i] = min(best[i] + half, domain.high) - low[i]
        return cls(best, low, width)

    def inward(self, X: Array) -> Array:
        """Return rows (..., D) in coordinates of the box."""
        rows: Array = (X - self.low) / self.width
        return rows

    def outward(self, X: Array) -> Array:
        """Return rows (..., D) of the box in coordinates of the space."""
        rows: Array = self.low + self.width * X
        return rows

    def part_of(self, branch: Branch) -> Branch:
        """Return what varies in the box, in its coordinates."""
        base = self.inward(self.best)
        domains = tuple(self._part(domain) for domain in _ordered(branch))
        return replace(branch, base=base, domains=domains)

    def _part(self, domain: Domain) -> Domain:
        if domain.lattice is None:
            return replace(domain, low=0.0, high=1.0)
        lattice = (domain.lattice - self.low[domain.feature]) / self.width[domain.feature]
        inside = lattice[(lattice >= 0.0) & (lattice <= 1.0)]
        return replace(domain, low=0.0, high=1.0, lattice=inside)


def nearby(
    history: History,
    pending: Sequence[Result],
    improvement: LogEI,
    best: Result,
    rng: np.random.Generator,
) -> Iterator[tuple[int, Array]]:
    """Yield branches and rows (D,) around the best result in descending order of acquisition.

    There are none where continuous parameters or results are few, or where scores are noisy:
    differences among the best ones would be noise.

    Args:
        history: The results.
        pending: Pending configurations.
        improvement: What a model of all results expects.
        best: The best result.
        rng: Source of all random decisions.
    """
    branch = history.encoding.branches[best.branch]
    # Not by lattices: those of many values are searched as if they were continuous.
    continuous = sum(entry.size is None for entry in branch.distributions)
    noise = improvement.posterior.factor.kernel.hyper.noise_variance
    if continuous <= _FEW or noise > _NOISY:
        return
    ranked, size = _by_distance(history, best), _NEAREST * (len(_ordered(branch)) + 1)
    if len(ranked) < _FARTHER * size:
        return
    nearest = np.sort(ranked[:size])
    box = Box.around(best.x, history.table.X[nearest], branch)
    part = History(history.space, history.encoding, np.inf, robust=False)
    part.results = [_moved(history.results[i], box) for i in nearest]
    part.table = Table.of(part.results, history.encoding.features)
    surrogate = surrogate_of(part, [_moved(each, box) for each in pending])
    if surrogate is None:
        return
    acquisition = LogEI(surrogate.believed, float(surrogate.expected.min()))
    order = np.argsort(surrogate.expected, kind="stable")[:INCUMBENTS]
    incumbents = part.table.X[part.active[order]]
    ((X, _),) = search([box.part_of(branch)], acquisition, [incumbents], rng)
    for x in box.outward(X):
        yield best.branch, x


def _moved(result: Result, box: Box) -> Result:
    return replace(result, x=box.inward(result.x))


def _ordered(branch: Branch) -> list[Domain]:
    return [domain for domain in branch.domains if not domain.categorical]


def _by_distance(history: History, best: Result) -> NDArray[np.intp]:
    """Return the results that have the options of the best one, by distance, without outliers."""
    gaps = history.table.X - best.x
    alike = (gaps[:, history.encoding.categorical] == 0).all(axis=1)
    alike[history.outliers.get(history.fitted, [])] = False
    order = np.argsort((gaps**2).sum(axis=1), kind="stable")
    ranked: NDArray[np.intp] = order[alike[order]]
    return ranked
