"""Columns of samples to bytes and back, for the journal.

Each column by itself: differences for refs and times, the bits as they are for values (so -0.0,
infinities and every NaN survive), bytes of one significance side by side, then zstd.
"""

from __future__ import annotations

import zlib

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
    if _checksum(blob, count) != checksum:
        raise ValueError("its checksum does not match")
    try:
        raw = bytes(cramjam.zstd.decompress(blob, output_len=count * 8 * _COLUMNS))
    except (cramjam.DecompressionError, ValueError) as error:
        raise ValueError(f"it cannot be decompressed: {error}") from None
    if len(raw) != count * 8 * _COLUMNS:
        raise ValueError(f"it holds {len(raw)} bytes, expected {count * 8 * _COLUMNS}")
    planes = np.frombuffer(raw, dtype=np.uint8).reshape(_COLUMNS, 8, count)
    refs, times, bits = (
        np.ascontiguousarray(plane.T).view(np.int64).reshape(count) for plane in planes
    )
    return np.cumsum(refs), np.cumsum(times), bits.view(np.float64)


def _differences(column: Ints) -> Ints:
    # Wraps around at 64 bits, as the running sum that undoes it does.
    return np.diff(column, prepend=np.int64(0))


def _shuffled(column: Ints) -> bytes:
    return np.ascontiguousarray(column).view(np.uint8).reshape(-1, 8).T.tobytes()


def _checksum(blob: bytes, count: int) -> int:
    return zlib.crc32(count.to_bytes(8, "little"), zlib.crc32(blob))
