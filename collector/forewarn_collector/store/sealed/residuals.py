"""Columns of integers as what is left of them when their course is foretold, and back.

Of three courses (the first value, the value before, the same step again) the one that leaves the
fewest bits is taken; a column that follows its course leaves nothing. All arithmetic wraps around
at 64 bits, so every integer is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Ints
from forewarn_collector.store.sealed.decimals import Bytes
from forewarn_collector.store.spans import repeated

Unsigned = NDArray[np.uint64]

_LIMITS: Unsigned = np.array([1 << (8 * width) for width in range(8)], dtype=np.uint64)
_ORDERS = 3
_LARGEST_UNIT = 1 << 62


@dataclass(frozen=True, slots=True)
class Courses:
    """What a column's residuals are added to; all are [columns].

    `bases` are the first integers, `steps` (int64) the first differences where `orders` (uint8) is
    2, `units` (int64) what the residuals are multiples of.
    """

    bases: Ints
    steps: Ints
    units: Ints
    orders: Bytes


def to_residuals(
    integers: Ints, offsets: Ints, small: NDArray[np.bool_]
) -> tuple[Courses, Bytes, Unsigned]:
    """Columns of at least one integer each: their courses, widths and residuals.

    `widths: uint8[columns]` are the bytes that a column's residuals need: 0 to 8. Integers of
    columns that are `small` lie within 2**53 about zero.
    """
    starts, counts = offsets[:-1], np.diff(offsets)
    bases = integers[starts]
    second = starts[counts > 1] + 1
    steps = np.zeros(len(counts), dtype=np.int64)
    from_last = np.diff(integers, prepend=integers[:1])
    from_last[starts] = 0
    steps[counts > 1] = from_last[second]
    of_steps = np.diff(from_last, prepend=from_last[:1])
    of_steps[starts] = 0
    of_steps[second] = 0
    residuals = integers - repeated(bases, counts)
    costs = np.stack([_cost(each, starts) for each in (residuals, from_last, of_steps)])
    orders = np.argmin(costs, axis=0).astype(np.uint8)
    chosen = repeated(orders.astype(np.int64), counts)
    np.copyto(residuals, from_last, where=chosen == 1)
    np.copyto(residuals, of_steps, where=chosen == 2)
    steps[orders != _ORDERS - 1] = 0
    units = _units(residuals, starts, counts, small)
    if (units > 1).any():
        residuals //= repeated(units, counts)
    folded = _zigzag(residuals)
    widths = np.searchsorted(_LIMITS, np.maximum.reduceat(folded, starts), "right")
    return Courses(bases, steps, units, orders), widths.astype(np.uint8), folded


def to_integers(folded: Unsigned, offsets: Ints, courses: Courses) -> Ints:
    """The integers that `to_residuals` was given."""
    counts = np.diff(offsets)
    filled = counts > 0
    starts = offsets[:-1][filled]
    integers = (folded >> np.uint64(1)).view(np.int64) ^ -(folded & np.uint64(1)).view(np.int64)
    if (courses.units != 1).any():
        integers *= repeated(courses.units, counts)
    twice = courses.orders == 2
    if twice.any():
        chosen = repeated(twice.astype(np.int64), counts).astype(bool)
        summed = _running(np.where(chosen, integers, 0), starts, counts[filled])
        summed += repeated(courses.steps, counts)
        summed[starts] = 0
        np.copyto(integers, summed, where=chosen)
    once = courses.orders >= 1
    if once.all():
        integers = _running(integers, starts, counts[filled])
    elif once.any():
        chosen = repeated(once.astype(np.int64), counts).astype(bool)
        summed = _running(np.where(chosen, integers, 0), starts, counts[filled])
        np.copyto(integers, summed, where=chosen)
    integers += repeated(courses.bases, counts)
    return integers


def _running(integers: Ints, starts: Ints, counts: Ints) -> Ints:
    # Running sums that begin anew in each column; the first of each is 0.
    sums: Ints = np.cumsum(integers)
    sums -= repeated(sums[starts], counts)
    return sums


def _zigzag(integers: Ints) -> Unsigned:
    return ((integers << 1) ^ (integers >> 63)).view(np.uint64)


def _cost(residuals: Ints, starts: Ints) -> NDArray[np.int64]:
    # About the bits that a column's residuals hold.
    bits = np.frexp(_zigzag(residuals).astype(np.float64))[1]
    costs: NDArray[np.int64] = np.add.reduceat(bits.astype(np.int64), starts)
    return costs


def _units(residuals: Ints, starts: Ints, counts: Ints, small: NDArray[np.bool_]) -> Ints:
    # The greatest common divisor, as memory that comes in pages has; of bits, a power of two.
    joined = np.bitwise_or.reduceat(residuals, starts)
    units: Ints = np.minimum((joined & -joined).view(np.uint64), _LARGEST_UNIT).astype(np.int64)
    units[joined == 0] = 1
    numbers = small & (joined != 0)
    if numbers.any():
        sizes = np.where(
            repeated(numbers.astype(np.int64), counts).astype(bool), np.abs(residuals), 0
        )
        units[numbers] = np.gcd.reduceat(sizes, starts)[numbers]
    return units
