"""OTLP metrics, as protobuf or JSON, to samples: a walk over the bytes with kept label sets.

Source: opentelemetry-proto `metrics/v1/metrics.proto` and the OTLP/HTTP specification. What comes
as JSON is made protobuf first, so that there is one way to read it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from forewarn_collector.config_otlp import OtlpSettings
from forewarn_collector.ingest.limits import Limits, Rejected
from forewarn_collector.ingest.metadata import MetricMetadata
from forewarn_collector.ingest.otlp_bodies import (
    JSON,
    encode_answer,
    media_type,
    read_json,
    uncompressed,
)
from forewarn_collector.ingest.otlp_series import OtlpCache
from forewarn_collector.ingest.otlp_walk import Walk
from forewarn_collector.ingest.series import SeriesCache
from forewarn_collector.store import Batch, Increases
from forewarn_wire import Labels

_CACHES_KEPT = 64
_MOST_KEPT = 1_000_000
_WHAT = "OTLP metrics request"


@dataclass(frozen=True, slots=True)
class DecodedMetrics:
    """A request's samples, those of delta points apart, and what of it was refused.

    `refused_points` counts the points of `rejected`, `exemplars` how many came; none is kept.
    """

    batch: Batch
    increases: Increases
    rejected: list[Rejected]
    refused_points: int
    metadata: Mapping[str, MetricMetadata]
    exemplars: int


class MetricsDecoder:
    """Decodes requests and keeps what it has met of them, so that each series is made once."""

    def __init__(self, limits: Limits, settings: OtlpSettings) -> None:
        self._limits = limits
        self._settings = settings
        self._caches: OrderedDict[Labels, OtlpCache] = OrderedDict()
        self._lock = threading.Lock()

    def decode(
        self, body: bytes, content_type: str, content_encoding: str = "", extra: Labels = ()
    ) -> DecodedMetrics:
        """Decode an `ExportMetricsServiceRequest`. `extra` labels override those that came.

        A bad point is refused alone. Raises WireError where the body is not what its headers say
        and TooLargeError where it is over a limit. Thread-safe.
        """
        kind = media_type(content_type)
        message = uncompressed(body, content_encoding, self._limits)
        if kind == JSON:
            request = ExportMetricsServiceRequest()
            read_json(message, request, _WHAT)
            message = request.SerializeToString()
        with self._lock:
            cache = self._cache(extra)
            walk = Walk(message, cache, self._limits, self._settings)
            walk.run()
            batch, increases = walk.columns()
        return DecodedMetrics(
            batch, increases, walk.rejected, walk.refused_points, walk.metadata, walk.exemplars
        )

    def _cache(self, extra: Labels) -> OtlpCache:
        cache = self._caches.get(extra)
        if cache is None or cache.kept > _MOST_KEPT:
            # Anew, so that series that came and went do not fill the memory.
            cache = self._caches[extra] = OtlpCache(SeriesCache(self._limits, extra))
            if len(self._caches) > _CACHES_KEPT:
                self._caches.popitem(last=False)
        self._caches.move_to_end(extra)
        return cache


def encode_metrics_response(
    content_type: str, rejected: Sequence[Rejected], refused_points: int
) -> bytes:
    """The answer to a request, in the encoding it came in: `partial_success` where some failed."""
    response = ExportMetricsServiceResponse()
    if rejected:
        first = rejected[0]
        more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
        response.partial_success.rejected_data_points = refused_points
        response.partial_success.error_message = f"{first.subject}: {first.reason}{more}"
    return encode_answer(response, content_type)
