"""Samples and the rows of thinned ones as one selection of runs, whatever there is at each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.store.columns import Figure, Floats, Ints, RunColumns, joined_runs
from forewarn_collector.store.errors import TooManySamplesError
from forewarn_collector.store.reading import (
    MOST_SAMPLES,
    Columns,
    join_columns,
)
from forewarn_collector.store.rows import Rows, joined_rows, read_rows, rows_of_samples
from forewarn_collector.store.sealed import Archive
from forewarn_collector.store.sealed.levels import (
    LENGTHS,
    ROWS_OF_1_HOUR,
    ROWS_OF_5_MINUTES,
    Column,
)
from forewarn_collector.store.spans import repeated
from forewarn_wire import STALE_NAN_BITS

_SLICE_SERIES = 128
_KEYS = 1 << 40
_BOUNDS = frozenset({Column.LAST, Column.FINAL, Column.COUNT, Column.BEGAN, Column.ENDED})
_COLUMNS = {
    Figure.FIRST: {Column.FIRST},
    Figure.LOW: {Column.FIRST, Column.LOW},
    Figure.HIGH: {Column.FIRST, Column.HIGH},
    Figure.TOTAL: {Column.TOTAL},
    Figure.RESETS: {Column.RESETS},
}
"""What is read for each: a column and what it follows from where it was left out."""


@dataclass(frozen=True, slots=True)
class Unthinned:
    """An archive without its rows, as what is older than a head: see `Older`."""

    archive: Archive

    def select(self, refs: Ints, start: int, end: int, *, most: int | None = None) -> Columns:
        """See `Older`."""
        return self.archive.select_samples(refs, start, end, most=most)


def read_runs(
    samples: Callable[[Ints, int, int], Columns],
    archive: Archive,
    refs: Ints,
    start: int,
    end: int,
    figures: Figure,
) -> tuple[Ints, Floats, Ints, RunColumns]:
    """Times, values and offsets as in `SeriesColumns`, and the runs that these are the ends of.

    All with any time in `start` to `end` (ms), each of `refs` once. `samples` reads what is not
    thinned of some series from a time to another; what it gives within the bucket of a row is left
    out. Raises TooManySamplesError where there are more than MOST_SAMPLES, rows counting as one.
    """
    columns = _BOUNDS.union(*(_COLUMNS[figure] for figure in figures))
    parts, total = [], 0
    for first in range(0, max(len(refs), 1), _SLICE_SERIES):
        part = refs[first : first + _SLICE_SERIES]
        # What is thinned in between is found twice, not never.
        times, values, offsets = samples(part, start, end)
        owners = repeated(np.arange(len(part), dtype=np.int64), np.diff(offsets))
        found = [rows_of_samples(owners, times, values)]
        for level in (ROWS_OF_5_MINUTES, ROWS_OF_1_HOUR):
            length = LENGTHS[level]
            rows = read_rows(archive, part, start, end + length - 1, level, columns)
            if len(rows.times):
                found = [_uncovered(each, rows, length) for each in found]
                found.append(rows)
        one = _runs(found, len(part), start, end)
        total += len(one[0])
        if total > MOST_SAMPLES:
            raise TooManySamplesError(
                "query processing would load too many samples into memory in query execution: "
                f"more than {MOST_SAMPLES}; ask for fewer series or a shorter time"
            )
        parts.append(one)
    return _joined(parts)


def _uncovered(rows: Rows, coarse: Rows, length: int) -> Rows:
    """Those of rows that are in no bucket of coarser ones: a closed bucket takes nothing more."""
    if not len(rows.times):
        return rows
    closed = coarse.owners * _KEYS + coarse.times // length
    own = rows.owners * _KEYS - (-rows.times // length)
    places = np.minimum(np.searchsorted(closed, own), len(closed) - 1)
    covered = closed[places] == own
    return rows.where(~covered) if covered.any() else rows


_Runs = tuple[Ints, Floats, Ints, RunColumns]


def _runs(found: Sequence[Rows], series: int, start: int, end: int) -> _Runs:
    """Rows of several kinds, no two of one bucket, as the runs in `start` to `end`, in order."""
    there = [rows for rows in found if len(rows.times)] or found[:1]
    rows = there[0]
    if len(there) > 1:
        rows = joined_rows(there)
        rows = rows.where(np.lexsort((rows.times, rows.owners)))
    real = rows.counts > 0
    times = np.where(real, rows.ended, rows.times)
    began = np.where(real, rows.began, rows.times)
    within = (times >= start) & (began <= end)
    if not within.all():
        rows, real, times, began = rows.where(within), real[within], times[within], began[within]
    return (
        times,
        np.where(real, rows.final, rows.last),
        np.searchsorted(rows.owners, np.arange(series + 1)),
        RunColumns(
            began,
            rows.counts,
            real & (np.ascontiguousarray(rows.last).view(np.int64) == STALE_NAN_BITS),
            rows.first,
            rows.low,
            rows.high,
            rows.total,
            rows.resets,
        ),
    )


def _joined(parts: Sequence[_Runs]) -> _Runs:
    if len(parts) == 1:
        return parts[0]
    columns = join_columns([(times, values, offsets) for times, values, offsets, _ in parts])
    return *columns, joined_runs([runs for *_, runs in parts])
