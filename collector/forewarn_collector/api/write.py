"""Remote write: samples arrive; 2xx means durable."""

from __future__ import annotations

import asyncio
from functools import partial

from aiohttp import web

from forewarn_collector.api.auth import CALLER
from forewarn_collector.api.receiving import Receiving, body_of, extra_labels, shown
from forewarn_collector.api.remote_write import accepted_version, written
from forewarn_collector.ingest import MetadataTable, Version, WriteDecoder
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.store import Store
from forewarn_wire.clock import Clock


class WriteApi:
    """Remote write. A body with some bad series keeps the good ones and answers 400."""

    def __init__(
        self,
        store: Store,
        agents: AgentWatch,
        metadata: MetadataTable,
        receiving: Receiving,
        clock: Clock,
    ) -> None:
        self._store = store
        self._agents = agents
        self._metadata = metadata
        self._receiving = receiving
        self._clock = clock
        self._decoder = WriteDecoder(receiving.limits)

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        handler = self._receiving.answering("remote_write", self._write_samples)
        return [web.post("/api/v1/write", handler)]

    async def _write_samples(self, request: web.Request) -> web.Response:
        version = accepted_version(request.headers)
        if isinstance(version, str):
            return web.Response(status=415, text=version)
        body = await body_of(request)
        extra = extra_labels(request)
        # What is known by its skeleton is decoded before a thread for it would have woken up.
        decoded = self._decoder.decode_known(body, extra, version)
        if decoded is None:
            decoded = await self._receiving.decode(
                partial(self._decoder.decode, body, extra, version)
            )
        if decoded.metadata:
            self._metadata.update(decoded.metadata, request[CALLER].customer)
        samples = len(decoded.batch.times)
        rejected = decoded.rejected
        if samples:
            late = self._receiving.admission.too_fast(request, samples)
            if late is not None:
                return late
            batch = self._agents.observe(decoded.batch, self._clock())
            self._receiving.admission.storing(request)
            appended = await asyncio.wrap_future(self._store.append(batch))
            self._receiving.metrics.samples.inc(appended.added)
            self._receiving.metrics.duplicates.inc(appended.duplicates)
            if appended.refused:
                rejected = [*rejected, *self._receiving.over_limit(request, appended.refused)]
                samples -= len(batch.times) - appended.added - appended.duplicates
        if decoded.exemplars:
            self._receiving.metrics.exemplars.inc(decoded.exemplars)
        headers = written(samples) if version is Version.TWO else None
        if not rejected:
            return web.Response(status=204, headers=headers)
        self._receiving.count(rejected)
        text = f"{len(rejected)} refused, the rest is kept:\n{shown(rejected)}\n"
        return web.Response(status=400, text=text, headers=headers)
