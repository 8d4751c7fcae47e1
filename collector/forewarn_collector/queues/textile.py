"""A text for people in Textile, as Redmine reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forewarn_collector.queues.pages import Checklist, Facts, Heading, Lines, Page, Paragraph

_ADDRESS = re.compile(r"(https?://\S+)")
# What has no meaning in Textile and is no reference of Redmine's (`r12`, `user:ana`): most texts.
_MEANS_NOTHING = re.compile(
    r"(?:(?!\br\d)[A-Za-z0-9 ,.;/]|(?<=[A-Za-z0-9])-(?=[A-Za-z0-9])|(?<=\d):(?=\d)|=(?!=))*"
)
# An invisible joiner, which keeps a text from ending the tag around it.
_JOINED = "<\u2060/"


def textile(page: Page) -> str:
    """As Textile. What a label says is text, never markup, and no reference to anything."""
    return "\n\n".join(block for block in _blocks(page) if block) + "\n"


def _blocks(page: Page) -> Iterator[str]:
    for block in page:
        match block:
            case Heading(text):
                yield f"h3. {_plain(text)}"
            case Paragraph(text, strong):
                lines = [_plain(line) for line in text.splitlines() if line.strip()]
                said = "\n".join(f"*{line}*" if strong else line for line in lines)
                yield f"p. {said}" if said else ""
            case Facts(rows):
                yield "\n".join(f"|_. {_plain(name)} |{_plain(value)} |" for name, value in rows)
            case Checklist(items):
                yield "\n".join(f"# {_plain(item)}" for item in items)
            case Lines(lines):
                kept = (line.replace("</pre", f"{_JOINED}pre") for line in lines)
                yield "\n".join(["<pre>", *kept, "</pre>"])


def _plain(text: str) -> str:
    """One line in which nothing has a meaning; addresses stay what they are.

    Its source is read too, in mails and when somebody edits it: tags only where they are needed.
    """
    pieces = _ADDRESS.split(" ".join(text.split()))
    return "".join(
        piece if _ADDRESS.fullmatch(piece) else _untouched(piece) for piece in pieces if piece
    )


def _untouched(text: str) -> str:
    if _MEANS_NOTHING.fullmatch(text):
        return text
    kept = text.strip().replace("</notextile", f"{_JOINED}notextile")
    # An address is one only with a space before it.
    before, after = (" " if edge.isspace() else "" for edge in (text[0], text[-1]))
    return f"{before}<notextile>{kept}</notextile>{after}" if kept else " "
