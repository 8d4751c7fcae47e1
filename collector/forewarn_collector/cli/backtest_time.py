"""Times as people write them on the command line."""

from __future__ import annotations

import re
from datetime import datetime

from forewarn_wire.durations import parse_duration

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_END_SECONDS = 253_370_764_800
"""The year 9999, up to which a time can be shown."""


def parse_moment(text: str, now: int) -> int:
    """A time in ms: RFC 3339, seconds since 1970, `now`, or a duration before it.

    Without an offset it is in the zone of the terminal. Raises ValueError that shows the notation.
    """
    if text == "now":
        return now
    if _SECONDS.fullmatch(text) and float(text) < _END_SECONDS:
        return round(float(text) * 1000)
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise ValueError(
            f"not a time: {text!r}; write it as 2026-11-02T10:00:00Z, as seconds since 1970, or as"
            " a duration ago (36h, 7d)"
        ) from None
