"""What branches of a space have in common, counted without listing it.

A branch's cells are numbered by the positions of their values, the last parameter's changing
fastest. A box is the product of one set of positions for each parameter.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm, prod
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_hypersearch.core.space.distribution import Distribution


Positions: TypeAlias = range | frozenset[int]
Box: TypeAlias = tuple[Positions, ...]

_FEW: Final = 10_000


def shared_cells(
    branch: Mapping[str, Distribution], earlier: Mapping[str, Distribution]
) -> Box | None:
    """Return the box of a branch's cells that an earlier one has too, None if there are none."""
    if branch.keys() != earlier.keys():
        return None
    axes = []
    for name, entry in branch.items():
        axis = _shared_positions(entry, earlier[name])
        if not axis:
            return None
        axes.append(axis)
    return tuple(axes)


def count_below(boxes: Sequence[Box], sizes: Sequence[int], rank: int) -> int:
    """Return how many of a branch's first ``rank`` cells are in one of the boxes or more.

    Args:
        boxes: The boxes.
        sizes: Number of positions of each of the branch's parameters.
        rank: How many cells to look at.
    """
    total = 0
    for number, box in enumerate(boxes):
        again = [_common(box, later) for later in boxes[number + 1 :]]
        total += _below(box, sizes, rank) - count_below([*filter(all, again)], sizes, rank)
    return total


def _shared_positions(entry: Distribution, other: Distribution) -> Positions:
    """Return the positions at which the first of two finite distributions has the other's values.

    Of many values each, which choices never have, the positions make one progression.
    """
    size, others = entry.size or 0, other.size or 0
    if entry == other:
        return range(size)
    if size <= min(others, _FEW):
        return frozenset(i for i in range(size) if other.contains(_at(entry, i)))
    if others <= _FEW:
        values = [_at(other, i) for i in range(others)]
        return frozenset(entry.position(v) for v in values if entry.contains(v))  # type: ignore[union-attr]
    if type(_at(entry, 0)) is not type(_at(other, 0)):
        return range(0)
    return _shared_progression(entry, other)


def _shared_progression(entry: Distribution, other: Distribution) -> range:
    starts = [Fraction(str(_at(each, 0))) for each in (entry, other)]
    steps = [Fraction(str(getattr(each, "step", 1))) for each in (entry, other)]
    unit = lcm(*(number.denominator for number in (*starts, *steps)))
    mine, theirs = (
        range(int(start * unit), int((start + step * (each.size or 0)) * unit), int(step * unit))
        for start, step, each in zip(starts, steps, (entry, other), strict=True)
    )
    both = _meeting(mine, theirs)
    if not both:
        return both
    first, stride = (both.start - mine.start) // mine.step, both.step // mine.step
    return range(first, first + _count(both) * stride, stride)


def _at(entry: Distribution, position: int) -> int | float | str | bool | None:
    return entry.at(position)  # type: ignore[union-attr]


def _common(one: Box, other: Box) -> Box:
    return tuple(_both(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def _both(one: Positions, other: Positions) -> Positions:
    if isinstance(one, range) and isinstance(other, range):
        return _meeting(one, other)
    few, more = (one, other) if isinstance(one, frozenset) else (other, one)
    return frozenset(position for position in few if position in more)


def _meeting(one: range, other: range) -> range:
    """Return what two ascending progressions share (Chinese remainder theorem)."""
    shared = gcd(one.step, other.step)
    if (other.start - one.start) % shared:
        return range(0)
    turns = other.step // shared
    ahead = (other.start - one.start) // shared * pow(one.step // shared, -1, turns) % turns
    stride, first = one.step * turns, one.start + ahead * one.step
    behind = max(one.start, other.start) - first
    first += -(-behind // stride) * stride
    return range(first, max(first, min(one.stop, other.stop)), stride)


def _below(box: Box, sizes: Sequence[int], rank: int) -> int:
    """Return how many of a branch's first ``rank`` cells are in a box."""
    if rank >= prod(sizes):
        return prod(map(_count, box))
    digits = []
    for size in reversed(sizes):
        rank, digit = divmod(rank, size)
        digits.append(digit)
    total, below = 0, prod(map(_count, box))
    for axis, digit in zip(box, reversed(digits), strict=True):
        if not below:
            return total
        below //= _count(axis)
        total += below * _count_under(axis, digit)
        if digit not in axis:
            return total
    return total


def _count(positions: Positions) -> int:
    """Return how many there are, which `len` cannot tell of very long ranges."""
    if isinstance(positions, frozenset):
        return len(positions)
    return max(0, -((positions.start - positions.stop) // positions.step))


def _count_under(positions: Positions, end: int) -> int:
    """Return how many positions are less than ``end``."""
    if isinstance(positions, frozenset):
        return sum(position < end for position in positions)
    return _count(range(positions.start, min(end, positions.stop), positions.step))
