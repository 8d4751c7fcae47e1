"""Deliveries, and real receivers of them: a webhook over HTTP, a mailbox over SMTP."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from forewarn_collector.tasks import Delivery, DeliveryAction, Task, TaskState
from support.alerts import T0

OPEN_ID = "11111111-1111-5111-8111-111111111111"
RESOLVE_ID = "22222222-2222-5222-8222-222222222222"

TASK = Task(
    id=17,
    key='storage/DiskFull{instance="a"}',
    state=TaskState.OPEN,
    title="/ on a fills",
    description="Half of it is gone.",
    severity="high",
    kind="preventive",
    customer="acme",
    labels=(("alertname", "DiskFull"), ("instance", "a")),
    annotations={"runbook_url": "https://example.org/runbooks/disk"},
    rule="storage/DiskFull",
    rule_name="DiskFull",
    expr="disk_free < 1",
    value="NaN",
    queue="support",
    checklist=("Find what grew",),
    onset_at=T0 - 500,
    detected_at=T0,
    opened_at=T0,
    due_at=T0 + 86_400_000,
    evidence=(
        {
            "gathered_at": T0,
            "value": "0.5",
            "inputs": [
                {"query": "disk_free", "series": [{"labels": {"a": "b"}, "samples": [[T0, "0.5"]]}]}
            ],
            "events": [
                {"time": T0, "type": "log", "severity": "error", "labels": {}, "body": "no space"}
            ],
        },
    ),
)

OPEN = Delivery(
    id=OPEN_ID,
    thread_id=OPEN_ID,
    queue="support",
    action=DeliveryAction.OPEN,
    revision=1,
    reason="new",
    text="It fires.",
    task=TASK,
    created_at=T0,
    attempt=1,
    sent_at=T0 + 10,
)
RESOLVE = replace(
    OPEN,
    id=RESOLVE_ID,
    action=DeliveryAction.RESOLVE,
    revision=2,
    reason="alert_ended",
    text="The alert ended.",
    task=replace(TASK, state=TaskState.RESOLVED, resolved_at=T0 + 60_000, evidence=()),
    created_at=T0 + 60_000,
    sent_at=T0 + 60_010,
    external_ref="TICKET-1",
)


@dataclass
class Posted:
    """One request that a webhook receiver got."""

    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


Answer = Callable[[Posted], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A webhook receiver at `url`. `answer` may be replaced; `posted` keeps every request."""

    url: str
    posted: list[Posted] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Answer | None = None

    def answers(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer every request so from now on."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(_: Posted) -> web.StreamResponse:
            return web.Response(status=status, body=body, headers=named)

        self.answer = answer

    async def count(self, number: int) -> None:
        """Wait until that many requests have come."""
        async with asyncio.timeout(10):
            while len(self.posted) < number:
                self.arrived.clear()
                await self.arrived.wait()


@asynccontextmanager
async def webhook_receiver() -> AsyncIterator[Receiver]:
    """A real HTTP server on a loopback port; it takes everything with 204 until told otherwise."""
    receiver = Receiver("")

    async def handle(request: web.Request) -> web.StreamResponse:
        posted = Posted(dict(request.headers), await request.read())
        receiver.posted.append(posted)
        receiver.arrived.set()
        if receiver.answer is not None:
            return await receiver.answer(posted)
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/hook", handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@dataclass
class PostOffice:
    """A real SMTP server. `reply` is its answer to each message."""

    port: int = 0
    reply: str = "250 taken"
    refuse: dict[str, str] = field(default_factory=dict)
    envelopes: list[Envelope] = field(default_factory=list)

    @property
    def messages(self) -> list[EmailMessage]:
        found = []
        for envelope in self.envelopes:
            content = envelope.content
            assert isinstance(content, bytes)
            message = email.message_from_bytes(content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            found.append(message)
        return found

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: object, envelope: Envelope, address: str, _options: object
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: object, envelope: Envelope
    ) -> str:
        if self.reply.startswith("250"):
            self.envelopes.append(envelope)
        return self.reply


@asynccontextmanager
async def post_office(
    tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None
) -> AsyncIterator[PostOffice]:
    """An SMTP server on a loopback port that insists on what it is given, STARTTLS or a login."""
    office = PostOffice()

    def authenticate(*arguments: Any) -> AuthResult:
        given = arguments[-1]
        assert isinstance(given, LoginPassword)
        wanted = login is not None and (given.login, given.password) == tuple(
            part.encode() for part in login
        )
        return AuthResult(success=wanted, handled=False)

    def protocol() -> SMTP:
        return SMTP(
            office,
            hostname="localhost",
            tls_context=tls,
            require_starttls=tls is not None,
            authenticator=authenticate,
            auth_required=login is not None,
            auth_require_tls=tls is not None,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        server.close()
        await server.wait_closed()
