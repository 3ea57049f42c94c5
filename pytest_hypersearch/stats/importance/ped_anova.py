"""PED-ANOVA: what tells the best configurations from all, one parameter at a time.

The values of a parameter among the best tenth and among all configurations are two densities on a
grid, each a Parzen estimate with Scott's bandwidth; their Pearson divergence is the variance that
the parameter alone gives to being among the best (Watanabe et al., PED-ANOVA: efficiently
quantifying hyperparameter importance in arbitrary subspaces, IJCAI 2023, arXiv 2304.10255). What
only some branches have is compared within these, weighted by how many of the best and of all
configurations these hold (Conditional PED-ANOVA, arXiv 2601.20800).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pytest_hypersearch.core.space import Distribution, Space
from pytest_hypersearch.core.space.choices import Choice, label_text
from pytest_hypersearch.core.space.numeric import Integer, Real
from pytest_hypersearch.core.trial import Config, Raw
from pytest_hypersearch.search.gp.encode import Array

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
