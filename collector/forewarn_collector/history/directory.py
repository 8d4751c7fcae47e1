"""The samples of a collector's data directory, also while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from forewarn_collector.history.errors import HistoryError
from forewarn_collector.store import Floats, Ints, Matcher, Past, StoreError
from forewarn_collector.store.index import LabelIndex


class DirectoryFeed:
    """See `Feed`. Raises HistoryError."""

    def __init__(self, directory: Path) -> None:
        self.index = LabelIndex()
        try:
            self._past = Past(directory)
        except StoreError as error:
            raise HistoryError(str(error)) from error
        self.index.add(self._past.series)
        self.size = self._past.series[-1][0] + 1 if self._past.series else 0

    @property
    def damaged(self) -> int:
        """How many series, commits and parts of chunks could not be read."""
        return self._past.damaged

    def samples(
        self, selectors: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> Iterator[tuple[Ints, Ints, Floats]]:
        """See `Feed`."""
        wanted = np.zeros(self.size, dtype=np.bool_)
        for matchers in selectors:
            wanted[self.index.select(matchers).refs] = True
        try:
            yield from self._past.samples(np.flatnonzero(wanted), start, end)
        except StoreError as error:
            raise HistoryError(str(error)) from error

    def extent(
        self, selectors: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> tuple[int, int] | None:
        """See `Feed`; all signals count, whatever the selectors."""
        try:
            return self._past.extent(start, end)
        except StoreError as error:
            raise HistoryError(str(error)) from error

    def close(self) -> None:
        """See `Feed`."""
        self._past.close()
