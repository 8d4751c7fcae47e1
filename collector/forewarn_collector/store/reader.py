"""What a store answers: samples, the newest of them, windows, series and their labels."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import compress

import numpy as np

from forewarn_collector.store.cardinality import Cardinality, rankings
from forewarn_collector.store.columns import (
    Figure,
    Ints,
    LatestColumns,
    Matcher,
    SeriesColumns,
    SeriesLabels,
)
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import NO_REF, LabelIndex
from forewarn_collector.store.late_counts import LateCounts
from forewarn_collector.store.pacing import even_cuts
from forewarn_collector.store.reading import (
    Columns,
    names_among,
    read_latest,
    read_samples,
    sorted_labels,
    values_among,
)
from forewarn_collector.store.runs import Unthinned, read_runs
from forewarn_collector.store.sealed import Archive
from forewarn_collector.store.sliding import SlidingWindow
from forewarn_wire import Labels


class StoreReader:
    """Reads head and archive as one, from any thread; `_lock` guards index and head."""

    _archive: Archive

    def __init__(self, index: LabelIndex, head: Head) -> None:
        self._lock = threading.Lock()
        self._index = index
        self._head = head
        self._late_counts = LateCounts()

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        """As `SeriesSource.select`. Raises ValueError for a bad regex or too many samples."""
        with self._lock:
            found = self._index.select(matchers)
            labels, refs = found.labels, found.refs
        columns = read_samples(self._head, self._lock, refs, start, end, self._archive)
        values = self._late_counts.raised_columns(refs, columns)
        return SeriesColumns(labels, columns[0], values, columns[2])

    def thinned_until(self) -> int:
        """As `ThinnedSource.thinned_until`."""
        return self._archive.thinned_until()

    def select_runs(
        self, matchers: Sequence[Matcher], start: int, end: int, figures: Figure
    ) -> SeriesColumns:
        """As `ThinnedSource.select_runs`. Raises ValueError: a bad regex, too many samples."""
        with self._lock:
            found = self._index.select(matchers)
            labels, refs = found.labels, found.refs

        def samples(refs: Ints, start: int, end: int) -> Columns:
            older = Unthinned(self._archive)
            columns = read_samples(self._head, self._lock, refs, start, end, older)
            return columns[0], self._late_counts.raised_columns(refs, columns), columns[2]

        columns = read_runs(samples, self._archive, self._late_counts, refs, start, end, figures)
        return SeriesColumns(labels, *columns)

    def cuts(self, matchers: Sequence[Matcher], start: int, end: int, most: int) -> Ints:
        """As `PacedSource.cuts`; what is not sealed yet does not count."""
        with self._lock:
            refs = self._index.select(matchers).refs
        return even_cuts(self._archive.pieces(refs, start, end), start, end, most)

    def labels_of(self, refs: Ints) -> list[Labels]:
        """The label sets of series that an arrival names; empty where retention dropped one."""
        with self._lock:
            return self._index.labels_of(refs)

    def has_series(self, matchers: Sequence[Matcher]) -> bool:
        """Whether there is any series that meets all matchers. Raises ValueError: bad regex."""
        with self._lock:
            return self._index.has(matchers)

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """As `SeriesSource.read`."""
        with self._lock:
            refs = self._index.find(series)
        known = refs != NO_REF
        found, refs = compress(series, known.tolist()), refs[known]
        columns = read_samples(self._head, self._lock, refs, start, end, self._archive)
        values = self._late_counts.raised_columns(refs, columns)
        return SeriesColumns(SeriesLabels(found), columns[0], values, columns[2])

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        """As `SeriesSource.latest`. Raises ValueError for a bad regex."""
        with self._lock:
            found = self._index.select(matchers)
            labels, refs = found.labels, found.refs
        times, values = read_latest(self._head, self._lock, refs, start, end, self._archive)
        return LatestColumns(labels, times, self._late_counts.raised(refs, times, values))

    def sliding(self, matchers: Sequence[Matcher]) -> SlidingWindow:
        """A window over the series that match every matcher. ValueError at a slide: a bad regex."""
        return SlidingWindow(
            self._index, self._head, self._lock, matchers, self._late_counts, self._archive
        )

    def series(
        self, matcher_sets: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> list[Labels]:
        """Label sets that meet any of the sets of matchers and have samples about that time.

        No set at all means every series. Sorted. Raises ValueError for a bad regex.
        """
        with self._lock:
            refs = self._overlapping(matcher_sets, start, end)
        return sorted_labels(self._index, self._lock, refs)

    def label_names(
        self, matcher_sets: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> list[str]:
        """The names of labels of the series that `series` would find, sorted."""
        with self._lock:
            refs = self._overlapping(matcher_sets, start, end)
        return names_among(self._index, self._lock, refs)

    def label_values(
        self, name: str, matcher_sets: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> list[str]:
        """The values of one label of the series that `series` would find, sorted."""
        with self._lock:
            refs = self._overlapping(matcher_sets, start, end)
        return values_among(self._index, self._lock, name, refs)

    def cardinality(self, limit: int) -> Cardinality:
        """What makes up the series now, the greatest `limit` of each kind."""
        with self._lock:
            series = len(self._index)
            chunks, earliest, latest = self._head.extent()
        pairs, *ranked = rankings(self._index, limit)
        return Cardinality(series, pairs, chunks, earliest, latest, *ranked)

    def _overlapping(self, matcher_sets: Sequence[Sequence[Matcher]], start: int, end: int) -> Ints:
        found = [self._index.select(matchers).refs for matchers in matcher_sets or [()]]
        refs = found[0] if len(found) == 1 else np.unique(np.concatenate(found))
        return self._head.overlapping(refs, start, end)
