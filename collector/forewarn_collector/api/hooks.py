"""`POST /api/queues/{queue}/hook`: a ticket system calls, and its queue's reader looks at once.

The call is believed to be the tracker's where it is signed with the queue's `hook_secret`; of what
it says nothing is believed, since the reader asks the tracker itself. So one that comes twice, late
or out of order does no harm.

| kind | signed by |
| --- | --- |
| github | `X-Hub-Signature-256: sha256=` and the HMAC-SHA256 of the body |
| gitlab | `X-Gitlab-Token`: the secret itself |
| jira | `X-Hub-Signature: sha256=` and the HMAC-SHA256 of the body |
| zendesk | `X-Zendesk-Webhook-Signature`: the HMAC-SHA256, in base64, of the timestamp \
(`X-Zendesk-Webhook-Signature-Timestamp`) and the body |
| all others | `Forewarn-Signature: sha256=` and the HMAC-SHA256 of `Forewarn-Timestamp`, a full \
stop and the body; or `Authorization: Bearer` and the secret |
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from forewarn_collector.metrics import Metrics
from forewarn_collector.queues import Queue, TicketQueue
from forewarn_wire.clock import Clock

MOST_BYTES = 1 << 20
"""Of a call; longer ones are refused, and the next poll sees what they would have told of."""
PER_MINUTE = 120
"""Signed calls of one queue; what comes beyond is told to come later."""

_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Hook:
    """Who may call for a queue: a tracker of this kind, with this secret."""

    kind: str
    secret: bytes


def hooks_of(queues: Mapping[str, Queue]) -> dict[str, Hook]:
    """The hooks of the queues that have a secret, by their names."""
    return {
        name: Hook(queue.tracker.kind, queue.settings.hook_secret)
        for name, queue in queues.items()
        if isinstance(queue, TicketQueue) and queue.settings.hook_secret
    }


class HooksApi:
    """Takes the calls of trackers."""

    def __init__(
        self,
        hooks: Mapping[str, Hook],
        look_now: Callable[[str], None],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        """`look_now` is called with the queue's name; it must not block."""
        self._hooks = hooks
        self._look_now = look_now
        self._metrics = metrics
        self._clock = clock
        self._calls: dict[str, tuple[int, int]] = {}

    def routes(self) -> Iterable[web.RouteDef]:
        """What it serves."""
        return [web.post("/api/queues/{queue}/hook", self._called)]

    async def _called(self, request: web.Request) -> web.StreamResponse:
        queue = request.match_info["queue"]
        hook = self._hooks.get(queue)
        if hook is None:
            # In the same words whether there is such a queue or not: anybody may ask.
            text = f"{queue} takes no calls; give the queue a hook_secret_file\n"
            return web.Response(status=404, text=text)
        body = await _body(request)
        if body is None:
            return self._answer(queue, "refused", 413, f"at most {MOST_BYTES} bytes")
        if not is_signed(hook, request.headers, body):
            self._metrics.unauthorized.inc()
            text = f"not signed with the hook_secret of {queue}, as {hook.kind} signs"
            return self._answer(queue, "refused", 401, text)
        # Only now: what strangers send must not use up the calls of the tracker.
        if self._is_too_often(queue):
            return self._answer(queue, "limited", 429, "later", {"Retry-After": "60"})
        self._look_now(queue)
        return self._answer(queue, "taken", 202, "looking")

    def _answer(
        self,
        queue: str,
        outcome: str,
        status: int,
        text: str,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        self._metrics.hooks.labels(queue, outcome).inc()
        return web.Response(status=status, text=f"{text}\n", headers=headers)

    def _is_too_often(self, queue: str) -> bool:
        minute = self._clock() // _MINUTE
        began, count = self._calls.get(queue, (minute, 0))
        if began != minute:
            count = 0
        self._calls[queue] = (minute, count + 1)
        return count >= PER_MINUTE


def is_signed(hook: Hook, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a call is signed with the hook's secret, in the way of its kind."""
    given = [(headers.get(name, ""), wanted) for name, wanted in _wanted(hook, headers, body)]
    # In constant time: how long it takes says nothing of the secret.
    return any(hmac.compare_digest(_bytes(one), other) for one, other in given)


def _wanted(hook: Hook, headers: Mapping[str, str], body: bytes) -> Sequence[tuple[str, bytes]]:
    """The headers of which one must be so."""
    match hook.kind:
        case "github":
            return [("X-Hub-Signature-256", _hex(hook, body))]
        case "gitlab":
            return [("X-Gitlab-Token", hook.secret)]
        case "jira":
            return [("X-Hub-Signature", _hex(hook, body))]
        case "zendesk":
            at = headers.get("X-Zendesk-Webhook-Signature-Timestamp", "")
            made = base64.b64encode(_digest(hook, _bytes(at) + body))
            return [("X-Zendesk-Webhook-Signature", made)]
        case _:
            at = headers.get("Forewarn-Timestamp", "")
            return [
                ("Forewarn-Signature", _hex(hook, _bytes(at) + b"." + body)),
                ("Authorization", b"Bearer " + hook.secret),
            ]


def _hex(hook: Hook, content: bytes) -> bytes:
    return b"sha256=" + _digest(hook, content).hex().encode()


def _digest(hook: Hook, content: bytes) -> bytes:
    return hmac.new(hook.secret, content, hashlib.sha256).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


async def _body(request: web.Request) -> bytes | None:
    """The body; None where it is too long."""
    if (request.content_length or 0) > MOST_BYTES:
        return None
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)
