"""`/api/tasks`: list, look at and handle tasks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from forewarn_collector.api.auth import CALLER
from forewarn_collector.api.envelope import Handler, json_response
from forewarn_collector.tasks import (
    LedgerError,
    NoSuchTaskError,
    RefusedError,
    Task,
    TaskCommands,
    TaskFilter,
    TaskQueries,
    TaskState,
)
from forewarn_wire.clock import Clock

_DEFAULT_LIMIT = 100
_FILTERS = ("severity", "customer", "instance", "rule", "queue", "text")


class TasksApi:
    """Tasks as JSON; times are ms since epoch. Errors are `{"error": text}`."""

    def __init__(self, queries: TaskQueries, commands: TaskCommands, clock: Clock) -> None:
        self._queries = queries
        self._commands = commands
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/api/tasks", _answering(self._list)),
            web.get("/api/tasks/{number}", _answering(self._one)),
            web.post("/api/tasks/{number}/acknowledge", _answering(self._acknowledge)),
            web.post("/api/tasks/{number}/comment", _answering(self._comment)),
            web.post("/api/tasks/{number}/resolve", _answering(self._resolve)),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        wanted = TaskFilter(
            states=_states(query), **{name: query.get(name, "") for name in _FILTERS}
        )
        limit, offset = _count(query, "limit", _DEFAULT_LIMIT), _count(query, "offset", 0)
        page = await asyncio.to_thread(self._of(request).list, wanted, limit=limit, offset=offset)
        return json_response(
            {"tasks": [task.to_json() for task in page.tasks], "total": page.total}
        )

    async def _one(self, request: web.Request) -> web.Response:
        task = await asyncio.to_thread(self._of(request).one, request.match_info["number"])
        return json_response(task.to_json())

    async def _acknowledge(self, request: web.Request) -> web.Response:
        given = await _body(request)
        return await self._command(request, given, self._commands.acknowledge)

    async def _comment(self, request: web.Request) -> web.Response:
        given = await _body(request)
        text = _text(given, "text")
        return await self._command(
            request,
            given,
            lambda number, who, at: self._commands.comment(number, who, text, at),
        )

    async def _resolve(self, request: web.Request) -> web.Response:
        given = await _body(request)
        text = _text(given, "text")
        return await self._command(
            request,
            given,
            lambda number, who, at: self._commands.resolve(number, who, at, text),
        )

    async def _command(
        self,
        request: web.Request,
        given: dict[str, Any],
        command: Callable[[str, str, int], Task],
    ) -> web.Response:
        who = _text(given, "who") or request[CALLER].name
        number = request.match_info["number"]
        task = await asyncio.to_thread(command, number, who, self._clock())
        return json_response(task.to_json())


def _answering(handler: Handler) -> Handler:
    """The handler with its errors turned into answers."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except NoSuchTaskError as error:
            return json_response({"error": str(error)}, 404)
        except RefusedError as error:
            return json_response({"error": str(error)}, 409)
        except ValueError as error:
            return json_response({"error": str(error)}, 400)
        except LedgerError as error:
            return json_response({"error": str(error)}, 503)

    return answer


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON object sent. A form is refused: a page of another site can send one unasked."""
    if request.content_type != "application/json":
        raise ValueError("send JSON, with Content-Type: application/json")
    try:
        given = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ValueError('expected a JSON object such as {"who": "me", "text": "..."}')
    return given


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > 20_000:
        raise ValueError(f"{name} must be text")
    return value


def _states(query: MultiMapping[str]) -> tuple[TaskState, ...]:
    try:
        return tuple(TaskState(name) for name in query.getall("state", []) if name)
    except ValueError as error:
        known = ", ".join(state.value for state in TaskState)
        raise ValueError(f"state must be one of {known}") from error


def _count(query: MultiMapping[str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(f"{name} must be a whole number")
    return int(text)
