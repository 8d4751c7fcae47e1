"""The store: what is written is durable before it is answered, and can be read from then on."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from forewarn_collector.store.columns import (
    NEVER,
    Arrival,
    Batch,
    Floats,
    Increases,
    Ints,
    Matcher,
)
from forewarn_collector.store.commit import Committer
from forewarn_collector.store.compact import Compactor, StoppedError
from forewarn_collector.store.damage import file_errors
from forewarn_collector.store.errors import DamagedFileError
from forewarn_collector.store.event_counting import EventCounting
from forewarn_collector.store.eventlog import (
    EventLimits,
    EventLog,
    EventStore,
    EventTender,
)
from forewarn_collector.store.events import (
    EventCounter,
    EventCounters,
    load_counters,
)
from forewarn_collector.store.head import Head
from forewarn_collector.store.holding import hold
from forewarn_collector.store.index import LabelIndex
from forewarn_collector.store.jobs import (
    Alone,
    Appended,
    AppendedEvents,
    AppendEvents,
    AppendIncreases,
    AppendSamples,
    SampleCounters,
    TendEvents,
)
from forewarn_collector.store.journal import JOURNAL_FILE, Journal
from forewarn_collector.store.late_counts import drop_late
from forewarn_collector.store.loading import load_series, replay
from forewarn_collector.store.quota import SeriesLimits, SeriesQuota
from forewarn_collector.store.reader import StoreReader
from forewarn_collector.store.reading import Columns, read_latest, read_samples
from forewarn_collector.store.retention import drop_old, size_cutoff
from forewarn_collector.store.salvage import salvage_journal, was_salvaged
from forewarn_collector.store.sealed import ARCHIVE_FILE, Archive, ArchiveStats
from forewarn_collector.store.sealer import Sealer
from forewarn_collector.store.stats import StoreStats
from forewarn_collector.store.thin import Thinner, Thinning
from forewarn_collector.store.writer import Writer
from forewarn_wire import Event, Labels
from forewarn_wire.clock import Clock

_NO_LIMITS = SeriesLimits()
_EVENT_LIMITS = EventLimits()

_TENDING_SECONDS = 1.0
_MOST_AHEAD = 86_400_000


class Store(StoreReader):
    """One per data directory. All methods but `open` and `close` may be called from any thread."""

    def __init__(
        self,
        directory: Path,
        *,
        retention: int,
        clock: Clock,
        max_bytes: int | None = None,
        thinning: Thinning | None = None,
        limits: SeriesLimits = _NO_LIMITS,
        event_limits: EventLimits = _EVENT_LIMITS,
    ) -> None:
        """`retention` in ms; samples and series older than it are dropped.

        So are the oldest where what is sealed takes more than `max_bytes`. Old samples become rows
        as `thinning` says.
        """
        super().__init__(LabelIndex(), Head())
        self._directory = directory
        self._retention = retention
        self._max_bytes = max_bytes
        self._thinning = thinning
        self._clock = clock
        self._limits = limits
        self._event_limits = event_limits
        # Sealing, merging and dropping are done by one at a time.
        self._upkeep = threading.Lock()
        self._sealed = 0
        self._replayed = 0
        self._dropped_chunks = 0
        self._lost = 0
        self._cutoff = NEVER
        self._watchers: list[Callable[[Arrival], None]] = []

    def open(self) -> None:
        """Load what is on disk and start to take writes. Raises StoreError.

        A journal with broken pages is set aside, and goes on with what can be read of it.
        """
        path = self._directory / JOURNAL_FILE
        self._held = hold(self._directory)
        try:
            try:
                self._open_files()
            except DamagedFileError as error:
                if error.path != path:
                    raise
                self._lost = len(salvage_journal(path).lost)
                # Some of it may be loaded already, and must not be there twice.
                super().__init__(LabelIndex(), Head())
                self._replayed = 0
                self._open_files()
        except BaseException:
            os.close(self._held)
            raise
        self._writer = Writer(self._committer.commit, self._tend)
        self.event_store = EventStore(path, self._writer.submit)
        self._sealer = Sealer(
            self._index, self._head, self._journal, self._archive, self._lock, self._alone
        )

    def _open_files(self) -> None:
        with ExitStack() as opened:
            self._journal = Journal(self._directory / JOURNAL_FILE)
            opened.callback(self._journal.close)
            self._archive = Archive(self._directory / ARCHIVE_FILE)
            opened.callback(self._archive.close)
            with file_errors("read", self._directory / JOURNAL_FILE):
                self._load()
            opened.pop_all()

    def close(self) -> None:
        """Finish what is queued and close the files."""
        self._writer.close()
        self.event_store.close()
        self._archive.close()
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

    def append_made(
        self, makes: Sequence[Callable[[], Batch]], heard: Callable[[], None]
    ) -> list[Future[Appended]]:
        """As `append` of the batch that each of `makes` gives on the writer's thread.

        `heard` is called there when all are done, those that failed too.
        """
        return self._writer.append_made(makes, heard)

    def append_increases(self, increases: Increases) -> Future[Appended]:
        """Add increases to what their series last stood at; as `append`.

        Those that are not later than all that their series has count as duplicates.
        """
        job = AppendIncreases(increases)
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
        with self._upkeep:
            aged = self._now() - self._retention
            cutoff = max(aged, size_cutoff(self._archive, self._max_bytes))
            self._dropped_chunks += drop_old(self._archive, cutoff)
            gone = self._alone(lambda: self._drop_old(cutoff))
            while self._alone(self._journal.give_back):
                pass
            if len(gone):
                self._archive.forget(gone)
            self._cutoff = cutoff
        self.event_store.tend(_TENDING_SECONDS)
        return cutoff

    @property
    def cutoff(self) -> int:
        """The time (ms) before which nothing is kept, as of the last retention."""
        return self._cutoff

    @property
    def latest_taken(self) -> int:
        """The time (ms) after which nothing can be a right one: a day from now.

        Where our clock is behind that of the senders before, theirs is believed.
        """
        return max(self._clock(), self._committer.newest_received or 0) + _MOST_AHEAD

    def keep(self, windows: Mapping[str, int]) -> None:
        """How far back (ms) each metric is read again and again, and under "" all of them.

        As much stays in memory, and some minutes of all else.
        """
        self._sealer.keep(windows)

    @property
    def unsealed(self) -> int:
        """About how many samples the journal has and the archive has not."""
        return max(self._replayed + self._committer.samples - self._sealed, 0)

    def seal(self) -> int:
        """Bring to the archive what it has not, and drop what memory need not have: how many."""
        with self._upkeep:
            before = self._replayed + self._committer.samples
            count = self._sealer.seal(self._now())
            self._sealed = max(before, self._sealed)
            return count

    def restore(self) -> int:
        """Take back into memory what `keep` asks for, from the archive: how many samples."""
        with self._upkeep:
            return self._sealer.restore(self._now())

    def settle(self, stopping: Callable[[], bool]) -> None:
        """Find where each series ends in the archive, of which opening tells about only.

        Without it a series that ended is listed, and kept in the index, as long as another of its
        host goes on.
        """
        for group in self._archive.group_ids():
            if stopping():
                raise StoppedError
            with self._upkeep:
                refs, ends = self._archive.ends(group)
                with self._lock:
                    self._head.end(refs, ends)

    def compact(self, stopping: Callable[[], bool] = lambda: False) -> Iterator[int]:
        """Merge small chunks and thin old samples, step by step: how many chunks each.

        Raises StoppedError once `stopping` says so.
        """
        steps = [Compactor(self._archive, stopping).steps(self._now())]
        if self._thinning is not None:
            steps.append(Thinner(self._archive, self._thinning, stopping).steps(self._now()))
        for each in steps:
            while True:
                with self._upkeep:
                    count = next(each, None)
                if count is None:
                    break
                yield count
        with self._upkeep:
            self._archive.give_back()

    def events(self, matchers: Sequence[Matcher], start: int, end: int, limit: int) -> list[Event]:
        """As `EventStore.find`."""
        return self.event_store.find(matchers, start, end, limit)

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
                disk_bytes=self._journal.size() + self._archive.size(),
                commits=self._committer.commits,
                duplicates=self._committer.duplicates,
                conflicts=self._committer.conflicts,
                created=self._committer.created,
                damaged=self._journal.damaged + self._lost,
                waiting=self._writer.waiting,
                late_events=self._committer.late_events,
                newest=self._committer.newest_received,
            )

    def archive_stats(self) -> ArchiveStats:
        """Figures about what is sealed. Raises StoreError."""
        return self._archive.stats()

    @property
    def dropped_chunks(self) -> int:
        """How many sealed chunks retention has dropped since opening."""
        return self._dropped_chunks

    def _load(self) -> None:
        sealed_refs = self._archive.known()
        if self._journal.last_ref() < sealed_refs.max(initial=0):
            # The journal is not the one that gave these out, or has lost which they were.
            self._journal.begin_refs_after(int(sealed_refs.max()))
        refs = load_series(self._journal, self._index, self._head)
        earliest, latest = self._archive.extents(refs)
        sealed = latest != NEVER
        self._head.begin(refs[sealed], earliest[sealed], latest[sealed] + 1)
        self._replayed = replay(self._journal, self._head, refs)
        self._head.begin_lost(refs, self._clock())
        if not was_salvaged(self._directory / JOURNAL_FILE):
            # Else their labels may be found again.
            self._archive.forget(np.setdiff1d(sealed_refs, refs))
        self._event_log = EventLog(self._journal)
        self._event_log.prepare()
        self._event_tender = EventTender(
            self._journal, self._event_log, self._event_limits.max_bytes
        )
        counters = EventCounters(
            {
                labels: EventCounter(value, changed, self._last_time(labels))
                for labels, (value, changed) in load_counters(self._journal.connection).items()
            }
        )
        self._counters = counters
        with self._journal.reading():
            self._late_counts.load(self._journal.connection)
        quota = SeriesQuota(self._limits, self._active)
        self._committer = Committer(
            self._index,
            self._head,
            self._journal,
            EventCounting(self._event_log, counters, self._index, quota),
            self._lock,
            self._clock,
            self._announce,
            quota,
            self._late_counts,
            self._stored,
            self._newest,
        )

    def _stored(self, refs: Ints, start: int, end: int) -> Columns:
        return read_samples(self._head, self._lock, refs, start, end, self._archive)

    def _newest(self, refs: Ints, end: int) -> tuple[Ints, Floats]:
        since = self._now() - self._retention
        return read_latest(self._head, self._lock, refs, since, end, self._archive)

    def _last_time(self, labels: Labels) -> int:
        ref = self._index.ref(labels)
        return self._head.last_time(ref) if ref is not None else 0

    def _active(self, value: str, since: int) -> int:
        """Called by the writer's thread, the only one that changes what is counted."""
        refs = self._index.posting(self._limits.label, value) if value else None
        return self._head.active(since, refs)

    def _alone(self, work: Callable[[], Any]) -> Any:
        job = Alone(work)
        self._writer.submit(job)
        return job.done.result()

    def _announce(self, arrival: Arrival) -> None:
        for heard in self._watchers:
            heard(arrival)

    def _now(self) -> int:
        """The time (ms) that retention goes by."""
        newest = self._committer.newest_received
        # A wrong clock alone, or one sample from the future, must not empty the store.
        return self._clock() if newest is None else min(self._clock(), newest)

    def _tend(self, job: TendEvents) -> bool:
        if job.mend:
            self._event_tender.mend_index()
            return True
        kept = self._event_limits.retention
        return self._event_tender.tend(self._now() - (self._retention if kept is None else kept))

    def _drop_old(self, cutoff: int) -> Ints:
        gone = self._head.ended_before(cutoff)
        counters = self._counters.unchanged_since(cutoff)
        # A counter that is forgotten begins at 0 again.
        recounted = [ref for each in counters if (ref := self._index.ref(each)) is not None]
        with self._journal.transaction():
            self._journal.drop_before(cutoff)
            self._journal.drop_series(gone)
            drop_late(self._journal.connection, [*gone.tolist(), *recounted], cutoff)
        with self._lock:
            self._late_counts.drop([*gone.tolist(), *recounted], cutoff)
            self._head.recount(np.array(recounted, dtype=np.int64))
            gone = self._head.drop_before(cutoff)
            self._index.remove(gone)
            self._head.remove_series(gone)
        self._counters.forget(counters)
        self._committer.forget()
        return gone
