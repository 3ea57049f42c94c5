"""Shares of the unit interval for ranges that move in steps."""

from __future__ import annotations

import math
import sys
from functools import lru_cache
from typing import Final

_ROUNDINGS: Final = 8.0  # of the largest number, from a few sums and products
_NARROW: Final = 1e-6  # part of its low end up to which a range's logarithm is taken as straight


def count(low: float, high: float, step: float) -> int:
    """Return how many values ``low + k * step`` there are up to high, rounding errors forgiven."""
    return int((high - low) / step + slack(max(abs(low), abs(high)), step)) + 1


def slack(largest: float, step: float) -> float:
    """Return by which part of a step rounding may move numbers up to the largest."""
    return _ROUNDINGS * sys.float_info.epsilon * largest / step


@lru_cache(maxsize=256)
def decimals(low: float, step: float) -> int:
    """Return how many decimals low and step are written with, so that sums of them print alike."""
    return next((n for n in range(324) if round(low, n) == low and round(step, n) == step), 324)


def pick(u: float, low: float, step: float, size: int, *, log: bool) -> int:
    """Return the position whose share of [0, 1] holds u."""
    if not log or _is_narrow(low, step, size):
        return min(int(u * size), size - 1)
    first, last = _log_edges(low, step, size)
    value = math.exp((1.0 - u) * first + u * last)
    return min(max(math.floor((value - low) / step + 0.5), 0), size - 1)


def centre(position: int, low: float, step: float, size: int, *, log: bool) -> float:
    """Return the middle of a position's share of [0, 1]."""
    if not log or _is_narrow(low, step, size):
        return (2 * position + 1) / (2 * size)
    first, last = _log_edges(low, step, size)
    lower = math.log(low + (position - 0.5) * step) if position else first
    upper = math.log(low + (position + 0.5) * step)
    return ((lower + upper) / 2 - first) / (last - first)


def _is_narrow(low: float, step: float, size: int) -> bool:
    return size * step < _NARROW * low


def _log_edges(low: float, step: float, size: int) -> tuple[float, float]:
    """Return the logarithms of the range, widened by half a step so that its ends get a share."""
    return math.log(low - min(step, low) / 2), math.log(low + (size - 0.5) * step)
