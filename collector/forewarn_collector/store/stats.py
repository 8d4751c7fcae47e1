"""What a store tells of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Plain figures. `commits`, `duplicates`, `conflicts` and `created` are since opening.

    `created` are series that were new, `conflicts` duplicates that came with another value;
    `damaged` counts what could not be read back at opening; `waiting` writes that are queued;
    `late_events` were late when they came, since opening; `newest` is the newest time (ms) that a
    sender gave.
    """

    series: int
    samples: int
    memory_bytes: int
    disk_bytes: int
    commits: int
    duplicates: int
    conflicts: int
    created: int
    damaged: int
    waiting: int
    late_events: int
    newest: int | None
