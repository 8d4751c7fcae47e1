"""Rows that stand for many samples: what of a bucket of time is kept when its samples are thinned.

A bucket of length R that ends at T (a multiple of R) is of the times `T - R < t <= T`, as ranges of
PromQL are. What a row tells is exact, and rows of short buckets make those of long ones.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.sealed import Archive, ChunkData
from forewarn_collector.store.sealed.levels import LENGTHS, Column, row_refs
from forewarn_collector.store.spans import repeated, run_starts, spans
from forewarn_wire import STALE_NAN_BITS

_KEYS = 1 << 40


@dataclass(frozen=True, slots=True)
class Rows:
    """One element of each column per row; a row's series is `owners`, ascending, by time.

    `times` are the buckets' ends. `last` is the last sample, also a stale marker; the others are
    without those, and mean nothing where `counts` is 0. `began` and `ended` are the times (ms) of
    the first and last value; `resets` is the sum of values that a lower one followed, so that
    `final - first + resets` is what a counter rose between the two.
    """

    owners: Ints
    times: Ints
    last: Floats
    final: Floats
    first: Floats
    low: Floats
    high: Floats
    total: Floats
    counts: Floats
    began: Ints
    ended: Ints
    resets: Floats

    def where(self, kept: NDArray[np.bool_] | Ints) -> Rows:
        """Some of the rows, or all in another order."""
        return Rows(*(getattr(self, field.name)[kept] for field in fields(self)))

    def moved(self, by: int) -> Rows:
        """With other numbers of series."""
        return replace(self, owners=self.owners + by)


def rows_of_samples(owners: Ints, times: Ints, values: Floats) -> Rows:
    """Each sample as a row of its own, which ends with it."""
    values = np.ascontiguousarray(values)
    real = values.view(np.int64) != STALE_NAN_BITS
    counts, resets = real.astype(np.float64), np.zeros(len(values))
    alike = (values,) * 6
    return Rows(owners, times, *alike, counts, times, times, resets)


def joined_rows(parts: Sequence[Rows]) -> Rows:
    """One part (there is one at least) after the other."""
    names = [field.name for field in fields(Rows)]
    return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def coarser(rows: Rows, length: int) -> Rows:
    """The rows of longer buckets (ms); those given end within one each."""
    if not len(rows.times):
        return rows
    ends = -(-rows.times // length) * length
    begins = np.flatnonzero(
        np.concatenate(([True], (ends[1:] != ends[:-1]) | (rows.owners[1:] != rows.owners[:-1])))
    )
    sizes = np.diff(np.append(begins, len(ends)))
    tails = begins + sizes - 1
    real = rows.counts > 0
    buckets = repeated(np.arange(len(begins), dtype=np.int64), sizes)[real]
    some = rows.where(real)
    heads = run_starts(buckets)
    filled = buckets[heads]
    feet = np.append(heads, len(buckets))[1:] - 1
    # A value that a lower one follows in the next row of the same bucket.
    resets = some.resets.copy()
    drops = (buckets[1:] == buckets[:-1]) & (some.first[1:] < some.final[:-1])
    resets[1:][drops] += some.final[:-1][drops]

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        result = np.zeros(len(begins), dtype=values.dtype)
        result[filled] = values
        return result

    low, high = np.fmin.reduceat(some.low, heads), np.fmax.reduceat(some.high, heads)
    counts = np.add.reduceat(some.counts, heads)
    with np.errstate(invalid="ignore", over="ignore"):
        # Of equal values the product is what the sum would be without its rounding.
        total = np.add.reduceat(some.total, heads)
        total = np.where((low == high) & ~np.isnan(total), low * counts, total)
    columns = (
        some.final[feet],
        some.first[heads],
        low,
        high,
        total,
        counts,
        some.began[heads],
        some.ended[feet],
        np.add.reduceat(resets, heads),
    )
    return Rows(rows.owners[begins], ends[begins], rows.last[tails], *map(spread, columns))


def encode_rows(rows: Rows, refs: Ints, length: int) -> ChunkData:
    """Rows (`refs[owners]` are their series, ascending) as columns of a chunk.

    A column is left out of a series where all that it would say follows from others.
    """
    real = rows.counts > 0
    defaults = _defaults(rows.last, rows.final, rows.first, rows.counts)
    offsets_began = (rows.began - (rows.times - length)).astype(np.float64)
    columns: dict[Column, Floats] = {
        Column.LAST: rows.last,
        Column.FINAL: rows.final,
        Column.FIRST: rows.first,
        Column.LOW: rows.low,
        Column.HIGH: rows.high,
        Column.TOTAL: rows.total,
        Column.COUNT: rows.counts,
        Column.BEGAN: offsets_began,
        Column.ENDED: (rows.times - rows.ended).astype(np.float64),
        Column.RESETS: rows.resets,
    }
    begins = run_starts(rows.owners)
    sizes = np.diff(np.append(begins, len(rows.owners)))
    keys, cells, parts = [], [], []
    for column, values in columns.items():
        stored = real
        if column is Column.LAST:
            stored = np.ones(len(real), dtype=np.bool_)
        elif column in defaults:
            other = real & (_bits(values) != _bits(defaults[column]))
            needed = np.bitwise_or.reduceat(other, begins) if len(begins) else other
            stored = real & (repeated(needed.astype(np.int64), sizes) > 0)
        places = np.flatnonzero(stored)
        keys.append(row_refs(refs[rows.owners[places]], column))
        cells.append(places)
        parts.append(values[places])
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    key = key[order]
    heads = run_starts(key)
    return ChunkData(
        key[heads],
        np.append(heads, len(key)),
        rows.times[np.concatenate(cells)[order]],
        np.concatenate(parts)[order],
    )


def read_rows(
    archive: Archive,
    refs: Ints,
    start: int,
    end: int,
    level: int,
    columns: Collection[Column] = tuple(Column),
) -> Rows:
    """The rows of a level whose buckets end in `start <= time <= end` (ms), of each of `refs`.

    Of `columns` are all that is wanted, and what they follow from; others mean nothing.
    """
    length = LENGTHS[level]
    chosen = sorted(columns)
    keys = row_refs(refs[:, None], Column.LAST) + np.array(chosen, dtype=np.int64)
    times, values, offsets = archive.select_rows(keys.ravel(), start, end, level)
    starts = offsets[:-1].reshape(len(refs), len(chosen))
    counts = np.diff(offsets).reshape(len(refs), len(chosen))
    series = np.arange(len(refs), dtype=np.int64)
    rows = counts[:, chosen.index(Column.LAST)]
    base = spans(starts[:, chosen.index(Column.LAST)], rows)
    owners = repeated(series, rows)
    ends = times[base]
    places = owners * _KEYS + ends // length

    def column(which: Column, fallback: Floats) -> Floats:
        if which not in columns or not len(base):
            return fallback
        begins, sizes = starts[:, chosen.index(which)], counts[:, chosen.index(which)]
        if np.array_equal(sizes, rows):
            return values[spans(begins, sizes)]
        found = fallback.copy()
        cells = spans(begins, sizes)
        if len(cells):
            wanted = repeated(series, sizes) * _KEYS + times[cells] // length
            # All are there, unless what holds them is damaged.
            at = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
            there = places[at] == wanted
            found[at[there]] = values[cells[there]]
        return found

    nothing = np.zeros(len(ends))
    last = values[base]
    number = column(Column.COUNT, nothing)
    final = column(Column.FINAL, last)
    first = column(Column.FIRST, final)
    defaults = _defaults(last, final, first, number)
    began = column(Column.BEGAN, nothing).astype(np.int64) + (ends - length)
    ended = ends - column(Column.ENDED, nothing).astype(np.int64)
    return Rows(
        owners,
        ends,
        last,
        final,
        first,
        column(Column.LOW, defaults[Column.LOW]),
        column(Column.HIGH, defaults[Column.HIGH]),
        column(Column.TOTAL, defaults[Column.TOTAL]),
        number,
        began,
        ended,
        column(Column.RESETS, nothing),
    )


def _defaults(last: Floats, final: Floats, first: Floats, counts: Floats) -> dict[Column, Floats]:
    with np.errstate(invalid="ignore", over="ignore"):
        total = final * counts
    return {
        Column.FINAL: last,
        Column.FIRST: final,
        Column.LOW: np.fmin(first, final),
        Column.HIGH: np.fmax(first, final),
        Column.TOTAL: total,
        Column.RESETS: np.zeros(len(last)),
    }


def _bits(values: Floats) -> Ints:
    return np.ascontiguousarray(values).view(np.int64)
