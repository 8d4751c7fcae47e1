"""Chunks: runs of one series' samples, each knowing its cells, its times and the one before it.

A series' chunks are a list, linked both ways; their times do not overlap. Reading many series
walks all of the lists at once, one array step for each chunk of depth, so a short range costs the
same however long the history is.
"""

from __future__ import annotations

import numpy as np

from forewarn_collector.store.cells import Cells, enlarged
from forewarn_collector.store.columns import Ints
from forewarn_collector.store.spans import run_starts

NO_CHUNK = -1
SMALLEST_CHUNK = 8
LARGEST_CHUNK = 128


class Chunks:
    """One element of each column per chunk: sample `k` lies in cell `base + k * stride`.

    `rows` is the room, `fill` how much of it is taken; `first` and `last` are times (ms), `prev`
    and `next` the chunks before and after it or NO_CHUNK, `owner` the series' ref or -1 for a
    number not in use. A chunk that others point to has at least one sample.
    """

    COLUMNS = ("base", "first", "fill", "last", "next", "owner", "prev", "rows", "stride", "tile")

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.base: Ints = np.zeros(0, dtype=np.int64)
        self.stride: Ints = np.zeros(0, dtype=np.int64)
        self.rows: Ints = np.zeros(0, dtype=np.int64)
        self.fill: Ints = np.zeros(0, dtype=np.int64)
        self.first: Ints = np.zeros(0, dtype=np.int64)
        self.last: Ints = np.zeros(0, dtype=np.int64)
        self.prev: Ints = np.zeros(0, dtype=np.int64)
        self.next: Ints = np.zeros(0, dtype=np.int64)
        self.tile: Ints = np.zeros(0, dtype=np.int64)
        self.owner: Ints = np.zeros(0, dtype=np.int64)
        self.count = 0
        self._free: list[int] = []

    @property
    def nbytes(self) -> int:
        """Bytes of memory held, cells not counted."""
        return sum(int(getattr(self, name).nbytes) for name in self.COLUMNS)

    def open(self, owners: Ints, groups: Ints, wanted: Ints, previous: Ints) -> Ints:
        """Make an empty chunk for each owner, owners of one group side by side in one tile.

        `wanted` is the room each asks for; a tile gives all of its chunks the most that one asks.
        """
        order = np.argsort(groups, kind="stable")
        firsts = run_starts(groups[order])
        widths = np.diff(np.append(firsts, len(order)))
        rows = np.maximum.reduceat(wanted[order], firsts)
        tiles, starts = self.cells.allocate(widths * rows, widths)
        columns = np.arange(len(order), dtype=np.int64) - np.repeat(firsts, widths)
        ids = self._take(len(owners))
        placed = ids[order]
        self.base[placed] = np.repeat(starts, widths) + columns
        self.stride[placed] = np.repeat(widths, widths)
        self.rows[placed] = np.repeat(rows, widths)
        self.tile[placed] = np.repeat(tiles, widths)
        self.fill[ids] = 0
        self.owner[ids] = owners
        self.next[ids] = NO_CHUNK
        self.prev[ids] = previous
        self.link(ids)
        return ids

    def link(self, ids: Ints) -> None:
        """Have the chunks before these know that these come next."""
        known = self.prev[ids] != NO_CHUNK
        self.next[self.prev[ids[known]]] = ids[known]

    def release(self, ids: Ints) -> None:
        """Give chunks back; whoever pointed to them must have been told."""
        self.owner[ids] = -1
        self.fill[ids] = 0
        self.cells.release(self.tile[ids])
        self._free.extend(ids.tolist())

    def compact(self) -> None:
        """Close gaps in the cells where that is worth it."""
        moved = self.cells.compact()
        if moved is not None:
            used = np.flatnonzero(self.owner[: self.count] >= 0)
            self.base[used] += moved[self.tile[used]]

    def before(self, ids: Ints, bounds: Ints | int) -> Ints:
        """How many samples of each chunk are earlier than its bound: a bisection of all at once."""
        base, stride, fill = self.base[ids], self.stride[ids], self.fill[ids]
        found = np.zeros(len(ids), dtype=np.int64)
        times = self.cells.times
        step = (1 << int(fill.max(initial=0)).bit_length()) >> 1
        while step:
            more = found + step
            earlier = times[base + (np.minimum(more, fill) - 1) * stride] < bounds
            found = np.where(earlier & (more <= fill), more, found)
            step >>= 1
        return found

    def _take(self, count: int) -> Ints:
        reused = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = np.arange(self.count, self.count + count - len(reused), dtype=np.int64)
        self.count += len(fresh)
        if self.count > len(self.base):
            for name in self.COLUMNS:
                unused = -1 if name == "owner" else 0
                setattr(self, name, enlarged(getattr(self, name), self.count, unused))
        return np.concatenate((np.array(reused, dtype=np.int64), fresh))
