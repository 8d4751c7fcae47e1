"""One commit: what several writes bring, checked, made durable, then shown to readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import numpy as np

from forewarn_collector.store.columns import Arrival, Batch, Ints
from forewarn_collector.store.events import (
    EventCounter,
    EventCounters,
    insert_events,
    save_counters,
)
from forewarn_collector.store.head import Admission, Head
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.jobs import (
    Appended,
    AppendedEvents,
    AppendEvents,
    AppendSamples,
    SampleCounters,
    Write,
)
from forewarn_collector.store.journal import Journal
from forewarn_collector.store.spans import run_starts
from forewarn_wire import Labels, Sample, metric_name
from forewarn_wire.clock import Clock

T = TypeVar("T")

_AHEAD = 3_600_000
"""How far (ms) a sender's clock may be ahead of ours and still be believed."""
_NEVER = -1

_EMPTY: Ints = np.empty(0, dtype=np.int64)


class Committer:
    """Used by the writer's thread alone; `lock` keeps readers off while the head changes.

    New series have provisional refs until the commit stands, so a failure leaves nothing behind.
    """

    def __init__(
        self,
        index: LabelIndex,
        head: Head,
        journal: Journal,
        counters: EventCounters,
        lock: threading.Lock,
        clock: Clock,
        announce: Callable[[Arrival], None],
    ) -> None:
        self._index = index
        self._head = head
        self._journal = journal
        self._counters = counters
        self._lock = lock
        self._clock = clock
        self._announce = announce
        self._next_ref = journal.last_ref() + 1
        # Decoders keep label sets and hand out the same object each time, and an object's id is
        # found much faster than a tuple of tuples is hashed. The object is kept, so that its id
        # stays its own.
        self._refs_by_id: dict[int, int] = {}
        self._seen: list[Labels] = []
        self.newest_received = journal.newest_received()
        self.commits = 0
        self.duplicates = 0
        self.conflicts = 0

    def commit(self, jobs: Sequence[Write]) -> None:
        """Do all jobs or none. Raises StoreError."""
        fresh: dict[Labels, int] = {}
        batches = [job.batch for job in jobs if isinstance(job, AppendSamples)]
        resample = max((job.now for job in jobs if isinstance(job, SampleCounters)), default=None)
        new_events: list[int] = []
        received = _newest_received(jobs, self._clock() + _AHEAD)
        with self._journal.transaction():
            samples, counters = self._events(jobs, resample, new_events)
            if samples:
                batches.append(_batch(samples))
            refs = [self._refs(batch.labels, fresh)[batch.rows] for batch in batches]
            admission = self._admit(refs, batches, fresh)
            series = _present(fresh, admission)
            self._journal.add_series(series)
            save_counters(self._journal.connection, counters)
            if len(admission.refs):
                self._journal.add_samples(
                    admission.refs, admission.times, admission.values, received
                )
        with self._lock:
            self._index.add(series)
            self._head.apply(admission)
        self._next_ref += len(fresh)
        self._counters.accept(counters)
        if received is not None:
            self.newest_received = max(received, self.newest_received or received)
        self._answer(jobs, batches, admission, new_events)

    def forget(self) -> None:
        """Forget what was derived from series that may be gone now."""
        self._refs_by_id.clear()
        self._seen.clear()

    def _events(
        self, jobs: Sequence[Write], resample: int | None, new_events: list[int]
    ) -> tuple[list[Sample], dict[Labels, EventCounter]]:
        added = []
        for job in jobs:
            if isinstance(job, AppendEvents):
                fresh = insert_events(self._journal.connection, job.events)
                new_events.append(len(fresh))
                added += fresh
        if not added and resample is None:
            return [], {}
        return self._counters.plan(added, resample, self._clock())

    def _refs(self, labels: Sequence[Labels], fresh: dict[Labels, int]) -> Ints:
        """The refs of label sets; new ones are added to `fresh` with provisional refs."""
        refs = list(map(self._refs_by_id.get, map(id, labels)))
        if None in refs:
            for place, ref in enumerate(refs):
                if ref is None:
                    refs[place] = self._lookup(labels[place], fresh)
        return np.array(refs, dtype=np.int64)

    def _lookup(self, labels: Labels, fresh: dict[Labels, int]) -> int:
        ref = self._index.ref(labels)
        if ref is None:
            return fresh.setdefault(labels, self._next_ref + len(fresh))
        if len(self._seen) > 2 * len(self._index) + 1_000:
            self.forget()
        self._refs_by_id[id(labels)] = ref
        self._seen.append(labels)
        return ref

    def _admit(
        self, refs: Sequence[Ints], batches: Sequence[Batch], fresh: dict[Labels, int]
    ) -> Admission:
        metrics = [self._index.metric_id(metric_name(labels)) for labels in fresh]
        self._head.add_series(
            np.array(list(fresh.values()), dtype=np.int64), np.array(metrics, dtype=np.int64)
        )
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
        batches: Sequence[Batch],
        admission: Admission,
        new_events: Sequence[int],
    ) -> None:
        self.commits += 1
        self.conflicts += admission.conflicts
        ends = np.cumsum([len(batch.times) for batch in batches], dtype=np.int64)
        owners = np.searchsorted(ends, admission.kept, side="right")
        added = np.bincount(owners, minlength=len(batches)).tolist()
        if len(admission.refs):
            # They are sorted by series and time.
            starts = run_starts(admission.refs)
            self._announce(
                Arrival(
                    admission.refs[starts],
                    admission.times[starts],
                    int(admission.times.min()),
                    int(admission.times.max()),
                    time.monotonic(),
                )
            )
        events = iter(new_events)
        appended = iter(zip(added, batches, strict=True))
        for job in jobs:
            match job:
                case AppendSamples():
                    count, batch = next(appended)
                    self.duplicates += len(batch.times) - count
                    _resolve(job.done, Appended(count, len(batch.times) - count))
                case AppendEvents():
                    count = next(events)
                    _resolve(job.done, AppendedEvents(count, len(job.events) - count))
                case SampleCounters():
                    _resolve(job.done, None)


def _newest_received(jobs: Sequence[Write], latest: int) -> int | None:
    """The newest time up to `latest` (ms) that senders gave.

    What the collector makes itself says nothing of it, nor does a time from the future.
    """
    times = [
        int(job.batch.times[job.batch.times <= latest].max(initial=_NEVER))
        for job in jobs
        if isinstance(job, AppendSamples) and not job.own
    ]
    times += [event.time for job in jobs if isinstance(job, AppendEvents) for event in job.events]
    return max((time for time in times if _NEVER < time <= latest), default=None)


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


def _present(fresh: dict[Labels, int], admission: Admission) -> list[tuple[int, Labels]]:
    """New series that have a sample: a label set without one makes no series."""
    if not fresh:
        return []
    present = set(np.unique(admission.refs).tolist())
    return [(ref, labels) for labels, ref in fresh.items() if ref in present]
