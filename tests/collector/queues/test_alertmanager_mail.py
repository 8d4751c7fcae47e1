"""E-mails of an alertmanager.yml's receiver: what its templates say, and what they do not."""

from __future__ import annotations

from dataclasses import replace
from email.message import EmailMessage

import pytest

from forewarn_collector.notifications import NotifiedAlert, Templates
from forewarn_collector.queues import DeliveryError, Queue, queues_of_receivers
from forewarn_collector.silencing import read_alertmanager_file
from support.alerts import T0
from support.deliveries import OPEN, RESOLVE, post_office

ALERT = NotifiedAlert((("alertname", "DiskFull"), ("team", "web\r\nBcc: x@example.org")), (), T0)
OPENED = replace(OPEN, alerts=(ALERT,))
ENDED = replace(RESOLVE, alerts=(replace(ALERT, ends_at=T0 + 60_000),))


def queue_of(port: int, email: str) -> Queue:
    text = f"""
global: {{smtp_smarthost: '127.0.0.1:{port}', smtp_from: am@example.org, smtp_require_tls: false}}
route: {{receiver: mail, group_by: [alertname]}}
receivers: [{{name: mail, email_configs: [{{{email}}}]}}]
"""
    file = read_alertmanager_file(text, "am.yml")
    assert file.problems == ()
    return queues_of_receivers(file, Templates.default(), "https://fw.example.org")["mail"]


async def sent(email: str) -> list[EmailMessage]:
    """What arrives of an opening and an end."""
    async with post_office() as office:
        queue = queue_of(office.port, email)
        await queue.deliver(OPENED)
        await queue.deliver(ENDED)
        return office.messages


async def test_without_templates_the_letter_is_our_own() -> None:
    opened, ended = await sent("to: a@example.org")
    assert opened["Subject"] == "[FW-17] high: / on a fills"
    assert ended["In-Reply-To"] == opened["Message-ID"]
    assert [part.get_content_type() for part in opened.walk()][:3] == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
    ]


async def test_an_end_is_not_told_where_the_receiver_does_not_want_it() -> None:
    assert len(await sent("to: a@example.org, send_resolved: false")) == 1


async def test_a_page_that_is_empty_is_none_and_a_header_stays_one_line() -> None:
    opened, _ = await sent(
        "to: a@example.org, html: '', text: 'T {{ .Status }}',"
        " headers: {subject: 'S {{ .CommonLabels.team }}', To: ops}"
    )
    assert opened.get_content_type() == "text/plain"
    assert opened.get_content().rstrip() == "T firing"
    assert (opened["Subject"], opened["To"]) == ("S web Bcc: x@example.org", "ops")
    assert opened["Bcc"] is None


@pytest.mark.parametrize("to", ["{{ .CommonLabels.owner }}", "{{ .Nothing }}", "nobody"])
async def test_a_message_without_an_address_is_given_up(to: str) -> None:
    with pytest.raises(DeliveryError, match=r"^to") as refused:
        await sent(f"to: '{to}'")
    assert refused.value.permanent
