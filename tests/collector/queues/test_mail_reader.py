"""Answers by mail reach the task, once: from a real mailbox, on each database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from forewarn_collector.queues import EmailQueue, QueueWorkers
from forewarn_collector.queues.inbox import Inbox, InboxAccess
from forewarn_collector.queues.mail import Mailbox
from forewarn_collector.queues.mail_reader import MailReader, MailReaders, take_reply
from forewarn_collector.queues.mail_replies import NoReplyError, Reply, read_reply
from forewarn_collector.queues.worker import BackOff
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import AuditLog, Outbox, TaskQueries, TimelineKind
from forewarn_collector.tasks.replies import Replies
from forewarn_collector.tasks.service import BySeverity
from support.alerts import T0, Desk, alert_of, change, rule_of
from support.deliveries import post_office
from support.dovecot import PASSWORD, ImapServer, imap_server
from support.servers import free_port
from support.waiting import wait_until

NOW = T0 + 60_000


@pytest.fixture(scope="module")
def server() -> Iterator[ImapServer]:
    with imap_server() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    rule = rule_of(queue="mail")
    desk.apply(change(rule, alert_of(rule, {"instance": "a"}), AlertState.FIRING, T0))
    yield desk
    desk.close()


def inbox_of(server: ImapServer) -> Inbox:
    return Inbox(
        InboxAccess(
            host="127.0.0.1",
            port=server.port,
            username="forewarn",
            password=PASSWORD.encode(),
            security="none",
            poll=5_000,
        )
    )


def replies_of(desk: Desk) -> Replies:
    return Replies(desk.ledger, lambda _: None, BySeverity())


def answer_to(message_id: str, text: str = "It was the log.", number: int = 1) -> bytes:
    mail = EmailMessage()
    mail["From"] = "Ann <ann@example.org>"
    mail["Message-ID"] = f"<{number}@example.org>"
    mail["In-Reply-To"] = message_id
    mail.set_content(f"{text}\n\nOn Monday Forewarn wrote:\n> It fires.\n")
    return mail.as_bytes()


def delivered_id(desk: Desk) -> str:
    [delivery] = Outbox(desk.ledger).due_deliveries("mail", NOW, 10)
    return f"<{delivery.id}@example.org>"


def remarks(desk: Desk) -> list[tuple[str, str]]:
    task = TaskQueries(desk.ledger).one("FW-1")
    assert task is not None
    found = [entry for entry in task.timeline if entry.kind is TimelineKind.COMMENT]
    return [(entry.who, entry.text) for entry in found]


def test_an_answer_is_a_remark_of_the_task_and_comes_once(desk: Desk) -> None:
    replies = replies_of(desk)
    mail = answer_to(delivered_id(desk))
    for _ in range(2):
        assert take_reply(replies, "mail", mail, NOW) == "FW-1"
    assert remarks(desk) == [("ann@example.org (mail)", "It was the log.")]
    entry = AuditLog(desk.ledger).list(limit=1)[0]
    assert (entry.who, entry.role, entry.object) == ("ann@example.org (mail)", "queue", "FW-1")


def test_the_queue_that_it_came_from_is_not_told_of_it(desk: Desk) -> None:
    take_reply(
        replies_of(desk),
        "mail",
        answer_to(delivered_id(desk)),
        NOW,
    )
    assert [each.revision for each in Outbox(desk.ledger).statuses()] == [1]


def test_an_answer_to_another_queue_or_to_nobody_is_left_alone(desk: Desk) -> None:
    replies = replies_of(desk)
    for queue, about in (("other", delivered_id(desk)), ("mail", f"<{'0' * 8}-0000-0000@x>")):
        with pytest.raises(NoReplyError):
            take_reply(replies, queue, answer_to(about), NOW)
    unknown = "<00000000-0000-5000-8000-000000000000@example.org>"
    with pytest.raises(NoReplyError, match="this collector"):
        take_reply(replies, "mail", answer_to(unknown), NOW)
    assert remarks(desk) == []


def test_a_reader_that_dies_before_it_marks_a_mail_takes_it_once(
    desk: Desk, server: ImapServer
) -> None:
    server.put(answer_to(delivered_id(desk)))
    server.put(b"From: x@example.org\nSubject: an advertisement\n\nBuy.\n")
    inbox, replies = inbox_of(server), replies_of(desk)
    for letter in inbox.unread()[:1]:
        take_reply(replies, "mail", letter.content, NOW)
    reader = MailReader("mail", inbox, replies, lambda: NOW, BackOff())
    reader.look()
    assert len(remarks(desk)) == 1
    assert server.unread() == 0


async def test_a_message_goes_out_and_its_answer_comes_back(desk: Desk, server: ImapServer) -> None:
    async with post_office() as office:
        box = Mailbox(
            host="127.0.0.1",
            port=office.port,
            security="none",
            sender="forewarn@example.org",
            recipients=("support@example.org",),
        )
        queues = {"mail": EmailQueue("mail", box, inbox_of(server))}
        workers = QueueWorkers(desk.ledger, queues, lambda: NOW)
        readers = MailReaders(replies_of(desk), queues, lambda: NOW)
        await workers.start()
        await asyncio.to_thread(wait_until, "the message is out", lambda: office.messages)
        server.put(answer_to(str(office.messages[0]["Message-ID"]), "On it."))
        await readers.start()
        await asyncio.to_thread(wait_until, "the answer is in", lambda: remarks(desk))
        await readers.stop()
        await workers.stop()
        assert len(office.messages) == 1
    assert remarks(desk) == [("ann@example.org (mail)", "On it.")]


async def test_a_mailbox_that_is_down_says_so_and_is_tried_again(tmp_path: Path) -> None:
    access = InboxAccess(
        host="127.0.0.1", port=free_port(), username="x", password=b"y", security="none"
    )
    box = Mailbox(host="127.0.0.1", sender="a@b", recipients=("c@d",))
    desk = Desk(tmp_path)
    try:
        readers = MailReaders(
            replies_of(desk),
            {"mail": EmailQueue("mail", box, Inbox(access))},
            lambda: NOW,
            BackOff(first=10, most=20),
        )
        await readers.start()
        await asyncio.to_thread(wait_until, "it is said", lambda: readers.pauses())
        await readers.stop()
        assert "no mailbox at 127.0.0.1" in readers.pauses()["mail"].why
    finally:
        desk.close()


def test_a_mail_that_we_fail_with_keeps_no_other_from_being_read(
    desk: Desk, server: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = delivered_id(desk)
    server.put(answer_to(about, "first", 11))
    server.put(answer_to(about, "second", 12))

    def read(content: bytes) -> Reply:
        if b"first" in content:
            raise RecursionError("a fault of ours")
        return read_reply(content)

    monkeypatch.setattr("forewarn_collector.queues.mail_reader.read_reply", read)
    MailReader("mail", inbox_of(server), replies_of(desk), lambda: NOW, BackOff()).look()
    assert [text for _, text in remarks(desk)] == ["second"]
    assert server.unread() == 0
