"""Bodies decoded by a kept skeleton, against a walk without one and Google's protobuf library."""

from __future__ import annotations

import struct
import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forewarn_collector.ingest import (
    Decoded,
    Limits,
    MetricMetadata,
    TooLargeError,
    Version,
    WriteDecoder,
)
from forewarn_collector.ingest.compression import Unpacked
from forewarn_collector.ingest.skeleton import Skeletons
from forewarn_wire import STALE_NAN_BITS, Labels, WireError, labels_from
from support.prompb import Request2, WriteRequest
from support.writing import snappy

LIMITS = Limits()
NOW = 1_760_000_000_000
BITS = (STALE_NAN_BITS, 0x7FF8000000000001, 0x7FF0 << 48, 0xFFF0 << 48, 0x8000 << 48, 1, 0)

Contents = Counter[tuple[Labels, int, bytes]]
Series = list[tuple[Labels, list[tuple[int, int]]]]
"""Label sets, each with samples: a time and the bits of a value."""


def contents(decoded: Decoded) -> Contents:
    batch = decoded.batch
    return Counter(
        (batch.labels[row], time, value.tobytes())
        for row, time, value in zip(
            batch.rows.tolist(), batch.times.tolist(), batch.values, strict=True
        )
    )


def expected(series: Series) -> Contents:
    return Counter(
        (labels, time, struct.pack("<Q", bits))
        for labels, samples in series
        for time, bits in samples
    )


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def samples_bytes(samples: list[tuple[int, int]], *, zeros: bool) -> bytes:
    return b"".join(
        field(
            2,
            (b"\x09" + struct.pack("<Q", bits) if bits or zeros else b"")
            + b"\x10"
            + varint(time & 0xFFFF_FFFF_FFFF_FFFF),
        )
        for time, bits in samples
    )


def message_1(series: Series, *, zeros: bool) -> bytes:
    return b"".join(
        field(
            1,
            b"".join(
                field(1, field(1, name.encode()) + field(2, value.encode()))
                for name, value in labels
            )
            + samples_bytes(samples, zeros=zeros),
        )
        for labels, samples in series
    )


def message_2(series: Series, *, zeros: bool) -> bytes:
    symbols = {"": 0, "seconds": 1}
    parts = []
    for labels, samples in series:
        refs = [symbols.setdefault(text, len(symbols)) for pair in labels for text in pair]
        parts.append(
            field(
                5,
                field(1, b"".join(map(varint, refs)))
                + samples_bytes(samples, zeros=zeros)
                + field(5, b"\x08\x01\x20\x01")
                + b"\x30"
                + varint(NOW - 5),
            )
        )
    return b"".join(field(4, symbol.encode()) for symbol in symbols) + b"".join(parts)


MESSAGES = {Version.ONE: message_1, Version.TWO: message_2}

label_sets = st.dictionaries(
    st.sampled_from(["a", "b", "Zone", "instance"]),
    st.sampled_from(["x", "y", "longer value" * 12, "é"]),
    max_size=3,
).map(lambda found: labels_from({"__name__": "m", **found}))
usual_times = st.integers(1 << 35, (1 << 42) - 1)
any_bits = st.one_of(st.sampled_from(BITS), st.integers(0, (1 << 64) - 1))


@st.composite
def senders(draw: st.DrawFn) -> tuple[list[Labels], list[int], bool, Version]:
    """A sender: its series, how many samples of each it sends, and its way to encode."""
    labels = draw(st.lists(label_sets, min_size=1, max_size=6))
    counts = [draw(st.integers(1, 3)) for _ in labels]
    return labels, counts, draw(st.booleans()), draw(st.sampled_from(list(Version)))


def filled(draw: st.DrawFn, labels: list[Labels], counts: list[int], zero: list[bool]) -> Series:
    """The sender's series with values; those that are `zero` stay so."""
    return [
        (item, [(draw(usual_times), 0 if none else draw(any_bits) or 1) for _ in range(count)])
        for item, count, none in zip(labels, counts, zero, strict=True)
    ]


@settings(max_examples=150, deadline=None)
@given(senders(), st.data())
def test_a_body_laid_out_as_the_last_ones_is_read_bit_by_bit_without_a_walk(
    sender: tuple[list[Labels], list[int], bool, Version], data: st.DataObject
) -> None:
    labels, counts, zeros, version = sender
    zero = [data.draw(st.booleans()) for _ in labels]
    decoder = WriteDecoder(LIMITS)
    layouts = []
    for turn in range(5):
        series = filled(data.draw, labels, counts, zero)
        body = snappy(MESSAGES[version](series, zeros=zeros))
        known = decoder.decode_known(body, (), version)
        assert (known is not None) == (turn >= 2)
        decoded = known or decoder.decode(body, (), version)
        assert contents(decoded) == expected(series)
        assert decoded.rejected == []
        layouts.append(decoded.batch.layout)
    assert layouts[:2] == [None, None]
    assert layouts[2] is layouts[3] is layouts[4] is not None


@st.composite
def changed(draw: st.DrawFn, message: bytes) -> bytes:
    """A message with some bytes changed, cut out or put in; mostly of the same length."""
    found = bytearray(message)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(found)))
        if draw(st.integers(0, 3)):
            if place < len(found):
                found[place] = draw(st.one_of(st.integers(0, 255), st.sampled_from(message)))
        else:
            found[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(found)


def outcome(decoder: WriteDecoder, body: bytes, version: Version) -> Any:
    try:
        decoded = decoder.decode(body, (), version)
    except (WireError, TooLargeError) as error:
        return str(error)
    return contents(decoded), decoded.rejected, decoded.exemplars


def by_protobuf(message: bytes, version: Version) -> Contents:
    """What Google's library reads. Raises DecodeError."""
    if version is Version.ONE:
        return Counter(
            (
                labels_from((label.name, label.value) for label in series.labels),
                sample.timestamp,
                struct.pack("<d", sample.value),
            )
            for series in WriteRequest.FromString(message).timeseries
            for sample in series.samples
        )
    request = Request2.FromString(message)
    found: Contents = Counter()
    for series in request.timeseries:
        texts = [request.symbols[reference] for reference in series.labels_refs]
        labels = labels_from(zip(texts[::2], texts[1::2], strict=True))
        for sample in series.samples:
            found[labels, sample.timestamp, struct.pack("<d", sample.value)] += 1
    return found


@settings(max_examples=400, deadline=None)
@given(senders(), st.data())
def test_a_changed_body_is_read_as_by_a_decoder_that_knows_no_skeleton(
    sender: tuple[list[Labels], list[int], bool, Version], data: st.DataObject
) -> None:
    labels, counts, zeros, version = sender
    zero = [data.draw(st.booleans()) for _ in labels]
    decoder = WriteDecoder(LIMITS)
    for _ in range(2):
        message = MESSAGES[version](filled(data.draw, labels, counts, zero), zeros=zeros)
        decoder.decode(snappy(message), (), version)
    other = data.draw(changed(message))
    found = outcome(decoder, snappy(other), version)
    assert found == outcome(WriteDecoder(LIMITS), snappy(other), version)
    if not isinstance(found, str) and not found[1]:
        try:
            right = by_protobuf(other, version)
        except Exception:  # noqa: BLE001 - protobuf is stricter where it does not concern us
            return
        assert found[0] == right
    # The body that was compared is as it was, and the skeleton too.
    again = filled(data.draw, labels, counts, zero)
    body = snappy(MESSAGES[version](again, zeros=zeros))
    assert contents(decoder.decode(body, (), version)) == expected(again)


CPU, GPU = (("__name__", "cpu"), ("a", "x")), (("__name__", "gpu"), ("a", "x"))


def warmed(series: Series, version: Version = Version.ONE, *, zeros: bool = True) -> WriteDecoder:
    decoder = WriteDecoder(LIMITS)
    for _ in range(2):
        decoder.decode(snappy(MESSAGES[version](series, zeros=zeros)), (), version)
    assert (
        decoder.decode_known(snappy(MESSAGES[version](series, zeros=zeros)), (), version)
        is not None
    )
    return decoder


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize(
    "other",
    [
        # Labels of the same size, in the first and in the last series.
        [(GPU, [(NOW, 5)]), (CPU, [(NOW, 6)])],
        [(CPU, [(NOW, 5)]), (CPU, [(NOW, 6)])],
        # The same series with other numbers of samples, and a time in more bytes or fewer.
        [(CPU, [(NOW, 5), (NOW + 1, 6)]), (GPU, [(NOW, 7)])],
        [(CPU, [(1 << 42, 5)]), (GPU, [((1 << 35) - 1, 6)])],
        [(CPU, [(-1, 5)]), (GPU, [(NOW, 6)])],
    ],
)
def test_a_body_of_another_layout_is_not_taken_for_the_known_one(
    other: Series, version: Version
) -> None:
    decoder = warmed([(CPU, [(NOW, 1)]), (GPU, [(NOW, 2)])], version)
    body = snappy(MESSAGES[version](other, zeros=True))
    assert decoder.decode_known(body, (), version) is None
    good = [(labels, [item for item in samples if item[0] >= 0]) for labels, samples in other]
    assert contents(decoder.decode(body, (), version)) == expected(good)


def test_a_value_and_a_time_that_hold_bytes_of_fields_are_values_and_times() -> None:
    decoder = warmed([(CPU, [(NOW, 1)]), (GPU, [(NOW, 2)])])
    tricky = int.from_bytes(b"\x12\x10\x09\x0a\x12\x07\x10\x0a", "little")
    series = [(CPU, [(NOW, tricky)]), (GPU, [(0x7F7F_7F7F_7F, tricky)])]
    known = decoder.decode_known(snappy(message_1(series, zeros=True)))
    assert known is not None
    assert contents(known) == expected(series)


def test_the_labels_that_a_token_adds_and_the_version_are_part_of_what_is_known() -> None:
    series: Series = [(CPU, [(NOW, 1)])]
    decoder = warmed(series)
    body = snappy(message_1(series, zeros=True))
    customer = (("customer", "acme"),)
    assert decoder.decode_known(body, customer) is None
    assert decoder.decode_known(body, (), Version.TWO) is None
    assert decoder.decode(body, customer).batch.labels == [(*CPU, *customer)]


def test_bodies_with_exemplars_histograms_or_refusals_are_walked_each_time() -> None:
    request = WriteRequest()
    series = request.timeseries.add()
    series.labels.add(name="__name__", value="m")
    series.samples.add(timestamp=NOW, value=1.0)
    exemplar = series.exemplars.add(value=1.0, timestamp=NOW)
    exemplar.labels.add(name="trace_id", value="1")
    decoder = WriteDecoder(LIMITS)
    for _ in range(4):
        assert decoder.decode(snappy(request.SerializeToString())).exemplars == 1
    series.histograms.add(sum=1.0)
    for _ in range(4):
        decoded = decoder.decode(snappy(request.SerializeToString()))
        assert len(decoded.rejected) == decoded.histograms == 1


def test_metadata_of_2_0_is_said_again_now_and_then() -> None:
    series: Series = [(CPU, [(NOW, 1)])]
    decoder = WriteDecoder(LIMITS)
    body = snappy(message_2(series, zeros=True))
    told = [dict(decoder.decode(body, (), Version.TWO).metadata) for _ in range(3 + 64)]
    entry = {"cpu": MetricMetadata("counter", "", "seconds")}
    assert told[0] == entry
    assert 1 <= told[2:].count(entry) <= 3


def _learn(skeletons: Skeletons, size: int, tag: int) -> None:
    body = Unpacked()
    body.reserve(size)
    body.room()[:] = bytes([tag]) * size
    for _ in range(2):
        skeletons.learn(
            1,
            (),
            body,
            np.array([size - 6]),
            np.array([], dtype=np.int64),
            [CPU],
            np.zeros(1, int),
            {},
        )


def test_skeletons_stay_within_their_memory_and_those_in_use_are_not_pushed_out() -> None:
    skeletons = Skeletons(most_bytes=10_000)
    for tag in range(100):
        _learn(skeletons, 100 + tag, tag)
        assert skeletons.nbytes <= 10_000
    assert 2 <= len(skeletons) < 100


def test_senders_beyond_the_memory_for_plain_skeletons_are_read_as_well() -> None:
    # Three senders whose bodies have about 100 bytes each, by turns; room for two.
    skeletons = Skeletons(most_plain=250)
    hosts = [labels_from({"__name__": "cpu", "instance": f"host-{k}"}) for k in range(3)]
    decoder = WriteDecoder(LIMITS, skeletons)
    for turn in range(12):
        for host in hosts:
            sent: Series = [(host, [(NOW + turn, turn)]), (CPU, [(NOW + turn, turn)])]
            known = decoder.decode_known(snappy(message_1(sent, zeros=True)))
            assert turn < 2 or known is not None
            found = known or decoder.decode(snappy(message_1(sent, zeros=True)))
            assert contents(found) == expected(sent)
            assert skeletons.plain_bytes <= 250
    assert skeletons.plain_bytes > 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 1 << 22), min_size=1, max_size=4))
@example([5 << 20, 10])
def test_memory_for_bodies_is_used_again(sizes: list[int]) -> None:
    body = Unpacked()
    for size in sizes:
        content = bytes([size % 251]) * size
        body.unsnappy(snappy(content), 1 << 26)
        assert body.content() == content
        assert body.padded() == content + bytes(24)


def test_a_known_body_does_not_wait_for_one_that_is_walked() -> None:
    decoder = WriteDecoder(LIMITS)
    sent: Series = [(CPU, [(NOW, 1)])]
    body = snappy(message_1(sent, zeros=True))
    for _ in range(2):
        decoder.decode(body)
    found: list[Decoded | None] = []
    with decoder._walking:  # as while another thread walks over a large body
        reader = threading.Thread(target=lambda: found.append(decoder.decode_known(body)))
        reader.start()
        reader.join(10)
    assert len(found) == 1
    assert found[0] is not None
    assert contents(found[0]) == expected(sent)
