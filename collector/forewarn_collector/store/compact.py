"""Compaction: the many small chunks that sealing makes become few large ones, group by group.

Level 0 is what a seal brought. Of some two hours of it level 1 is made, cut at midnight (UTC), and
of a day of that level 2; midnight itself is the end of a day. A sample that is there twice is there
once afterwards: the first one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from forewarn_collector.store.columns import Ints
from forewarn_collector.store.sealed import Archive, ChunkData, ChunkInfo, NewChunk
from forewarn_collector.store.sealed.merging import Piece, merged
from forewarn_collector.store.spans import repeated, running_count

DAY = 86_400_000
MOST_SAMPLES = 1 << 20
"""In memory at once, and in a chunk: with all copies some 100 MB, and a second of work."""

_SMALL = 24
"""Chunks of level 0 of which one is made: two hours at one every five minutes."""
_QUIET = 7_200_000
"""How old (ms) the end of a chunk is at which it is merged, however little it is."""
_LATE_CHUNKS = 8
_LATE_SHARE = 4
"""What came to a day after it was merged waits until it is so many chunks, or such a part of it."""
_PARTS = (1, 2, 4, 8, 24, 96)


class StoppedError(Exception):
    """Work was left where it was, since the process is to end; nothing has changed."""


class DamageFoundError(Exception):
    """A chunk turned out to be damaged while it was read: it stays as it is."""


class Compactor:
    """Used by one thread at a time. Failures of the disk are raised as StoreError.

    Chunks are merged only if no others of their group stand between them in rank and overlap them,
    so that of doubles the first one stays: those of level 0 in the order in which they came, with
    no damaged one among them; and all of a day, unless one of them is damaged.
    """

    def __init__(self, archive: Archive, stopping: Callable[[], bool]) -> None:
        """While `stopping` answers yes, work ends within some tenths of a second."""
        self._archive = archive
        self._stopping = stopping

    def steps(self, now: int) -> Iterator[int]:
        """Do what is due at `now` (ms), step by step; of each, how many chunks it replaced."""
        of_group = defaultdict(list)
        for chunk in self._archive.chunks(level=0):
            of_group[chunk.group].append(chunk)
        for chunks in of_group.values():
            for part in _parts(sorted(chunks, key=lambda chunk: chunk.rank)):
                # In order: those that come later must not be merged with what waits.
                if not _due(part, now) or not self._merge_small(part):
                    break
                yield len(part)
        for group, day in self._days(now):
            if found := self._of_day(group, day):
                yield self._merge_day(group, day, found)

    def _merge_small(self, chunks: Sequence[ChunkInfo]) -> int:
        group = chunks[0].group
        members = self._archive.members(group)
        pieces = []
        for rank, chunk in enumerate(chunks):
            if self._stopping():
                raise StoppedError
            data = self._archive.read(chunk.id)
            if data is None:
                return 0
            rows = np.searchsorted(members, data.refs)
            ranks = np.full(len(rows), rank, dtype=np.int64)
            pieces.append(
                _known(
                    Piece(rows, ranks, data.times, data.values, data.offsets), data.refs, members
                )
            )
        if damaged_among(self._archive, chunks):
            return 0
        times, values, offsets = merged(pieces, len(members))
        whole = ChunkData(members, offsets, times, values)
        new = (NewChunk(group, 1, data) for data in _days_of(whole))
        self._archive.replace([chunk.id for chunk in chunks], new)
        return len(chunks)

    def _days(self, now: int) -> list[tuple[int, int]]:
        """Groups and days that are over and have chunks of level 1."""
        over = (now - _QUIET) // DAY
        found = {(c.group, day_of(c.earliest)) for c in self._archive.chunks(level=1)}
        return sorted((group, day) for group, day in found if day < over)

    def _of_day(self, group: int, day: int) -> list[ChunkInfo]:
        """What is to be merged of a day; nothing where it has to wait, or is damaged."""
        there = self._archive.overlapping(group, day * DAY + 1, (day + 1) * DAY)
        if any(chunk.damaged for chunk in there):
            return []
        late = [chunk for chunk in there if chunk.level == 1]
        merged_before = [chunk for chunk in there if chunk.level == 2]
        newest = max((chunk.rank for chunk in late + merged_before), default=0)
        if any(chunk.level == 0 and chunk.rank < newest for chunk in there):
            return []
        if merged_before and len(late) < _LATE_CHUNKS:
            share = sum(chunk.samples for chunk in late) * _LATE_SHARE
            if share < sum(chunk.samples for chunk in merged_before):
                return []
        return late + merged_before

    def _merge_day(self, group: int, day: int, chunks: Sequence[ChunkInfo]) -> int:
        bounds = day_parts(day, sum(chunk.samples for chunk in chunks))
        try:
            self._archive.replace(
                [chunk.id for chunk in chunks], self._of_parts(group, bounds, chunks)
            )
        except DamageFoundError:
            return 0
        return len(chunks)

    def _of_parts(
        self, group: int, bounds: Ints, chunks: Sequence[ChunkInfo]
    ) -> Iterator[NewChunk]:
        members = self._archive.members(group)
        for start, end in pairwise(bounds.tolist()):
            if self._stopping():
                raise StoppedError
            # What came meanwhile, and is of level 0 still, is read as well: it is then twice there.
            times, values, offsets = self._archive.select_samples(members, start + 1, end)
            if damaged_among(self._archive, chunks):
                raise DamageFoundError
            if len(times):
                yield NewChunk(group, 2, filled(ChunkData(members, offsets, times, values)))


def day_of(time: int) -> int:
    """The day (UTC) of a time (ms); midnight is the end of one."""
    return (time - 1) // DAY


def day_parts(day: int, samples: int) -> Ints:
    """Where (ms) to cut a day so that its parts are not too large; each ends with its bound."""
    parts = next((parts for parts in _PARTS if samples <= parts * MOST_SAMPLES), _PARTS[-1])
    return np.linspace(day * DAY, (day + 1) * DAY, parts + 1).astype(np.int64)


def damaged_among(archive: Archive, chunks: Sequence[ChunkInfo]) -> bool:
    """Whether any of the chunks was found damaged by now."""
    damaged = {damage.chunk for damage in archive.damaged()}
    return any(chunk.id in damaged for chunk in chunks)


def filled(data: ChunkData) -> ChunkData:
    """Without the series that have no sample."""
    counts = np.diff(data.offsets)
    there = counts > 0
    offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts[there])))
    return ChunkData(data.refs[there], offsets, data.times, data.values)


def _parts(chunks: Sequence[ChunkInfo]) -> Iterator[list[ChunkInfo]]:
    """Runs of chunks without damage, which are not too large."""
    part: list[ChunkInfo] = []
    samples = 0
    for chunk in chunks:
        if part and (chunk.damaged or samples + chunk.samples > MOST_SAMPLES):
            yield part
            part, samples = [], 0
        if not chunk.damaged:
            part.append(chunk)
            samples += chunk.samples
    if part:
        yield part


def _due(chunks: Sequence[ChunkInfo], now: int) -> bool:
    full = len(chunks) >= _SMALL or sum(chunk.samples for chunk in chunks) >= MOST_SAMPLES // 2
    return full or chunks[0].latest <= now - _QUIET


def _known(piece: Piece, refs: Ints, members: Ints) -> Piece:
    """Without the series that are no members any more: retention has forgotten them."""
    inside = piece.rows < len(members)
    inside[inside] = members[piece.rows[inside]] == refs[inside]
    if inside.all():
        return piece
    counts = np.diff(piece.offsets)
    cells = repeated(inside.astype(np.int64), counts) > 0
    offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts[inside])))
    return Piece(
        piece.rows[inside], piece.ranks[inside], piece.times[cells], piece.values[cells], offsets
    )


def _days_of(data: ChunkData) -> Iterator[ChunkData]:
    days = (data.times - 1) // DAY
    for day in np.unique(days).tolist():
        cells = days == day
        before = running_count(cells)
        part = ChunkData(data.refs, before[data.offsets], data.times[cells], data.values[cells])
        yield filled(part)
