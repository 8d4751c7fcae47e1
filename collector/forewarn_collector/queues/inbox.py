"""A mailbox by IMAP: the mails in it that nobody has read.

A mail counts as read (`\\Seen`) once it was taken, so a collector that is killed in between finds
it again; whoever takes it must know it then. Source: RFC 3501.
"""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from forewarn_collector.config_urls import is_loopback
from forewarn_collector.queues.base import DeliveryError, read_secret, read_timeout
from forewarn_collector.queues.mail_access import read_port, read_tls
from forewarn_collector.queues.mail_replies import LARGEST
from forewarn_wire.document import Section
from forewarn_wire.readers import duration, one_of, text

_PORTS = {"starttls": 143, "tls": 993, "none": 143}
_TIMEOUT = 20_000
_POLL = 60_000
_SHORTEST_POLL = 5_000
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it is in the mailbox; at most a little more than `LARGEST` bytes of it."""

    uid: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxAccess:
    """Where the mailbox is. `timeout` and `poll`, how often to look, in ms."""

    host: str
    port: int
    username: str
    password: bytes
    security: str = "tls"
    folder: str = "INBOX"
    tls: ssl.SSLContext | None = None
    timeout: int = _TIMEOUT
    poll: int = _POLL


def read_inbox(section: Section, environ: Mapping[str, str]) -> InboxAccess | None:
    """Read `host`, `port`, `security`, `username`, `password_file` or `password: env:NAME`,
    `ca_file`, `folder`, `timeout` and `poll`; None where they can't be, with the problems told."""
    before = len(section.problems)
    security = section.take("security", one_of(*_PORTS), "tls")
    access = InboxAccess(
        host=section.require("host", text, ""),
        port=section.take("port", read_port, _PORTS[security]),
        username=section.require("username", text, ""),
        password=read_secret(section, "password", environ),
        security=security,
        folder=section.take("folder", text, "INBOX"),
        tls=read_tls(section) if security != "none" else None,
        timeout=section.take("timeout", read_timeout, _TIMEOUT),
        poll=section.take("poll", _poll, _POLL),
    )
    section.refuse_unknown()
    if not access.password and len(section.problems) == before:
        section.problem("", "the mailbox needs a password", "password: file:PATH or env:VARIABLE")
    if security == "none" and not is_loopback(access.host):
        hint = "use security: tls or starttls"
        section.problem("security", "the password would travel in the clear", hint)
    return access if len(section.problems) == before else None


class Inbox:
    """The mailbox. Every method takes a connection of its own, blocks, and may raise
    DeliveryError."""

    def __init__(self, access: InboxAccess) -> None:
        self.access = access

    def unread(self) -> list[Letter]:
        """The oldest of the mails that are not read, at most a hundred."""
        with self._opened() as server:
            found = _ok(server.uid("SEARCH", "UNSEEN"))
            uids = (found[0] or b"").split()[:_AT_ONCE]
            return [Letter(uid.decode(), _content(server, uid.decode())) for uid in uids]

    def read(self, letters: list[Letter]) -> None:
        """Say of these that they are read."""
        if not letters:
            return
        with self._opened() as server:
            uids = ",".join(letter.uid for letter in letters)
            _ok(server.uid("STORE", uids, "+FLAGS.SILENT", r"(\Seen)"))

    @contextmanager
    def _opened(self) -> Iterator[imaplib.IMAP4]:
        access = self.access
        try:
            server = _connected(access)
            try:
                server.login(access.username, access.password.decode("utf-8", "replace"))
                quoted = access.folder.replace("\\", "\\\\").replace('"', '\\"')
                _ok(server.select(f'"{quoted}"'))
                yield server
            finally:
                try:
                    server.logout()
                except (imaplib.IMAP4.error, OSError):
                    server.shutdown()
        except imaplib.IMAP4.error as error:
            said = f"the mailbox refuses: {error}".replace(_secret(access), "***")
            raise DeliveryError(said, permanent=False, whole_queue=True) from error
        except OSError as error:
            said = f"no mailbox at {access.host}:{access.port}: {error}"
            raise DeliveryError(said, permanent=False, whole_queue=True) from error


def _connected(access: InboxAccess) -> imaplib.IMAP4:
    seconds = access.timeout / 1000
    if access.security == "tls":
        return imaplib.IMAP4_SSL(access.host, access.port, ssl_context=access.tls, timeout=seconds)
    server = imaplib.IMAP4(access.host, access.port, timeout=seconds)
    if access.security == "starttls":
        server.starttls(access.tls)
    return server


def _content(server: imaplib.IMAP4, uid: str) -> bytes:
    # PEEK leaves it unread; a byte more than is ever read tells a large one.
    found = _ok(server.uid("FETCH", uid, f"(BODY.PEEK[]<0.{LARGEST + 1}>)"))
    parts = (part[1] for part in found if isinstance(part, tuple))
    return next((part for part in parts if isinstance(part, bytes)), b"")


def _ok(answer: tuple[str, Any]) -> list[Any]:
    """What a server answered. Raises its refusal."""
    status, found = answer
    if status != "OK":
        said = b" ".join(each for each in found if isinstance(each, bytes))
        raise imaplib.IMAP4.error(said.decode("utf-8", "replace"))
    return list(found)


def _secret(access: InboxAccess) -> str:
    # An empty one is in every text.
    return access.password.decode("utf-8", "replace") or "\0"


def _poll(value: object) -> int:
    milliseconds = duration(value)
    if milliseconds < _SHORTEST_POLL:
        raise ValueError(f"expected at least 5s, found {value!r}")
    return milliseconds
