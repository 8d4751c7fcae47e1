"""What all paths that take signals share: who is let in, where bodies are decoded, errors."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

from forewarn_collector.api.admission import Admission
from forewarn_collector.api.callers import CALLER
from forewarn_collector.ingest import (
    Kind,
    Limits,
    Rejected,
    TooLargeError,
    UnsupportedTypeError,
    show,
)
from forewarn_collector.metrics import Metrics
from forewarn_collector.store import StoreError
from forewarn_wire import Labels, WireError

log = logging.getLogger(__name__)

_SHOWN = 5
_READ_SECONDS = 60.0
_RETRY_AFTER = {"Retry-After": "5"}

T = TypeVar("T")

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Receiving:
    """Used by every path that takes signals, so that their limits are one."""

    def __init__(self, limits: Limits, admission: Admission, metrics: Metrics) -> None:
        self.limits = limits
        self.admission = admission
        self.metrics = metrics
        # Threads of their own: what is dear to decode must not hold up other parts.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="decode")

    def close(self) -> None:
        """Take no further request."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def decode(self, decode: Callable[[], T]) -> T:
        """Run something on a thread for decoding."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, decode)

    def answering(self, kind: str, write: Handler) -> Handler:
        """A handler that lets requests in, answers errors with their reason, and counts."""

        async def handler(request: web.Request) -> web.Response:
            response = self.admission.enter(request)
            if response is not None:
                self.metrics.writes.labels(kind, "429").inc()
                return response
            try:
                response = await write(request)
            except TooLargeError as error:
                response = web.Response(status=413, text=f"{error}\n")
            except web.HTTPRequestEntityTooLarge:
                text = f"the body is over the limit of {self.limits.max_body} bytes\n"
                response = web.Response(status=413, text=text)
            except UnsupportedTypeError as error:
                response = web.Response(status=415, text=f"{error}\n")
            except WireError as error:
                response = web.Response(status=400, text=f"{error}\n")
            except StoreError as error:
                log.error("cannot store %s: %s", kind, error)
                response = web.Response(status=503, text=f"{error}\n", headers=_RETRY_AFTER)
            finally:
                self.admission.leave(request)
            # Who sends too fast does so again and again: the metrics count that.
            if response.status >= 400 and response.status != 429:
                log.warning(
                    "refused %s from %s (%s): %d %s",
                    kind,
                    request[CALLER].name,
                    request.remote,
                    response.status,
                    (response.text or "").strip(),
                )
            self.metrics.writes.labels(kind, str(response.status)).inc()
            return response

        return handler

    def count(self, rejected: Sequence[Rejected]) -> None:
        """Count what was refused, by reason."""
        for kind, count in Counter(item.kind.value for item in rejected).items():
            self.metrics.rejected.labels(kind).inc(count)

    def over_limit(
        self, request: web.Request, refused: Sequence[tuple[Labels, str]]
    ) -> list[Rejected]:
        """New series that the store refused, as what is said of them."""
        if refused:
            self.metrics.limited.labels("series", request[CALLER].customer).inc()
        return [Rejected(Kind.SERIES_LIMIT, show(labels), reason) for labels, reason in refused]

    def events_over_limit(self, request: web.Request, count: int) -> None:
        """Tell of events that are kept, but have no counter of their own."""
        self.metrics.limited.labels("series", request[CALLER].customer).inc()
        log.warning(
            "%d events from %s count together: new counters of theirs are over the limit of series",
            count,
            request[CALLER].name,
        )


async def body_of(request: web.Request) -> bytes:
    """The request's body, which must not take for ever to come."""
    if request.content.is_eof():
        return await request.read()
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await request.read()
    except TimeoutError:
        text = f"the body did not come within {_READ_SECONDS:.0f} s\n"
        raise web.HTTPRequestTimeout(text=text) from None


def extra_labels(request: web.Request) -> Labels:
    """The labels that the caller's token gives to all that comes with it."""
    customer = request[CALLER].customer
    return (("customer", customer),) if customer else ()


def shown(rejected: Sequence[Rejected]) -> str:
    """The first few of what was refused, a line each."""
    lines = [f"{item.subject}: {item.reason}" for item in rejected[:_SHOWN]]
    if len(rejected) > _SHOWN:
        lines.append(f"... and {len(rejected) - _SHOWN} more")
    return "\n".join(lines)
