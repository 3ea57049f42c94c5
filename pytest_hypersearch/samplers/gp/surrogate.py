"""One metric's Gaussian process as a suggestion needs it: pending configurations believed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_hypersearch.samplers.gp.fit import Data, standardised
from pytest_hypersearch.samplers.gp.posterior import Factor, factor_of, posterior_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_hypersearch.samplers.gp.encode import Array
    from pytest_hypersearch.samplers.gp.memory import Memory, Result
    from pytest_hypersearch.samplers.gp.posterior import Posterior


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A model of one metric.

    Attributes:
        settled: What the finished configurations let expect; a second target, if there were
            failures whose chance is wanted, is 1 where there is a score and -1 where there is none.
        posterior: The same, as if pending configurations had scored what is expected of them.
        expected: Expected scores (n,) of the model's results, infinite where they failed.
        data: What it was made of.
    """

    settled: Posterior
    posterior: Posterior
    expected: Array
    data: Data


def surrogate_of(
    memory: Memory, pending: Sequence[Result], *, chance: bool = True
) -> Surrogate | None:
    """Return the model of a memory's results, None if these are too few or all alike.

    Args:
        memory: The results.
        pending: Configurations under way.
        chance: Whether the chance that there is a score is modelled too.
    """
    model = memory.model() if len(memory.results) > 1 else None
    if model is None:
        return None
    factor, data, failed = model
    targets = _targets(factor, data, failed)[:, : 2 if chance else 1]
    settled = posterior_of(factor, targets)
    expected = settled.smoothed(targets)[:, 0]
    expected[failed] = np.inf
    for result in pending:
        believed = settled.mean(result.row[None, :])
        believed[0, 0] = max(believed[0, 0], expected.min())  # what runs is no reason to crowd
        factor, targets = factor.appended(result.row, 1.0), np.vstack([targets, believed])
    return Surrogate(settled, posterior_of(factor, targets), expected, data)


def _targets(factor: Factor, data: Data, failed: NDArray[np.bool_]) -> Array:
    """Return the standardised scores and, if something failed, whether there is one (n, 1 or 2).

    A failure is believed to have had the score that the others let expect.
    """
    z: Array = standardised(data.scores, np.array([factor.kernel.hyper.exponent]))[0][0]
    if not failed.any():
        return z[:, None]
    scores = np.full(len(failed), z.max())
    scores[~failed] = z
    others = factor_of(factor.kernel, factor.rows[~failed], data.counts)
    if others is not None:
        scores[failed] = posterior_of(others, z[:, None]).mean(factor.rows[failed])[:, 0]
    return np.column_stack([scores, np.where(failed, -1.0, 1.0)])
