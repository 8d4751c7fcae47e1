"""The store's columns without its files: what windows can slide over in a test."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from forewarn_collector.store import (
    LatestColumns,
    Matcher,
    SeriesColumns,
    SeriesLabels,
    SlidingWindow,
)
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.late_counts import LateCounts
from forewarn_wire import Labels


class HeadSource:
    """A `SeriesSource` that is written to directly."""

    def __init__(self) -> None:
        self.index = LabelIndex()
        self.head = Head()
        self._next_ref = 0

    def write(self, samples: Sequence[tuple[Labels, int, float]]) -> None:
        """Add samples (labels, time in ms, value) as one batch."""
        refs = []
        for labels, _, _ in samples:
            ref = self.index.ref(labels)
            if ref is None:
                ref = self._next_ref
                self._next_ref += 1
                self.index.add([(ref, labels)])
                self.head.add_series(np.array([ref]), np.array([0]))
            refs.append(ref)
        times = np.array([time for _, time, _ in samples], dtype=np.int64)
        values = np.array([value for _, _, value in samples], dtype=np.float64)
        self.head.apply(self.head.admit(np.array(refs, dtype=np.int64), times, values))

    def drop(self, cutoff: int) -> None:
        """Drop what is old (ms), as retention does."""
        self.index.remove(self.head.drop_before(cutoff).tolist())

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        found = self.index.select(matchers)
        return SeriesColumns(found.labels, *self.head.select(found.refs, start, end))

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        refs = np.array([self.index.ref(labels) for labels in series], dtype=np.int64)
        return SeriesColumns(SeriesLabels(series), *self.head.select(refs, start, end))

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        found = self.index.select(matchers)
        return LatestColumns(found.labels, *self.head.latest(found.refs, start, end))

    def sliding(self, matchers: Sequence[Matcher]) -> SlidingWindow:
        return SlidingWindow(self.index, self.head, threading.Lock(), matchers, LateCounts())
