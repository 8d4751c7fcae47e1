"""PagerDuty's Events API v2, as it is documented: it refuses what that does not allow.

Source: https://developer.pagerduty.com/docs/events-api-v2-overview and `send-alert-event`; answers
as in its OpenAPI description.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

from support.trackers.faults import serving

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
_TOP = {"routing_key", "event_action", "dedup_key", "payload", "images", "links"}
_PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class"}


@dataclass
class FakePagerDuty:
    """A service: `events` are those taken; `alerts` are by dedup key, each a list of its states.

    A `status` other than 202 is answered to everything, with `headers`.
    """

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    alerts: dict[str, list[str]] = field(default_factory=dict)
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)

    def application(self) -> web.Application:
        application = web.Application(client_max_size=4 << 20)
        application.router.add_post("/v2/enqueue", self._enqueue)
        return application

    async def _enqueue(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.status != 202:
            return web.json_response({"message": "no"}, status=self.status, headers=self.headers)
        wrong = _wrong(body)
        if wrong:
            document = {"status": "invalid event", "message": "Event object is invalid"}
            return web.json_response({**document, "errors": wrong}, status=400)
        event = json.loads(body)
        if event["routing_key"] != ROUTING_KEY:
            document = {"status": "invalid event", "message": "Invalid routing key"}
            return web.json_response(document, status=400)
        self.events.append(event)
        self._apply(event["event_action"], event["dedup_key"])
        taken = {"status": "success", "message": "Event processed"}
        return web.json_response({**taken, "dedup_key": event["dedup_key"]}, status=202)

    def _apply(self, action: str, key: str) -> None:
        states = self.alerts.setdefault(key, [])
        is_open = bool(states) and states[-1] != "resolved"
        if action == "trigger" and not is_open:
            states.append("triggered")
        elif action == "acknowledge" and is_open:
            states[-1] = "acknowledged"
        elif action == "resolve" and is_open:
            states[-1] = "resolved"


def _wrong(body: bytes) -> list[str]:
    """What is wrong with an event, by the documentation."""
    if len(body) > 512_000:
        return ["'payload' is too large"]
    event = json.loads(body)
    wrong = [f"'{name}' is unknown" for name in set(event) - _TOP - {"client", "client_url"}]
    if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
        wrong.append("'event_action' is invalid")
    if not 0 < len(event.get("dedup_key", "")) <= 255:
        wrong.append("'dedup_key' is missing or too long")
    payload = event.get("payload", {})
    wrong += [f"'payload.{n}' is unknown" for n in set(payload) - _PAYLOAD - {"custom_details"}]
    if not 0 < len(payload.get("summary", "")) <= 1_024:
        wrong.append("'payload.summary' is missing, blank or too long")
    if not payload.get("source"):
        wrong.append("'payload.source' is missing or blank")
    if payload.get("severity") not in {"critical", "error", "warning", "info"}:
        wrong.append("'payload.severity' is invalid")
    datetime.fromisoformat(payload.get("timestamp", "2020-01-01T00:00:00+00:00"))
    if not isinstance(payload.get("custom_details", {}), dict):
        wrong.append("'payload.custom_details' must be an object")
    images, links = event.get("images", []), event.get("links", [])
    wrong += ["'images' are https" for image in images if not image["src"].startswith("https://")]
    wrong += ["'links' have href and text" for link in links if not {"href"} <= set(link)]
    json.dumps(event, ensure_ascii=False).encode()  # half characters are refused
    return wrong


@asynccontextmanager
async def pagerduty() -> AsyncIterator[FakePagerDuty]:
    """The API on a loopback port."""
    fake = FakePagerDuty()
    async with serving(fake.application()) as url:
        fake.url = url
        yield fake
