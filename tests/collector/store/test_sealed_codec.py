"""Columns to bytes and back: every bit of every float and time, and nothing from damaged bytes."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from forewarn_collector.store.sealed import (
    ChunkData,
    DamagedError,
    EncodedChunk,
    decode_chunk,
    encode_chunk,
)

Bits = NDArray[np.int64]

# Prometheus' stale marker, https://pkg.go.dev/github.com/prometheus/prometheus/model/value
STALE = 0x7FF0000000000002
HOSTILE = [
    STALE,
    0x7FF8000000000000,  # NaN as IEEE 754 makes it
    0xFFF8000000000123,  # a negative NaN with a payload
    0x7FF0000000000000,  # infinity
    0xFFF0000000000000,
    0x8000000000000000,  # -0.0
    0x0000000000000000,
    0x0000000000000001,  # the least denormal
    0x000FFFFFFFFFFFFF,  # the largest one
    0x7FEFFFFFFFFFFFFF,  # the largest float
    struct.unpack("<Q", struct.pack("<d", 2.0**53))[0],
    struct.unpack("<Q", struct.pack("<d", 2.0**53 - 1))[0],
    struct.unpack("<Q", struct.pack("<d", 0.1 + 0.2))[0],
    struct.unpack("<Q", struct.pack("<d", -12.34))[0],
]
_FULL = st.integers(-(2**63), 2**63 - 1)


def _from_floats(floats: list[float]) -> Bits:
    return np.array(floats, dtype=np.float64).view(np.int64)


def values(count: int) -> st.SearchStrategy[Bits]:
    """The bits of `count` floats: of any kind, of decimals, of counters, and mixed."""
    hostile = st.sampled_from(HOSTILE).map(lambda bits: bits - (bits >> 63 << 64))
    decimals = st.tuples(
        st.lists(st.integers(-(10**9), 10**9), min_size=count, max_size=count), st.integers(0, 12)
    ).map(lambda drawn: _from_floats([each / 10 ** drawn[1] for each in drawn[0]]))
    counters = st.tuples(
        st.lists(st.integers(0, 2**40), min_size=count, max_size=count), st.floats(1e-9, 1e9)
    ).map(lambda drawn: _from_floats((np.cumsum(drawn[0]) * drawn[1]).tolist()))

    def mixed(base: Bits) -> st.SearchStrategy[Bits]:
        def put(drawn: dict[int, int]) -> Bits:
            result = base.copy()
            for place, bits in drawn.items():
                result[place] = bits
            return result

        return st.dictionaries(st.integers(0, count - 1), hostile, max_size=4).map(put)

    any_bits = st.lists(_FULL | hostile, min_size=count, max_size=count).map(np.array)
    constant = hostile.map(lambda bits: np.full(count, bits))
    return any_bits | constant | (decimals | counters).flatmap(mixed)


def times(count: int) -> st.SearchStrategy[Bits]:
    """As many ascending times: any, in step, or in step with jitter."""
    anywhere = st.lists(_FULL, min_size=count, max_size=count, unique=True).map(sorted)
    step = st.tuples(st.integers(-(2**50), 2**50), st.integers(1, 10**8)).map(
        lambda drawn: [drawn[0] + drawn[1] * each for each in range(count)]
    )
    jitter = st.lists(st.integers(-40, 40), min_size=count, max_size=count).map(
        lambda drawn: [1_795_000_000_000 + 10_000 * i + late for i, late in enumerate(drawn)]
    )
    return (anywhere | step | jitter).map(np.array)


@st.composite
def chunks(draw: st.DrawFn) -> ChunkData:
    """A few series, of which some share their times."""
    vectors = draw(st.lists(st.integers(1, 40).flatmap(times), min_size=1, max_size=3))
    refs = sorted(draw(st.sets(st.integers(0, 2**62), min_size=1, max_size=8)))
    chosen = [draw(st.sampled_from(vectors)) for _ in refs]
    columns = [draw(values(len(vector))) for vector in chosen]
    return _chunk(refs, chosen, columns)


def _chunk(refs: list[int], vectors: list[Bits], columns: list[Bits]) -> ChunkData:
    return ChunkData(
        np.array(refs, dtype=np.int64),
        np.cumsum([0, *map(len, columns)]),
        np.concatenate(vectors).astype(np.int64),
        np.concatenate(columns).astype(np.int64).view(np.float64),
    )


def _same(left: ChunkData, right: ChunkData) -> bool:
    return (
        np.array_equal(left.refs, right.refs)
        and np.array_equal(left.offsets, right.offsets)
        and np.array_equal(left.times, right.times)
        and np.array_equal(left.values.view(np.int64), right.values.view(np.int64))
    )


@given(chunks(), st.sampled_from([8, 64, 8192]), st.sampled_from([1, 7, 1024]))
@settings(deadline=None, max_examples=80)
def test_what_is_decoded_is_what_was_encoded_bit_by_bit(
    data: ChunkData, block: int, column: int
) -> None:
    chunk = encode_chunk(data, block_samples=block, column_samples=column)
    assert _same(decode_chunk(chunk), data)


@given(chunks(), st.sets(st.integers(0, 7)))
@settings(deadline=None, max_examples=40)
def test_some_series_are_decoded_as_all_are(data: ChunkData, places: set[int]) -> None:
    wanted = [place for place in sorted(places) if place < len(data.refs)]
    asked = np.array(sorted({*data.refs[wanted].tolist(), -5, 2**62 + 1}))

    found = decode_chunk(encode_chunk(data, block_samples=16, column_samples=9), asked)

    expected = _chunk(
        data.refs[wanted].tolist(),
        [np.zeros(0, np.int64)] + [_of(data.times, data, place) for place in wanted],
        [np.zeros(0, np.int64)]
        + [_of(data.values.view(np.int64), data, place) for place in wanted],
    )
    expected = replace(expected, offsets=expected.offsets[1:])
    assert _same(found, expected)


def _of(column: Bits, data: ChunkData, place: int) -> Bits:
    return column[data.offsets[place] : data.offsets[place + 1]]


def test_a_stale_marker_among_decimals_is_not_dear() -> None:
    count = 720
    vector = 1_795_000_000_000 + 10_000 * np.arange(count)
    rng = np.random.default_rng(1)
    decimals = np.round(20 + rng.normal(0, 1, count), 1)
    with_marker = decimals.copy().view(np.int64)
    with_marker[300] = STALE

    plain = encode_chunk(_chunk([1], [vector], [decimals.view(np.int64)]))
    marked = encode_chunk(_chunk([1], [vector], [with_marker]))

    assert marked.size() < plain.size() + 40
    assert decode_chunk(marked).values.view(np.int64)[300] == STALE


def test_constants_and_steps_cost_nothing_but_their_place_in_the_directory() -> None:
    vector = 1_795_000_000_000 + 15_000 * np.arange(5_000)
    columns = [np.full(5_000, 0.25), np.arange(5_000) * 7.0, np.full(5_000, np.nan)]

    chunk = encode_chunk(_chunk([1, 2, 3], [vector] * 3, [c.view(np.int64) for c in columns]))

    assert chunk.blocks == ()
    assert chunk.size() < 250


def test_series_without_a_sample_are_left_out() -> None:
    none = np.zeros(0, dtype=np.int64)
    empty = ChunkData(none, np.zeros(1, np.int64), none, np.zeros(0))
    one = ChunkData(np.array([4, 9]), np.array([0, 0, 1]), np.array([5]), np.array([1.5]))

    assert _same(decode_chunk(encode_chunk(empty)), empty)
    assert decode_chunk(encode_chunk(one)).refs.tolist() == [9]


def _small_chunk() -> EncodedChunk:
    rng = np.random.default_rng(7)
    vector = 1_795_000_000_000 + 10_000 * np.arange(60) + rng.integers(0, 9, 60)
    columns = [rng.integers(0, 200, 60) / 10, rng.random(60), np.cumsum(rng.integers(0, 900, 60))]
    columns[0][5] = np.nan
    bits = [column.astype(np.float64).view(np.int64) for column in columns]
    return encode_chunk(_chunk([3, 8, 9], [vector] * 3, bits))


def _flipped(blob: bytes, place: int, mask: int) -> bytes:
    return blob[:place] + bytes([blob[place] ^ mask]) + blob[place + 1 :]


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_no_flipped_byte_goes_unnoticed(mask: int) -> None:
    chunk = _small_chunk()
    for place in range(len(chunk.directory)):
        with pytest.raises(DamagedError, match="directory"):
            decode_chunk(replace(chunk, directory=_flipped(chunk.directory, place, mask)))
    for number, block in enumerate(chunk.blocks):
        for place in range(len(block)):
            blocks = list(chunk.blocks)
            blocks[number] = _flipped(block, place, mask)
            with pytest.raises(DamagedError, match=f"block {number}") as caught:
                decode_chunk(replace(chunk, blocks=blocks))
            assert caught.value.block == number


@given(st.binary(max_size=200), st.integers(0, 60))
@settings(deadline=None)
def test_other_bytes_are_refused(noise: bytes, cut: int) -> None:
    chunk = _small_chunk()
    for directory in (noise, chunk.directory[:cut], chunk.directory + noise + b"x"):
        with pytest.raises(DamagedError):
            decode_chunk(replace(chunk, directory=directory))
    for blocks in ((noise, *chunk.blocks[1:]), chunk.blocks[:-1], chunk.blocks[::-1]):
        with pytest.raises(DamagedError):
            decode_chunk(replace(chunk, blocks=blocks))
