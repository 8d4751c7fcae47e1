"""The webhook: what it sends, and every way in which a receiver may answer or not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.queues import DeliveryError, WebhookQueue
from forewarn_collector.queues.webhook import encode_delivery, parse_retry_after
from support.alerts import T0
from support.deliveries import OPEN, RESOLVE, Posted, Receiver, webhook_receiver

SECRET = b"s3cret"


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest_asyncio.fixture
async def queue(receiver: Receiver) -> AsyncIterator[WebhookQueue]:
    queue = WebhookQueue("support", receiver.url, SECRET, timeout=300)
    yield queue
    await queue.close()


async def refused(queue: WebhookQueue) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await queue.deliver(OPEN)
    return caught.value


async def test_the_body_is_as_documented(queue: WebhookQueue, receiver: Receiver) -> None:
    await queue.deliver(RESOLVE)
    body = receiver.posted[0].body
    task = body.pop("task")
    assert body == {
        "version": 1,
        "id": RESOLVE.id,
        "queue": "support",
        "action": "resolve",
        "reason": "alert_ended",
        "text": "The alert ended.",
        "revision": 2,
        "created_at": T0 + 60_000,
        "url": None,
        "plot_url": None,
        "external_ref": "TICKET-1",
    }
    assert (task["number"], task["state"], task["severity"]) == ("FW-17", "resolved", "high")
    assert task["labels"] == {"alertname": "DiskFull", "instance": "a"}
    # A value that JSON's numbers can't hold is text.
    assert task["value"] == "NaN"


def test_a_body_leads_to_the_tasks_page_and_plot() -> None:
    body = json.loads(encode_delivery(replace(OPEN, external_url="https://fw.example.org")))
    assert body["url"] == "https://fw.example.org/tasks/FW-17"
    assert body["plot_url"] == "https://fw.example.org/api/tasks/FW-17/plot.svg"


async def test_the_signature_is_that_of_the_documentation(
    queue: WebhookQueue, receiver: Receiver
) -> None:
    await queue.deliver(OPEN)
    headers = receiver.posted[0].headers
    assert headers["Forewarn-Timestamp"] == str(T0 // 1000)
    signed = f"{T0 // 1000}.".encode() + receiver.posted[0].raw
    expected = hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
    assert headers["Forewarn-Signature"] == f"sha256={expected}"


async def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    queue = WebhookQueue("support", receiver.url)
    await queue.deliver(OPEN)
    await queue.close()
    assert "Forewarn-Signature" not in receiver.posted[0].headers


async def test_every_attempt_sends_the_same_body(queue: WebhookQueue, receiver: Receiver) -> None:
    await queue.deliver(OPEN)
    await queue.deliver(replace(OPEN, attempt=2, sent_at=T0 + 99_000))
    first, second = receiver.posted
    assert first.raw == second.raw
    assert [p.headers["Forewarn-Attempt"] for p in receiver.posted] == ["1", "2"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_takes_the_delivery(
    queue: WebhookQueue, receiver: Receiver, status: int
) -> None:
    receiver.answers(status)
    assert await queue.deliver(OPEN) is None


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 599])
async def test_these_are_tried_again(queue: WebhookQueue, receiver: Receiver, status: int) -> None:
    receiver.answers(status)
    error = await refused(queue)
    assert not error.permanent
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 418, 422])
async def test_these_refuse_for_good(queue: WebhookQueue, receiver: Receiver, status: int) -> None:
    receiver.answers(status, b"no\nsuch project")
    error = await refused(queue)
    assert error.permanent
    assert "no such project" in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    queue: WebhookQueue, receiver: Receiver, status: int
) -> None:
    receiver.answers(status, Location=receiver.url)
    error = await refused(queue)
    assert error.permanent
    assert "put the new address into the configuration" in str(error)
    assert len(receiver.posted) == 1


@pytest.mark.parametrize(
    ("body", "ref"),
    [
        (b'{"ref": "ABC-1"}', "ABC-1"),
        (b'{"ref": 5}', None),
        (b'["ref"]', None),
        (b"taken", None),
        (b"\xff\xfe", None),
        (b"[" * 50_000, None),
        (b'{"ref": "' + b"x" * 100_000 + b'"}', None),
    ],
)
async def test_the_answer_may_name_the_receivers_ticket(
    queue: WebhookQueue, receiver: Receiver, body: bytes, ref: str | None
) -> None:
    receiver.answers(200, body)
    assert await queue.deliver(OPEN) == ref


async def test_an_answer_without_end_is_cut_off(queue: WebhookQueue, receiver: Receiver) -> None:
    async def flood(_: Posted) -> web.StreamResponse:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65_536

        return web.Response(body=pieces())

    receiver.answer = flood
    assert await queue.deliver(OPEN) is None


async def test_a_receiver_that_never_answers_times_out(
    queue: WebhookQueue, receiver: Receiver
) -> None:
    async def hang(_: Posted) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    receiver.answer = hang
    error = await refused(queue)
    assert not error.permanent
    assert "within 0.3 s" in str(error)


async def test_an_answer_that_is_lost_is_tried_again() -> None:
    taken: list[bytes] = []

    async def take_and_hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(take_and_hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    queue = WebhookQueue("support", f"http://127.0.0.1:{port}/hook")
    error = await refused(queue)
    await queue.close()
    server.close()
    await server.wait_closed()
    assert not error.permanent
    assert taken


async def test_an_answer_that_is_not_http_is_tried_again() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 smtp.example.org ESMTP\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    queue = WebhookQueue("support", f"http://127.0.0.1:{port}/hook")
    error = await refused(queue)
    await queue.close()
    server.close()
    await server.wait_closed()
    assert not error.permanent


async def test_retry_after_reaches_the_worker(queue: WebhookQueue, receiver: Receiver) -> None:
    receiver.answers(429, Retry_After="7")
    error = await refused(queue)
    assert error.retry_after == 7_000
    assert error.whole_queue


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", None),
        ("0", 0),
        ("120", 120_000),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("99999999999999", 86_400_000),
        # 2023-11-14 22:13:20 UTC is T0.
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400_000),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected: int | None) -> None:
    assert parse_retry_after(value, T0) == expected


@given(st.text())
def test_any_retry_after_is_read_or_left(value: str) -> None:
    found = parse_retry_after(value, T0)
    assert found is None or 0 <= found <= 86_400_000
