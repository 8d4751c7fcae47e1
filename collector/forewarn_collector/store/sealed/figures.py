"""What an archive tells of itself: its chunks, what is damaged, and figures of all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from forewarn_collector.store.columns import NEVER, Floats
from forewarn_collector.store.sealed.levels import LEAST_ROWS

_COLUMNS = 5
"""How many columns a row has on disk, about."""


class ChunkSpan(Protocol):
    """Where a chunk belongs, and when; times in ms."""

    @property
    def group(self) -> int: ...
    @property
    def level(self) -> int: ...
    @property
    def earliest(self) -> int: ...
    @property
    def latest(self) -> int: ...
    @property
    def samples(self) -> int: ...


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


def stats_of(levels: Sequence[LevelStats], disk_bytes: int, damaged: int) -> ArchiveStats:
    """Figures of all chunks."""
    return ArchiveStats(
        levels,
        sum(level.chunks for level in levels),
        sum(level.samples for level in levels),
        sum(level.bytes for level in levels),
        disk_bytes,
        damaged,
        min((level.earliest for level in levels), default=None),
        max((level.latest for level in levels), default=None),
    )


def last_row(levels: Sequence[LevelStats]) -> int:
    """When (ms) the last row of thinned samples ends; NEVER where there is none."""
    return max((level.latest for level in levels if level.level >= LEAST_ROWS), default=NEVER)


def pieces_of(chunks: Sequence[ChunkSpan], shares: Mapping[int, float]) -> Floats:
    """First and last time (ms) of chunks, and about how many samples are of certain series.

    `shares` are what part of each group's series these are; a row counts as one sample.
    float64[chunks, 3].
    """
    found = [
        (
            each.earliest,
            each.latest,
            each.samples * shares[each.group] / (_COLUMNS if each.level >= LEAST_ROWS else 1),
        )
        for each in chunks
        if each.group in shares
    ]
    return np.array(found, dtype=np.float64).reshape(-1, 3)
