"""Prometheus' remote write and remote read messages for Google's protobuf library, as an oracle.

Source: prometheus/prometheus `prompb/remote.proto`, `prompb/types.proto` (1.0) and
`prompb/io/prometheus/write/v2/types.proto` (2.0).
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_MESSAGES: dict[str, list[tuple[str, int, int, str, bool]]] = {
    "Label": [
        ("name", 1, _FIELD.TYPE_STRING, "", False),
        ("value", 2, _FIELD.TYPE_STRING, "", False),
    ],
    "Sample": [
        ("value", 1, _FIELD.TYPE_DOUBLE, "", False),
        ("timestamp", 2, _FIELD.TYPE_INT64, "", False),
    ],
    "Exemplar": [
        ("labels", 1, _FIELD.TYPE_MESSAGE, "Label", True),
        ("value", 2, _FIELD.TYPE_DOUBLE, "", False),
        ("timestamp", 3, _FIELD.TYPE_INT64, "", False),
    ],
    "Histogram": [
        ("count_int", 1, _FIELD.TYPE_UINT64, "", False),
        ("sum", 3, _FIELD.TYPE_DOUBLE, "", False),
        ("timestamp", 15, _FIELD.TYPE_INT64, "", False),
    ],
    "MetricMetadata": [
        ("type", 1, _FIELD.TYPE_INT32, "", False),
        ("metric_family_name", 2, _FIELD.TYPE_STRING, "", False),
        ("help", 4, _FIELD.TYPE_STRING, "", False),
        ("unit", 5, _FIELD.TYPE_STRING, "", False),
    ],
    "TimeSeries": [
        ("labels", 1, _FIELD.TYPE_MESSAGE, "Label", True),
        ("samples", 2, _FIELD.TYPE_MESSAGE, "Sample", True),
        ("exemplars", 3, _FIELD.TYPE_MESSAGE, "Exemplar", True),
        ("histograms", 4, _FIELD.TYPE_MESSAGE, "Histogram", True),
    ],
    "WriteRequest": [
        ("timeseries", 1, _FIELD.TYPE_MESSAGE, "TimeSeries", True),
        ("metadata", 3, _FIELD.TYPE_MESSAGE, "MetricMetadata", True),
    ],
    "LabelMatcher": [
        ("type", 1, _FIELD.TYPE_INT32, "", False),
        ("name", 2, _FIELD.TYPE_STRING, "", False),
        ("value", 3, _FIELD.TYPE_STRING, "", False),
    ],
    "Query": [
        ("start_timestamp_ms", 1, _FIELD.TYPE_INT64, "", False),
        ("end_timestamp_ms", 2, _FIELD.TYPE_INT64, "", False),
        ("matchers", 3, _FIELD.TYPE_MESSAGE, "LabelMatcher", True),
    ],
    "ReadRequest": [("queries", 1, _FIELD.TYPE_MESSAGE, "Query", True)],
    "QueryResult": [("timeseries", 1, _FIELD.TYPE_MESSAGE, "TimeSeries", True)],
    "ReadResponse": [("results", 1, _FIELD.TYPE_MESSAGE, "QueryResult", True)],
}
_MESSAGES_2: dict[str, list[tuple[str, int, int, str, bool]]] = {
    "Sample": _MESSAGES["Sample"],
    "Histogram": _MESSAGES["Histogram"],
    "Exemplar": [
        ("labels_refs", 1, _FIELD.TYPE_UINT32, "", True),
        ("value", 2, _FIELD.TYPE_DOUBLE, "", False),
        ("timestamp", 3, _FIELD.TYPE_INT64, "", False),
    ],
    "Metadata": [
        ("type", 1, _FIELD.TYPE_INT32, "", False),
        ("help_ref", 3, _FIELD.TYPE_UINT32, "", False),
        ("unit_ref", 4, _FIELD.TYPE_UINT32, "", False),
    ],
    "TimeSeries": [
        ("labels_refs", 1, _FIELD.TYPE_UINT32, "", True),
        ("samples", 2, _FIELD.TYPE_MESSAGE, "Sample", True),
        ("histograms", 3, _FIELD.TYPE_MESSAGE, "Histogram", True),
        ("exemplars", 4, _FIELD.TYPE_MESSAGE, "Exemplar", True),
        ("metadata", 5, _FIELD.TYPE_MESSAGE, "Metadata", False),
        ("created_timestamp", 6, _FIELD.TYPE_INT64, "", False),
    ],
    "Request": [
        ("symbols", 4, _FIELD.TYPE_STRING, "", True),
        ("timeseries", 5, _FIELD.TYPE_MESSAGE, "TimeSeries", True),
    ],
}


def _pool(
    package: str, messages: dict[str, list[tuple[str, int, int, str, bool]]]
) -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="prompb.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind, type_name, repeated in fields:
            message.field.add(
                name=field,
                number=number,
                type=kind,
                type_name=f".{package}.{type_name}" if type_name else None,
                label=_FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _pool("prometheus", _MESSAGES)
_POOL_2 = _pool("io.prometheus.write.v2", _MESSAGES_2)


def _class(pool: descriptor_pool.DescriptorPool, name: str) -> Any:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def message(name: str) -> Any:
    """A new message `prometheus.NAME`."""
    return _class(_POOL, f"prometheus.{name}")()


WriteRequest = _class(_POOL, "prometheus.WriteRequest")
"""The message class `prometheus.WriteRequest`."""

Request2 = _class(_POOL_2, "io.prometheus.write.v2.Request")
"""The message class `io.prometheus.write.v2.Request`."""
