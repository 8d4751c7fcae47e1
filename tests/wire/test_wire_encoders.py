"""What the agent encodes, read back by Google's protobuf library."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from forewarn_wire import STALE_NAN, STALE_NAN_BITS, Event, Severity, is_stale, labels_from
from forewarn_wire.otlp import encode_logs
from forewarn_wire.protobuf import varint
from forewarn_wire.remote_write import Series, encode_write_request
from support.prompb import WriteRequest

names = st.text(alphabet="abc_", min_size=1, max_size=4)
values = st.text(st.characters(codec="utf-8"), max_size=200)
label_sets = st.dictionaries(names, values, max_size=5).map(labels_from)
int64s = st.integers(-(1 << 63), (1 << 63) - 1)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@given(st.lists(st.tuples(label_sets, st.floats()), max_size=5), int64s)
def test_a_write_request_is_read_back_label_by_label_and_bit_by_bit(
    readings: list[tuple[tuple[tuple[str, str], ...], float]], time: int
) -> None:
    message = encode_write_request([(Series(labels), value) for labels, value in readings], time)
    found = WriteRequest.FromString(message).timeseries
    assert len(found) == len(readings)
    for series, (labels, value) in zip(found, readings, strict=True):
        assert tuple((label.name, label.value) for label in series.labels) == labels
        assert [(bits(s.value), s.timestamp) for s in series.samples] == [(bits(value), time)]


def test_a_zero_is_written_in_full_so_that_every_body_of_the_same_series_is_laid_out_alike() -> (
    None
):
    series = Series(labels_from({"__name__": "m"}))
    lengths = {
        len(encode_write_request([(series, value)], 1_760_000_000_000))
        for value in (0.0, -0.0, 1.0, STALE_NAN)
    }
    assert len(lengths) == 1


@given(int64s)
def test_a_varint_is_what_protobuf_reads(number: int) -> None:
    inner = b"\x10" + varint(number)
    message = b"\x0a" + varint(2 + len(inner)) + b"\x12" + varint(len(inner)) + inner
    assert WriteRequest.FromString(message).timeseries[0].samples[0].timestamp == number


def test_a_text_that_utf_8_cannot_hold_is_still_sent() -> None:
    series = Series((("__name__", "m"), ("file", "\udcff.log")))
    found = WriteRequest.FromString(encode_write_request([(series, 1.0)], 0))
    assert found.timeseries[0].labels[1].value == "?.log"


def test_events_are_log_records_grouped_by_resource() -> None:
    events = [
        Event(
            time=1_760_000_000_123,
            type="log",
            severity=Severity.ERROR,
            labels=labels_from({"job": "app", "instance": host, "file": "x.log"}),
            body="größer",
            uid=f"{host}-1",
            attributes={"line": "17"},
        )
        for host in ("a", "b", "a")
    ]
    found = ExportLogsServiceRequest.FromString(encode_logs(events)).resource_logs
    assert [len(item.scope_logs[0].log_records) for item in found] == [2, 1]
    resource = {item.key: item.value.string_value for item in found[0].resource.attributes}
    assert resource == {"service.name": "app", "service.instance.id": "a"}
    record = found[0].scope_logs[0].log_records[0]
    assert record.time_unix_nano == record.observed_time_unix_nano == 1_760_000_000_123_000_000
    # SEVERITY_NUMBER_ERROR = 17
    assert (record.severity_number, record.severity_text) == (17, "error")
    assert record.body.string_value == "größer"
    assert record.event_name == "log"
    assert {item.key: item.value.string_value for item in record.attributes} == {
        "log.record.uid": "a-1",
        "line": "17",
        "forewarn.label.file": "x.log",
    }


def test_the_stale_marker_is_prometheus_and_no_other_nan() -> None:
    assert struct.unpack("<Q", bits(STALE_NAN))[0] == STALE_NAN_BITS == 0x7FF0000000000002
    assert is_stale(STALE_NAN)
    assert not is_stale(float("nan"))
    assert not is_stale(0.0)


@pytest.mark.parametrize(
    ("number", "severity"),
    [(1, "trace"), (5, "debug"), (9, "info"), (13, "warn"), (17, "error"), (21, "fatal")],
)
def test_severities_are_opentelemetrys_ranges(number: int, severity: str) -> None:
    assert Severity(severity).number == number
    assert {Severity.from_number(number + k) for k in range(4)} == {Severity(severity)}
    assert Severity.from_number(0) is Severity.from_number(25) is Severity.INFO
