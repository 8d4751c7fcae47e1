"""Sends notices to one Alertmanager, in order and in batches, from a queue of its own.

As in Prometheus what an Alertmanager does not take is dropped, not tried again: the alert is sent
anew after the resend delay, with what is true by then. Source: prometheus/prometheus `notifier/`.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections import deque
from collections.abc import Sequence

import aiohttp

from forewarn_collector.alertmanagers.notices import batch_of
from forewarn_collector.config_alertmanagers import AlertmanagerConfig, Authorization, secret_in
from forewarn_collector.metrics import Metrics

log = logging.getLogger(__name__)

CAPACITY = 10_000
"""How many notices wait for one Alertmanager; beyond that the oldest are dropped."""
BATCH = 64
"""How many notices go into one request."""

_EXCERPT = 200


class NotTakenError(Exception):
    """The Alertmanager did not take a batch; the text says why, without any secret."""


class Sender:
    """One Alertmanager's queue and connection; all of it on one event loop."""

    def __init__(self, config: AlertmanagerConfig, metrics: Metrics) -> None:
        self.endpoint = config.endpoint
        self._config = config
        self._queue: deque[bytes] = deque()
        self._woken = asyncio.Event()
        self._ended = False
        self._session: aiohttp.ClientSession | None = None
        self._failures = 0
        self._overflowing = False
        self._sent = metrics.notifications_sent.labels(self.endpoint)
        self._errors = metrics.notifications_errors.labels(self.endpoint)
        self._dropped = metrics.notifications_dropped.labels(self.endpoint)
        self._latency = metrics.notifications_latency.labels(self.endpoint)

    def __len__(self) -> int:
        """How many notices wait."""
        return len(self._queue)

    def add(self, notices: Sequence[bytes]) -> None:
        """Queue notices, each encoded; never blocks."""
        self._queue.extend(notices)
        excess = len(self._queue) - CAPACITY
        if excess > 0:
            for _ in range(excess):
                self._queue.popleft()
            self._dropped.inc(excess)
            if not self._overflowing:
                self._overflowing = True
                log.warning(
                    "Alertmanager %s is too slow: its queue is full, the oldest of %d alerts go",
                    self.endpoint,
                    CAPACITY,
                )
        self._woken.set()

    def end(self) -> None:
        """Let `run` return once the queue is empty."""
        self._ended = True
        self._woken.set()

    async def run(self) -> None:
        """Send what is queued until `end`."""
        while not self._ended:
            await self._woken.wait()
            self._woken.clear()
            while self._queue:
                count = min(BATCH, len(self._queue))
                await self._send([self._queue.popleft() for _ in range(count)])
            self._overflowing = False

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(self, notices: Sequence[bytes]) -> None:
        began = time.perf_counter()
        try:
            await self._post(batch_of(notices))
        except NotTakenError as error:
            await self._failed(notices, str(error))
        except Exception as error:
            # A fault of ours must not end the sender: what comes next has to be sent.
            log.exception("sending alerts to %s failed unexpectedly", self.endpoint)
            await self._failed(notices, type(error).__name__)
        else:
            self._latency.observe(time.perf_counter() - began)
            self._sent.inc(len(notices))
            if self._failures:
                log.info(
                    "Alertmanager %s takes alerts again, after %d requests that failed",
                    self.endpoint,
                    self._failures,
                )
            self._failures = 0

    async def _failed(self, notices: Sequence[bytes], reason: str) -> None:
        self._errors.inc(len(notices))
        self._dropped.inc(len(notices))
        self._failures += 1
        if self._failures == 1:
            log.warning("Alertmanager %s takes no alerts: %s", self.endpoint, reason)
        # The next request reads certificates anew: they may be why.
        await self.close()

    async def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "forewarn"}
        timeout = self._config.timeout / 1000
        try:
            if self._config.authorization is not None:
                headers["Authorization"] = _authorization(self._config.authorization)
            session = self._opened(timeout)
            async with session.post(
                self.endpoint, data=body, headers=headers, allow_redirects=False
            ) as answer:
                if not 200 <= answer.status < 300:
                    raise NotTakenError(await _refusal(answer))
        except TimeoutError as error:
            raise NotTakenError(f"no answer within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotTakenError(str(error) or type(error).__name__) from error

    def _opened(self, timeout: float) -> aiohttp.ClientSession:
        if self._session is None:
            tls = self._config.tls
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls.context() if tls is not None else True),
                timeout=aiohttp.ClientTimeout(total=timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _authorization(wanted: Authorization) -> str:
    """Read at every request, so that a file may change."""
    secret = secret_in(wanted.file)
    if wanted.username:
        pair = f"{wanted.username}:{secret}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return f"{wanted.scheme} {secret}"


async def _refusal(answer: aiohttp.ClientResponse) -> str:
    body = await answer.content.read(_EXCERPT)
    said = " ".join(body.decode("utf-8", "replace").split())
    message = f"HTTP {answer.status} {answer.reason or ''}".rstrip() + (f": {said}" if said else "")
    if 300 <= answer.status < 400:
        message += "; redirects are not followed: put the new address into the configuration"
    return message
