"""The samples of a collector's data directory, also while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from forewarn_collector.history.errors import HistoryError
from forewarn_collector.store import Floats, History, Ints, Matcher, StoreError, open_history
from forewarn_collector.store.index import LabelIndex


class DirectoryFeed:
    """See `Feed`. Raises HistoryError."""

    def __init__(self, directory: Path) -> None:
        self.index = LabelIndex()
        try:
            self._history: History = open_history(directory)
        except StoreError as error:
            raise HistoryError(str(error)) from error
        self.index.add(self._history.series)
        self.size = self._history.series[-1][0] + 1 if self._history.series else 0

    @property
    def damaged(self) -> int:
        """How many series and commits could not be read."""
        return self._history.damaged

    def samples(
        self, selectors: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> Iterator[tuple[Ints, Ints, Floats]]:
        """See `Feed`."""
        wanted = np.zeros(self.size, dtype=np.bool_)
        for matchers in selectors:
            wanted[self.index.select(matchers).refs] = True
        try:
            for refs, times, values in self._history.samples(start, end):
                # A commit may be damaged within, or name series that came after the opening.
                kept = (times >= start) & (times <= end) & (refs >= 0) & (refs < self.size)
                kept[kept] = wanted[refs[kept]]
                yield refs[kept], times[kept], values[kept]
        except StoreError as error:
            raise HistoryError(str(error)) from error

    def extent(
        self, selectors: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> tuple[int, int] | None:
        """See `Feed`; all signals count, whatever the selectors."""
        return self._history.extent(start, end)

    def close(self) -> None:
        """See `Feed`."""
        self._history.close()
