"""The rows of chunks and blocks: written within a transaction, read within a snapshot."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forewarn_collector.store.damage import is_damage, walk_keys
from forewarn_collector.store.sealed.catalog import row_checksum
from forewarn_collector.store.sealed.codec import ChunkData, EncodedChunk, encode_chunk
from forewarn_collector.store.sealed.errors import DamagedError
from forewarn_collector.store.sealed.tables import block_id

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewChunk:
    """What is to be sealed: samples of series of one group, at least one of them."""

    group: int
    level: int
    data: ChunkData


@dataclass(frozen=True, slots=True)
class CodedChunk:
    """A chunk ready to be written, without its samples; times in ms."""

    group: int
    level: int
    earliest: int
    latest: int
    samples: int
    coded: EncodedChunk


def coded_chunk(chunk: NewChunk) -> CodedChunk:
    """Encode a chunk."""
    times = chunk.data.times
    return CodedChunk(
        chunk.group,
        chunk.level,
        int(times.min()),
        int(times.max()),
        len(times),
        encode_chunk(chunk.data),
    )


def insert_chunk(connection: sqlite3.Connection, chunk: CodedChunk, rank: int | None) -> int:
    """A new chunk; its id."""
    coded = chunk.coded
    # Its number is part of its checksum; one that was given out is never given again.
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").fetchone()
    number = (last[0] if last else 0) + 1
    row = (
        number,
        chunk.group,
        chunk.level,
        chunk.earliest,
        chunk.latest,
        rank,
        chunk.samples,
        coded.size(),
        coded.directory,
        row_checksum(number, chunk.group, chunk.level, chunk.earliest, chunk.latest, rank),
    )
    connection.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.executemany(
        "INSERT INTO blocks (id, data) VALUES (?, ?)",
        ((block_id(number, index), block) for index, block in enumerate(coded.blocks)),
    )
    return number


def delete_chunks(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Chunks with their blocks, and what is noted of their damage; those that are gone stay so."""
    for chunk in ids:
        span = (block_id(chunk, 0), block_id(chunk + 1, 0))
        connection.execute("DELETE FROM blocks WHERE id >= ? AND id < ?", span)
        connection.execute("DELETE FROM chunks WHERE id = ?", (chunk,))
        connection.execute("DELETE FROM damaged WHERE chunk = ?", (chunk,))


def lowest_rank(connection: sqlite3.Connection, chunks: Sequence[int]) -> int | None:
    """The lowest rank of these chunks; None where none of them is there."""
    ranks = [
        row[0]
        for chunk in chunks
        for row in connection.execute(
            "SELECT coalesce(rank, id) FROM chunks WHERE id = ?", (chunk,)
        )
    ]
    return min(ranks, default=None)


def read_blocks(connection: sqlite3.Connection, chunk: int, numbers: Sequence[int]) -> list[bytes]:
    """The bytes of some of a chunk's blocks. Raises DamagedError for one that cannot be read."""
    blocks = []
    for number in numbers:
        try:
            row = connection.execute(
                "SELECT data FROM blocks WHERE id = ?", (block_id(chunk, number),)
            ).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            raise DamagedError(f"block {number}: {error}", block=number) from None
        if row is None:
            raise DamagedError(f"block {number} is missing", block=number)
        blocks.append(row[0])
    return blocks


def read_damage(connection: sqlite3.Connection, path: Path) -> list[tuple[int, int, str]]:
    """Chunk, block and reason of what was set aside before; what of it is lost is found again."""
    found: list[tuple[int, int, str]] = []
    lost = lambda reason: log.error("%s: %s", path, reason)  # noqa: E731
    columns = ("chunk", "block", "reason")
    for row in walk_keys(connection, "damaged", columns, columns[:2], lost):
        if tuple(map(type, row)) == (int, int, str):
            found.append(row)
    return found
