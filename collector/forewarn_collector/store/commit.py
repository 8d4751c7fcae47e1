"""One commit: what several writes bring, checked, made durable, then shown to readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import compress
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from forewarn_collector.store.admission import Admission
from forewarn_collector.store.coded import coded
from forewarn_collector.store.columns import NEVER, Arrival, Batch, Floats, Increases, Ints, Layout
from forewarn_collector.store.event_counting import CountedEvents, EventCounting
from forewarn_collector.store.events import COUNTER_LEAD, save_counters
from forewarn_collector.store.head import LATEST, Head
from forewarn_collector.store.increases import Totals, running_totals
from forewarn_collector.store.index import NO_REF, LabelIndex
from forewarn_collector.store.jobs import (
    Appended,
    AppendEvents,
    AppendIncreases,
    AppendSamples,
    SampleCounters,
    Write,
)
from forewarn_collector.store.journal import Journal
from forewarn_collector.store.label_rows import NewSeries
from forewarn_collector.store.late_counts import LateCounts, save_late
from forewarn_collector.store.late_events import LateEvents, samples_about
from forewarn_collector.store.quota import SeriesQuota
from forewarn_collector.store.reading import Columns
from forewarn_collector.store.series import numbers_of
from forewarn_collector.store.spans import run_starts
from forewarn_wire import Labels, Sample
from forewarn_wire.clock import Clock

T = TypeVar("T")

_AHEAD = 3_600_000
"""How far (ms) a sender's clock may be ahead of ours and still be believed."""
_NEVER = -1
_REFUSED = -1

_EMPTY: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a commit takes of one batch, each sample's ref, and the new series that it refuses."""

    batch: Batch
    refs: Ints
    refused: Sequence[tuple[Labels, str]] = ()


@dataclass(frozen=True, slots=True)
class _Grown:
    """What a commit takes of increases: what series then stand at, and of each job how many
    increases are among `totals.taken`, and the new series that it refuses."""

    totals: Totals
    counts: Sequence[int]
    refused: Sequence[Sequence[tuple[Labels, str]]]


class Committer:
    """Used by the writer's thread alone; `lock` keeps readers off while the head changes.

    New series have provisional refs until the commit stands, so a failure leaves nothing behind.
    """

    def __init__(
        self,
        index: LabelIndex,
        head: Head,
        journal: Journal,
        events: EventCounting,
        lock: threading.Lock,
        clock: Clock,
        announce: Callable[[Arrival], None],
        quota: SeriesQuota,
        late_counts: LateCounts,
        read: Callable[[Ints, int, int], Columns],
        newest: Callable[[Ints, int], tuple[Ints, Floats]],
    ) -> None:
        """`read` gives the samples of series that are known, from and to, as they are stored.

        `newest` gives the times and values of the last ones up to a time.
        """
        self._index = index
        self._head = head
        self._journal = journal
        self._events = events
        self._lock = lock
        self._clock = clock
        self._announce = announce
        self._quota = quota
        self._late_counts = late_counts
        self._read = read
        self._newest = newest
        self._next_ref = journal.last_ref() + 1
        # Decoders keep label sets and hand out the same object each time, and an object's id is
        # found much faster than a tuple of tuples is hashed. The object is kept, so that its id
        # stays its own.
        self._refs_by_id: dict[int, int] = {}
        self._seen: list[Labels] = []
        # And a batch laid out as one before needs no look at its labels at all.
        self._refs_by_layout: WeakKeyDictionary[Layout, Ints] = WeakKeyDictionary()
        self.newest_received = journal.newest_received()
        self.commits = 0
        self.samples = 0
        self.duplicates = 0
        self.conflicts = 0
        self.created = 0
        self.late_events = 0

    def commit(self, jobs: Sequence[Write]) -> None:
        """Do all jobs or none. Raises StoreError."""
        try:
            self._commit(jobs)
        except BaseException:
            self._events.forget()
            raise

    def _commit(self, jobs: Sequence[Write]) -> None:
        fresh: dict[Labels, int] = {}
        resample = max((job.now for job in jobs if isinstance(job, SampleCounters)), default=None)
        received = _newest_received(jobs, self._clock() + _AHEAD)
        with self._journal.transaction():
            now = self._clock()
            requests = [job.events for job in jobs if isinstance(job, AppendEvents)]
            events = self._events.take(requests, resample, now)
            late = events.late
            arriving = [self._taken(job, fresh) for job in jobs if isinstance(job, AppendSamples)]
            if events.samples:
                counted = _batch(events.samples)
                arriving.append(_Taken(counted, self._refs(counted, fresh)))
            late_refs = self._late(late, arriving, fresh, now)
            batches = [taken.batch for taken in arriving]
            refs = [taken.refs for taken in arriving]
            grown = self._grown(jobs, fresh)
            if grown is not None:
                totals = grown.totals
                refs.append(totals.refs)
                batches.append(Batch((), _EMPTY, totals.times, totals.values))
            labels = list(fresh)
            series = NewSeries(np.array(list(fresh.values()), dtype=np.int64), coded(labels))
            admission = self._admit(refs, batches, series)
            series, labels = _present(series, labels, admission)
            self._journal.add_series(series)
            save_counters(self._journal.connection, events.counters)
            save_late(self._journal.connection, late_refs, late.times, late.counts)
            if len(admission.refs):
                self._journal.add_samples(
                    admission.refs, admission.times, admission.values, received
                )
        with self._lock:
            self._index.add_coded(series.refs, series.sets, labels)
            self._head.apply(admission)
            if len(late_refs):
                self._late_counts.accept(late_refs, late.times, late.counts)
                self._head.recount(np.unique(late_refs))
        self.late_events += int(late.counts.sum())
        self._next_ref += len(fresh)
        self.created += len(labels)
        self.samples += len(admission.refs)
        self._events.accept(events)
        if received is not None:
            self.newest_received = max(received, self.newest_received or received)
        self._answer(jobs, arriving, grown, admission, events)

    def forget(self) -> None:
        """Forget what was derived from series that may be gone now."""
        self._refs_by_id.clear()
        self._seen.clear()
        self._refs_by_layout.clear()

    def _late(
        self, late: LateEvents, arriving: list[_Taken], fresh: dict[Labels, int], now: int
    ) -> Ints:
        """Each late event's ref; samples that its counter lacks about it are added to others."""
        if not late.labels:
            return _EMPTY
        refs = self._refs_of(late.labels, fresh, None, keep=False)[late.places]
        until = now - COUNTER_LEAD
        added, times, values = samples_about(refs, late.times, until, self._stored, self._last)
        arriving.append(_Taken(Batch((), _EMPTY, times, values), added))
        return refs

    def _stored(self, refs: Ints, start: int, end: int) -> Columns:
        """Samples of series, of which new ones, the last of them, have none."""
        known = refs[refs < self._next_ref]
        times, values, offsets = self._read(known, start, end)
        return times, values, np.append(offsets, np.full(len(refs) - len(known), offsets[-1]))

    def _last(self, refs: Ints, end: int) -> tuple[Ints, Floats]:
        """The last sample of series up to a time (ms); NEVER and 0 for new ones."""
        times, values = np.full(len(refs), NEVER), np.zeros(len(refs))
        known = refs < self._next_ref
        times[known], values[known] = self._newest(refs[known], end)
        return times, values

    def _taken(self, job: AppendSamples, fresh: dict[Labels, int]) -> _Taken:
        """What is taken of a job's batch: all but new series that are over a limit."""
        batch = job.batch
        if job.own or self._quota.unlimited:
            return _Taken(batch, self._refs(batch, fresh))
        refused: dict[Labels, str] = {}
        refs = self._refs(batch, fresh, refused)
        if not refused:
            return _Taken(batch, refs)
        kept = refs != _REFUSED
        within = Batch(batch.labels, batch.rows[kept], batch.times[kept], batch.values[kept])
        return _Taken(within, refs[kept], tuple(refused.items()))

    def _grown(self, jobs: Sequence[Write], fresh: dict[Labels, int]) -> _Grown | None:
        """What series stand at with the increases that came; None where none did."""
        columns: list[tuple[Ints, Ints, Ints, Floats]] = []
        refused: list[Sequence[tuple[Labels, str]]] = []
        for job in jobs:
            if isinstance(job, AppendIncreases):
                batch = job.increases.batch
                over: dict[Labels, str] = {}
                refs = self._refs(batch, fresh, None if self._quota.unlimited else over)
                kept = refs != _REFUSED
                starts = job.increases.starts[kept]
                columns.append((refs[kept], starts, batch.times[kept], batch.values[kept]))
                refused.append(tuple(over.items()))
        if not columns:
            return None
        refs, starts, times, values = map(np.concatenate, zip(*columns, strict=True))
        last_times, last_values = self._last(refs, LATEST - 1)
        totals = running_totals(refs, starts, times, values, last_times, last_values)
        return _Grown(totals, [len(column[0]) for column in columns], refused)

    def _refs(
        self, batch: Batch, fresh: dict[Labels, int], refused: dict[Labels, str] | None = None
    ) -> Ints:
        """Each sample's ref; new label sets are added to `fresh` with provisional refs.

        With `refused`, those that are over a limit go there and have the ref `_REFUSED`.
        """
        layout = batch.layout
        if layout is not None:
            kept = self._refs_by_layout.get(layout)
            if kept is not None:
                return kept
        found = self._refs_of(batch.labels, fresh, refused, keep=layout is None)
        refs = found[batch.rows]
        if layout is not None and not refused and (found < self._next_ref).all():
            self._refs_by_layout[layout] = refs
        return refs

    def _refs_of(
        self,
        labels: Sequence[Labels],
        fresh: dict[Labels, int],
        refused: dict[Labels, str] | None,
        *,
        keep: bool,
    ) -> Ints:
        refs = list(map(self._refs_by_id.get, map(id, labels)))
        missing = [place for place, ref in enumerate(refs) if ref is None]
        if missing:
            others = [labels[place] for place in missing]
            found = self._index.find(others).tolist()
            for place, each, ref in zip(missing, others, found, strict=True):
                if ref == NO_REF:
                    refs[place] = self._new_ref(each, fresh, refused)
                else:
                    refs[place] = ref
                    if keep:
                        self._keep(each, ref)
        return np.array(refs, dtype=np.int64)

    def _new_ref(
        self, labels: Labels, fresh: dict[Labels, int], refused: dict[Labels, str] | None
    ) -> int:
        if refused is not None and labels not in fresh:
            reason = self._quota.refusal(labels, self._clock())
            if reason:
                refused[labels] = reason
                return _REFUSED
        return fresh.setdefault(labels, self._next_ref + len(fresh))

    def _keep(self, labels: Labels, ref: int) -> None:
        if len(self._seen) > 2 * len(self._index) + 1_000:
            self.forget()
        self._refs_by_id[id(labels)] = ref
        self._seen.append(labels)

    def _admit(self, refs: Sequence[Ints], batches: Sequence[Batch], new: NewSeries) -> Admission:
        if len(new.refs):
            self._head.add_series(new.refs, *numbers_of(new.sets, self._index.metric_id))
        if len(batches) == 1:
            return self._head.admit(refs[0], batches[0].times, batches[0].values)
        return self._head.admit(
            np.concatenate([_EMPTY, *refs]),
            np.concatenate([_EMPTY, *(batch.times for batch in batches)]),
            np.concatenate([np.empty(0), *(batch.values for batch in batches)]),
        )

    def _answer(
        self,
        jobs: Sequence[Write],
        arriving: Sequence[_Taken],
        grown: _Grown | None,
        admission: Admission,
        counted: CountedEvents,
    ) -> None:
        self.commits += 1
        self.conflicts += admission.conflicts
        batches = [taken.batch for taken in arriving]
        if grown is not None:
            batches.append(Batch((), _EMPTY, grown.totals.times, grown.totals.values))
        added = _added(batches, admission)[: len(arriving)]
        if len(admission.refs):
            refs, firsts = admission.refs, admission.times
            if not admission.single:
                # They are sorted by series and time.
                starts = run_starts(refs)
                refs, firsts = refs[starts], firsts[starts]
            self._announce(
                Arrival(
                    refs,
                    firsts,
                    int(admission.times.min()),
                    int(admission.times.max()),
                    time.monotonic(),
                )
            )
        events = counted.answers([len(job.events) for job in jobs if isinstance(job, AppendEvents)])
        appended = iter(zip(added, arriving, strict=True))
        increases = _answers(grown) if grown is not None else iter(())
        for job in jobs:
            match job:
                case AppendIncreases():
                    answer = next(increases)
                    self.duplicates += answer.duplicates
                    _resolve(job.done, answer)
                case AppendSamples():
                    count, taken = next(appended)
                    again = len(taken.refs) - count
                    self.duplicates += again
                    _resolve(job.done, Appended(count, again, taken.refused))
                case AppendEvents():
                    _resolve(job.done, next(events))
                case SampleCounters():
                    _resolve(job.done, None)


def _answers(grown: _Grown) -> Iterator[Appended]:
    """What each job of increases is answered."""
    start = 0
    for count, refused in zip(grown.counts, grown.refused, strict=True):
        added = int(np.count_nonzero(grown.totals.taken[start : start + count]))
        yield Appended(added, count - added, refused)
        start += count


def _added(batches: Sequence[Batch], admission: Admission) -> list[int]:
    """How many samples of each batch were new."""
    sizes = [len(batch.times) for batch in batches]
    if sum(sizes) == len(admission.kept):
        return sizes
    ends = np.cumsum(sizes, dtype=np.int64)
    owners = np.searchsorted(ends, admission.kept, side="right")
    added: list[int] = np.bincount(owners, minlength=len(batches)).tolist()
    return added


def _times_of(jobs: Sequence[Write]) -> Iterator[Ints]:
    """The times that senders gave their samples, job by job."""
    for job in jobs:
        match job:
            case AppendSamples(batch, own=False) | AppendIncreases(Increases(batch)):
                yield batch.times


def _newest_received(jobs: Sequence[Write], latest: int) -> int | None:
    """The newest time up to `latest` (ms) that senders gave.

    What the collector makes itself says nothing of it, nor does a time from the future.
    """
    times = [_newest(times, latest) for times in _times_of(jobs)]
    times += [event.time for job in jobs if isinstance(job, AppendEvents) for event in job.events]
    return max((time for time in times if _NEVER < time <= latest), default=None)


def _newest(times: Ints, latest: int) -> int:
    newest = int(times.max(initial=_NEVER))
    return newest if newest <= latest else int(times[times <= latest].max(initial=_NEVER))


def _resolve(done: Future[T], result: T) -> None:
    done.set_result(result)


def _batch(samples: Sequence[Sample]) -> Batch:
    labels = list(dict.fromkeys(sample.labels for sample in samples))
    rows = {item: row for row, item in enumerate(labels)}
    return Batch(
        labels,
        np.array([rows[sample.labels] for sample in samples], dtype=np.int64),
        np.array([sample.time for sample in samples], dtype=np.int64),
        np.array([sample.value for sample in samples], dtype=np.float64),
    )


def _present(
    series: NewSeries, labels: list[Labels], admission: Admission
) -> tuple[NewSeries, list[Labels]]:
    """New series that have a sample: a label set without one makes no series."""
    there = np.isin(series.refs, admission.refs)
    if there.all():
        return series, labels
    labels = list(compress(labels, there.tolist()))
    return NewSeries(series.refs[there], coded(labels)), labels
