"""An operation of our own API: its route, what it reads, what it answers, all said once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from forewarn_collector.api.callers import CALLER
from forewarn_collector.api.envelope import json_response
from forewarn_collector.api.fields import (
    Field,
    FieldError,
    Text,
    Values,
    read_body,
    read_named,
    read_query,
)
from forewarn_collector.silencing import NoSuchSilenceError, SilenceError
from forewarn_collector.tasks import (
    ChangedError,
    KeyReusedError,
    LedgerError,
    NoSuchTaskError,
    Once,
    RefusedError,
    RepeatedError,
    UnfitError,
)
from forewarn_collector.tasks.delivery_log import NotDeadError

KEY = Field(
    "Idempotency-Key",
    "Carried out once, whatever is sent again with the same key within 24 hours.",
    Text(200, shortest=1, pattern=r"[\x21-\x7e]+"),
)
WHO = Field("who", "Who does it; the token's name if nobody is named.", Text(200), "")

JSON = "application/json"
EVENTS = "text/event-stream"
SVG = "image/svg+xml"


class MissingError(Exception):
    """There is nothing of that name, or nothing that the caller may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    `handle` gets the request and the values of all fields by their names. `answer` names the
    schema of what it answers, in `media`, or says what a text is that is not JSON; `errors` are the
    statuses of what may go wrong beside 400, 401, 403, 413 and 503. `body` is None where nothing is
    sent.
    """

    method: str
    path: str
    name: str
    about: str
    handle: Callable[[web.Request, Values], Awaitable[web.StreamResponse]]
    answer: str
    query: tuple[Field, ...] = ()
    in_path: tuple[Field, ...] = ()
    headers: tuple[Field, ...] = ()
    body: tuple[Field, ...] | None = None
    errors: tuple[int, ...] = ()
    media: str = JSON
    answer_headers: tuple[str, ...] = ()


def routes_of(operations: Sequence[Operation]) -> list[web.RouteDef]:
    """The routes of operations."""
    return [
        web.get(each.path, _answering(each))
        if each.method == "GET"
        else web.route(each.method, each.path, _answering(each))
        for each in operations
    ]


async def once_of(request: web.Request, values: Values) -> Once | None:
    """The request as one that is carried out once, if it has a key."""
    key = values[KEY.name]
    if key is None:
        return None
    return Once(request[CALLER].name, key, request.path, await request.read())


def error_response(message: str, status: int) -> web.Response:
    """What went wrong, as every operation answers it."""
    return json_response({"error": message}, status)


_STATUSES: Mapping[type[Exception], int] = {
    FieldError: 400,
    SilenceError: 400,
    UnfitError: 400,
    NoSuchTaskError: 404,
    NoSuchSilenceError: 404,
    MissingError: 404,
    RefusedError: 409,
    NotDeadError: 409,
    ChangedError: 412,
    KeyReusedError: 422,
    LedgerError: 503,
}


def _answering(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await operation.handle(request, await _values(operation, request))
        except RepeatedError as error:
            response = json_response(error.answer)
            response.headers["Idempotency-Replayed"] = "true"
            return response
        except tuple(_STATUSES) as error:
            return error_response(_text(error), _status(error))

    return answer


def _status(error: Exception) -> int:
    # The nearest: one error may be a kind of another.
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)


def _text(error: Exception) -> str:
    if isinstance(error, NoSuchSilenceError):
        return "there is no such silence, or it expired long ago"
    return str(error)


async def _values(operation: Operation, request: web.Request) -> dict[str, Any]:
    try:
        found = dict(read_named(operation.in_path, request.match_info))
    except FieldError as error:
        raise MissingError(f"there is no {request.path}: {error}") from error
    found |= read_named(operation.headers, request.headers)
    found |= read_query(operation.query, request.query)
    if operation.body is not None:
        # A form is refused: a page of another site can send one unasked.
        if request.content_type != JSON:
            raise FieldError(f"send JSON, with Content-Type: {JSON}")
        found |= read_body(operation.body, await request.read())
    return found
