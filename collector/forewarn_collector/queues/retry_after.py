"""The `Retry-After` header of HTTP."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

_LONGEST_RETRY_AFTER = 86_400_000


def parse_retry_after(value: str, now: int) -> int | None:
    """A `Retry-After` header in ms from `now`: seconds or a date (RFC 9110), at most a day.

    None where it is absent or can't be read.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]) * 1000, _LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
    return min(max(0, int(at * 1000) - now), _LONGEST_RETRY_AFTER)
