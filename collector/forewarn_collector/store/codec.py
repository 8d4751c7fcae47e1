"""Columns of samples to bytes and back, for the journal.

Each column by itself: differences for refs and times, the bits as they are for values (so -0.0,
infinities and every NaN survive), bytes of one significance side by side, then zstd.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import cramjam
import numpy as np

from forewarn_collector.store.columns import Floats, Ints

_LEVEL = 1
_COLUMNS = 3


def encode_columns(refs: Ints, times: Ints, values: Floats) -> tuple[bytes, int]:
    """Encode columns of equal length: the bytes and their checksum."""
    parts = (_differences(refs), _differences(times), values.view(np.int64))
    raw = b"".join(_shuffled(part) for part in parts)
    blob = bytes(cramjam.zstd.compress(raw, level=_LEVEL))
    return blob, _checksum(blob, len(refs))


def decode_columns(blob: bytes, count: int, checksum: int) -> tuple[Ints, Ints, Floats]:
    """The refs, times and values of `count` samples. Raises ValueError where they are damaged."""
    return columns_of([unpacked(blob, count, checksum)], count)


def unpacked(blob: bytes, count: int, checksum: int) -> bytes:
    """The bytes of the columns of `count` samples. Raises ValueError where they are damaged."""
    if _checksum(blob, count) != checksum:
        raise ValueError("its checksum does not match")
    try:
        raw = bytes(cramjam.zstd.decompress(blob, output_len=count * 8 * _COLUMNS))
    except (cramjam.DecompressionError, ValueError) as error:
        raise ValueError(f"it cannot be decompressed: {error}") from None
    if len(raw) != count * 8 * _COLUMNS:
        raise ValueError(f"it holds {len(raw)} bytes, expected {count * 8 * _COLUMNS}")
    return raw


def columns_of(raws: Sequence[bytes], count: int) -> tuple[Ints, Ints, Floats]:
    """The refs, times and values of what was unpacked, `count` samples each, one after another."""
    shape = len(raws), _COLUMNS, 8, count
    planes = np.frombuffer(b"".join(raws), dtype=np.uint8).reshape(shape)
    columns = np.ascontiguousarray(planes.transpose(1, 0, 3, 2)).view(np.int64)
    refs, times, bits = columns.reshape(_COLUMNS, len(raws), count)
    values: Floats = bits.ravel().view(np.float64)
    return np.cumsum(refs, axis=1).ravel(), np.cumsum(times, axis=1).ravel(), values


def _differences(column: Ints) -> Ints:
    # Wraps around at 64 bits, as the running sum that undoes it does.
    return np.diff(column, prepend=np.int64(0))


def _shuffled(column: Ints) -> bytes:
    return np.ascontiguousarray(column).view(np.uint8).reshape(-1, 8).T.tobytes()


def _checksum(blob: bytes, count: int) -> int:
    return zlib.crc32(count.to_bytes(8, "little"), zlib.crc32(blob))
