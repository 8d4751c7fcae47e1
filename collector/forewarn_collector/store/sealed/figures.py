"""What an archive tells of itself: its chunks, what is damaged, and figures of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChunkInfo:
    """A chunk as its row tells; times in ms."""

    id: int
    rank: int
    """Of doubles that of the chunk with the lowest rank holds."""
    group: int
    level: int
    earliest: int
    latest: int
    samples: int
    bytes: int
    damaged: bool
    """Some of it cannot be read: to be left as it is until it is too old."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A chunk's block that cannot be read; None where it is the directory, and so all of it.

    Without a chunk, rows by which chunks are known.
    """

    chunk: int | None
    block: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class LevelStats:
    """Chunks of a level, with their samples, bytes and times (ms)."""

    level: int
    chunks: int
    samples: int
    bytes: int
    earliest: int
    latest: int


@dataclass(frozen=True, slots=True)
class ArchiveStats:
    """Plain figures; times in ms, None without chunks. `damaged` counts blocks and directories."""

    levels: Sequence[LevelStats]
    chunks: int
    samples: int
    bytes: int
    disk_bytes: int
    damaged: int
    earliest: int | None
    latest: int | None
