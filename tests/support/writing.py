"""Request bodies as a sender would make them, for tests that write to a collector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cramjam

from forewarn_wire import Event, labels_from
from forewarn_wire.otlp import encode_logs
from forewarn_wire.remote_write import Series, encode_write_request

WRITE_HEADERS = {
    "Content_Type": "application/x-protobuf",
    "Content_Encoding": "snappy",
    "X_Prometheus_Remote_Write_Version": "0.1.0",
}
WRITE_2_HEADERS = {
    "Content_Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "Content_Encoding": "snappy",
    "X_Prometheus_Remote_Write_Version": "2.0.0",
}
LOGS_HEADERS = {"Content_Type": "application/x-protobuf"}


def snappy(body: bytes) -> bytes:
    """A body in snappy's block format."""
    return bytes(cramjam.snappy.compress_raw(body))


def raw_series(pairs: Sequence[tuple[str, str]]) -> Series:
    """A series with just these labels, in this order, right or wrong."""
    return Series(tuple(pairs))


def write_body(values: Mapping[str, float], time: int, **labels: str) -> bytes:
    """A remote-write body: one sample for each metric's name, all with the same labels."""
    readings = [
        (Series(labels_from({"__name__": name, **labels})), value) for name, value in values.items()
    ]
    return snappy(encode_write_request(readings, time))


def raw_body(series: Sequence[tuple[Sequence[tuple[str, str]], float]], time: int) -> bytes:
    """A remote-write body of series that need not be valid."""
    return snappy(encode_write_request([(raw_series(p), v) for p, v in series], time))


def logs_body(*events: Event) -> bytes:
    """An OTLP logs body."""
    return encode_logs(events)
