"""Durations as Prometheus writes them: `30s`, `1h30m`, `7d`.

Source: prometheus/common `model/time.go`: units y, w, d, h, m, s, ms in this order, each once.
"""

from __future__ import annotations

import re

_UNITS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _UNITS))


def parse_duration(value: str) -> int:
    """Milliseconds of a duration. Raises ValueError that shows the notation."""
    if value == "0":
        return 0
    match = _DURATION.fullmatch(value)
    if not value or match is None:
        raise ValueError(f"not a duration: {value!r}; write it as 30s, 5m, 1h30m or 7d")
    return sum(int(count) * _UNITS[unit] for unit, count in match.groupdict().items() if count)


def format_duration(milliseconds: int) -> str:
    """The shortest notation of a duration that `parse_duration` reads back to the same."""
    if milliseconds == 0:
        return "0s"
    parts = []
    rest = milliseconds
    for unit, size in _UNITS.items():
        # As Prometheus does: weeks and years only where nothing remains, so 10d is not 1w3d.
        if unit in {"y", "w"} and rest % size:
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
