"""How much each parameter matters, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_hypersearch.importance import importance
from pytest_hypersearch.importance.pools import pools
from pytest_hypersearch.terminal.display import clean
from pytest_hypersearch.terminal.layout import flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.importance import Importance
    from pytest_hypersearch.importance.pools import Pool
    from pytest_hypersearch.results import StudyResults
    from pytest_hypersearch.terminal.display import Look
    from pytest_hypersearch.terminal.layout import Line

_SHOWN = 6


def importances(results: StudyResults, look: Look) -> list[Line]:
    """Says what matters as far as a study's complete configurations tell."""
    lines: list[Line] = []
    judged = pools(results)
    for pool in judged:
        if len(pool.space.varied) < 2:  # noqa: PLR2004 - a single parameter is all that matters
            continue
        try:
            found = importance(pool.space, pool.configs, pool.scores)
        except ValueError:
            continue
        lines += _line(pool, found, look, several=len(judged) > 1)
    return lines


def _line(pool: Pool, found: Sequence[Importance], look: Look, *, several: bool) -> list[Line]:
    sweep = pool.sweeps[0]
    label = "importance"
    if several:
        label += f" in {', '.join(clean(one.name, look) for one in pool.sweeps)}"
    if sweep.others:
        label += f" for {clean(sweep.metric, look)}"
    shown = found if look.verbosity > 0 or len(found) <= _SHOWN else found[: _SHOWN - 1]
    texts = [
        f"{clean(one.parameter, look)} {one.share:.2f} {look.plus_minus}{one.spread:.2f}"
        for one in shown
    ]
    if rest := found[len(shown) :]:
        texts.append(f"{len(rest)} more {sum(one.share for one in rest):.2f}")
    words = [f"{label}:", *(f"{text}," for text in texts[:-1]), texts[-1]]
    return flow(((word, {}) for word in words), look)
