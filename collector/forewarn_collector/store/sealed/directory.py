"""What a chunk's directory tells: of each column what it needs to be read, of each block its sum.

A directory is a header and three tables, byte by byte of one significance side by side, with zstd.
Its checksum and those of the blocks that it names keep every byte of a chunk.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import cramjam
import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import NEVER, Ints
from forewarn_collector.store.sealed.errors import DamagedError
from forewarn_collector.store.spans import repeated, spans

Table = NDArray[np.void]

COLUMN = np.dtype(
    [
        # The series; columns of times, which stand before all others, have their number.
        ("ref", "<i8"),
        ("count", "<u4"),
        # The number of the column of its times; of times, 0.
        ("times", "<u4"),
        # Where its residuals are; `NOWHERE` where it has none.
        ("block", "<u4"),
        ("width", "u1"),
        ("form", "u1"),
        ("exponent", "u1"),
        ("order", "u1"),
        ("base", "<i8"),
        ("step", "<i8"),
        ("unit", "<i8"),
    ]
)
ODD = np.dtype([("column", "<u4"), ("place", "<u4"), ("bits", "<i8")])
BLOCK = np.dtype([("checksum", "<u4"), ("size", "<u4"), ("samples", "<u4"), ("width", "u1")])
NOWHERE = 2**32 - 1
ALWAYS = int(np.iinfo(np.int64).max)

_MAGIC = b"FWS1"
_SEALED = struct.Struct("<4sI")
_COUNTS = struct.Struct("<IIII")
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Directory:
    """`columns: COLUMN[n]`, the first `vectors` of them times, the rest by ref and time."""

    vectors: int
    columns: Table
    odd: Table
    blocks: Table
    starts: Ints = field(init=False)
    """Where each column begins within its block, in samples."""

    def __post_init__(self) -> None:
        places = self.columns["block"]
        order = np.argsort(places, kind="stable")
        counts = self.columns["count"][order].astype(np.int64)
        begins = np.cumsum(counts) - counts
        firsts = np.searchsorted(places[order], np.arange(len(self.blocks)))
        starts = np.zeros(len(order), dtype=np.int64)
        held = places[order] != NOWHERE
        starts[order[held]] = begins[held] - begins[firsts[places[order[held]]]]
        object.__setattr__(self, "starts", starts)

    @property
    def refs(self) -> Ints:
        """The series of the columns, ascending."""
        refs: Ints = self.columns["ref"][self.vectors :]
        return refs

    def find(self, refs: Ints, start: int = NEVER, end: int = ALWAYS) -> tuple[Ints, Ints]:
        """Columns of these ascending refs with times in `start` to `end` (ms), or near them.

        Which of the refs, ascending, and the numbers of the columns, by time for each ref.
        """
        low = np.searchsorted(self.refs, refs)
        counts = np.searchsorted(self.refs, refs, "right") - low
        found = repeated(np.arange(len(refs)), counts)
        columns = spans(low + self.vectors, counts)
        # The first value of a column is its base, also of times.
        firsts = self.columns["base"][self.columns["times"][columns]]
        apt = firsts <= end
        apt[:-1] &= (found[1:] != found[:-1]) | (firsts[1:] > start)
        return found[apt], columns[apt]


def encode_directory(directory: Directory) -> bytes:
    """The bytes of a directory."""
    columns = directory.columns.copy()
    columns["ref"] = np.diff(columns["ref"], prepend=0)
    raw = b"".join(_planes(table) for table in (columns, directory.odd, directory.blocks))
    packed = bytes(cramjam.zstd.compress(raw, level=_LEVEL))
    tables = (columns, directory.odd, directory.blocks)
    counts = _COUNTS.pack(directory.vectors, *(len(table) for table in tables))
    return _SEALED.pack(_MAGIC, zlib.crc32(packed, zlib.crc32(counts))) + counts + packed


def decode_directory(blob: bytes) -> Directory:
    """What `encode_directory` was given. Raises DamagedError."""
    if len(blob) < _SEALED.size + _COUNTS.size:
        raise DamagedError("its directory is cut off")
    magic, checksum = _SEALED.unpack_from(blob)
    if magic != _MAGIC:
        raise DamagedError(f"its directory begins with {magic!r}, expected {_MAGIC!r}")
    if zlib.crc32(memoryview(blob)[_SEALED.size :]) != checksum:
        raise DamagedError("the checksum of its directory does not match")
    vectors, columns, odd, blocks = _COUNTS.unpack_from(blob, _SEALED.size)
    sizes = (columns * COLUMN.itemsize, odd * ODD.itemsize, blocks * BLOCK.itemsize)
    raw = unpacked(memoryview(blob)[_SEALED.size + _COUNTS.size :], sum(sizes), "its directory")
    tables = []
    for kind, count, end in zip(
        (COLUMN, ODD, BLOCK), (columns, odd, blocks), np.cumsum(sizes).tolist(), strict=True
    ):
        planes = raw[end - count * kind.itemsize : end].reshape(kind.itemsize, count)
        tables.append(np.array(planes.T, order="C").view(kind).reshape(count))
    tables[0]["ref"] = np.cumsum(tables[0]["ref"])
    return Directory(vectors, tables[0], tables[1], tables[2])


def unpacked(packed: Any, size: int, what: str) -> NDArray[np.uint8]:
    """Bytes that zstd gives back, `size` of them. Raises DamagedError."""
    try:
        raw = bytes(cramjam.zstd.decompress(packed, output_len=size))
    except (cramjam.DecompressionError, ValueError) as error:
        raise DamagedError(f"{what} cannot be decompressed: {error}") from None
    if len(raw) != size:
        raise DamagedError(f"{what} holds {len(raw)} bytes, expected {size}")
    return np.frombuffer(raw, dtype=np.uint8)


def _planes(table: Table) -> bytes:
    return table.view(np.uint8).reshape(len(table), table.dtype.itemsize).T.tobytes()
