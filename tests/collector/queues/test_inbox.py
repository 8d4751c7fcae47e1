"""The mailbox of answers, on a real IMAP server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.inbox import Inbox, InboxAccess
from forewarn_collector.queues.mail_replies import LARGEST, NoReplyError, read_reply
from support.dovecot import PASSWORD, ImapServer, imap_server
from support.servers import free_port


@pytest.fixture(scope="module")
def server() -> Iterator[ImapServer]:
    with imap_server() as running:
        yield running


@pytest.fixture
def access(server: ImapServer) -> InboxAccess:
    return InboxAccess(
        host="127.0.0.1",
        port=server.port,
        username="forewarn",
        password=PASSWORD.encode(),
        security="none",
    )


def test_mails_stay_unread_until_they_are_taken(server: ImapServer, access: InboxAccess) -> None:
    inbox = Inbox(access)
    assert inbox.unread() == []
    for number in range(3):
        server.put(f"Subject: {number}\n\nmail {number}\n".encode())
    letters = inbox.unread()
    assert [letter.content.split()[1] for letter in letters] == [b"0", b"1", b"2"]
    assert inbox.unread() == letters
    inbox.read(letters[:2])
    assert inbox.unread() == letters[2:]
    inbox.read(letters[2:])
    assert server.unread() == 0


def test_of_a_large_mail_only_the_start_is_fetched(server: ImapServer, access: InboxAccess) -> None:
    server.put(b"Subject: large\n\n" + b"x" * 70 * 30_000)
    [letter] = Inbox(access).unread()
    assert len(letter.content) == LARGEST + 1
    with pytest.raises(NoReplyError, match="bytes"):
        read_reply(letter.content)
    Inbox(access).read([letter])


def test_a_wrong_password_and_folder_are_said_without_showing_any_secret(
    access: InboxAccess,
) -> None:
    wrong = replace(access, password=b"not-this-one")
    with pytest.raises(DeliveryError, match=r"(?i)auth") as caught:
        Inbox(wrong).unread()
    assert "not-this-one" not in str(caught.value)
    assert (caught.value.permanent, caught.value.whole_queue) == (False, True)
    with pytest.raises(DeliveryError, match="Nowhere"):
        Inbox(replace(access, folder="Nowhere")).unread()


def test_a_server_that_is_down_is_tried_again(access: InboxAccess) -> None:
    with pytest.raises(DeliveryError, match="no mailbox at") as caught:
        Inbox(replace(access, port=free_port())).unread()
    assert not caught.value.permanent
