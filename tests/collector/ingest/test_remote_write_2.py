"""Remote write 2.0 bodies, against Google's protobuf library and the specification."""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.ingest import (
    Decoded,
    Kind,
    Limits,
    MetricMetadata,
    TooLargeError,
    Version,
    WriteDecoder,
)
from forewarn_wire import Labels, WireError, labels_from
from support.prompb import Request2
from support.writing import snappy

LIMITS = Limits()
NOW = 1_760_000_000_000
CPU = (("__name__", "cpu"), ("mode", "idle"))

Contents = Counter[tuple[Labels, int, bytes]]


def decode(message: bytes, limits: Limits = LIMITS) -> Decoded:
    return WriteDecoder(limits).decode(snappy(message), (), Version.TWO)


def contents(decoded: Decoded) -> Contents:
    batch = decoded.batch
    return Counter(
        (batch.labels[row], time, value.tobytes())
        for row, time, value in zip(
            batch.rows.tolist(), batch.times.tolist(), batch.values, strict=True
        )
    )


class Building:
    """A request in the making, with its table of symbols."""

    def __init__(self) -> None:
        self.request = Request2(symbols=[""])

    def reference(self, symbol: str) -> int:
        symbols = self.request.symbols
        if symbol not in symbols:
            symbols.append(symbol)
        return list(symbols).index(symbol)

    def series(self, labels: Labels, *samples: tuple[float, int]) -> Any:
        series = self.request.timeseries.add()
        for pair in labels:
            series.labels_refs.extend(self.reference(text) for text in pair)
        for value, time in samples:
            series.samples.add(value=value, timestamp=time)
        return series

    def message(self) -> bytes:
        return bytes(self.request.SerializeToString())


def test_series_are_read_with_their_metadata_and_created_timestamps_are_stepped_over() -> None:
    building = Building()
    counter = building.series((("__name__", "http_requests_total"),), (5.0, NOW))
    counter.metadata.type = 1
    counter.metadata.help_ref = building.reference("Requests.")
    counter.created_timestamp = NOW - 60_000
    bucket = building.series((("__name__", "wait_seconds_bucket"), ("le", "1")), (0.0, NOW))
    bucket.metadata.type = 3
    bucket.metadata.unit_ref = building.reference("seconds")
    building.series(CPU, (1.5, NOW), (2.5, NOW + 1))
    decoder = WriteDecoder(LIMITS)
    for turn in range(4):
        decoded = decoder.decode(snappy(building.message()), (), Version.TWO)
        assert contents(decoded) == Counter(
            [
                ((("__name__", "http_requests_total"),), NOW, struct.pack("<d", 5.0)),
                ((("__name__", "wait_seconds_bucket"), ("le", "1")), NOW, bytes(8)),
                (CPU, NOW, struct.pack("<d", 1.5)),
                (CPU, NOW + 1, struct.pack("<d", 2.5)),
            ]
        )
        if turn < 2:
            assert decoded.metadata == {
                "http_requests_total": MetricMetadata("counter", "Requests.", ""),
                "wait_seconds": MetricMetadata("histogram", "", "seconds"),
            }


def test_native_histograms_are_refused_by_name_and_exemplars_are_counted() -> None:
    building = Building()
    building.series(CPU, (1.0, NOW)).exemplars.add(value=1.0, timestamp=NOW)
    building.series((("__name__", "native"),)).histograms.add(sum=2.0, timestamp=NOW)
    decoded = decode(building.message())
    assert contents(decoded).total() == 1
    assert (decoded.exemplars, decoded.histograms) == (1, 1)
    assert [item.kind for item in decoded.rejected] == [Kind.NATIVE_HISTOGRAM]
    assert decoded.rejected[0].subject == "native{}"


@pytest.mark.parametrize(
    ("references", "kind", "reason"),
    [
        ([1, 2, 0], Kind.BAD_REFERENCE, "3 elements"),
        ([1, 99], Kind.BAD_REFERENCE, "has 99, but there are"),
        ([1, 4_294_967_295], Kind.BAD_REFERENCE, "but there are"),
        ([1, 0], Kind.BAD_NAME, "no name"),
        ([0, 2, 1, 2], Kind.BAD_NAME, "empty name"),
        ([1, 2, 1, 2], Kind.DUPLICATE_LABEL, "twice"),
        ([], Kind.BAD_NAME, "no name"),
    ],
)
def test_a_bad_series_is_refused_with_a_reason_and_the_rest_is_kept(
    references: list[int], kind: Kind, reason: str
) -> None:
    building = Building()
    building.series((("__name__", "good"),), (1.0, NOW))
    bad = building.request.timeseries.add()
    bad.labels_refs.extend(references)
    bad.samples.add(value=1.0, timestamp=NOW)
    decoder = WriteDecoder(LIMITS)
    for _ in range(3):
        decoded = decoder.decode(snappy(building.message()), (), Version.TWO)
        assert decoded.batch.labels == [(("__name__", "good"),)]
        assert [item.kind for item in decoded.rejected] == [kind]
        assert reason in decoded.rejected[0].reason


def test_symbols_may_come_last_and_references_one_by_one() -> None:
    symbols = b"\x22\x00\x22\x08__name__\x22\x01m"
    one_by_one = b"\x2a\x0d\x08\x01\x08\x02\x12\x07\x10" + b"\x80\x81\x82\x83\x84\x05"
    for message in (one_by_one + symbols, symbols + one_by_one):
        assert decode(message).batch.labels == [(("__name__", "m"),)]


def test_a_symbol_that_is_not_utf_8_spoils_only_the_series_that_use_it() -> None:
    message = (
        b"\x22\x00\x22\x08__name__\x22\x01m\x22\x01\xff"
        b"\x2a\x0d\x0a\x02\x01\x02\x12\x07\x10\x80\x81\x82\x83\x84\x05"
        b"\x2a\x0d\x0a\x02\x01\x03\x12\x07\x10\x80\x81\x82\x83\x84\x05"
    )
    decoded = decode(message)
    assert decoded.batch.labels == [(("__name__", "m"),)]
    assert [item.kind for item in decoded.rejected] == [Kind.BAD_ENCODING]


def test_few_symbols_that_make_very_much_of_labels_are_refused() -> None:
    building = Building()
    value = "x" * 4_000
    for k in range(100):
        building.series((("__name__", f"m{k}"), ("a", value), ("b", value)), (1.0, NOW))
    assert len(building.message()) < 10_000
    with pytest.raises(TooLargeError, match="written out"):
        decode(building.message(), Limits(max_decoded=500_000))


@pytest.mark.parametrize(
    "message",
    [
        b"\x22\x05abc",
        b"\x2a\x05abc",
        b"\x22\xff\xff\xff\xff\x0f",
        b"\x2a\x03\x0a\x7f\x01",
        b"\x2b",
        b"\x0a\x02\x0a\x00",  # a series of 1.0
    ],
)
def test_what_is_not_a_request_is_a_wire_error(message: bytes) -> None:
    with pytest.raises(WireError):
        decode(message)


names = st.sampled_from(["__name__", "mode", "instance", "a"])
values = st.sampled_from(["cpu", "idle", "", "x" * 130, "é", "disk"])
times = st.one_of(st.just(NOW), st.integers(0, 1 << 47))
floats = st.one_of(st.just(0.0), st.floats(allow_nan=True))


@st.composite
def requests(draw: st.DrawFn) -> Any:
    building = Building()
    for _ in range(draw(st.integers(0, 5))):
        labels = draw(st.dictionaries(names, values, max_size=4))
        samples = draw(st.lists(st.tuples(floats, times), max_size=4))
        series = building.series(tuple(labels.items()), *samples)
        series.metadata.type = draw(st.integers(0, 9))
        series.created_timestamp = draw(st.integers(0, NOW))
        if draw(st.integers(0, 5)) == 0:
            series.exemplars.add(value=draw(floats))
    return building.request


def by_protobuf(request: Any) -> Contents:
    found: Contents = Counter()
    for series in request.timeseries:
        texts = [request.symbols[reference] for reference in series.labels_refs]
        labels = labels_from(zip(texts[::2], texts[1::2], strict=True))
        if dict(labels).get("__name__"):
            for item in series.samples:
                found[labels, item.timestamp, struct.pack("<d", item.value)] += 1
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=3))
def test_whatever_protobuf_encodes_is_read_as_protobuf_reads_it(sent: list[Any]) -> None:
    decoder = WriteDecoder(LIMITS)
    for request in sent * 3:
        body = snappy(request.SerializeToString())
        assert contents(decoder.decode(body, (), Version.TWO)) == by_protobuf(request)


@settings(max_examples=300, deadline=None)
@given(requests(), st.data())
def test_any_message_gives_what_protobuf_reads_or_an_error(request: Any, data: Any) -> None:
    message = bytearray(request.SerializeToString())
    decoder = WriteDecoder(LIMITS)
    decoder.decode(snappy(bytes(message)), (), Version.TWO)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(message)))
        message[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    try:
        decoded = decoder.decode(snappy(bytes(message)), (), Version.TWO)
    except (WireError, TooLargeError):
        return
    with contextlib.suppress(DecodeError):
        read = Request2.FromString(bytes(message))
        if not decoded.rejected:
            assert contents(decoded) == by_protobuf(read)
