"""OTLP over HTTP: logs become events, metrics become samples; 200 means durable.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp. What is refused alone is counted in
`partial_success`, with a reason; senders try again on 429 and 503 and on nothing else given here.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial

from aiohttp import web

from forewarn_collector.api.callers import CALLER
from forewarn_collector.api.receiving import Handler, Receiving, body_of, extra_labels, shown
from forewarn_collector.config_otlp import OtlpSettings
from forewarn_collector.ingest import (
    DecodedMetrics,
    MetadataTable,
    MetricsDecoder,
    Rejected,
    Span,
    decode_logs,
    encode_error,
    encode_logs_response,
    encode_metrics_response,
    media_type,
)
from forewarn_collector.ingest.agents import INTERVAL_METRIC, AgentWatch
from forewarn_collector.store import Appended, Store
from forewarn_wire.clock import Clock

log = logging.getLogger(__name__)


class OtlpApi:
    """The two paths of OTLP. A request with some bad parts keeps the good ones."""

    def __init__(
        self,
        store: Store,
        agents: AgentWatch,
        metadata: MetadataTable,
        receiving: Receiving,
        settings: OtlpSettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._agents = agents
        self._metadata = metadata
        self._receiving = receiving
        self._clock = clock
        self._decoder = MetricsDecoder(receiving.limits, settings)

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        answering = self._receiving.answering
        return [
            web.post("/v1/logs", _in_otlp(answering("otlp_logs", self._write_logs))),
            web.post("/v1/metrics", _in_otlp(answering("otlp_metrics", self._write_metrics))),
        ]

    async def _write_logs(self, request: web.Request) -> web.Response:
        late = self._receiving.admission.too_fast(request)
        if late is not None:
            return late
        body = await body_of(request)
        content_type = request.headers.get("Content-Type", "")
        decoded = await self._receiving.decode(
            partial(
                decode_logs,
                body,
                content_type,
                request.headers.get("Content-Encoding", ""),
                limits=self._receiving.limits,
                extra=extra_labels(request),
            )
        )
        self._receiving.admission.spend(request, len(decoded.events))
        events, out = self._span().events(decoded.events)
        rejected = [*decoded.rejected, *out]
        too_old = 0
        if events:
            self._receiving.admission.storing(request)
            appended = await asyncio.wrap_future(self._store.append_events(events))
            too_old = appended.late
            self._receiving.metrics.events.inc(appended.added)
            if appended.overflow:
                self._receiving.events_over_limit(request, appended.overflow)
        if rejected:
            self._receiving.count(rejected)
            log.warning("refused some events:\n%s", shown(rejected))
        answer = encode_logs_response(content_type, rejected, too_old)
        return _answer(answer, content_type)

    async def _write_metrics(self, request: web.Request) -> web.Response:
        late = self._receiving.admission.too_fast(request)
        if late is not None:
            return late
        body = await body_of(request)
        content_type = request.headers.get("Content-Type", "")
        decoded = await self._receiving.decode(
            partial(
                self._decoder.decode,
                body,
                content_type,
                request.headers.get("Content-Encoding", ""),
                extra_labels(request),
            )
        )
        decoded = _within(decoded, self._span())
        samples = len(decoded.batch.times) + len(decoded.increases.starts)
        self._receiving.admission.spend(request, samples)
        self._metadata.update(decoded.metadata, request[CALLER].customer)
        refused, over = await self._append(request, decoded)
        rejected = [*decoded.rejected, *refused]
        if decoded.exemplars:
            self._receiving.metrics.exemplars.inc(decoded.exemplars)
        if rejected:
            self._receiving.count(rejected)
            log.warning("refused some points:\n%s", shown(rejected))
        points = decoded.refused_points + over
        return _answer(encode_metrics_response(content_type, rejected, points), content_type)

    def _span(self) -> Span:
        return Span(self._store.cutoff, self._store.latest_taken)

    async def _append(
        self, request: web.Request, decoded: DecodedMetrics
    ) -> tuple[list[Rejected], int]:
        """Store what was decoded; the new series that are over a limit, and their samples."""
        waiting = []
        sizes = 0
        if len(decoded.batch.times):
            batch = decoded.batch
            if INTERVAL_METRIC in decoded.metadata:
                # An agent whose samples an OpenTelemetry Collector passes on.
                batch = self._agents.observe(batch, self._clock())
            waiting.append(self._store.append(batch))
            sizes += len(batch.times)
        if len(decoded.increases.starts):
            waiting.append(self._store.append_increases(decoded.increases))
            sizes += len(decoded.increases.starts)
        if not waiting:
            return [], 0
        self._receiving.admission.storing(request)
        answers: list[Appended] = await asyncio.gather(*map(asyncio.wrap_future, waiting))
        added = sum(answer.added for answer in answers)
        duplicates = sum(answer.duplicates for answer in answers)
        self._receiving.metrics.samples.inc(added)
        self._receiving.metrics.duplicates.inc(duplicates)
        over = [item for answer in answers for item in answer.refused]
        return self._receiving.over_limit(request, over), sizes - added - duplicates


def _in_otlp(handler: Handler) -> Handler:
    """The handler, with its errors in the words of OTLP."""

    async def handle(request: web.Request) -> web.Response:
        response = await handler(request)
        if response.status < 400:
            return response
        kind = request.headers.get("Content-Type", "")
        body, content_type = encode_error((response.text or "").strip(), kind)
        headers = {"Content-Type": content_type}
        if "Retry-After" in response.headers:
            headers["Retry-After"] = response.headers["Retry-After"]
        return web.Response(status=response.status, body=body, headers=headers)

    return handle


def _within(decoded: DecodedMetrics, span: Span) -> DecodedMetrics:
    """What was decoded and has a time that can be right; the rest is among what is refused."""
    batch, out = span.batch(decoded.batch)
    increases, more = span.increases(decoded.increases)
    if not out and not more:
        return decoded
    kept = len(batch.times) + len(increases.starts)
    points = len(decoded.batch.times) + len(decoded.increases.starts) - kept
    return replace(
        decoded,
        batch=batch,
        increases=increases,
        rejected=[*decoded.rejected, *out, *more],
        refused_points=decoded.refused_points + points,
    )


def _answer(body: bytes, content_type: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": media_type(content_type)})
