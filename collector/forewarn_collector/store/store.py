"""The store: what is written is durable before it is answered, and can be read from then on."""

from __future__ import annotations

import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.cardinality import Cardinality, rankings
from forewarn_collector.store.columns import (
    Arrival,
    Batch,
    Floats,
    Ints,
    LatestColumns,
    Matcher,
    SeriesColumns,
    SeriesLabels,
)
from forewarn_collector.store.commit import Committer
from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.events import (
    EventCounter,
    EventCounters,
    find_events,
    load_counters,
)
from forewarn_collector.store.head import Head
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.jobs import (
    Appended,
    AppendedEvents,
    AppendEvents,
    AppendSamples,
    EnforceRetention,
    SampleCounters,
)
from forewarn_collector.store.journal import Journal
from forewarn_collector.store.reading import (
    names_among,
    read_samples,
    sorted_labels,
    values_among,
)
from forewarn_collector.store.sliding import SlidingWindow
from forewarn_collector.store.writer import Writer
from forewarn_wire import Event, Labels, metric_name
from forewarn_wire.clock import Clock

# Commits are replayed in groups, since the head takes in a few large batches faster.
_REPLAY_SAMPLES = 1_000_000


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Plain figures. Counts of `commits`, `duplicates` and `conflicts` are since opening.

    `conflicts` are duplicates that came with another value; `damaged` counts what could not be
    read back at opening; `waiting` writes that are queued; `newest` is the newest
    time (ms) that a sender gave.
    """

    series: int
    samples: int
    memory_bytes: int
    disk_bytes: int
    commits: int
    duplicates: int
    conflicts: int
    damaged: int
    waiting: int
    newest: int | None


class Store:
    """One per data directory. All methods but `open` and `close` may be called from any thread."""

    def __init__(self, directory: Path, *, retention: int, clock: Clock) -> None:
        """`retention` in ms; samples, events and series older than it are dropped."""
        self._directory = directory
        self._retention = retention
        self._clock = clock
        self._lock = threading.Lock()
        self._events_lock = threading.Lock()
        self._index = LabelIndex()
        self._head = Head()
        self._watchers: list[Callable[[Arrival], None]] = []

    def open(self) -> None:
        """Load what is on disk and start to take writes. Raises StoreError."""
        path = self._directory / "store.db"
        self._hold()
        try:
            self._journal = Journal(path)
            try:
                self._load()
                # A connection of its own, so that a search of events never waits for a commit.
                self._reading = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            except BaseException:
                self._journal.close()
                raise
        except BaseException:
            os.close(self._held)
            raise
        self._writer = Writer(self._committer.commit, self._drop_old)

    def close(self) -> None:
        """Finish what is queued and close the files."""
        self._writer.close()
        with self._events_lock:
            self._reading.close()
        self._journal.close()
        os.close(self._held)

    def append(self, batch: Batch, *, own: bool = False) -> Future[Appended]:
        """Store samples. The future is done once they are durable and visible to readers.

        It fails with StoreError, and then nothing of the batch was stored. `own` samples are
        those that the collector makes itself, at its own clock: retention does not go by them.
        """
        job = AppendSamples(batch, own)
        self._writer.submit(job)
        return job.done

    def append_events(self, events: Sequence[Event]) -> Future[AppendedEvents]:
        """Store events and count them in `forewarn_events_total`; as `append`."""
        job = AppendEvents(events)
        self._writer.submit(job)
        return job.done

    def sample_counters(self, now: int) -> None:
        """Store every events counter's value at `now` (ms), so that none goes stale."""
        job = SampleCounters(now)
        self._writer.submit(job)
        job.done.result()

    def enforce_retention(self) -> int:
        """Drop what is older than the retention, by the clock or the newest received if earlier.

        Returns the time (ms) before which nothing is kept.
        """
        job = EnforceRetention()
        self._writer.submit(job)
        return job.done.result()

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        """As `SeriesSource.select`. Raises ValueError for a bad regex or too many samples."""
        with self._lock:
            found = self._index.select(matchers)
            labels, refs = found.labels, found.refs
        times, values, offsets = read_samples(self._head, self._lock, refs, start, end)
        return SeriesColumns(labels, times, values, offsets)

    def labels_of(self, refs: Ints) -> list[Labels]:
        """The label sets of series that an arrival names; empty where retention dropped one."""
        with self._lock:
            return [self._index.labels(ref) for ref in refs.tolist()]

    def has_series(self, matchers: Sequence[Matcher]) -> bool:
        """Whether there is any series that meets all matchers. Raises ValueError: bad regex."""
        with self._lock:
            return self._index.has(matchers)

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """As `SeriesSource.read`."""
        with self._lock:
            found = [
                (labels, ref) for labels in series if (ref := self._index.ref(labels)) is not None
            ]
        refs = np.array([ref for _, ref in found], dtype=np.int64)
        columns = read_samples(self._head, self._lock, refs, start, end)
        return SeriesColumns(SeriesLabels(labels for labels, _ in found), *columns)

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        """As `SeriesSource.latest`. Raises ValueError for a bad regex."""
        with self._lock:
            found = self._index.select(matchers)
            labels = found.labels
            times, values = self._head.latest(found.refs, start, end)
        return LatestColumns(labels, times, values)

    def sliding(self, matchers: Sequence[Matcher]) -> SlidingWindow:
        """A window over the series that match every matcher. ValueError at a slide: a bad regex."""
        return SlidingWindow(self._index, self._head, self._lock, matchers)

    def series(
        self, matcher_sets: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> list[Labels]:
        """Label sets that meet any of the sets of matchers and have samples about that time.

        No set at all means every series. Sorted. Raises ValueError for a bad regex.
        """
        with self._lock:
            refs = self._overlapping(matcher_sets, start, end)
        return sorted_labels(self._index, refs)

    def label_names(
        self, matcher_sets: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> list[str]:
        """The names of labels of the series that `series` would find, sorted."""
        with self._lock:
            refs = self._overlapping(matcher_sets, start, end)
        return names_among(self._index, self._lock, refs)

    def label_values(
        self, name: str, matcher_sets: Sequence[Sequence[Matcher]], start: int, end: int
    ) -> list[str]:
        """The values of one label of the series that `series` would find, sorted."""
        with self._lock:
            refs = self._overlapping(matcher_sets, start, end)
        return values_among(self._index, self._lock, name, refs)

    def events(self, matchers: Sequence[Matcher], start: int, end: int, limit: int) -> list[Event]:
        """Events with `start <= time <= end`, newest first, at most `limit`.

        Matchers see an event's labels and also `type` and `severity`. Raises ValueError for a bad
        regex and StoreError where the disk fails.
        """
        try:
            with self._events_lock:
                return find_events(self._reading, matchers, start, end, limit)
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot read events in {self._directory}: {error}", retryable=True
            ) from error

    def arrivals(self) -> queue.SimpleQueue[Arrival]:
        """A queue of its own on which each durable write that added something is announced."""
        subscription: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self.watch(subscription.put)
        return subscription

    def watch(self, heard: Callable[[Arrival], None]) -> None:
        """Have `heard` called with each arrival, after its commit, before its sender is answered.

        It is called on the writer's thread: it must be quick, and must not raise.
        """
        self._watchers.append(heard)

    def stats(self) -> StoreStats:
        """Figures about the store now."""
        with self._lock:
            return StoreStats(
                series=len(self._index),
                samples=self._head.samples,
                memory_bytes=self._head.nbytes,
                disk_bytes=self._journal.size(),
                commits=self._committer.commits,
                duplicates=self._committer.duplicates,
                conflicts=self._committer.conflicts,
                damaged=self._journal.damaged,
                waiting=self._writer.waiting,
                newest=self._committer.newest_received,
            )

    def cardinality(self, limit: int) -> Cardinality:
        """What makes up the series now, the greatest `limit` of each kind."""
        with self._lock:
            series = len(self._index)
            chunks, earliest, latest = self._head.extent()
        pairs, *ranked = rankings(self._index, limit)
        return Cardinality(series, pairs, chunks, earliest, latest, *ranked)

    def _hold(self) -> None:
        """Hold the directory, since two processes that write would not see each other's series."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._held = os.open(self._directory / "store.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(
                f"cannot use the data directory {self._directory}: {error.strerror};"
                " choose one that this user may write to",
                retryable=False,
            ) from error
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._held)
            raise StoreError(
                f"the data directory {self._directory} is in use by another collector;"
                " stop it or choose another directory",
                retryable=False,
            ) from error

    def _load(self) -> None:
        series = self._journal.load_series()
        known = np.zeros(self._journal.last_ref() + 1, dtype=np.bool_)
        refs = np.array([ref for ref, _ in series], dtype=np.int64)
        known[refs] = True
        metrics = [self._index.metric_id(metric_name(labels)) for _, labels in series]
        self._index.add(series)
        self._head.add_series(refs, np.array(metrics, dtype=np.int64))
        waiting: list[tuple[Ints, Ints, Floats]] = []
        samples = 0
        for columns in self._journal.replay():
            waiting.append(columns)
            samples += len(columns[0])
            if samples >= _REPLAY_SAMPLES:
                self._replay(waiting, known)
                waiting, samples = [], 0
        if waiting:
            self._replay(waiting, known)
        counters = EventCounters(
            {
                labels: EventCounter(value, changed, self._last_time(labels))
                for labels, (value, changed) in load_counters(self._journal.connection).items()
            }
        )
        self._counters = counters
        self._committer = Committer(
            self._index,
            self._head,
            self._journal,
            counters,
            self._lock,
            self._clock,
            self._announce,
        )

    def _replay(
        self, commits: Sequence[tuple[Ints, Ints, Floats]], known: NDArray[np.bool_]
    ) -> None:
        refs, times, values = (np.concatenate(columns) for columns in zip(*commits, strict=True))
        # Samples of a series that retention dropped may share a row with younger ones.
        kept = (refs >= 0) & (refs < len(known))
        kept[kept] = known[refs[kept]]
        self._head.apply(self._head.admit(refs[kept], times[kept], values[kept]))

    def _last_time(self, labels: Labels) -> int:
        ref = self._index.ref(labels)
        return self._head.last_time(ref) if ref is not None else 0

    def _overlapping(self, matcher_sets: Sequence[Sequence[Matcher]], start: int, end: int) -> Ints:
        found = [self._index.select(matchers).refs for matchers in matcher_sets or [()]]
        refs = found[0] if len(found) == 1 else np.unique(np.concatenate(found))
        return self._head.overlapping(refs, start, end)

    def _announce(self, arrival: Arrival) -> None:
        for heard in self._watchers:
            heard(arrival)

    def _drop_old(self) -> int:
        newest = self._committer.newest_received
        # A wrong clock alone, or one sample from the future, must not empty the store.
        now = self._clock() if newest is None else min(self._clock(), newest)
        cutoff = now - self._retention
        gone = self._head.ended_before(cutoff)
        with self._journal.transaction():
            self._journal.drop_before(cutoff)
            self._journal.drop_series(gone.tolist())
        with self._lock:
            self._index.remove(self._head.drop_before(cutoff))
        self._counters.forget(cutoff)
        self._committer.forget()
        self._journal.give_back()
        return cutoff
