"""Thinning: samples become rows of 5 minutes when they are old enough, and those become hours.

What is thinned goes in the same transaction that puts its rows, so that it is there once. A bucket
that has its row is closed: what comes for it later is not taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Ints
from forewarn_collector.store.compact import (
    DAY,
    DamageFoundError,
    StoppedError,
    damaged_among,
    day_of,
    day_parts,
)
from forewarn_collector.store.rows import (
    Rows,
    coarser,
    encode_rows,
    joined_rows,
    read_rows,
    rows_of_samples,
)
from forewarn_collector.store.sealed import Archive, ChunkInfo, NewChunk
from forewarn_collector.store.sealed.levels import (
    LEAST_ROWS,
    LENGTHS,
    ROWS_OF_1_HOUR,
    ROWS_OF_5_MINUTES,
    Column,
    row_refs,
)
from forewarn_collector.store.spans import repeated

_DAYS = 8
"""Of so many days the hours become one chunk."""
_SLICE_SERIES = 64


@dataclass(frozen=True, slots=True)
class Thinning:
    """Ages (ms) at which samples become rows of 5 minutes, and those rows of an hour."""

    after: int
    hourly_after: int


class Thinner:
    """Used by one thread at a time. Failures of the disk are raised as StoreError."""

    def __init__(self, archive: Archive, thinning: Thinning, stopping: Callable[[], bool]) -> None:
        """While `stopping` answers yes, work ends within some tenths of a second."""
        self._archive = archive
        self._thinning = thinning
        self._stopping = stopping

    def steps(self, now: int) -> Iterator[int]:
        """Do what is due at `now` (ms), step by step; of each, how many chunks it replaced."""
        chunks = [*self._archive.chunks(level=1), *self._archive.chunks(level=2)]
        over = (now - self._thinning.after) // DAY
        days = {(chunk.group, day_of(chunk.earliest)) for chunk in chunks}
        for group, day in sorted(days):
            if day < over and (found := self._samples_of_day(group, day)):
                bounds = day_parts(day, sum(chunk.samples for chunk in found))
                yield self._replace(found, self._rows_of_day(group, bounds, found))
        over = (now - self._thinning.hourly_after) // DAY // _DAYS
        spans = defaultdict(list)
        for chunk in self._archive.chunks(level=ROWS_OF_5_MINUTES):
            spans[chunk.group, day_of(chunk.earliest) // _DAYS].append(chunk)
        for (group, span), found in sorted(spans.items()):
            if span < over and self._is_whole(group, span, found):
                yield self._replace(found, self._hours(group, span, found))

    def _samples_of_day(self, group: int, day: int) -> list[ChunkInfo]:
        """The merged chunks of a day; none where one is damaged or older ones are to be merged."""
        there = self._archive.overlapping(group, day * DAY + 1, (day + 1) * DAY)
        there = [chunk for chunk in there if chunk.level < LEAST_ROWS]
        found = [chunk for chunk in there if chunk.level > 0]
        newest = max((chunk.rank for chunk in found), default=0)
        if any(chunk.damaged or (not chunk.level and chunk.rank < newest) for chunk in there):
            return []
        return found

    def _is_whole(self, group: int, span: int, found: Sequence[ChunkInfo]) -> bool:
        """Whether all of some days is in rows, none of which is damaged."""
        start, end = span * _DAYS * DAY, (span + 1) * _DAYS * DAY
        there = self._archive.overlapping(group, start + 1, end)
        merged = any(0 < chunk.level < LEAST_ROWS for chunk in there)
        return not merged and not any(chunk.damaged for chunk in found)

    def _replace(self, old: Sequence[ChunkInfo], new: Iterator[NewChunk]) -> int:
        try:
            self._archive.replace([chunk.id for chunk in old], new)
        except DamageFoundError:
            return 0
        return len(old)

    def _rows_of_day(
        self, group: int, bounds: Ints, chunks: Sequence[ChunkInfo]
    ) -> Iterator[NewChunk]:
        members = self._archive.members(group)
        length = LENGTHS[ROWS_OF_5_MINUTES]
        for start, end in pairwise(bounds.tolist()):
            if self._stopping():
                raise StoppedError
            times, values, offsets = self._archive.select_samples(members, start + 1, end)
            if damaged_among(self._archive, chunks):
                raise DamageFoundError
            owners = repeated(np.arange(len(members), dtype=np.int64), np.diff(offsets))
            rows = coarser(rows_of_samples(owners, times, values), length)
            for level in (ROWS_OF_5_MINUTES, ROWS_OF_1_HOUR):
                rows = rows.where(self._open(rows, members, level))
            if len(rows.times):
                data = encode_rows(rows, members, length)
                yield NewChunk(group, ROWS_OF_5_MINUTES, data)

    def _hours(self, group: int, span: int, chunks: Sequence[ChunkInfo]) -> Iterator[NewChunk]:
        members = self._archive.members(group)
        length = LENGTHS[ROWS_OF_1_HOUR]
        start, end = span * _DAYS * DAY, (span + 1) * _DAYS * DAY
        parts = []
        for first in range(0, len(members), _SLICE_SERIES):
            if self._stopping():
                raise StoppedError
            refs = members[first : first + _SLICE_SERIES]
            fine = read_rows(self._archive, refs, start + 1, end, ROWS_OF_5_MINUTES)
            if damaged_among(self._archive, chunks):
                raise DamageFoundError
            rows = coarser(fine, length)
            rows = rows.where(self._open(rows, refs, ROWS_OF_1_HOUR))
            parts.append(rows.moved(first))
        if any(len(rows.times) for rows in parts):
            data = encode_rows(joined_rows(parts), members, length)
            yield NewChunk(group, ROWS_OF_1_HOUR, data)

    def _open(self, rows: Rows, refs: Ints, level: int) -> NDArray[np.bool_]:
        """Which of the rows have no row of a level at their time yet."""
        if not len(rows.times):
            return np.ones(0, dtype=np.bool_)
        length = LENGTHS[level]
        buckets = -(-rows.times // length)
        low, high = int(buckets.min()), int(buckets.max())
        times, _, offsets = self._archive.select_rows(
            row_refs(refs, Column.LAST), low * length, high * length, level
        )
        width = high - low + 1
        closed = np.zeros(len(refs) * width, dtype=np.bool_)
        owners = repeated(np.arange(len(refs), dtype=np.int64), np.diff(offsets))
        closed[owners * width + times // length - low] = True
        still: NDArray[np.bool_] = ~closed[rows.owners * width + buckets - low]
        return still
