"""Answers made in threads: sent as they are made, ended by time-outs and by clients that leave."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from forewarn_collector.api.envelope import enveloped
from forewarn_collector.api.refusals import refusals
from forewarn_collector.api.threads import AnswerThreads, Pieces
from forewarn_collector.promql import Deadline, EvalError
from forewarn_collector.store.errors import TooManySamplesError


class Server:
    """A server whose only path `/api/v1/x` answers with what `pieces` gives."""

    def __init__(self) -> None:
        self.url = ""
        self.threads = AnswerThreads("test", 1)
        self.pieces: Pieces = lambda deadline: iter([b"{}"])
        self.allowed: int | None = None
        application = web.Application(middlewares=[refusals])
        application.router.add_get("/api/v1/x", enveloped(self._answer))
        self.runner = web.AppRunner(application)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        return await self.threads.answer(request, self.pieces, self.allowed)

    async def start(self) -> None:
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}/api/v1"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    await found.start()
    yield found
    await found.runner.cleanup()
    found.threads.close()


@pytest_asyncio.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


PLAIN = {"Accept-Encoding": "identity"}


async def test_a_long_answer_arrives_whole(server: Server, client: aiohttp.ClientSession) -> None:
    parts = [bytes([65 + number % 26]) * 100_000 for number in range(40)]
    server.pieces = lambda deadline: iter(parts)
    async with client.get(f"{server.url}/x", headers=PLAIN) as answer:
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert await answer.read() == b"".join(parts)
    async with client.get(f"{server.url}/x", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await answer.read()) == b"".join(parts)


async def test_a_short_answer_is_not_compressed(
    server: Server, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{server.url}/x", headers={"Accept-Encoding": "gzip"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.read() == b"{}"


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (EvalError("no"), 422, "execution"),
        (TooManySamplesError("too many samples"), 422, "execution"),
        (MemoryError(), 422, "execution"),
        (RuntimeError("a fault"), 500, "internal"),
    ],
)
async def test_what_fails_is_told_in_the_envelope(
    server: Server, client: aiohttp.ClientSession, error: Exception, status: int, kind: str
) -> None:
    def failing(deadline: Deadline) -> Iterator[bytes]:
        raise error

    server.pieces = failing
    async with client.get(f"{server.url}/x") as answer:
        body = await answer.json()
    assert (answer.status, body["status"], body["errorType"]) == (status, "error", kind)


async def test_work_ends_at_its_deadline(server: Server, client: aiohttp.ClientSession) -> None:
    def endless(deadline: Deadline) -> Iterator[bytes]:
        pause = threading.Event()
        while True:
            deadline.check()
            pause.wait(0.001)

    server.pieces, server.allowed = endless, 50
    async with client.get(f"{server.url}/x") as answer:
        body = await answer.json()
    assert (answer.status, body["errorType"]) == (503, "timeout")
    assert body["error"] == "query timed out in expression evaluation"


async def test_work_ends_when_its_client_has_gone(
    server: Server, client: aiohttp.ClientSession
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(deadline: Deadline) -> Iterator[bytes]:
        begun.set()
        try:
            while not ended.wait(0.001):
                deadline.check()
        finally:
            ended.set()
        yield b""

    server.pieces = endless
    with pytest.raises(TimeoutError):
        await client.get(f"{server.url}/x", timeout=aiohttp.ClientTimeout(total=0.3))
    assert begun.is_set()
    assert await asyncio.to_thread(ended.wait, 10)


async def test_an_answer_that_fails_on_its_way_breaks_off(
    server: Server, client: aiohttp.ClientSession
) -> None:
    def failing(deadline: Deadline) -> Iterator[bytes]:
        yield b"x" * 2_000_000
        raise EvalError("too late")

    server.pieces = failing
    with pytest.raises(aiohttp.ClientPayloadError):
        async with client.get(f"{server.url}/x", headers=PLAIN) as answer:
            await answer.read()


async def test_an_unknown_path_is_told_in_the_envelope(
    server: Server, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{server.url}/y") as answer:
        assert (answer.status, (await answer.json())["errorType"]) == (404, "not_found")
    async with client.post(f"{server.url}/x") as answer:
        assert answer.status == 405
