"""Remote write: samples arrive; 2xx means durable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from aiohttp import web

from forewarn_collector.api.appending import Appender
from forewarn_collector.api.callers import CALLER
from forewarn_collector.api.receiving import Receiving, body_of, extra_labels, shown
from forewarn_collector.api.remote_write import accepted_version, written
from forewarn_collector.ingest import Decoded, MetadataTable, Span, Version, WriteDecoder
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.store import Batch, Store
from forewarn_wire import Labels
from forewarn_wire.clock import Clock

_NOTHING = Batch((), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64))


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
        self._appender = Appender(store, receiving.metrics)
        self._metadata = metadata
        self._receiving = receiving
        self._decoder = WriteDecoder(receiving.limits)
        self._span = lambda: Span(store.cutoff, store.latest_taken)
        self._observe = lambda batch: agents.observe(batch, clock())

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        handler = self._receiving.answering("remote_write", self._write_samples)
        return [web.post("/api/v1/write", handler)]

    async def _write_samples(self, request: web.Request) -> web.Response:
        receiving = self._receiving
        version = accepted_version(request.headers)
        if isinstance(version, str):
            return web.Response(status=415, text=version)
        late = receiving.admission.too_fast(request)
        if late is not None:
            return late
        body = _Body(
            await body_of(request),
            extra_labels(request),
            version,
            self._decoder,
            self._span,
            self._observe,
        )
        receiving.admission.storing(request)
        appended = await self._appender.append(body.known)
        if body.decoded is None:
            later = receiving.admission.parsing(request)
            if later is not None:
                return later
            await receiving.decode(body.decode)
            appended = await self._appender.append(body.batch)
        decoded = body.decoded
        assert decoded is not None, "it was decoded above"  # noqa: S101 - for the type checker
        samples = len(decoded.batch.times)
        rejected = decoded.rejected
        receiving.admission.spend(request, samples)
        receiving.metrics.samples.inc(appended.added)
        receiving.metrics.duplicates.inc(appended.duplicates)
        if decoded.metadata:
            self._metadata.update(decoded.metadata, request[CALLER].customer)
        if appended.refused:
            rejected = [*rejected, *receiving.over_limit(request, appended.refused)]
            samples -= body.samples - appended.added - appended.duplicates
        if decoded.exemplars:
            receiving.metrics.exemplars.inc(decoded.exemplars)
        headers = written(samples) if version is Version.TWO else None
        if not rejected:
            return web.Response(status=204, headers=headers)
        receiving.count(rejected)
        text = f"{len(rejected)} refused, the rest is kept:\n{shown(rejected)}\n"
        return web.Response(status=400, text=text, headers=headers)


@dataclass(slots=True)
class _Body:
    """A request's body, and what becomes of it on the threads that it is handed to."""

    body: bytes
    extra: Labels
    version: Version
    decoder: WriteDecoder
    span: Callable[[], Span]
    observe: Callable[[Batch], Batch]
    decoded: Decoded | None = None
    samples: int = 0

    def known(self) -> Batch:
        """Its batch if its skeleton is known, which is a matter of some hundred microseconds.

        Else nothing, and `decoded` is None.
        """
        self.decoded = self.decoder.decode_known(self.body, self.extra, self.version)
        return self.batch()

    def decode(self) -> None:
        """Decode it in any case."""
        self.decoded = self.decoder.decode(self.body, self.extra, self.version)

    def batch(self) -> Batch:
        """What was decoded and has a time that can be right, and what that says of agents."""
        if self.decoded is None:
            return _NOTHING
        batch, out = self.span().batch(self.decoded.batch)
        if out:
            rejected = [*self.decoded.rejected, *out]
            self.decoded = replace(self.decoded, batch=batch, rejected=rejected)
        if not len(batch.times):
            return _NOTHING
        batch = self.observe(batch)
        self.samples = len(batch.times)
        return batch
