"""The memory that samples lie in: two long columns, cut into tiles.

A tile is time-major: `rows` samples of each of `width` series of one metric that filled together,
sample `k` of the tile's column `c` at `start + k * width + c`. So an arriving tick is written to
neighbouring cells, and so is the newest sample of a metric read. Tiles lie end to end in one pair
of arrays, so that a batch that touches any number of metrics is one scatter.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Floats, Ints

Cell = TypeVar("Cell", np.int64, np.float64)

_SMALLEST = 1 << 16
# Compaction moves every tile, so it waits until a third of the cells in use is waste.
_WASTE = 3


class Cells:
    """`times: int64[cells]`, `values: float64[cells]`; tiles are known by number."""

    def __init__(self) -> None:
        self.times: Ints = np.zeros(0, dtype=np.int64)
        self.values: Floats = np.zeros(0, dtype=np.float64)
        self._top = 0
        self._used = 0
        self._tiles = 0
        self._starts: Ints = np.zeros(0, dtype=np.int64)
        self._sizes: Ints = np.zeros(0, dtype=np.int64)
        self._chunks: Ints = np.zeros(0, dtype=np.int64)
        self._free: list[int] = []

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return self.times.nbytes + self.values.nbytes

    def allocate(self, sizes: Ints, chunks: Ints) -> tuple[Ints, Ints]:
        """Make tiles of `sizes` cells for `chunks` chunks each: their numbers and first cells."""
        count = len(sizes)
        reused = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = np.arange(self._tiles, self._tiles + count - len(reused), dtype=np.int64)
        tiles = np.concatenate((np.array(reused, dtype=np.int64), fresh))
        self._tiles += len(fresh)
        self._starts = enlarged(self._starts, self._tiles)
        self._sizes = enlarged(self._sizes, self._tiles)
        self._chunks = enlarged(self._chunks, self._tiles)
        ends = self._top + np.cumsum(sizes)
        starts = ends - sizes
        self._reserve(int(ends[-1]))
        self._starts[tiles] = starts
        self._sizes[tiles] = sizes
        self._chunks[tiles] = chunks
        self._used += int(sizes.sum())
        self._top = int(ends[-1])
        return tiles, starts

    def release(self, tiles: Ints) -> None:
        """Give back one chunk of each tile named; a tile may be named more than once."""
        np.subtract.at(self._chunks, tiles, 1)
        empty = np.unique(tiles[self._chunks[tiles] == 0])
        self._used -= int(self._sizes[empty].sum())
        self._sizes[empty] = 0
        self._free.extend(empty.tolist())

    def compact(self) -> Ints | None:
        """Close the gaps where they are worth it: by how much each tile's first cell moved."""
        waste = self._top - self._used
        if waste <= _SMALLEST or waste * _WASTE < self._top:
            return None
        old = self._starts[: self._tiles].copy()
        live = np.flatnonzero(self._sizes[: self._tiles])
        live = live[np.argsort(old[live])]
        sizes = self._sizes[live]
        new = np.cumsum(sizes) - sizes
        # A loop over tiles, once in a while: each move is one block copy.
        for source, target, size in zip(
            old[live].tolist(), new.tolist(), sizes.tolist(), strict=True
        ):
            if source != target:
                self.times[target : target + size] = self.times[source : source + size]
                self.values[target : target + size] = self.values[source : source + size]
        self._starts[live] = new
        self._top = self._used
        self._resize(max(_SMALLEST, self._top + self._top // 8))
        return self._starts[: self._tiles] - old

    def _reserve(self, cells: int) -> None:
        if cells > len(self.times):
            self._resize(max(cells + cells // 8, _SMALLEST))

    def _resize(self, cells: int) -> None:
        # In place, so that the kernel remaps the pages of a large array rather than copying them.
        # No view outlives the store's lock, which is what refcheck would look for.
        self.times.resize(cells, refcheck=False)
        self.values.resize(cells, refcheck=False)


def enlarged(column: NDArray[Cell], needed: int, fill: int = 0) -> NDArray[Cell]:
    """The column, or a longer copy where it has fewer than `needed` elements."""
    if needed <= len(column):
        return column
    longer = np.full(max(needed, len(column) * 3 // 2, 64), fill, dtype=column.dtype)
    longer[: len(column)] = column
    return longer
