"""A chat through Apprise: what is told, what is kept back, and that nothing waits for it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from aiohttp import web

from forewarn_collector.queues import ChatQueue, DeliveryError, Queue, queues_from_section
from forewarn_collector.tasks import DeliveryAction
from forewarn_wire import Problem
from forewarn_wire.document import read_document
from support.deliveries import OPEN, OPEN_ID, RESOLVE, TASK, Posted, Receiver, webhook_receiver

UPDATE = replace(OPEN, action=DeliveryAction.UPDATE, reason="comment", text="ann: I look at it.")


def read(text: str, url: str) -> tuple[dict[str, Queue], list[str]]:
    problems: list[Problem] = []
    section = read_document(text, "queues.yml", problems)
    assert section is not None
    return queues_from_section(section, {"CHAT": url}), [str(problem) for problem in problems]


def configured(url: str, more: str = "") -> ChatQueue:
    queues, problems = read(f"c: {{kind: chat, url: 'env:CHAT', timeout: 1s{more}}}", url)
    assert problems == []
    assert isinstance(queues["c"], ChatQueue)
    return queues["c"]


@dataclass
class Chat:
    """A queue and what it tells; its address is a secret."""

    queue: ChatQueue
    receiver: Receiver
    url: str

    @property
    def messages(self) -> list[str]:
        return [f"{p.body['title']}\n{p.body['message']}" for p in self.receiver.posted]


@pytest_asyncio.fixture
async def chat() -> AsyncIterator[Chat]:
    async with webhook_receiver() as receiver:
        url = receiver.url.replace("http", "json", 1) + "?+X-Token=s3cret-token"
        queue = configured(url)
        yield Chat(queue, receiver, url)
        await queue.close()


async def test_a_message_says_what_is_wrong_where_and_where_to_look(chat: Chat) -> None:
    await chat.queue.deliver(replace(OPEN, external_url="https://forewarn.example.org"))
    assert chat.messages == [
        f"""[FW-17] high: / on a fills
open: It fires.
Half of it is gone.
Customer: acme
Runbook: https://example.org/runbooks/disk
https://forewarn.example.org/tasks/FW-17
delivery {OPEN_ID}"""
    ]
    [posted] = chat.receiver.posted
    assert posted.body["type"] == "failure"
    await chat.queue.deliver(RESOLVE)
    assert "Resolved: / on a fills" in chat.messages[1]
    assert chat.receiver.posted[1].body["type"] == "success"


async def test_only_the_actions_that_are_wanted_are_told(chat: Chat) -> None:
    await chat.queue.deliver(UPDATE)
    assert chat.messages == []
    quiet = configured(chat.url, ", actions: [open, update]")
    for delivery in (OPEN, UPDATE, RESOLVE, replace(OPEN, action=DeliveryAction.REOPEN)):
        await quiet.deliver(delivery)
    await quiet.close()
    assert [message.split("\n")[1] for message in chat.messages] == [
        "open: It fires.",
        "update: ann: I look at it.",
    ]


async def test_what_a_label_says_calls_nobody(chat: Chat) -> None:
    title = "@channel <!here> <@U123> ops@example.org"
    await chat.queue.deliver(replace(OPEN, task=replace(TASK, title=title)))
    [message] = chat.messages
    assert "@\u2060channel <\u2060!here> <\u2060@\u2060U123> ops@example.org" in message


@pytest.mark.parametrize(
    ("status", "permanent", "whole_queue"),
    [
        (400, True, False),
        (413, True, False),
        (302, False, True),
        (401, False, True),
        (404, False, True),
        (429, False, True),
        (500, False, False),
        (503, False, False),
    ],
)
async def test_a_status_says_whether_the_message_or_the_chat_is_wrong(
    chat: Chat, status: int, permanent: bool, whole_queue: bool
) -> None:
    chat.receiver.answers(status, b"no", Location="/elsewhere")
    with pytest.raises(DeliveryError, match=str(status)) as caught:
        await chat.queue.deliver(OPEN)
    assert (caught.value.permanent, caught.value.whole_queue) == (permanent, whole_queue)
    assert len(chat.receiver.posted) == 1


async def test_no_error_and_no_log_shows_the_address(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chat.receiver.answers(500)
    with pytest.raises(DeliveryError) as caught:
        await chat.queue.deliver(OPEN)
    for said in (str(caught.value), caplog.text):
        assert "s3cret-token" not in said
        assert "/hook" not in said


async def test_a_chat_that_hangs_holds_up_neither_the_loop_nor_its_threads(chat: Chat) -> None:
    hung = asyncio.Event()

    async def hang(_: Posted) -> web.StreamResponse:
        await hung.wait()
        return web.Response()

    chat.receiver.answer = hang
    deliveries = [asyncio.create_task(chat.queue.deliver(OPEN)) for _ in range(8)]
    await chat.receiver.count(2)
    # The ledger's threads are free, however many there are.
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 1) == "free"
    for delivery in deliveries[:2]:
        with pytest.raises(DeliveryError, match="not in time") as caught:
            await delivery
        assert not caught.value.permanent
    for delivery in deliveries[2:]:
        delivery.cancel()
    await asyncio.gather(*deliveries[2:], return_exceptions=True)
    hung.set()


def test_mistakes_in_the_configuration_are_named_and_show_no_address() -> None:
    for text, said in (
        ("c: {kind: chat}", "url_file is missing"),
        ("c: {kind: chat, url: 'slack://a/b/c'}", "url must not stand in the configuration"),
        ("c: {kind: chat, url: 'env:CHAT'}", "expected one URL that Apprise knows"),
        ("c: {kind: chat, url: 'env:CHAT', actions: [close]}", "actions: expected some of open"),
    ):
        _, problems = read(text, "nonsense-s3cret")
        assert said in "\n".join(problems)
        assert "s3cret" not in "\n".join(problems)


def test_without_apprise_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    _, problems = read("c: {kind: chat, url: 'env:CHAT'}", "json://127.0.0.1")
    assert "forewarn[chat]" in problems[0]
