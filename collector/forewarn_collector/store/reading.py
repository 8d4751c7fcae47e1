"""Reads that may be large, done in slices, so that none of them keeps the writer waiting for long.

Source of the numbers: `tests/bench/query_load.py`.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import NEVER, Floats, Ints
from forewarn_collector.store.errors import TooManySamplesError
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.sealed.merging import Piece, merged
from forewarn_collector.store.spans import repeated, running_count, slices
from forewarn_wire import Labels

MOST_SAMPLES = 50_000_000
"""Samples of one selection, 800 MB: Prometheus' default for a query."""

_SLICE_SERIES = 8_192
SLICE_SAMPLES = 100_000
"""What is found and copied under one hold of the lock: some milliseconds."""
_SLICE_LABELS = 1_000
_LOOK_BACK = 600_000

Columns = tuple[Ints, Floats, Ints]
"""Times, values and offsets, as in `SeriesColumns`."""


class Older(Protocol):
    """Where samples are that the head has no more. `Archive` is one."""

    def select(self, refs: Ints, start: int, end: int, *, most: int | None = None) -> Columns:
        """Samples with `start <= time <= end` (ms) of each of these series, each time once.

        Raises TooManySamplesError where there are more than `most`.
        """


def read_samples(
    head: Head,
    lock: threading.Lock,
    refs: Ints,
    start: int,
    end: int,
    older: Older | None = None,
) -> Columns:
    """As `Head.select`, with what only `older` has. Between slices of series the writer may write.

    Raises TooManySamplesError before more than MOST_SAMPLES are copied.
    """
    parts: list[Columns] = []
    total = 0
    for first in range(0, max(len(refs), 1), _SLICE_SERIES):
        part = refs[first : first + _SLICE_SERIES]
        read = _read_here(head, lock, part, start, end, MOST_SAMPLES - total)
        if older is not None:
            read = _with_older(read, head, lock, part, start, end, older, MOST_SAMPLES - total)
        total += len(read[0])
        parts.append(read)
    return join_columns(parts)


def read_latest(
    head: Head,
    lock: threading.Lock,
    refs: Ints,
    start: int,
    end: int,
    older: Older | None = None,
) -> tuple[Ints, Floats]:
    """As `Head.latest`, with what only `older` has."""
    with lock:
        times, values, rows = head.latest_known(refs, start, end)
        until = min(end, int(head.floors(head.slots(refs[rows])).max(initial=start)) - 1)
    if older is None or not len(rows):
        return times, values
    times[rows] = NEVER
    # Few have ended long ago: not all of the past is read for all.
    for span in (_LOOK_BACK, _LOOK_BACK * 24, None):
        if not len(rows):
            break
        begin = start if span is None else max(start, until - span)
        found_times, found_values, offsets = read_samples(head, lock, refs[rows], begin, end, older)
        filled = np.diff(offsets) > 0
        last = offsets[1:][filled] - 1
        times[rows[filled]], values[rows[filled]] = found_times[last], found_values[last]
        rows = rows[~filled] if begin > start else rows[:0]
    return times, values


def _read_here(
    head: Head, lock: threading.Lock, refs: Ints, start: int, end: int, most: int
) -> Columns:
    with lock:
        runs = head.find(refs, start, end)
        _check(runs.samples, most)
        if runs.samples <= SLICE_SAMPLES:
            return head.gather(runs)
    parts = []
    for low, high in slices(runs.offsets, SLICE_SAMPLES):
        with lock:
            parts.append(head.select(refs[low:high], start, end))
    return join_columns(parts)


def _with_older(
    read: Columns,
    head: Head,
    lock: threading.Lock,
    refs: Ints,
    start: int,
    end: int,
    older: Older,
    most: int,
) -> Columns:
    # Asked for after the head was read: what was dropped from it before is sealed, so it is found.
    with lock:
        floors = head.floors(head.slots(refs))
    rows = np.flatnonzero(floors > start)
    if not len(rows):
        return read
    until = min(end, int(floors[rows].max()) - 1)
    left = most - len(read[0])
    times, values, offsets = older.select(refs[rows], start, until, most=left)
    if not len(times):
        return read
    within = times < repeated(floors[rows], np.diff(offsets))
    if not within.all():
        times, values, offsets = times[within], values[within], running_count(within)[offsets]
    if len(rows) == len(refs) and not len(read[0]):
        return times, values, offsets
    everything = np.arange(len(refs), dtype=np.int64)
    # Of two samples of one time the sealed one came first.
    return merged(
        [
            Piece(rows, np.zeros(len(rows), dtype=np.int64), times, values, offsets),
            Piece(everything, np.ones(len(refs), dtype=np.int64), *read),
        ],
        len(refs),
    )


def _check(samples: int, most: int) -> None:
    if samples > most:
        raise TooManySamplesError(
            "query processing would load too many samples into memory in query execution: "
            f"more than {MOST_SAMPLES}; ask for fewer series or a shorter time"
        )


def join_columns(parts: Sequence[tuple[Ints, Floats, Ints]]) -> tuple[Ints, Floats, Ints]:
    """Times, values and offsets of series that were read in parts (one at least)."""
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([np.diff(offsets) for _, _, offsets in parts])
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    times = np.concatenate([times for times, _, _ in parts])
    values = np.concatenate([values for _, values, _ in parts])
    return times, values, offsets


def sorted_labels(index: LabelIndex, lock: threading.Lock, refs: Ints) -> list[Labels]:
    """The label sets of series, sorted; without those that retention has dropped.

    Sorted in runs that are then merged: one sort of them all would hold the interpreter's lock.
    """
    runs = []
    for first in range(0, len(refs), _SLICE_SERIES):
        with lock:
            found = index.labels_of(refs[first : first + _SLICE_SERIES])
        runs.append(sorted(labels for labels in found if labels))
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
