"""Encode events as OTLP log records, and the names by which the collector reads them back.

Source: opentelemetry-proto `logs/v1/logs.proto`, `common/v1/common.proto` and
`resource/v1/resource.proto`; `service.name` and `service.instance.id` become `job` and
`instance` as in Prometheus' translation of OTLP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from forewarn_wire.labels import Labels
from forewarn_wire.protobuf import fixed64, integer, length_delimited, text
from forewarn_wire.signals import Event

CONTENT_TYPE = "application/x-protobuf"

UID_ATTRIBUTE = "log.record.uid"
"""OpenTelemetry's semantic convention for the identity of a record."""
LABEL_PREFIX = "forewarn.label."
"""A record's attribute with this prefix is a label; the others are details."""
RESOURCE_LABELS = {"service.name": "job", "service.instance.id": "instance"}
"""Resource attributes that are labels."""


def encode_logs(events: Iterable[Event]) -> bytes:
    """Encode events as an `ExportLogsServiceRequest`, one resource for each job and instance."""
    by_resource: dict[Labels, list[bytes]] = {}
    for event in events:
        resource = tuple(pair for pair in event.labels if pair[0] in RESOURCE_LABELS.values())
        by_resource.setdefault(resource, []).append(_record(event))
    out = []
    for resource, records in by_resource.items():
        names = {label: attribute for attribute, label in RESOURCE_LABELS.items()}
        attributes = _attributes(1, {names[label]: value for label, value in resource})
        scope_logs = b"".join(length_delimited(2, record) for record in records)
        out.append(
            length_delimited(1, length_delimited(1, attributes) + length_delimited(2, scope_logs))
        )
    return b"".join(out)


def _record(event: Event) -> bytes:
    attributes = {UID_ATTRIBUTE: event.uid, **event.attributes}
    for name, value in event.labels:
        if name not in RESOURCE_LABELS.values():
            attributes[LABEL_PREFIX + name] = value
    nanoseconds = event.time * 1_000_000
    return (
        fixed64(1, nanoseconds)
        + integer(2, event.severity.number)
        + text(3, event.severity.value)
        + length_delimited(5, text(1, event.body))
        + _attributes(6, attributes)
        + fixed64(11, nanoseconds)
        + text(12, event.type)
    )


def _attributes(field: int, attributes: Mapping[str, str]) -> bytes:
    return b"".join(
        length_delimited(field, text(1, name) + length_delimited(2, text(1, value)))
        for name, value in attributes.items()
    )
