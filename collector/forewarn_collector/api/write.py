"""Where signals arrive: remote write for samples, OTLP logs for events; 2xx means durable."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from aiohttp import web

from forewarn_collector.api.admission import Admission
from forewarn_collector.api.auth import CALLER
from forewarn_collector.api.remote_write import accepted_version, written
from forewarn_collector.ingest import (
    Kind,
    Limits,
    MetadataTable,
    Rejected,
    TooLargeError,
    Version,
    WriteDecoder,
    decode_logs,
    encode_logs_response,
    show,
)
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.metrics import Metrics
from forewarn_collector.store import Store, StoreError
from forewarn_wire import Labels, WireError
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)

_SHOWN = 5
_READ_SECONDS = 60.0
_RETRY_AFTER = {"Retry-After": "5"}

T = TypeVar("T")

_Handler = Callable[[web.Request], Awaitable[web.Response]]


class WriteApi:
    """The two write paths. A body with some bad series keeps the good ones and answers 400."""

    def __init__(
        self,
        store: Store,
        agents: AgentWatch,
        metadata: MetadataTable,
        limits: Limits,
        admission: Admission,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._store = store
        self._agents = agents
        self._metadata = metadata
        self._limits = limits
        self._admission = admission
        self._metrics = metrics
        self._clock = clock
        self._decoder = WriteDecoder(limits)
        # Threads of their own: what is dear to decode must not hold up other parts.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="decode")

    def close(self) -> None:
        """Take no further request."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _decode(self, decode: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, decode)

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/api/v1/write", self._answering("remote_write", self._write_samples)),
            web.post("/v1/logs", self._answering("otlp_logs", self._write_events)),
        ]

    def _answering(self, kind: str, write: _Handler) -> _Handler:
        async def handler(request: web.Request) -> web.Response:
            response = self._admission.enter(request)
            if response is not None:
                self._metrics.writes.labels(kind, "429").inc()
                return response
            try:
                response = await write(request)
            except TooLargeError as error:
                response = web.Response(status=413, text=f"{error}\n")
            except web.HTTPRequestEntityTooLarge:
                text = f"the body is over the limit of {self._limits.max_body} bytes\n"
                response = web.Response(status=413, text=text)
            except WireError as error:
                response = web.Response(status=400, text=f"{error}\n")
            except StoreError as error:
                log.error("cannot store %s: %s", kind, error)
                response = web.Response(status=503, text=f"{error}\n", headers=_RETRY_AFTER)
            finally:
                self._admission.leave(request)
            # Who sends too fast does so again and again: the metrics count that.
            if response.status >= 400 and response.status != 429:
                log.warning(
                    "refused %s from %s (%s): %d %s",
                    kind,
                    request[CALLER].name,
                    request.remote,
                    response.status,
                    (response.text or "").strip(),
                )
            self._metrics.writes.labels(kind, str(response.status)).inc()
            return response

        return handler

    async def _write_samples(self, request: web.Request) -> web.Response:
        version = accepted_version(request.headers)
        if isinstance(version, str):
            return web.Response(status=415, text=version)
        body = await _body(request)
        extra = _extra(request)
        # What is known by its skeleton is decoded before a thread for it would have woken up.
        decoded = self._decoder.decode_known(body, extra, version)
        if decoded is None:
            decoded = await self._decode(partial(self._decoder.decode, body, extra, version))
        if decoded.metadata:
            self._metadata.update(decoded.metadata)
        samples = len(decoded.batch.times)
        rejected = decoded.rejected
        if samples:
            late = self._admission.too_fast(request, samples)
            if late is not None:
                return late
            batch = self._agents.observe(decoded.batch, self._clock())
            self._admission.storing(request)
            appended = await asyncio.wrap_future(self._store.append(batch))
            self._metrics.samples.inc(appended.added)
            self._metrics.duplicates.inc(appended.duplicates)
            if appended.refused:
                self._metrics.limited.labels("series", request[CALLER].customer).inc()
                rejected = [*rejected, *_over_limit(appended.refused)]
                samples -= len(batch.times) - appended.added - appended.duplicates
        if decoded.exemplars:
            self._metrics.exemplars.inc(decoded.exemplars)
        headers = written(samples) if version is Version.TWO else None
        if not rejected:
            return web.Response(status=204, headers=headers)
        self._count(rejected)
        text = f"{len(rejected)} refused, the rest is kept:\n{_shown(rejected)}\n"
        return web.Response(status=400, text=text, headers=headers)

    async def _write_events(self, request: web.Request) -> web.Response:
        body = await _body(request)
        content_type = request.headers.get("Content-Type", "")
        decoded = await self._decode(
            partial(
                decode_logs,
                body,
                content_type,
                request.headers.get("Content-Encoding", ""),
                limits=self._limits,
                extra=_extra(request),
            )
        )
        if decoded.events:
            self._admission.storing(request)
            appended = await asyncio.wrap_future(self._store.append_events(decoded.events))
            self._metrics.events.inc(appended.added)
        if decoded.rejected:
            self._count(decoded.rejected)
            log.warning("refused some events:\n%s", _shown(decoded.rejected))
        answer = encode_logs_response(content_type, decoded.rejected)
        return web.Response(body=answer, headers={"Content-Type": content_type})

    def _count(self, rejected: Sequence[Rejected]) -> None:
        for kind, count in Counter(item.kind.value for item in rejected).items():
            self._metrics.rejected.labels(kind).inc(count)


async def _body(request: web.Request) -> bytes:
    """The request's body, which must not take for ever to come."""
    if request.content.is_eof():
        return await request.read()
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await request.read()
    except TimeoutError:
        text = f"the body did not come within {_READ_SECONDS:.0f} s\n"
        raise web.HTTPRequestTimeout(text=text) from None


def _over_limit(refused: Sequence[tuple[Labels, str]]) -> list[Rejected]:
    return [Rejected(Kind.SERIES_LIMIT, show(labels), reason) for labels, reason in refused]


def _shown(rejected: Sequence[Rejected]) -> str:
    lines = [f"{item.subject}: {item.reason}" for item in rejected[:_SHOWN]]
    if len(rejected) > _SHOWN:
        lines.append(f"... and {len(rejected) - _SHOWN} more")
    return "\n".join(lines)


def _extra(request: web.Request) -> Labels:
    customer = request[CALLER].customer
    return (("customer", customer),) if customer else ()
