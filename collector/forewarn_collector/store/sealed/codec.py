"""A host's samples of some time as bytes: a directory, and blocks of compressed columns.

Times that series share are one column, and columns of times and of values are coded alike: as
integers (`decimals`), as residuals (`residuals`), byte by byte of one significance side by side,
with zstd. Columns whose residuals need as many bytes share blocks of about 8,192 samples, so that
one series costs two blocks, and all of them a few steps of numpy each. A long series is several
columns in one block, so that an hour of a day costs the inflation of the day, but no more.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cramjam
import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.sealed.decimals import Bytes, Form, Numbers, to_numbers, to_values
from forewarn_collector.store.sealed.directory import (
    BLOCK,
    COLUMN,
    NOWHERE,
    ODD,
    Directory,
    Table,
    decode_directory,
    encode_directory,
    unpacked,
)
from forewarn_collector.store.sealed.errors import DamagedError
from forewarn_collector.store.sealed.residuals import Courses, to_integers, to_residuals
from forewarn_collector.store.spans import repeated, run_starts, slices, spans

LEVEL = 3
BLOCK_SAMPLES = 8_192
COLUMN_SAMPLES = 1024
"""Samples of a series that are one column."""
_SLICE_SAMPLES = 262_144
"""Samples that are encoded at once: some megabytes of memory for each step."""
_SMALL = 2**53


@dataclass(frozen=True, slots=True, eq=False)
class ChunkData:
    """Samples series by series: those of `refs[i]` are at `offsets[i]:offsets[i + 1]`.

    `refs: int64[series]` ascend, `offsets: int64[series + 1]`, `times: int64[samples]` (ms)
    ascend within a series, each time once; `values: float64[samples]`.
    """

    refs: Ints
    offsets: Ints
    times: Ints
    values: Floats


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk's bytes: each block can be read without the others, none without the directory."""

    directory: bytes
    blocks: Sequence[bytes]

    def size(self) -> int:
        """Bytes in all."""
        return len(self.directory) + sum(map(len, self.blocks))


@dataclass(frozen=True, slots=True)
class Part:
    """Columns wanted of one chunk: their numbers in its directory, and who reads its blocks.

    `fetch` gets ascending numbers of blocks and gives their bytes.
    """

    directory: Directory
    columns: Ints
    fetch: Callable[[Sequence[int]], Sequence[bytes]]


class _Coder:
    """Collects coded columns and their blocks."""

    def __init__(self, level: int, block_samples: int) -> None:
        self._level = level
        self._block_samples = block_samples
        self.tables: list[Table] = []
        self.odd: list[Table] = []
        self.infos: list[tuple[int, int, int, int]] = []
        self.blocks: list[bytes] = []
        self._columns = 0

    def add(self, refs: Ints, vectors: Ints, numbers: Numbers, offsets: Ints, owners: Ints) -> None:
        """Columns; those with the same of `owners` are of one series, and share a block."""
        counts = np.diff(offsets)
        small = numbers.forms != Form.BITS
        courses, widths, folded = to_residuals(numbers.integers, offsets, small)
        runs = run_starts(owners)
        widest = np.maximum.reduceat(widths, runs).astype(np.int64)
        widest = repeated(widest, np.diff(np.append(runs, len(owners))))
        widths = np.where(widths > 0, widest, 0).astype(np.uint8)
        table = np.zeros(len(refs), dtype=COLUMN)
        table["ref"], table["count"], table["times"] = refs, counts, vectors
        table["width"], table["form"], table["exponent"] = widths, numbers.forms, numbers.exponents
        table["order"], table["base"] = courses.orders, courses.bases
        table["step"], table["unit"] = courses.steps, courses.units
        table["block"] = NOWHERE
        planes = folded.view(np.uint8).reshape(-1, 8)
        for width in np.unique(widths[widths > 0]).tolist():
            alike = np.flatnonzero(widths == width)
            before = np.cumsum(counts[alike]) - counts[alike]
            runs = run_starts(owners[alike])
            groups = before[runs] // self._block_samples
            groups = repeated(groups, np.diff(np.append(runs, len(alike))))
            for group in np.unique(groups).tolist():
                members = alike[groups == group]
                places = spans(offsets[members], counts[members])
                table["block"][members] = len(self.blocks)
                self._add_block(planes[places, :width], width)
        columns = np.searchsorted(offsets, numbers.odd, "right") - 1
        odd = np.zeros(len(columns), dtype=ODD)
        odd["column"], odd["place"] = self._columns + columns, numbers.odd - offsets[columns]
        odd["bits"] = numbers.odd_bits
        self.odd.append(odd)
        self.tables.append(table)
        self._columns += len(table)

    def _add_block(self, residuals: Bytes, width: int) -> None:
        block = bytes(cramjam.zstd.compress(residuals.T.tobytes(), level=self._level))
        self.infos.append((zlib.crc32(block), len(block), len(residuals), width))
        self.blocks.append(block)


def encode_chunk(
    data: ChunkData,
    *,
    level: int = LEVEL,
    block_samples: int = BLOCK_SAMPLES,
    column_samples: int = COLUMN_SAMPLES,
) -> EncodedChunk:
    """The bytes of a chunk; series without a sample are left out."""
    coder = _Coder(level, block_samples)
    filled = np.diff(data.offsets) > 0
    refs, counts = data.refs[filled], np.diff(data.offsets)[filled]
    begins = data.offsets[:-1][filled]
    firsts, vectors = _shared(data.times, begins, counts)
    owners, begins_of, counts_of, _ = _columns(begins[firsts], counts[firsts], column_samples)
    columns = len(owners)
    places = spans(begins_of, counts_of)
    offsets = _offsets(counts_of)
    for low, high in slices(offsets, _SLICE_SAMPLES):
        span = offsets[low : high + 1] - offsets[low]
        numbers = _moments(data.times[places[offsets[low] : offsets[high]]], span)
        order = np.arange(low, high)
        coder.add(order, np.zeros_like(order), numbers, span, owners[low:high])
    first_columns = np.searchsorted(owners, np.arange(len(firsts)))
    owners, begins_of, counts_of, nth = _columns(begins, counts, column_samples)
    vectors_of = first_columns[vectors[owners]] + nth
    offsets = _offsets(counts_of)
    for low, high in slices(offsets, _SLICE_SAMPLES):
        span = offsets[low : high + 1] - offsets[low]
        numbers = to_numbers(data.values[spans(begins_of[low:high], counts_of[low:high])], span)
        mine = owners[low:high]
        coder.add(refs[mine], vectors_of[low:high], numbers, span, mine)
    directory = Directory(
        columns,
        np.concatenate([np.zeros(0, dtype=COLUMN), *coder.tables]),
        np.concatenate([np.zeros(0, dtype=ODD), *coder.odd]),
        np.array(coder.infos, dtype=BLOCK),
    )
    return EncodedChunk(encode_directory(directory), tuple(coder.blocks))


def decode_chunk(chunk: EncodedChunk, refs: Ints | None = None) -> ChunkData:
    """The samples of a chunk, or of those of the ascending `refs` that it has.

    Raises DamagedError where its bytes are not those that were written.
    """
    directory = decode_directory(chunk.directory)
    if refs is None:
        refs = np.unique(directory.refs)
    found, columns = directory.find(refs)

    def fetch(numbers: Sequence[int]) -> list[bytes]:
        if numbers and numbers[-1] >= len(chunk.blocks):
            number = max(len(chunk.blocks), numbers[0])
            raise DamagedError(f"block {number} is missing", block=number)
        return [chunk.blocks[number] for number in numbers]

    times, values, offsets = decode_parts([Part(directory, columns, fetch)])
    return joined(refs[found], offsets, times, values)


def joined(refs: Ints, offsets: Ints, times: Ints, values: Floats) -> ChunkData:
    """Columns, those of a series side by side, as series; without those that have no sample."""
    filled = np.flatnonzero(np.diff(offsets))
    first = filled[run_starts(refs[filled])]
    return ChunkData(refs[first], np.append(offsets[first], offsets[-1]), times, values)


def decode_parts(parts: Sequence[Part]) -> tuple[Ints, Floats, Ints]:
    """Times and values of the columns of every part, one after the other, and their offsets.

    The offsets are int64[columns of all parts + 1]. Raises DamagedError.
    """
    tables, chosen, reading, odd_places, odd_bits = [], [], [], [], []
    series, vectors = [], []
    first = 0
    for part in parts:
        directory = part.directory
        shared = directory.columns["times"][part.columns]
        wanted = np.concatenate((np.unique(shared).astype(np.int64), part.columns))
        wanted = wanted[np.argsort(directory.columns["block"][wanted], kind="stable")]
        place = np.full(len(directory.columns), -1)
        place[wanted] = np.arange(first, first + len(wanted))
        series.append(place[part.columns])
        vectors.append(place[shared])
        tables.append(directory.columns[wanted])
        chosen.append(wanted)
        reading.append(first)
        if len(directory.odd):
            at = place[directory.odd["column"]]
            odd_places.append(np.stack((at, directory.odd["place"]))[:, at >= 0])
            odd_bits.append(directory.odd["bits"][at >= 0])
        first += len(wanted)
    if not first:
        none = np.zeros(0)
        return none.astype(np.int64), none, np.zeros(1, dtype=np.int64)
    table = np.concatenate(tables)
    counts = table["count"].astype(np.int64)
    offsets = _offsets(counts)
    folded = np.zeros(offsets[-1], dtype=np.uint64)
    planes = folded.view(np.uint8).reshape(-1, 8)
    for number, (part, wanted, begin) in enumerate(zip(parts, chosen, reading, strict=True)):
        try:
            _read_blocks(part, wanted, planes[offsets[begin] : offsets[begin + len(wanted)]])
        except DamagedError as error:
            error.part = number
            raise
    courses = Courses(table["base"], table["step"], table["unit"], table["order"])
    integers = to_integers(folded, offsets, courses)
    values = to_values(integers, offsets, table["form"], table["exponent"])
    if odd_bits:
        owners, within = np.concatenate(odd_places, axis=1)
        values.view(np.int64)[offsets[owners] + within] = np.concatenate(odd_bits)
    columns, moments = np.concatenate(series), np.concatenate(vectors)
    result = _offsets(counts[columns])
    return (
        integers[spans(offsets[moments], counts[columns])],
        values[spans(offsets[columns], counts[columns])],
        result,
    )


def _read_blocks(part: Part, wanted: Ints, planes: NDArray[np.uint8]) -> None:
    # Fills in the residuals of the columns `wanted`, which stand block by block.
    directory = part.directory
    places = directory.columns["block"][wanted]
    numbers = np.unique(places[places != NOWHERE]).tolist()
    if not numbers:
        return
    counts = directory.columns["count"][wanted].astype(np.int64)
    ends = np.cumsum(counts)
    bounds = np.searchsorted(places, [*numbers, numbers[-1] + 1])
    for index, (number, block) in enumerate(zip(numbers, part.fetch(numbers), strict=True)):
        low, high = int(bounds[index]), int(bounds[index + 1])
        begin, end = int(ends[low] - counts[low]), int(ends[high - 1])
        info = directory.blocks[number]
        raw = _block(block, info, number)
        if end - begin < raw.shape[1]:
            raw = raw[:, spans(directory.starts[wanted[low:high]], counts[low:high])]
        planes[begin:end, : info["width"]] = raw.T


def _block(block: bytes, info: np.void, number: int) -> NDArray[np.uint8]:
    # uint8[width, samples]
    if len(block) != info["size"] or zlib.crc32(block) != info["checksum"]:
        raise DamagedError(f"the checksum of block {number} does not match", block=number)
    width, samples = int(info["width"]), int(info["samples"])
    try:
        return unpacked(block, width * samples, f"block {number}").reshape(width, samples)
    except DamagedError as error:
        error.block = number
        raise


def _shared(times: Ints, begins: Ints, counts: Ints) -> tuple[Ints, Ints]:
    # The first series of each vector of times, and the number of each series' vector.
    known: dict[bytes, int] = {}
    owners: list[int] = []
    vectors = np.zeros(len(begins), dtype=np.int64)
    for index, (begin, count) in enumerate(zip(begins.tolist(), counts.tolist(), strict=True)):
        number = known.setdefault(times[begin : begin + count].tobytes(), len(known))
        if number == len(owners):
            owners.append(index)
        vectors[index] = number
    return np.array(owners, dtype=np.int64), vectors


def _columns(begins: Ints, counts: Ints, most: int) -> tuple[Ints, Ints, Ints, Ints]:
    # Runs cut into columns of at most `most` samples: the run, begin, count of each, and how many
    # columns of its run stand before it.
    cuts = -(-counts // most)
    owners = repeated(np.arange(len(counts)), cuts)
    nth = spans(np.zeros_like(cuts), cuts)
    return owners, begins[owners] + nth * most, np.minimum(counts[owners] - nth * most, most), nth


def _moments(times: Ints, offsets: Ints) -> Numbers:
    # Times as columns of numbers. Those beyond 2**53 ms may differ by more than 64 bits can tell.
    starts = offsets[:-1]
    largest = np.maximum.reduceat(times, starts)
    least = np.minimum.reduceat(times, starts)
    forms = np.where((largest < _SMALL) & (least > -_SMALL), Form.DIVIDED, Form.BITS)
    none = np.zeros(0, dtype=np.int64)
    zeros = np.zeros(len(starts), dtype=np.uint8)
    return Numbers(times, forms.astype(np.uint8), zeros, none, none)


def _offsets(counts: Ints) -> Ints:
    return np.concatenate(([0], np.cumsum(counts)))
