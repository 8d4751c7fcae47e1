"""The samples of a collector's data directory, also while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from forewarn_collector.history.errors import HistoryError
from forewarn_collector.history.window import Window
from forewarn_collector.store import (
    Figure,
    Floats,
    Ints,
    Matcher,
    Past,
    RunColumns,
    SeriesColumns,
    StoreError,
)
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.reading import Columns


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

    def thinned_until(self) -> int:
        """See `ThinnedSource`."""
        return self._past.thinned_until()

    def runs(
        self,
        samples: Callable[[Ints, int, int], Columns],
        refs: Ints,
        start: int,
        end: int,
        figures: Figure,
    ) -> tuple[Ints, Floats, Ints, RunColumns]:
        """See `Past.runs`."""
        try:
            return self._past.runs(samples, refs, start, end, figures)
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


class DirectoryWindow(Window):
    """A `ThinnedSource`: samples are taken in, rows of thinned ones read as they are asked for."""

    def __init__(self, feed: DirectoryFeed, selectors: Sequence[Sequence[Matcher]]) -> None:
        super().__init__(feed, selectors)
        self._directory = feed

    def thinned_until(self) -> int:
        """See `ThinnedSource`."""
        return self._directory.thinned_until()

    def select_runs(
        self, matchers: Sequence[Matcher], start: int, end: int, figures: Figure
    ) -> SeriesColumns:
        """See `ThinnedSource`."""
        self._reach(matchers, start, end)
        found = self._directory.index.select(matchers)
        columns = self._directory.runs(self._head.select, found.refs, start, end, figures)
        return SeriesColumns(found.labels, *columns)
