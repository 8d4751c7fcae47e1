"""The samples of one slab of time: each read once from its source, whichever rules ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from forewarn_collector.rules.alert_series import ALERT_METRICS
from forewarn_collector.rules.alerts import ALERT_NAME
from forewarn_collector.rules.backtest.block import Block, Followed, joined
from forewarn_collector.rules.order import accepts_name
from forewarn_collector.rules.testing.memory import MemoryStore
from forewarn_collector.store import (
    Batch,
    Figure,
    Ints,
    LatestColumns,
    Matcher,
    MatchOp,
    SeriesColumns,
    SeriesLabels,
    SeriesSource,
    select_runs,
    thinned_until,
)
from forewarn_collector.store.columns import joined_runs, runs_of_samples
from forewarn_collector.store.matching import metric_of
from forewarn_wire import Labels, metric_name
from forewarn_wire.labels import METRIC_NAME

_EVERYTHING = (Matcher(METRIC_NAME, MatchOp.NOT_EQUAL, ""),)

Matchers = Sequence[Matcher]


class Samples:
    """Stored samples of one slab of time after another, and what the rules record meanwhile.

    What a source has of metrics in `recorded`, and of the series of `alerts` by their names, does
    not count: the rules record and show these anew.
    `samples` counts what was read for the slabs themselves; `held` is how many are in memory.
    """

    def __init__(
        self,
        source: SeriesSource,
        recorded: AbstractSet[str],
        alerts: AbstractSet[str],
        reach: int,
    ) -> None:
        """`reach` (ms) is how far back any rule reads what rules record."""
        self.samples = 0
        self._source = source
        self._recorded = recorded
        self._alerts = alerts
        self._reach = reach
        self._start = 0
        self._end = -1
        self._memory = MemoryStore()
        self._blocks: dict[tuple[Matcher, ...], Block] = {}
        # How far before a slab the samples of each selector were asked for.
        self._back: dict[tuple[Matcher, ...], int] = {}
        self._own: dict[tuple[Matcher, ...], bool] = {}
        self._followed: dict[tuple[Matcher, ...], Followed] = {}

    @property
    def held(self) -> int:
        """How many samples are in memory."""
        return sum(len(block.columns.times) for block in self._blocks.values())

    def begin(self, start: int, end: int) -> None:
        """Go on to the slab from `start` to `end` (ms), which follows on the last one."""
        kept = self._memory.select(_EVERYTHING, start - self._reach, start - 1)
        self._memory = MemoryStore()
        rows = np.repeat(np.arange(len(kept.labels)), np.diff(kept.offsets))
        self.append(Batch(kept.labels, rows, kept.times, kept.values))
        # What no rule asked for in the last slab is read anew if one does.
        self._blocks = {key: block for key, block in self._blocks.items() if block.end == start - 1}
        self._start, self._end = start, end

    def append(self, batch: Batch) -> None:
        """Take in what rules recorded."""
        if len(batch.times):
            self._memory.append(batch)

    def arrivals(self, matchers: Matchers) -> Ints:
        """The times of the slab (ms) at which stored samples of a selector lie, ascending."""
        if metric_of(matchers) in self._recorded:
            return np.zeros(0, dtype=np.int64)
        return self._block(matchers, self._start).distinct_times(self._start, self._end)

    def series(self, matchers: Matchers) -> int:
        """How many stored series a selector has."""
        if metric_of(matchers) in self._recorded:
            return len(self._memory.select(matchers, 0, -1).labels)
        return len(self._block(matchers, self._start).columns.labels)

    def select(self, matchers: Matchers, start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        if metric_of(matchers) in self._recorded:
            return self._memory.select(matchers, start, end)
        if end < self._start or end > self._end:
            stored = self._stored(matchers, start, end)
        else:
            stored = self._block(matchers, start).between(start, end)
        if not self._may_be_own(matchers):
            return stored
        return self._with_own(matchers, stored, self._memory.select(matchers, start, end))

    def thinned_until(self) -> int:
        """See `ThinnedSource`."""
        return thinned_until(self._source)

    def select_runs(
        self, matchers: Matchers, start: int, end: int, figures: Figure
    ) -> SeriesColumns:
        """See `ThinnedSource`. Read anew each time: rows are few."""
        if metric_of(matchers) in self._recorded:
            return self._memory.select(matchers, start, end)
        found = select_runs(self._source, matchers, start, end, figures)
        stored = self._unmade(found, matchers)
        if not self._may_be_own(matchers):
            return stored
        return self._with_own(matchers, stored, self._memory.select(matchers, start, end))

    def latest(self, matchers: Matchers, start: int, end: int) -> LatestColumns:
        """See `SeriesSource`."""
        if metric_of(matchers) in self._recorded:
            return self._memory.latest(matchers, start, end)
        if end < self._start or end > self._end:
            return self.select(matchers, start, end).latest()
        stored = self._block(matchers, start).latest(start, end)
        if not self._may_be_own(matchers):
            return stored
        own = self._memory.latest(matchers, start, end)
        return LatestColumns(
            self._labels(matchers, stored.labels, own.labels),
            np.concatenate((stored.times, own.times)),
            np.concatenate((stored.values, own.values)),
        )

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        own = [labels for labels in series if self._is_own(labels)]
        if own:
            others = [labels for labels in series if not self._is_own(labels)]
            return joined(self.read(others, start, end), self._memory.read(own, start, end))
        for block in self._blocks.values():
            if block.covers(start, end):
                found = block.pick(series, start, end)
                if found is not None:
                    return found
        return self._source.read(series, start, end)

    def _with_own(
        self, matchers: Matchers, stored: SeriesColumns, own: SeriesColumns
    ) -> SeriesColumns:
        """Stored samples and our own behind them."""
        runs = stored.runs
        if runs is not None:
            runs = joined_runs([runs, runs_of_samples(own.times, own.values)])
        return SeriesColumns(
            self._labels(matchers, stored.labels, own.labels),
            np.concatenate((stored.times, own.times)),
            np.concatenate((stored.values, own.values)),
            np.concatenate((stored.offsets, own.offsets[1:] + len(stored.times))),
            runs,
        )

    def _labels(self, matchers: Matchers, stored: SeriesLabels, own: SeriesLabels) -> SeriesLabels:
        """The labels of stored series and of our own behind them, none of which are in both."""
        followed = self._followed.setdefault(tuple(matchers), Followed())
        return followed(stored, own)

    def _may_be_own(self, matchers: Matchers) -> bool:
        """Whether a selector may find series that the rules make."""
        key = tuple(matchers)
        found = self._own.get(key)
        if found is None:
            found = self._own[key] = any(
                map(accepts_name(matchers), self._recorded | ALERT_METRICS)
            )
        return found

    def _is_own(self, labels: Labels) -> bool:
        name = metric_name(labels)
        if name in ALERT_METRICS:
            return dict(labels).get(ALERT_NAME) in self._alerts
        return name in self._recorded

    def _block(self, matchers: Matchers, start: int) -> Block:
        """The stored samples of a selector from `start` (ms) to the end of the slab."""
        key = tuple(matchers)
        back = max(self._start - start, self._back.get(key, 0))
        self._back[key] = back
        block = self._blocks.get(key)
        first = self._start - back
        if block is not None and block.covers(first, self._end):
            return block
        if block is not None and block.start <= first <= block.end + 1 == self._start:
            more = self._stored(key, self._start, self._end)
            self.samples += len(more.times)
            block = block.followed_by(more, first, self._end)
        else:
            found = self._stored(key, first, self._end)
            if block is None or block.end < self._start:
                self.samples += int((found.times >= self._start).sum())
            block = Block(found, first, self._end)
        self._blocks[key] = block
        return block

    def _stored(self, matchers: Matchers, start: int, end: int) -> SeriesColumns:
        return self._unmade(self._source.select(matchers, start, end), matchers)

    def _unmade(self, found: SeriesColumns, matchers: Matchers) -> SeriesColumns:
        """What was found without the series that the rules make anew."""
        if not self._may_be_own(matchers):
            return found
        return _chosen(found, [not self._is_own(labels) for labels in found.labels])


class Until:
    """A source as it is at `time` (ms), which may be set anew: without what comes later."""

    def __init__(self, source: SeriesSource, time: int) -> None:
        self.time = time
        self._source = source

    def select(self, matchers: Matchers, start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        return self._source.select(matchers, start, min(end, self.time))

    def thinned_until(self) -> int:
        """See `ThinnedSource`."""
        return thinned_until(self._source)

    def select_runs(
        self, matchers: Matchers, start: int, end: int, figures: Figure
    ) -> SeriesColumns:
        """See `ThinnedSource`."""
        return select_runs(self._source, matchers, start, min(end, self.time), figures)

    def latest(self, matchers: Matchers, start: int, end: int) -> LatestColumns:
        """See `SeriesSource`."""
        return self._source.latest(matchers, start, min(end, self.time))

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        return self._source.read(series, start, min(end, self.time))


def _chosen(columns: SeriesColumns, which: Sequence[bool]) -> SeriesColumns:
    """Some of the series."""
    kept = np.array(which, dtype=np.bool_)
    counts = np.diff(columns.offsets)
    samples = np.repeat(kept, counts)
    labels = SeriesLabels(columns.labels[row] for row in np.flatnonzero(kept).tolist())
    offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts[kept])))
    runs = None if columns.runs is None else columns.runs.where(samples)
    return SeriesColumns(labels, columns.times[samples], columns.values[samples], offsets, runs)
