"""The samples of one test, in memory: a source for queries, and where recording rules store."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np

from forewarn_collector.store import (
    Batch,
    Ints,
    LatestColumns,
    Matcher,
    SeriesColumns,
    SeriesLabels,
)
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import LabelIndex
from forewarn_wire import Labels, metric_name


class MemoryStore:
    """The head of a store without its files: the first sample of a series and time stays."""

    def __init__(self) -> None:
        self._index = LabelIndex()
        self._head = Head()
        self._next = 0

    def append(self, batch: Batch) -> Future[None]:
        """Take a batch at once."""
        refs = np.array([self._ref(labels) for labels in batch.labels], dtype=np.int64)
        self._head.apply(self._head.admit(refs[batch.rows], batch.times, batch.values))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        found = self._index.select(matchers)
        return SeriesColumns(found.labels, *self._head.select(found.refs, start, end))

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        known = [labels for labels in series if self._index.ref(labels) is not None]
        refs: Ints = np.array([self._index.ref(labels) for labels in known], dtype=np.int64)
        return SeriesColumns(SeriesLabels(known), *self._head.select(refs, start, end))

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        """See `SeriesSource`."""
        found = self._index.select(matchers)
        return LatestColumns(found.labels, *self._head.latest(found.refs, start, end))

    def _ref(self, labels: Labels) -> int:
        ref = self._index.ref(labels)
        if ref is None:
            ref = self._next
            self._next += 1
            self._index.add([(ref, labels)])
            metric = self._index.metric_id(metric_name(labels))
            self._head.add_series(np.array([ref]), np.array([metric]))
        return ref
