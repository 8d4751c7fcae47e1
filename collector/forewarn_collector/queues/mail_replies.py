"""What a person wrote in answer to a message of ours: a mail as bytes, the remark in it as a value.

Which task it is about is told by the ids that our messages bear (RFC 5322 `In-Reply-To` and
`References`); those are made from the ledger's own secret id, so that nobody can guess one. What is
quoted, a signature, and the mails of programs (RFC 3834) are left out.
"""

from __future__ import annotations

import email.policy
import hashlib
import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr

from forewarn_collector.queues.html_text import text_of_html

LARGEST = 1 << 20
"""Bytes of a mail that is read at all."""
_LONGEST = 10_000
_OURS = re.compile(r"<([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@[^<>\s]*>")
_ATTRIBUTION = re.compile(
    r"^(?:On\b.*\bwrote|Am\b.*\bschrieb\b.*|Le\b.*a écrit\s?|El\b.*escribió|Il\b.*ha scritto"
    r"|-+ ?(?:Original Message|Ursprüngliche Nachricht) ?-+|_{20,}|From: .*)\s?:?$",
    re.IGNORECASE,
)


class NoReplyError(Exception):
    """A mail that is no person's answer to us; the message says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A remark that came by mail.

    `id` is the mail's own, so that the same mail again is known; `about` are the ids of deliveries
    that it answers, the nearest first; `who` is the address that it says it is from.
    """

    id: str
    about: tuple[str, ...]
    who: str
    text: str


def read_reply(content: bytes) -> Reply:
    """The remark in a mail. Raises NoReplyError."""
    if len(content) > LARGEST:
        raise NoReplyError(f"it has {len(content)} bytes; {LARGEST} is the most")
    parser = BytesParser(EmailMessage, policy=email.policy.default)
    message = parser.parsebytes(content)
    about = _about(message)
    if not about:
        raise NoReplyError("it answers no message of ours")
    if _is_automatic(message):
        raise NoReplyError("a program wrote it")
    who = parseaddr(_header(message, "From"))[1]
    if not who:
        raise NoReplyError("it does not say who wrote it")
    text = remark_of(_text(message))
    if not text:
        raise NoReplyError("nothing in it is new")
    given = _header(message, "Message-ID").strip()
    return Reply(given or hashlib.sha256(content).hexdigest(), about, who, text)


def remark_of(text: str) -> str:
    """What is new in a mail's text: without what it quotes, and without a signature."""
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.rstrip("\n") in ("-- ", "--"):
            break
        if _ATTRIBUTION.match(line.strip()) or _ATTRIBUTION.match(_last_two(lines, line)):
            break
        if not line.startswith(">"):
            lines.append(line.rstrip())
    found = "\n".join(lines).strip()
    found = re.sub(r"\n{3,}", "\n\n", found)
    return found if len(found) <= _LONGEST else found[: _LONGEST - 1] + "…"


def _last_two(lines: list[str], line: str) -> str:
    """An attribution that a mail program broke in two: `On Monday Ann` and `wrote:`."""
    if lines and lines[-1] and line.rstrip().endswith(":"):
        joined = f"{lines[-1]} {line}".strip()
        if _ATTRIBUTION.match(joined):
            lines.pop()
        return joined
    return ""


def _about(message: EmailMessage) -> tuple[str, ...]:
    answered = _OURS.findall(_header(message, "In-Reply-To"))
    thread = _OURS.findall(_header(message, "References"))
    return tuple(dict.fromkeys([*answered, *reversed(thread)]))[:20]


def _is_automatic(message: EmailMessage) -> bool:
    said = _header(message, "Auto-Submitted").strip().lower()
    if said not in ("", "no"):
        return True
    precedence = _header(message, "Precedence").strip().lower()
    if precedence in {"bulk", "junk", "list", "auto_reply"}:
        return True
    return message.get_content_type() == "multipart/report" or bool(
        _header(message, "X-Auto-Response-Suppress") and _header(message, "X-Autoreply")
    )


def _header(message: EmailMessage, name: str) -> str:
    """A header's value, of any mail: some have headers that no library can read."""
    try:
        return str(message.get(name, ""))
    except (ValueError, IndexError, AttributeError, TypeError, LookupError):
        return ""


def _text(message: EmailMessage) -> str:
    try:
        body = message.get_body(preferencelist=("plain", "html"))
        if body is None:
            return ""
        content = body.get_content()
    except (LookupError, ValueError, AttributeError, TypeError, AssertionError):
        # A character set or an encoding that does not exist.
        raise NoReplyError("its text can't be read") from None
    if not isinstance(content, str):
        return ""
    return text_of_html(content) if body.get_content_type() == "text/html" else content
