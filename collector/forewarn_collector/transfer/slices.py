"""What an export hands to a format: samples of a slice of time, series by series."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from forewarn_collector.store import Floats, Ints
from forewarn_wire import STALE_NAN_BITS, Labels


@dataclass(frozen=True, slots=True)
class Slice:
    """Columns of equal length, by series and time (ms); `labels` gives a ref's label set."""

    labels: Callable[[int], Labels]
    refs: Ints
    times: Ints
    values: Floats

    def stale(self) -> Ints:
        """Which samples are stale markers."""
        return np.flatnonzero(self.values.view(np.uint64) == np.uint64(STALE_NAN_BITS))

    def pieces(self, most: int) -> Iterator[Slice]:
        """The same samples, at most so many at once."""
        for first in range(0, len(self.times), most):
            rows = slice(first, first + most)
            yield Slice(self.labels, self.refs[rows], self.times[rows], self.values[rows])

    def without(self, rows: Ints) -> Slice:
        """All but some samples."""
        if not len(rows):
            return self
        return Slice(
            self.labels,
            np.delete(self.refs, rows),
            np.delete(self.times, rows),
            np.delete(self.values, rows),
        )


class Format(Protocol):
    """Writes samples to a file that its maker has opened."""

    def write(self, part: Slice) -> int:
        """Write a slice, later than those before; how many of its samples the format can say."""

    def finish(self) -> None:
        """Write what comes after the last sample."""
