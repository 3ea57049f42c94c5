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

    from pytest_hypersearch.samplers.gp.encode import Array

_SHRINK: Final = 0.3
_SHORTEST: Final = 1e-4
_DECREASE: Final = 1e-4
_FLAT: Final = 1e-14


def descend(
    objective: Callable[[Array], tuple[Array, Array]],
    start: Array,
    low: Array,
    high: Array,
    *,
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
        longest: Largest change of a coordinate in one step.
        steps: Most calls of the objective, besides the first.
        tolerance: A start rests when a step gains less.
    """
    count, dimensions = start.shape
    x = np.clip(start, low, high)
    value, slope = objective(x)
    metric = np.repeat(np.eye(dimensions)[None], count, axis=0)
    length, fresh = np.ones(count), np.ones(count, dtype=bool)
    moving = np.ones(count, dtype=bool)
    for _ in range(steps):
        way = _direction(metric, slope, (x <= low, x >= high), longest)
        trial = np.clip(x + length[:, None] * way, low, high)
        trial_value, trial_slope = objective(trial)
        step, bend = trial - x, trial_slope - slope
        promised = np.einsum("ij,ij->i", step, slope)
        better = moving & (trial_value <= value + _DECREASE * promised)
        metric, fresh = _updated(metric, fresh, step, bend)
        moving &= np.where(better, value - trial_value > tolerance, length > _SHORTEST)
        length = np.where(better, 1.0, length * _SHRINK)
        x = np.where(better[:, None], trial, x)
        value = np.where(better, trial_value, value)
        slope = np.where(better[:, None], trial_slope, slope)
        if not moving.any():
            break
    return x, value


def _direction(
    metric: Array,
    slope: Array,
    ends: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    longest: float,
) -> Array:
    """Return the quasi-Newton step (k, c) among coordinates that do not push against an end."""
    held = (ends[0] & (slope > 0)) | (ends[1] & (slope < 0))
    free = np.where(held, 0.0, slope)
    way = -np.einsum("kij,kj->ki", metric, free)
    way[held] = 0.0
    uphill = np.einsum("ij,ij->i", way, free) > 0
    way = np.where(uphill[:, None], -free, way)
    reach = np.abs(way).max(axis=1, initial=_FLAT)
    shortened: Array = way * np.minimum(1.0, longest / reach)[:, None]
    return shortened


def _updated(
    metric: Array, fresh: NDArray[np.bool_], step: Array, bend: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the inverse Hessians after BFGS updates where the curvature is positive."""
    curvature = np.einsum("ij,ij->i", step, bend)
    square = np.einsum("ij,ij->i", bend, bend)
    good = np.isfinite(curvature) & (curvature > _FLAT)
    safe = np.where(good, curvature, 1.0)
    first = good & fresh
    if first.any():
        scale = np.where(first, safe / np.where(first, square, 1.0), 1.0)
        metric = metric * scale[:, None, None]
    bent = np.einsum("kij,kj->ki", metric, bend)
    weight = (1.0 + np.einsum("ij,ij->i", bend, bent) / safe) / safe
    outer = step[:, :, None] * step[:, None, :]
    cross = bent[:, :, None] * step[:, None, :]
    change = weight[:, None, None] * outer
    change -= (cross + cross.transpose(0, 2, 1)) / safe[:, None, None]
    return np.where(good[:, None, None], metric + change, metric), fresh & ~good
