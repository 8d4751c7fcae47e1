"""The envelope of the Prometheus HTTP API: `{"status": "success", "data": ...}` or an error."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web
from multidict import MultiDict, MultiMapping

Handler = Callable[[web.Request], Awaitable[web.Response]]

_CODES = {"bad_data": 400, "execution": 422, "not_found": 404, "timeout": 503, "unavailable": 503}
_MIN_COMPRESSED = 1024


class ApiError(Exception):
    """A request that can't be answered; `kind` is Prometheus' errorType."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def success(data: Any, warnings: Sequence[str] = ()) -> web.Response:
    """The answer to a request that worked."""
    body: dict[str, Any] = {"status": "success", "data": data}
    if warnings:
        body["warnings"] = list(warnings)
    return json_response(body)


def json_response(body: Any, status: int = 200) -> web.Response:
    """A JSON answer, compressed if the client takes it and it is worth it."""
    # Labels come from outside: an unpaired surrogate must not break the whole answer.
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    response = web.Response(
        body=text.encode("utf-8", "replace"), status=status, content_type="application/json"
    )
    if len(text) >= _MIN_COMPRESSED:
        response.enable_compression()
    return response


def enveloped(handler: Handler) -> Handler:
    """The handler with its ApiErrors turned into answers."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except ApiError as error:
            body = {"status": "error", "errorType": error.kind, "error": str(error)}
            return json_response(body, _CODES[error.kind])

    return answer


async def parameters(request: web.Request) -> MultiMapping[str]:
    """The parameters of a GET or of a form POST (whose address may bear some, too)."""
    if request.method != "POST":
        return request.query
    form = await request.post()
    merged = MultiDict(request.query)
    for name, value in form.items():
        if isinstance(value, str):
            merged.add(name, value)
    return merged
