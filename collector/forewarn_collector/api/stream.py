"""`/api/tasks/stream`: what happens to tasks, as server-sent events.

Source: the HTML standard, "Server-sent events". An event's id is its place in the ledger, so that
whoever comes back with `Last-Event-ID` misses nothing. Each client reads the ledger at its own
pace: nothing waits in memory for one that is slow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from aiohttp import web

from forewarn_collector.api.answers import json_bytes
from forewarn_collector.api.fields import Field, Values, Whole
from forewarn_collector.api.narrowing import customer_of
from forewarn_collector.api.operations import EVENTS, Operation, error_response
from forewarn_collector.tasks import LedgerError
from forewarn_collector.tasks.changes import Happening, Happenings

log = logging.getLogger(__name__)

MOST_CLIENTS = 64
HEARTBEAT = 15.0
"""Seconds after which a client that has heard nothing hears that the connection stands."""
_LOOK = 1.0
"""Seconds between looks for what other collectors wrote to the ledger, and for clients gone."""
_AT_ONCE = 200
_RETRY = b"retry: 2000\n"


class TaskStream:
    """The streams of all clients; `run` looks for news, `notify` makes it look now."""

    def __init__(self, happenings: Happenings, opened: Callable[[int], None]) -> None:
        """`opened` is told how many clients there are."""
        self._happenings = happenings
        self._opened = opened
        self._clients = 0
        self._last = 0
        self._ended = False
        self._news = asyncio.Event()
        self._look = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def operations(self) -> Sequence[Operation]:
        """What it serves."""
        return (
            Operation(
                method="GET",
                path="/api/tasks/stream",
                name="streamTasks",
                about="Follow what happens to tasks, as server-sent events.",
                handle=self._stream,
                answer="Happening",
                headers=(
                    Field(
                        "Last-Event-ID",
                        "Go on behind this event. Without it, with what happens from now on.",
                        Whole(0, (1 << 53)),
                    ),
                ),
                media=EVENTS,
            ),
        )

    def notify(self) -> None:
        """Say that tasks have changed. From any thread, at any time; never blocks."""
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._look.set)
            except RuntimeError:
                # The loop has ended, and every stream with it.
                return

    async def run(self) -> None:
        """Wake the clients whenever there is news, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            try:
                await asyncio.wait_for(self._look.wait(), _LOOK)
            except TimeoutError:
                if not self._clients:
                    continue
            self._look.clear()
            try:
                last = await asyncio.to_thread(self._happenings.last)
            except LedgerError as error:
                log.warning("streams of tasks wait for the ledger: %s", error)
                continue
            if last != self._last:
                self._last = last
                self._wake()

    async def end(self, _: web.Application) -> None:
        """End every stream: clients come back to the next collector."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _stream(self, request: web.Request, values: Values) -> web.StreamResponse:
        if self._clients >= MOST_CLIENTS:
            response = error_response(f"{MOST_CLIENTS} clients follow the tasks already", 503)
            response.headers["Retry-After"] = "30"
            return response
        self._clients += 1
        self._opened(self._clients)
        try:
            return await self._follow(request, values["Last-Event-ID"])
        finally:
            self._clients -= 1
            self._opened(self._clients)

    async def _follow(self, request: web.Request, since: int | None) -> web.StreamResponse:
        place = since if since is not None else await asyncio.to_thread(self._happenings.last)
        response = web.StreamResponse(
            headers={
                "Content-Type": EVENTS,
                "Cache-Control": "no-store",
                # A proxy that gathers an answer before it passes it on would stop the stream.
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        # The place at once, so that who is cut off before the first event can come back.
        await response.write(b"%sid: %d\n\n" % (_RETRY, place))
        while not self._ended:
            news = self._news
            try:
                found = await asyncio.to_thread(
                    self._happenings.after, place, _AT_ONCE, customer_of(request)
                )
            except LedgerError as error:
                log.warning("a stream of tasks breaks off: %s", error)
                break
            if found:
                await response.write(b"".join(map(_event, found)))
                place = found[-1].place
                continue
            if not await _heard(news, request):
                if request.transport is None:
                    return response
                await response.write(b": still here\n\n")
        await response.write_eof()
        return response


async def _heard(news: asyncio.Event, request: web.Request) -> bool:
    """Whether there is news before it is time for a heartbeat, or the client has gone."""
    for _ in range(round(HEARTBEAT / _LOOK)):
        try:
            await asyncio.wait_for(news.wait(), _LOOK)
        except TimeoutError:
            if request.transport is None:
                return False
        else:
            return True
    return False


def _event(happening: Happening) -> bytes:
    data = json_bytes(happening.to_json())
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        happening.place,
        happening.entry.kind.value.encode(),
        data,
    )
