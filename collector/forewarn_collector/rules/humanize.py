"""Numbers as people read them.

Source: the `humanize*` functions of prometheus/prometheus `template/template.go`.
"""

from __future__ import annotations

import math

from forewarn_collector.rules.go_numbers import not_finite
from forewarn_collector.rules.go_time import time_of

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")


def humanize(number: float) -> str:
    """With a metric prefix: 1234567 is "1.235M", 0.05 is "50m"."""
    if number == 0 or not math.isfinite(number):
        return _short(number)
    if abs(number) >= 1:
        return _large(number, 1000, _LARGE)
    return _small(number)


def humanize_1024(number: float) -> str:
    """With a binary prefix: 1048576 is "1Mi"."""
    if abs(number) <= 1 or not math.isfinite(number):
        return _short(number)
    return _large(number, 1024, _BINARY)


def humanize_duration(seconds: float) -> str:
    """In days, hours, minutes and seconds: 3661 is "1h 1m 1s", 0.25 is "250ms"."""
    if not math.isfinite(seconds):
        return _short(seconds)
    if seconds == 0:
        return f"{_short(seconds)}s"
    if abs(seconds) < 1:
        return f"{_small(seconds)}s"
    sign = "-" if seconds < 0 else ""
    minutes, rest = divmod(int(abs(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {rest}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {rest}s"
    if minutes:
        return f"{sign}{minutes}m {rest}s"
    return f"{sign}{_short(abs(seconds))}s"


def humanize_percentage(ratio: float) -> str:
    """A ratio as a percentage: 0.125 is "12.5%"."""
    return f"{_short(ratio * 100)}%"


def humanize_timestamp(seconds: float) -> str:
    """A Unix time as date and time of day in UTC, in Go's notation. Raises ValueError."""
    return time_of(seconds).of.text() if math.isfinite(seconds) else _short(seconds)


def _short(number: float) -> str:
    return f"{number:.4g}" if math.isfinite(number) else not_finite(number)


def _large(number: float, step: int, prefixes: tuple[str, ...]) -> str:
    prefix = ""
    for larger in prefixes:
        if abs(number) < step:
            break
        prefix = larger
        number /= step
    return _short(number) + prefix


def _small(number: float) -> str:
    prefix = ""
    for smaller in _SMALL:
        if abs(number) >= 1:
            break
        prefix = smaller
        number *= 1000
    return _short(number) + prefix
