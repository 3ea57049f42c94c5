"""A batched quasi-Newton search for minima in a box.

Every start has its own dense inverse Hessian (BFGS) and step length; one call of the objective
serves all starts, so that few starts of few dimensions cost little more than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytest_hypersearch.search.gp.encode import Array

_SHRINK: Final = 0.3
_SHORTEST: Final = 1e-4
_DECREASE: Final = 1e-4
_CATCHING_UP: Final = 0.1  # share of its lag that a start must make up in a step
_FLAT: Final = 1e-14


def descend(
    objective: Callable[[Array], tuple[Array, Array]],
    start: Array,
    low: Array,
    high: Array,
    *,
    scale: Array,
    longest: float,
    steps: int,
    tolerance: float,
) -> tuple[Array, Array]:
    """Return points (k, c) of small objective, and their values (k,), found from the starts.

    Args:
        objective: From points (k, c) to values (k,) and gradients (k, c).
        start: Where to begin (k, c).
        low: Lower bounds (c,).
        high: Upper bounds (c,).
        scale: Squares of the lengths over which the objective bends (c,), up to a factor.
        longest: Largest change of a coordinate in one step.
        steps: Most calls of the objective, besides the first.
        tolerance: A start rests when a step gains less, or little of what the best is ahead.
    """
    x = np.minimum(np.maximum(start, low), high)
    value, slope = objective(x)
    count = len(start)
    metric = np.repeat(np.diag(scale)[None], count, axis=0)
    length, fresh = np.ones(count), np.ones(count, dtype=bool)
    moving = np.ones(count, dtype=bool)
    for _ in range(steps):
        held = np.minimum(np.maximum(x - slope, low), high) == x
        way = _direction(metric, np.where(held, 0.0, slope), held, longest)
        trial = np.minimum(np.maximum(x + length[:, None] * way, low), high)
        trial_value, trial_slope = objective(trial)
        step, bend = trial - x, trial_slope - slope
        better = moving & (trial_value <= value + _DECREASE * _dot(step, slope))
        metric, fresh = _updated(metric, fresh, step, bend)
        worth = np.maximum(tolerance, _CATCHING_UP * (trial_value - value.min()))
        moving &= np.where(better, value - trial_value > worth, length > _SHORTEST)
        length = np.where(better, 1.0, length * _SHRINK)
        value = np.where(better, trial_value, value)
        np.copyto(x, trial, where=better[:, None])
        np.copyto(slope, trial_slope, where=better[:, None])
        if not moving.any():
            break
    return x, value


def _dot(a: Array, b: Array) -> Array:
    """Return the inner products (k,) of vectors (k, c)."""
    product: Array = np.add.reduce(a * b, axis=1)
    return product


def _direction(metric: Array, slope: Array, held: NDArray[np.bool_], longest: float) -> Array:
    """Return the quasi-Newton step (k, c) among coordinates that do not push against an end."""
    way = np.where(held, 0.0, (metric @ slope[:, :, None])[:, :, 0])
    way *= -1.0
    uphill = _dot(way, slope) > 0
    if uphill.any():
        way = np.where(uphill[:, None], -slope, way)
    reach = np.maximum.reduce(np.abs(way), axis=1, initial=longest)
    way *= (longest / reach)[:, None]
    return way


def _updated(
    metric: Array, fresh: NDArray[np.bool_], step: Array, bend: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the inverse Hessians after BFGS updates where the curvature is positive."""
    curvature = _dot(step, bend)
    good = np.isfinite(curvature) & (curvature > _FLAT)
    safe = np.where(good, curvature, 1.0)
    first = good & fresh
    if first.any():
        square = _dot(bend, (metric @ bend[:, :, None])[:, :, 0])
        factor = np.where(first, safe / np.where(first, square, 1.0), 1.0)
        metric = metric * factor[:, None, None]
    bent = (metric @ bend[:, :, None])[:, :, 0]
    weight = (1.0 + _dot(bend, bent) / safe) / safe
    bent /= safe[:, None]
    changed = metric + step[:, :, None] * (weight[:, None] * step - bent)[:, None, :]
    changed -= bent[:, :, None] * step[:, None, :]
    return np.where(good[:, None, None], changed, metric), fresh & ~good
