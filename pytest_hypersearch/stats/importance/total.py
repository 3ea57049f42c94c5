"""Total effects of parameters, and the error of shares by either method from parts of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Distribution, Space
from pytest_hypersearch.core.trial import Config
from pytest_hypersearch.search.gp.encode import Array, Branch, Domain, Encoding, encoding_of
from pytest_hypersearch.search.gp.fit import Data, fit, standardised
from pytest_hypersearch.search.gp.regression import Kernel, Posterior, factor_of, posterior_of
from pytest_hypersearch.stats.importance.ped_anova import determines_branch, ped_anova

_DRAWS: Final = 256
_FEWEST_DRAWS: Final = 64


@frozen
class _Expected:
    """Expected scores of one branch.

    Attributes:
        kept: At draws (m,).
        anew: At the same with one parameter drawn anew (m,), by its name.
    """

    kept: Array
    anew: Mapping[str, Array]


def total_effects(
    space: Space, configs: Sequence[Config], scores: Array, rng: np.random.Generator
) -> Array:
    """Return the total effect (p,) of each varied parameter, in variances of a normal score.

    The reference are the distributions of the space, whose branches have equal weight. A parameter
    is judged among the branches that have it; one that determines the branch is drawn anew together
    with the branch, the others keeping their quantiles.

    Args:
        space: The space.
        configs: Configurations of the space.
        scores: Their scores (n,).
        rng: Decides the draws.
    """
    encoding = encoding_of(space)
    rows = np.array([encoding.row(space.branch_of(config) or 0, config) for config in configs])
    model = _model(encoding, rows, normal_scores(scores))
    if model is None:
        return np.zeros(len(space.varied))
    draws = max(_FEWEST_DRAWS, _DRAWS // len(space.branches))
    kept, anew = (_hypercube(rng, draws, space.varied) for _ in range(2))
    expected = [_expected(model, branch, kept, anew) for branch in encoding.branches]
    return np.array([_effect(space, name, expected) for name in space.varied])


def normal_scores(scores: Array) -> Array:
    """Return the normal quantiles (n,) of the ranks of scores (n,); equal scores stay equal."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middles = (np.cumsum(counts) - counts / 2) / len(scores)
    quantile = NormalDist().inv_cdf
    normal: Array = np.array([quantile(middle) for middle in middles.tolist()])[inverse]
    return normal


def _model(encoding: Encoding, rows: Array, scores: Array) -> Posterior | None:
    """Return the Gaussian process of scores (n,) at rows (n, D), None if there is none."""
    ones = np.ones(len(rows))
    hyper, _ = fit(Data(rows, scores, ones, ones > 0), encoding.categorical)
    factor = factor_of(Kernel(hyper, encoding.categorical), rows, ones)
    targets = standardised(scores, np.array([hyper.warp_exponent]))[0].T
    return None if factor is None else posterior_of(factor, targets)


def _hypercube(rng: np.random.Generator, size: int, names: Sequence[str]) -> dict[str, Array]:
    """Return the columns (size,) of a Latin hypercube in the unit cube by parameter."""
    return {name: (rng.permutation(size) + rng.random(size)) / size for name in names}


def _expected(
    model: Posterior, branch: Branch, kept: Mapping[str, Array], anew: Mapping[str, Array]
) -> _Expected:
    """Return what is expected at quantiles, and with one of them replaced after the other."""
    axes = [*zip(branch.names, branch.domains, branch.distributions, strict=True)]
    draws = len(next(iter(kept.values())))
    rows = np.repeat(branch.base[None, :], draws, axis=0)
    for name, domain, entry in axes:
        rows[:, domain.feature] = _placed(domain, entry, kept[name])
    blocks = np.repeat(rows[None], len(axes) + 1, axis=0)
    for block, (name, domain, entry) in zip(blocks, axes, strict=False):
        block[:, domain.feature] = _placed(domain, entry, anew[name])
    means = model.mean(blocks.reshape(-1, rows.shape[1])).reshape(-1, draws)
    return _Expected(means[-1], dict(zip(branch.names, means, strict=False)))


def _placed(domain: Domain, entry: Distribution, quantiles: Array) -> Array:
    """Return the feature's values (m,) at quantiles (m,) of the parameter's distribution."""
    if domain.lattice is None:
        return domain.from_unit(quantiles)
    values = map(entry.from_unit, quantiles.tolist())
    chosen: Array = domain.lattice[[entry.position(raw) for raw in values]]
    return chosen


def _effect(space: Space, name: str, expected: Sequence[_Expected]) -> float:
    """Return half the mean squared change over all ways to draw a parameter anew."""
    having = [
        (branch[name], each)
        for branch, each in zip(space.branches, expected, strict=True)
        if name in branch
    ]
    changes = [each.kept - each.anew.get(name, each.kept) for _, each in having]
    changes += [
        each.kept - other.kept
        for entry, each in having
        for wanted, other in having
        if determines_branch(entry, wanted)
    ]
    return float(np.mean(np.square(changes))) / 2


_PARTS: Final = 3
_MODELLED: Final = 120  # configurations of one Gaussian process


def over_subsets(
    space: Space,
    configs: Sequence[Config],
    scores: Sequence[float],
    *,
    method: Literal["total", "ped-anova"],
    seed: int,
) -> tuple[list[float], list[float]]:
    """Return each varied parameter's share of the effects of all, and the standard error of it.

    As long as one estimate takes all configurations, it does, and the error is the jackknife's
    (Tukey 1958) from leaving out one third after the other. Of more, the mean of estimates from
    three subsets is taken, and the error is their standard deviation.

    Args:
        space: The space.
        configs: Configurations of the space.
        scores: Their scores, lower is better.
        method: How effects are estimated.
        seed: Decides subsets and draws.
    """
    rng, values = np.random.default_rng(seed % 2**64), np.array(scores, dtype=float)

    def shares(chosen: NDArray[np.intp]) -> Array:
        some, judged = [configs[i] for i in chosen], values[chosen]
        if method == "ped-anova":
            effects = ped_anova(space, some, judged)
        else:
            effects = total_effects(space, some, judged, rng)
        return effects / (effects.sum() or 1.0)

    if method == "total" and len(values) > _MODELLED:
        parts = np.array([shares(_subset(values, rng)) for _ in range(_PARTS)])
        return parts.mean(axis=0).tolist(), parts.std(axis=0, ddof=1).tolist()
    order = rng.permutation(len(values))
    parts = np.array([shares(np.delete(order, np.s_[i::_PARTS])) for i in range(_PARTS)])
    return shares(order).tolist(), (parts.std(axis=0) * (_PARTS - 1) ** 0.5).tolist()


def _subset(scores: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return which configurations are modelled: the best, a third of them, and random others."""
    order = np.argsort(scores, kind="stable")
    best, others = np.split(order, [_MODELLED // 3])
    chosen: NDArray[np.intp] = np.append(best, rng.permutation(others)[: _MODELLED - len(best)])
    return chosen
