"""OTLP log records, as protobuf or JSON, to events.

Source: opentelemetry-proto `logs/v1/logs.proto` and its OTLP/HTTP specification; how attributes
become labels stands in `forewarn_wire.otlp`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from forewarn_collector.ingest.compression import ungzip
from forewarn_collector.ingest.limits import Limits, Rejected, check_rejected, check_size
from forewarn_collector.ingest.records import event_of, resource_of
from forewarn_wire import Event, Labels, WireError

_PROTOBUF = "application/x-protobuf"
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class DecodedEvents:
    """A request's events, and what of it was refused."""

    events: list[Event]
    rejected: list[Rejected]


def decode_logs(
    body: bytes,
    content_type: str,
    content_encoding: str = "",
    *,
    limits: Limits,
    extra: Labels = (),
) -> DecodedEvents:
    """Decode an `ExportLogsServiceRequest`. `extra` labels override those that came.

    A bad record is refused alone. Raises WireError where the body is not what its headers say and
    TooLargeError where it is over a limit.
    """
    request = _request(_uncompressed(body, content_encoding, limits), content_type)
    events: list[Event] = []
    rejected: list[Rejected] = []
    for resource_logs in request.resource_logs:
        resource = resource_of(resource_logs.resource)
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                result = event_of(record, resource, limits, extra)
                if isinstance(result, Event):
                    events.append(result)
                else:
                    rejected.append(result)
                    check_rejected(rejected, limits)
    return DecodedEvents(events, rejected)


def encode_logs_response(content_type: str, rejected: Sequence[Rejected]) -> bytes:
    """The answer to a request, in the encoding it came in: `partial_success` where some failed."""
    response = ExportLogsServiceResponse()
    if rejected:
        response.partial_success.rejected_log_records = len(rejected)
        first = rejected[0]
        response.partial_success.error_message = f"{first.subject}: {first.reason}"
    if _media_type(content_type) == _JSON:
        return json_format.MessageToJson(response, indent=None).encode()
    return bytes(response.SerializeToString())


def _uncompressed(body: bytes, content_encoding: str, limits: Limits) -> bytes:
    check_size(len(body), limits.max_body, "the body")
    match content_encoding.strip().lower():
        case "gzip":
            return ungzip(body, limits.max_decoded)
        case "" | "identity":
            return body
    raise WireError(f"content encoding {content_encoding!r} is not taken; send gzip or none")


def _request(body: bytes, content_type: str) -> Any:
    request = ExportLogsServiceRequest()
    media_type = _media_type(content_type)
    try:
        if media_type == _PROTOBUF:
            request.ParseFromString(body)
        elif media_type == _JSON:
            json_format.ParseDict(_json(body), request, ignore_unknown_fields=True)
        else:
            raise WireError(
                f"content type {content_type!r} is not taken; send {_PROTOBUF} or {_JSON}"
            )
    except DecodeError:
        raise WireError("the body is not an OTLP logs request in protobuf") from None
    except (json_format.ParseError, RecursionError) as error:
        raise WireError(f"the body is not an OTLP logs request in JSON: {error}") from None
    return request


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise WireError("the body is not an OTLP logs request in JSON: it must be an object")
    for record in _records(document):
        # OTLP writes these as hex, protobuf's own mapping to JSON expects base64.
        for name in ("traceId", "trace_id", "spanId", "span_id"):
            if name in record:
                record[name] = _base64(record[name])
    return document


def _records(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    levels = (
        ("resourceLogs", "resource_logs"),
        ("scopeLogs", "scope_logs"),
        ("logRecords", "log_records"),
    )
    found: list[dict[str, Any]] = [document]
    for names in levels:
        children = [item.get(name) for item in found for name in names]
        found = [
            child
            for several in children
            if isinstance(several, list)
            for child in several
            if isinstance(child, dict)
        ]
    return iter(found)


def _base64(value: Any) -> str:
    try:
        return base64.b64encode(bytes.fromhex(value)).decode()
    except (TypeError, ValueError):
        raise WireError(f"a trace or span id is not hexadecimal: {value!r:.100}") from None


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
