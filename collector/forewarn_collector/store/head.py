"""All samples within retention, in memory, as numpy columns.

The normal path (samples later than what their series has) is one scatter for a whole batch,
whatever metrics it touches; a read is one gather. Late samples are merged into their chunk.
A sample's identity is its series and time: the first value stays, as in Prometheus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.cells import Cells, enlarged
from forewarn_collector.store.chunks import LARGEST_CHUNK, NO_CHUNK, SMALLEST_CHUNK, Chunks
from forewarn_collector.store.columns import NEVER, Floats, Ints
from forewarn_collector.store.late import Late, locate, merge
from forewarn_collector.store.spans import run_starts, spans, strided_spans

LATEST = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class Admission:
    """What is new in a batch: columns sorted by series, then time, each pair of them once.

    `kept[k]` is the place in the batch of sample `k`. `late` marks those that are not after all
    that their series has. `conflicts` counts the duplicates whose value was another one.
    """

    kept: Ints
    refs: Ints
    times: Ints
    values: Floats
    late: NDArray[np.bool_] | None
    found: Late | None
    conflicts: int


@dataclass(slots=True)
class Places:
    """Where a sample of each of many series lies: its chunk, and which of the chunk's it is."""

    chunks: Ints
    indices: Ints

    def at(self, rows: Ints | NDArray[np.bool_]) -> Places:
        """The places of some of the series."""
        return Places(self.chunks[rows], self.indices[rows])

    def put(self, rows: Ints, places: Places) -> None:
        """Move some of the series."""
        self.chunks[rows] = places.chunks
        self.indices[rows] = places.indices


@dataclass(frozen=True, slots=True)
class Runs:
    """Where samples of many series lie, series by series: `counts[i]` of them from cell
    `starts[i]`, `strides[i]` apart. `offsets: int64[series + 1]` as in `SeriesColumns`."""

    starts: Ints
    strides: Ints
    counts: Ints
    offsets: Ints

    @property
    def samples(self) -> int:
        """How many there are."""
        return int(self.offsets[-1])


class Head:
    """Not thread-safe: one writer, and readers under the store's lock."""

    def __init__(self) -> None:
        self._chunks = Chunks(Cells())
        self._newest: Ints = np.zeros(0, dtype=np.int64)
        self._last_times: Ints = np.zeros(0, dtype=np.int64)
        self._last_values: Floats = np.zeros(0, dtype=np.float64)
        self._first_times: Ints = np.zeros(0, dtype=np.int64)
        self._metrics: Ints = np.zeros(0, dtype=np.int64)
        # How many samples came in order of time, and how often chunks were rewritten for one that
        # did not: places in them hold until then.
        self._appended: Ints = np.zeros(0, dtype=np.int64)
        self._rewrites: Ints = np.zeros(0, dtype=np.int64)
        self.rewritten = 0
        # What retention has dropped: how often, and before when (ms).
        self.drops = 0
        self.cutoff = NEVER
        self.samples = 0

    @property
    def nbytes(self) -> int:
        """Bytes of memory held for samples."""
        chunks = self._chunks
        per_series = self._newest.nbytes * 7
        return chunks.nbytes + chunks.cells.nbytes + per_series

    def add_series(self, refs: Ints, metrics: Ints) -> None:
        """Make room for new series; `metrics[i]` is the metric's number of `refs[i]`."""
        needed = int(refs.max()) + 1 if len(refs) else 0
        self._newest = enlarged(self._newest, needed, NO_CHUNK)
        self._last_times = enlarged(self._last_times, needed, NEVER)
        self._last_values = enlarged(self._last_values, needed)
        self._first_times = enlarged(self._first_times, needed, NEVER)
        self._appended = enlarged(self._appended, needed)
        self._rewrites = enlarged(self._rewrites, needed)
        self._metrics = enlarged(self._metrics, needed)
        self._metrics[refs] = metrics

    def admit(self, refs: Ints, times: Ints, values: Floats) -> Admission:
        """Find what is new in a batch, changing nothing. All series must have been added."""
        if _is_sorted(refs, times):
            order = np.arange(len(refs), dtype=np.int64)
        else:
            order = np.argsort(refs, kind="stable")
            refs = refs[order]
            if not (refs[1:] > refs[:-1]).all():
                # Stable, so that of two samples of one time the first to come stays.
                within = np.lexsort((times[order], refs))
                order, refs = order[within], refs[within]
            times, values = times[order], values[order]
        late = times <= self._last_times[refs]
        fresh = np.ones(len(refs), dtype=np.bool_)
        bits = values.view(np.int64)
        found: Late | None = None
        conflicts = 0
        if late.any():
            found = locate(self._chunks, self._newest, refs[late], times[late])
            known = found.cells >= 0
            stored = self._chunks.cells.values[found.cells[known]].view(np.int64)
            conflicts += int((stored != bits[late][known]).sum())
            fresh[late] = ~known
        same = (refs[1:] == refs[:-1]) & (times[1:] == times[:-1])
        if same.any():
            again = np.concatenate(([False], same))
            leaders = np.maximum.accumulate(np.where(again, 0, np.arange(len(refs))))
            # What is stored already has been compared with that.
            conflicts += int((fresh & (bits != bits[leaders])).sum())
            fresh &= ~again
        if found is not None:
            found = found.where(fresh[late])
            late = late[fresh]
        if not fresh.all():
            order, refs, times, values = order[fresh], refs[fresh], times[fresh], values[fresh]
        return Admission(
            order, refs, times, values, late if found is not None else None, found, conflicts
        )

    def apply(self, admission: Admission) -> None:
        """Take in what was admitted; nothing else may have been applied in between."""
        refs, times, values = admission.refs, admission.times, admission.values
        if not len(refs):
            return
        self.samples += len(refs)
        if admission.late is not None and admission.found is not None:
            late = admission.late
            np.minimum.at(self._first_times, refs[late], times[late])
            np.add.at(self._rewrites, refs[late], 1)
            self.rewritten += 1
            merge(self._chunks, self._newest, admission.found, times[late], values[late])
            refs, times, values = refs[~late], times[~late], values[~late]
        self._append(refs, times, values)

    def select(self, refs: Ints, start: int, end: int) -> tuple[Ints, Floats, Ints]:
        """Samples with `start <= time <= end`, series by series: times, values, offsets."""
        return self.gather(self.find(refs, start, end))

    def gather(self, runs: Runs) -> tuple[Ints, Floats, Ints]:
        """The samples of what was found, while nothing has been applied in between."""
        cells = strided_spans(runs.starts, runs.strides, runs.counts)
        column = self._chunks.cells
        return column.times[cells], column.values[cells], runs.offsets

    def find(self, refs: Ints, start: int, end: int) -> Runs:
        """Where the samples with `start <= time <= end` lie, which costs little beside them."""
        chunks = self._chunks
        end = min(end, LATEST - 1)
        places, ids = self._overlapping_chunks(refs, start, end)
        lows = np.zeros(len(ids), dtype=np.int64)
        highs = chunks.fill[ids]
        heads = np.flatnonzero(chunks.first[ids] < start)
        tails = np.flatnonzero(chunks.last[ids] > end)
        bounds = np.repeat((start, end + 1), (len(heads), len(tails)))
        found = chunks.before(ids[np.concatenate((heads, tails))], bounds)
        lows[heads], highs[tails] = found[: len(heads)], found[len(heads) :]
        counts = np.maximum(highs - lows, 0)  # a range may end before it starts
        strides = chunks.stride[ids]
        sizes = np.zeros(len(refs), dtype=np.int64)
        np.add.at(sizes, places, counts)
        offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
        return Runs(chunks.base[ids] + lows * strides, strides, counts, offsets)

    def _overlapping_chunks(self, refs: Ints, start: int, end: int) -> tuple[Ints, Ints]:
        """Chunks with times of the range, oldest first: places of their series, and their ids."""
        chunks = self._chunks
        places, ids = np.arange(len(refs), dtype=np.int64), self._newest[refs]
        levels: list[tuple[Ints, Ints]] = []
        # As few steps as may be: a day of one series is a hundred turns.
        while len(ids):
            there = ids != NO_CHUNK
            if np.count_nonzero(there) < len(ids):
                places, ids = places[there], ids[there]
            levels.append((places, ids))
            older = chunks.first[ids] > start
            if np.count_nonzero(older) < len(ids):
                places, ids = places[older], ids[older]
            ids = chunks.prev[ids]
        if not levels:
            return places, ids
        places, ids = (np.concatenate(column) for column in zip(*reversed(levels), strict=True))
        within = (chunks.first[ids] <= end) & (chunks.last[ids] >= start)
        places, ids = places[within], ids[within]
        if len(levels) > 1:
            order = np.argsort(places, kind="stable")
            places, ids = places[order], ids[order]
        return places, ids

    def latest(self, refs: Ints, start: int, end: int) -> tuple[Ints, Floats]:
        """The time and value of each series' newest sample up to `end`.

        Where it is before `start` the time is that or an earlier one, the value anything at all.
        """
        times, values = self._last_times[refs], self._last_values[refs]
        beyond = np.flatnonzero(times > end)
        if len(beyond):
            found_times, found_values, offsets = self.select(refs[beyond], start, end)
            filled = np.diff(offsets) > 0
            last = offsets[1:][filled] - 1
            times[beyond] = NEVER
            times[beyond[filled]] = found_times[last]
            values[beyond[filled]] = found_values[last]
        return times, values

    def appended(self, refs: Ints) -> Ints:
        """How many samples of each series came in order of time."""
        return np.asarray(self._appended[refs])

    def newest(self, refs: Ints) -> tuple[Ints, Floats]:
        """The times and values of the newest samples."""
        return self._last_times[refs], self._last_values[refs]

    def rewrites(self, refs: Ints) -> Ints:
        """How often each series' chunks were rewritten, which moves its samples."""
        return np.asarray(self._rewrites[refs])

    def back(self, refs: Ints, counts: Ints) -> Places:
        """The places of the samples so many before the end; 1 is the newest."""
        chunks = self._chunks
        ids = self._newest[refs].copy()
        indices = chunks.fill[ids] - counts
        before = np.flatnonzero(indices < 0)
        while len(before):
            ids[before] = chunks.prev[ids[before]]
            indices[before] += chunks.fill[ids[before]]
            before = before[indices[before] < 0]
        return Places(ids, indices)

    def seek(self, refs: Ints, time: int | Ints) -> Places:
        """The places of the first samples later than `time` (for all, or one for each series).

        A place may lie just behind a chunk's last sample, see `settle`.
        """
        chunks = self._chunks
        wanted = np.broadcast_to(np.asarray(time, dtype=np.int64), refs.shape)
        ids = self._newest[refs].copy()
        later = np.flatnonzero(chunks.first[ids] > wanted)
        while len(later):
            later = later[chunks.prev[ids[later]] != NO_CHUNK]
            ids[later] = chunks.prev[ids[later]]
            later = later[chunks.first[ids[later]] > wanted[later]]
        return Places(ids, chunks.before(ids, wanted + 1))

    def settle(self, places: Places) -> None:
        """Move places behind a chunk's last sample to the next chunk, where there is one."""
        chunks = self._chunks
        behind = np.flatnonzero(places.indices >= chunks.fill[places.chunks])
        behind = behind[chunks.next[places.chunks[behind]] != NO_CHUNK]
        places.chunks[behind] = chunks.next[places.chunks[behind]]
        places.indices[behind] = 0

    def read(self, places: Places) -> tuple[Ints, Floats]:
        """Times and values of the samples at places, all of which must have one."""
        chunks = self._chunks
        cells = chunks.base[places.chunks] + places.indices * chunks.stride[places.chunks]
        return chunks.cells.times[cells], chunks.cells.values[cells]

    def overlapping(self, refs: Ints, start: int, end: int) -> Ints:
        """Those of the series whose first and last sample span the range or a part of it."""
        spanning = (self._first_times[refs] <= end) & (self._last_times[refs] >= start)
        return np.asarray(refs[spanning & (self._newest[refs] != NO_CHUNK)])

    def extent(self) -> tuple[int, int, int]:
        """How many chunks there are, and the times (ms) of the first and last sample, or 0."""
        known = np.flatnonzero(self._newest != NO_CHUNK)
        if not len(known):
            return 0, 0, 0
        chunks = int((self._chunks.owner[: self._chunks.count] >= 0).sum())
        return chunks, int(self._first_times[known].min()), int(self._last_times[known].max())

    def active(self, since: int, refs: Ints | None = None) -> int:
        """How many series, of these or of all, have a sample at or after a time (ms)."""
        times = self._last_times if refs is None else self._last_times[refs]
        return int(np.count_nonzero(times >= since))

    def last_time(self, ref: int) -> int:
        """The time of a series' newest sample (ms); NEVER where it has none."""
        return int(self._last_times[ref])

    def ended_before(self, cutoff: int) -> Ints:
        """The series that `drop_before` would leave with nothing."""
        return np.flatnonzero((self._newest != NO_CHUNK) & (self._last_times < cutoff))

    def drop_before(self, cutoff: int) -> Ints:
        """Drop chunks that end before `cutoff` (ms); the refs of series that have none left."""
        chunks = self._chunks
        self.cutoff = max(self.cutoff, cutoff)
        used = chunks.owner[: chunks.count] >= 0
        old = used & (chunks.last[: chunks.count] < cutoff)
        ids = np.flatnonzero(old)
        if not len(ids):
            return ids
        self.drops += 1
        owners = np.unique(chunks.owner[ids])
        newest = self._newest[owners]
        gone = owners[old[newest]]
        previous = chunks.prev[: chunks.count]
        orphaned = np.flatnonzero(used & ~old & (previous >= 0))
        orphaned = orphaned[old[previous[orphaned]]]
        chunks.prev[orphaned] = NO_CHUNK
        self._first_times[chunks.owner[orphaned]] = chunks.first[orphaned]
        self._newest[gone] = NO_CHUNK
        self._last_times[gone] = NEVER
        self._first_times[gone] = NEVER
        self.samples -= int(chunks.fill[ids].sum())
        chunks.release(ids)
        chunks.compact()
        return gone

    def _append(self, refs: Ints, times: Ints, values: Floats) -> None:
        """Samples sorted by series and time, all later than what their series has."""
        if (refs[1:] > refs[:-1]).all():
            self._append_tick(refs, times, values)
            return
        chunks = self._chunks
        starts = run_starts(refs)
        refs = refs[starts]
        counts = np.diff(np.append(starts, len(times)))
        unseen = self._newest[refs] == NO_CHUNK
        self._first_times[refs[unseen]] = times[starts[unseen]]
        self._last_times[refs] = times[starts + counts - 1]
        self._last_values[refs] = values[starts + counts - 1]
        self._appended[refs] += counts
        # One turn where the chunks have room; one more for each chunk that must be opened.
        while len(refs):
            ids = self._newest[refs]
            room = chunks.rows[ids] - chunks.fill[ids] if chunks.count else np.zeros_like(ids)
            taken = np.where(ids == NO_CHUNK, 0, np.minimum(counts, room))
            writing = np.flatnonzero(taken)
            if len(writing):
                self._write(ids[writing], starts[writing], taken[writing], times, values)
            more = counts > taken
            refs, starts, counts = refs[more], (starts + taken)[more], (counts - taken)[more]
            if len(refs):
                self._open(refs, counts)

    def _append_tick(self, refs: Ints, times: Ints, values: Floats) -> None:
        """The same for one sample of each series, which is what senders usually send."""
        chunks = self._chunks
        ids = self._newest[refs]
        unseen = ids == NO_CHUNK
        if unseen.any():
            self._first_times[refs[unseen]] = times[unseen]
        full = unseen | (chunks.fill[ids] == chunks.rows[ids]) if chunks.count else unseen
        if full.any():
            opened = refs[full]
            self._open(opened, np.ones(len(opened), dtype=np.int64))
            ids[full] = self._newest[opened]
        fill = chunks.fill[ids]
        cells = chunks.base[ids] + fill * chunks.stride[ids]
        chunks.cells.times[cells] = times
        chunks.cells.values[cells] = values
        chunks.fill[ids] = fill + 1
        chunks.last[ids] = times
        empty = np.flatnonzero(fill == 0)
        chunks.first[ids[empty]] = times[empty]
        self._last_times[refs] = times
        self._last_values[refs] = values
        self._appended[refs] += 1

    def _write(self, ids: Ints, starts: Ints, counts: Ints, times: Ints, values: Floats) -> None:
        chunks = self._chunks
        strides, fill = chunks.stride[ids], chunks.fill[ids]
        sources = spans(starts, counts)
        cells = strided_spans(chunks.base[ids] + fill * strides, strides, counts)
        chunks.cells.times[cells] = times[sources]
        chunks.cells.values[cells] = values[sources]
        chunks.fill[ids] = fill + counts
        chunks.last[ids] = times[starts + counts - 1]
        empty = fill == 0
        chunks.first[ids[empty]] = times[starts[empty]]

    def _open(self, refs: Ints, counts: Ints) -> None:
        """Open a chunk for each series, twice as long as its last, up to the largest."""
        previous = self._newest[refs]
        wanted = np.full(len(refs), SMALLEST_CHUNK, dtype=np.int64)
        known = previous != NO_CHUNK
        wanted[known] = 2 * self._chunks.rows[previous[known]]
        wanted = np.minimum(np.maximum(wanted, counts), LARGEST_CHUNK)
        self._newest[refs] = self._chunks.open(refs, self._metrics[refs], wanted, previous)


def _is_sorted(refs: Ints, times: Ints) -> bool:
    """Whether samples stand by series, then time, with no time twice."""
    step = np.diff(refs)
    return bool((step > 0).all() or ((step > 0) | ((step == 0) & (np.diff(times) > 0))).all())
