"""How much each parameter matters for the score. Importing this package imports no numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.space import Space
from pytest_hypersearch.core.study import Configuration, signed
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import Config
from pytest_hypersearch.stats.ranking import RankedStudy


@frozen
class Pool:
    """Complete configurations of one or several sweeps.

    Attributes:
        sweeps: The sweeps, all of one objective.
        space: The space of one of them, which has the most of the configurations.
        configs: Those of the configurations that it has, as it writes them.
        scores: Their mean scores; lower is better, whatever the mode.
    """

    sweeps: tuple[Sweep, ...]
    space: Space
    configs: tuple[Config, ...]
    scores: tuple[float, ...]


def pools(study: RankedStudy) -> list[Pool]:
    """Return the pools of a study: its sweeps of one objective over the same parameters.

    Sweeps without a space are left out.
    """
    all_pools = []
    for ranking in study.rankings:
        together: dict[frozenset[str], list[Sweep]] = {}
        for sweep in ranking.sweeps:
            if sweep.space.names:
                together.setdefault(frozenset(sweep.space.names), []).append(sweep)
        all_pools += [_pool(sweeps, ranking.of(*sweeps)) for sweeps in together.values()]
    return all_pools


def _pool(sweeps: Sequence[Sweep], ranked: Sequence[Configuration]) -> Pool:
    spaces = dict.fromkeys(sweep.space for sweep in sweeps)
    space, kept = max(
        ((space, _within(space, ranked, only=len(spaces) == 1)) for space in spaces),
        key=lambda pair: len(pair[1]),
    )
    configs, scores = tuple(config for config, _ in kept), tuple(score for _, score in kept)
    return Pool(tuple(sweeps), space, configs, scores)


def _within(
    space: Space, ranked: Iterable[Configuration], *, only: bool
) -> list[tuple[Config, float]]:
    """Return the configurations that a space has, which all are if it is the only one."""
    rows = []
    for each in ranked:
        try:
            config = each.params if only else space.validate_config(each.params)
        except ValueError:
            continue
        rows.append((config, signed(each.sweep, each.mean)))
    return rows


__all__ = ["FEWEST", "Importance", "Method", "importance"]

FEWEST: Final = 10
"""Complete configurations below which nothing can be said."""

Method: TypeAlias = Literal["total", "ped-anova"]


@frozen
class Importance:
    """How much one parameter matters.

    Attributes:
        parameter: Its name.
        share: Its part of the effects of all parameters, which sum to 1.
        spread: Standard error of the share, from leaving out parts of the configurations.
        n: Configurations judged that have the parameter.
    """

    parameter: str
    share: float
    spread: float
    n: int


def importance(
    space: Space,
    configs: Sequence[Config],
    scores: Sequence[float],
    *,
    method: Method = "total",
    seed: int = 0,
) -> tuple[Importance, ...]:
    """Return the importance of each parameter with more than one value, the largest first.

    ``total`` asks what moves the score anywhere in the space: by how much the expected score
    changes when the parameter alone is drawn anew, interactions included. ``ped-anova`` asks what
    tells the best tenth of configurations from the rest. A parameter that only some branches of
    the space have is judged within these.

    Args:
        space: The space, whose distributions are the reference.
        configs: Complete configurations of the space.
        scores: The mean score of each over its complete replicates; finite, lower is better.
        method: Which of the two.
        seed: Decides subsets and draws; the same arguments give the same result.

    Raises:
        ValueError: There are fewer than 10 configurations, or their scores are all equal.
    """
    if len(configs) < FEWEST:
        raise ValueError(f"importance needs at least {FEWEST} complete configurations")
    if min(scores) == max(scores):
        raise ValueError("importance needs scores that differ")
    from pytest_hypersearch.search.gp import one_thread
    from pytest_hypersearch.stats.importance.total import over_subsets

    with one_thread():
        shares, spreads = over_subsets(space, configs, scores, method=method, seed=seed)
    importances = [
        Importance(name, share, spread, sum(name in config for config in configs))
        for name, share, spread in zip(space.varied, shares, spreads, strict=True)
    ]
    return tuple(sorted(importances, key=lambda each: -each.share))
