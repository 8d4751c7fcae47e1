"""Answers by mail: what a person wrote, and about which of our messages."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forewarn_collector.queues.mail_replies import NoReplyError, Reply, read_reply, remark_of
from support.deliveries import OPEN_ID, RESOLVE_ID


def mail(text: str = "It is the log.", html: str = "", **headers: str) -> bytes:
    message = EmailMessage()
    named = {
        "From": "Ann Example <ann@example.org>",
        "To": "forewarn@example.org",
        "Subject": "Re: [FW-17] / on a fills",
        "Message-ID": "<1@example.org>",
        "In-Reply-To": f"<{OPEN_ID}@example.org>",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    for name, value in named.items():
        if value:
            message[name] = value
    if text or not html:
        message.set_content(text)
    if html and text:
        message.add_alternative(html, subtype="html")
    elif html:
        message.set_content(html, subtype="html")
    return message.as_bytes()


def test_a_reply_says_who_what_and_about_what() -> None:
    assert read_reply(mail()) == Reply(
        "<1@example.org>", (OPEN_ID,), "ann@example.org", "It is the log."
    )


def test_the_nearest_of_the_messages_that_it_answers_comes_first() -> None:
    thread = f"<x@y> <{OPEN_ID}@example.org>\r\n <{RESOLVE_ID}@example.org>"
    found = read_reply(mail(In_Reply_To="<else@where>", References=thread.replace("\r\n", "")))
    assert found.about == (RESOLVE_ID, OPEN_ID)


@pytest.mark.parametrize(
    "quoted",
    [
        "On Sat, Nov 28, 2026 at 10:00 PM Forewarn <forewarn@example.org> wrote:\n> open: It fires",
        "On Sat, Nov 28, 2026 at 10:00 PM Forewarn\n<forewarn@example.org> wrote:\n> open",
        "Am 28.11.2026 um 22:00 schrieb Forewarn:\n> open: It fires",
        "-----Original Message-----\nFrom: Forewarn\nopen: It fires",
        "> open: It fires",
        "-- \nAnn Example, Acme",
        "________________________________\nFrom: Forewarn <f@example.org>\nSent: now",
    ],
)
def test_what_it_quotes_and_a_signature_are_left_out(quoted: str) -> None:
    assert remark_of(f"Rotated it.\n\nAsk me again on Monday.\n\n{quoted}\n") == (
        "Rotated it.\n\nAsk me again on Monday."
    )


def test_a_remark_between_what_it_quotes_stays() -> None:
    assert remark_of("> which log?\nThe old one.\n> since when?\nMonday.") == (
        "The old one.\nMonday."
    )


def test_html_alone_is_read_as_text() -> None:
    found = read_reply(
        mail(
            text="",
            html="<style>p{}</style><p>Rotated &amp; gone</p><div>Done</div>"
            "<blockquote>open: It fires</blockquote>",
        )
    )
    assert found.text == "Rotated & gone\nDone"


@pytest.mark.parametrize(
    ("said", "headers", "text"),
    [
        ("answers no message", {"In_Reply_To": "<a@b>"}, "x"),
        ("a program wrote it", {"Auto_Submitted": "auto-replied"}, "x"),
        ("a program wrote it", {"Precedence": "bulk"}, "x"),
        ("who wrote it", {"From": ""}, "x"),
        ("nothing in it is new", {}, "> open: It fires\n-- \nAnn"),
    ],
)
def test_what_is_no_persons_answer_is_said_to_be_none(
    said: str, headers: dict[str, str], text: str
) -> None:
    with pytest.raises(NoReplyError, match=said):
        read_reply(mail(text, **headers))


def test_a_mail_without_an_id_of_its_own_is_known_by_its_content() -> None:
    first, second = read_reply(mail(Message_ID="")), read_reply(mail("Other.", Message_ID=""))
    assert first.id == read_reply(mail(Message_ID="")).id != second.id


def test_a_large_mail_is_not_read() -> None:
    with pytest.raises(NoReplyError, match="bytes"):
        read_reply(b"x" * ((1 << 20) + 1))


@given(st.binary(max_size=2_000))
@example(b"")
def test_any_bytes_are_a_reply_or_our_error(tail: bytes) -> None:
    for content in (
        tail,
        b"In-Reply-To: <" + OPEN_ID.encode() + b"@x>\nFrom: a@b\n" + tail,
        b"In-Reply-To: <" + OPEN_ID.encode() + b"@x>\nFrom: a@b\nContent-Type: " + tail,
        mail()[:-1] + tail,
    ):
        try:
            found = read_reply(content)
        except NoReplyError:
            continue
        assert found.about
        assert found.text
