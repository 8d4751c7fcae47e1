"""Stored samples as a source for rules on simulated time: a window that goes forward with them.

Only what the rules read is taken in, and what they have left behind is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from forewarn_collector.store import (
    Floats,
    Ints,
    LatestColumns,
    Matcher,
    SeriesColumns,
    SeriesLabels,
)
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import LabelIndex
from forewarn_wire import Labels, metric_name

AHEAD = 6 * 3_600_000
"""How far (ms) is read beyond what was asked for."""
_AT_ONCE = 1_000_000
"""Samples that are taken in together, since a few large batches are faster."""


class Feed(Protocol):
    """Where samples come from. Series have numbers of the feed's own."""

    @property
    def index(self) -> LabelIndex:
        """The series that are known; `samples` may add some."""

    @property
    def size(self) -> int:
        """One more than the highest number of a series."""

    @property
    def damaged(self) -> int:
        """How many records could not be read."""

    def samples(
        self, selectors: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Series, times (`start <= time <= end`) and values of what meets any of the selectors."""

    def extent(
        self, selectors: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> tuple[int, int] | None:
        """The first and last time in `start` to `end` at which there is anything; None if never."""

    def close(self) -> None:
        """Let go of files and connections."""


class Window:
    """A `SeriesSource` whose readers go forward in time; going back is right too, but slow."""

    def __init__(self, feed: Feed, selectors: Sequence[Sequence[Matcher]]) -> None:
        """`selectors` are what will be read; others may be as well, which costs a new start."""
        self._feed = feed
        self._selectors = {frozenset(matchers): matchers for matchers in selectors}
        self._head = Head()
        self._low, self._high = 0, -1
        # The earliest time that was asked for since the window last went forward.
        self._asked: int | None = None
        self._ever = np.zeros(0, dtype=np.bool_)

    @property
    def damaged(self) -> int:
        """How many records could not be read until now."""
        return self._feed.damaged

    def close(self) -> None:
        """Let go of files and connections."""
        self._feed.close()

    def extent(self, start: int, end: int) -> tuple[int, int] | None:
        """The first and last time (ms) in `start` to `end` with signals; None where there are none.

        A data directory counts all signals, a server those that the rules read.
        """
        return self._feed.extent(list(self._selectors.values()), start, end)

    @property
    def samples(self) -> int:
        """How many samples are in memory."""
        return self._head.samples

    def found(self, matchers: Sequence[Matcher]) -> bool:
        """Whether any sample of this selector was taken in until now."""
        refs = self._feed.index.select(matchers).refs
        return bool(self._ever[refs[refs < len(self._ever)]].any())

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        """As `SeriesSource.select`."""
        self._reach(matchers, start, end)
        found = self._feed.index.select(matchers)
        return SeriesColumns(found.labels, *self._head.select(found.refs, start, end))

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """As `SeriesSource.read`."""
        self._reach(None, start, end)
        refs = [(labels, self._feed.index.ref(labels)) for labels in series]
        known = [(labels, ref) for labels, ref in refs if ref is not None]
        numbers = np.array([ref for _, ref in known], dtype=np.int64)
        columns = self._head.select(numbers, start, end)
        return SeriesColumns(SeriesLabels(labels for labels, _ in known), *columns)

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        """As `SeriesSource.latest`."""
        self._reach(matchers, start, end)
        found = self._feed.index.select(matchers)
        return LatestColumns(found.labels, *self._head.latest(found.refs, start, end))

    def _reach(self, matchers: Sequence[Matcher] | None, start: int, end: int) -> None:
        """See that the window holds all that is asked for."""
        self._asked = start if self._asked is None else min(self._asked, start)
        if matchers is not None and frozenset(matchers) not in self._selectors:
            self._selectors[frozenset(matchers)] = matchers
            if self._high >= self._low:
                self._begin(min(start, self._low), max(end, self._high))
        if self._high < self._low or end < self._low - 1:
            self._begin(start, end)
        if start < self._low:
            first, self._low = self._low, start
            self._load(start, first - 1)
        if end > self._high:
            self._advance(end)

    def _begin(self, start: int, end: int) -> None:
        self._head = Head()
        self._ever = np.zeros(0, dtype=np.bool_)
        self._low, self._high = start, end
        self._load(start, end)

    def _advance(self, end: int) -> None:
        if self._asked is not None and self._asked > self._low:
            self._low = self._asked
            self._head.drop_before(self._low)
        self._asked = None
        first, self._high = self._high + 1, end + AHEAD
        if self._low > first:
            # A leap over what nobody asked for.
            first = self._low
        self._load(first, self._high)

    def _load(self, start: int, end: int) -> None:
        waiting: list[tuple[Ints, Ints, Floats]] = []
        samples = 0
        for columns in self._feed.samples(list(self._selectors.values()), start, end):
            waiting.append(columns)
            samples += len(columns[0])
            if samples >= _AT_ONCE:
                self._take(waiting)
                waiting, samples = [], 0
        self._take(waiting)

    def _take(self, parts: Sequence[tuple[Ints, Ints, Floats]]) -> None:
        known, size = len(self._ever), self._feed.size
        if size > known:
            index = self._feed.index
            metrics = [
                index.metric_id(metric_name(index.labels(ref))) for ref in range(known, size)
            ]
            self._head.add_series(np.arange(known, size), np.array(metrics, dtype=np.int64))
            self._ever = np.concatenate((self._ever, np.zeros(size - known, dtype=np.bool_)))
        if parts:
            refs, times, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
            self._ever[refs] = True
            self._head.apply(self._head.admit(refs, times, values))
