"""What chunks of each level hold: samples as they came, or rows that stand for many of them."""

from __future__ import annotations

from enum import IntEnum

from forewarn_collector.store.columns import Ints

ROWS_OF_5_MINUTES = 10
ROWS_OF_1_HOUR = 11
LENGTHS = {ROWS_OF_5_MINUTES: 300_000, ROWS_OF_1_HOUR: 3_600_000}
"""How long (ms) a row's bucket is."""
LEAST_ROWS = min(LENGTHS)
"""Levels below hold samples."""

REF_BITS = 4


class Column(IntEnum):
    """A row's columns: each is a series of its own in a chunk, with the times of buckets' ends."""

    LAST = 0
    """The last sample, a stale marker too: a read of samples gives this one."""
    FINAL = 1
    """The last value that is no stale marker; without, it is `LAST`."""
    FIRST = 2
    """The first value; without, `FINAL`."""
    LOW = 3
    """Without, the lower one of `FIRST` and `FINAL`."""
    HIGH = 4
    """Without, the higher one of `FIRST` and `FINAL`."""
    TOTAL = 5
    """The sum; without, `FINAL` as often as `COUNT` says."""
    COUNT = 6
    """How many values, without stale markers; none without."""
    BEGAN = 7
    """From the bucket's beginning to the first value (ms)."""
    ENDED = 8
    """From the last value to the bucket's end (ms)."""
    RESETS = 9
    """The sum of the values that a lower one followed; 0 without."""


def row_refs(refs: Ints, column: Column) -> Ints:
    """The numbers of one column of some series in chunks of rows."""
    return refs << REF_BITS | int(column)


def series_refs(refs: Ints) -> Ints:
    """The series of such numbers."""
    return refs >> REF_BITS
