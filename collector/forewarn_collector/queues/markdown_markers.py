"""Our marker in a text of Markdown: a comment of HTML on its own last line, which nobody sees."""

from __future__ import annotations

import re

MARKER_LENGTH = 100
"""Characters that `with_marker` adds, at most."""

_FENCE = re.compile(r"^`{3,}$", re.MULTILINE)
_MARKER = re.compile(r"^<!-- (forewarn-[A-Za-z0-9-]{1,64}) -->\s*$", re.MULTILINE)


def with_marker(body: str, marker: str) -> str:
    """A text with its marker. What was cut in the midst of a block of code ends before it."""
    return f"{body.rstrip()}\n{_open_fence(body)}\n<!-- {marker} -->\n"


def before_marker(body: str, more: str) -> str:
    """A text with one more paragraph, which stands before its marker if it has one."""
    found = list(_MARKER.finditer(body))
    at = found[-1].start() if found else len(body)
    return f"{body[:at].rstrip()}\n\n{more}\n\n{body[at:]}"


def marker_in(text: str) -> str:
    """The marker of a text, empty where it has none.

    The last counts: what is quoted in the text, a log's line say, may look like one.
    """
    found = _MARKER.findall(text.replace("\r\n", "\n"))
    return found[-1] if found else ""


def _open_fence(body: str) -> str:
    """The line that ends a block of code which the text leaves open, else empty."""
    fence = ""
    for line in _FENCE.findall(body):
        if not fence:
            fence = line
        elif len(line) >= len(fence):
            fence = ""
    return f"{fence}\n" if fence else ""
