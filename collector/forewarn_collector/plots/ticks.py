"""Where the ticks of an axis stand and what they are called."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

_SECOND = 1_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_TIME_STEPS = (
    *(n * _SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 30, 90, 365)),
)
_LAST_TIME = 253_402_300_799_999
"""The end (ms) of the year 9999, beyond which there are no dates."""
_PREFIXES = {0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
_LEAST_SPAN = 1e-9
"""Of a value: what differs by less is shown as one."""


def value_range(values: Sequence[float]) -> tuple[float, float]:
    """The lowest and highest of finite values, with some room, so that they differ."""
    low, high = min(values), max(values)
    size = max(abs(low), abs(high))
    if high - low <= size * _LEAST_SPAN or size < 1e-300:
        room = size / 2 if size >= 1e-300 else 1.0
        return low - room, high + room
    room = (high - low) * 0.06
    # What is never negative, as most is, is shown from zero on rather than from below.
    bottom = 0.0 if low >= 0 and low - room < 0 else low - room
    return bottom, high + room


def value_ticks(low: float, high: float, most: int = 7) -> list[tuple[float, str]]:
    """Round values from low to high, a few of them, each with its name."""
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(place * step, _number(place * step, step)) for place in range(first, last + 1)]


def time_ticks(start: int, end: int, most: int = 8) -> list[tuple[int, str]]:
    """Round times (ms) from start to end, each with its name in UTC."""
    span = max(1, end - start)
    step = next((step for step in _TIME_STEPS if span <= step * most), span)
    form = "%Y-%m-%d" if step >= _DAY else "%H:%M" if step >= _MINUTE else "%H:%M:%S"
    first = -(-start // step) * step
    return [(at, time_text(at, form)) for at in range(first, end + 1, step)]


def time_text(at: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time (ms) in UTC."""
    seconds = min(max(at, 0), _LAST_TIME) / 1000
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def number_text(value: float) -> str:
    """A value with four digits, and thousands as k, M, G, T or P."""
    size = abs(value)
    if not math.isfinite(value) or (size and not 1e-4 <= size < 1e18):
        return f"{value:.3g}"
    power = _power(size)
    return f"{value / 10**power:.4g}{_PREFIXES[power]}"


def _number(value: float, step: float) -> str:
    """As many digits as tell it from its neighbours, which are a step away."""
    size = abs(value)
    if size and not 1e-4 <= size < 1e18:
        return f"{value:.3g}"
    power = _power(size)
    digits = max(0, -math.floor(math.log10(step / 10**power) + 1e-9))
    if digits > 6:
        return f"{value:.12g}"
    text = f"{value / 10**power:.{digits}f}"
    return "0" if float(text) == 0 else f"{text}{_PREFIXES[power]}"


def _power(size: float) -> int:
    return min(15, 3 * int(math.log10(size) / 3 + 1e-12)) if size >= 1_000 else 0
