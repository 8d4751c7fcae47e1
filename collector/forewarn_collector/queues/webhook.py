"""A queue that is a URL: one signed JSON POST per delivery.

The body, the same at every attempt of a delivery (times in ms since epoch):

    {"version": 1,
     "id": uuid of the delivery,
     "queue": name of the queue,
     "action": "open" | "update" | "reopen" | "resolve",
     "reason": why, one word: "new", "reopened", "alert_ended", "acknowledged", ..., and
               "retrospective" where late data tells of a problem: "resolve" for one that was over
               before it was known, the only message about it, and "update" for others,
     "text": what happened, for people,
     "revision": grows by one with each delivery of a task,
     "created_at": ms,
     "url": the task's page, and "plot_url": a plot of its evidence (SVG), or null; both at the
             collector's `external_url` of then,
     "external_ref": the `ref` that an earlier delivery of this task was answered with, or null,
     "task": the task as it was then, as `GET /api/tasks/FW-17` shows it, evidence included at
             open, reopen and the resolve of a retrospective one, and what came after the onset at
             the next one; timeline and members are empty}

Headers:

    Idempotency-Key: the delivery's uuid. A receiver that has it already answers 2xx and does no
        more. Source: draft-ietf-httpapi-idempotency-key-header
    Forewarn-Attempt: from 1; above 1 the receiver may have the delivery already
    Forewarn-Timestamp: seconds since epoch of this attempt
    Forewarn-Signature: `sha256=` and the hex HMAC-SHA256, by the shared secret, of the timestamp,
        a full stop, and the body's bytes. Only where a secret is configured.

The answer: any 2xx takes the delivery, and may carry a JSON object whose text `ref` names the
receiver's own ticket. 408, 409 (that key is being worked on), 425, 429 and 5xx are tried again,
after `Retry-After` where given; any other status refuses the delivery for good. Redirects are not
followed: a delivery goes where the configuration says, or nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
from collections.abc import Mapping
from typing import Any, ClassVar

import aiohttp

from forewarn_collector.config_urls import http_url
from forewarn_collector.queues.base import DeliveryError, read_secret, read_timeout
from forewarn_collector.queues.retry_after import parse_retry_after
from forewarn_collector.tasks import Delivery
from forewarn_wire.document import Section

_TIMEOUT = 10_000
_ANSWER_BYTES = 64 * 1024
_EXCERPT = 200
_LONGEST_REF = 500
_TRY_AGAIN = frozenset({408, 409, 425, 429})


class WebhookQueue:
    """Posts deliveries to `url`; `timeout` in ms for the whole of an attempt."""

    kind: ClassVar[str] = "webhook"

    def __init__(
        self,
        name: str,
        url: str,
        secret: bytes = b"",
        timeout: int = _TIMEOUT,
        *,
        authorization: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._name = name
        self._url = url
        self._secret = secret
        self._authorization = authorization
        self._tls: ssl.SSLContext | bool = tls or True
        self._timeout = aiohttp.ClientTimeout(total=timeout / 1000)
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_section(
        cls, name: str, section: Section, environ: Mapping[str, str]
    ) -> WebhookQueue | None:
        """Read `url`, `secret_file` or `secret: env:NAME`, and `timeout`."""
        url = section.require("url", http_url, "")
        secret = read_secret(section, "secret", environ)
        timeout = section.take("timeout", read_timeout, _TIMEOUT)
        return cls(name, url, secret, timeout) if url else None

    async def deliver(self, delivery: Delivery) -> str | None:
        """See the module's text."""
        body = self.encode(delivery)
        if self._session is None:
            # No cookies: nothing that one answer says may change what the next request is.
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=self._headers(delivery, body),
                allow_redirects=False,
                ssl=self._tls,
            ) as answer:
                return _taken(answer, await _read(answer), delivery.sent_at)
        except TimeoutError as error:
            seconds = self._timeout.total
            raise DeliveryError(f"no answer within {seconds} s", permanent=False) from error
        except aiohttp.ClientError as error:
            # The URL is left out: with many receivers it holds a secret.
            reason = str(error).replace(self._url, "the URL") or type(error).__name__
            raise DeliveryError(f"no answer: {reason}", permanent=False) from error

    def encode(self, delivery: Delivery) -> bytes:
        """The body of a delivery, see the module's text."""
        return encode_delivery(delivery)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        timestamp = str(delivery.sent_at // 1000)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "forewarn",
            "Idempotency-Key": delivery.id,
            "Forewarn-Attempt": str(delivery.attempt),
            "Forewarn-Timestamp": timestamp,
        }
        if self._authorization:
            headers["Authorization"] = self._authorization
        if self._secret:
            headers["Forewarn-Signature"] = sign(self._secret, timestamp, body)
        return headers


def encode_delivery(delivery: Delivery) -> bytes:
    """The body of a delivery, see the module's text."""
    document = {
        "version": 1,
        "id": delivery.id,
        "queue": delivery.queue,
        "action": delivery.action.value,
        "reason": delivery.reason,
        "text": delivery.text,
        "revision": delivery.revision,
        "created_at": delivery.created_at,
        "url": delivery.page_url or None,
        "plot_url": delivery.plot_url or None,
        "external_ref": delivery.external_ref,
        "task": delivery.task.to_json(),
    }
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """The signature header's value, for the receiver to compute likewise and compare."""
    digest = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The start of an answer; more than that is nobody's business and closes the connection."""
    body = b""
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > _ANSWER_BYTES:
            answer.close()
            break
    return body[:_ANSWER_BYTES]


def _taken(answer: aiohttp.ClientResponse, body: bytes, now: int) -> str | None:
    status = answer.status
    if 200 <= status < 300:
        return _ref(body)
    said = " ".join(body.decode("utf-8", "replace").split())[:_EXCERPT]
    message = f"HTTP {status} {answer.reason or ''}".rstrip() + (f": {said}" if said else "")
    if 300 <= status < 400:
        message += "; redirects are not followed: put the new address into the configuration"
    raise DeliveryError(
        message,
        permanent=status not in _TRY_AGAIN and status < 500,
        retry_after=parse_retry_after(answer.headers.get("Retry-After", ""), now),
    )


def _ref(body: bytes) -> str | None:
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    ref = document.get("ref") if isinstance(document, dict) else None
    return ref[:_LONGEST_REF] if isinstance(ref, str) and ref else None
