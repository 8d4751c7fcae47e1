"""One OTLP log record to one event: labels, details, severity, identity."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from forewarn_collector.ingest.limits import Kind, Limits, Rejected
from forewarn_collector.ingest.series import show
from forewarn_wire import Event, Labels, Severity, labels_from
from forewarn_wire.otlp import LABEL_PREFIX, RESOURCE_LABELS, UID_ATTRIBUTE

DEFAULT_TYPE = "log"
CUT_MARK = " [cut]"
TRACE_ATTRIBUTE, SPAN_ATTRIBUTE = "trace_id", "span_id"
DROPPED_ATTRIBUTE = "forewarn.dropped_attributes"
_NAMESPACE = "service.namespace"
# The attribute that named an event before records had a field for it.
_OLD_TYPE = "event.name"
_NANOSECONDS = 1_000_000

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
_SEVERITY_WORDS = {
    **{severity.value: severity for severity in Severity},
    "information": Severity.INFO,
    "notice": Severity.INFO,
    "warning": Severity.WARN,
    "err": Severity.ERROR,
    "critical": Severity.FATAL,
    "crit": Severity.FATAL,
    "alert": Severity.FATAL,
    "emergency": Severity.FATAL,
    "panic": Severity.FATAL,
}


@dataclass(frozen=True, slots=True)
class Resource:
    """What a resource's attributes mean for each of its records."""

    labels: Mapping[str, str]
    attributes: Mapping[str, str]


def resource_of(resource: Any) -> Resource:
    """Split a resource's attributes into labels and details."""
    attributes = _texts(resource.attributes)
    labels = {
        label: attributes.pop(name) for name, label in RESOURCE_LABELS.items() if name in attributes
    }
    namespace = attributes.get(_NAMESPACE)
    if namespace and "job" in labels:
        # As in Prometheus' translation of OTLP.
        labels["job"] = f"{namespace}/{labels['job']}"
    return Resource(labels, attributes)


def event_of(record: Any, resource: Resource, limits: Limits, extra: Labels) -> Event | Rejected:
    """The event that a record stands for, or why it is refused.

    Without a uid it gets one made from its content, so that a resend is the same event.
    """
    attributes = {**resource.attributes, **_texts(record.attributes)}
    uid = attributes.pop(UID_ATTRIBUTE, "")
    kind = record.event_name or attributes.pop(_OLD_TYPE, "") or DEFAULT_TYPE
    labels = dict(resource.labels)
    for name in [name for name in attributes if name.startswith(LABEL_PREFIX)]:
        labels[label_name(name.removeprefix(LABEL_PREFIX))] = attributes.pop(name)
    found = labels_from({**labels, **dict(extra)})
    for name, identity in ((TRACE_ATTRIBUTE, record.trace_id), (SPAN_ATTRIBUTE, record.span_id)):
        if identity:
            attributes[name] = identity.hex()

    problem = _problem(kind, uid, found, limits)
    if problem is not None:
        return Rejected(Kind.LABEL_LIMIT, show(found), problem)
    nanoseconds = record.time_unix_nano or record.observed_time_unix_nano
    if not nanoseconds:
        return Rejected(Kind.BAD_TIME, show(found), "it has no time; set time_unix_nano")

    severity = _severity(record)
    body = _text(record.body)
    if not uid:
        uid = _digest(nanoseconds, kind, severity, found, body, sorted(attributes.items()))
    return Event(
        time=nanoseconds // _NANOSECONDS,
        type=kind,
        severity=severity,
        labels=found,
        body=_cut(body, limits.max_event_body),
        uid=uid,
        attributes=_bounded(attributes, limits),
    )


def label_name(name: str) -> str:
    """A name made into one that PromQL takes unquoted, as Prometheus' translation of OTLP does.

    A leading digit, and the double underscore of reserved names, get the prefix `key_`.
    """
    normal = _NOT_IN_A_NAME.sub("_", name)
    return f"key_{normal}" if not normal or normal[0].isdigit() or normal[:2] == "__" else normal


def _problem(kind: str, uid: str, labels: Labels, limits: Limits) -> str | None:
    if len(labels) > limits.max_labels:
        return f"{len(labels)} labels, over the limit of {limits.max_labels}"
    for what, text, limit in (
        ("event's type", kind, limits.max_label_value),
        ("event's uid", uid, limits.max_label_value),
        *((f"name of label {name[:100]}", name, limits.max_label_name) for name, _ in labels),
        *(
            (f"value of label {name[:100]}", value, limits.max_label_value)
            for name, value in labels
        ),
    ):
        if len(text.encode()) > limit:
            return f"the {what} is over the limit of {limit} bytes"
    return None


def _severity(record: Any) -> Severity:
    if record.severity_number == 0:
        return _SEVERITY_WORDS.get(record.severity_text.strip().lower(), Severity.INFO)
    return Severity.from_number(record.severity_number)


def _digest(*content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _bounded(attributes: dict[str, str], limits: Limits) -> dict[str, str]:
    kept = dict(list(attributes.items())[: limits.max_attributes])
    bounded = {
        _cut(name, limits.max_attribute): _cut(value, limits.max_attribute)
        for name, value in kept.items()
    }
    if len(kept) < len(attributes):
        bounded[DROPPED_ATTRIBUTE] = str(len(attributes) - len(kept))
    return bounded


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit and len(encoded := text.encode()) <= limit:
        return text
    encoded = text[:limit].encode()
    return encoded[:limit].decode(errors="ignore") + CUT_MARK


def _texts(attributes: Iterable[Any]) -> dict[str, str]:
    return {item.key: _text(item.value) for item in attributes}


def _text(value: Any) -> str:
    """An `AnyValue` as text: a string as it is, anything else as JSON."""
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    return "" if plain is None else json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: _plain(item.value) for item in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case None:
            return None
        case name:
            return getattr(value, name)
