"""What every kind of queue does alike, each against a real receiver."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from forewarn_collector.queues import (
    QUEUE_KINDS,
    ChatQueue,
    DeliveryError,
    EmailQueue,
    LogQueue,
    PagerDutyQueue,
    Queue,
    WebhookQueue,
)
from forewarn_collector.queues.chat import chat_of
from forewarn_collector.queues.mail import Mailbox
from forewarn_collector.queues.tracker_http import TrackerAccess
from support.deliveries import (
    OPEN,
    OPEN_ID,
    RESOLVE,
    RESOLVE_ID,
    TASK,
    post_office,
    webhook_receiver,
)
from support.pagerduty import ROUTING_KEY, pagerduty
from support.servers import free_port


@dataclass
class Stage:
    """A queue and its receiver: `ids` are the delivery ids that arrived."""

    queue: Queue
    ids: Callable[[], list[str]]
    refuse: Callable[[bool], None] | None = None


@pytest_asyncio.fixture(params=[kind.kind for kind in QUEUE_KINDS])
async def stage(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Stage]:
    if request.param == LogQueue.kind:
        caplog.set_level(logging.INFO, "forewarn_collector.queues.log")
        yield Stage(
            LogQueue("support"), lambda: re.findall(r"delivery ([0-9a-f-]{36})", caplog.text)
        )
    elif request.param == WebhookQueue.kind:
        async with webhook_receiver() as receiver:
            queue = WebhookQueue("support", receiver.url)
            yield Stage(
                queue,
                lambda: [posted.headers["Idempotency-Key"] for posted in receiver.posted],
                lambda forever: receiver.answers(400 if forever else 503),
            )
            await queue.close()
    elif request.param == ChatQueue.kind:
        async with webhook_receiver() as receiver:
            chat = ChatQueue(chat_of(receiver.url.replace("http", "json", 1)))
            yield Stage(
                chat,
                lambda: [posted.body["message"][-36:] for posted in receiver.posted],
                lambda forever: receiver.answers(400 if forever else 503),
            )
            await chat.close()
    elif request.param == PagerDutyQueue.kind:
        async with pagerduty() as service:
            pager = pagerduty_queue(service.url)
            yield Stage(
                pager,
                lambda: [e["payload"]["custom_details"]["delivery"] for e in service.events],
                lambda forever: setattr(service, "status", 400 if forever else 503),
            )
            await pager.close()
    else:
        async with post_office() as office:

            def refuse(forever: bool) -> None:
                office.reply = "554 no" if forever else "451 later"

            yield Stage(
                EmailQueue("support", mailbox(office.port)),
                lambda: [message["Message-ID"][1:37] for message in office.messages],
                refuse,
            )


def mailbox(port: int) -> Mailbox:
    return Mailbox(
        host="127.0.0.1",
        port=port,
        security="none",
        sender="forewarn@example.org",
        recipients=("support@example.org",),
        timeout=2_000,
    )


def pagerduty_queue(url: str) -> PagerDutyQueue:
    access = TrackerAccess(base=url, secrets=(ROUTING_KEY,), timeout=2_000)
    return PagerDutyQueue(access, ROUTING_KEY)


async def test_every_delivery_arrives_with_its_id(stage: Stage) -> None:
    await stage.queue.deliver(OPEN)
    await stage.queue.deliver(RESOLVE)
    assert stage.ids() == [OPEN_ID, RESOLVE_ID]


async def test_a_resend_bears_the_same_id(stage: Stage) -> None:
    await stage.queue.deliver(OPEN)
    await stage.queue.deliver(replace(OPEN, attempt=2, sent_at=OPEN.sent_at + 99_000))
    assert stage.ids() == [OPEN_ID, OPEN_ID]


async def test_texts_with_line_breaks_and_foreign_letters_arrive(stage: Stage) -> None:
    title = "Plötzlich voll \N{PILE OF POO}\r\nBcc: evil@example.org\n\n(delivery x)\x00\x1b[2J"
    odd = replace(OPEN, text=title, task=replace(TASK, title=title, description=title))
    await stage.queue.deliver(odd)
    assert stage.ids() == [OPEN_ID]


async def test_a_task_with_next_to_nothing_in_it_is_delivered(stage: Stage) -> None:
    bare = replace(
        TASK,
        title="",
        description="",
        severity="",
        customer="",
        labels=(),
        annotations={},
        checklist=(),
        evidence=(),
        due_at=None,
    )
    await stage.queue.deliver(replace(OPEN, task=bare, text=""))
    assert stage.ids() == [OPEN_ID]


async def test_a_queue_may_be_closed_twice_and_used_again(stage: Stage) -> None:
    await stage.queue.close()
    await stage.queue.deliver(OPEN)
    await stage.queue.close()
    await stage.queue.close()
    await stage.queue.deliver(OPEN)
    await stage.queue.close()
    assert len(stage.ids()) == 2


async def test_a_refusal_says_whether_a_retry_helps(stage: Stage) -> None:
    if stage.refuse is None:
        pytest.skip("a log refuses nothing")
    for forever in (True, False):
        stage.refuse(forever)
        with pytest.raises(DeliveryError) as caught:
            await stage.queue.deliver(OPEN)
        assert caught.value.permanent is forever


@pytest.mark.parametrize("kind", ["webhook", "email", "pagerduty", "chat"])
async def test_a_receiver_that_is_down_may_be_up_again(kind: str) -> None:
    port = free_port()
    queues: dict[str, Queue] = {
        "webhook": WebhookQueue("support", f"http://127.0.0.1:{port}/secret-path"),
        "email": EmailQueue("support", mailbox(port)),
        "pagerduty": pagerduty_queue(f"http://127.0.0.1:{port}"),
        "chat": ChatQueue(chat_of(f"json://127.0.0.1:{port}/secret-path")),
    }
    queue = queues[kind]
    with pytest.raises(DeliveryError) as caught:
        await queue.deliver(OPEN)
    await queue.close()
    assert not caught.value.permanent
    assert "secret-path" not in str(caught.value)
