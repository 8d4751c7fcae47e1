"""Months of samples on disk: chunks of compressed columns, host by host, in one SQLite file."""

from forewarn_collector.store.sealed.archive import (
    Archive,
    ArchiveStats,
    ChunkInfo,
    Damage,
)
from forewarn_collector.store.sealed.codec import (
    ChunkData,
    EncodedChunk,
    decode_chunk,
    encode_chunk,
)
from forewarn_collector.store.sealed.errors import DamagedError
from forewarn_collector.store.sealed.rows import NewChunk

__all__ = [
    "Archive",
    "ArchiveStats",
    "ChunkData",
    "ChunkInfo",
    "Damage",
    "DamagedError",
    "EncodedChunk",
    "NewChunk",
    "decode_chunk",
    "encode_chunk",
]
