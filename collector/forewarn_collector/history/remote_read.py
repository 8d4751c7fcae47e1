"""Prometheus' remote read protocol: its messages to bytes and back, samples as columns.

It gives every sample as it was stored, stale markers included. Sources: prometheus/prometheus
`prompb/remote.proto` and `types.proto`, and the specification of the remote read API.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import cramjam
import numpy as np

from forewarn_collector.ingest.compression import unsnappy
from forewarn_collector.ingest.protobuf import FIXED64, LENGTH, VARINT, fields, signed, varint
from forewarn_collector.store import Floats, Ints, Matcher, MatchOp
from forewarn_wire import Labels, WireError, labels_from

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Read-Version": "0.1.0",
}
MOST_BYTES = 2**31
"""Of one answer, uncompressed."""

_OPS = {MatchOp.EQUAL: 0, MatchOp.NOT_EQUAL: 1, MatchOp.REGEX: 2, MatchOp.NOT_REGEX: 3}


def read_request(selectors: Sequence[Sequence[Matcher]], start: int, end: int) -> bytes:
    """The body that asks for all samples with `start <= time <= end` (ms) of each selector."""
    queries = (
        b"".join(
            (
                _number(1, start),
                _number(2, end),
                *(
                    _bytes(
                        3,
                        _number(1, _OPS[matcher.op])
                        + _bytes(2, matcher.name.encode())
                        + _bytes(3, matcher.value.encode()),
                    )
                    for matcher in matchers
                ),
            )
        )
        for matchers in selectors
    )
    return bytes(cramjam.snappy.compress_raw(b"".join(_bytes(1, query) for query in queries)))


def read_response(body: bytes) -> Iterator[tuple[list[Labels], Ints, Floats, Ints]]:
    """What answers each selector: labels, times, values and counts of its series.

    Native histograms are left out. Raises WireError, or TooLargeError before it is unpacked.
    """
    data = unsnappy(body, MOST_BYTES)
    for number, kind, _, start, end in fields(data, 0, len(data)):
        if number == 1 and kind == LENGTH:
            yield _query_result(data, start, end)


def _query_result(data: bytes, start: int, end: int) -> tuple[list[Labels], Ints, Floats, Ints]:
    labels: list[Labels] = []
    spans: list[tuple[int, int]] = []
    for number, kind, _, low, high in fields(data, start, end):
        if number == 1 and kind == LENGTH:
            found, first = _labels(data, low, high)
            labels.append(found)
            spans.append((first, high))
    columns = _regular_samples(data, spans)
    if columns is None:
        columns = _any_samples(data, spans)
    return labels, *columns


def _labels(data: bytes, start: int, end: int) -> tuple[Labels, int]:
    """A series' labels, and where the rest of its message begins."""
    pairs: list[tuple[str, str]] = []
    for number, kind, first, low, high in fields(data, start, end):
        if number != 1 or kind != LENGTH:
            return labels_from(pairs), first
        texts = {1: "", 2: ""}
        for part, part_kind, _, begin, after in fields(data, low, high):
            if part_kind == LENGTH:
                try:
                    texts[part] = data[begin:after].decode()
                except UnicodeDecodeError as error:
                    raise WireError(f"a label is not UTF-8: {error}") from None
        pairs.append((texts[1], texts[2]))
    return labels_from(pairs), end


_UNIT = 9
"""Bytes. A sample has two units, or one where its value is zero, which is then left out."""


def _regular_samples(
    data: bytes, spans: Sequence[tuple[int, int]]
) -> tuple[Ints, Floats, Ints] | None:
    """Samples whose times need six bytes (1971 to 2109), all at once; None if others are there.

    They are `12 10 09 value 10 time` of 18 bytes or `12 07 10 time` of 9. So they begin at
    multiples of nine, and by its third byte each nine tell what they are: 09 is a first half, what
    follows one is a second half, and the others are without a value.
    """
    if any((high - low) % _UNIT for low, high in spans):
        return None
    raw = b"".join([data[low:high] for low, high in spans])
    units = np.frombuffer(raw, dtype=np.uint8).reshape(-1, _UNIT)
    halves = units[:, 2] == 0x09
    second = np.zeros(len(units), dtype=np.bool_)
    second[1:] = halves[:-1]
    starts = np.flatnonzero(~second)
    full = halves[starts]
    ends = starts + full
    if len(units) and (ends[-1] >= len(units) or (halves & second).any()):
        return None
    timed = units[ends]
    regular = (
        (units[starts, 0] == 0x12).all()
        and (units[starts, 1] == np.where(full, 16, 7)).all()
        and (timed[:, 2] == 0x10).all()
        and (timed[:, 3:8] >= 0x80).all()
        and (timed[:, 8] < 0x80).all()
    )
    counts = np.array([(high - low) // _UNIT for low, high in spans], dtype=np.int64)
    borders = np.cumsum(counts)
    # No sample may reach from one series into the next.
    inner = borders[borders < len(units)]
    if not regular or second[inner].any():
        return None
    times = np.zeros(len(starts), dtype=np.int64)
    for place in range(6):
        times |= (timed[:, 3 + place].astype(np.int64) & 0x7F) << (7 * place)
    values = np.zeros(len(starts))
    both = np.concatenate((units[starts[full]], units[ends[full]]), axis=1)
    values[full] = np.ascontiguousarray(both[:, 3:11]).view("<f8").reshape(-1)
    samples = np.diff(np.searchsorted(starts, borders), prepend=0)
    return times, values, samples


def _any_samples(data: bytes, spans: Sequence[tuple[int, int]]) -> tuple[Ints, Floats, Ints]:
    """All others, one by one."""
    times: list[int] = []
    values: list[float] = []
    counts: list[int] = []
    for start, end in spans:
        before = len(times)
        for number, kind, _, low, high in fields(data, start, end):
            if number != 2 or kind != LENGTH:
                continue
            time, value = 0, 0.0
            for part, part_kind, _, begin, after in fields(data, low, high):
                if part == 1 and part_kind == FIXED64:
                    value = struct.unpack_from("<d", data, begin)[0]
                elif part == 2 and part_kind == VARINT:
                    time = signed(varint(data, begin, after)[0])
            times.append(time)
            values.append(value)
        counts.append(len(times) - before)
    return np.array(times, np.int64), np.array(values, np.float64), np.array(counts, np.int64)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(number & 0xFFFF_FFFF_FFFF_FFFF)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | LENGTH) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
