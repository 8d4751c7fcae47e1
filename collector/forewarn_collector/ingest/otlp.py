"""OTLP log records, as protobuf or JSON, to events.

Source: opentelemetry-proto `logs/v1/logs.proto` and its OTLP/HTTP specification; how attributes
become labels stands in `forewarn_wire.otlp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from forewarn_collector.ingest.limits import Limits, Rejected, check_rejected
from forewarn_collector.ingest.otlp_bodies import (
    JSON,
    encode_answer,
    media_type,
    read_json,
    read_protobuf,
    uncompressed,
)
from forewarn_collector.ingest.records import event_of, resource_of
from forewarn_wire import Event, Labels

_WHAT = "OTLP logs request"


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
    read = read_json if media_type(content_type) == JSON else read_protobuf
    request = ExportLogsServiceRequest()
    read(uncompressed(body, content_encoding, limits), request, _WHAT)
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


def encode_logs_response(
    content_type: str, rejected: Sequence[Rejected], too_old: int = 0
) -> bytes:
    """The answer to a request, in the encoding it came in: `partial_success` where some failed.

    `too_old` counts records of before what is kept.
    """
    response = ExportLogsServiceResponse()
    reasons = [f"{item.subject}: {item.reason}" for item in rejected[:1]]
    if too_old:
        reasons.append(f"{too_old} records are older than the events that are kept")
    if reasons:
        response.partial_success.rejected_log_records = len(rejected) + too_old
        response.partial_success.error_message = "; ".join(reasons)
    return encode_answer(response, content_type)
