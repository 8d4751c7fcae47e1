"""Which write requests are let in, and how the others are told to come again later.

429 with Retry-After, since what is asked for is patience: senders keep their data and try again
(remote write 2.0: "SHOULD retry on 429"). What would be refused again is a 400 instead.
"""

from __future__ import annotations

import math
import time

from aiohttp import web

from forewarn_collector.api.callers import CALLER
from forewarn_collector.config_limits import LimitsConfig
from forewarn_collector.ingest.pressure import Pressure, SampleRates, Ticket
from forewarn_collector.metrics import Metrics

_TICKET = web.RequestKey("ticket", Ticket)


class Admission:
    """The bounds of what may wait and how fast customers may send. On the event loop alone."""

    def __init__(self, limits: LimitsConfig, largest: int, metrics: Metrics) -> None:
        """`largest` is the most bytes that a request may have."""
        self._pressure = Pressure(limits.waiting)
        self._rates = SampleRates({item.customer: item.samples for item in limits.customers})
        self._largest = largest
        self._metrics = metrics

    def enter(self, request: web.Request) -> web.Response | None:
        """Let a request in, which then must `leave`; or the answer that sends it away."""
        caller = request[CALLER]
        size = request.content_length
        found = self._pressure.enter(
            f"{caller.name} {request.remote}",
            self._largest if size is None else min(size, self._largest),
            time.monotonic(),
        )
        if isinstance(found, str):
            return self._full(request, found)
        request[_TICKET] = found
        return None

    def parsing(self, request: web.Request) -> web.Response | None:
        """From now on the request waits to be parsed; or the answer that sends it away."""
        found = self._pressure.parsing(request[_TICKET], time.monotonic())
        return self._full(request, found) if found is not None else None

    def too_fast(self, request: web.Request) -> web.Response | None:
        """The answer to a request of a customer that is over its rate; else None."""
        customer = request[CALLER].customer
        seconds = self._rates.wait(customer, time.monotonic())
        if not seconds:
            return None
        self._metrics.limited.labels("rate", customer).inc()
        text = f"customer {customer} sends more samples a second than its limit; send again later"
        return _later(text, math.ceil(seconds))

    def spend(self, request: web.Request, samples: int) -> None:
        """Count the samples of a request that was let in against its customer's rate."""
        self._rates.spend(request[CALLER].customer, samples, time.monotonic())

    def storing(self, request: web.Request) -> None:
        """From now on the request waits for the disk."""
        self._pressure.storing(request[_TICKET], time.monotonic())

    def leave(self, request: web.Request) -> None:
        """The request is answered."""
        self._pressure.leave(request[_TICKET], time.monotonic())

    @property
    def waiting(self) -> int:
        """Bytes of requests that are not answered yet."""
        return self._pressure.waiting

    def _full(self, request: web.Request, why: str) -> web.Response:
        self._metrics.limited.labels("waiting", request[CALLER].customer).inc()
        return _later(why, self._pressure.later(time.monotonic()))


def _later(text: str, seconds: int) -> web.Response:
    return web.Response(status=429, text=f"{text}\n", headers={"Retry-After": str(seconds)})
