"""Batched BFGS: quasi-Newton minimisation from several starts within a box.

Every start has its own inverse Hessian and step length; one call of the objective serves all
starts, so that a few starts in few dimensions cost little more than one.

Notation, as in Nocedal & Wright, Numerical Optimization (2006), chapter 6:

    k, c   starts, coordinates
    x      points (k, c)
    f, g   objective (k,) and gradient (k, c) at x
    H      approximations of the inverse Hessian (k, c, c)
    p      search directions (k, c):  p = -H g
    s, y   changes of x and of g in a step (k, c)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pytest_hypersearch.search.gp.encode import Array

_BACKTRACKING: Final = 0.3  # factor on the step length after a step that was refused
_SHORTEST: Final = 1e-4  # step length below which a start gives up
_SUFFICIENT: Final = 1e-4  # c1 of Armijo's condition
_CATCHING_UP: Final = 0.1  # share of its distance to the best start that a start must gain per step
_FLAT: Final = 1e-14


def minimise(
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
    """Return local minima (k, c) reached from the starts, and their values (k,).

    Args:
        objective: From points (k, c) to values (k,) and gradients (k, c).
        start: The starts (k, c).
        low: Lower bounds (c,).
        high: Upper bounds (c,).
        scale: Diagonal (c,) of the initial inverse Hessian, up to a factor: squared length scales
            of the objective.
        longest: Largest change of a coordinate in one step.
        steps: Most calls of the objective, besides the first.
        tolerance: A start stops when a step gains less than this, or less than a tenth of what the
            best start is ahead.
    """
    x = np.minimum(np.maximum(start, low), high)
    f, g = objective(x)
    count = len(start)
    H = np.repeat(np.diag(scale)[None], count, axis=0)
    length, initial = np.ones(count), np.ones(count, dtype=bool)
    active = np.ones(count, dtype=bool)
    for _ in range(steps):
        # Coordinates at a bound that the gradient pushes against are held (Bertsekas, Projected
        # Newton methods, 1982): through H they would bend the direction of the others.
        held = np.minimum(np.maximum(x - g, low), high) == x
        p = _direction(H, np.where(held, 0.0, g), held, longest)
        x_new = np.minimum(np.maximum(x + length[:, None] * p, low), high)
        f_new, g_new = objective(x_new)
        s, y = x_new - x, g_new - g
        accepted = active & (f_new <= f + _SUFFICIENT * _dot(s, g))
        H, initial = _updated(H, initial, s, y)
        least_gain = np.maximum(tolerance, _CATCHING_UP * (f_new - f.min()))
        active &= np.where(accepted, f - f_new > least_gain, length > _SHORTEST)
        length = np.where(accepted, 1.0, length * _BACKTRACKING)
        f = np.where(accepted, f_new, f)
        np.copyto(x, x_new, where=accepted[:, None])
        np.copyto(g, g_new, where=accepted[:, None])
        if not active.any():
            break
    return x, f


def _dot(a: Array, b: Array) -> Array:
    """Return the inner products (k,) of vectors (k, c)."""
    product: Array = np.add.reduce(a * b, axis=1)
    return product


def _direction(H: Array, g: Array, held: NDArray[np.bool_], longest: float) -> Array:
    """Return p = -H g (k, c) without the held coordinates; -g where p would lead uphill."""
    p = np.where(held, 0.0, (H @ g[:, :, None])[:, :, 0])
    p *= -1.0
    uphill = _dot(p, g) > 0
    if uphill.any():
        p = np.where(uphill[:, None], -g, p)
    reach = np.maximum.reduce(np.abs(p), axis=1, initial=longest)
    p *= (longest / reach)[:, None]
    return p


def _updated(
    H: Array, initial: NDArray[np.bool_], s: Array, y: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Return H after the BFGS update where the curvature s^T y is positive.

    H' = H + (1 + y^T H y / s^T y) s s^T / s^T y - (H y s^T + s y^T H) / s^T y

    Before the first update, H is scaled by s^T y / y^T H y, so that its size is the objective's.
    """
    curvature = _dot(s, y)
    valid = np.isfinite(curvature) & (curvature > _FLAT)
    divisor = np.where(valid, curvature, 1.0)
    first = valid & initial
    if first.any():
        yHy = _dot(y, (H @ y[:, :, None])[:, :, 0])
        factor = np.where(first, divisor / np.where(first, yHy, 1.0), 1.0)
        H = H * factor[:, None, None]
    Hy = (H @ y[:, :, None])[:, :, 0]
    weight = (1.0 + _dot(y, Hy) / divisor) / divisor
    Hy /= divisor[:, None]
    updated = H + s[:, :, None] * (weight[:, None] * s - Hy)[:, None, :]
    updated -= Hy[:, :, None] * s[:, None, :]
    return np.where(valid[:, None, None], updated, H), initial & ~valid
