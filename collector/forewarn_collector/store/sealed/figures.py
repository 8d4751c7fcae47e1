"""What an archive tells of itself: its chunks, what is damaged, and figures of all of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.store.columns import NEVER, Floats
from forewarn_collector.store.sealed.levels import LEAST_ROWS

_COLUMNS = 5
"""How many columns a row has on disk, about."""


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
    """A chunk's block that cannot be read; None where it is the directory, and so all of it."""

    chunk: int
    block: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class LevelStats:
    """Chunks of a level, with their samples and bytes."""

    level: int
    chunks: int
    samples: int
    bytes: int


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


def stats_of(connection: sqlite3.Connection, disk_bytes: int, damaged: int) -> ArchiveStats:
    """Figures of all chunks."""
    rows = connection.execute(
        "SELECT level, count(*), sum(samples), sum(bytes), min(earliest), max(latest)"
        " FROM chunks GROUP BY level ORDER BY level"
    ).fetchall()
    levels = [LevelStats(*row[:4]) for row in rows]
    return ArchiveStats(
        levels,
        sum(level.chunks for level in levels),
        sum(level.samples for level in levels),
        sum(level.bytes for level in levels),
        disk_bytes,
        damaged,
        min((row[4] for row in rows), default=None),
        max((row[5] for row in rows), default=None),
    )


def last_row(connection: sqlite3.Connection) -> int:
    """When (ms) the last row ends; NEVER where there is none."""
    wanted = "SELECT max(latest) FROM chunks WHERE level >= ?"
    (latest,) = connection.execute(wanted, (LEAST_ROWS,)).fetchone()
    return NEVER if latest is None else int(latest)


def pieces_of(
    connection: sqlite3.Connection, shares: Mapping[int, float], start: int, end: int
) -> Floats:
    """First and last time (ms) of chunks, and about how many samples are of certain series.

    `shares` are what part of each group's series these are; a row counts as one sample.
    float64[chunks, 3].
    """
    rows = connection.execute(
        "SELECT grp, level, earliest, latest, samples FROM chunks"
        " WHERE latest >= ? AND earliest <= ?",
        (start, end),
    ).fetchall()
    found = [
        (earliest, latest, samples * shares[group] / (_COLUMNS if level >= LEAST_ROWS else 1))
        for group, level, earliest, latest, samples in rows
        if group in shares
    ]
    return np.array(found, dtype=np.float64).reshape(-1, 3)
