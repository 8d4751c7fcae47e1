"""`/metrics`, `/-/healthy`, `/-/ready`: about the collector itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from forewarn_collector.metrics import Metrics


class HealthApi:
    """`ready` returns the empty string, or why the collector can't do its work now."""

    def __init__(self, metrics: Metrics, ready: Callable[[], str]) -> None:
        self._metrics = metrics
        self._ready_reason = ready

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/metrics", self._metrics_text),
            web.get("/-/healthy", self._healthy),
            web.get("/-/ready", self._ready),
        ]

    async def _metrics_text(self, request: web.Request) -> web.Response:
        text = await asyncio.to_thread(generate_latest, self._metrics.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="Forewarn is healthy.\n")

    async def _ready(self, request: web.Request) -> web.Response:
        reason = self._ready_reason()
        if reason:
            return web.Response(status=503, text=f"Forewarn is not ready: {reason}\n")
        return web.Response(text="Forewarn is ready.\n")
