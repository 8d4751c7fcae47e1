"""The one thread that changes the store: it takes all that is queued into one commit."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from forewarn_collector.store.columns import Batch, Increases
from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.jobs import (
    Alone,
    Appended,
    AppendIncreases,
    AppendMade,
    AppendSamples,
    Job,
    TendEvents,
    Write,
)

log = logging.getLogger(__name__)

# Bounds of one commit, so that its memory and everyone's wait stay bounded.
_MOST_JOBS = 1_000
_MOST_SAMPLES = 500_000
_NEW = 50
"""What a sample of a batch laid out like none before counts, since its series may be new."""
_END: Sequence[Job] = ()


class Writer:
    """Runs jobs in the order they came; a job's future is done once its commit is."""

    def __init__(
        self,
        commit: Callable[[Sequence[Write]], None],
        tend: Callable[[TendEvents], bool],
    ) -> None:
        self._commit = commit
        self._tend = tend
        self._jobs: queue.SimpleQueue[Sequence[Job]] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._open = True
        self._submitted = 0
        self._taken = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs are queued."""
        return self._submitted - self._taken

    def submit(self, *jobs: Job) -> None:
        """Queue jobs, one right after the other. Raises StoreError once the writer is closed."""
        with self._gate:
            if not self._open:
                raise StoreError("the store is closed; open it again to write", retryable=True)
            self._submitted += len(jobs)
            self._jobs.put(jobs)

    def append_made(
        self, makes: Sequence[Callable[[], Batch]], heard: Callable[[], None]
    ) -> list[Future[Appended]]:
        """Queue the batches that are to be made; `heard` is called when all are done.

        Whoever has much to make need not compete with this thread for the interpreter then.
        """
        jobs = [AppendMade(make) for make in makes]
        left = len(jobs)

        def count(_: Future[Appended]) -> None:
            nonlocal left
            left -= 1
            if not left:
                heard()

        for job in jobs:
            job.done.add_done_callback(count)
        self.submit(*jobs)
        return [job.done for job in jobs]

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._gate:
            self._open = False
            self._jobs.put(_END)
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
                write = _made(job) if isinstance(job, AppendMade) else job
                if write is not None:
                    group.append(write)
                    samples += _samples(write)
            if group:
                self._attempt(group)
            elif waiting and isinstance(waiting[0], TendEvents | Alone):
                self._upkeep(waiting.popleft())

    def _take(self, waiting: deque[Job]) -> bool:
        """Wait for a job and take all that are there; whether the last one was the end."""
        jobs = self._jobs.get()
        while jobs:
            # What is taken can't be cancelled any more; what was cancelled before nobody waits for.
            waiting.extend(job for job in jobs if job.done.set_running_or_notify_cancel())
            self._taken += len(jobs)
            try:
                jobs = self._jobs.get_nowait()
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


def _made(job: AppendMade) -> AppendSamples | None:
    """The job with its batch; None where that was answered, since there is nothing to store."""
    try:
        batch = job.make()
    except Exception as error:  # noqa: BLE001 - it is handed to whoever waits for it
        job.done.set_exception(error)
        return None
    if not len(batch.times):
        job.done.set_result(Appended(0, 0))
        return None
    return AppendSamples(batch, done=job.done)


def _fail(group: Sequence[Write], error: Exception) -> None:
    for job in group:
        job.done.set_exception(error)


def _samples(job: Write) -> int:
    match job:
        case AppendSamples(batch) | AppendIncreases(Increases(batch)):
            return len(batch.times) * (1 if batch.layout is not None else _NEW)
    return 0
