"""Index arithmetic on runs: many `range(start, start + count)` as one array.

Two of numpy's functions hold the interpreter's lock until they are done: `repeat` by an array of
counts, and `cumsum` of bools. Those here do the same and let other threads run.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Ints

Item = TypeVar("Item", np.int64, np.float64)

_SLICE = 32_768
"""Elements that are repeated at once: a tenth of a millisecond."""


def repeated(items: NDArray[Item], counts: Ints) -> NDArray[Item]:
    """Item `i` as often as `counts[i]` says: `np.repeat`."""
    ends: Ints = np.cumsum(counts)
    total: int = int(ends[-1]) if len(ends) else 0
    if total <= _SLICE:
        return np.repeat(items, counts)
    result = np.empty(total, dtype=items.dtype)
    # Slices of items, none of whose repetitions are more than the largest count and a slice.
    cuts = [*np.searchsorted(ends, np.arange(0, total, _SLICE), "right").tolist(), len(counts)]
    for low, high in pairwise(cuts):
        if low < high:
            begin, end = int(ends[low] - counts[low]), int(ends[high - 1])
            result[begin:end] = np.repeat(items[low:high], counts[low:high])
    return result


def running_count(flags: NDArray[np.bool_]) -> Ints:
    """How many are true before each, and at the end how many in all: int64[n + 1]."""
    counts = np.zeros(len(flags) + 1, dtype=np.int64)
    np.cumsum(flags.astype(np.int64), out=counts[1:])
    return counts


def slices(offsets: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Runs from and to, so that about `most` elements lie between, and at least one run.

    `offsets: int64[runs + 1]` are where the runs begin, and where the last one ends.
    """
    low, runs = 0, len(offsets) - 1
    while low < runs:
        high = max(low + 1, int(np.searchsorted(offsets, offsets[low] + most, "right")) - 1)
        yield low, high
        low = high


def spans(starts: Ints, counts: Ints) -> Ints:
    """`starts[0], starts[0] + 1, ...` (`counts[0]` of them), then the same for run 1, and so on."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + repeated(starts - ends + counts, counts)


def run_starts(keys: Ints) -> Ints:
    """Where each run of equal neighbours begins."""
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
