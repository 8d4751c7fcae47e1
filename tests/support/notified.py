"""A server that takes alerts as an Alertmanager does, and records them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Notified:
    """Takes alerts at `url`, 200 to all unless `answer` says another."""

    url: str = ""
    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Answer | None = None
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """All alerts so far, in order."""
        return [alert for batch in self.batches for alert in batch]

    def answers(self, status: int, text: str = "", **headers: str) -> None:
        """Answer every request so from now on."""

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, text=text, headers=headers)

        self.answer = answer

    def hangs(self) -> None:
        """Answer no request from now on, until `released`."""

        async def answer(_: web.Request) -> web.StreamResponse:
            await self.released.wait()
            return web.Response()

        self.answer = answer

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition on what has arrived holds."""
        async with asyncio.timeout(10):
            while not condition():
                self.arrived.clear()
                await self.arrived.wait()


@asynccontextmanager
async def notified(tls: ssl.SSLContext | None = None) -> AsyncIterator[Notified]:
    """One on a loopback port, under the path prefix /am."""
    found = Notified()

    async def take(request: web.Request) -> web.StreamResponse:
        found.headers.append(dict(request.headers))
        found.batches.append(json.loads(await request.read()))
        found.arrived.set()
        return await found.answer(request) if found.answer else web.Response()

    application = web.Application()
    application.router.add_post("/am/api/v2/alerts", take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    scheme = "https" if tls else "http"
    found.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/am"
    try:
        yield found
    finally:
        await runner.cleanup()
