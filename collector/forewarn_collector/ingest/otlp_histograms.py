"""Histograms of OTLP as bounds and counts up to each of them, which is what classic buckets are.

An exponential histogram gets the powers of two for bounds, whatever its scale: every scale from 0
on has them among its own bounds, so no count is split, and the bounds stay when the scale changes.
See docs/adr/015.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

LOWEST, HIGHEST = -32, 63
"""The exponents of the smallest and the largest bound; what lies beyond is counted with them."""
_COARSEST = -11
"""At this scale one bucket holds all numbers that there are."""
_POWERS: Floats = np.exp2(np.arange(LOWEST, HIGHEST + 1, dtype=np.float64))

_MOST_KEPT = 512
"""Buckets, of whose places some are kept: no SDK has more than 160 unless it is told to."""
_NONE: Floats = np.zeros(len(_POWERS) + 1)


@dataclass(frozen=True, slots=True)
class Buckets:
    """`bounds: float64[n]` ascending and finite; `totals: float64[n]` of what is up to each."""

    bounds: Floats
    totals: Floats


NO_BUCKETS = Buckets(np.empty(0), np.empty(0))


def explicit_buckets(bounds: Floats, counts: NDArray[np.uint64]) -> Buckets | str:
    """The buckets of an explicit histogram, or what is wrong with it."""
    if not len(bounds) and len(counts) <= 1:
        return NO_BUCKETS
    if len(counts) != len(bounds) + 1:
        return f"{len(counts)} bucket counts for {len(bounds)} bounds; there must be one more"
    if np.isnan(bounds).any() or not (bounds[1:] > bounds[:-1]).all():
        return "its bounds do not ascend"
    finite = np.isfinite(bounds)
    totals = np.cumsum(counts[:-1], dtype=np.float64)
    return Buckets(bounds[finite], totals[finite])


def exponential_buckets(point: Any) -> Buckets | str:
    """The buckets of an `ExponentialHistogramDataPoint`, or what is wrong with it.

    Bounds reach from below the smallest value to above the largest, and there is always a 0.
    """
    if point.scale < _COARSEST:
        return f"its scale is {point.scale}; {_COARSEST} is the least that has a meaning"
    below, falling = _negative(_by_power(point.negative, point.scale))
    through_zero = float(below[-1] if len(below) else 0.0) + point.zero_count
    rising, above = _positive(_by_power(point.positive, point.scale))
    return Buckets(
        np.concatenate((falling, [0.0], rising)),
        np.concatenate((below[:-1], [through_zero], through_zero + above)),
    )


def _by_power(buckets: Any, scale: int) -> Floats:
    """How many magnitudes are in `(2**(k-1), 2**k]` for each k from `LOWEST` on.

    The first holds those below too, and one more at the end all above.
    """
    if not any(buckets.bucket_counts):
        return _NONE
    counts = np.array(buckets.bucket_counts, dtype=np.float64)
    find = _kept_places if len(counts) <= _MOST_KEPT else _places
    places = find(buckets.offset, len(counts), scale)
    found = np.bincount(places, weights=counts, minlength=len(_POWERS) + 1)
    return found.astype(np.float64, copy=False)


def _places(offset: int, count: int, scale: int) -> Places:
    """Which element of `_by_power` each of so many buckets belongs to."""
    upper = np.arange(count, dtype=np.int64) + (offset + 1)
    # The next power of two from a bucket's upper bound on, which is 2 ** (upper / 2 ** scale).
    powers = -((-upper) >> min(scale, 62)) if scale >= 0 else upper << -scale
    places: Places = np.clip(powers, LOWEST, HIGHEST + 1) - LOWEST
    return places


# Senders keep to an offset and a scale for as long as their range stays.
_kept_places = lru_cache(maxsize=1_024)(_places)


def _positive(counts: Floats) -> tuple[Floats, Floats]:
    """Bounds around the values, and how many positive ones are up to each."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return np.empty(0), np.empty(0)
    low, high = max(int(filled[0]) - 1, 0), min(int(filled[-1]), len(_POWERS) - 1)
    return _POWERS[low : high + 1], np.cumsum(counts)[low : high + 1]


def _negative(counts: Floats) -> tuple[Floats, Floats]:
    """How many negative values are up to each bound, then up to 0; and the bounds, ascending."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return np.empty(0), np.empty(0)
    low, high = max(int(filled[0]) - 1, 0), min(int(filled[-1]), len(_POWERS) - 1)
    # At least as far from 0 as 2**k are those of the buckets above k.
    beyond = np.cumsum(counts[::-1])[::-1]
    return (
        np.concatenate((beyond[low + 1 : high + 2][::-1], [counts.sum()])),
        -_POWERS[low : high + 1][::-1],
    )
