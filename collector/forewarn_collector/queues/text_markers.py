"""Our marker in a text where nothing can be hidden: a word alone on the last line."""

from __future__ import annotations

import re

MARKER_LENGTH = 100
"""Characters that a marker takes, at most, with what parts it from the text before."""

_MARKER = re.compile(r"(?:^|\n)\s*(forewarn-[A-Za-z0-9-]{1,64})\s*\Z")


def marker_at_end(text: str) -> str:
    """The marker of a text, empty where it has none.

    One that is quoted (`> forewarn-...`), or that more was written below, is another's.
    """
    found = _MARKER.search(text.replace("\r\n", "\n"))
    return found.group(1) if found else ""
