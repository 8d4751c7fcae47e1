"""A queue that is an e-mail address: a task is a thread, its open the first message.

A message's `Message-ID` is made from the delivery's id and the same at every attempt, so a mail
program shows a resend once; later messages name the first in `In-Reply-To` and `References`.
It is text and HTML of the same content, with a plot where there is evidence to plot.
"""

from __future__ import annotations

import email.policy
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any, ClassVar

import aiosmtplib

from forewarn_collector.config_urls import is_loopback
from forewarn_collector.queues.base import DeliveryError, read_secret, read_timeout
from forewarn_collector.queues.inbox import Inbox, read_inbox
from forewarn_collector.queues.letter import letter_html, letter_plot, letter_text, plot_name
from forewarn_collector.queues.mail_access import read_port, read_tls
from forewarn_collector.tasks import Delivery
from forewarn_wire.document import Section
from forewarn_wire.readers import one_of, text, texts

log = logging.getLogger(__name__)

_TIMEOUT = 20_000
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_SUBJECT_LENGTH = 200
_LONGEST_SUBJECT = 900
"""Of one that is not ours: a line of a message may have 998 letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """Which server sends, how, from whom and to whom. `timeout` in ms.

    `security` is `starttls` (and nothing without it), `tls`, or `none`.
    """

    host: str
    sender: str
    recipients: tuple[str, ...]
    port: int = 587
    security: str = "starttls"
    username: str = ""
    password: bytes = b""
    tls: ssl.SSLContext | None = None
    timeout: int = _TIMEOUT


@dataclass(frozen=True, slots=True)
class Words:
    """What a message says in words that are not ours; None where they are ours.

    An empty `html` is none at all. `headers` are more of them, From and To may be among them.
    """

    subject: str | None = None
    text: str | None = None
    html: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class EmailQueue:
    """Sends each delivery as one message, over a connection of its own."""

    kind: ClassVar[str] = "email"

    def __init__(self, name: str, mailbox: Mailbox, inbox: Inbox | None = None) -> None:
        self._name = name
        self._mailbox = mailbox
        self.inbox = inbox
        """Where answers come to; None where nobody is to look for any."""

    @classmethod
    def from_section(
        cls, name: str, section: Section, environ: Mapping[str, str]
    ) -> EmailQueue | None:
        """Read `host`, `port`, `security`, `username`, `password_file` or `password: env:NAME`,
        `ca_file`, `from`, `to`, `timeout`, and `replies`, for which see `inbox.py`."""
        before = len(section.problems)
        security = section.take("security", one_of(*_PORTS), "starttls")
        mailbox = Mailbox(
            host=section.require("host", text, ""),
            port=section.take("port", read_port, _PORTS[security]),
            security=security,
            username=section.take("username", text, ""),
            password=read_secret(section, "password", environ),
            tls=read_tls(section) if security != "none" else None,
            sender=section.require("from", _address, ""),
            recipients=section.require("to", _addresses, ()),
            timeout=section.take("timeout", read_timeout, _TIMEOUT),
        )
        if bool(mailbox.username) != bool(mailbox.password):
            section.problem("", "username and password belong together", "give both or neither")
        if mailbox.username and security == "none" and not is_loopback(mailbox.host):
            hint = "use security: starttls or tls"
            section.problem("username", "the password would travel in the clear", hint)
        replies = section.section("replies")
        access = read_inbox(replies, environ) if replies is not None else None
        if len(section.problems) > before:
            return None
        return cls(name, mailbox, None if access is None else Inbox(access))

    async def deliver(self, delivery: Delivery) -> str | None:
        """Send the message; returns its Message-ID."""
        box = self.mailbox_of(delivery)
        message = self.compose(delivery, box)
        client = aiosmtplib.SMTP(
            hostname=box.host,
            port=box.port,
            timeout=box.timeout / 1000,
            use_tls=box.security == "tls",
            start_tls=box.security == "starttls",
            tls_context=box.tls,
            username=box.username or None,
            password=box.password or None,
        )
        try:
            async with client:
                refused, _ = await client.send_message(
                    message, sender=box.sender, recipients=list(box.recipients)
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            answers = error.recipients
            raise DeliveryError(
                "; ".join(f"{a.recipient}: {a.code} {a.message}" for a in answers),
                permanent=all(answer.code >= 500 for answer in answers),
            ) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            # It says nothing of this message: once the password is mended, it can go.
            raise DeliveryError(f"login refused: {_said(error)}", permanent=False) from error
        except aiosmtplib.SMTPConnectError as error:
            raise DeliveryError(f"no connection: {error}", permanent=False) from error
        except aiosmtplib.SMTPResponseException as error:
            raise DeliveryError(_said(error), permanent=error.code >= 500) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            text_ = str(error) or type(error).__name__
            raise DeliveryError(f"not sent: {text_}", permanent=False) from error
        for address, answer in refused.items():
            log.warning("queue %s: %s was refused: %s", self._name, address, answer)
        return str(message["Message-ID"])

    def mailbox_of(self, delivery: Delivery) -> Mailbox:
        """From where and to whom a delivery goes. Raises DeliveryError."""
        return self._mailbox

    def compose(self, delivery: Delivery, mailbox: Mailbox) -> EmailMessage:
        """The message of a delivery, the same at every attempt."""
        return compose(delivery, mailbox)

    async def close(self) -> None:
        """Nothing is held open between messages."""


def compose(delivery: Delivery, mailbox: Mailbox, words: Words | None = None) -> EmailMessage:
    """The message of a delivery, the same at every attempt; `words` stand for our own."""
    words = words or Words()
    task = delivery.task
    message = EmailMessage(policy=email.policy.SMTP)
    reply = delivery.id != delivery.thread_id
    severity = f"{task.severity}: " if task.severity else ""
    subject = _one_line(f"[{task.number}] {severity}{task.title}")[:_SUBJECT_LENGTH]
    if words.subject is not None:
        message["Subject"] = _one_line(words.subject)[:_LONGEST_SUBJECT]
    else:
        message["Subject"] = f"Re: {subject}" if reply else subject
    shown = {"From": mailbox.sender, "To": ", ".join(mailbox.recipients)}
    for name, value in (shown | dict(words.headers)).items():
        message[name] = _one_line(value)
    message["Date"] = _when(delivery.created_at)
    message["Message-ID"] = _message_id(delivery.id, mailbox.sender)
    if reply:
        first = _message_id(delivery.thread_id, mailbox.sender)
        message["In-Reply-To"] = first
        message["References"] = first
    # Out-of-office programs keep silent on it (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message["X-Forewarn-Task"] = task.number
    message["X-Forewarn-Action"] = delivery.action.value
    message.set_content(letter_text(delivery) if words.text is None else words.text)
    if words.html is not None:
        if words.html:
            message.add_alternative(words.html, subtype="html")
        _fix_boundaries(message, delivery.id)
        return message
    plot = letter_plot(delivery)
    picture = _message_id(f"plot.{delivery.id}", mailbox.sender)
    image = None if plot is None else f"cid:{picture[1:-1]}"
    message.add_alternative(letter_html(delivery, image), subtype="html")
    if plot is not None:
        _, html = message.iter_parts()
        html.add_related(
            plot.encode(),
            "image",
            "svg+xml",
            cid=picture,
            filename=plot_name(delivery),
            disposition="inline",
        )
    _fix_boundaries(message, delivery.id)
    return message


def _fix_boundaries(message: EmailMessage, delivery_id: str) -> None:
    """Make the lines between the parts the same at every attempt; text can't contain them."""
    several = (part for part in message.walk() if part.is_multipart())
    for number, part in enumerate(several):
        part.set_boundary(f"=_{delivery_id}.{number}")


def _message_id(delivery_id: str, sender: str) -> str:
    return f"<{delivery_id}@{parseaddr(sender)[1].rpartition('@')[2]}>"


def _when(at: int) -> datetime:
    return datetime.fromtimestamp(at // 1000, UTC)


def _one_line(value: str) -> str:
    # A line break in a header would begin another header.
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())


def _said(error: aiosmtplib.SMTPResponseException) -> str:
    return f"{error.code} {error.message}"


def _address(value: Any) -> str:
    written = text(value)
    name, address = parseaddr(written)
    try:
        if not address.rpartition("@")[0]:
            raise ValueError("no @")
        return str(Address(display_name=name, addr_spec=address))
    except (ValueError, IndexError) as error:
        raise ValueError(f"expected an address such as support@example.org: {value!r}") from error


def _addresses(value: Any) -> tuple[str, ...]:
    found = tuple(_address(item) for item in texts(value))
    if not found:
        raise ValueError("expected at least one address")
    return found
