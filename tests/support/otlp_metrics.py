"""OTLP metrics requests for tests, from the fields of OTLP's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
NANOS = 1_000_000
START = 1_750_000_000_000
"""The start of what the points count, and a minute later the time that they have (ms)."""
TIME = START + 60_000

DELTA, CUMULATIVE = 1, 2


def attributes(**values: Any) -> list[dict[str, Any]]:
    """Attributes of text, with `__` in a name for a dot."""
    return [
        {"key": name.replace("__", "."), "value": {"stringValue": value}}
        for name, value in values.items()
    ]


def point(start: int = START, time: int = TIME, **fields: Any) -> dict[str, Any]:
    """A point, with its times in milliseconds; a `labels` mapping is its attributes."""
    own = attributes(**fields.pop("labels", {}))
    return {
        "startTimeUnixNano": str(start * NANOS),
        "timeUnixNano": str(time * NANOS),
        "attributes": own,
        **fields,
    }


def gauge(name: str, *points: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A gauge."""
    return {"name": name, "gauge": {"dataPoints": list(points)}, **fields}


def sum_of(
    name: str,
    *points: dict[str, Any],
    temporality: int = CUMULATIVE,
    monotonic: bool = True,
    **fields: Any,
) -> dict[str, Any]:
    """A sum."""
    data = {
        "dataPoints": list(points),
        "aggregationTemporality": temporality,
        "isMonotonic": monotonic,
    }
    return {"name": name, "sum": data, **fields}


def histogram(
    name: str, *points: dict[str, Any], temporality: int = CUMULATIVE, **fields: Any
) -> dict[str, Any]:
    """A histogram with explicit bounds."""
    data = {"dataPoints": list(points), "aggregationTemporality": temporality}
    return {"name": name, "histogram": data, **fields}


def exponential(
    name: str, *points: dict[str, Any], temporality: int = CUMULATIVE, **fields: Any
) -> dict[str, Any]:
    """An exponential histogram."""
    data = {"dataPoints": list(points), "aggregationTemporality": temporality}
    return {"name": name, "exponentialHistogram": data, **fields}


def document(
    *metrics: Mapping[str, Any],
    resource: Mapping[str, str] | None = None,
    scope: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A request of one resource and one scope, as OTLP's JSON has it."""
    own: Sequence[Any] = attributes(**(resource or {}))
    scopes = [{"scope": dict(scope or {}), "metrics": list(metrics)}]
    return {"resourceMetrics": [{"resource": {"attributes": own}, "scopeMetrics": scopes}]}


def protobuf(given: Mapping[str, Any]) -> bytes:
    """The same in protobuf."""
    message = json_format.ParseDict(dict(given), ExportMetricsServiceRequest())
    return bytes(message.SerializeToString())
