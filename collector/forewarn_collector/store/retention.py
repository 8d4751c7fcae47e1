"""Retention of what is sealed: by age, and the oldest first where it takes too much room."""

from __future__ import annotations

from forewarn_collector.store.columns import NEVER
from forewarn_collector.store.sealed import Archive

_SLICE = 256
"""Chunks that are dropped in one transaction."""


def size_cutoff(archive: Archive, max_bytes: int | None) -> int:
    """The time (ms) before which chunks must go for the rest to be within `max_bytes`, or NEVER.

    What was just sealed may reach over years, and would go with its newest samples: it waits until
    it is cut into days, and so does all that is younger.
    """
    if max_bytes is None or (excess := archive.stats().bytes - max_bytes) <= 0:
        return NEVER
    cutoff = NEVER
    for chunk in sorted(archive.chunks(), key=lambda chunk: chunk.latest):
        if excess <= 0 or not (chunk.level or chunk.damaged):
            break
        excess -= chunk.bytes
        cutoff = chunk.latest + 1
    return cutoff


def drop_old(archive: Archive, cutoff: int) -> int:
    """Drop the chunks that end before `cutoff` (ms), slice by slice: how many."""
    old = [chunk.id for chunk in archive.chunks(before=cutoff)]
    for first in range(0, len(old), _SLICE):
        archive.drop(old[first : first + _SLICE])
    if old:
        archive.give_back()
    return len(old)
