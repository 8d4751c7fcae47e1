"""Keeps the series of tasks in the store: anew when one changes, and all of them every minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from forewarn_collector.store import Batch, StoreError
from forewarn_collector.tasks import LedgerError, TaskQueries
from forewarn_collector.tasks.task_series import MOST_TASKS, RECENT, series_of
from forewarn_wire import STALE_NAN, Labels
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 60.0
"""A query sees a series for five minutes after its last sample."""
_REST_SECONDS = 1.0
"""Between two looks at the ledger, however much happens to tasks."""
_RETRY_SECONDS = 10.0


class TaskShow:
    """Writes what changed since its last look, and ends what is not shown any more."""

    def __init__(
        self,
        queries: TaskQueries,
        append: Callable[[Batch], Future[Any]],
        external_url: str,
        clock: Clock,
    ) -> None:
        self._queries = queries
        self._append = append
        self._external_url = external_url
        self._clock = clock
        self._shown: dict[Labels, float] = {}
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self) -> None:
        """Say that a task has changed; from any thread, never blocks."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:
            # The loop has ended.
            return

    async def run(self) -> None:
        """Run until cancelled; what fails is logged and tried again at the next turn."""
        self._loop = asyncio.get_running_loop()
        whole_at = 0.0
        while True:
            self._changed.clear()
            whole = self._loop.time() >= whole_at
            if whole:
                whole_at = self._loop.time() + _AGAIN_SECONDS
            try:
                await self.look(self._clock(), whole=whole)
            except (LedgerError, StoreError) as error:
                log.warning("the series of tasks are not stored, tried again soon: %s", error)
                whole_at = self._loop.time() + _RETRY_SECONDS
            await asyncio.sleep(_REST_SECONDS)
            try:
                async with asyncio.timeout_at(whole_at):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def look(self, now: int, *, whole: bool) -> None:
        """Store what is to be seen of tasks at `now` (ms): all of it, or what is not yet.

        Raises LedgerError and StoreError.
        """
        found = await asyncio.to_thread(self._queries.current, now - RECENT, MOST_TASKS)
        seen = series_of(found, self._external_url)
        known = self._shown
        news = {
            labels: value
            for labels, value in seen.items()
            if whole or labels not in known or known[labels] != value
        }
        news |= dict.fromkeys(known.keys() - seen.keys(), STALE_NAN)
        if news:
            # If this fails, it may be stored all the same: what is there is to be ended some day.
            self._shown = known | seen
            rows = np.arange(len(news), dtype=np.int64)
            values = np.array(list(news.values()), dtype=np.float64)
            batch = Batch(list(news), rows, np.full(len(news), now, dtype=np.int64), values)
            await asyncio.wrap_future(self._append(batch))
        self._shown = seen
