"""From the wire to the store's shapes: remote write to columns, OTLP to columns and events."""

from forewarn_collector.ingest.limits import Kind, Limits, Rejected, TooLargeError
from forewarn_collector.ingest.metadata import MetadataTable, MetricMetadata
from forewarn_collector.ingest.otlp import DecodedEvents, decode_logs, encode_logs_response
from forewarn_collector.ingest.otlp_bodies import (
    UnsupportedTypeError,
    encode_error,
    media_type,
)
from forewarn_collector.ingest.otlp_metrics import (
    DecodedMetrics,
    MetricsDecoder,
    encode_metrics_response,
)
from forewarn_collector.ingest.remote_write import (
    Decoded,
    Version,
    WriteDecoder,
    decode_write_request,
)
from forewarn_collector.ingest.series import show
from forewarn_collector.ingest.times import Span

__all__ = [
    "Decoded",
    "DecodedEvents",
    "DecodedMetrics",
    "Kind",
    "Limits",
    "MetadataTable",
    "MetricMetadata",
    "MetricsDecoder",
    "Rejected",
    "Span",
    "TooLargeError",
    "UnsupportedTypeError",
    "Version",
    "WriteDecoder",
    "decode_logs",
    "decode_write_request",
    "encode_error",
    "encode_logs_response",
    "encode_metrics_response",
    "media_type",
    "show",
]
