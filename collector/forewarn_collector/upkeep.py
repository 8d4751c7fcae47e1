"""What the collector does by the clock: silent agents, its own samples, retention, rule files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from forewarn_collector.ingest import MetadataTable
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.ingest.own import own_metrics
from forewarn_collector.metrics import Metrics
from forewarn_collector.store import Batch, Store, StoreError
from forewarn_wire import Labels
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_TENDING_SECONDS = 0.25
"""The most of each second for the upkeep of events: enough to drop as many as can come in."""
OWN_INTERVAL = 15_000
RETENTION_INTERVAL = 60_000


class Upkeep:
    """One task that wakes every second; what fails is logged and tried again at its next turn."""

    def __init__(
        self,
        store: Store,
        agents: AgentWatch,
        metrics: Metrics,
        metadata: MetadataTable,
        target: Labels,
        clock: Clock,
        look_at_files: Callable[[], None],
    ) -> None:
        self._store = store
        self._agents = agents
        self._metrics = metrics
        self._metadata = metadata
        self._target = target
        self._clock = clock
        self._look_at_files = look_at_files
        self._own: Sequence[Labels] = ()
        self._next_own = 0
        self._next_tending = 0
        self._next_retention = clock() + RETENTION_INTERVAL

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                await self.tick(self._clock())
            except StoreError as error:
                log.error("cannot write the collector's own samples: %s", error)
            except Exception:
                log.exception("upkeep failed; it goes on at its next turn")

    async def tick(self, now: int) -> None:
        """Do what is due at `now` (ms)."""
        await asyncio.to_thread(self._look_at_files)
        silent = self._agents.overdue(now)
        if silent is not None:
            await self._append(silent)
        if now >= self._next_own or self._next_own > now + OWN_INTERVAL:
            self._next_own = now + OWN_INTERVAL
            await asyncio.to_thread(self._store.sample_counters, now)
            own = await asyncio.to_thread(
                own_metrics, self._metrics.registry, self._target, now, self._own
            )
            self._own = own.series
            self._metadata.update(own.metadata)
            await self._append(own.batch)
        if now >= self._next_retention:
            self._next_retention = now + RETENTION_INTERVAL
            self._agents.forget(self._store.cutoff)
        if now >= self._next_tending or self._next_tending > now + RETENTION_INTERVAL:
            await self._tend_events(now)

    async def _tend_events(self, now: int) -> None:
        try:
            await asyncio.to_thread(self._store.event_store.tend, _TENDING_SECONDS)
        except StoreError as error:
            self._next_tending = now + RETENTION_INTERVAL
            log.error("cannot drop or index events; it is tried again in a minute: %s", error)

    async def _append(self, batch: Batch) -> None:
        await asyncio.wrap_future(self._store.append(batch, own=True))
