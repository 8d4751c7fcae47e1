"""Places for what is known of each series: small numbers that are used again, unlike refs.

A ref is never given out twice, so columns by ref would grow for as long as series come and go. Here
a ref costs four bytes, in pages that go when the last of their series does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Ints
from forewarn_collector.store.spans import run_starts

NOWHERE = 0
"""The slot of a series that is not there (any more): its columns say that there is nothing."""

_BITS = 12
_PAGE = 1 << _BITS


class Slots:
    """The slot of each ref. Readers may go on while a series is added or removed."""

    def __init__(self) -> None:
        # The page's number of each range of refs; page 0 is that of ranges without any series.
        self._numbers: Ints = np.zeros(1, dtype=np.int64)
        self._pages: NDArray[np.int32] = np.full(_PAGE, NOWHERE, dtype=np.int32)
        self._used: Ints = np.zeros(1, dtype=np.int64)
        self._free_pages: list[int] = []
        self._free: list[int] = []
        self.count = 1

    def __len__(self) -> int:
        """How many series have one."""
        return self.count - 1 - len(self._free)

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return int(self._numbers.nbytes + self._pages.nbytes + self._used.nbytes)

    def of(self, refs: Ints) -> Ints:
        """The slots of series, `NOWHERE` of one that was removed."""
        slots: Ints = self._pages[(self._numbers[refs >> _BITS] << _BITS) + (refs & (_PAGE - 1))]
        return slots.astype(np.int64)

    def one(self, ref: int) -> int:
        """The slot of one ref, `NOWHERE` also where it was never given out."""
        number = ref >> _BITS
        if not 0 <= number < len(self._numbers):
            return NOWHERE
        page = int(self._numbers[number])
        return int(self._pages[(page << _BITS) + (ref & (_PAGE - 1))])

    def add(self, refs: Ints) -> Ints:
        """Give a slot to series that have none; the slots of all."""
        ranges = refs >> _BITS
        # Most come in order: few are left to be sorted.
        ranges = np.unique(ranges[run_starts(ranges)])
        self._reach(ranges)
        for new in ranges[self._numbers[ranges] == 0].tolist():
            self._numbers[new] = self._open()
        slots = self.of(refs)
        without = np.flatnonzero(slots == NOWHERE)
        if len(without):
            slots[without] = self._take(len(without))
            pages = self._numbers[refs[without] >> _BITS]
            self._pages[(pages << _BITS) + (refs[without] & (_PAGE - 1))] = slots[without]
            np.add.at(self._used, pages, 1)
        return slots

    def remove(self, refs: Ints) -> Ints:
        """Take the slots of series that have one: these slots."""
        slots = self.of(refs)
        pages = self._numbers[refs >> _BITS]
        self._pages[(pages << _BITS) + (refs & (_PAGE - 1))] = NOWHERE
        self._free.extend(slots.tolist())
        np.subtract.at(self._used, pages, 1)
        for page in np.unique(pages[self._used[pages] == 0]).tolist():
            self._numbers[self._numbers == page] = 0
            self._free_pages.append(page)
        return slots

    def _reach(self, ranges: Ints) -> None:
        needed = int(ranges.max(initial=0)) + 1
        if needed > len(self._numbers):
            numbers = np.zeros(max(needed, len(self._numbers) * 2), dtype=np.int64)
            numbers[: len(self._numbers)] = self._numbers
            self._numbers = numbers

    def _open(self) -> int:
        if not self._free_pages:
            more = max(len(self._used) // 4, 1)
            self._free_pages.extend(range(len(self._used), len(self._used) + more))
            self._used = np.concatenate((self._used, np.zeros(more, dtype=np.int64)))
            fresh = np.full(more * _PAGE, NOWHERE, dtype=np.int32)
            self._pages = np.concatenate((self._pages, fresh))
        return self._free_pages.pop()

    def _take(self, count: int) -> Ints:
        reused = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = np.arange(self.count, self.count + count - len(reused), dtype=np.int64)
        self.count += len(fresh)
        return np.concatenate((np.array(reused, dtype=np.int64), fresh))
