"""What a selection wants of a chunk: columns of its directory, without those that are damaged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from forewarn_collector.store.columns import Ints
from forewarn_collector.store.sealed.directory import Directory


@dataclass(frozen=True, slots=True)
class Wanted:
    """Columns to be read of a chunk, and the rows of a selection that they are of."""

    chunk: int
    rank: int
    rows: Ints
    directory: Directory
    columns: Ints

    def without(self, damaged: Collection[int]) -> Wanted:
        """Those whose blocks, and those of their times, are none of these."""
        if not damaged:
            return self
        blocks = self.directory.columns["block"]
        times = self.directory.columns["times"][self.columns]
        lost = list(damaged)
        sound = ~(np.isin(blocks[self.columns], lost) | np.isin(blocks[times], lost))
        return replace(self, rows=self.rows[sound], columns=self.columns[sound])
