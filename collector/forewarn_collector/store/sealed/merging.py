"""Columns of many chunks as one selection: in the order asked for, each time of a series once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import repeated, running_count, spans


@dataclass(frozen=True, slots=True)
class Piece:
    """Columns as they were decoded: column `i` is of row `rows[i]` of what was asked for.

    Of samples with the same time, that of the lowest of `ranks: int64[columns]` holds.
    """

    rows: Ints
    ranks: Ints
    times: Ints
    values: Floats
    offsets: Ints

    def clipped(self, start: int, end: int) -> Piece:
        """The samples with `start <= time <= end`."""
        within = (self.times >= start) & (self.times <= end)
        if within.all():
            return self
        offsets = running_count(within)[self.offsets]
        return Piece(self.rows, self.ranks, self.times[within], self.values[within], offsets)


def merged(pieces: Sequence[Piece], rows: int) -> tuple[Ints, Floats, Ints]:
    """Times and values of all rows, one after the other, and `offsets: int64[rows + 1]`."""
    if not pieces:
        none = np.zeros(0)
        return none.astype(np.int64), none, np.zeros(rows + 1, dtype=np.int64)
    owners = np.concatenate([piece.rows for piece in pieces])
    ranks = np.concatenate([piece.ranks for piece in pieces])
    times = np.concatenate([piece.times for piece in pieces])
    values = np.concatenate([piece.values for piece in pieces])
    counts = np.concatenate([np.diff(piece.offsets) for piece in pieces])
    starts = np.cumsum(counts) - counts
    filled = np.flatnonzero(counts)
    columns = filled[np.lexsort((times[starts[filled]], owners[filled]))]
    if not np.array_equal(columns, np.arange(len(counts))):
        places = spans(starts[columns], counts[columns])
        times, values = times[places], values[places]
    of_samples = repeated(owners[columns], counts[columns])
    again = of_samples[1:] == of_samples[:-1]
    if (again & (times[1:] <= times[:-1])).any():
        order = np.lexsort((repeated(ranks[columns], counts[columns]), times, of_samples))
        times, values, of_samples = times[order], values[order], of_samples[order]
        first = np.ones(len(times), dtype=bool)
        first[1:] = (of_samples[1:] != of_samples[:-1]) | (times[1:] != times[:-1])
        times, values, of_samples = times[first], values[first], of_samples[first]
    offsets = np.searchsorted(of_samples, np.arange(rows + 1))
    return times, values, offsets
