"""What can go wrong between us and a tracker, in front of a fake or a real one: a proxy over HTTP.

Every request goes through `Faults`; those that a fault is planned for are answered by it, before or
after the tracker has had them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import Enum

import aiohttp
from aiohttp import web

_HOP = frozenset({"transfer-encoding", "connection", "keep-alive", "content-length", "date"})
_PASSED = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class When(Enum):
    """Whether the tracker had the request before the fault."""

    BEFORE = "before the commit"
    AFTER = "after the commit"


@dataclass(frozen=True)
class Fault:
    """One answer that goes wrong. `status` 0 drops the connection; `hang` gives no answer at all.

    `methods` are the requests that it is for; `path` must be in theirs. A planned one lets the
    first `skip` of them pass.
    """

    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    when: When = When.BEFORE
    hang: bool = False
    methods: frozenset[str] = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
    path: str = ""
    skip: int = 0


WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
READS = frozenset({"GET"})


@dataclass
class Faults:
    """`plan` faults, each for the next request that it fits, in order; `always` for all."""

    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    garble: Callable[[bytes], bytes] | None = None
    """What happens to the body of every answer of the tracker on its way."""
    _planned: list[Fault] = field(default_factory=list)
    _always: Fault | None = None

    def plan(self, *faults: Fault) -> None:
        """Have the next fitting requests go wrong."""
        self._planned += faults

    def always(self, fault: Fault | None) -> None:
        """Have every fitting request go wrong, until told otherwise (None)."""
        self._always = fault

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._planned, self._always = [], None

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that a request meets."""
        for number, fault in enumerate(self._planned):
            if method in fault.methods and fault.path in path:
                if fault.skip:
                    self._planned[number] = replace(fault, skip=fault.skip - 1)
                    break
                del self._planned[number]
                return fault
        always = self._always
        if always is not None and method in always.methods and always.path in path:
            return always
        return None


@asynccontextmanager
async def faults_before(upstream: Callable[[], str]) -> AsyncIterator[Faults]:
    """A proxy at `Faults.url` before the tracker at `upstream()` (`http://127.0.0.1:PORT`)."""
    faults = Faults()
    async with aiohttp.ClientSession(
        auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def forward(request: web.Request) -> web.Response:
            headers = {n: v for n, v in request.headers.items() if n.lower() not in _PASSED}
            async with session.request(
                request.method,
                upstream() + request.raw_path,
                data=await request.read(),
                headers=headers,
                allow_redirects=False,
            ) as answer:
                kept = {n: v for n, v in answer.headers.items() if n.lower() not in _HOP}
                body = await answer.read()
                body = body if faults.garble is None else faults.garble(body)
                return web.Response(status=answer.status, body=body, headers=kept)

        async def handle(request: web.Request) -> web.StreamResponse:
            faults.requests.append((request.method, request.raw_path))
            fault = faults.take(request.method, request.raw_path)
            if fault is None:
                return await forward(request)
            if fault.when is When.AFTER:
                await forward(request)
            if fault.hang:
                await asyncio.Event().wait()
            if fault.status == 0:
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=fault.status or 500, body=fault.body, headers=fault.headers)

        application = web.Application(client_max_size=64 << 20)
        application.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        faults.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield faults
        finally:
            await runner.cleanup()


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    """A fake tracker on a loopback port; its address."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
