"""The samples of late, in memory, as numpy columns: as far back as the loaded rules read them.

The normal path (samples later than what their series has) is a few steps for a whole batch,
whatever series it has; a read is one gather. Late samples are merged into their chunk. A sample's
identity is its series and time: the first value stays, as in Prometheus.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from forewarn_collector.store import places as placing
from forewarn_collector.store.admission import Admission, admit
from forewarn_collector.store.cells import ROWS
from forewarn_collector.store.chunks import NO_CHUNK, Chunks, grouped
from forewarn_collector.store.columns import NEVER, Floats, Ints
from forewarn_collector.store.late import merge, write
from forewarn_collector.store.places import Places, Runs
from forewarn_collector.store.series import Series
from forewarn_collector.store.spans import repeated, run_starts, running_count, spans
from forewarn_collector.store.unsealed import Sealing

LATEST = int(np.iinfo(np.int64).max)
KEPT = 150_000
"""How far back (ms) a metric is kept of which no rule reads a range: as late as an evaluation may
be, and a little more. The newest samples, which instant selectors read, are in columns besides."""

_STRIDE = 7


class Head:
    """Not thread-safe: one writer, and readers under the store's lock.

    Only `admit` and `add_series` may run while others read, since they leave samples alone.
    """

    def __init__(self) -> None:
        self._chunks = Chunks()
        self._series = Series()
        self._windows: Ints = np.zeros(0, dtype=np.int64)
        self._kept_least = KEPT
        self.sealing = Sealing(self._chunks, self._series)
        # How often samples of any series were moved, and how often some were dropped.
        self.rewritten = 0
        self.drops = 0
        self.samples = 0

    @property
    def nbytes(self) -> int:
        """Bytes of memory held for samples."""
        return self._chunks.nbytes + self._chunks.tiles.nbytes + self._series.nbytes

    def add_series(self, refs: Ints, metrics: Ints, hosts: Ints | None = None) -> None:
        """Make room for new series: their metrics' and their hosts' numbers.

        Series of one host that come at one time share it.
        """
        self._series.add(refs, metrics, np.zeros_like(refs) if hosts is None else hosts)

    def remove_series(self, refs: Ints) -> None:
        """Forget series that have no sample here any more."""
        self._series.remove(refs)

    def admit(self, refs: Ints, times: Ints, values: Floats) -> Admission:
        """Find what is new in a batch, changing nothing. All series must have been added."""
        return admit(self._series, self._chunks, refs, times, values)

    def apply(self, admission: Admission) -> None:
        """Take in what was admitted; nothing else may have been applied in between."""
        slots, times, values = admission.slots, admission.times, admission.values
        if not len(slots):
            return
        series = self._series
        self.samples += len(slots)
        if admission.late is not None and admission.found is not None:
            late = admission.late
            if late.any():
                np.minimum.at(series.first_times, slots[late], times[late])
                self._moved(slots[late])
                found, newest = admission.found, series.newest
                merge(self._chunks, newest, found, times[late], values[late], self._make)
            slots, times, values = slots[~late], times[~late], values[~late]
        if len(slots):
            self._append(slots, times, values, single=admission.single)

    def select(self, refs: Ints, start: int, end: int) -> tuple[Ints, Floats, Ints]:
        """Samples with `start <= time <= end`, series by series: times, values, offsets."""
        return self.gather(self.find(refs, start, end))

    def gather(self, runs: Runs) -> tuple[Ints, Floats, Ints]:
        """The samples of what was found, while nothing has been applied in between."""
        return placing.gather(self._chunks, runs)

    def find(self, refs: Ints, start: int, end: int) -> Runs:
        """Where the samples with `start <= time <= end` lie, which costs little beside them."""
        return placing.find(self._chunks, self._newest(refs), start, min(end, LATEST - 1))

    def latest(self, refs: Ints, start: int, end: int) -> tuple[Ints, Floats]:
        """The time and value of each series' newest sample up to `end`.

        Where it is before `start` the time is that or an earlier one, the value anything at all.
        """
        times, values, _ = self.latest_known(refs, start, end)
        return times, values

    def latest_known(self, refs: Ints, start: int, end: int) -> tuple[Ints, Floats, Ints]:
        """The same, and the rows of series that may have a later one or one as late elsewhere."""
        slots = self.slots(refs)
        floors = self.floors(slots)
        times, values = self.newest(slots)
        beyond = np.flatnonzero(times > end)
        if len(beyond):
            found_times, found_values, offsets = self.select(refs[beyond], start, end)
            filled = np.diff(offsets) > 0
            last = offsets[1:][filled] - 1
            times[beyond] = NEVER
            times[beyond[filled]] = found_times[last]
            values[beyond[filled]] = found_values[last]
        doubtful = np.flatnonzero(floors > start)
        # Of two samples of one time the one elsewhere came first.
        doubtful = doubtful[times[doubtful] < floors[doubtful]]
        return times, values, doubtful

    def slots(self, refs: Ints) -> Ints:
        """The places of series in what follows; they hold until some of them are removed."""
        return self._series.slots.of(refs)

    def floors(self, slots: Ints) -> Ints:
        """The times (ms) from which on each series' samples are all here."""
        return self._series.floors[slots]

    def appended(self, slots: Ints) -> Ints:
        """How many samples of each series came in order of time."""
        return self._series.appended[slots]

    def newest(self, slots: Ints) -> tuple[Ints, Floats]:
        """The times and values of the newest samples."""
        return self._series.last_times[slots], self._series.last_values[slots]

    def rewrites(self, slots: Ints) -> Ints:
        """How often each series' samples were moved."""
        return self._series.rewrites[slots].astype(np.int64)

    def back(self, slots: Ints, counts: Ints) -> Places:
        """The places of the samples so many before the end; 1 is the newest."""
        return placing.back(self._chunks, self._series.newest[slots].astype(np.int64), counts)

    def seek(self, slots: Ints, times: Ints) -> Places:
        """The places of the first samples later than a time of each series' own.

        A place may lie just behind a chunk's last sample, see `settle`.
        """
        return placing.seek(self._chunks, self._series.newest[slots].astype(np.int64), times)

    def settle(self, places: Places) -> None:
        """Move places behind a chunk's last sample to the next chunk, where there is one."""
        placing.settle(self._chunks, places)

    def read(self, places: Places) -> tuple[Ints, Floats]:
        """Times and values of the samples at places, all of which must have one."""
        return placing.read(self._chunks, places)

    def overlapping(self, refs: Ints, start: int, end: int) -> Ints:
        """Those of the series whose first and last sample span the range or a part of it."""
        series = self._series
        slots = series.slots.of(refs)
        ends = series.ends(slots)
        spanning = (series.first_times[slots] <= end) & (ends >= start) & (ends != NEVER)
        found: Ints = refs[spanning]
        return found

    def extent(self) -> tuple[int, int, int]:
        """How many chunks there are, and the times (ms) of the first and last sample, or 0."""
        known = self._series.known()
        if not len(known):
            return 0, 0, 0
        first = int(self._series.first_times[known].min())
        return self._chunks.used, first, int(self._series.ends(known).max())

    def active(self, since: int, refs: Ints | None = None) -> int:
        """How many series, of these or of all, have a sample at or after a time (ms)."""
        times = self._series.last_times
        if refs is not None:
            times = times[self._series.slots.of(refs)]
        return int(np.count_nonzero(times >= since))

    def last_time(self, ref: int) -> int:
        """The time of a series' newest sample (ms), or one not before it; NEVER without any."""
        return int(self._series.ends(self._series.slots.of(np.array([ref])))[0])

    def ended_before(self, cutoff: int) -> Ints:
        """The series that have had samples, all of them before `cutoff`."""
        known = self._series.known()
        return np.sort(self._series.refs[known[self._series.ends(known) < cutoff]])

    def keep(self, windows: Mapping[int, int], least: int = 0) -> None:
        """How far back (ms) each metric (by its number) is kept, where that is more than `KEPT`.

        `least` is how far all of them are.
        """
        self._kept_least = max(least, KEPT)
        self._windows = np.full(max(windows, default=-1) + 1, self._kept_least, dtype=np.int64)
        for metric, window in windows.items():
            self._windows[metric] = max(window, self._kept_least)
        chunks, count = self._chunks, self._chunks.count
        used = np.flatnonzero(chunks.owner[:count] >= 0)
        chunks.tiles.keep[:] = self._kept_least
        kept = self._kept(chunks.owner[used].astype(np.int64))
        np.maximum.at(chunks.tiles.keep, chunks.tile[used], kept)

    def kept(self, refs: Ints) -> Ints:
        """How far back (ms) each series is kept."""
        return self._kept(self._series.slots.of(refs))

    def begin(self, refs: Ints, firsts: Ints, floors: Ints) -> None:
        """What is elsewhere of series: their first time (ms) and the one behind their last."""
        slots = self._series.slots.of(refs)
        self._series.first_times[slots] = firsts
        self._series.floors[slots] = floors

    def begin_lost(self, refs: Ints, now: int) -> None:
        """Begin series whose samples are nowhere: they are damaged, or their file was moved away.

        They are kept for a whole retention from `now` (ms) on, in which that may be mended.
        """
        slots = self.slots(refs)
        lost = refs[(self.floors(slots) == NEVER) & (self.newest(slots)[0] == NEVER)]
        times = np.full(len(lost), now)
        self.begin(lost, times, times)

    def end(self, refs: Ints, ends: Ints) -> None:
        """Where (ms) at the latest what is elsewhere of series ends; NEVER where nothing is."""
        slots = self._series.slots.of(refs)
        floors = self._series.floors
        # Not NEVER itself: it has had samples, and may be forgotten.
        floors[slots] = np.minimum(floors[slots], np.maximum(ends, 0) + 1)

    def restore(self, refs: Ints, times: Ints, values: Floats, offsets: Ints, since: int) -> None:
        """Take in sealed samples before those that are here: all there are from `since` on.

        Series by series, as `select` gives them; those from a series' floor on are here already. A
        series that has others before the last of them here, late ones, is left as it is.
        """
        series, chunks = self._series, self._chunks
        slots = series.slots.of(refs)
        within = times < repeated(series.floors[slots], np.diff(offsets))
        times, values, offsets = times[within], values[within], running_count(within)[offsets]
        oldest = self._oldest(slots)
        sizes = np.diff(offsets)
        bounds = np.where(oldest == NO_CHUNK, LATEST, chunks.first(oldest) if chunks.count else 0)
        some = sizes > 0
        some[some] = times[offsets[1:][some] - 1] < bounds[some]
        missing = (sizes == 0) | some
        series.floors[slots[missing]] = np.minimum(series.floors[slots[missing]], since)
        if not some.any():
            return
        slots, oldest, sizes, starts = slots[some], oldest[some], sizes[some], offsets[:-1][some]
        cells = spans(starts, sizes)
        times, values = times[cells], values[cells]
        full = np.ones(len(slots), dtype=np.bool_)
        ids, owners = write(chunks, slots, times, values, sizes, full, self._make)
        chunks.taken[ids] = chunks.sealed[ids] = chunks.fill[ids]
        tails = ids[np.append(run_starts(owners)[1:], len(ids)) - 1]
        follow = oldest != NO_CHUNK
        chunks.prev[oldest[follow]] = tails[follow]
        chunks.link(oldest[follow])
        series.newest[slots[~follow]] = tails[~follow]
        ends = np.cumsum(sizes) - 1
        begins = times[ends - sizes + 1]
        later = times[ends] > series.last_times[slots]
        series.last_times[slots[later]] = times[ends[later]]
        series.last_values[slots[later]] = values[ends[later]]
        self._begun(slots, begins)
        self.samples += len(times)
        self._moved(slots)

    def recount(self, refs: Ints) -> None:
        """Note that what is kept beside the samples of series (`late_counts`) has changed."""
        self.rewritten += 1
        np.add.at(self._series.rewrites, self._series.slots.of(refs), 1)

    def drop_sealed(self, now: int) -> int:
        """Drop what is sealed and, at `now` (ms), older than what is kept of its metric.

        Returns how many samples these were.
        """
        if self.sealing.going_on:
            return 0
        chunks = self._chunks
        before = self.samples
        old = np.zeros(chunks.tiles.count, dtype=np.bool_)
        old[chunks.tiles.older(now - chunks.tiles.keep)] = True
        ids = np.flatnonzero(old[chunks.tile[: chunks.count]])
        ids = ids[(chunks.owner[ids] >= 0) & (chunks.sealed[ids] == chunks.fill[ids])]
        if len(ids):
            self._drop(ids)
        return before - self.samples

    def drop_before(self, cutoff: int) -> Ints:
        """Drop chunks that end before `cutoff`; the series that are left with no sample at all."""
        chunks, series = self._chunks, self._series
        known = series.known()
        gone = known[series.ends(known) < cutoff]
        old = np.zeros(chunks.tiles.count, dtype=np.bool_)
        # A chunk that fell behind its tile may end earlier.
        old[np.flatnonzero(chunks.tiles.times[: chunks.tiles.count * ROWS : ROWS] < cutoff)] = True
        ids = np.flatnonzero(old[chunks.tile[: chunks.count]])
        ids = ids[chunks.owner[ids] >= 0]
        ids = ids[chunks.last(ids) < cutoff]
        if len(ids):
            behind = self._drop(ids)
            oldest = behind[chunks.prev[behind] == NO_CHUNK]
            series.first_times[chunks.owner[oldest]] = chunks.first(oldest)
        for column in (series.last_times, series.first_times, series.floors):
            column[gone] = NEVER
        return np.sort(series.refs[gone])

    def _newest(self, refs: Ints) -> Ints:
        return self._series.newest[self._series.slots.of(refs)].astype(np.int64)

    def _oldest(self, slots: Ints) -> Ints:
        prev, ids = self._chunks.prev, self._series.newest[slots].astype(np.int64)
        going = np.flatnonzero(ids != NO_CHUNK)
        while len(going):
            going = going[prev[ids[going]] != NO_CHUNK]
            ids[going] = prev[ids[going]]
        return ids

    def _kept(self, slots: Ints) -> Ints:
        metrics = self._series.metrics[slots]
        if not len(self._windows):
            return np.full(len(slots), self._kept_least)
        within = metrics < len(self._windows)
        return np.where(within, self._windows[np.where(within, metrics, 0)], self._kept_least)

    def _moved(self, slots: Ints) -> None:
        self.rewritten += 1
        self.sealing.moved(slots)
        np.add.at(self._series.rewrites, slots, 1)

    def _drop(self, ids: Ints) -> Ints:
        """Drop chunks; those that came after some of them."""
        chunks, series = self._chunks, self._series
        self.drops += 1
        gone = np.zeros(chunks.count, dtype=np.bool_)
        gone[ids] = True
        owners = chunks.owner[ids]
        np.maximum.at(series.floors, owners, chunks.last(ids) + 1)
        ended = np.unique(owners[gone[series.newest[owners]]])
        series.newest[ended] = chunks.staying(series.newest[ended], gone)
        behind = chunks.unlink(ids, gone)
        self.samples -= int(chunks.fill[ids].sum(dtype=np.int64))
        chunks.release(ids)
        moved = None if self.sealing.going_on else chunks.shrink_all()
        if moved is None:
            return behind
        there = np.flatnonzero(series.newest != NO_CHUNK)
        series.newest[there] = moved[series.newest[there]]
        self._moved(there)
        return moved[behind]

    def _append(self, slots: Ints, times: Ints, values: Floats, *, single: bool) -> None:
        """Samples sorted by series and time, all later than what their series has here.

        `single`: no series has two.
        """
        series = self._series
        if single:
            starts = ends = np.arange(len(slots), dtype=np.int64)
            self._append_tick(slots, times, values)
        else:
            starts = run_starts(slots)
            counts = np.diff(np.append(starts, len(times)))
            self._append_runs(slots[starts], starts, counts, times, values)
            ends = starts + counts - 1
            slots = slots[starts]
        series.appended[slots] += ends - starts + 1
        known = series.last_times[slots]
        first = known == NEVER
        if first.any():
            self._begun(slots[first], times[starts[first]])
        # What comes before the end of a series without chunks is at no place that windows know.
        early = ~first & (times[starts] <= known)
        if early.any():
            self._moved(slots[early])
            np.minimum.at(series.first_times, slots[early], times[starts[early]])
            later = times[ends] > known
            slots, ends = slots[later], ends[later]
        series.last_times[slots] = times[ends]
        series.last_values[slots] = values[ends]

    def _append_tick(self, slots: Ints, times: Ints, values: Floats) -> None:
        """One sample of each series, which is what senders usually send."""
        chunks = self._chunks
        ids = self._series.newest[slots].astype(np.int64)
        rows = chunks.claim(ids, times)
        left = np.flatnonzero(rows < 0)
        if len(left):
            self._open(slots[left], times[left])
            ids[left] = self._series.newest[slots[left]]
            rows[left] = chunks.claim(ids[left], times[left])
        chunks.values[ids * ROWS + rows] = values

    def _append_runs(
        self, slots: Ints, starts: Ints, counts: Ints, times: Ints, values: Floats
    ) -> None:
        # One turn where the chunks have room; one more for each chunk that must be opened.
        while len(slots):
            ids = self._series.newest[slots].astype(np.int64)
            taken = self._chunks.extend(ids, starts, counts, times, values)
            more = np.flatnonzero(counts > taken)
            slots, starts, counts = slots[more], (starts + taken)[more], (counts - taken)[more]
            if len(slots):
                self._open(slots, times[starts])

    def _begun(self, slots: Ints, times: Ints) -> None:
        # What is elsewhere may have begun before.
        firsts = self._series.first_times
        firsts[slots] = np.where(firsts[slots] == NEVER, times, np.minimum(firsts[slots], times))

    def _open(self, slots: Ints, times: Ints) -> None:
        """Have a new chunk be the newest of each series."""
        series, chunks = self._series, self._chunks
        previous = series.newest[slots].astype(np.int64)
        hosts = series.hosts[slots].astype(np.int64)
        keep = self._kept(slots)
        groups, members = grouped(times, keep, hosts)
        # Not all hosts need new chunks at one moment, though they may have begun at one.
        begun = np.zeros(len(members), dtype=np.bool_)
        begun[groups[previous != NO_CHUNK]] = True
        rooms = np.where(begun, ROWS, 1 + hosts[members] * _STRIDE % ROWS)
        series.newest[slots] = chunks.open(slots, groups, rooms, keep[members], previous)

    def _make(self, slots: Ints, firsts: Ints, lasts: Ints) -> Ints:
        """New chunks for series, in the same tiles where they begin and end together."""
        hosts, keep = self._series.hosts[slots].astype(np.int64), self._kept(slots)
        groups, members = grouped(firsts, lasts, keep, hosts)
        rooms = np.full(len(members), ROWS)
        none = np.full(len(slots), NO_CHUNK)
        return self._chunks.open(slots, groups, rooms, keep[members], none)
