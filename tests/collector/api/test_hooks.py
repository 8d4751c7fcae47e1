"""A tracker's call is taken where it is signed as its kind signs, and makes the reader look."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from forewarn_collector.api.hooks import MOST_BYTES, PER_MINUTE, Hook, HooksApi
from forewarn_collector.metrics import Metrics
from support.trackers.faults import serving

# "Testing the webhook payload validation" of GitHub's documentation.
GITHUB_SECRET = b"It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
# "Verifying webhook signatures" of Atlassian's.
JIRA_BODY = b"Hello World!"
JIRA = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
# openssl dgst -sha256 -hmac s3cret
BODY = b'{"a":1}'
ZENDESK_AT = "2026-11-28T23:00:00Z"
ZENDESK = "75XGSl00L+4/Uils7wUojz9wJdpFOWcFe/wOTVRm3QE="
OURS_AT = "1700000000"
OURS = "sha256=1698a50bc74d1ff1db85c4e0a5297c2ad9fdba245d5737cdb789e4cc6e098940"

SIGNED: list[tuple[str, bytes, bytes, dict[str, str]]] = [
    ("github", GITHUB_SECRET, GITHUB_BODY, {"X-Hub-Signature-256": GITHUB}),
    ("jira", GITHUB_SECRET, JIRA_BODY, {"X-Hub-Signature": JIRA}),
    ("gitlab", b"s3cret", BODY, {"X-Gitlab-Token": "s3cret"}),
    (
        "zendesk",
        b"s3cret",
        BODY,
        {
            "X-Zendesk-Webhook-Signature": ZENDESK,
            "X-Zendesk-Webhook-Signature-Timestamp": ZENDESK_AT,
        },
    ),
    ("rt", b"s3cret", BODY, {"Forewarn-Signature": OURS, "Forewarn-Timestamp": OURS_AT}),
    ("redmine", b"s3cret", BODY, {"Authorization": "Bearer s3cret"}),
]


@dataclass
class Bell:
    """What the hooks of a collector made look."""

    url: str
    rung: list[str] = field(default_factory=list)
    now: int = 0

    async def call(self, queue: str, body: bytes, headers: Mapping[str, str]) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.url}/api/queues/{queue}/hook", data=io.BytesIO(body), headers=headers
            ) as got,
        ):
            return got.status


@asynccontextmanager
async def bell(hooks: Mapping[str, Hook], metrics: Metrics | None = None) -> AsyncIterator[Bell]:
    found = Bell("")
    api = HooksApi(hooks, found.rung.append, metrics or Metrics(), lambda: found.now)
    application = web.Application(client_max_size=64 << 20)
    application.add_routes(api.routes())
    async with serving(application) as found.url:
        yield found


@pytest.mark.parametrize(("kind", "secret", "body", "headers"), SIGNED)
async def test_a_call_that_its_kind_signs_makes_the_reader_look(
    kind: str, secret: bytes, body: bytes, headers: dict[str, str]
) -> None:
    async with bell({"support": Hook(kind, secret)}) as found:
        assert await found.call("support", body, headers) == 202
        # Once more is harmless.
        assert await found.call("support", body, headers) == 202
        assert found.rung == ["support", "support"]


@pytest.mark.parametrize(("kind", "secret", "body", "headers"), SIGNED)
async def test_a_call_that_is_not_signed_so_is_refused(
    kind: str, secret: bytes, body: bytes, headers: dict[str, str]
) -> None:
    metrics = Metrics()
    async with bell({"support": Hook(kind, secret), "other": Hook(kind, b"x")}, metrics) as found:
        wrong = {
            name: value[:-1] + ("0" if value[-1] != "0" else "1") for name, value in headers.items()
        }
        for given in ({}, wrong, dict.fromkeys(headers, ""), dict.fromkeys(headers, "é")):
            assert await found.call("support", body, given) == 401
        assert await found.call("other", body, headers) == 401
        if kind not in {"gitlab", "redmine"}:
            assert await found.call("support", body + b" ", headers) == 401
        # Another kind's way is none.
        other = (
            {"X-Gitlab-Token": secret.decode()}
            if kind != "gitlab"
            else {"Authorization": "Bearer s3cret"}
        )
        assert await found.call("support", body, other) == 401
        assert found.rung == []
    refused = metrics.hooks.labels("support", "refused")
    assert refused._value.get() >= 5


async def test_a_queue_without_a_secret_takes_no_calls_and_says_no_more_than_of_no_queue() -> None:
    async with bell({"support": Hook("github", GITHUB_SECRET)}) as found:
        for queue in ("mail", "no-such-queue"):
            assert await found.call(queue, GITHUB_BODY, {"X-Hub-Signature-256": GITHUB}) == 404


async def test_a_call_that_is_too_long_is_refused() -> None:
    async with bell({"support": Hook("gitlab", b"s3cret")}) as found:
        body = b"x" * (MOST_BYTES + 1)
        assert await found.call("support", body, {"X-Gitlab-Token": "s3cret"}) == 413
        assert await found.call("support", body[1:], {"X-Gitlab-Token": "s3cret"}) == 202


async def test_too_many_calls_are_told_to_come_later() -> None:
    async with bell({"support": Hook("gitlab", b"s3cret")}) as found:
        for _ in range(PER_MINUTE):
            assert await found.call("support", b"", {"X-Gitlab-Token": "s3cret"}) == 202
        assert await found.call("support", b"", {"X-Gitlab-Token": "s3cret"}) == 429
        found.now += 60_000
        assert await found.call("support", b"", {"X-Gitlab-Token": "s3cret"}) == 202


async def test_calls_of_strangers_do_not_shut_out_the_tracker() -> None:
    async with bell({"support": Hook("gitlab", b"s3cret")}) as found:
        for _ in range(PER_MINUTE + 1):
            assert await found.call("support", b"", {"X-Gitlab-Token": "wrong"}) == 401
        assert await found.call("support", b"", {"X-Gitlab-Token": "s3cret"}) == 202
