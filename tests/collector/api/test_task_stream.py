"""The stream of what happens to tasks: how many may follow it, and that it is heard to stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.typedefs import Handler

from forewarn_collector.api.auth import CALLER, Caller
from forewarn_collector.api.operations import routes_of
from forewarn_collector.api.stream import MOST_CLIENTS, TaskStream
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks.changes import Happenings
from support.alerts import Desk, alert_of, change, rule_of

RULE = rule_of()


@web.middleware
async def anybody(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[CALLER] = Caller("t")
    return await handler(request)


@dataclass
class Served:
    """A ledger whose stream of tasks is at `url`."""

    desk: Desk
    stream: TaskStream
    url: str
    opened: list[int]

    async def fires(self, instance: str) -> None:
        alert = alert_of(RULE, {"instance": instance})
        await asyncio.to_thread(self.desk.apply, change(RULE, alert, AlertState.FIRING))
        self.stream.notify()


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    desk = Desk(tmp_path)
    opened: list[int] = []
    stream = TaskStream(Happenings(desk.ledger), opened.append)
    application = web.Application(middlewares=[anybody])
    application.add_routes(routes_of(stream.operations()))
    application.on_shutdown.append(stream.end)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    looking = asyncio.create_task(stream.run())
    yield Served(desk, stream, f"http://127.0.0.1:{runner.addresses[0][1]}", opened)
    await runner.cleanup()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    desk.close()


async def line_with(answer: aiohttp.ClientResponse, text: bytes) -> bytes:
    """The first line that has it."""
    async with asyncio.timeout(20):
        while True:
            line = await answer.content.readline()
            assert line, "the stream ended"
            if text in line:
                return line


async def test_as_many_as_are_promised_follow_and_one_more_is_told_to_come_back(
    served: Served,
) -> None:
    url = f"{served.url}/api/tasks/stream"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(session.get(url)) for _ in range(MOST_CLIENTS)]
        assert {each.status for each in clients} == {200}
        assert served.opened[-1] == MOST_CLIENTS == 64
        async with session.get(url) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
            assert (await refused.json())["error"] == "64 clients follow the tasks already"
        await served.fires("a")
        told = await asyncio.gather(*(line_with(each, b"data: ") for each in clients))
        assert len(set(told)) == 1
        assert b'"number":"FW-1"' in told[0]
        # One goes: there is room for another, as soon as that has been noticed.
        clients[0].close()
        async with asyncio.timeout(20):
            while True:
                async with session.get(url, headers={"Last-Event-ID": "0"}) as late:
                    if late.status == 200:
                        assert b"FW-1" in await line_with(late, b"data: ")
                        break
                await asyncio.sleep(0)


async def test_a_client_that_hears_of_nothing_hears_that_the_connection_stands(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two looks a heartbeat, as fast as can be, in place of fifteen of a second each.
    monkeypatch.setattr("forewarn_collector.api.stream._LOOK", 0.01)
    monkeypatch.setattr("forewarn_collector.api.stream.HEARTBEAT", 0.02)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{served.url}/api/tasks/stream") as answer,
    ):
        for _ in range(2):
            assert await line_with(answer, b"here") == b": still here\n"
        await served.fires("a")
        # A comment is no event: the first one is that of the task.
        assert await line_with(answer, b"id: ") == b"id: 1\n"
        assert b"FW-1" in await line_with(answer, b"data: ")
