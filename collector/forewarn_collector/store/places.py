"""Where samples of many series lie: runs of them, and single ones to go on from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.cells import ROWS
from forewarn_collector.store.chunks import NO_CHUNK, Chunks
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import repeated, spans


@dataclass(slots=True)
class Places:
    """Where a sample of each of many series lies: its chunk, and which of the chunk's it is."""

    chunks: Ints
    indices: Ints

    def at(self, rows: Ints | NDArray[np.bool_]) -> Places:
        """The places of some of the series."""
        return Places(self.chunks[rows], self.indices[rows])

    def put(self, rows: Ints, places: Places) -> None:
        """Move some of the series."""
        self.chunks[rows] = places.chunks
        self.indices[rows] = places.indices


@dataclass(frozen=True, slots=True)
class Runs:
    """Samples of many series, series by series: `counts[i]` values from cell `starts[i]`, their
    times from cell `moments[i]`. `offsets: int64[series + 1]` as in `SeriesColumns`."""

    starts: Ints
    moments: Ints
    counts: Ints
    offsets: Ints

    @property
    def samples(self) -> int:
        """How many there are."""
        return int(self.offsets[-1])


def find(chunks: Chunks, newest: Ints, start: int, end: int) -> Runs:
    """Where the samples with `start <= time <= end` lie, given the series' newest chunks."""
    places, ids = _overlapping(chunks, newest, start, end)
    lows = np.zeros(len(ids), dtype=np.int64)
    highs = chunks.fill[ids].astype(np.int64)
    heads = np.flatnonzero(chunks.first(ids) < start)
    tails = np.flatnonzero(chunks.last(ids) > end)
    bounds = np.repeat((start, end + 1), (len(heads), len(tails)))
    found = chunks.before(ids[np.concatenate((heads, tails))], bounds)
    lows[heads], highs[tails] = found[: len(heads)], found[len(heads) :]
    counts = np.maximum(highs - lows, 0)  # a range may end before it starts
    sums = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum(counts, out=sums[1:])
    offsets = sums[np.searchsorted(places, np.arange(len(newest) + 1))]
    return Runs(ids * ROWS + lows, chunks.moments(ids) + lows, counts, offsets)


def gather(chunks: Chunks, runs: Runs) -> tuple[Ints, Floats, Ints]:
    """The samples of what was found, while nothing has changed in between."""
    cells = spans(runs.starts, runs.counts)
    values = chunks.values[cells]
    cells += repeated(runs.moments - runs.starts, runs.counts)
    return chunks.tiles.times[cells], values, runs.offsets


def _overlapping(chunks: Chunks, newest: Ints, start: int, end: int) -> tuple[Ints, Ints]:
    """Chunks with times of the range, oldest first: places of their series, and their ids."""
    places, ids = np.arange(len(newest), dtype=np.int64), newest
    levels: list[tuple[Ints, Ints]] = []
    # As few steps as may be: a day of one series is some hundred turns.
    while len(ids):
        there = ids != NO_CHUNK
        if np.count_nonzero(there) < len(ids):
            places, ids = places[there], ids[there]
        levels.append((places, ids))
        older = chunks.first(ids) > start
        if np.count_nonzero(older) < len(ids):
            places, ids = places[older], ids[older]
        ids = chunks.prev[ids].astype(np.int64)
    if not levels:
        return places, ids
    places, ids = (np.concatenate(column) for column in zip(*reversed(levels), strict=True))
    within = (chunks.first(ids) <= end) & (chunks.last(ids) >= start)
    if np.count_nonzero(within) < len(ids):
        places, ids = places[within], ids[within]
    if len(levels) > 1:
        order = np.argsort(places, kind="stable")
        places, ids = places[order], ids[order]
    return places, ids


def back(chunks: Chunks, newest: Ints, counts: Ints) -> Places:
    """The places of the samples so many before the end; 1 is the newest."""
    ids = newest.copy()
    indices = chunks.fill[ids] - counts
    before = np.flatnonzero(indices < 0)
    while len(before):
        ids[before] = chunks.prev[ids[before]]
        indices[before] += chunks.fill[ids[before]]
        before = before[indices[before] < 0]
    return Places(ids, indices)


def seek(chunks: Chunks, newest: Ints, times: Ints) -> Places:
    """The places of the first samples later than a time of each series' own.

    A place may lie just behind a chunk's last sample, see `settle`.
    """
    ids = newest.copy()
    later = np.flatnonzero(chunks.first(ids) > times)
    while len(later):
        later = later[chunks.prev[ids[later]] != NO_CHUNK]
        ids[later] = chunks.prev[ids[later]]
        later = later[chunks.first(ids[later]) > times[later]]
    return Places(ids, chunks.before(ids, times + 1))


def settle(chunks: Chunks, places: Places) -> None:
    """Move places behind a chunk's last sample to the next chunk, where there is one."""
    behind = np.flatnonzero(places.indices >= chunks.fill[places.chunks])
    behind = behind[chunks.next[places.chunks[behind]] != NO_CHUNK]
    places.chunks[behind] = chunks.next[places.chunks[behind]]
    places.indices[behind] = 0


def read(chunks: Chunks, places: Places) -> tuple[Ints, Floats]:
    """Times and values of the samples at places, all of which must have one."""
    times = chunks.tiles.times[chunks.moments(places.chunks) + places.indices]
    return times, chunks.values[places.chunks * ROWS + places.indices]
