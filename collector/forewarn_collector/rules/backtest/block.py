"""Samples of a span of time that are cut any number of times, by searches in one sorted column."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from forewarn_collector.store import (
    NEVER,
    Floats,
    Ints,
    LatestColumns,
    SeriesColumns,
    SeriesLabels,
)
from forewarn_collector.store.spans import repeated, spans
from forewarn_wire import Labels

_SPARSE = 16
"""A span of more ms than this many times its samples is too long for marking each of its ms."""


class Block:
    """The samples of some series with `start <= time <= end` (ms)."""

    def __init__(self, columns: SeriesColumns, start: int, end: int) -> None:
        self.columns = columns
        self.start = start
        self.end = end

    def covers(self, start: int, end: int) -> bool:
        """Whether all samples of that span are here."""
        return self.start <= start and end <= self.end

    def between(self, start: int, end: int) -> SeriesColumns:
        """The samples with `start <= time <= end`."""
        columns = self.columns
        if start <= self.start and end >= self.end:
            return columns
        lows, highs = self._places(start - 1), self._places(max(end, start - 1))
        found = spans(lows, highs - lows)
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(highs - lows)))
        return SeriesColumns(columns.labels, columns.times[found], columns.values[found], offsets)

    def latest(self, start: int, end: int) -> LatestColumns:
        """The newest sample of each series with `start <= time <= end`."""
        columns = self.columns
        times, values = np.full(len(columns.labels), NEVER), np.zeros(len(columns.labels))
        last = self._places(end) - 1
        filled = last >= columns.offsets[:-1]
        filled[filled] = columns.times[last[filled]] >= start
        times[filled], values[filled] = columns.times[last[filled]], columns.values[last[filled]]
        return LatestColumns(columns.labels, times, values)

    def pick(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns | None:
        """The samples of these series; None if some of them are not among those here."""
        rows = [self._rows.get(labels) for labels in series]
        if None in rows:
            return None
        chosen: Ints = np.array(rows, dtype=np.int64)
        lows = self._places(start - 1)[chosen]
        counts = self._places(max(end, start - 1))[chosen] - lows
        found = spans(lows, counts)
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        return SeriesColumns(
            SeriesLabels(series), self.columns.times[found], self.columns.values[found], offsets
        )

    def distinct_times(self, start: int, end: int) -> Ints:
        """The times with `start <= time <= end` at which any series has a sample, ascending."""
        times = self.columns.times
        times = times[(times >= start) & (times <= end)]
        if (end - start) > _SPARSE * len(times):
            return each_once(np.sort(times))
        # As a rule many series have samples at the same times.
        marks = np.zeros(end - start + 1, dtype=np.bool_)
        marks[times - start] = True
        return np.flatnonzero(marks) + start

    def followed_by(self, columns: SeriesColumns, start: int, end: int) -> Block:
        """What is here from `start` (ms) on, and samples after all of it, up to `end` (ms)."""
        if start > self.end:
            return Block(columns, self.end + 1, end)
        return Block(joined(self.between(start, self.end), columns), max(start, self.start), end)

    def _places(self, time: int) -> Ints:
        """For each series, the index of its first sample after a time."""
        columns = self.columns
        if not len(columns.times):
            return np.zeros(len(columns.labels), dtype=np.int64)
        least, span, rises, keys = self._keys
        instant = min(max(time, least - 1), least + span - 2) - least
        places: Ints = np.searchsorted(keys, rises + instant, "right")
        return places

    @cached_property
    def _keys(self) -> tuple[int, int, Ints, Ints]:
        """One ascending key for the samples of all series: least time, span, rise per series."""
        columns = self.columns
        least = int(columns.times.min())
        span = int(columns.times.max()) - least + 2
        rises = np.arange(len(columns.labels), dtype=np.int64) * span
        keys = columns.times - least + repeated(rises, np.diff(columns.offsets))
        return least, span, rises, keys

    @cached_property
    def _rows(self) -> dict[Labels, int]:
        return {labels: row for row, labels in enumerate(self.columns.labels)}


class Followed:
    """The labels of series and of others behind them, in one object while both are the same."""

    def __init__(self) -> None:
        self._first = SeriesLabels()
        self._second = SeriesLabels()
        self._both = SeriesLabels()

    def __call__(self, first: SeriesLabels, second: SeriesLabels) -> SeriesLabels:
        """Labels of which none is in both parts."""
        if first is not self._first or not second.continues(self._second):
            self._both = SeriesLabels((*first, *second))
        elif second is not self._second:
            self._both = self._both.grown(second[len(self._second) :])
        self._first, self._second = first, second
        return self._both


def each_once(times: Ints) -> Ints:
    """Ascending times without repetition. (numpy's `unique` looks for them by hashes first.)"""
    return times[np.append(True, times[1:] != times[:-1])] if len(times) else times


def joined(*parts: SeriesColumns) -> SeriesColumns:
    """The samples of several columns, each series once; a later part has the later samples."""
    labels = next((part.labels for part in parts if len(part.labels)), SeriesLabels())
    if all(part.labels is labels or part.labels == labels for part in parts):
        rows = [_rows(part) for part in parts]
        # The newest, which the source will give again.
        labels = parts[-1].labels
    else:
        known: dict[Labels, int] = {}
        rows = []
        for part in parts:
            places = [known.setdefault(each, len(known)) for each in part.labels]
            rows.append(np.array(places, dtype=np.int64)[_rows(part)])
        labels = SeriesLabels(known)
    every = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    order = np.argsort(every, kind="stable")
    offsets = np.zeros(len(labels) + 1, dtype=np.int64)
    np.cumsum(np.bincount(every, minlength=len(labels)), out=offsets[1:])
    times: Ints = np.concatenate([part.times for part in parts])[order]
    values: Floats = np.concatenate([part.values for part in parts])[order]
    return SeriesColumns(labels, times, values, offsets)


def _rows(columns: SeriesColumns) -> Ints:
    """The series of each sample."""
    return repeated(np.arange(len(columns.labels), dtype=np.int64), np.diff(columns.offsets))
