"""A `SeriesSource` in memory: what the query engine is tested on without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import re2

from forewarn_collector.store import LatestColumns, Matcher, MatchOp, SeriesColumns, SeriesLabels
from forewarn_wire import Labels, labels_from


class MemorySeries:
    """Samples by label set; `labels` of an answer is kept while the series are the same."""

    def __init__(self) -> None:
        self._samples: dict[Labels, dict[int, float]] = {}
        self._kept: dict[tuple[Matcher, ...], tuple[Labels, ...]] = {}
        self.selections: list[tuple[int, int]] = []

    def add(self, labels: Mapping[str, str], samples: Sequence[tuple[int, float]]) -> None:
        """Append samples (ms, value) to a series."""
        self._samples.setdefault(labels_from(labels), {}).update(samples)

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        self.selections.append((start, end))
        found = tuple(
            labels
            for labels in self._samples
            if all(_matches(matcher, dict(labels).get(matcher.name, "")) for matcher in matchers)
        )
        key = tuple(matchers)
        if self._kept.get(key) != found:
            self._kept[key] = SeriesLabels(found)
        return self._columns(self._kept[key], start, end)

    def _columns(self, found: SeriesLabels, start: int, end: int) -> SeriesColumns:
        times: list[int] = []
        values: list[float] = []
        offsets = [0]
        for labels in found:
            samples = sorted(
                (time, value)
                for time, value in self._samples[labels].items()
                if start <= time <= end
            )
            times += [time for time, _ in samples]
            values += [value for _, value in samples]
            offsets.append(len(times))
        return SeriesColumns(
            found,
            np.array(times, dtype=np.int64),
            np.array(values, dtype=np.float64),
            np.array(offsets, dtype=np.int64),
        )

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        found = SeriesLabels(labels for labels in series if labels in self._samples)
        return self._columns(found, start, end)

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        return self.select(matchers, start, end).latest()


def _matches(matcher: Matcher, value: str) -> bool:
    match matcher.op:
        case MatchOp.EQUAL:
            return value == matcher.value
        case MatchOp.NOT_EQUAL:
            return value != matcher.value
        case MatchOp.REGEX:
            return re2.fullmatch(f"(?s:{matcher.value})", value) is not None
        case MatchOp.NOT_REGEX:
            return re2.fullmatch(f"(?s:{matcher.value})", value) is None
