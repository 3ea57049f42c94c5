"""How much each parameter matters for the score. Importing this package imports no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.space import Space
    from pytest_hypersearch.trial import Config

__all__ = ["FEWEST", "Importance", "Method", "importance"]

FEWEST: Final = 10
"""Complete configurations below which nothing can be said."""

Method: TypeAlias = Literal["total", "ped-anova"]


@dataclass(frozen=True, slots=True)
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
        ValueError: There are fewer than 10 configurations, or their scores are all alike.
    """
    if len(configs) < FEWEST:
        raise ValueError(f"importance needs at least {FEWEST} complete configurations")
    if min(scores) == max(scores):
        raise ValueError("importance needs scores that differ")
    from pytest_hypersearch.importance.subsets import over_subsets
    from pytest_hypersearch.samplers.gp.threads import one_thread

    with one_thread():
        shares, spreads = over_subsets(space, configs, scores, method=method, seed=seed)
    found = [
        Importance(name, share, spread, sum(name in config for config in configs))
        for name, share, spread in zip(space.varied, shares, spreads, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: -one.share))
