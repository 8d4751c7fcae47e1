"""Index arithmetic on runs: many `range(start, start + count)` as one array."""

from __future__ import annotations

import numpy as np

from forewarn_collector.store.columns import Ints


def spans(starts: Ints, counts: Ints) -> Ints:
    """`starts[0], starts[0] + 1, ...` (`counts[0]` of them), then the same for run 1, and so on."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + np.repeat(starts - ends + counts, counts)


def strided_spans(starts: Ints, strides: Ints, counts: Ints) -> Ints:
    """As `spans`, with a step of `strides[i]` within run `i`."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    within = np.arange(total, dtype=np.int64) - np.repeat(ends - counts, counts)
    return np.repeat(starts, counts) + within * np.repeat(strides, counts)


def run_starts(keys: Ints) -> Ints:
    """Where each run of equal neighbours begins."""
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
