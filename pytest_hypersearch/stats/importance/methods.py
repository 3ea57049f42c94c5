"""Total effects of parameters, PED-ANOVA, and the error of either's shares from parts of the data.

PED-ANOVA tells the best configurations from all, one parameter at a time. The values of a parameter
among the best tenth and among all configurations are two densities on a grid, each a Parzen
estimate with Scott's bandwidth; their Pearson divergence is the variance that the parameter alone
gives to being among the best (Watanabe et al., PED-ANOVA: efficiently quantifying hyperparameter
importance in arbitrary subspaces, IJCAI 2023, arXiv 2304.10255). What only some branches have is
compared within these, weighted by how many of the best and of all configurations these hold
(Conditional PED-ANOVA, arXiv 2601.20800).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pytest_hypersearch.core.space import Distribution, Space
from pytest_hypersearch.core.space.choices import Choice, label_text
from pytest_hypersearch.core.space.numeric import Integer, Real
from pytest_hypersearch.core.trial import Config, Raw
from pytest_hypersearch.search.gp.encode import Array, Branch, Domain, Encoding, encoding_of
from pytest_hypersearch.search.gp.fit import Data, fit, standardised
from pytest_hypersearch.search.gp.regression import Kernel, Posterior, factor_of, posterior_of

_BEST: Final = 0.1
_CELLS: Final = 50
_FEWEST: Final = 2  # configurations of a regime
_TINY: Final = 1e-12
_LEAST_WIDTH: Final = 0.5 / 1.64  # a cell holds 90% of a kernel


def determines_branch(one: Distribution, other: Distribution) -> bool:
    """Tell whether a parameter's value determines which of two branches a configuration is of.

    Such a parameter is one choice, whose options are spread over branches: in
    ``[{"optimizer": ["sgd"], "momentum": ...}, {"optimizer": ["adam"], ...}]`` it is ``optimizer``.
    """
    if not isinstance(one, Choice) or not isinstance(other, Choice):
        return False
    return {*map(label_text, one.labels)}.isdisjoint(map(label_text, other.labels))


def ped_anova(space: Space, configs: Sequence[Config], scores: Array) -> Array:
    """Return the divergence (p,) of each varied parameter.

    Args:
        space: The space.
        configs: Configurations of the space.
        scores: Their scores (n,), lower is better.
    """
    best = scores <= np.partition(scores, last := math.ceil(_BEST * len(scores)) - 1)[last]
    branches = np.array([space.branch_of(config) or 0 for config in configs])
    divergences = np.zeros(len(space.varied))
    for index, name in enumerate(space.varied):
        for entry, members in _regimes(space, name):
            within = np.isin(branches, members)
            values = [configs[i][name] for i in np.flatnonzero(within).tolist()]
            chosen = best[within]
            if entry.size != 1 and len(values) >= _FEWEST and chosen.any():
                weight = (chosen.sum() / best.sum()) ** 2 / (len(values) / len(configs))
                divergences[index] += weight * _divergence(entry, values, chosen)
    return divergences


def _regimes(space: Space, name: str) -> list[tuple[Distribution, list[int]]]:
    """Return a parameter's distributions and the branches that have each.

    Choices that determine the branch are merged.
    """
    branches_of: dict[Distribution, list[int]] = {}
    for index, branch in enumerate(space.branches):
        if name in branch:
            branches_of.setdefault(branch[name], []).append(index)
    regimes: list[tuple[Distribution, list[int]]] = []
    for entry, members in branches_of.items():
        for place, (cover, others) in enumerate(regimes):
            if determines_branch(cover, entry):
                regimes[place] = _joint(cover, entry), [*others, *members]
                break
        else:
            regimes.append((entry, members))
    return regimes


def _joint(*choices: Distribution) -> Choice:
    labels = tuple(raw for each in choices if isinstance(each, Choice) for raw in each.labels)
    return Choice(labels, labels)


def _divergence(entry: Distribution, values: Sequence[Raw], chosen: NDArray[np.bool_]) -> float:
    """Return Pearson's divergence of the chosen values' density from that of all values."""
    cells, size = _cells(entry, values)
    density = _shares if isinstance(entry, Choice) else _smoothed
    best, every = (
        density(np.bincount(some, minlength=size)) + _TINY for some in (cells[chosen], cells)
    )
    return float(every @ (best / every - 1) ** 2)


def _cells(entry: Distribution, values: Iterable[Raw]) -> tuple[NDArray[np.intp], int]:
    """Return the cell of each value on the parameter's grid, and the number of cells."""
    if isinstance(entry, Choice):
        return np.array([entry.position(raw) for raw in values]), entry.size
    size = min(entry.size or _CELLS, _CELLS) if isinstance(entry, (Real, Integer)) else _CELLS
    if isinstance(entry, Integer) and entry.log:
        size = min(math.ceil(math.log2(entry.size)) + 1, _CELLS)
    cells = np.ceil(_along(entry, values) * (size - 1) - 0.5).astype(int)
    return np.clip(cells, 0, size - 1), size


def _along(entry: Distribution, values: Iterable[Raw]) -> Array:
    """Return where values are between the ends of their range, 0 to 1."""
    if not isinstance(entry, (Real, Integer)):
        return np.array([entry.to_unit(raw) for raw in values])
    high = entry.high if entry.size is None else entry.at(entry.size - 1)
    scale = np.log if entry.log else np.asarray
    low, top = scale(float(entry.low)), scale(float(high))
    along: Array = (scale(np.array([*values], dtype=float)) - low) / (top - low)
    return along


def _shares(counts: NDArray[np.intp]) -> Array:
    """Return the probabilities (k,) of options that were met so often (k,).

    Each configuration is a kernel on its option, with a prior's weight on all.
    """
    met = np.flatnonzero(counts)
    kernels = np.full((len(met) + 1, len(counts)), 1.0 / (len(met) + 1))
    kernels[np.arange(len(met)), met] += 1.0
    return _mixed(kernels / kernels.sum(axis=1, keepdims=True), counts[met])


def _smoothed(counts: NDArray[np.intp]) -> Array:
    """Return the probabilities (k,) of cells that were met so often (k,), kernels being normal."""
    from scipy.special import ndtr

    met, size = np.flatnonzero(counts), len(counts)
    widths = np.append(np.full(len(met), _bandwidth(met, counts[met])), size)
    centres = np.append(met, (size - 1) / 2)
    below = ndtr((np.arange(size + 1) - 0.5 - centres[:, None]) / widths[:, None])
    return _mixed(np.diff(below, axis=1) / (below[:, -1:] - below[:, :1]), counts[met])


def _bandwidth(cells: NDArray[np.intp], weights: NDArray[np.intp]) -> float:
    """Return Scott's bandwidth of cells (k,) met so often (k,)."""
    below = np.cumsum(weights)
    total = int(below[-1])
    centre = cells @ weights / total
    sigma = math.sqrt((cells - centre) ** 2 @ weights / max(1, total - 1))
    lower = int(np.searchsorted(below, total // 4, side="left"))
    upper = int(np.searchsorted(below, total * 3 // 4, side="right"))
    quartiles = float(cells[min(len(cells) - 1, upper)] - cells[lower])
    return max(1.059 * min(quartiles / 1.34, sigma) / math.pow(total, 0.2), _LEAST_WIDTH)


def _mixed(kernels: Array, counts: NDArray[np.intp]) -> Array:
    """Return the mixture (k,) of kernels (c + 1, k) with counts (c,) and 1 for the prior."""
    weights = np.append(counts, 1.0)
    mixture: Array = weights @ kernels / weights.sum()
    return mixture


_DRAWS: Final = 256
_FEWEST_DRAWS: Final = 64


@dataclass(frozen=True, slots=True)
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
    hyper = fit(Data(rows, scores, ones, ones > 0), encoding.categorical)
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
