"""Chunks: up to `ROWS` samples of one series, whose times are those of a tile.

A series' chunks are a list, linked both ways; their times do not overlap. Reading many series
walks all of the lists at once, one array step for each chunk of depth, so a short range costs the
same however long the history is.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.cells import ROWS, Rows
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import run_starts, spans
from forewarn_collector.store.tiles import Tiles

NO_CHUNK = -1

Numbers = NDArray[np.int32]
Counts = NDArray[np.uint8]


class Chunks(Rows):
    """Value `k` of chunk `c` is `values[c * ROWS + k]`. One element of each other column per chunk:

    `tile`; `owner`, the series' slot, or -1 for a number not in use; `prev` and `next`, the chunks
    before and after it or NO_CHUNK; `fill`, how many samples there are, at least one where others
    point to it; `taken` and `sealed`, how many of the first the sealer was given, and has sealed.
    """

    COLUMNS: ClassVar = {
        "values": ROWS,
        "tile": 1,
        "owner": 1,
        "prev": 1,
        "next": 1,
        "fill": 1,
        "taken": 1,
        "sealed": 1,
    }

    def __init__(self) -> None:
        super().__init__()
        self.tiles = Tiles()
        self.values: Floats = np.zeros(0, dtype=np.float64)
        self.tile: Numbers = np.zeros(0, dtype=np.int32)
        self.owner: Numbers = np.zeros(0, dtype=np.int32)
        self.prev: Numbers = np.zeros(0, dtype=np.int32)
        self.next: Numbers = np.zeros(0, dtype=np.int32)
        self.fill: Counts = np.zeros(0, dtype=np.uint8)
        self.taken: Counts = np.zeros(0, dtype=np.uint8)
        self.sealed: Counts = np.zeros(0, dtype=np.uint8)

    def open(self, owners: Ints, groups: Ints, rooms: Ints, keep: Ints, previous: Ints) -> Ints:
        """Make an empty chunk for each owner, those of one group in one tile.

        `groups` are numbered from 0, `rooms` and `keep` are the tiles' own.
        """
        members = np.bincount(groups, minlength=len(rooms))
        ids = self.take(len(owners))
        self.tile[ids] = self.tiles.open(members, rooms, keep)[groups]
        self.owner[ids] = owners
        self.fill[ids] = 0
        self.taken[ids] = 0
        self.sealed[ids] = 0
        self.next[ids] = NO_CHUNK
        self.prev[ids] = previous
        self.link(ids)
        return ids

    def link(self, ids: Ints) -> None:
        """Have the chunks before these know that these come next."""
        previous = self.prev[ids]
        known = previous != NO_CHUNK
        self.next[previous[known]] = ids[known]

    def release(self, ids: Ints) -> None:
        """Give chunks back; whoever pointed to them must have been told."""
        self.tiles.leave(self.tile[ids].astype(np.int64))
        self.owner[ids] = -1
        self.fill[ids] = 0
        self.taken[ids] = 0
        self.sealed[ids] = 0
        self.give(ids)

    def first(self, ids: Ints) -> Ints:
        """The times of the first samples."""
        times: Ints = self.tiles.times[self.moments(ids)]
        return times

    def last(self, ids: Ints) -> Ints:
        """The times of the last samples."""
        times: Ints = self.tiles.times[self.moments(ids) + self.fill[ids] - 1]
        return times

    def moments(self, ids: Ints) -> Ints:
        """Where the chunks' times begin in `tiles.times`."""
        begins: Ints = self.tile[ids].astype(np.int64) * ROWS
        return begins

    def before(self, ids: Ints, bounds: Ints | int) -> Ints:
        """How many samples of each chunk are earlier than its bound: a bisection of all at once."""
        begins, fill = self.moments(ids), self.fill[ids].astype(np.int64)
        found = np.zeros(len(ids), dtype=np.int64)
        times = self.tiles.times
        step = ROWS
        while step:
            more = found + step
            earlier = times[begins + np.minimum(more, fill) - 1] < bounds
            found = np.where(earlier & (more <= fill), more, found)
            step >>= 1
        return found

    def claim(self, ids: Ints, times: Ints) -> Ints:
        """Have each chunk take the next sample: which one of its own that is, or -1 where its tile
        has another time there, or is full. Of those that are first to come to a time the last one
        sets it."""
        tiles = self.tiles
        if not self.count:
            return np.full(len(ids), -1)
        tile = self.tile[ids].astype(np.int64)
        fill = self.fill[ids].astype(np.int64)
        can = (fill < tiles.room[tile]) & (ids != NO_CHUNK)
        ahead = can & (fill == tiles.fill[tile])
        cells = tile * ROWS + fill
        if ahead.all():
            tiles.times[cells] = times
            tiles.fill[tile] = fill + 1
        else:
            tiles.times[cells[ahead]] = times[ahead]
            tiles.fill[tile[ahead]] = fill[ahead] + 1
            cells[~can] = 0
        taken = can & (tiles.times[cells] == times)
        if taken.all():
            self.fill[ids] = fill + 1
            return fill
        self.fill[ids[taken]] = fill[taken] + 1
        return np.where(taken, fill, -1)

    def extend(self, ids: Ints, starts: Ints, counts: Ints, times: Ints, values: Floats) -> Ints:
        """Have each chunk take samples `starts[i]` and after: how many of `counts[i]` it took."""
        tiles = self.tiles
        if not self.count:
            return np.zeros(len(ids), dtype=np.int64)
        tile = self.tile[ids].astype(np.int64)
        fill = self.fill[ids].astype(np.int64)
        room = np.where(ids == NO_CHUNK, 0, tiles.room[tile] - fill)
        wanted = np.minimum(counts, room)
        ahead = np.flatnonzero((wanted > 0) & (fill == tiles.fill[tile]))
        # The one with the most sets a tile's times, all of them at once.
        ahead = ahead[np.argsort(wanted[ahead], kind="stable")]
        leading = np.zeros(len(tiles.fill), dtype=np.int64)
        leading[tile[ahead]] = ahead
        leaders = np.unique(leading[tile[ahead]])
        cells = spans(tile[leaders] * ROWS + fill[leaders], wanted[leaders])
        tiles.times[cells] = times[spans(starts[leaders], wanted[leaders])]
        tiles.fill[tile[leaders]] += wanted[leaders]
        wanted = np.maximum(np.minimum(wanted, tiles.fill[tile] - fill), 0)
        some = np.flatnonzero(wanted)
        sources = spans(starts[some], wanted[some])
        equal = tiles.times[spans(tile[some] * ROWS + fill[some], wanted[some])] == times[sources]
        taken: Ints = wanted
        if not equal.all():
            ends = np.cumsum(wanted[some])
            begins = ends - wanted[some]
            places = np.where(equal, len(equal), np.arange(len(equal)))
            taken[some] = np.minimum(np.minimum.reduceat(places, begins), ends) - begins
        sources = spans(starts[some], taken[some])
        self.values[spans(ids[some] * ROWS + fill[some], taken[some])] = values[sources]
        self.fill[ids[some]] += taken[some].astype(np.uint8)
        return taken

    def unlink(self, ids: Ints, gone: NDArray[np.bool_]) -> Ints:
        """Leave chunks out of the lists (`gone` tells the same of each number): those behind."""
        behind: Ints = self.next[ids].astype(np.int64)
        behind = behind[behind != NO_CHUNK]
        behind = behind[~gone[behind]]
        ahead = self.prev[ids].astype(np.int64)
        ahead = ahead[ahead != NO_CHUNK]
        self.next[ahead[~gone[ahead]]] = NO_CHUNK
        self.prev[behind] = self.staying(self.prev[behind], gone)
        self.link(behind)
        return behind

    def staying(self, ids: NDArray[np.integer[Any]], gone: NDArray[np.bool_]) -> Ints:
        """The newest chunk up to each of these that is not gone, or NO_CHUNK."""
        found: Ints = ids.astype(np.int64)
        while True:
            further = np.flatnonzero((found != NO_CHUNK) & gone[found])
            if not len(further):
                return found
            found[further] = self.prev[found[further]]

    def apart(self, ids: Ints) -> None:
        """Give each of these chunks an empty tile of its own."""
        tiles = self.tiles
        old = self.tile[ids].astype(np.int64)
        keep = tiles.keep[old]
        tiles.leave(old)
        ones = np.ones(len(ids), dtype=np.int64)
        self.tile[ids] = tiles.open(ones, ones * ROWS, keep)
        self.fill[ids] = 0

    def shrink_all(self) -> NDArray[np.int64] | None:
        """Give memory back where much is free: the new number of each chunk that is in use."""
        tiles = self.tiles.shrink()
        if tiles is not None:
            used = np.flatnonzero(self.owner[: self.count] >= 0)
            self.tile[used] = tiles[self.tile[used]]
        moved = self.shrink()
        if moved is not None:
            used = np.flatnonzero(self.owner[: self.count] >= 0)
            for links in (self.prev, self.next):
                linked = used[links[used] != NO_CHUNK]
                links[linked] = moved[links[linked]]
        return moved


def grouped(*keys: Ints) -> tuple[Ints, Ints]:
    """Number those that agree in all keys from 0 (`int64[n]`), and one member of each group."""
    order = np.lexsort(keys)
    changes = np.zeros(len(order), dtype=np.int64)
    for key in keys:
        ordered = key[order]
        changes[1:] |= ordered[1:] != ordered[:-1]
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.cumsum(changes)
    return numbers, order[run_starts(numbers[order])]
