"""Reads that may be large, done in slices, so that none of them keeps the writer waiting for long.

Source of the numbers: `tests/bench/query_load.py`.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.errors import TooManySamplesError
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.spans import slices
from forewarn_wire import Labels

MOST_SAMPLES = 50_000_000
"""Samples of one selection, 800 MB: Prometheus' default for a query."""

_SLICE_SERIES = 8_192
SLICE_SAMPLES = 100_000
"""What is found and copied under one hold of the lock: some milliseconds."""
_SLICE_LABELS = 1_000


def read_samples(
    head: Head, lock: threading.Lock, refs: Ints, start: int, end: int
) -> tuple[Ints, Floats, Ints]:
    """As `Head.select`. Between slices of series the writer may add samples.

    Raises TooManySamplesError before more than MOST_SAMPLES are copied.
    """
    parts: list[tuple[Ints, Floats, Ints]] = []
    total = 0
    for first in range(0, max(len(refs), 1), _SLICE_SERIES):
        part = refs[first : first + _SLICE_SERIES]
        with lock:
            runs = head.find(part, start, end)
            total += runs.samples
            if total > MOST_SAMPLES:
                raise TooManySamplesError(
                    "query processing would load too many samples into memory in query execution: "
                    f"more than {MOST_SAMPLES}; ask for fewer series or a shorter time"
                )
            if runs.samples <= SLICE_SAMPLES:
                parts.append(head.gather(runs))
                continue
        for low, high in slices(runs.offsets, SLICE_SAMPLES):
            with lock:
                parts.append(head.select(part[low:high], start, end))
    return join_columns(parts)


def join_columns(parts: Sequence[tuple[Ints, Floats, Ints]]) -> tuple[Ints, Floats, Ints]:
    """Times, values and offsets of series that were read in parts (one at least)."""
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([np.diff(offsets) for _, _, offsets in parts])
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    times = np.concatenate([times for times, _, _ in parts])
    values = np.concatenate([values for _, values, _ in parts])
    return times, values, offsets


def sorted_labels(index: LabelIndex, refs: Ints) -> list[Labels]:
    """The label sets of series, sorted; without those that retention has dropped. Needs no lock.

    Sorted in runs that are then merged: one sort of them all would hold the interpreter's lock.
    """
    found = [labels for ref in refs.tolist() if (labels := index.labels(ref))]
    runs = [
        sorted(found[first : first + _SLICE_SERIES])
        for first in range(0, len(found), _SLICE_SERIES)
    ]
    return runs[0] if len(runs) == 1 else list(heapq.merge(*runs))


def names_among(index: LabelIndex, lock: threading.Lock, refs: Ints) -> list[str]:
    """The names of the labels of some series, sorted."""
    wanted = _mask(refs)
    return sorted(
        name
        for name in index.names()
        if any(True for _ in _values_among(index, lock, name, wanted))
    )


def values_among(index: LabelIndex, lock: threading.Lock, name: str, refs: Ints) -> list[str]:
    """The values of a label that some series have, sorted."""
    return sorted(_values_among(index, lock, name, _mask(refs)))


def _mask(refs: Ints) -> NDArray[np.bool_]:
    mask = np.zeros(int(refs.max(initial=0)) + 1, dtype=np.bool_)
    mask[refs] = True
    return mask


def _values_among(
    index: LabelIndex, lock: threading.Lock, name: str, wanted: NDArray[np.bool_]
) -> Iterator[str]:
    values = index.values(name)
    for first in range(0, len(values), _SLICE_LABELS):
        with lock:
            found = [
                value
                for value in values[first : first + _SLICE_LABELS]
                if _any_of(index.posting(name, value), wanted)
            ]
        yield from found


def _any_of(refs: Ints, wanted: NDArray[np.bool_]) -> bool:
    # Refs ascend: those that are too high for the mask stand at the end.
    return bool(wanted[refs[: np.searchsorted(refs, len(wanted))]].any())
