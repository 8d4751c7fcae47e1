"""Samples and the rows of thinned ones as one selection of runs, whatever there is at each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Figure, Floats, Ints, RunColumns, joined_runs
from forewarn_collector.store.errors import TooManySamplesError
from forewarn_collector.store.late_counts import LateCounts
from forewarn_collector.store.reading import (
    MOST_SAMPLES,
    Columns,
    join_columns,
)
from forewarn_collector.store.rows import Rows, read_rows, rows_of_samples
from forewarn_collector.store.sealed import Archive
from forewarn_collector.store.sealed.levels import (
    LENGTHS,
    ROWS_OF_1_HOUR,
    ROWS_OF_5_MINUTES,
    Column,
)
from forewarn_collector.store.spans import repeated
from forewarn_wire import STALE_NAN_BITS

_SLICE_SERIES = 1_024
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
_NAMES = {
    Figure.FIRST: "first",
    Figure.LOW: "low",
    Figure.HIGH: "high",
    Figure.TOTAL: "total",
    Figure.RESETS: "resets",
}


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
    late_counts: LateCounts,
    refs: Ints,
    start: int,
    end: int,
    figures: Figure,
) -> tuple[Ints, Floats, Ints, RunColumns]:
    """Times, values and offsets as in `SeriesColumns`, and the runs that these are the ends of.

    All with any time in `start` to `end` (ms), each of `refs` once. `samples` reads what is not
    thinned of some series from a time to another, late events added; what it gives within the
    bucket of a row is left out. Raises TooManySamplesError where there are more than MOST_SAMPLES,
    rows counting as one.
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
                found.append(_raised(rows, part, late_counts))
        one = _runs(found, len(part), start, end, figures)
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
    if not len(rows.times) or rows.times.min() > coarse.times.max():
        return rows
    closed = coarse.owners * _KEYS + coarse.times // length
    own = rows.owners * _KEYS - (-rows.times // length)
    places = np.minimum(np.searchsorted(closed, own), len(closed) - 1)
    covered = closed[places] == own
    return rows.where(~covered) if covered.any() else rows


def _raised(rows: Rows, refs: Ints, late_counts: LateCounts) -> Rows:
    """Rows with what late events add: least where a row begins, and most where it ends.

    The total of a row within which such events came lies between that with none and with all.
    """
    owners, none = refs[rows.owners], np.zeros(len(rows.times))
    at_begin = late_counts.raised(owners, rows.began, none)
    at_end = late_counts.raised(owners, rows.ended, none)
    if not at_end.any():
        return rows
    return replace(
        rows,
        last=late_counts.raised(owners, rows.times, rows.last),
        final=rows.final + at_end,
        first=rows.first + at_begin,
        low=rows.low + at_begin,
        high=rows.high + at_end,
        total=rows.total + rows.counts * (at_begin + at_end) / 2,
    )


_Runs = tuple[Ints, Floats, Ints, RunColumns]


def _runs(found: Sequence[Rows], series: int, start: int, end: int, figures: Figure) -> _Runs:
    """Rows of several kinds, no two of one bucket, as the runs in `start` to `end`, in order."""
    names = ["owners", "times", "last", "final", "counts", "began", "ended"]
    names += [name for figure, name in _NAMES.items() if figure in figures]
    there = [rows for rows in found if len(rows.times)] or found[:1]
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([getattr(rows, name) for rows in there])
        if len(there) > 1
        else getattr(there[0], name)
        for name in names
    }
    if len(there) > 1:
        order = np.lexsort((columns["times"], columns["owners"]))
        columns = {name: column[order] for name, column in columns.items()}
    real = columns["counts"] > 0
    times = np.where(real, columns["ended"], columns["times"])
    columns["began"] = np.where(real, columns["began"], columns["times"])
    within = (times >= start) & (columns["began"] <= end)
    if not within.all():
        real, times = real[within], times[within]
        columns = {name: column[within] for name, column in columns.items()}
    values = np.where(real, columns["final"], columns["last"])
    return (
        times,
        values,
        np.searchsorted(columns["owners"], np.arange(series + 1)),
        RunColumns(
            columns["began"],
            columns["counts"],
            real & (columns["last"].view(np.int64) == STALE_NAN_BITS),
            *(columns.get(name, values) for name in _NAMES.values()),
        ),
    )


def _joined(parts: Sequence[_Runs]) -> _Runs:
    if len(parts) == 1:
        return parts[0]
    columns = join_columns([(times, values, offsets) for times, values, offsets, _ in parts])
    return *columns, joined_runs([runs for *_, runs in parts])
