"""Times and numbers as the Prometheus HTTP API reads and writes them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

from forewarn_collector.promql import plain_float
from forewarn_wire.durations import parse_duration

EARLIEST = -9_007_199_254_740_991
LATEST = 9_007_199_254_740_991
_EDGES = {
    "-292273086-05-16T16:47:06Z": EARLIEST,
    "292277025-08-18T07:12:54.999999999Z": LATEST,
}
"""What Prometheus' users write for no limit: its own earliest and latest time."""


def rfc3339(milliseconds: int | None) -> str:
    """A time in UTC to the millisecond; Go's zero time where there is none."""
    if milliseconds is None:
        return "0001-01-01T00:00:00Z"
    stamp = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def exponent_float(value: float) -> str:
    """The shortest digits with an exponent, as alerts show values: Go's `'e', -1`."""
    if not math.isfinite(value):
        return plain_float(value)
    mantissa, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
    return f"{mantissa}e{int(exponent):+03d}"


def parse_time(text: str) -> int:
    """Seconds since epoch or RFC 3339, as milliseconds. Raises ValueError."""
    try:
        number = _number(text)
    except ValueError:
        pass
    else:
        if not math.isfinite(number) or abs(number) > 9e12:
            raise ValueError(f'cannot parse "{text}" to a valid timestamp')
        return _milliseconds(number)
    if text in _EDGES:
        return _EDGES[text]
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'cannot parse "{text}" to a valid timestamp') from None
    if stamp.tzinfo is None:
        raise ValueError(f'cannot parse "{text}" to a valid timestamp: it has no time zone')
    return round(stamp.timestamp() * 1000)


def parse_step(text: str) -> int:
    """Seconds or a duration such as `15s`, as milliseconds. Raises ValueError."""
    try:
        number = _number(text)
    except ValueError:
        try:
            return parse_duration(text)
        except ValueError:
            raise ValueError(f'cannot parse "{text}" to a valid duration') from None
    if not math.isfinite(number) or abs(number) > 9e12:
        raise ValueError(f'cannot parse "{text}" to a valid duration. It overflows int64')
    return round(number * 1000)


def _number(text: str) -> float:
    if text != text.strip():
        raise ValueError("spaces")
    return float(text)


def _milliseconds(seconds: float) -> int:
    """Half a millisecond counts as a whole one, away from zero."""
    return int(math.copysign(math.floor(abs(seconds) * 1000 + 0.5), seconds))
