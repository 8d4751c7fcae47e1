"""Tiles: times that series share.

The samples of one sender's tick have one time. A tile has up to `ROWS` times, ascending; series
that came in step have their values in chunks of that tile, value `k` at time `k` of the tile. A
series that has fallen behind may catch up with the times that are there.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from forewarn_collector.store.cells import ROWS, Rows
from forewarn_collector.store.columns import Ints


class Tiles(Rows):
    """Time `k` of tile `t` is `times[t * ROWS + k]`. One element of each other column per tile:

    `fill` is how many times there are, `room` how many there may be, `members` how many chunks are
    of it, `keep` the longest window (ms) of its series.
    """

    COLUMNS: ClassVar = {"times": ROWS, "fill": 1, "room": 1, "members": 1, "keep": 1}

    def __init__(self) -> None:
        super().__init__()
        self.times: Ints = np.zeros(0, dtype=np.int64)
        self.fill: Ints = np.zeros(0, dtype=np.int64)
        self.room: Ints = np.zeros(0, dtype=np.int64)
        self.members: Ints = np.zeros(0, dtype=np.int64)
        self.keep: Ints = np.zeros(0, dtype=np.int64)

    def open(self, members: Ints, rooms: Ints, keep: Ints) -> Ints:
        """New tiles without times."""
        tiles = self.take(len(members))
        self.fill[tiles] = 0
        self.room[tiles] = rooms
        self.members[tiles] = members
        self.keep[tiles] = keep
        return tiles

    def leave(self, tiles: Ints) -> None:
        """A chunk of each tile named is gone; a tile may be named more than once."""
        np.subtract.at(self.members, tiles, 1)
        self.give(np.unique(tiles[self.members[tiles] == 0]))

    def older(self, cutoff: Ints | int) -> Ints:
        """The tiles in use whose last time is before their own cutoff, or one for all."""
        fill = self.fill[: self.count]
        used = np.flatnonzero((self.members[: self.count] > 0) & (fill > 0))
        last = self.times[used * ROWS + fill[used] - 1]
        bounds = cutoff if isinstance(cutoff, int) else cutoff[used]
        older: Ints = used[last < bounds]
        return older
