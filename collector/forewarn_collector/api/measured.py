"""How long requests take, by route and answer, for our own metrics."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from forewarn_collector.metrics import Metrics


def measured(metrics: Metrics) -> Middleware:
    """Measures every request by its route, so that no path from outside becomes a label."""

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        code = 500
        try:
            response = await handler(request)
            code = response.status
            return response
        except web.HTTPException as error:
            code = error.status
            raise
        finally:
            resource = request.match_info.route.resource
            path = resource.canonical if resource is not None else "none"
            seconds = time.perf_counter() - began
            metrics.requests.labels(path, str(code)).observe(seconds)

    return measure
