"""Months of samples on disk: chunks of compressed columns, host by host, in one SQLite file."""

from forewarn_collector.store.sealed.archive import Archive
from forewarn_collector.store.sealed.codec import (
    ChunkData,
    EncodedChunk,
    decode_chunk,
    encode_chunk,
)
from forewarn_collector.store.sealed.errors import DamagedError
from forewarn_collector.store.sealed.figures import ArchiveStats, ChunkInfo, Damage, LevelStats
from forewarn_collector.store.sealed.rows import NewChunk
from forewarn_collector.store.sealed.tables import ARCHIVE_FILE

__all__ = [
    "ARCHIVE_FILE",
    "Archive",
    "ArchiveStats",
    "ChunkData",
    "ChunkInfo",
    "Damage",
    "DamagedError",
    "EncodedChunk",
    "LevelStats",
    "NewChunk",
    "decode_chunk",
    "encode_chunk",
]
