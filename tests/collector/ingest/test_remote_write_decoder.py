"""Remote write 1.0: our walk over the bytes against Google's protobuf library."""

from __future__ import annotations

import contextlib
import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forewarn_collector.ingest import (
    Decoded,
    Kind,
    Limits,
    TooLargeError,
    WriteDecoder,
    decode_write_request,
)
from forewarn_wire import STALE_NAN_BITS, Labels, WireError, labels_from
from forewarn_wire.protobuf import integer, length_delimited, text, varint
from forewarn_wire.remote_write import Series, encode_write_request
from support.prompb import WriteRequest
from support.writing import snappy

CAPTURES = Path(__file__).resolve().parents[4] / "shared" / "data" / "captures"
LIMITS = Limits()
NOW = 1_760_000_000_000
CPU = (("__name__", "cpu"), ("mode", "idle"))

Contents = Counter[tuple[Labels, int, bytes]]


def decode(message: bytes, **options: Any) -> Decoded:
    return WriteDecoder(options.pop("limits", LIMITS)).decode(snappy(message), **options)


def contents(decoded: Decoded) -> Contents:
    """Every sample with its labels, time and the eight bytes of its value."""
    batch = decoded.batch
    assert len(set(batch.labels)) == len(batch.labels)
    return Counter(
        (batch.labels[row], time, value.tobytes())
        for row, time, value in zip(
            batch.rows.tolist(), batch.times.tolist(), batch.values, strict=True
        )
    )


def by_protobuf(message: bytes) -> Contents:
    request = WriteRequest.FromString(message)
    return Counter(
        (
            labels_from((label.name, label.value) for label in series.labels),
            sample.timestamp,
            struct.pack("<d", sample.value),
        )
        for series in request.timeseries
        for sample in series.samples
    )


def label(name: str, value: str) -> bytes:
    return length_delimited(1, text(1, name) + text(2, value))


def sample(value: float, time: int) -> bytes:
    return length_delimited(2, b"\x09" + struct.pack("<d", value) + integer(2, time))


def a_series(*parts: bytes) -> bytes:
    return length_delimited(1, b"".join(parts))


def labelled(labels: Labels, *parts: bytes) -> bytes:
    return a_series(*(label(name, value) for name, value in labels), *parts)


@pytest.mark.parametrize("sender", ["prometheus242", "vmagent179", "otelprw"])
def test_what_real_senders_sent_is_read_as_protobuf_reads_it(sender: str) -> None:
    bodies = sorted(CAPTURES.glob(f"{sender}*.body"))
    if not bodies:
        pytest.skip(f"no captures in {CAPTURES}")
    # Twice with one decoder: the second time its series are known.
    decoder = WriteDecoder(LIMITS)
    total = 0
    for body in bodies * 2:
        headers = json.loads(body.with_suffix(".json").read_text())["headers"]
        assert headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
        raw = body.read_bytes()
        decoded = decoder.decode(raw)
        assert decoded.rejected == []
        expected = by_protobuf(bytes(cramjam.snappy.decompress_raw(raw)))
        assert contents(decoded) == expected
        # Prometheus sends its metadata in requests without a sample.
        total += len(decoded.batch.times)
    assert total


def test_what_the_agent_encodes_is_read_back_bit_by_bit() -> None:
    bits = [STALE_NAN_BITS, 0x7FF8000000000001, 0x7FF0 << 48, 0xFFF0 << 48, 0x8000 << 48, 0, 1]
    values = np.array(bits, dtype=np.uint64).view(np.float64)
    readings = [
        (Series(labels_from({"__name__": "m", "k": str(k)})), float(value))
        for k, value in enumerate(values)
    ]
    message = encode_write_request(readings, NOW)
    decoder = WriteDecoder(LIMITS)
    for _ in range(2):
        batch = decoder.decode(snappy(message)).batch
        assert batch.values.view(np.uint64).tolist() == bits
        assert batch.times.tolist() == [NOW] * len(bits)
        assert batch.labels == [series.labels for series, _ in readings]


def test_a_value_left_out_is_zero_and_a_time_left_out_is_the_epoch() -> None:
    message = labelled(
        CPU,
        length_delimited(2, integer(2, NOW)),
        length_delimited(2, b"\x09" + struct.pack("<d", 4.0)),
        length_delimited(2, b""),
    )
    expected = [(CPU, NOW, bytes(8)), (CPU, 0, struct.pack("<d", 4.0)), (CPU, 0, bytes(8))]
    assert contents(decode(message)) == by_protobuf(message) == Counter(expected)


def test_fields_may_come_in_any_order_and_unknown_ones_are_stepped_over() -> None:
    backwards = length_delimited(2, integer(2, NOW) + b"\x09" + struct.pack("<d", 1.5))
    unknown = (
        length_delimited(999, b"what")
        + integer(77, 5)
        + varint(78 << 3 | 5)
        + bytes(4)
        + varint(79 << 3 | 1)
        + bytes(8)
    )
    message = (
        unknown
        + a_series(
            backwards,
            unknown,
            length_delimited(1, text(2, "idle") + unknown + text(1, "mode")),
            sample(2.5, NOW + 1),
            label("__name__", "cpu"),
            length_delimited(3, label("trace", "1") + b"\x11" + bytes(8)),  # an exemplar
        )
        + length_delimited(3, integer(1, 1) + text(2, "cpu") + text(4, "help"))  # metadata
        + unknown
    )
    decoded = decode(message)
    assert contents(decoded) == by_protobuf(message)
    assert decoded.batch.labels == [CPU]
    assert decoded.batch.times.tolist() == [NOW, NOW + 1]


def test_varints_may_be_longer_than_they_need_to_be() -> None:
    def long(number: int) -> bytes:
        short = bytearray(varint(number))
        short[-1] |= 0x80
        return bytes(short) + b"\x80\x00"

    value = b"\x89\x00" + struct.pack("<d", 3.0)
    inner = value + long(2 << 3) + long(NOW)
    series = label("__name__", "cpu") + long(2 << 3 | 2) + long(len(inner)) + inner
    message = long(1 << 3 | 2) + long(len(series)) + series
    assert contents(decode(message)) == by_protobuf(message)
    assert contents(decode(message)).total() == 1


def test_two_series_with_equal_labels_are_one() -> None:
    message = (
        labelled(CPU, sample(1.0, NOW))
        + labelled((("__name__", "disk"),), sample(2.0, NOW))
        + labelled(CPU[::-1], sample(3.0, NOW + 1), sample(4.0, NOW + 2))
    )
    batch = decode(message).batch
    assert batch.labels == [CPU, (("__name__", "disk"),)]
    assert batch.rows.tolist() == [0, 1, 0, 0]
    assert batch.values.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_extra_labels_override_and_may_make_two_series_one() -> None:
    message = labelled((*CPU, ("customer", "liar")), sample(1.0, NOW)) + labelled(
        CPU, sample(2.0, NOW + 1)
    )
    decoder = WriteDecoder(LIMITS)
    for customer in ("acme", "other"):
        batch = decoder.decode(snappy(message), (("customer", customer),)).batch
        assert batch.labels == [labels_from({**dict(CPU), "customer": customer})]
        assert batch.rows.tolist() == [0, 0]
    assert len(decoder.decode(snappy(message)).batch.labels) == 2


def test_an_empty_label_value_means_that_the_label_is_absent() -> None:
    assert decode(labelled((*CPU, ("zone", "")), sample(1.0, NOW))).batch.labels == [CPU]


GOOD = labelled(CPU, sample(1.0, NOW))


@pytest.mark.parametrize(
    ("bad", "kind", "reason"),
    [
        (labelled((*CPU, ("mode", "user")), sample(1, NOW)), Kind.DUPLICATE_LABEL, "mode"),
        (labelled((*CPU, ("mode", "idle")), sample(1, NOW)), Kind.DUPLICATE_LABEL, "mode"),
        (labelled((("mode", "idle"),), sample(1, NOW)), Kind.BAD_NAME, "no name"),
        (labelled((("__name__", ""),), sample(1, NOW)), Kind.BAD_NAME, "no name"),
        (a_series(sample(1, NOW)), Kind.BAD_NAME, "no name"),
        (labelled((*CPU, ("", "x")), sample(1, NOW)), Kind.BAD_NAME, "empty name"),
        (
            a_series(label("__name__", "x"), length_delimited(1, b"\x0a\x01a\x12\x02\xff\xfe")),
            Kind.BAD_ENCODING,
            "UTF-8",
        ),
        (
            labelled((*CPU, *((f"l{k:02}", "x") for k in range(63))), sample(1, NOW)),
            Kind.LABEL_LIMIT,
            "65 labels",
        ),
        (
            labelled((*CPU, ("x", "y" * 4_097)), sample(1, NOW)),
            Kind.LABEL_LIMIT,
            "value of label x",
        ),
        (
            labelled((*CPU, ("x", "é" * 2_049)), sample(1, NOW)),
            Kind.LABEL_LIMIT,
            "value of label x",
        ),
        (labelled((*CPU, ("x" * 1_025, "y")), sample(1, NOW)), Kind.LABEL_LIMIT, "name of label x"),
        (labelled(CPU, sample(1, -1)), Kind.BAD_TIME, "-1 ms"),
        (labelled(CPU, sample(1, NOW * 1_000_000)), Kind.BAD_TIME, "milliseconds"),
        (
            labelled(CPU, length_delimited(4, integer(1, 5))),
            Kind.NATIVE_HISTOGRAM,
            "1 native histograms",
        ),
    ],
)
def test_a_bad_series_is_refused_with_a_reason_and_the_rest_is_kept(
    bad: bytes, kind: Kind, reason: str
) -> None:
    decoded = decode(GOOD + bad + GOOD.replace(b"idle", b"user"))
    assert len(decoded.batch.times) == 2
    assert [item.kind for item in decoded.rejected] == [kind]
    assert reason in decoded.rejected[0].reason
    assert len(decoded.rejected[0].subject) < 250


def test_floats_beside_a_native_histogram_and_good_times_beside_bad_ones_are_kept() -> None:
    decoded = decode(
        labelled(CPU, sample(1.0, -5), sample(2.0, NOW), length_delimited(4, integer(1, 5)))
    )
    assert contents(decoded) == Counter([(CPU, NOW, struct.pack("<d", 2.0))])
    assert [item.kind for item in decoded.rejected] == [Kind.NATIVE_HISTOGRAM, Kind.BAD_TIME]
    assert decoded.rejected[0].subject == 'cpu{mode="idle"}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not snappy at all",
        b"\xff" * 11,
        b"\x80",
        snappy(b"hello protobuf"),
        snappy(GOOD[:-1]),
        snappy(GOOD[:-9]),
        snappy(GOOD + b"\x0a"),
        snappy(GOOD + b"\x0a\xff\xff\xff\xff\x0f"),
        snappy(GOOD + b"\x0b"),
        snappy(GOOD + b"\x00\x00"),
        snappy(b"\x0a" + b"\x80" * 11),
        # The length that a series' label declares goes beyond the series.
        snappy(a_series(b"\x0a\x7f" + b"x" * 20)),
        snappy(a_series(b"\x0a\x7f")),
        b"\x05" + snappy(GOOD)[1:],
    ],
)
def test_what_is_not_a_write_request_is_a_wire_error(body: bytes) -> None:
    with pytest.raises(WireError):
        WriteDecoder(LIMITS).decode(body)


def test_a_remote_write_2_request_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(WireError, match=r"2\.0"):
        decode(length_delimited(4, b"__name__") + length_delimited(5, b""))


def test_an_empty_request_is_an_empty_batch() -> None:
    batch = decode(b"").batch
    assert (len(batch.labels), len(batch.rows), len(batch.times), len(batch.values)) == (0, 0, 0, 0)


def test_a_snappy_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = snappy(bytes(LIMITS.max_decoded + 1))
    assert len(bomb) < LIMITS.max_body
    with pytest.raises(TooLargeError):
        decode_write_request(bomb, limits=LIMITS)
    # It declares 4 GiB and holds next to nothing.
    with pytest.raises(TooLargeError):
        decode_write_request(b"\xff\xff\xff\xff\x0f\x00", limits=LIMITS)
    with pytest.raises(TooLargeError):
        decode_write_request(bytes(101), limits=Limits(max_body=100))


names = st.sampled_from(["__name__", "mode", "instance", "a", ""])
values = st.sampled_from(["cpu", "idle", "", "x" * 130, "é", "disk"])
times = st.one_of(st.just(NOW), st.integers(0, 1 << 47), st.integers(-(1 << 63), (1 << 63) - 1))
floats = st.one_of(st.just(0.0), st.floats(allow_nan=True))


@st.composite
def requests(draw: st.DrawFn) -> Any:
    request = WriteRequest()
    for _ in range(draw(st.integers(0, 5))):
        series = request.timeseries.add()
        for name, value in draw(st.lists(st.tuples(names, values), max_size=4)):
            series.labels.add(name=name, value=value)
        for time, value in draw(st.lists(st.tuples(times, floats), max_size=4)):
            series.samples.add(timestamp=time, value=value)
        if draw(st.integers(0, 9)) == 0:
            series.histograms.add(sum=1.0)
    return request


@settings(max_examples=200, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=3))
def test_whatever_protobuf_encodes_is_read_as_protobuf_reads_it(sent: list[Any]) -> None:
    decoder = WriteDecoder(LIMITS)
    for request in sent * 2:
        message = request.SerializeToString()
        decoded = decoder.decode(snappy(message))
        expected: Contents = Counter()
        for series in request.timeseries:
            pairs = [(item.name, item.value) for item in series.labels]
            names_there = [name for name, _ in pairs]
            if (
                len(set(names_there)) < len(pairs)
                or "" in names_there
                or not dict(pairs).get("__name__")
            ):
                continue
            for item in series.samples:
                if 0 <= item.timestamp <= 253_402_300_799_999:
                    key = (labels_from(pairs), item.timestamp, struct.pack("<d", item.value))
                    expected[key] += 1
        assert contents(decoded) == expected


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A right request with some bytes changed, cut out or put in."""
    message = bytearray(draw(requests()).SerializeToString())
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(message)))
        piece = draw(st.binary(max_size=4))
        message[place : place + draw(st.integers(0, 4))] = piece
    return bytes(message)


@settings(max_examples=400, deadline=None)
@given(st.one_of(mangled(), st.binary(max_size=200)))
@example(b"\x0a\x02\x0a\x7f")
def test_any_message_gives_what_protobuf_reads_or_an_error(message: bytes) -> None:
    decoder = WriteDecoder(LIMITS)
    decoder.decode(snappy(GOOD))
    try:
        decoded = decoder.decode(snappy(message))
    except (WireError, TooLargeError):
        return
    try:
        expected = by_protobuf(message)
    except DecodeError:
        # Protobuf is stricter in parts that do not concern us, such as an exemplar's inside.
        return
    if not decoded.rejected:
        assert contents(decoded) == expected
    else:
        assert contents(decoded) <= expected


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_body_gives_a_result_or_an_error(body: bytes) -> None:
    with contextlib.suppress(WireError, TooLargeError):
        decode_write_request(body, limits=LIMITS)
