"""Steps in scores over runs: at which run they became worse or better.

Binary segmentation (A. J. Scott, M. Knott, A cluster analysis method for grouping means in the
analysis of variance, Biometrics 30, 1974): a series is split where the means before and after
differ most (CUSUM), as long as that difference is significant. It is tested with the seed as the
unit, as in a gate: by a paired t-test over the seeds' differences, at a level divided by the number
of places where the series could be split. A handful of runs is enough, since their number is not
what the test draws its strength from.

Symbols; lower scores are better:
    Y        (r, n)  scores of r runs over n seeds, the mean over the judged configurations
    d        (n,)    difference of each seed, the mean after a split less that before
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.goals import ALPHA
from pytest_hypersearch.core.values import mean, std
from pytest_hypersearch.stats.gate import EQUAL, LEAST_SEEDS


@frozen
class Step:
    """A change of scores at a run.

    Attributes:
        start: Index of the first run before it that is like the last one before it.
        run: Index of the first run after it.
        end: One more than the index of the last run that is like it.
        loss: By how much scores became worse; negative if they became better.
        low: Lower end of its 95% confidence interval.
        high: Upper end.
        p: Two-sided p-value, corrected for the number of runs at which a step could have been.
    """

    start: int
    run: int
    end: int
    loss: float
    low: float
    high: float
    p: float


def steps(runs: Sequence[Sequence[float]], tolerance: float = 0.0) -> list[Step]:
    """Find where scores changed, in the order of the runs.

    Args:
        runs: Y, the oldest run first.
        tolerance: The largest change that does not matter.
    """
    return [*_split(runs, 0, len(runs), tolerance)]


def _split(
    runs: Sequence[Sequence[float]], start: int, end: int, tolerance: float
) -> Iterator[Step]:
    """Yields the steps between two runs."""
    if end - start < 2 or len(runs[start]) < LEAST_SEEDS:  # noqa: PLR2004 - nothing to split
        return
    at = max(range(start + 1, end), key=lambda at: _contrast(runs, start, at, end))
    step = _step(runs, start, at, end)
    if abs(step.loss) > tolerance and step.p <= ALPHA:
        yield from _split(runs, start, at, tolerance)
        yield step
        yield from _split(runs, at, end, tolerance)


def _differences(runs: Sequence[Sequence[float]], start: int, at: int, end: int) -> Sequence[float]:
    """Returns d for a split."""
    sides = ([*zip(*part, strict=True)] for part in (runs[start:at], runs[at:end]))
    return [mean(later) - mean(earlier) for earlier, later in zip(*sides, strict=True)]


def _contrast(runs: Sequence[Sequence[float]], start: int, at: int, end: int) -> float:
    weight = math.sqrt((at - start) * (end - at))
    return weight * abs(mean(_differences(runs, start, at, end)))


def _step(runs: Sequence[Sequence[float]], start: int, at: int, end: int) -> Step:
    from scipy.special import stdtr, stdtrit

    d = _differences(runs, start, at, end)
    n, loss, scale = len(d), mean(d), max(abs(score) for run in runs for score in run)
    error = (std(d) or 0.0) / math.sqrt(n)
    if error <= EQUAL * scale:  # every seed differs by the same
        return Step(start, at, end, loss, loss, loss, float(abs(loss) <= EQUAL * scale))
    half = error * float(stdtrit(n - 1, 0.975))
    p = 2 * float(stdtr(n - 1, -abs(loss) / error))
    return Step(start, at, end, loss, loss - half, loss + half, min(1.0, p * (end - start - 1)))
