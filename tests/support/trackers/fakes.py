"""What fake trackers have in common: a queue before one of them, and how strictly they read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from forewarn_collector.queues import TicketQueue
from support.trackers.faults import Faults, faults_before, serving
from support.trackers.stage import queue_from


@asynccontextmanager
async def queue_before(
    application: web.Application, section: Callable[[str], str], token: str
) -> AsyncIterator[tuple[TicketQueue, TicketQueue, Faults]]:
    """A queue that reaches a fake through faults, and the same with a short time-out.

    `section` is its configuration by the address; `env:TOKEN` in it is the token.
    """
    async with serving(application) as upstream, faults_before(lambda: upstream) as faults:
        text = section(faults.url)
        queue, hasty = (
            queue_from(f"{text}\ntimeout: {timeout}", {"TOKEN": token})
            for timeout in ("20s", "500ms")
        )
        try:
            yield queue, hasty, faults
        finally:
            await queue.close()
            await hasty.close()


async def sent_json(request: web.Request) -> Any:
    """The JSON of a request, None for a GET. Raises ValueError: databases take neither half
    characters nor zeros."""
    if request.method == "GET":
        return None
    text = (await request.read()).decode()
    document = json.loads(text)
    json.dumps(document, ensure_ascii=False).encode()
    if "\\u0000" in text:
        raise ValueError("a character that no database takes")
    return document
