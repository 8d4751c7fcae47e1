"""Samples in a real archive, the oldest as rows of an hour, then rows of 5 minutes, then as is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from forewarn_collector.store import (
    Figure,
    LatestColumns,
    Matcher,
    SeriesColumns,
    SeriesLabels,
)
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.late_counts import LateCounts
from forewarn_collector.store.rows import Rows, coarser, encode_rows, rows_of_samples
from forewarn_collector.store.runs import read_runs
from forewarn_collector.store.sealed import Archive, ChunkData, NewChunk
from forewarn_collector.store.sealed.levels import LENGTHS, ROWS_OF_1_HOUR, ROWS_OF_5_MINUTES
from forewarn_wire import Labels


class ThinnedArchive:
    """A `ThinnedSource`: rows of an hour until `hours` (ms), of 5 minutes until `minutes`."""

    def __init__(
        self, path: Path, samples: Mapping[Labels, Mapping[int, float]], hours: int, minutes: int
    ) -> None:
        self._archive = Archive(path)
        self._index = LabelIndex()
        self._index.add(list(enumerate(samples)))
        self._refs = np.arange(len(samples), dtype=np.int64)
        flat = [
            (owner, time, value)
            for owner, one in enumerate(samples.values())
            for time, value in sorted(one.items())
        ]
        owners = np.array([each[0] for each in flat], dtype=np.int64)
        times = np.array([each[1] for each in flat], dtype=np.int64)
        values = np.array([each[2] for each in flat], dtype=np.float64)
        every = rows_of_samples(owners, times, values)
        self._put(every.where(times <= hours), ROWS_OF_1_HOUR)
        self._put(every.where((times > hours) & (times <= minutes)), ROWS_OF_5_MINUTES)
        self._put(every.where(times > minutes), 2)

    def _put(self, rows: Rows, level: int) -> None:
        (group,) = set(self._archive.groups(self._refs, lambda refs: ["web1"] * len(refs)).tolist())
        if not len(rows.times):
            return
        if level in LENGTHS:
            for length in sorted(set(LENGTHS.values())):
                if length <= LENGTHS[level]:
                    rows = coarser(rows, length)
            data = encode_rows(rows, self._refs, LENGTHS[level])
        else:
            refs = np.unique(rows.owners)
            offsets = np.searchsorted(rows.owners, np.append(refs, len(self._refs)))
            data = ChunkData(refs, offsets, rows.times, rows.last)
        self._archive.put([NewChunk(group, level, data)])

    def close(self) -> None:
        self._archive.close()

    def thinned_until(self) -> int:
        return self._archive.thinned_until()

    def select_runs(
        self, matchers: Sequence[Matcher], start: int, end: int, figures: Figure
    ) -> SeriesColumns:
        found = self._index.select(matchers)
        samples = self._archive.select_samples
        columns = read_runs(samples, self._archive, LateCounts(), found.refs, start, end, figures)
        return SeriesColumns(found.labels, *columns)

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        found = self._index.select(matchers)
        return SeriesColumns(found.labels, *self._archive.select(found.refs, start, end))

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        refs = np.array([self._index.ref(labels) for labels in series], dtype=np.int64)
        return SeriesColumns(SeriesLabels(series), *self._archive.select(refs, start, end))

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        return self.select(matchers, start, end).latest()
