"""The journal's blobs: what is written is read back bit by bit, also what older versions wrote."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.store.codec import decode_columns, encode_columns
from forewarn_wire import STALE_NAN_BITS

INTS = st.integers(-(2**63), 2**63 - 1)
SPECIAL = st.sampled_from((STALE_NAN_BITS, 0x7FF0_0000_0000_0002, 1 << 63, 1, 0x7FF0 << 48, 0))
BITS = st.integers(0, 2**64 - 1) | SPECIAL
# Version 1.0 wrote this of the three samples below: a frame of zstd, columns of shuffled bytes.
OLD = bytes.fromhex(
    "28b52ffd2048f500009807000200e8e80c0303fe0000fff000047f80400300517940d71d1a1001"
)
OLD_CHECKSUM = 1_987_989_229


@given(st.lists(st.tuples(INTS, INTS, BITS), max_size=80))
def test_any_columns_come_back_bit_by_bit(rows: list[tuple[int, int, int]]) -> None:
    refs = np.array([row[0] for row in rows], dtype=np.int64)
    times = np.array([row[1] for row in rows], dtype=np.int64)
    bits = np.array([row[2] for row in rows], dtype=np.uint64)
    blob, checksum = encode_columns(refs, times, bits.view(np.float64))
    found = decode_columns(blob, len(rows), checksum)
    assert found[0].tolist() == refs.tolist()
    assert found[1].tolist() == times.tolist()
    assert found[2].view(np.uint64).tolist() == bits.tolist()


def test_a_tick_of_many_series_costs_little_more_than_its_values() -> None:
    refs = np.arange(5_000, 7_000)
    blob, _ = encode_columns(
        refs, np.full(2_000, 1_760_000_000_000), np.random.default_rng(0).random(2_000)
    )
    # Random doubles do not get smaller; one run of refs and two of times take 48 bytes.
    assert len(blob) < 2_000 * 8 + 300


def test_what_an_older_version_wrote_is_read() -> None:
    refs, times, values = decode_columns(OLD, 3, OLD_CHECKSUM)
    assert (refs.tolist(), times.tolist()) == ([7, 7, 9], [1_000, 2_000, 1_500])
    assert values.tobytes() == struct.pack("<QQd", 0x7FF0_0000_0000_0002, 1 << 63, 2.5)


@given(st.binary(max_size=80), st.integers(0, 100))
def test_bytes_that_are_no_columns_are_refused(blob: bytes, count: int) -> None:
    with pytest.raises(ValueError, match="checksum"):
        decode_columns(blob, count, -1)


@given(st.data())
def test_a_blob_whose_checksum_is_right_but_whose_content_is_not_is_refused(
    data: st.DataObject,
) -> None:
    blob, _ = encode_columns(np.arange(20), np.arange(20) * 7, np.zeros(20))
    place = data.draw(st.integers(0, len(blob) - 1))
    broken = (
        blob[:place] + bytes((blob[place] ^ data.draw(st.integers(1, 255)),)) + blob[place + 1 :]
    )
    try:
        found = decode_columns(broken, 20, _checksum_of(broken, 20))
    except ValueError:
        return
    assert [len(column) for column in found] == [20, 20, 20]


def _checksum_of(blob: bytes, count: int) -> int:
    return zlib.crc32(struct.pack("<q", count), zlib.crc32(blob))
