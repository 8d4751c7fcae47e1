"""What is refused before any handler is asked, in the form of the API that was asked."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from forewarn_collector.api.envelope import failure
from forewarn_collector.api.operations import error_response

_PROMETHEUS = "/api/v1/"
_OTHERS = (_PROMETHEUS, "/api/v2/")
_KEPT = ("Allow", "WWW-Authenticate")


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers 401, 403, 404, 405 and 413 of our own API as its operations answer errors.

    Below /api/v1/ what no route takes comes in Prometheus' envelope; all else is text there, as
    it is from Prometheus, and below /api/v2/.
    """
    try:
        return await handler(request)
    except web.HTTPError as error:
        if isinstance(error, web.HTTPNotFound) and request.path.startswith(_PROMETHEUS):
            return failure("not_found", f"there is no {request.path} here")
        if not request.path.startswith("/api/") or request.path.startswith(_OTHERS):
            raise
        response = error_response(_said(request, error), error.status)
        for name in _KEPT:
            if name in error.headers:
                response.headers[name] = error.headers[name]
        return response


def _said(request: web.Request, error: web.HTTPError) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = " or ".join(sorted(error.allowed_methods))
        return f"{request.path} takes {allowed}, not {request.method}"
    if isinstance(error, web.HTTPNotFound):
        return f"there is no {request.path} here"
    return (error.text or error.reason).strip()
