"""Columns of samples to bytes and back, for the journal: what is quick to write.

Refs and times as runs of equal differences, which is little where samples come series by series;
values with the bits as they are (so -0.0, infinities and every NaN survive); all of it in one block
of LZ4. The blobs of old files are frames of zstd: differences of refs and times and the bits of
values, bytes of one significance side by side.
"""

from __future__ import annotations

import struct
import zlib

import cramjam
import numpy as np

from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.spans import repeated

_HEAD = struct.Struct("<BIII")
"""The format, how many runs refs and times have, and the bytes that the block unpacks to."""
_RUNS = 2
_ZSTD = 0x28
"""How an old blob begins: the first byte of zstd's magic number."""
_COLUMNS = 3


def encode_columns(refs: Ints, times: Ints, values: Floats) -> tuple[bytes, int]:
    """Encode columns of equal length: the bytes and their checksum."""
    ref_runs, time_runs = _runs(refs), _runs(times)
    raw = b"".join((*map(_bytes, (*ref_runs, *time_runs)), _bytes(values.view(np.int64))))
    head = _HEAD.pack(_RUNS, len(ref_runs[0]), len(time_runs[0]), len(raw))
    blob = head + bytes(cramjam.lz4.compress_block(raw, store_size=False))
    return blob, _checksum(blob, len(refs))


def decode_columns(blob: bytes, count: int, checksum: int) -> tuple[Ints, Ints, Floats]:
    """The refs, times and values of `count` samples. Raises ValueError where they are damaged."""
    if _checksum(blob, count) != checksum:
        raise ValueError("its checksum does not match")
    try:
        return _old_columns(blob, count) if blob[:1] == bytes((_ZSTD,)) else _columns(blob, count)
    except (cramjam.DecompressionError, struct.error) as error:
        raise ValueError(f"it cannot be decompressed: {error}") from None


def _columns(blob: bytes, count: int) -> tuple[Ints, Ints, Floats]:
    kind, ref_runs, time_runs, size = _HEAD.unpack_from(blob)
    runs = 2 * (ref_runs + time_runs)
    if kind != _RUNS or size != 8 * (runs + count):
        raise ValueError(f"it is of format {kind} and says that it holds {size} bytes")
    raw = bytes(cramjam.lz4.decompress_block(blob[_HEAD.size :], output_len=size))
    if len(raw) != size:
        raise ValueError(f"it holds {len(raw)} bytes, expected {size}")
    words = np.frombuffer(raw, dtype=np.int64)
    refs, times, values = np.split(words, (2 * ref_runs, runs))
    return _whole(refs, count), _whole(times, count), values.view(np.float64)


def _runs(column: Ints) -> tuple[Ints, Ints]:
    """Runs of equal differences: how many there are of each, and the differences.

    Differences wrap around at 64 bits, as the running sum that undoes them does.
    """
    if not len(column):
        return column, column
    steps = np.empty(len(column), dtype=np.int64)
    steps[0] = column[0]
    np.subtract(column[1:], column[:-1], out=steps[1:])
    changes = np.flatnonzero(steps[1:] != steps[:-1])
    bounds = np.empty(len(changes) + 2, dtype=np.int64)
    bounds[0], bounds[-1] = 0, len(column)
    np.add(changes, 1, out=bounds[1:-1])
    return bounds[1:] - bounds[:-1], steps[bounds[:-1]]


def _whole(runs: Ints, count: int) -> Ints:
    """The column of which these are the runs."""
    counts, steps = runs.reshape(2, -1)
    if (counts < 0).any() or int(counts.sum()) != count:
        raise ValueError(f"its runs are not of {count} samples")
    return np.cumsum(repeated(steps, counts))


def _bytes(column: Ints) -> bytes:
    return np.ascontiguousarray(column, dtype="<i8").tobytes()


def _old_columns(blob: bytes, count: int) -> tuple[Ints, Ints, Floats]:
    raw = bytes(cramjam.zstd.decompress(blob, output_len=count * 8 * _COLUMNS))
    if len(raw) != count * 8 * _COLUMNS:
        raise ValueError(f"it holds {len(raw)} bytes, expected {count * 8 * _COLUMNS}")
    planes = np.frombuffer(raw, dtype=np.uint8).reshape(_COLUMNS, 8, count)
    refs, times, bits = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(np.int64)[..., 0]
    return np.cumsum(refs), np.cumsum(times), bits.view(np.float64)


def _checksum(blob: bytes, count: int) -> int:
    return zlib.crc32(count.to_bytes(8, "little"), zlib.crc32(blob))
