"""The memory that samples lie in: rows of columns, given out by number and given back.

All rows are alike, so that what is given back fits whatever comes next, and nothing is ever moved
but to make the memory smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Ints

Cell = TypeVar("Cell", bound=np.generic)

ROWS = 32
"""Samples in a chunk: an hour at 10 s is eleven of them and a quarter."""

_SMALLEST = 64
_SLACK = 64
_MOST_SLACK = 1 << 16
"""Rows that are reserved beyond those in use: some hundredths of them, at most 16 MB of samples."""
_WORTH_IT = 1 << 10
_WASTE = 4


class Rows:
    """Numbers of rows; each array named in `COLUMNS` has so many elements for each of them."""

    COLUMNS: ClassVar[Mapping[str, int]]

    def __init__(self) -> None:
        self.count = 0
        self._reserved = 0
        self._free = np.zeros(0, dtype=np.int64)
        self._freed = 0

    @property
    def used(self) -> int:
        """How many rows are in use."""
        return self.count - self._freed

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        columns = sum(int(getattr(self, name).nbytes) for name in self.COLUMNS)
        return columns + self._free.nbytes

    def take(self, count: int) -> Ints:
        """Numbers for so many rows; what these hold is anything at all."""
        reused = min(count, self._freed)
        self._freed -= reused
        first = self.count
        self.count += count - reused
        if self.count > self._reserved:
            self._resize()
        fresh = np.arange(first, self.count, dtype=np.int64)
        return np.concatenate((self._free[self._freed : self._freed + reused], fresh))

    def give(self, numbers: Ints) -> None:
        """Give rows back."""
        freed = self._freed + len(numbers)
        self._free = enlarged(self._free, freed)
        self._free[self._freed : freed] = numbers
        self._freed = freed

    def shrink(self) -> Ints | None:
        """Where a quarter of the rows is free, move the last ones into free ones.

        The answer is the new number of each row in use: `int64[rows before]`.
        """
        if self._freed < _WORTH_IT or self._freed * _WASTE < self.count:
            return None
        free = np.zeros(self.count, dtype=np.bool_)
        free[self._free[: self._freed]] = True
        sources = self.used + np.flatnonzero(~free[self.used :])
        targets = np.flatnonzero(free[: self.used])
        moved = np.arange(self.count, dtype=np.int64)
        moved[sources] = targets
        for name, width in self.COLUMNS.items():
            cells = getattr(self, name).reshape(-1, width)
            cells[targets] = cells[sources]
        del cells
        self.count, self._freed = self.used, 0
        self._free = np.zeros(0, dtype=np.int64)
        self._resize()
        return moved

    def _resize(self) -> None:
        self._reserved = self.count + min(max(self.count // _SLACK, _SMALLEST), _MOST_SLACK)
        # In place, so that the kernel remaps the pages of a large array rather than copying them.
        # No view outlives the store's lock, which is what refcheck would look for.
        for name, width in self.COLUMNS.items():
            getattr(self, name).resize(self._reserved * width, refcheck=False)


def enlarged(column: NDArray[Cell], needed: int, fill: int = 0) -> NDArray[Cell]:
    """The column, or a longer copy where it has fewer than `needed` elements."""
    if needed <= len(column):
        return column
    longer = np.full(max(needed, len(column) * 9 // 8, 64), fill, dtype=column.dtype)
    longer[: len(column)] = column
    return longer
