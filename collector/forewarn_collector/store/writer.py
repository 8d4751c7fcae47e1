"""The one thread that changes the store: it takes all that is queued into one commit."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from forewarn_collector.store.columns import Increases
from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.jobs import (
    Alone,
    AppendIncreases,
    AppendSamples,
    Job,
    TendEvents,
    Write,
)

log = logging.getLogger(__name__)

# Bounds of one commit, so that its memory and everyone's wait stay bounded.
_MOST_JOBS = 1_000
_MOST_SAMPLES = 500_000


class Writer:
    """Runs jobs in the order they came; a job's future is done once its commit is."""

    def __init__(
        self,
        commit: Callable[[Sequence[Write]], None],
        tend: Callable[[TendEvents], bool],
    ) -> None:
        self._commit = commit
        self._tend = tend
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """About how many jobs are queued."""
        return self._jobs.qsize()

    def submit(self, job: Job) -> None:
        """Queue a job. Raises StoreError once the writer is closed."""
        with self._gate:
            if not self._open:
                raise StoreError("the store is closed; open it again to write", retryable=True)
            self._jobs.put(job)

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._gate:
            self._open = False
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        waiting: deque[Job] = deque()
        ended = False
        while waiting or not ended:
            if not waiting:
                ended = self._take(waiting)
            group: list[Write] = []
            samples = 0
            while waiting and len(group) < _MOST_JOBS and samples < _MOST_SAMPLES:
                job = waiting[0]
                if isinstance(job, TendEvents | Alone):
                    break
                waiting.popleft()
                group.append(job)
                samples += _samples(job)
            if group:
                self._attempt(group)
            elif waiting:
                self._upkeep(waiting.popleft())

    def _take(self, waiting: deque[Job]) -> bool:
        """Wait for a job and take all that are there; whether the last one was the end."""
        job = self._jobs.get()
        while job is not None:
            waiting.append(job)
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return False
        return True

    def _attempt(self, group: Sequence[Write]) -> None:
        try:
            self._commit(group)
        except StoreError as error:
            _fail(group, error)
        except Exception as error:
            # One bad batch must not fail those that happened to be queued with it.
            if len(group) > 1:
                for job in group:
                    self._attempt([job])
                return
            log.exception("a write failed for a reason that lies within it")
            _fail(group, error)

    def _upkeep(self, job: Job) -> None:
        try:
            match job:
                case TendEvents():
                    job.done.set_result(self._tend(job))
                case Alone(work):
                    job.done.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for it
            job.done.set_exception(error)


def _fail(group: Sequence[Write], error: Exception) -> None:
    for job in group:
        job.done.set_exception(error)


def _samples(job: Write) -> int:
    match job:
        case AppendSamples(batch) | AppendIncreases(Increases(batch)):
            return len(batch.times)
    return 0
