"""`events:` of collector.yml: how long events are kept, and how much room they may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forewarn_wire.document import Section
from forewarn_wire.durations import parse_duration
from forewarn_wire.readers import size, text

MAX_SIZE = 1 << 30
_LEAST_SIZE = 1 << 20
_LEAST_RETENTION = 60_000


@dataclass(frozen=True, slots=True)
class EventsConfig:
    """`retention` in ms, None for that of samples; `max_size` in bytes on disk."""

    retention: int | None = None
    max_size: int = MAX_SIZE


def read_events(document: Section) -> EventsConfig:
    """Read the section; problems are noted there."""
    section = document.section("events")
    if section is None:
        return EventsConfig()
    events = EventsConfig(
        section.take("retention", _retention, None), section.take("max_size", _max_size, MAX_SIZE)
    )
    section.refuse_unknown()
    return events


def _retention(value: Any) -> int | None:
    milliseconds = parse_duration(text(value))
    if milliseconds < _LEAST_RETENTION:
        raise ValueError(f"expected a minute or more, found {value!r}")
    return milliseconds


def _max_size(value: Any) -> int:
    found = size(value)
    if found < _LEAST_SIZE:
        raise ValueError(f"expected 1MiB or more, found {value!r}")
    return found
