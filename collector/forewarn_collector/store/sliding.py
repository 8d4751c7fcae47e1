"""A window over many series that slides forward with time: what enters it, what leaves it.

Where each series' window begins and ends is kept from one slide to the next, so that a slide costs
what has arrived and what has grown too old, not what the window holds.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import NEVER, Floats, Ints, Matcher, SeriesLabels
from forewarn_collector.store.head import LATEST, Head
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.late_counts import LateCounts
from forewarn_collector.store.places import Places
from forewarn_collector.store.reading import (
    SLICE_SAMPLES,
    Columns,
    Older,
    join_columns,
    read_samples,
)
from forewarn_collector.store.spans import repeated, slices
from forewarn_wire import STALE_NAN_BITS

Cell = TypeVar("Cell", np.int64, np.float64, np.bool_)

_MOST_TURNS = 64
"""Samples of one series that may enter one after another; of more, the window is read anew."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Samples that entered or left together, at most one of each series.

    `rows: int64[n]` are the series, `times` (ms) and `values` the samples. Where `linked`, another
    sample of the series is in the window next to it (before one that enters, after one that
    leaves), and `neighbours` are the values of these.
    """

    rows: Ints
    times: Ints
    values: Floats
    linked: NDArray[np.bool_]
    neighbours: Floats


@dataclass(frozen=True, slots=True)
class Contents:
    """All samples of some windows, one after the other: window `i` is `offsets[i]:offsets[i + 1]`.

    `times: int64[samples]` (ms), `values: float64[samples]`, `offsets: int64[windows + 1]`.
    """

    times: Ints
    values: Floats
    offsets: Ints


@dataclass(frozen=True, slots=True)
class Slide:
    """What a slide changed, in this order.

    `renewed: int64[n]` are rows whose window was read anew, into `contents` (row by row, stale
    markers left out), None where none was; then samples `entered`, then others `left`.
    """

    renewed: Ints
    contents: Contents | None
    entered: Sequence[Turn]
    left: Sequence[Turn]


class SlidingWindow:
    """Samples with `opens < time <= closes`, stale markers left out.

    One element of each column per series: `counts` of samples; `first_times`, `first_values`,
    `last_times`, `last_values` of its first and last sample, anything at all where there is none;
    `ended: bool` where a stale marker stands behind them. Not for two threads at once.
    """

    def __init__(
        self,
        index: LabelIndex,
        head: Head,
        lock: threading.Lock,
        matchers: Sequence[Matcher],
        late_counts: LateCounts,
        older: Older | None = None,
    ) -> None:
        """`older` has what the head has not: series with some of that are read anew each time."""
        self._older = older
        self._late_counts = late_counts
        self._index = index
        self._head = head
        self._lock = lock
        self._matchers = tuple(matchers)
        self._refs: Ints = np.zeros(0, dtype=np.int64)
        self._slots: Ints = np.zeros(0, dtype=np.int64)
        self.labels: SeriesLabels = SeriesLabels()
        self.opens = NEVER
        self.closes = NEVER
        self._rewritten = -1
        self._drops = -1
        self._allocate(0)

    def slide(self, opens: int, closes: int) -> Slide:
        """Move the window to `opens`, `closes` (ms)."""
        with self._lock:
            rows = self._renewable(opens, closes)
            self.opens, self.closes = opens, closes
            entered = None if len(rows) else self._enter()
            if entered is not None:
                return Slide(rows, None, entered, self._leave())
        contents = None
        if len(rows):
            rows, contents = self._renew(rows)
        with self._lock:
            if contents is not None and self._is_settled():
                entered = self._enter()
                if entered is not None:
                    return Slide(rows, contents, entered, self._leave())
        return Slide(*self._renew(np.arange(len(self._refs))), (), ())

    def contents(self, rows: Ints) -> Contents:
        """The samples in the windows of some series, as of the last slide."""
        times, values, offsets = self._read(rows)
        left_out = values.view(np.int64) == STALE_NAN_BITS
        # What has come since belongs to the next slide, though it may be of a time before it.
        last = np.where(self.counts[rows] > 0, self.last_times[rows], NEVER)
        left_out |= times > np.repeat(last, np.diff(offsets))
        return _without(times, values, offsets, left_out)

    def _read(self, rows: Ints) -> Columns:
        """All samples in the windows of some series, also those that the head has no more."""
        refs = self._refs[rows]
        read = read_samples(self._head, self._lock, refs, self.opens + 1, self.closes, self._older)
        return read[0], self._late_counts.raised_columns(refs, read), read[2]

    def _allocate(self, series: int) -> None:
        self._rewrites: Ints = np.zeros(series, dtype=np.int64)
        self._taken: Ints = np.zeros(series, dtype=np.int64)
        self._begin = Places(np.zeros(series, dtype=np.int64), np.zeros(series, dtype=np.int64))
        self.counts: Ints = np.zeros(series, dtype=np.int64)
        self.first_times: Ints = np.zeros(series, dtype=np.int64)
        self.first_values: Floats = np.zeros(series)
        self.last_times: Ints = np.zeros(series, dtype=np.int64)
        self.last_values: Floats = np.zeros(series)
        self.ended: NDArray[np.bool_] = np.zeros(series, dtype=np.bool_)
        # Those with samples that are not in the head, and so at no place there.
        self._partial: NDArray[np.bool_] = np.zeros(series, dtype=np.bool_)

    def _renewable(self, opens: int, closes: int) -> Ints:
        """The rows whose places hold no more."""
        found = self._index.select(self._matchers)
        known = len(self._refs)
        every = (
            opens < self.opens or closes < self.closes or not found.labels.continues(self.labels)
        )
        if found.labels is not self.labels:
            self._grow(len(found.refs))
            self.labels, self._refs = found.labels, found.refs
            self._slots = self._head.slots(found.refs)
        moved = np.full(len(self._refs), every)
        if self._head.rewritten != self._rewritten:
            moved |= self._head.rewrites(self._slots) != self._rewrites
        if self._head.drops != self._drops:
            # Chunks that the places point to may be gone, and used again.
            # Nor need the samples be there that have come since.
            moved |= self._head.floors(self._slots) > self.opens + 1
        moved |= self._partial
        moved[known:] = True
        self._rewritten, self._drops = self._head.rewritten, self._head.drops
        return np.flatnonzero(moved)

    def _is_settled(self) -> bool:
        """Whether places in chunks hold still, as they did when the slide began."""
        return self._head.rewritten == self._rewritten and self._head.drops == self._drops

    def _grow(self, series: int) -> None:
        if series < len(self._refs):
            self._allocate(series)
            return
        self._rewrites = _longer(self._rewrites, series)
        self._taken = _longer(self._taken, series)
        self.counts = _longer(self.counts, series)
        self.first_times = _longer(self.first_times, series)
        self.first_values = _longer(self.first_values, series)
        self.last_times = _longer(self.last_times, series)
        self.last_values = _longer(self.last_values, series)
        self.ended = _longer(self.ended, series)
        self._partial = _longer(self._partial, series)
        places = self._begin
        self._begin = Places(_longer(places.chunks, series), _longer(places.indices, series))

    def _renew(self, rows: Ints) -> tuple[Ints, Contents]:
        """Read the windows of some series as if nothing were known of them: these, in some order.

        In slices, so that the writer never waits for long. What is rewritten, dropped or comes in
        between is seen by the next slide, or at the end of this one.
        """
        with self._lock:
            lacking = self._head.floors(self._slots[rows]) > self.opens + 1
            self._partial[rows] = lacking & (self._older is not None)
            partial = rows[self._partial[rows]]
            rows = rows[~self._partial[rows]]
            sizes = self._head.find(self._refs[rows], self.opens + 1, self.closes).offsets
        parts = [self._renew_partial(partial)] if len(partial) else []
        for low, high in slices(sizes, SLICE_SAMPLES):
            with self._lock:
                parts.append(self._renew_slice(rows[low:high]))
        if not parts:
            none = np.zeros(0)
            return rows, Contents(none.astype(np.int64), none, np.zeros(1, dtype=np.int64))
        columns = [(part.times, part.values, part.offsets) for part in parts]
        return np.concatenate((partial, rows)), Contents(*join_columns(columns))

    def _renew_partial(self, rows: Ints) -> Contents:
        slots = self._slots[rows]
        with self._lock:
            self._rewrites[rows] = self._head.rewrites(slots)
            self._taken[rows] = self._head.appended(slots)
            ends = np.maximum(self._head.newest(slots)[0], self._head.floors(slots) - 1)
        times, values, offsets = self._read(rows)
        # What has come since will enter.
        since = times > repeated(ends, np.diff(offsets))
        return self._note(rows, _without(times, values, offsets, since))

    def _renew_slice(self, rows: Ints) -> Contents:
        head, refs, slots = self._head, self._refs[rows], self._slots[rows]
        self._rewrites[rows] = head.rewrites(slots)
        self._taken[rows] = head.appended(slots)
        ahead = head.newest(slots)[0] > self.closes
        if ahead.any():
            later = head.find(refs[ahead], self.closes + 1, LATEST)
            self._taken[rows[ahead]] -= np.diff(later.offsets)
        read = head.select(refs, self.opens + 1, self.closes)
        values = self._late_counts.raised_columns(refs, read)
        contents = self._note(rows, Contents(read[0], values, read[2]))
        filled = np.diff(contents.offsets) > 0
        first = contents.offsets[:-1][filled]
        begin = head.seek(slots[filled], contents.times[first] - 1)
        head.settle(begin)
        self._begin.put(rows[filled], begin)
        return contents

    def _note(self, rows: Ints, read: Contents) -> Contents:
        """Note what windows hold that were read anew: that, without stale markers."""
        filled = np.diff(read.offsets) > 0
        stale = read.values.view(np.int64) == STALE_NAN_BITS
        self.ended[rows] = False
        self.ended[rows[filled]] = stale[read.offsets[1:][filled] - 1]
        contents = _without(read.times, read.values, read.offsets, stale)
        times, values, offsets = contents.times, contents.values, contents.offsets
        counts = np.diff(offsets)
        self.counts[rows] = counts
        filled = counts > 0
        some = rows[filled]
        first, last = offsets[:-1][filled], offsets[1:][filled] - 1
        self.first_times[some], self.first_values[some] = times[first], values[first]
        self.last_times[some], self.last_values[some] = times[last], values[last]
        return contents

    def _enter(self) -> list[Turn] | None:
        """Take in what has arrived, or give up where that is too much."""
        head = self._head
        turns: list[Turn] = []
        fresh = head.appended(self._slots) - self._taken
        rows = np.flatnonzero(fresh)
        fresh = fresh[rows]
        while len(rows):
            if len(turns) == _MOST_TURNS:
                return None
            slots = self._slots[rows]
            if (fresh == 1).all():
                # As a rule one sample has come since: it is at hand.
                times, values = head.newest(slots)
            else:
                times, values = head.read(head.back(slots, fresh))
            values = self._late_counts.raised(self._refs[rows], times, values)
            due = times <= self.closes
            if not due.all():
                rows, slots, fresh = rows[due], slots[due], fresh[due]
                times, values = times[due], values[due]
            self._taken[rows] += 1
            turns.append(self._take(rows, fresh, times, values))
            more = fresh > 1
            rows, fresh = rows[more], fresh[more] - 1
        return turns

    def _take(self, rows: Ints, fresh: Ints, times: Ints, values: Floats) -> Turn:
        stale = values.view(np.int64) == STALE_NAN_BITS
        self.ended[rows] = stale
        if stale.any():
            live = ~stale
            rows, fresh, times, values = rows[live], fresh[live], times[live], values[live]
        linked = self.counts[rows] > 0
        turn = Turn(rows, times, values, linked, self.last_values[rows])
        if not linked.all():
            alone = ~linked
            first = rows[alone]
            self.first_times[first], self.first_values[first] = times[alone], values[alone]
            self._begin.put(first, self._head.back(self._slots[first], fresh[alone]))
        self.counts[rows] += 1
        self.last_times[rows], self.last_values[rows] = times, values
        return turn

    def _leave(self) -> list[Turn]:
        """Let go what has grown too old."""
        turns: list[Turn] = []
        rows = np.flatnonzero((self.first_times <= self.opens) & (self.counts > 0))
        while len(rows):
            times, values = self.first_times[rows], self.first_values[rows]
            self.counts[rows] -= 1
            linked = self.counts[rows] > 0
            self._to_next(rows if linked.all() else rows[linked])
            turns.append(Turn(rows, times, values, linked, self.first_values[rows]))
            rows = rows[linked & (self.first_times[rows] <= self.opens)]
        return turns

    def _to_next(self, rows: Ints) -> None:
        """Move the beginning to the next sample that is no stale marker; there is one."""
        while len(rows):
            places = self._begin.at(rows)
            places.indices += 1
            self._head.settle(places)
            self._begin.put(rows, places)
            times, values = self._head.read(places)
            values = self._late_counts.raised(self._refs[rows], times, values)
            self.first_times[rows], self.first_values[rows] = times, values
            rows = rows[values.view(np.int64) == STALE_NAN_BITS]


def _without(times: Ints, values: Floats, offsets: Ints, out: NDArray[np.bool_]) -> Contents:
    """Samples less those that are `out`."""
    if not out.any():
        return Contents(times, values, offsets)
    kept = np.concatenate(([0], np.cumsum(~out)))
    return Contents(times[~out], values[~out], kept[offsets])


def _longer(column: NDArray[Cell], length: int) -> NDArray[Cell]:
    return np.concatenate((column, np.zeros(length - len(column), dtype=column.dtype)))
