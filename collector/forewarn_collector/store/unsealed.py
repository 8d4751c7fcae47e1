"""What the head has and the archive has not: handed out in parts, and noted once it is sealed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from forewarn_collector.store.cells import ROWS
from forewarn_collector.store.chunks import NO_CHUNK, Chunks
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.series import Series
from forewarn_collector.store.spans import repeated, run_starts, slices, spans

PART_SAMPLES = 200_000
"""What is handed out under one hold of the lock: some milliseconds."""


@dataclass(frozen=True, slots=True)
class UnsealedPart:
    """Samples of one host after the other, of each its series by ascending refs.

    Those of `refs[i]` (`hosts[i]` is the head's number of its host) are at `offsets[i]:offsets[i +
    1]` of `times` (ms, ascending) and `values`.
    """

    refs: Ints
    hosts: Ints
    offsets: Ints
    times: Ints
    values: Floats


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Chunks with samples to be sealed, in the order of hosts, refs and times, with their series'
    slots and refs; part `k` are the chunks `bounds[k]:bounds[k + 1]`."""

    ids: Ints
    slots: Ints
    refs: Ints
    bounds: Ints

    @property
    def parts(self) -> int:
        """How many there are."""
        return len(self.bounds) - 1


class Seen(NamedTuple):
    """Chunks to be sealed, one element of each column per chunk."""

    ids: Ints
    slots: Ints
    refs: Ints
    hosts: Ints
    firsts: Ints
    counts: Ints


class Sealing:
    """The head's side of a seal: `begin`, `look`, then all parts, then the `rest` until it is none.

    Then either `done` or `failed`. All of it under the store's lock. What comes in meanwhile may be
    handed out as well; all that was there at the beginning is.
    """

    def __init__(self, chunks: Chunks, series: Series) -> None:
        self._chunks = chunks
        self._series = series
        self._moved: list[Ints] = []
        self.going_on = False

    def begin(self) -> Ints:
        """The chunks that have something to be sealed."""
        count = self._chunks.count
        self._moved = []
        self.going_on = True
        return np.flatnonzero(self._chunks.fill[:count] > self._chunks.taken[:count])

    def hosts(self, ids: Ints) -> Ints:
        """The numbers of their hosts; anything at all of those that were given back."""
        return self._series.hosts[self._chunks.owner[ids]].astype(np.int64)

    def look(self, ids: Ints) -> Seen:
        """Of whom these chunks are. Those that were given back meanwhile are left out."""
        chunks, series = self._chunks, self._series
        slots = chunks.owner[ids].astype(np.int64)
        ids, slots = ids[slots >= 0], slots[slots >= 0]
        return Seen(
            ids,
            slots,
            series.refs[slots],
            series.hosts[slots].astype(np.int64),
            chunks.first(ids),
            chunks.fill[ids].astype(np.int64) - chunks.taken[ids],
        )

    def part(self, unsealed: Unsealed, number: int) -> UnsealedPart:
        """Hand out one part."""
        low, high = unsealed.bounds[number], unsealed.bounds[number + 1]
        ids, slots = unsealed.ids[low:high], unsealed.slots[low:high]
        still = self._chunks.owner[ids] == slots
        still &= self._series.refs[slots] == unsealed.refs[low:high]
        if self._moved:
            still &= ~np.isin(slots, np.concatenate(self._moved))
        return self._take(ids[still])

    def rest(self) -> UnsealedPart | None:
        """What was moved to other chunks while parts were handed out, or None."""
        if not self._moved:
            return None
        slots = np.unique(np.concatenate(self._moved))
        self._moved = []
        chunks = self._chunks
        found = []
        ids = self._series.newest[slots].astype(np.int64)
        while len(ids := ids[ids != NO_CHUNK]):
            found.append(ids[chunks.fill[ids] > chunks.taken[ids]])
            ids = chunks.prev[ids].astype(np.int64)
        if not found:
            return None
        return self._take(arranged(self.look(np.concatenate(found))).ids)

    def moved(self, slots: Ints) -> None:
        """Samples of these series are about to be in other chunks."""
        if self.going_on:
            self._moved.append(slots)

    def done(self) -> None:
        """All that was handed out is sealed."""
        count = self._chunks.count
        self._chunks.sealed[:count] = self._chunks.taken[:count]
        self.going_on = False

    def failed(self) -> None:
        """Nothing of what was handed out is sealed."""
        count = self._chunks.count
        self._chunks.taken[:count] = self._chunks.sealed[:count]
        self.going_on = False

    def _take(self, ids: Ints) -> UnsealedPart:
        chunks = self._chunks
        taken = chunks.taken[ids].astype(np.int64)
        counts = chunks.fill[ids] - taken
        slots = chunks.owner[ids].astype(np.int64)
        starts = run_starts(slots)
        ends = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
        cells = spans(ids * ROWS + taken, counts)
        values = chunks.values[cells]
        cells += repeated(chunks.moments(ids) - ids * ROWS, counts)
        chunks.taken[ids] = chunks.fill[ids]
        slots = slots[starts]
        return UnsealedPart(
            self._series.refs[slots],
            self._series.hosts[slots].astype(np.int64),
            ends[np.append(starts, len(ids))],
            chunks.tiles.times[cells],
            values,
        )


def arranged(seen: Seen) -> Unsealed:
    """What was seen, in order. Needs no lock."""
    order = np.lexsort((seen.firsts, seen.refs, seen.hosts))
    refs = seen.refs[order]
    bounds = _bounds(seen.hosts[order], refs, seen.counts[order])
    return Unsealed(seen.ids[order], seen.slots[order], refs, bounds)


def _bounds(hosts: Ints, refs: Ints, counts: Ints) -> Ints:
    """Where to cut chunks into parts: between hosts, or series of a host that has very many."""
    before = np.cumsum(counts) - counts
    begins = run_starts(hosts)
    of_host = np.zeros(len(hosts), dtype=np.int64)
    of_host[begins[1:]] = 1
    within = before - before[begins][np.cumsum(of_host)] if len(hosts) else before
    series = run_starts(refs)
    # A series' share of its host's samples, by where it begins.
    shares = within[series] // PART_SAMPLES
    cuts = np.union1d(begins, series[np.flatnonzero(np.diff(shares, prepend=0) > 0)])
    offsets = np.append(before[cuts], int(counts.sum()))
    parts = [low for low, _ in slices(offsets, PART_SAMPLES)]
    return np.append(cuts[parts], len(hosts)) if parts else np.zeros(1, dtype=np.int64)
