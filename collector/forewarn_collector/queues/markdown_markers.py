"""Our marker in a text of Markdown: a comment of HTML on its own last line, which nobody sees."""

from __future__ import annotations

import re

MARKER_LENGTH = 100
"""Characters that `with_marker` adds, at most."""

_MARKER = re.compile(r"^<!-- (forewarn-[A-Za-z0-9-]{1,64}) -->\s*$", re.MULTILINE)


def with_marker(body: str, marker: str) -> str:
    """A text with its marker."""
    return f"{body.rstrip()}\n\n<!-- {marker} -->\n"


def marker_in(text: str) -> str:
    """The marker of a text, empty where it has none.

    The last counts: what is quoted in the text, a log's line say, may look like one.
    """
    found = _MARKER.findall(text.replace("\r\n", "\n"))
    return found[-1] if found else ""
