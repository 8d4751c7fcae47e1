"""The envelope of the Prometheus HTTP API: `{"status": "success", "data": ...}` or an error."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from forewarn_collector.api.answers import json_bytes

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.Response]]
AnyAnswer = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CODES = {
    "bad_data": 400,
    "not_found": 404,
    "execution": 422,
    "canceled": 499,  # nginx's code, which Prometheus took over: nobody is there to read it
    "internal": 500,
    "timeout": 503,
    "unavailable": 503,
}
_MIN_COMPRESSED = 1024


class ApiError(Exception):
    """A request that can't be answered; `kind` is Prometheus' errorType."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def success(data: Any, warnings: Sequence[str] = ()) -> web.Response:
    """The answer to a request that worked, where that is short."""
    body: dict[str, Any] = {"status": "success", "data": data}
    if warnings:
        body["warnings"] = list(warnings)
    return json_response(body)


def json_response(body: Any, status: int = 200) -> web.Response:
    """A JSON answer, compressed if the client takes it and it is worth it."""
    text = json_bytes(body)
    response = web.Response(body=text, status=status, content_type="application/json")
    if len(text) >= _MIN_COMPRESSED:
        response.enable_compression()
    return response


def enveloped(handler: AnyAnswer) -> AnyAnswer:
    """The handler with its ApiErrors, and faults of ours, turned into answers."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return failure(error.kind, str(error))
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            return failure("internal", f"{type(error).__name__}: {error}")

    return answer


def failure(kind: str, message: str) -> web.Response:
    """What went wrong, of one of the kinds that Prometheus knows."""
    body = {"status": "error", "errorType": kind, "error": message}
    return json_response(body, _CODES[kind])
