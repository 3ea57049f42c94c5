"""Shares of parameters with their spread: the same estimate from parts of the configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from pytest_hypersearch.stats.importance.ped_anova import ped_anova
from pytest_hypersearch.stats.importance.total import total_effects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_hypersearch.core.space import Space
    from pytest_hypersearch.core.trial import Config
    from pytest_hypersearch.search.gp.encode import Array

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
