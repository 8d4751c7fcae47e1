"""Remote read's messages, with Google's protobuf library as the oracle."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import cramjam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.history.remote_read import read_request, read_response
from forewarn_collector.ingest.limits import TooLargeError
from forewarn_collector.store import Matcher, MatchOp
from forewarn_wire import STALE_NAN, WireError
from support.prompb import message

NOW = 1_790_000_000_000
# As if a sample without a value began in the middle of this one: its bytes 6 and 7 are 12 07.
DISGUISED = struct.unpack("<d", bytes([1, 2, 3, 4, 5, 6, 0x12, 0x07]))[0]


def response(*results: Sequence[Sequence[tuple[int, float]]]) -> Any:
    """A ReadResponse; series `k` of each result has the label n="k"."""
    found = message("ReadResponse")
    for result in results:
        query = found.results.add()
        for number, samples in enumerate(result):
            series = query.timeseries.add()
            series.labels.add(name="n", value=str(number))
            for time, value in samples:
                series.samples.add(timestamp=time, value=value)
    return found


def decoded(body: bytes) -> list[list[list[tuple[int, bytes]]]]:
    """Times and the bits of the values, by result and series."""
    found = []
    for labels, times, values, counts in read_response(body):
        assert labels == [(("n", str(row)),) for row in range(len(labels))]
        ends = np.cumsum(counts).tolist()
        bits = [struct.pack("<d", value) for value in values]
        pairs = list(zip(times.tolist(), bits, strict=True))
        starts = [0, *ends[:-1]] if ends else []
        found.append([pairs[start:end] for start, end in zip(starts, ends, strict=True)])
    return found


def bits(result: Sequence[Sequence[tuple[int, float]]]) -> list[list[tuple[int, bytes]]]:
    return [[(time, struct.pack("<d", value)) for time, value in series] for series in result]


def packed(found: Any) -> bytes:
    return bytes(cramjam.snappy.compress_raw(found.SerializeToString()))


VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, math.inf, STALE_NAN, DISGUISED]), st.floats(allow_nan=False)
)
# Six bytes of time as a rule; others for what is before 1971 and after 2109.
TIMES = st.one_of(
    st.integers(NOW, NOW + 10**9), st.sampled_from([0, 1, -5, 2**35 - 1, 2**42, 2**62])
)
RESULTS = st.lists(st.lists(st.lists(st.tuples(TIMES, VALUES), max_size=6), max_size=4), max_size=3)


@given(RESULTS)
def test_samples_are_those_that_protobuf_reads(results: Any) -> None:
    # -0.0 is left out by Prometheus' own encoder, but not by Google's.
    assert decoded(packed(response(*results))) == [bits(result) for result in results]


def test_regular_samples_of_every_kind_are_told_apart() -> None:
    series = [(NOW + k, value) for k, value in enumerate([0.0, DISGUISED, 0.0, 0.0, STALE_NAN, 1])]
    result = [series, [], [(NOW, 0.0)], [(NOW, 1.0)]]
    assert decoded(packed(response(result))) == [bits(result)]


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for content in (body, bytes(cramjam.snappy.compress_raw(body))):
        with suppress(WireError, TooLargeError):
            list(read_response(content))


def test_a_broken_message_is_refused() -> None:
    body = response([[(NOW, 1.0)]]).SerializeToString()
    with pytest.raises(WireError):
        list(read_response(bytes(cramjam.snappy.compress_raw(body[:-3]))))


def test_a_request_names_times_and_matchers() -> None:
    matchers = [
        Matcher("__name__", MatchOp.EQUAL, "up"),
        Matcher("a", MatchOp.NOT_EQUAL, "b"),
        Matcher("c", MatchOp.REGEX, "d.*"),
        Matcher("e", MatchOp.NOT_REGEX, "ü"),
    ]
    body = read_request([matchers, matchers[:1]], -5, NOW)
    found = message("ReadRequest")
    found.ParseFromString(bytes(cramjam.snappy.decompress_raw(body)))
    assert [(each.start_timestamp_ms, each.end_timestamp_ms) for each in found.queries] == [
        (-5, NOW),
        (-5, NOW),
    ]
    first = [(each.type, each.name, each.value) for each in found.queries[0].matchers]
    # Source of the numbers: prompb/types.proto, LabelMatcher.Type.
    assert first == [(0, "__name__", "up"), (1, "a", "b"), (2, "c", "d.*"), (3, "e", "ü")]
    assert len(found.queries[1].matchers) == 1
