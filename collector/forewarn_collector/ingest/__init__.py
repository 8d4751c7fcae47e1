"""From the wire to the store's shapes: remote write to columns, OTLP logs to events."""

from forewarn_collector.ingest.limits import Kind, Limits, Rejected, TooLargeError
from forewarn_collector.ingest.metadata import MetadataTable, MetricMetadata
from forewarn_collector.ingest.otlp import DecodedEvents, decode_logs, encode_logs_response
from forewarn_collector.ingest.remote_write import (
    Decoded,
    Version,
    WriteDecoder,
    decode_write_request,
)
from forewarn_collector.ingest.series import show

__all__ = [
    "Decoded",
    "DecodedEvents",
    "Kind",
    "Limits",
    "MetadataTable",
    "MetricMetadata",
    "Rejected",
    "TooLargeError",
    "Version",
    "WriteDecoder",
    "decode_logs",
    "decode_write_request",
    "encode_logs_response",
    "show",
]
