"""The pairs that each series has, as numbers, and which series has given ones.

Rows of a matrix for each number of labels, and a hash table of slots: open addressing with linear
probing, for whole columns of label sets at once. It costs some 35 bytes a series.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.cells import enlarged
from forewarn_collector.store.columns import Ints
from forewarn_collector.store.slots import NOWHERE

Hashes = NDArray[np.uint64]
Matrix = NDArray[np.int32]

_FEWEST = 1 << 10
_FULL = 0.6
"""Of the table's places, how many may be taken."""
_ROOM = 3
"""Places of a new table for each series at most, and more than half as many at least."""
_EMPTY, _GONE = NOWHERE, -1
_NO_SET = -1


class LabelSets:
    """What `slots` have: `counts[i]` of `numbers`, one series after the other; sets are unique."""

    def __init__(self) -> None:
        # Other series than someone reckoned with come to stand beside each other.
        self._seed = np.uint64(secrets.randbits(64))
        self._widths: NDArray[np.int32] = np.full(1, _NO_SET, dtype=np.int32)
        self._rows: NDArray[np.int32] = np.zeros(1, dtype=np.int32)
        self._tables: dict[int, _Table] = {}
        self._places: NDArray[np.int32] = np.zeros(_FEWEST, dtype=np.int32)
        # Places that are not empty, and those that hold a slot.
        self._taken = 0
        self._count = 0

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        tables = sum(table.nbytes for table in self._tables.values())
        return tables + self._widths.nbytes + self._rows.nbytes + self._places.nbytes

    def expect(self, series: int) -> None:
        """Make room for so many series at once that are about to be added."""
        if self._taken + series > len(self._places) * _FULL:
            self._build(self._count + series)

    def find(self, numbers: Ints, counts: Ints) -> Ints:
        """The slot of each label set, `NOWHERE` where it is of no series."""
        found = np.full(len(counts), NOWHERE, dtype=np.int64)
        hashes = self._hashes(numbers, counts)
        for width, members, matrix in _by_width(numbers, counts):
            if width in self._tables:
                found[members] = self._probe(hashes[members], width, matrix)
        return found

    def add(self, slots: Ints, numbers: Ints, counts: Ints) -> None:
        """Note the label sets of slots that have none; no series has one of them yet."""
        most = int(slots.max(initial=0)) + 1
        self._widths = enlarged(self._widths, most, _NO_SET)
        self._rows = enlarged(self._rows, most)
        for width, members, matrix in _by_width(numbers, counts):
            table = self._tables.setdefault(width, _Table(width))
            self._rows[slots[members]] = table.put(matrix)
        self.expect(len(slots))
        self._widths[slots] = counts
        self._count += len(slots)
        self._place(slots, self._hashes(numbers, counts))

    def of(self, slots: Ints) -> tuple[Ints, Ints]:
        """Numbers and counts of slots; a count of 0 where there is no series."""
        widths = self._widths[slots].astype(np.int64)
        counts = np.maximum(widths, 0)
        numbers = np.empty(int(counts.sum()), dtype=np.int64)
        begins = np.cumsum(counts) - counts
        for width in _widths(counts[counts > 0]):
            members = np.flatnonzero(counts == width)
            cells = begins[members, np.newaxis] + np.arange(width)
            numbers[cells] = self._tables[width].matrix[self._rows[slots[members]]]
        return numbers, counts

    def remove(self, slots: Ints) -> None:
        """Forget the label sets of slots that have one."""
        numbers, counts = self.of(slots)
        places = self._find_places(slots, self._hashes(numbers, counts))
        self._places[places] = _GONE
        for width in _widths(counts):
            self._tables[width].give(self._rows[slots[counts == width]])
        self._widths[slots] = _NO_SET
        self._count -= len(slots)

    def _hashes(self, numbers: Ints, counts: Ints) -> Hashes:
        # A sum over the pairs, since their order is given by their names.
        sums = np.zeros(len(numbers) + 1, dtype=np.uint64)
        np.cumsum(_mixed(numbers.astype(np.uint64) ^ self._seed), out=sums[1:])
        ends = np.cumsum(counts)
        return _mixed(sums[ends] - sums[ends - counts])

    def _starts(self, hashes: Hashes) -> Ints:
        return (hashes & np.uint64(len(self._places) - 1)).astype(np.int64)

    def _probe(self, hashes: Hashes, width: int, matrix: Matrix) -> Ints:
        found = np.full(len(hashes), NOWHERE, dtype=np.int64)
        table = self._tables[width].matrix
        open_, places = np.arange(len(hashes)), self._starts(hashes)
        while len(open_):
            slots = self._places[places].astype(np.int64)
            alike = np.flatnonzero((slots > 0) & (self._widths[slots] == width))
            rows = self._rows[slots[alike]]
            alike = alike[(table[rows] == matrix[open_[alike]]).all(axis=1)]
            found[open_[alike]] = slots[alike]
            going = slots != _EMPTY
            going[alike] = False
            open_, places = open_[going], self._after(places[going])
        return found

    def _find_places(self, slots: Ints, hashes: Hashes) -> Ints:
        found = np.empty(len(slots), dtype=np.int64)
        open_, places = np.arange(len(slots)), self._starts(hashes)
        while len(open_):
            here = self._places[places] == slots[open_]
            found[open_[here]] = places[here]
            open_, places = open_[~here], self._after(places[~here])
        return found

    def _place(self, slots: Ints, hashes: Hashes) -> None:
        self._taken += len(slots)
        places = self._starts(hashes)
        while len(slots):
            free = self._places[places] == _EMPTY
            # Of those that come to one place the last one stays.
            self._places[places[free]] = slots[free]
            going = self._places[places] != slots
            slots, places = slots[going], self._after(places[going])

    def _after(self, places: Ints) -> Ints:
        return (places + 1) & (len(self._places) - 1)

    def _build(self, series: int) -> None:
        """Make the table anew for so many series, without what is gone from it."""
        size = max(_FEWEST, 1 << (series * _ROOM).bit_length() - 1)
        self._places = np.zeros(size, dtype=np.int32)
        self._taken = 0
        slots = np.flatnonzero(self._widths != _NO_SET)
        self._place(slots, self._hashes(*self.of(slots)))


class _Table:
    """Rows of so many numbers each; those that are given back are used again."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._cells: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._count = 0
        self._free: Ints = np.zeros(0, dtype=np.int64)
        self._freed = 0

    @property
    def matrix(self) -> Matrix:
        """All rows."""
        return self._cells[: self._count * self._width].reshape(self._count, self._width)

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return self._cells.nbytes + self._free.nbytes

    def put(self, matrix: Matrix) -> Ints:
        """The numbers of the rows that hold it now."""
        reused = min(len(matrix), self._freed)
        self._freed -= reused
        first = self._count
        self._count += len(matrix) - reused
        self._cells = enlarged(self._cells, self._count * self._width)
        fresh = np.arange(first, self._count, dtype=np.int64)
        rows = np.concatenate((self._free[self._freed : self._freed + reused], fresh))
        self.matrix[rows] = matrix
        return rows

    def give(self, rows: NDArray[np.int32]) -> None:
        """Give rows back."""
        freed = self._freed + len(rows)
        self._free = enlarged(self._free, freed)
        self._free[self._freed : freed] = rows
        self._freed = freed


def _by_width(numbers: Ints, counts: Ints) -> Iterator[tuple[int, Ints, Matrix]]:
    """For each number of labels: which sets have so many, and a row of numbers for each."""
    begins = np.cumsum(counts) - counts
    for width in _widths(counts):
        members = np.flatnonzero(counts == width)
        cells = begins[members, np.newaxis] + np.arange(width)
        yield width, members, numbers[cells].astype(np.int32)


def _widths(counts: Ints) -> list[int]:
    return np.flatnonzero(np.bincount(counts)).tolist()


def _mixed(values: Hashes) -> Hashes:
    """Numbers spread over all 64 bits: the end of splitmix64 (Steele, Lea, Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
