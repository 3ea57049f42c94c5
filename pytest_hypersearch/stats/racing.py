"""Racing: which configurations get further replicates.

Replicate 0 runs for all configurations, each further one only for those that may still come out
best. A race drops configurations by paired tests as F-Race does (M. Birattari et al., A racing
algorithm for configuring metaheuristics, GECCO 2002), but asks of each only whether it would still
overtake the best if all planned replicates were run (curtailment: K. K. G. Lan, R. Simon,
M. Halperin, Stochastically curtailed tests in long-term clinical trials, Commun. Stat. C 1, 1982).
At each look, the chances of those that it drops add up to at most an equal part of `ALPHA`. The
chances are pessimistic, since diverging seeds and uneven noise are the rule in training:
`benchmarks/racing.py` measures what is dropped under such noise.

The verdict on a replicate follows from the scores of those before it alone, so that it is the same
for any number of workers and after any interruption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_FIRST = 2
_NO_SCORE = "a replicate has no score, and others have all"


def raced_out(
    scores: Mapping[int, Sequence[float | None]], *, replicate: int, planned: int
) -> dict[int, str]:
    """Finds the configurations for which a replicate does not run.

    Args:
        scores: Scores of every configuration by replicate, lower is better; None where a trial
            ended without one. All replicates before the one in question must be there, but for
            configurations that were out by then.
        replicate: Index of the replicate in question; scores from it on are passed over.
        planned: Replicates of a configuration that is never out.

    Returns:
        Those that are out, by number, with the reason in one line.
    """
    from pytest_hypersearch.stats.comparing import ALPHA

    out: dict[int, str] = {}
    for known in range(1, replicate + 1):
        left = {number: scores[number][:known] for number in sorted(scores) if number not in out}
        whole, lost = _whole(left)
        if whole:
            out |= {number: _NO_SCORE for number in left if number not in whole}
        if len(whole) > 1 and known - lost >= _FIRST:
            out |= _behind(whole, planned - lost, ALPHA / (planned - _FIRST))
    return out


def _whole(
    left: Mapping[int, Sequence[float | None]],
) -> tuple[dict[int, list[float]], int]:
    """Configurations that have every score that any has, and how many replicates none has."""
    replicates = list(zip(*left.values(), strict=True))
    met = [place for place, row in enumerate(replicates) if any(one is not None for one in row)]
    found = {
        number: [score for place in met if (score := row[place]) is not None]
        for number, row in left.items()
    }
    return {n: row for n, row in found.items() if len(row) == len(met)}, len(replicates) - len(met)


def _behind(table: Mapping[int, Sequence[float]], planned: int, budget: float) -> dict[int, str]:
    """Those that will hardly overtake the best, least likely first, as long as the budget lasts."""
    from pytest_hypersearch.core.values import mean
    from pytest_hypersearch.stats.comparing import chances_of

    numbers = list(table)
    best = min(numbers, key=lambda number: mean(table[number]))
    known = len(table[best])
    chances = chances_of([*table.values()], numbers.index(best), planned=planned)
    out: dict[int, str] = {}
    for chance, number in sorted(zip(chances, numbers, strict=True)):
        if chance > budget:
            break
        budget -= chance
        out[number] = f"behind #{best} after {known} replicates (p = {chance:.2g})"
    return out
