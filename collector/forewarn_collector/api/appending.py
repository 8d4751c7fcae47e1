"""Remote writes on their way from the event loop to the disk and back, many of them at once.

Each change between two threads costs more than the commit of a small batch. So what came in one
turn of the event loop is handed over together, and all answers come back by one call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from forewarn_collector.metrics import Metrics
from forewarn_collector.store import Appended, Batch, Store, StoreError

Make = Callable[[], Batch]
_Waiting = tuple[Make, asyncio.Future[Appended]]


class Appender:
    """Appends batches to the store. Used on the event loop alone."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._waiting: list[_Waiting] = []

    async def append(self, make: Make) -> Appended:
        """Store the batch that `make` gives on the store's thread; what it raises is raised.

        Returns once its samples are durable. Raises StoreError.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            # After the requests that are ready now.
            loop.call_soon(self._hand_over, loop)
        done: asyncio.Future[Appended] = loop.create_future()
        self._waiting.append((make, done))
        return await done

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        appended: Sequence[Future[Appended]] = ()
        began = time.monotonic()

        def heard() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(answer)

        def answer() -> None:
            seconds = time.monotonic() - began
            for (_, done), found in zip(waiting, appended, strict=True):
                self._metrics.commit_seconds.observe(seconds)
                _pass_on(found, done)

        try:
            appended = self._store.append_made([make for make, _ in waiting], heard)
        except StoreError as error:
            for _, done in waiting:
                if not done.done():
                    done.set_exception(error)


def _pass_on(found: Future[Appended], done: asyncio.Future[Appended]) -> None:
    if done.done():  # nobody waits any more
        return
    error = found.exception()
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(found.result())
